//! What is decided before a machine is asked.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::coordinator::partition_of;
use crate::group::request::Client;
use crate::model::{InstanceId, TopicId};
use std::collections::BTreeMap;

/// The numbers are what Java says.
#[test]
fn a_group_is_in_the_partition_where_kafka_looks_for_it() {
    for (group, hash) in [("", 0), ("g", 103), ("test-group", 627_841_412), ("Ä", 196), ("😀", 1_772_899)] {
        assert_eq!(partition_of(group, i32::MAX), PartitionId(hash), "{group}");
        assert_eq!(partition_of(group, 50), PartitionId(hash % 50), "{group}");
    }
    // Its hash is -2147483648.
    assert_eq!(partition_of("polygenelubricants", 50), PartitionId(0));
}

#[test]
fn errors_of_the_log_become_errors_of_coordinators() {
    for (log, client) in [
        (ErrorCode::NOT_ENOUGH_REPLICAS, ErrorCode::COORDINATOR_NOT_AVAILABLE),
        (ErrorCode::REQUEST_TIMED_OUT, ErrorCode::COORDINATOR_NOT_AVAILABLE),
        (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ErrorCode::COORDINATOR_NOT_AVAILABLE),
        (ErrorCode::KAFKA_STORAGE_ERROR, ErrorCode::NOT_COORDINATOR),
        (ErrorCode::NOT_LEADER_OR_FOLLOWER, ErrorCode::NOT_COORDINATOR),
        (ErrorCode::RECORD_LIST_TOO_LARGE, ErrorCode::UNKNOWN_SERVER_ERROR),
        (ErrorCode::COORDINATOR_LOAD_IN_PROGRESS, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
    ] {
        assert_eq!(for_clients(log), client, "{log}");
    }
}

fn joining() -> ConsumerHeartbeat {
    ConsumerHeartbeat {
        version: 1,
        client: Client::default(),
        group: GroupId::new("g"),
        member: MemberId::new("m"),
        epoch: GroupEpoch::JOIN,
        instance: None,
        rack: None,
        rebalance_timeout_ms: 1000,
        topics: Some(Vec::new()),
        regex: None,
        assignor: None,
        owned: Some(BTreeMap::new()),
    }
}

/// The error that this change to a heartbeat that joins brings about, if any.
fn refused(change: impl FnOnce(&mut ConsumerHeartbeat)) -> Option<(ErrorCode, String)> {
    let mut heartbeat = joining();
    change(&mut heartbeat);
    let checked = check_consumer_heartbeat(&heartbeat, &["uniform".into(), "range".into()]);
    checked.err().map(|refusal| (refusal.code, refusal.message.unwrap()))
}

#[test]
fn a_heartbeat_that_cannot_be_is_refused_in_kafkas_words() {
    type Change = fn(&mut ConsumerHeartbeat);
    let cases: [(Change, &str); 11] = [
        (|it| it.member = MemberId::new(""), "MemberId can't be empty."),
        (|it| it.group = GroupId::new(" \t"), "GroupId can't be empty."),
        (|it| it.instance = Some(InstanceId::new("")), "InstanceId can't be empty."),
        (|it| it.rack = Some(" ".into()), "RackId can't be empty."),
        (|it| it.rebalance_timeout_ms = -1, "RebalanceTimeoutMs must be provided in first request."),
        (|it| it.owned = None, "TopicPartitions must be empty when (re-)joining."),
        (
            |it| it.owned = Some(BTreeMap::from([(TopicId::ZERO, Vec::new())])),
            "TopicPartitions must be empty when (re-)joining.",
        ),
        (
            |it| it.topics = None,
            "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
        ),
        (|it| it.epoch = GroupEpoch::LEAVE_STATIC, "InstanceId can't be null."),
        (|it| it.epoch = GroupEpoch(-3), "MemberEpoch is invalid."),
        // Two faults: the first check speaks.
        (
            |it| {
                it.epoch = GroupEpoch(-3);
                it.group = GroupId::new("");
            },
            "GroupId can't be empty.",
        ),
    ];
    for (change, text) in cases {
        assert_eq!(refused(change), Some((ErrorCode::INVALID_REQUEST, text.into())));
    }
    let text = "ServerAssignor best is not supported. Supported assignors: uniform, range.".to_owned();
    assert_eq!(refused(|it| it.assignor = Some("best".into())), Some((ErrorCode::UNSUPPORTED_ASSIGNOR, text)));
}

#[test]
fn a_heartbeat_that_can_be_passes() {
    assert_eq!(refused(|_| ()), None);
    assert_eq!(refused(|it| it.assignor = Some("range".into())), None);
    assert_eq!(
        refused(|it| {
            it.topics = None;
            it.regex = Some(String::new());
        }),
        None
    );
    // In the first version the coordinator makes the id up.
    assert_eq!(
        refused(|it| {
            it.version = 0;
            it.member = MemberId::new("");
        }),
        None
    );
    for epoch in [GroupEpoch(5), GroupEpoch::LEAVE] {
        assert_eq!(
            refused(|it| {
                it.epoch = epoch;
                it.rebalance_timeout_ms = -1;
                it.topics = None;
                it.owned = None;
            }),
            None
        );
    }
}
