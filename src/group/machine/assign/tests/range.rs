//! `RangeAssignor`.

use super::{Assignor, Group, becomes, topics};

#[track_caller]
fn range(group: &Group, expected: &str) {
    becomes(Assignor::Range, group, expected);
}

#[test]
fn two_members_share_two_topics_with_the_first_taking_what_is_over() {
    range(&topics(&[3, 2]).member("a", &[0, 1]).member("b", &[0, 1]), "a 0:0-1 1:0, b 0:2 1:1");
}

#[test]
fn topics_with_equally_many_partitions_meet_at_the_same_members() {
    let group = topics(&[7, 7, 7]).member("a", &[0, 1, 2]).member("b", &[0, 1, 2]).member("c", &[0, 1, 2]);
    range(&group, "a 0:0-2 1:0-2 2:0-2, b 0:3-4 1:3-4 2:3-4, c 0:5-6 1:5-6 2:5-6");
}

#[test]
fn a_topic_is_cut_among_its_subscribers_only() {
    let group = topics(&[3, 3, 2]).member("a", &[0, 1]).member("b", &[2]).member("c", &[1, 2]);
    range(&group, "a 0:0-2 1:0-1, b 2:0, c 1:2 2:1");
}

#[test]
fn with_more_members_than_partitions_the_last_ones_get_none() {
    let group = topics(&[2, 1]).member("a", &[0, 1]).member("b", &[0, 1]).member("c", &[0, 1]);
    range(&group, "a 0:0 1:0, b 0:1, c");
}

#[test]
fn what_members_have_does_not_matter() {
    let group = topics(&[2, 2]).member("a", &[0, 1]).member("b", &[0, 1]);
    range(&group.having("a 0:1 1:1, b 0:0 1:0"), "a 0:0 1:0, b 0:1 1:1");
}

#[test]
fn a_new_partition_moves_the_cut() {
    let group = topics(&[4, 3]).member("a", &[0, 1]).member("b", &[0, 1]).having("a 0:0-1 1:0-1, b 0:2 1:2");
    range(&group, "a 0:0-1 1:0-1, b 0:2-3 1:2");
}

#[test]
fn a_member_that_leaves_has_its_run_cut_among_the_others() {
    let group = topics(&[3, 3]).member("a", &[0, 1]).member("b", &[0, 1]).member("c", &[0, 1]);
    range(&group, "a 0:0 1:0, b 0:1 1:1, c 0:2 1:2");
    range(&group.without("a"), "b 0:0-1 1:0-1, c 0:2 1:2");
}

#[test]
fn static_members_come_first_by_their_instance_ids() {
    let group = topics(&[5]).member("a", &[0]).statically("z", "b", &[0]).statically("y", "c", &[0]);
    range(&group, "c 0:0-1, b 0:2-3, a 0:4");
}

#[test]
fn a_static_member_that_comes_back_with_another_id_has_what_it_had() {
    let members = |id| topics(&[5]).statically("1", "m", &[0]).statically("2", id, &[0]).member("n", &[0]);
    range(&members("a"), "m 0:0-1, a 0:2-3, n 0:4");
    range(&members("x"), "m 0:0-1, x 0:2-3, n 0:4");
}

#[test]
fn ids_are_ordered_as_java_orders_strings() {
    // U+1F600 begins with the unit D83D and comes before U+FFFD, though its code point is larger.
    let group = topics(&[2]).member("\u{FFFD}", &[0]).member("\u{1F600}", &[0]);
    range(&group, "\u{1F600} 0:0, \u{FFFD} 0:1");
}
