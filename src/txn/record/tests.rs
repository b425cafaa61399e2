#![allow(clippy::unwrap_used)]
//! Bytes marked "Kafka's" were written by Kafka 4.3.1's `TransactionLog` and `TransactionLogValue`.

use super::*;
use crate::record::testing::Chance;

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

const KEY: &str = "000000066d792d74786e";
const EMPTY_V0: &str = "00000000000000000fa000000000ea6000ffffffff0000018bcfe56800ffffffffffffffff";
const EMPTY_V1: &str = "00010000000000000fa000000000ea6000000000018bcfe56800ffffffffffffffff0100080000000000000fa0";
const ONGOING_V0: &str = "00000000000000000fa000050000ea6001000000020001740000000200000000000000070001750000000100000003\
                          0000018bcfe568010000018bcfe56800";
const ONGOING_V1: &str = "00010000000000000fa000050000ea60010302740300000000000000070002750200000003000000018bcfe56801000\
                          0018bcfe568000300080000000000000fa00108000000000000138802020002";
const COMPLETE_V1: &str = "00010000000000000fa000060000ea6004010000018bcfe568020000018bcfe568000200080000000000000fa0020\
                           20002";
/// With `NextProducerEpoch`, which Kafka's schema has and its broker does not write yet.
const NEXT_EPOCH_V1: &str =
    "00010000000000000001000000000001040100000000000000090000000000000008020008000000000000000003020006";

fn value(state: State) -> Value {
    Value {
        producer: ProducerId(4000),
        previous: ProducerId(4000),
        next: ProducerId::NONE,
        epoch: ProducerEpoch(0),
        timeout_ms: 60_000,
        state,
        partitions: Partitions::new(),
        updated: TimestampMs(1_700_000_000_000),
        started: TimestampMs::NONE,
        version: 0,
    }
}

fn ongoing() -> Value {
    Value {
        next: ProducerId(5000),
        epoch: ProducerEpoch(5),
        partitions: [
            (TopicName::new("t"), [PartitionId(0), PartitionId(7)].into()),
            (TopicName::new("u"), [PartitionId(3)].into()),
        ]
        .into(),
        updated: TimestampMs(1_700_000_000_001),
        started: TimestampMs(1_700_000_000_000),
        version: 2,
        ..value(State::Ongoing)
    }
}

fn complete() -> Value {
    Value {
        epoch: ProducerEpoch(6),
        updated: TimestampMs(1_700_000_000_002),
        started: TimestampMs(1_700_000_000_000),
        version: 2,
        ..value(State::CompleteCommit)
    }
}

fn record(value: Value) -> Record {
    Record { id: TransactionalId::new("my-txn"), value: Some(value) }
}

#[test]
fn records_are_written_as_kafka_writes_them() {
    let cases = [
        (value(State::Empty), 0, EMPTY_V0),
        (value(State::Empty), 1, EMPTY_V1),
        (value(State::Empty), 2, EMPTY_V1),
        (ongoing(), 0, ONGOING_V0),
        (ongoing(), 2, ONGOING_V1),
        (complete(), 2, COMPLETE_V1),
    ];
    for (value, version, kafkas) in cases {
        let written = record(value.clone()).encode(version);
        assert_eq!(written, Written { key: unhex(KEY), value: Some(unhex(kafkas)) }, "{value:?}");
    }
}

#[test]
fn what_kafka_wrote_is_read() {
    let read = |hex: &str| Record::decode(&unhex(KEY), Some(&unhex(hex))).unwrap();
    assert_eq!(read(EMPTY_V1), record(value(State::Empty)));
    assert_eq!(read(ONGOING_V1), record(ongoing()));
    assert_eq!(read(COMPLETE_V1), record(complete()));
    let bare = |value| Value { previous: ProducerId::NONE, next: ProducerId::NONE, version: 0, ..value };
    assert_eq!(read(EMPTY_V0), record(bare(value(State::Empty))));
    assert_eq!(read(ONGOING_V0), record(bare(ongoing())));
    let with_next_epoch = read(NEXT_EPOCH_V1).value.unwrap();
    assert_eq!((with_next_epoch.previous, with_next_epoch.state), (ProducerId(0), State::CompleteCommit));
}

#[test]
fn a_tombstone_has_no_value() {
    let tombstone = Record { id: TransactionalId::new("my-txn"), value: None };
    assert_eq!(tombstone.encode(2), Written { key: unhex(KEY), value: None });
    assert_eq!(Record::decode(&unhex(KEY), None), Ok(tombstone));
}

#[test]
fn a_record_of_another_type_version_or_state_is_refused() {
    let bytes = unhex(ONGOING_V1);
    let with = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        Record::decode(&unhex(KEY), Some(&bytes))
    };
    assert!(Record::decode(&unhex("0001000161"), None).is_err());
    assert!(with(1, 2).is_err());
    // Of the states that Kafka knows and never writes.
    assert!(with(16, 6).is_err() && with(16, 7).is_err() && with(16, 0xff).is_err());
    // No list of partitions.
    assert!(with(17, 0).is_err());
}

#[test]
fn a_record_that_ends_too_soon_is_refused() {
    for hex in [EMPTY_V0, EMPTY_V1, ONGOING_V0, ONGOING_V1, COMPLETE_V1] {
        let bytes = unhex(hex);
        for end in 0..bytes.len() {
            assert!(Record::decode(&unhex(KEY), Some(&bytes[..end])).is_err(), "{end} bytes of {hex}");
        }
    }
    for end in 0..KEY.len() / 2 {
        assert!(Record::decode(&unhex(KEY)[..end], None).is_err());
    }
}

#[test]
fn whatever_the_bytes_are_reading_them_is_safe_and_what_is_read_is_written_again() {
    let mut chance = Chance::new(1);
    for round in 0..20_000 {
        let mut bytes = unhex([EMPTY_V0, EMPTY_V1, ONGOING_V0, ONGOING_V1][round % 4]);
        chance.damage(&mut bytes);
        if let Ok(read) = Record::decode(&unhex(KEY), Some(&bytes)) {
            let again = read.encode(2);
            assert_eq!(Record::decode(&again.key, again.value.as_deref()), Ok(read));
        }
    }
}
