#![allow(clippy::unwrap_used)]
//! The frames of version 1 were written out by Kafka's schemas.

use super::*;
use crate::wire::{decode, decode_response, response};
use bytes::{Bytes, BytesMut};

const ID: Uuid = Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
const HEX_ID: &str = "0102030405060708090a0b0c0d0e0f10";

fn unhex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect::<Vec<_>>().into()
}

fn written(message: &impl Encodable, version: i16) -> Bytes {
    let mut out = BytesMut::new();
    message.encode(&mut out, version).unwrap();
    assert_eq!(message.compute_size(version).unwrap(), out.len());
    out.freeze()
}

fn write(delivery_complete_count: i32) -> WriteRequest {
    let batch =
        StateBatch::default().with_first_offset(5).with_last_offset(9).with_delivery_state(2).with_delivery_count(3);
    let partition = WritePartition {
        partition: 1,
        state_epoch: 2,
        leader_epoch: 3,
        start_offset: -1,
        delivery_complete_count,
        state_batches: vec![batch],
    };
    let topics = vec![WriteTopic { topic_id: ID, partitions: vec![partition] }];
    WriteRequest { group_id: StrBytes::from_static_str("g"), topics }
}

fn summary(delivery_complete_count: i32) -> SummaryResponse {
    let partition = SummaryPartition {
        partition: 1,
        error_code: 0,
        error_message: None,
        state_epoch: 2,
        leader_epoch: 3,
        start_offset: 4,
        delivery_complete_count,
    };
    SummaryResponse { results: vec![SummaryTopic { topic_id: ID, partitions: vec![partition] }] }
}

#[test]
fn a_write_has_a_count_since_version_1() {
    let batches = "02 0000000000000005 0000000000000009 02 0003 00";
    let fields = "00000001 00000002 00000003 ffffffffffffffff";
    let v1 = unhex(&format!("02 67 02 {HEX_ID} 02 {fields} 00000007 {batches} 00 00 00"));
    assert_eq!(written(&write(7), 1), v1);
    assert_eq!(decode::<WriteRequest>(1, v1).unwrap(), write(7));
    let v0 = unhex(&format!("02 67 02 {HEX_ID} 02 {fields} {batches} 00 00 00"));
    assert_eq!(written(&write(7), 0), v0);
    assert_eq!(decode::<WriteRequest>(0, v0.clone()).unwrap(), write(UNKNOWN_COUNT));
    assert_eq!(written(&WriteShareGroupStateRequest::decode(&mut v0.clone(), 0).unwrap(), 0), v0);
}

#[test]
fn a_summary_has_a_count_since_version_1() {
    let fields = "00000001 0000 00 00000002 00000003 0000000000000004";
    let v1 = unhex(&format!("02 {HEX_ID} 02 {fields} 00000007 00 00 00"));
    assert_eq!(written(&summary(7), 1), v1);
    type Ask = Unchanged<ReadShareGroupStateSummaryRequest>;
    assert_eq!(decode_response::<Ask>(1, v1).unwrap(), summary(7));
    let v0 = unhex(&format!("02 {HEX_ID} 02 {fields} 00 00 00"));
    assert_eq!(written(&summary(7), 0), v0);
    assert_eq!(decode_response::<Ask>(0, v0).unwrap(), summary(UNKNOWN_COUNT));
}

#[test]
fn what_has_not_changed_is_the_same_in_both_versions() {
    let answer = Unchanged(WriteShareGroupStateResponse::default());
    assert_eq!(response(85, 0, 7, &answer).unwrap(), response(85, 1, 7, &answer).unwrap());
    let request = Unchanged(ReadShareGroupStateSummaryRequest::default().with_group_id("g".into()));
    assert_eq!(written(&request, 0), written(&request, 1));
    assert_eq!(decode::<Unchanged<_>>(1, written(&request, 1)).unwrap(), request);
}

#[test]
fn a_body_cut_anywhere_is_refused_and_tags_are_passed_over() {
    let whole = written(&write(7), 1);
    for length in 0..whole.len() {
        assert!(decode::<WriteRequest>(1, whole.slice(..length)).is_err(), "{length}");
    }
    let body = unhex("02 67 01 01 05 02 aabb");
    assert_eq!(decode::<WriteRequest>(1, body).unwrap().topics, []);
}
