#![allow(clippy::unwrap_used)]
//! The bytes were written by Kafka 4.3.1's `ShareCoordinatorRecordSerde`.

use super::*;
use crate::model::Delivery::{Acknowledged, Archived, Available};
use crate::record::testing::Chance;
use uuid::Uuid;

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

const SNAPSHOT_KEY: &str = "00000001670102030405060708090a0b0c0d0e0f1000000005";
const UPDATE_KEY: &str = "00010001670102030405060708090a0b0c0d0e0f1000000005";
const FULL: &str = "000000000007000000030000000200000000000000640000018bcfe568000000018bcfe56801040000000000000064000000000000\
                    0068020001000000000000000069000000000000006900000300000000000000006b000000000000012c0400050001000400\
                    0000c7";
const EMPTY_KEY: &str = "000000096772757070653ac3a40102030405060708090a0b0c0d0e0f1000000000";
const EMPTY: &str = "0000000000000000000000000000ffffffffffffffff0000018bcfe568000000018bcfe568000100";
const UPDATE: &str = "0000000000070000000200000000000000640400000000000000640000000000000068020001000000000000000069000000000000\
                      006900000300000000000000006b000000000000012c04000500010004000000c7";
const UPDATE_EMPTY: &str = "00000000000000000000ffffffffffffffff0100";

fn key(group: &str, partition: i32) -> Key {
    let topic = TopicId(Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10));
    Key { group: GroupId::new(group), at: SharedPartition { topic, partition: PartitionId(partition) } }
}

fn batches() -> Vec<StateBatch> {
    let batch = |first, last, delivery, delivery_count| StateBatch {
        first: Offset(first),
        last: Offset(last),
        delivery,
        delivery_count,
    };
    vec![batch(100, 104, Acknowledged, 1), batch(105, 105, Available, 3), batch(107, 300, Archived, 5)]
}

fn full() -> Record {
    let snapshot = Snapshot {
        snapshot_epoch: 7,
        state_epoch: StateEpoch(3),
        leader_epoch: 2,
        start_offset: Some(Offset(100)),
        delivery_complete_count: 199,
        created: TimestampMs(1_700_000_000_000),
        written: TimestampMs(1_700_000_000_001),
        batches: batches(),
    };
    Record::Snapshot(key("g", 5), Some(snapshot))
}

fn empty() -> Record {
    let snapshot = Snapshot {
        snapshot_epoch: 0,
        state_epoch: StateEpoch(0),
        leader_epoch: 0,
        start_offset: None,
        delivery_complete_count: UNKNOWN_COUNT,
        created: TimestampMs(1_700_000_000_000),
        written: TimestampMs(1_700_000_000_000),
        batches: Vec::new(),
    };
    Record::Snapshot(key("gruppe:ä", 0), Some(snapshot))
}

fn update() -> Record {
    let update = Update {
        snapshot_epoch: 7,
        leader_epoch: 2,
        start_offset: Some(Offset(100)),
        delivery_complete_count: 199,
        batches: batches(),
    };
    Record::Update(key("g", 5), update)
}

fn update_of_nothing() -> Record {
    let update = Update {
        snapshot_epoch: 0,
        leader_epoch: 0,
        start_offset: None,
        delivery_complete_count: UNKNOWN_COUNT,
        batches: Vec::new(),
    };
    Record::Update(key("g", 5), update)
}

fn cases() -> [(Record, &'static str, Option<&'static str>); 5] {
    [
        (full(), SNAPSHOT_KEY, Some(FULL)),
        (empty(), EMPTY_KEY, Some(EMPTY)),
        (update(), UPDATE_KEY, Some(UPDATE)),
        (update_of_nothing(), UPDATE_KEY, Some(UPDATE_EMPTY)),
        (Record::Snapshot(key("g", 5), None), SNAPSHOT_KEY, None),
    ]
}

#[test]
fn records_are_written_as_kafka_writes_them_and_what_kafka_wrote_is_read() {
    for (record, key, value) in cases() {
        let kafkas = Written { key: unhex(key), value: value.map(unhex) };
        assert_eq!(record.encode(), kafkas, "{record:?}");
        assert_eq!(Record::decode(&kafkas.key, kafkas.value.as_deref()), Ok(record));
    }
}

#[test]
fn a_record_of_another_type_or_version_is_refused() {
    let mut key = unhex(SNAPSHOT_KEY);
    key[1] = 2;
    assert!(Record::decode(&key, Some(&unhex(FULL))).is_err());
    let mut value = unhex(FULL);
    value[1] = 1;
    assert!(Record::decode(&unhex(SNAPSHOT_KEY), Some(&value)).is_err());
    assert!(Record::decode(&unhex(UPDATE_KEY), None).is_err());
}

#[test]
fn a_batch_that_cannot_be_is_refused() {
    let at = 2 + 4 + 4 + 8 + 1;
    for (byte, wrong) in [(at + 16, 1), (at + 16, 9), (at, 0x80), (at + 8 + 7, 0)] {
        let mut value = unhex(UPDATE);
        value[byte] = wrong;
        assert!(Record::decode(&unhex(UPDATE_KEY), Some(&value)).is_err(), "{byte} {wrong}");
    }
}

#[test]
fn a_record_that_is_cut_short_is_refused_wherever_it_is_cut() {
    for (_, key, value) in cases() {
        let (key, value) = (unhex(key), value.map(unhex));
        for length in 0..key.len() {
            assert!(Record::decode(&key[..length], value.as_deref()).is_err(), "{length}");
        }
        let value = value.unwrap_or_default();
        for length in 0..value.len() {
            assert!(Record::decode(&key, Some(&value[..length])).is_err(), "{length}");
        }
    }
}

#[test]
fn damaged_bytes_are_refused_or_read_but_nothing_breaks() {
    let mut chance = Chance::new(5);
    for _ in 0..2000 {
        let mut value = unhex(FULL);
        chance.damage(&mut value);
        let _ = Record::decode(&unhex(SNAPSHOT_KEY), Some(&value));
        let _ = Record::decode(&unhex(UPDATE_KEY), Some(&value));
        let mut key = unhex(UPDATE_KEY);
        chance.damage(&mut key);
        let _ = Record::decode(&key, Some(&unhex(UPDATE)));
    }
}
