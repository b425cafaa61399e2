//! Share groups' records as Kafka's own classes wrote them.

#![allow(clippy::unwrap_used)]

use super::super::Record;
use super::super::tests::{TOPIC, bytes, hex};
use super::*;
use crate::model::TimestampMs;

fn golden() -> Vec<(&'static str, &'static str, ShareRecord)> {
    let member = |rack: Option<&str>, topics: &[&str]| ShareRecord::Member {
        member: "m".into(),
        value: Some(ShareMemberValue {
            rack: rack.map(str::to_owned),
            client_id: "c".into(),
            client_host: "/h".into(),
            topics: topics.iter().map(|topic| TopicName::new(topic)).collect(),
        }),
    };
    let target = |at| ShareRecord::Target(Some(TargetValue { epoch: GroupEpoch(9), assigned_at: TimestampMs(at) }));
    let assigned = Assignment::from([(TOPIC, vec![PartitionId(0), PartitionId(2)])]);
    let current = ShareCurrentValue {
        epoch: GroupEpoch(9),
        previous_epoch: GroupEpoch(8),
        state: MemberState::Stable,
        assigned: assigned.clone(),
    };
    let shared = |partitions: &[i32]| {
        let partitions = partitions.iter().copied().map(PartitionId).collect();
        BTreeMap::from([(TOPIC, SharedTopic { name: "t".into(), partitions })])
    };
    let states = ShareStatesValue {
        initializing: shared(&[2]),
        initialized: shared(&[0, 1]),
        deleting: BTreeMap::from([(TOPIC, "t".into())]),
    };
    vec![
        ("000a00016700016d", "0000000263032f68030261026200", member(None, &["a", "b"])),
        ("000a00016700016d", "000002720263032f6802026100", member(Some("r"), &["a"])),
        (
            "000b000167",
            "000000000009000000000000000700",
            ShareRecord::Group(Some(GroupValue { epoch: GroupEpoch(9), metadata_hash: 7 })),
        ),
        ("000c000167", "00000000000900", target(0)),
        ("000c000167", "00000000000901000800000000000003e8", target(1000)),
        (
            "000d00016700016d",
            "0000020102030405060708090a0b0c0d0e0f100300000000000000020000",
            ShareRecord::TargetMember { member: "m".into(), value: Some(assigned) },
        ),
        (
            "000e00016700016d",
            "0000000000090000000800020102030405060708090a0b0c0d0e0f100300000000000000020000",
            ShareRecord::Current { member: "m".into(), value: Some(current) },
        ),
        (
            "000f000167",
            "0000020102030405060708090a0b0c0d0e0f100274020000000200020102030405060708090a0b0c0d0e0f1002740300000000\
             0000000100020102030405060708090a0b0c0d0e0f1002740000",
            ShareRecord::States(Some(states)),
        ),
    ]
}

#[test]
fn records_are_read_and_written_to_the_byte_as_kafka_writes_them() {
    for (key, value, of) in golden() {
        let record = Record::Share { group: "g".into(), of };
        let written = record.encode();
        assert_eq!((hex(&written.key), hex(&written.value.unwrap())), (key.to_owned(), value.to_owned()), "{record:?}");
        assert_eq!(Record::decode(&bytes(key), Some(&bytes(value))), Ok(Some(record)));
    }
}

#[test]
fn a_record_without_a_value_is_a_tombstone_of_its_key() {
    for (key, ..) in golden() {
        let tombstone = Record::decode(&bytes(key), None).unwrap().unwrap();
        assert!(matches!(&tombstone, Record::Share { of, .. } if !of.is_present()));
        assert_eq!((hex(&tombstone.encode().key), tombstone.encode().value), (key.to_owned(), None));
    }
}

#[test]
fn a_record_that_is_cut_short_or_of_a_newer_version_is_refused() {
    for (key, value, _) in golden() {
        let (key, value) = (bytes(key), bytes(value));
        for cut in 0..value.len() {
            assert!(Record::decode(&key, Some(&value[..cut])).is_err(), "{cut} of {}", hex(&value));
        }
        let newer = [&[0, 1], &value[2..]].concat();
        assert!(Record::decode(&key, Some(&newer)).is_err());
    }
}
