//! The messages against the crate's, which knows version 1.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::model::{LeaderEpoch, NodeId};
use crate::wire::fetch::Part;
use crate::wire::share_acknowledge::{
    AcknowledgeOutcome, AcknowledgeRequest, AcknowledgeResponse, AcknowledgedPartition, AcknowledgementBatch, Endpoint,
};
use bytes::Bytes;
use kafka_protocol::messages::{ShareAcknowledgeRequest, ShareAcknowledgeResponse};
use uuid::Uuid;

fn topics() -> Vec<AcknowledgedTopic> {
    let batch = AcknowledgementBatch { first: Offset(5), last: Offset(7), kinds: Bytes::from_static(&[1, 2, 3]) };
    let partition = AcknowledgedPartition { partition: PartitionId(3), batches: vec![batch] };
    vec![AcknowledgedTopic { topic: TopicId(Uuid::from_u128(9)), partitions: vec![partition] }]
}

fn fetch() -> ShareFetchRequest {
    ShareFetchRequest {
        group_id: Some("g".into()),
        member_id: Some("m".into()),
        session_epoch: 4,
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 1000,
        max_records: 500,
        batch_size: 100,
        acquire_mode: 0,
        is_renewal: false,
        topics: topics(),
        forgotten: vec![(TopicId(Uuid::from_u128(8)), vec![PartitionId(1), PartitionId(2)])],
    }
}

fn bytes(message: &impl Encodable, version: i16) -> BytesMut {
    let mut out = BytesMut::new();
    message.encode(&mut out, version).unwrap();
    out
}

#[test]
fn version_1_of_the_requests_is_what_the_crate_reads_and_writes() {
    let ours = bytes(&fetch(), 1);
    let theirs = Original::decode(&mut ours.clone().freeze(), 1).unwrap();
    assert_eq!((theirs.max_records, theirs.batch_size, theirs.topics.len()), (500, 100, 1));
    assert_eq!(bytes(&theirs, 1), ours);
    let request = AcknowledgeRequest {
        group_id: Some("g".into()),
        member_id: None,
        session_epoch: 2,
        is_renewal: false,
        topics: topics(),
    };
    let ours = bytes(&request, 1);
    let theirs = ShareAcknowledgeRequest::decode(&mut ours.clone().freeze(), 1).unwrap();
    assert_eq!(bytes(&theirs, 1), ours);
}

#[test]
fn both_versions_are_read_as_they_are_written() {
    for version in 1..=2 {
        let renews = version == 2;
        let request = ShareFetchRequest { acquire_mode: i8::from(renews), is_renewal: renews, ..fetch() };
        let read = crate::wire::decode::<ShareFetchRequest>(version, bytes(&request, version).freeze()).unwrap();
        assert_eq!(read, request);
        let request = AcknowledgeRequest { is_renewal: renews, topics: topics(), ..AcknowledgeRequest::default() };
        let read = crate::wire::decode::<AcknowledgeRequest>(version, bytes(&request, version).freeze()).unwrap();
        assert_eq!(read, request);
    }
}

#[test]
fn version_1_of_the_answers_is_what_the_crate_reads() {
    let leader = CurrentLeader { leader: NodeId(2), epoch: LeaderEpoch(7) };
    let partition = FetchedPartition {
        partition: PartitionId(3),
        error: ErrorCode::NOT_LEADER_OR_FOLLOWER,
        acknowledged: (ErrorCode::INVALID_RECORD_STATE, Some("no".into())),
        current_leader: Some(leader),
        records: Some(Bytes::from_static(b"records")),
        acquired: vec![(Offset(5), Offset(7), 2)],
    };
    let response = ShareFetchResponse {
        throttle_time_ms: 1,
        error: ErrorCode::NONE,
        lock_ms: 30_000,
        topics: vec![(TopicId(Uuid::from_u128(9)), vec![partition])],
        node_endpoints: &[NodeEndpoint { node: NodeId(2), host: "h", port: 9, rack: Some("r") }],
    };
    let parts = encode_response(&mut BytesMut::new(), 1, 7, response).unwrap();
    let mut frame = BytesMut::new();
    for part in parts.parts {
        match part {
            Part::Head(bytes) | Part::Records(bytes) => frame.extend_from_slice(&bytes),
        }
    }
    assert_eq!(frame.len(), parts.size);
    let mut body = frame.freeze().slice(9..);
    let read = OriginalResponse::decode(&mut body, 1).unwrap();
    assert!(body.is_empty());
    let partition = &read.responses[0].partitions[0];
    assert_eq!((partition.error_code, partition.acknowledge_error_code), (6, 121));
    assert_eq!(partition.acknowledge_error_message.as_deref(), Some("no"));
    assert_eq!((partition.current_leader.leader_epoch, partition.acquired_records[0].delivery_count), (7, 2));
    assert_eq!(partition.records.as_deref(), Some(&b"records"[..]));
    assert_eq!((read.acquisition_lock_timeout_ms, read.node_endpoints[0].port), (30_000, 9));

    let outcome = AcknowledgeOutcome {
        partition: PartitionId(3),
        error: ErrorCode::INVALID_REQUEST,
        message: Some("no".into()),
        current_leader: Some(leader),
    };
    let response = AcknowledgeResponse {
        throttle_time_ms: 1,
        error: ErrorCode::NONE,
        lock_ms: 5,
        topics: vec![(TopicId(Uuid::from_u128(9)), vec![outcome])],
        endpoints: vec![Endpoint { node: NodeId(2), host: "h".into(), port: 9, rack: None }],
    };
    let mut body = bytes(&response, 1).freeze();
    let read = ShareAcknowledgeResponse::decode(&mut body, 1).unwrap();
    assert!(body.is_empty());
    assert_eq!(read.responses[0].partitions[0].error_code, 42);
    assert_eq!(bytes(&response, 2).len(), bytes(&response, 1).len() + 4);
}
