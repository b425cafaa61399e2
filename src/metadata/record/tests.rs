#![allow(clippy::unwrap_used)]

use super::*;
use crate::metadata::image::{BrokerImage, DirectoryId, Endpoint, PartitionImage, Replicas};
use crate::metadata::{QuotaEntity, QuotaName};
use crate::model::{
    Acl, LeaderEpoch, Operation, PartitionId, Pattern, Permission, Principal, ResourceKind, ScramCredential,
    TimestampMs,
};
use std::collections::BTreeMap;
use uuid::Uuid;

const LEVEL: i16 = 30;

fn nodes(ids: &[i32]) -> Replicas {
    ids.iter().copied().map(NodeId).collect()
}

fn directory(n: u128) -> DirectoryId {
    DirectoryId(Uuid::from_u128(n))
}

fn partition() -> PartitionRecord {
    PartitionRecord {
        topic: TopicId(Uuid::from_u128(0x0102)),
        partition: PartitionId(3),
        image: PartitionImage {
            replicas: nodes(&[1, 2]),
            isr: nodes(&[2]),
            leader: Some(NodeId(2)),
            leader_epoch: LeaderEpoch(5),
            partition_epoch: 6,
            directories: [directory(11), directory(12)].into_iter().collect(),
            adding: nodes(&[4]),
            removing: nodes(&[5]),
            elr: nodes(&[1]),
            last_known_elr: nodes(&[9]),
            recovering: true,
        },
    }
}

fn broker() -> RegisterBroker {
    RegisterBroker {
        image: BrokerImage {
            id: NodeId(1),
            epoch: 77,
            incarnation: Uuid::from_u128(0xabc),
            endpoints: vec![Endpoint { name: "PLAINTEXT".into(), host: "h".into(), port: 9092, security_protocol: 0 }],
            features: BTreeMap::from([("group.version".into(), (0, 1)), ("metadata.version".into(), (7, 30))]),
            rack: Some("r".into()),
            fenced: true,
            in_controlled_shutdown: true,
            directories: vec![directory(20)],
            cordoned: Some(vec![]),
        },
    }
}

fn acl() -> AclRecord {
    AclRecord {
        id: Uuid::from_u128(0x20),
        acl: Acl {
            resource: ResourceKind::Topic,
            name: "ab".into(),
            pattern: Pattern::Prefixed,
            principal: "User:c".into(),
            host: "*".into(),
            operation: Operation::Read,
            permission: Permission::Allow,
        },
    }
}

fn quota(value: Option<f64>) -> ClientQuota {
    let user = Some(QuotaName::Named("u".into()));
    let entity = QuotaEntity { user, client_id: Some(QuotaName::Default), ip: None };
    ClientQuota { entity, key: "producer_byte_rate".into(), value }
}

/// One of each type, with every field set.
fn every_type() -> Vec<Record> {
    let id = TopicId(Uuid::from_u128(5));
    let mut full = PartitionChange::new(id, PartitionId(0));
    full.isr = Some(nodes(&[]));
    full.leader = Some(None);
    full.replicas = Some(nodes(&[1, 2, 3, 4, 5]));
    full.removing = Some(nodes(&[1]));
    full.adding = Some(nodes(&[2]));
    full.recovering = Some(false);
    full.directories = Some([directory(1)].into_iter().collect());
    full.elr = Some(nodes(&[3]));
    full.last_known_elr = Some(nodes(&[]));
    let change = BrokerChange {
        fenced: Some(false),
        in_controlled_shutdown: true,
        directories: Some(vec![directory(4)]),
        cordoned: Some(vec![directory(4)]),
        ..BrokerChange::new(NodeId(3), 4)
    };
    vec![
        Record::RegisterBroker(broker()),
        Record::UnregisterBroker { broker: NodeId(1), epoch: 2 },
        Record::Topic { name: TopicName::new("a"), id },
        Record::Partition(partition()),
        Record::Config { resource: ConfigResource::cluster_default(), key: "k".into(), value: Some("v".into()) },
        Record::Config { resource: ConfigResource::broker(NodeId(1)), key: "k".into(), value: None },
        Record::PartitionChange(full),
        Record::PartitionChange(PartitionChange::new(id, PartitionId(1))),
        Record::FenceBroker { broker: NodeId(1), epoch: 2 },
        Record::UnfenceBroker { broker: NodeId(1), epoch: 2 },
        Record::RemoveTopic { id },
        Record::Feature { name: "f".into(), level: 2 },
        Record::ProducerIds { broker: NodeId(1), broker_epoch: 2, next: ProducerId(3000) },
        Record::BrokerChange(change),
        Record::BrokerChange(BrokerChange { fenced: Some(true), ..BrokerChange::new(NodeId(3), 4) }),
        Record::Acl(acl()),
        Record::RemoveAcl { id: Uuid::from_u128(3) },
        Record::NoOp,
        Record::BeginTransaction { name: Some("t".into()) },
        Record::BeginTransaction { name: None },
        Record::EndTransaction,
        Record::AbortTransaction { reason: Some("why".into()) },
        Record::ClearElr { topic: "a".into() },
        Record::ScramCredential(UserScramCredential {
            user: "alice".into(),
            mechanism: ScramMechanism::Sha512,
            credential: ScramCredential::of_salted(ScramMechanism::Sha512, b"salted", b"salt", 4096),
        }),
        Record::RemoveScramCredential { user: "alice".into(), mechanism: ScramMechanism::Sha256 },
        Record::ClientQuota(quota(Some(1.5))),
        Record::ClientQuota(quota(None)),
        Record::DelegationToken(DelegationToken {
            id: "token".into(),
            owner: Principal::user("a"),
            requester: Principal::user("b"),
            renewers: vec![Principal::user("c"), Principal::new("Group", "d:e")],
            issued: TimestampMs(1),
            max: TimestampMs(3),
            expires: TimestampMs(2),
        }),
        Record::RemoveDelegationToken { id: "token".into() },
        Record::Opaque(Opaque { kind: kind::REGISTER_CONTROLLER, version: 0, body: [1, 2, 3].into() }),
    ]
}

fn encoded(record: &Record, level: i16) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.encode(level, &mut bytes);
    bytes
}

#[test]
fn every_type_comes_back_as_it_was_written() {
    for record in every_type() {
        assert_eq!(Record::decode(&encoded(&record, LEVEL)), Ok(record.clone()), "{record:?}");
    }
}

#[test]
fn a_topic_record_has_kafkas_bytes() {
    let record = Record::Topic { name: TopicName::new("ab"), id: TopicId(Uuid::from_u128(0x10)) };
    let mut expected = vec![1, 2, 0, 3, b'a', b'b'];
    expected.extend_from_slice(&[0; 15]);
    expected.extend_from_slice(&[0x10, 0]);
    assert_eq!(encoded(&record, LEVEL), expected);
}

#[test]
fn an_access_control_entry_has_kafkas_bytes() {
    let mut expected = vec![1, 18, 0];
    expected.extend_from_slice(&[0; 15]);
    expected.extend_from_slice(&[0x20, 2, 3, b'a', b'b', 4, 7]);
    expected.extend_from_slice(b"User:c");
    expected.extend_from_slice(&[2, b'*', 3, 3, 0]);
    assert_eq!(encoded(&Record::Acl(acl()), LEVEL), expected);
    // A kind of resource that Kafka does not have.
    expected[19] = 9;
    assert!(matches!(Record::decode(&expected), Err(BadRecord::Invalid(_))));
}

#[test]
fn a_partition_record_has_kafkas_bytes() {
    let mut record = partition();
    record.topic = TopicId(Uuid::nil());
    record.image.directories = [directory(0), directory(0)].into_iter().collect();
    let mut expected = vec![1, 3, 2, 0, 0, 0, 3];
    expected.extend_from_slice(&[0; 16]);
    expected.extend_from_slice(&[3, 0, 0, 0, 1, 0, 0, 0, 2]);
    expected.extend_from_slice(&[2, 0, 0, 0, 2]);
    expected.extend_from_slice(&[2, 0, 0, 0, 5]);
    expected.extend_from_slice(&[2, 0, 0, 0, 4]);
    expected.extend_from_slice(&[0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 6]);
    expected.push(3);
    expected.extend_from_slice(&[0; 32]);
    // Three tagged fields: recovery state, eligible and last known eligible leaders.
    expected.extend_from_slice(&[3, 0, 1, 1, 1, 5, 2, 0, 0, 0, 1, 2, 5, 2, 0, 0, 0, 9]);
    assert_eq!(encoded(&Record::Partition(record), LEVEL), expected);
}

#[test]
fn an_older_cluster_gets_older_versions_without_what_they_cannot_hold() {
    let old = |level| match Record::decode(&encoded(&Record::Partition(partition()), level)) {
        Ok(Record::Partition(record)) => record.image,
        other => panic!("{other:?}"),
    };
    let before_elr = old(22);
    assert_eq!((before_elr.elr.len(), before_elr.directories[0]), (0, directory(11)));
    let before_directories = old(16);
    assert_eq!(before_directories.directories[..], [DirectoryId::MIGRATING, DirectoryId::MIGRATING]);

    let old = |level| match Record::decode(&encoded(&Record::RegisterBroker(broker()), level)) {
        Ok(Record::RegisterBroker(record)) => record.image,
        other => panic!("{other:?}"),
    };
    assert_eq!(old(29).cordoned, None);
    assert_eq!(old(29).directories, vec![directory(20)]);
    assert_eq!(old(16).directories, vec![]);
    assert!(old(7).in_controlled_shutdown);
}

#[test]
fn what_is_not_known_is_named() {
    assert_eq!(Record::decode(&[1, 29, 0]), Err(BadRecord::Type(29)));
    assert_eq!(Record::decode(&[0, 2, 0]), Err(BadRecord::Frame(0)));
    assert_eq!(Record::decode(&[1, 2, 1]), Err(BadRecord::Version { kind: 2, version: 1, newest: 0 }));
    let mut long = encoded(&Record::NoOp, LEVEL);
    long.push(0);
    assert_eq!(Record::decode(&long), Err(BadRecord::Garbage(1)));
}

#[test]
fn a_record_cut_short_anywhere_is_refused() {
    for record in every_type().iter().filter(|record| !matches!(record, Record::Opaque(_))) {
        let whole = encoded(record, LEVEL);
        for end in 0..whole.len() {
            assert!(Record::decode(&whole[..end]).is_err(), "{record:?} cut at {end}");
        }
    }
}

#[test]
fn a_count_larger_than_the_bytes_is_refused_before_anything_is_allocated() {
    // A partition record that claims 2^28 replicas.
    let mut bytes = vec![1, 3, 2, 0, 0, 0, 0];
    bytes.extend_from_slice(&[0; 16]);
    bytes.extend_from_slice(&[0x80, 0x80, 0x80, 0x80, 0x01]);
    assert_eq!(Record::decode(&bytes), Err(BadRecord::Truncated));
}

#[test]
fn no_bytes_whatever_make_it_panic() {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let samples: Vec<Vec<u8>> = every_type().iter().map(|record| encoded(record, LEVEL)).collect();
    let mut accepted = 0;
    for round in 0..200_000 {
        let mut bytes = samples[round % samples.len()].clone();
        for _ in 0..=next() % 3 {
            let at = next() as usize % bytes.len();
            bytes[at] = next() as u8;
        }
        accepted += usize::from(Record::decode(&bytes).is_ok());
    }
    assert!(accepted > 1000, "only {accepted} got past the framing");
}

#[test]
fn unknown_tagged_fields_are_skipped() {
    let mut bytes = encoded(&Record::RemoveTopic { id: TopicId::ZERO }, LEVEL);
    assert_eq!(bytes.pop(), Some(0));
    bytes.extend_from_slice(&[1, 200, 1, 2, 9, 9]);
    assert_eq!(Record::decode(&bytes), Ok(Record::RemoveTopic { id: TopicId::ZERO }));
}
