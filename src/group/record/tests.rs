#![allow(clippy::unwrap_used)]

use super::*;
use crate::coordinator::Written;
use crate::record::testing::Chance;
use uuid::Uuid;

pub(super) const TOPIC: TopicId = TopicId(Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10));

pub(super) fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn offset(leader_epoch: i32, expires_at: i64, topic_id: TopicId) -> Record {
    Record::Offset {
        group: "g".into(),
        topic: "t".into(),
        partition: PartitionId(7),
        value: Some(OffsetValue {
            offset: Offset(42),
            leader_epoch: LeaderEpoch(leader_epoch),
            metadata: "md".into(),
            committed_at: TimestampMs(1000),
            expires_at: TimestampMs(expires_at),
            topic_id,
        }),
    }
}

fn classic(rebalance_timeout_ms: i32, state_since: i64, instance: Option<&str>) -> Record {
    let member = ClassicMemberValue {
        member: "m".into(),
        instance: instance.map(InstanceId::new),
        client_id: "c".into(),
        client_host: "/h".into(),
        rebalance_timeout_ms,
        session_timeout_ms: 30,
        subscription: Bytes::from_static(&[1, 2]),
        assignment: Bytes::from_static(&[3]),
    };
    Record::ClassicGroup {
        group: "g".into(),
        value: Some(ClassicGroupValue {
            protocol_type: "consumer".into(),
            generation: Generation(3),
            protocol: Some("range".into()),
            leader: Some("m".into()),
            state_since: TimestampMs(state_since),
            members: vec![member],
        }),
    }
}

fn member(full: bool) -> Record {
    Record::Member {
        group: "g".into(),
        member: "m".into(),
        value: Some(MemberValue {
            instance: full.then(|| "i".into()),
            rack: full.then(|| "r".into()),
            client_id: "c".into(),
            client_host: "/h".into(),
            topics: if full { vec!["a".into()] } else { vec!["a".into(), "b".into()] },
            regex: full.then(|| "x.*".into()),
            rebalance_timeout_ms: 60,
            assignor: full.then(|| "uniform".into()),
            classic: full.then(|| ClassicValue {
                session_timeout_ms: 30,
                protocols: vec![("range".into(), Bytes::from_static(&[1, 2]))],
            }),
        }),
    }
}

fn current(state: MemberState, epochs: [i32; 2], revoking: &[(i32, i32)]) -> Record {
    let with = |pairs: &[(i32, i32)]| -> WithEpochs {
        let partitions: BTreeMap<_, _> = pairs.iter().map(|(p, e)| (PartitionId(*p), GroupEpoch(*e))).collect();
        if partitions.is_empty() { BTreeMap::new() } else { BTreeMap::from([(TOPIC, partitions)]) }
    };
    Record::Current {
        group: "g".into(),
        member: "m".into(),
        value: Some(CurrentValue {
            epoch: GroupEpoch(9),
            previous_epoch: GroupEpoch(8),
            state,
            assigned: with(&[(0, epochs[0]), (2, epochs[1])]),
            pending_revocation: with(revoking),
        }),
    }
}

/// Key, value, and the record that they are, as Kafka's own classes wrote them; whether we write it the same.
fn golden() -> Vec<(&'static str, &'static str, Record, bool)> {
    let group = |hash| Record::Group {
        group: "g".into(),
        value: Some(GroupValue { epoch: GroupEpoch(9), metadata_hash: hash }),
    };
    let target = |at| Record::Target {
        group: "g".into(),
        value: Some(TargetValue { epoch: GroupEpoch(9), assigned_at: TimestampMs(at) }),
    };
    let targets = BTreeMap::from([(TOPIC, vec![PartitionId(0), PartitionId(2)])]);
    let zero = TopicId::ZERO;
    vec![
        ("000000016700017400000007", "0000000000000000002a00026d6400000000000003e8", offset(-1, -1, zero), false),
        ("000100016700017400000007", "0000000000000000002a00026d6400000000000003e8", offset(-1, -1, zero), false),
        (
            "000100016700017400000007",
            "0001000000000000002a00026d6400000000000003e800000000000007d0",
            offset(-1, 2000, zero),
            true,
        ),
        ("000100016700017400000007", "0002000000000000002a00026d6400000000000003e8", offset(-1, -1, zero), false),
        (
            "000100016700017400000007",
            "0003000000000000002a0000000500026d6400000000000003e8",
            offset(5, -1, zero),
            false,
        ),
        (
            "000100016700017400000007",
            "0004000000000000002a00000005036d6400000000000003e80100100102030405060708090a0b0c0d0e0f10",
            offset(5, -1, TOPIC),
            true,
        ),
        ("000100016700017400000007", "0004000000000000002a00000005036d6400000000000003e800", offset(5, -1, zero), true),
        (
            "0002000167",
            "00000008636f6e73756d657200000003000572616e676500016d0000000100016d00016300022f680000001e0000000201020000000103",
            classic(-1, -1, None),
            false,
        ),
        (
            "0002000167",
            "00010008636f6e73756d657200000003000572616e676500016d0000000100016d00016300022f680000003c0000001e0000000201020000000103",
            classic(60, -1, None),
            false,
        ),
        (
            "0002000167",
            "00020008636f6e73756d657200000003000572616e676500016d00000000000003e80000000100016d00016300022f680000003c0000001e0000000201020000000103",
            classic(60, 1000, None),
            false,
        ),
        (
            "0002000167",
            "00030008636f6e73756d657200000003000572616e676500016d00000000000003e80000000100016d00016900016300022f680000003c0000001e0000000201020000000103",
            classic(60, 1000, Some("i")),
            true,
        ),
        (
            "0002000167",
            "000409636f6e73756d6572000000030672616e6765026d00000000000003e802026d02690263032f680000003c0000001e03010202030000",
            classic(60, 1000, Some("i")),
            false,
        ),
        (
            "0002000167",
            "0003000000000000ffffffffffffffffffffffff00000000",
            Record::ClassicGroup {
                group: "g".into(),
                value: Some(ClassicGroupValue {
                    protocol_type: String::new(),
                    generation: Generation(0),
                    protocol: None,
                    leader: None,
                    state_since: TimestampMs::NONE,
                    members: Vec::new(),
                }),
            },
            true,
        ),
        ("0003000167", "00000000000900", group(0), true),
        ("0003000167", "0000000000090100081122334455667788", group(0x1122_3344_5566_7788), true),
        (
            "0004000167",
            "0000020102030405060708090a0b0c0d0e0f10027400000001010000",
            Record::PartitionMetadata { group: "g".into(), present: true },
            false,
        ),
        ("000500016700016d", "000000000263032f680302610262000000003c0000", member(false), true),
        (
            "000500016700016d",
            "0000026902720263032f6802026104782e2a0000003c08756e69666f726d010011010000001e020672616e67650301020000",
            member(true),
            true,
        ),
        ("0006000167", "00000000000900", target(0), true),
        ("0006000167", "00000000000901000800000000000003e8", target(1000), true),
        (
            "000700016700016d",
            "0000020102030405060708090a0b0c0d0e0f100300000000000000020000",
            Record::TargetMember { group: "g".into(), member: "m".into(), value: Some(targets) },
            true,
        ),
        (
            "000800016700016d",
            "0000000000090000000801020102030405060708090a0b0c0d0e0f10030000000000000002010009030000000400000005020102030405060708090a0b0c0d0e0f100200000001010005020000000600",
            current(MemberState::UnrevokedPartitions, [4, 5], &[(1, 6)]),
            true,
        ),
        // Written before 4.3: partitions without epochs.
        (
            "000800016700016d",
            "0000000000090000000800020102030405060708090a0b0c0d0e0f10030000000000000002000100",
            current(MemberState::Stable, [9, 9], &[]),
            false,
        ),
        (
            "00100001670003612e2a",
            "000003036162036163000000000000004d00000000000003e800",
            Record::Regex {
                group: "g".into(),
                regex: "a.*".into(),
                value: Some(RegexValue { topics: vec!["ab".into(), "ac".into()], version: 77, at: TimestampMs(1000) }),
            },
            true,
        ),
    ]
}

fn decoded(written: &Written) -> Option<Record> {
    Record::decode(&written.key, written.value.as_deref()).unwrap()
}

#[test]
fn records_that_kafka_wrote_are_read_in_every_version() {
    for (key, value, record, _) in golden() {
        assert_eq!(Record::decode(&bytes(key), Some(&bytes(value))).unwrap(), Some(record), "{key} {value}");
    }
}

#[test]
fn records_are_written_to_the_byte_as_kafka_writes_them() {
    for (key, value, record, ours) in golden() {
        if ours {
            let written = record.encode();
            assert_eq!(
                (hex(&written.key), hex(&written.value.unwrap())),
                (key.to_owned(), value.to_owned()),
                "{record:?}"
            );
        }
    }
}

#[test]
fn what_is_written_is_read_as_it_was() {
    for (_, _, record, _) in golden() {
        assert_eq!(decoded(&record.encode()), Some(record));
    }
}

#[test]
fn a_record_without_a_value_is_a_tombstone_of_its_key() {
    for (key, _, record, _) in golden() {
        let tombstone = Record::decode(&bytes(key), None).unwrap().unwrap();
        let written = tombstone.encode();
        assert_eq!(written.value, None, "{tombstone:?}");
        assert_eq!(written.key, record.encode().key);
        assert_eq!(decoded(&written), Some(tombstone));
    }
}

#[test]
fn records_of_streams_groups_are_passed_over_and_unknown_ones_are_refused() {
    for kind in (9..=9).chain(17..=23) {
        assert_eq!(Record::decode(&[0, kind, 0, 1], Some(b"any")), Ok(None), "{kind}");
    }
    for kind in [24, 99] {
        assert!(Record::decode(&[0, kind, 0, 1, b'g'], None).is_err(), "{kind}");
    }
    assert!(Record::decode(&[0xff, 0xff, 0, 1, b'g'], None).is_err());
}

#[test]
fn a_version_that_kafka_has_not_got_is_refused() {
    for (key, value, record, _) in golden() {
        let newest = match record {
            Record::Offset { .. } if key.starts_with("0001") => 4,
            Record::ClassicGroup { .. } => 4,
            _ => 0,
        };
        for version in [newest + 1, 127, -1] {
            let mut value = bytes(value);
            value[..2].copy_from_slice(&i16::to_be_bytes(version));
            assert!(Record::decode(&bytes(key), Some(&value)).is_err(), "{key} {version}");
        }
    }
}

#[test]
fn a_record_that_is_cut_short_is_refused_wherever_it_is_cut() {
    for (key, value, ..) in golden() {
        let (key, value) = (bytes(key), bytes(value));
        for end in 0..key.len() {
            assert!(Record::decode(&key[..end], Some(&value)).is_err(), "{} cut at {end}", hex(&key));
        }
        for end in 0..value.len() {
            let cut = Record::decode(&key, Some(&value[..end]));
            // Of the deprecated type 4 nothing but the version is looked at.
            let expected = key[1] == 4 && end >= 2;
            assert_eq!(cut.is_ok(), expected, "{} cut at {end}", hex(&value));
        }
    }
}

#[test]
fn tagged_fields_that_are_not_known_are_skipped() {
    let key = bytes("0003000167");
    // Epoch 9; tags 0 (the hash) and 5 (unknown, two bytes).
    let value = bytes("000000000009020008000000000000000705020102");
    let group = Record::decode(&key, Some(&value)).unwrap().unwrap();
    let expected = GroupValue { epoch: GroupEpoch(9), metadata_hash: 7 };
    assert_eq!(group, Record::Group { group: "g".into(), value: Some(expected) });
}

#[test]
fn epochs_of_the_wrong_number_are_replaced_by_the_members() {
    let mut value = bytes("0000000000090000000801020102030405060708090a0b0c0d0e0f100300000000000000020100050200000004");
    value.extend(bytes("0100"));
    let read = Record::decode(&bytes("000800016700016d"), Some(&value)).unwrap().unwrap();
    assert_eq!(read, current(MemberState::UnrevokedPartitions, [9, 9], &[]));
}

#[test]
fn random_bytes_are_refused_or_read_but_nothing_breaks() {
    let mut chance = Chance::new(7);
    let golden = golden();
    for round in 0..20_000 {
        let (key, value, ..) = &golden[chance.below(golden.len())];
        let (mut key, mut value) = (bytes(key), bytes(value));
        let damaged = if chance.below(8) == 0 { &mut key } else { &mut value };
        chance.damage(damaged);
        if let Ok(Some(record)) = Record::decode(&key, Some(&value)) {
            assert_eq!(decoded(&record.encode()), Some(record), "round {round}: {} {}", hex(&key), hex(&value));
        }
        let (key, value) = (chance.below(40), chance.below(200));
        let key = [&[0, chance.below(18) as u8, 0, 1][..], &chance.bytes(key)].concat();
        let value = [&[0, chance.below(5) as u8][..], &chance.bytes(value)].concat();
        if let Ok(Some(record)) = Record::decode(&key, Some(&value)) {
            assert_eq!(decoded(&record.encode()), Some(record), "round {round}: {} {}", hex(&key), hex(&value));
        }
    }
}

#[test]
fn counts_that_cannot_fit_cost_nothing() {
    // Two thousand million members.
    let value = bytes("00030008636f6e73756d657200000003000572616e676500016d00000000000003e87fffffff");
    assert!(Record::decode(&bytes("0002000167"), Some(&value)).is_err());
    let value = bytes("0000ffffffff0f");
    assert!(Record::decode(&bytes("000700016700016d"), Some(&value)).is_err());
}
