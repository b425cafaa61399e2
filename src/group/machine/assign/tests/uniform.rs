//! `UniformAssignor`, members subscribed to the same topics and to different ones.

use super::{Assignor, Group, becomes, is_valid, loads, moves, owners, topics};

#[track_caller]
fn uniform(group: &Group, expected: &str) {
    becomes(Assignor::Uniform, group, expected);
}

fn both(id: &str, other: &str, partitions: &[usize]) -> Group {
    topics(partitions).member(id, &[0, 1]).member(other, &[0, 1])
}

#[test]
fn a_new_group_is_filled_member_by_member() {
    uniform(&both("a", "b", &[3, 2]), "a 0:0-1, b 0:2 1:0-1");
    uniform(&both("a", "b", &[3, 3]), "a 0:0-2, b 1:0-2");
}

#[test]
fn with_more_members_than_partitions_some_get_none() {
    uniform(&both("a", "b", &[1, 1]).member("c", &[0, 1]), "a, b 0:0, c 1:0");
}

#[test]
fn a_balanced_group_is_left_alone() {
    let have = "a 0:0+2 1:1, b 0:1 1:0+2";
    uniform(&both("a", "b", &[3, 3]).having(have), have);
}

#[test]
fn who_has_the_larger_share_keeps_it() {
    let have = "a 0:1 1:1, b 0:0+2 1:0";
    uniform(&both("a", "b", &[3, 2]).having(have), have);
}

#[test]
fn what_is_over_a_fair_share_moves_and_nothing_else() {
    uniform(&both("a", "b", &[3, 3]).having("a 0:0-2 1:0-1, b 1:2"), "a 0:0-2, b 1:0-2");
}

#[test]
fn new_partitions_go_to_who_is_short_of_them() {
    uniform(&both("a", "b", &[5, 5]).having("a 0:0+2 1:0, b 0:1 1:1-2"), "a 0:0+2-4 1:0, b 0:1 1:1-4");
}

#[test]
fn a_member_that_joins_takes_from_who_has_too_much() {
    uniform(
        &both("a", "b", &[3, 3]).member("c", &[0, 1]).having("a 0:0+2 1:0, b 0:1 1:1-2"),
        "a 0:0+2, b 0:1 1:1, c 1:0+2",
    );
}

#[test]
fn a_member_that_leaves_has_its_partitions_shared_out() {
    let group = both("a", "b", &[3, 3]).having("a 0:0 1:0, b 0:1 1:1");
    uniform(&group, "a 0:0+2 1:0, b 0:1 1:1-2");
}

#[test]
fn a_topic_that_nobody_wants_any_more_is_given_up() {
    let group = topics(&[2, 2]).member("a", &[1]).member("b", &[1]).having("a 0:0-1 1:0, b 0:1 1:1");
    uniform(&group, "a 1:0, b 1:1");
}

#[test]
fn different_subscriptions_are_balanced_over_all_topics() {
    let group = topics(&[3, 6]).member("a", &[0, 1]).member("b", &[1]);
    uniform(&group, "a 0:0-2 1:4, b 1:0-3+5");
    let group = topics(&[2, 3]).member("a", &[0, 1]).member("b", &[1]).member("c", &[0]);
    let target = Assignor::Uniform.assign(&group);
    is_valid(&group, &target);
    assert_eq!(loads(&target), [2, 1, 2]);
}

#[test]
fn different_subscriptions_with_more_members_than_partitions_leave_some_without() {
    let group = topics(&[1, 1]).member("a", &[0]).member("b", &[0, 1]).member("c", &[1]);
    uniform(&group, "a 0:0, b 1:0, c");
}

#[test]
fn a_member_without_topics_gets_none_of_what_others_are_subscribed_to() {
    uniform(&topics(&[2]).member("a", &[0]).member("b", &[]), "a 0:0-1, b");
}

#[test]
fn partitions_of_a_topic_that_a_member_dropped_go_to_its_other_subscribers() {
    let group = topics(&[4, 3]).member("a", &[0]).member("b", &[0, 1]).having("a 0:0+2 1:0+2, b 0:1+3 1:1");
    uniform(&group, "a 0:0+2-3, b 0:1 1:0-2");
}

#[test]
fn an_unbalanced_group_with_different_subscriptions_is_balanced_with_the_fewest_moves() {
    let group = topics(&[4, 5, 1]).member("a", &[0, 1, 2]).member("b", &[0, 1]).having("a 0:0-3 1:0-4 2:0, b");
    let target = Assignor::Uniform.assign(&group);
    is_valid(&group, &target);
    assert_eq!(loads(&target), [5, 5]);
    let before = group.members.iter().map(|(id, member)| (id.clone(), member.current.clone())).collect();
    assert_eq!(moves(&before, &target), 5);
}

#[test]
fn balance_reaches_as_far_as_one_topic_at_a_time_can_see() {
    // a could have one more if b gave one of topic 0 and took one of topic 1 from c: no single topic is uneven by two.
    let group = topics(&[19, 11])
        .member("a", &[0])
        .member("b", &[0, 1])
        .member("c", &[1])
        .having("a 0:0-8, b 0:9-18, c 1:0-10");
    let target = Assignor::Uniform.assign(&group);
    assert_eq!(loads(&target), [9, 10, 11]);
}

#[test]
fn members_that_have_nothing_of_a_topic_are_passed_over_when_it_is_evened_out() {
    // d and e are the heaviest subscribers of topic 0 and have nothing of it to give.
    let group = topics(&[4, 8, 8])
        .member("a", &[0])
        .member("b", &[0])
        .member("d", &[0, 1])
        .member("e", &[0, 2])
        .having("a 0:0-3, b, d 1:0-7, e 2:0-7");
    let target = Assignor::Uniform.assign(&group);
    is_valid(&group, &target);
    assert_eq!(loads(&target), [2, 2, 8, 8]);
    assert_eq!(owners(&target).len(), 20);
}
