//! Subscriptions by regular expression.

use super::bed::*;
use crate::group::record::{Record, RegexValue};
use crate::group::request::Assignment;
use crate::model::{ErrorCode, GroupEpoch, TopicName};

fn resolved(bed: &Bed, regex: &str, topics: &[&str]) -> Record {
    let topics = topics.iter().map(|topic| TopicName::new(topic)).collect();
    let value = RegexValue { topics, version: bed.image_offset().0, at: bed.now() };
    Record::Regex { group: g(), regex: regex.into(), value: Some(value) }
}

fn dropped(regex: &str) -> Record {
    Record::Regex { group: g(), regex: regex.into(), value: None }
}

#[test]
fn a_new_expression_is_resolved_and_assigned_at_the_next_heartbeat() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo-1", 1);
    bed.h.topic("bar", 1);
    bed.h.topic("xfoo-1", 1);
    let answer = bed.beat("a", 0, joining_by("foo.*")).unwrap();
    assert_eq!((answer.epoch, answer.assignment), (GroupEpoch(1), Some(Assignment::new())));
    let mut about = about(&[]);
    about.regex = Some("foo.*".into());
    let hash = bed.hash();
    assert_eq!(
        bed.h.written(),
        [
            member_record("a", about),
            current_record("a", 1, 0, Default::default()),
            resolved(&bed, "foo.*", &["foo-1"]),
            epoch_record(2, hash),
        ]
    );
    assert_eq!(bed.state(), "Assigning");
    let answer = bed.beat("a", 1, |_| {}).unwrap();
    assert_eq!((answer.epoch, answer.assignment), (GroupEpoch(2), Some(of(foo, &[0]))));
    bed.check_replay();
}

#[test]
fn an_expression_that_others_have_is_not_resolved_again() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 2);
    bed.beat("a", 0, joining_by("foo")).unwrap();
    bed.beat("a", 1, |_| {}).unwrap();
    bed.h.written();
    let answer = bed.beat("b", 0, joining_by("foo")).unwrap();
    assert_eq!(answer.epoch, GroupEpoch(3));
    assert!(!bed.h.written().iter().any(|record| matches!(record, Record::Regex { .. })));
    assert_eq!(bed.report("a", 2, &of(foo, &[0, 1])).unwrap().assignment, Some(of(foo, &[0])));
    bed.check_replay();
}

#[test]
fn the_last_member_takes_its_expression_with_it() {
    for leaves in [true, false] {
        let mut bed = Bed::new();
        bed.h.topic("foo", 2);
        bed.beat("a", 0, joining_by("foo")).unwrap();
        bed.beat("a", 1, |_| {}).unwrap();
        bed.beat("b", 0, joining_by("foo")).unwrap();
        bed.h.written();
        bed.beat("b", -1, |_| {}).unwrap();
        assert!(!bed.h.written().contains(&dropped("foo")));
        if leaves {
            bed.beat("a", -1, |_| {}).unwrap();
        } else {
            bed.beat("a", 2, |beat| beat.regex = Some(String::new())).unwrap();
        }
        assert!(bed.h.written().contains(&dropped("foo")));
        assert_eq!(bed.hash(), 0);
        assert!(bed.group().resolved.is_empty() && bed.h.groups.consumers.by_topic.is_empty());
        bed.check_replay();
    }
}

#[test]
fn a_member_that_drops_its_expression_gives_its_topics_up() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 1);
    bed.beat("a", 0, joining_by("foo")).unwrap();
    bed.beat("a", 1, |_| {}).unwrap();
    let answer = bed.beat("a", 2, |beat| {
        beat.regex = Some(String::new());
        beat.owned = Some(of(foo, &[0]));
    });
    assert_eq!(answer.unwrap().assignment, Some(Assignment::new()));
    assert_eq!(bed.report("a", 2, &Assignment::new()).unwrap().epoch, GroupEpoch(3));
    bed.check_replay();
}

#[test]
fn names_and_an_expression_add_up() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 1);
    let bar = bed.h.topic("bar", 1);
    let both = |beat: &mut crate::group::request::ConsumerHeartbeat| {
        joining(&["bar"])(beat);
        beat.regex = Some("foo|bar".into());
    };
    bed.beat("a", 0, both).unwrap();
    let answer = bed.beat("a", 2, |_| {}).unwrap();
    assert_eq!(answer.assignment, Some(owned(&[(foo, &[0]), (bar, &[0])])));
    bed.check_replay();
}

#[test]
fn an_expression_that_cannot_be_read_is_refused() {
    let mut bed = Bed::new();
    let message = "SubscribedTopicRegex `(` is not a valid regular expression: unclosed group.";
    assert_eq!(bed.beat("a", 0, joining_by("(")), refused(ErrorCode::INVALID_REGULAR_EXPRESSION, message));
    assert_eq!(bed.h.written(), []);
    assert!(bed.h.groups.groups.is_empty());
}

#[test]
fn a_topic_that_comes_is_found_ten_seconds_after_the_last_look() {
    let mut bed = Bed::new();
    bed.h.topic("foo-1", 1);
    bed.beat("a", 0, joining_by("foo.*")).unwrap();
    bed.beat("a", 1, |_| {}).unwrap();
    let two = bed.h.topic("foo-2", 1);
    bed.h.written();
    bed.h.pass(10_000);
    bed.beat("a", 2, |_| {}).unwrap();
    assert_eq!(bed.h.written(), []);
    bed.h.pass(1);
    bed.beat("a", 2, |_| {}).unwrap();
    let hash = bed.hash();
    assert_eq!(bed.h.written(), [resolved(&bed, "foo.*", &["foo-1", "foo-2"]), epoch_record(3, hash)]);
    let answer = bed.beat("a", 2, |_| {}).unwrap();
    assert_eq!(answer.assignment.unwrap().get(&two).map(Vec::len), Some(1));
    bed.check_replay();
}

#[test]
fn a_topic_that_goes_is_given_up_at_once_and_forgotten_at_the_next_look() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 1);
    bed.beat("a", 0, joining_by("foo")).unwrap();
    bed.beat("a", 1, |_| {}).unwrap();
    bed.h.delete_topic("foo");
    let answer = bed.report("a", 2, &of(foo, &[0])).unwrap();
    assert_eq!(answer.assignment, Some(Assignment::new()));
    assert_eq!(bed.report("a", 2, &Assignment::new()).unwrap().epoch, GroupEpoch(3));
    // Deletions alone are no reason to look.
    bed.h.written();
    bed.h.pass(20_000);
    bed.beat("a", 3, |_| {}).unwrap();
    assert_eq!(bed.h.written(), []);
    bed.h.topic("other", 1);
    bed.beat("a", 3, |_| {}).unwrap();
    let hash = bed.hash();
    assert_eq!(bed.h.written(), [resolved(&bed, "foo", &[]), epoch_record(4, hash)]);
}

#[test]
fn expressions_are_looked_at_when_it_is_long_ago() {
    let mut bed = Bed::new();
    bed.h.topic("foo", 1);
    bed.beat("a", 0, joining_by("foo")).unwrap();
    bed.beat("a", 1, |_| {}).unwrap();
    for _ in 0..20 {
        bed.h.pass(30_000);
        bed.h.written();
        bed.beat("a", 2, |_| {}).unwrap();
    }
    // 600 seconds are the interval, not more than it.
    assert_eq!(bed.h.written(), []);
    bed.h.pass(1);
    bed.beat("a", 2, |_| {}).unwrap();
    assert_eq!(bed.h.written(), [resolved(&bed, "foo", &["foo"])]);
}

#[test]
fn a_second_new_expression_waits_ten_seconds() {
    let mut bed = Bed::new();
    bed.h.topic("foo", 1);
    bed.h.topic("bar", 1);
    bed.beat("a", 0, joining_by("foo")).unwrap();
    bed.beat("b", 0, joining_by("bar")).unwrap();
    assert_eq!(bed.group().resolved.len(), 1);
    bed.h.pass(10_001);
    bed.beat("a", 1, |_| {}).unwrap();
    assert_eq!(bed.group().resolved.len(), 2);
    bed.check_replay();
}

#[test]
fn internal_topics_match_as_in_kafka() {
    let mut bed = Bed::new();
    bed.beat("a", 0, joining_by(".*")).unwrap();
    assert_eq!(bed.group().resolved.get(".*").unwrap().topics, [TopicName::new(TopicName::CONSUMER_OFFSETS)]);
}
