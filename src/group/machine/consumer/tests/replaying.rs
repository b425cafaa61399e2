//! Records in orders and shapes that no group of ours writes.

use super::bed::*;
use crate::group::record::Record;
use crate::model::{GroupEpoch, InstanceId};

#[test]
fn removals_of_what_is_not_there_make_nothing() {
    let mut bed = Bed::new();
    for record in gone("a") {
        bed.h.replay(&record);
    }
    bed.h.replay(&Record::Target { group: g(), value: None });
    bed.h.replay(&Record::Group { group: g(), value: None });
    bed.h.replay(&Record::Regex { group: g(), regex: "x".into(), value: None });
    bed.h.replay(&Record::PartitionMetadata { group: g(), present: false });
    assert!(bed.h.groups.groups.is_empty());
}

#[test]
fn the_removal_of_a_group_that_has_members_is_passed_over() {
    let mut bed = Bed::new();
    bed.join("a", &[]).unwrap();
    bed.h.replay(&Record::Group { group: g(), value: None });
    assert!(bed.has("a"));
}

#[test]
fn a_member_may_be_known_by_what_it_has_before_what_it_said() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 1);
    bed.h.replay(&current_record("a", 7, 6, at(&[(foo, &[(0, 7)])])));
    bed.h.replay(&targets_record(7, bed.now()));
    bed.h.replay(&epoch_record(7, 0));
    bed.h.replay(&member_record("a", about(&["foo"])));
    assert_eq!((bed.state(), bed.group().epoch), ("Stable", GroupEpoch(7)));
    assert!(bed.group().is_owned(foo, crate::model::PartitionId(0)));
}

#[test]
fn a_partition_that_two_have_stays_with_the_later_epoch() {
    let mut bed = Bed::new();
    let foo = bed.h.topic("foo", 1);
    bed.h.replay(&current_record("a", 5, 4, at(&[(foo, &[(0, 5)])])));
    bed.h.replay(&current_record("b", 7, 6, at(&[(foo, &[(0, 7)])])));
    bed.h.replay(&current_record("a", 8, 5, Default::default()));
    assert!(bed.group().is_owned(foo, crate::model::PartitionId(0)));
}

#[test]
fn a_consumer_group_takes_the_place_of_a_group_that_only_kept_offsets() {
    let mut bed = Bed::new();
    let offset = crate::group::record::OffsetValue {
        offset: crate::model::Offset(1),
        leader_epoch: crate::model::LeaderEpoch(0),
        metadata: String::new(),
        committed_at: bed.now(),
        expires_at: crate::model::TimestampMs(-1),
        topic_id: crate::model::TopicId::ZERO,
    };
    let partition = crate::model::PartitionId(0);
    bed.h.replay(&Record::Offset { group: g(), topic: "foo".into(), partition, value: Some(offset) });
    bed.h.replay(&Record::Group { group: g(), value: None });
    bed.h.replay(&member_record("a", about(&[])));
    assert!(bed.has("a"));
}

#[test]
fn a_static_member_is_found_by_its_instance_after_a_replay() {
    let mut bed = Bed::new();
    bed.join_static("a", "i", &[]).unwrap();
    bed.h = bed.h.replayed();
    assert_eq!(bed.group().static_members.get(&InstanceId::new("i")), Some(&m("a")));
}
