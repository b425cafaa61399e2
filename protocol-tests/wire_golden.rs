//! The wire against the `kafka-protocol` crate and against frames written out in hex: headers, the table of shapes, and the
//! codecs of our own for Produce and Fetch, in every version.
#![allow(clippy::unwrap_used)]

mod common;

use bytes::{Bytes, BytesMut};
use common::{Rng, apis, hex, random, unhex};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch as ProduceLeader, NodeEndpoint as ProduceEndpoint,
    PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{
    ApiKey, FetchRequest as CrateFetchRequest, FetchResponse as CrateFetchResponse,
    ProduceRequest as CrateProduceRequest, ProduceResponse as CrateProduceResponse, fetch_response as crate_fetch,
};
use kafka_protocol::protocol::{Decodable, StrBytes};
use klamm::model::{ErrorCode, LeaderEpoch, NodeId, Offset, PartitionId, ProducerId, TimestampMs, TopicId};
use klamm::wire::{CurrentLeader, NodeEndpoint, Refused, TopicRef, fetch, guard, header, produce, response, shape};
use uuid::Uuid;

const ID: Uuid = Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);

#[test]
fn every_request_of_the_crate_has_a_shape_within_its_versions() {
    for key in apis::KEYS {
        let api = shape::all().find(|api| api.key == *key).unwrap_or_else(|| panic!("no shape for API {key}"));
        let theirs = apis::versions(*key);
        assert_eq!((api.min, api.max), (theirs.min, theirs.max), "{}", api.name);
    }
    assert_eq!(shape::all().count(), apis::KEYS.len());
}

#[test]
fn header_versions_are_the_crates() {
    for api in shape::all() {
        let theirs = ApiKey::try_from(api.key).unwrap();
        for version in api.min..=api.max {
            assert_eq!(
                header::request_header_version(api.key, version),
                Some(theirs.request_header_version(version)),
                "request {} v{version}",
                api.name
            );
            assert_eq!(
                header::response_header_version(api.key, version),
                theirs.response_header_version(version),
                "response {} v{version}",
                api.name
            );
        }
    }
    assert_eq!(header::request_header_version(7, 0), None, "ControlledShutdown is gone since 4.0");
    assert_eq!(header::request_header_version(18, 127), Some(2), "ApiVersions of a later Kafka");
    assert_eq!(header::response_header_version(18, 4), 0);
}

#[test]
fn the_guard_accepts_what_the_crate_writes_and_reads_it_to_the_same_byte() {
    for api in shape::all() {
        for version in api.min..=api.max {
            let mut rng = Rng(u64::from(api.key.unsigned_abs()) << 8 | version as u64);
            let mut whole = 0;
            for round in 0..60 {
                let message = random::message(&mut rng, api, version);
                let what = || format!("{} v{version} round {round}: {}", api.name, hex(&message.bytes));
                guard::check(api.key, version, &message.bytes).unwrap_or_else(|e| panic!("{e} in {}", what()));
                let body = Bytes::from(message.bytes.clone());
                let decoded = apis::decode(api.key, version, body).unwrap_or_else(|e| panic!("{e} in {}", what()));
                // Our own decoders pass over the tagged fields that nobody knows; the crate keeps them.
                if !(apis::is_ours(api.key, version) && decoded.left > 0) {
                    assert_eq!(decoded.left, 0, "{}", what());
                    assert_eq!(hex(&decoded.again.unwrap()), hex(&message.bytes), "{} v{version}", api.name);
                    whole += 1;
                }
                if let Some(shorter) = message.bytes.len().checked_sub(1) {
                    assert!(guard::check(api.key, version, &message.bytes[..shorter]).is_err(), "{}", what());
                }
            }
            assert!(whole >= 10, "{} v{version} was written again {whole} times only", api.name);
        }
    }
}

#[test]
fn the_guard_refuses_the_bodies_that_break_the_crate() {
    let check = |key, version, body: &str| guard::check(key, version, &unhex(body));
    // Four bytes for which the crate asks for 155 GB.
    assert_eq!(check(3, 1, "7fffffff"), Err(Refused::Count { at: 0, count: 0x7fff_ffff }));
    assert_eq!(check(3, 12, "ffffffff0f"), Err(Refused::Count { at: 0, count: 0xffff_fffe }));
    assert_eq!(check(3, 1, "00989680"), Err(Refused::Count { at: 0, count: 10_000_000 }));
    // A varint of more than 32 bits, which the crate cuts short.
    assert_eq!(check(3, 12, "ffffffffff01"), Err(Refused::Varint { at: 0 }));
    assert_eq!(check(3, 12, "80808080f00000000000"), Err(Refused::Varint { at: 0 }));
    // No topics, three flags, one tagged field: longer than the body, then fine, then a tag above 2^31.
    assert_eq!(check(3, 12, "01 00 00 01 05 03 aa"), Err(Refused::TagSize { at: 4, tag: 5 }));
    assert!(check(3, 12, "01 00 00 01 05 01 aa").is_ok());
    assert_eq!(check(3, 12, "01 00 00 01 8080808008 00"), Err(Refused::Tag { at: 4, tag: 1 << 31 }));
    // Fetch v12 whose cluster id is declared 77 bytes long and is 3.
    let fetch =
        format!("ffffffff {} 00 00000000 ffffffff 01 01 01 01 00 4d 03 6162 {}", "00".repeat(12), "00".repeat(74));
    assert_eq!(check(1, 12, &fetch), Err(Refused::TagSize { at: 29, tag: 0 }));
    // Not nullable; not a count.
    assert_eq!(check(3, 0, "ffffffff"), Err(Refused::Null { at: 0 }));
    assert_eq!(check(3, 1, "fffffffe"), Err(Refused::Count { at: 0, count: -2 }));
    // A cursor that is neither there nor null.
    assert_eq!(check(75, 0, "01 00000001 02"), Err(Refused::Presence { at: 5, marker: 2 }));
    assert_eq!(check(9999, 0, ""), Err(Refused::UnknownApi { key: 9999 }));
    assert_eq!(check(-1, 0, ""), Err(Refused::UnknownApi { key: -1 }));
    assert_eq!(check(3, 14, ""), Err(Refused::UnsupportedVersion { key: 3, version: 14 }));
    assert_eq!(check(3, -1, ""), Err(Refused::UnsupportedVersion { key: 3, version: -1 }));
    assert_eq!(check(1, i16::MIN, ""), Err(Refused::UnsupportedVersion { key: 1, version: i16::MIN }));
}

#[test]
fn a_header_is_read_from_its_frame() {
    let frame = Bytes::from(unhex("0003 0001 00000007 0002 6162 ffffffff"));
    let (head, body) = header::parse(&frame).unwrap();
    assert_eq!((head.key, head.version, head.correlation_id), (3, 1, 7));
    assert_eq!(head.client_id.as_deref(), Some("ab"));
    assert_eq!(hex(&body), "ffffffff");
    // v2, with a tagged field that we do not know; a null client id.
    let frame = Bytes::from(unhex("0003 0009 00000007 ffff 01 05 02 aabb 00"));
    let (head, body) = header::parse(&frame).unwrap();
    assert_eq!((head.client_id, hex(&body)), (None, "00".to_owned()));
}

#[test]
fn an_api_versions_answer_has_header_v0_and_others_the_one_of_their_version() {
    let versions = kafka_protocol::messages::ApiVersionsResponse::default();
    assert_eq!(hex(&response(18, 3, 7, &versions).unwrap()), "0000000c 00000007 0000 01 00000000 00".replace(' ', ""));
    let heartbeat = kafka_protocol::messages::HeartbeatResponse::default();
    assert_eq!(hex(&response(12, 4, 7, &heartbeat).unwrap()), "0000000c 00000007 00 00000000 0000 00".replace(' ', ""));
    assert_eq!(hex(&response(12, 0, 7, &heartbeat).unwrap()), "00000006 00000007 0000".replace(' ', ""));
}

#[test]
fn an_answer_with_a_field_that_its_version_lacks_is_an_error_that_names_the_api() {
    let coordinator = kafka_protocol::messages::FindCoordinatorResponse::default().with_port(9092);
    let error = response(10, 4, 7, &coordinator).unwrap_err();
    assert!(error.to_string().starts_with("FindCoordinator response version 4: "), "{error}");
    assert!(response(10, 3, 7, &coordinator).is_ok());
}

#[test]
fn produce_requests_mean_what_they_mean_to_the_crate() {
    let api = shape::all().find(|api| api.key == 0).unwrap();
    for version in produce::MIN_VERSION..=produce::MAX_VERSION {
        let mut rng = Rng(version as u64);
        for _ in 0..200 {
            let body = Bytes::from(random::message(&mut rng, api, version).bytes);
            let theirs = CrateProduceRequest::decode(&mut body.clone(), version).unwrap();
            let ours = produce::parse(version, &body).unwrap();
            assert_eq!(ours.transactional_id, theirs.transactional_id.as_deref().map(|id| &**id));
            assert_eq!((ours.acks, ours.timeout_ms), (theirs.acks, theirs.timeout_ms));
            assert_eq!(ours.topics.len(), theirs.topic_data.len());
            for (ours, theirs) in ours.topics.iter().zip(&theirs.topic_data) {
                match ours.topic {
                    TopicRef::Name(name) => assert_eq!(name, &**theirs.name),
                    TopicRef::Id(id) => assert_eq!(id.0, theirs.topic_id),
                }
                let theirs: Vec<_> =
                    theirs.partition_data.iter().map(|p| (PartitionId(p.index), p.records.clone())).collect();
                let ours: Vec<_> = ours.partitions.iter().map(|p| (p.partition, p.records.clone())).collect();
                assert_eq!(ours, theirs);
            }
        }
    }
}

#[test]
fn fetch_requests_mean_what_they_mean_to_the_crate() {
    let api = shape::all().find(|api| api.key == 1).unwrap();
    for version in fetch::MIN_VERSION..=fetch::MAX_VERSION {
        let mut rng = Rng(version as u64);
        for _ in 0..200 {
            let body = Bytes::from(random::message(&mut rng, api, version).bytes);
            let theirs = CrateFetchRequest::decode(&mut body.clone(), version).unwrap();
            same_fetch(&fetch::parse(version, &body).unwrap(), &theirs, version);
        }
    }
}

fn same_fetch(ours: &fetch::FetchRequest<'_>, theirs: &CrateFetchRequest, version: i16) {
    let topic = |name: &str, id: Uuid, ours: TopicRef<'_>| match ours {
        TopicRef::Name(ours) => assert!(version < 13 && ours == name),
        TopicRef::Id(ours) => assert!(version >= 13 && ours.0 == id),
    };
    assert_eq!(ours.cluster_id, theirs.cluster_id.as_deref());
    let replica = if version >= 15 { theirs.replica_state.replica_id } else { theirs.replica_id };
    assert_eq!((ours.replica.0, ours.replica_epoch), (*replica, theirs.replica_state.replica_epoch));
    assert_eq!(
        (ours.max_wait_ms, ours.min_bytes, ours.max_bytes, ours.isolation_level),
        (theirs.max_wait_ms, theirs.min_bytes, theirs.max_bytes, theirs.isolation_level)
    );
    assert_eq!((ours.session_id, ours.session_epoch), (theirs.session_id, theirs.session_epoch));
    assert_eq!(ours.rack, &*theirs.rack_id);
    assert_eq!(ours.topics.len(), theirs.topics.len());
    for (ours, theirs) in ours.topics.iter().zip(&theirs.topics) {
        topic(&theirs.topic, theirs.topic_id, ours.topic);
        let theirs: Vec<_> = theirs
            .partitions
            .iter()
            .map(|p| fetch::FetchPartition {
                partition: PartitionId(p.partition),
                current_leader_epoch: LeaderEpoch(p.current_leader_epoch),
                fetch_offset: Offset(p.fetch_offset),
                last_fetched_epoch: LeaderEpoch(p.last_fetched_epoch),
                log_start: Offset(p.log_start_offset),
                max_bytes: p.partition_max_bytes,
                directory_id: p.replica_directory_id,
                high_watermark: Offset(p.high_watermark),
            })
            .collect();
        assert_eq!(ours.partitions, theirs);
    }
    assert_eq!(ours.forgotten.len(), theirs.forgotten_topics_data.len());
    for (ours, theirs) in ours.forgotten.iter().zip(&theirs.forgotten_topics_data) {
        topic(&theirs.topic, theirs.topic_id, ours.topic);
        assert_eq!(ours.partitions.iter().map(|p| p.0).collect::<Vec<_>>(), theirs.partitions);
    }
}

/// A produce answer of ours and the same of the crate's, with everything that the version has.
fn produce_answers(version: i16) -> (produce::ProduceResponse<'static>, CrateProduceResponse) {
    const ENDPOINTS: &[NodeEndpoint<'static>] = &[
        NodeEndpoint { node: NodeId(3), host: "broker-3.example", port: 9092, rack: Some("r1") },
        NodeEndpoint { node: NodeId(4), host: "b", port: 9093, rack: None },
    ];
    let leader = (version >= 10).then_some(CurrentLeader { leader: NodeId(3), epoch: LeaderEpoch(9) });
    let mut refused = produce::PartitionResponse::failed(PartitionId(1), ErrorCode::INVALID_RECORD);
    if version >= 8 {
        refused.record_errors = vec![(0, Some("no key".into())), (7, None)];
        refused.error_message = Some("ä record was refused".into());
    }
    let mut moved = produce::PartitionResponse::failed(PartitionId(2), ErrorCode::NOT_LEADER_OR_FOLLOWER);
    moved.current_leader = leader;
    let appended = produce::PartitionResponse::appended(
        PartitionId(0),
        Offset(1 << 40),
        TimestampMs(1_700_000_000_000),
        Offset(12),
    );
    let partitions = [appended, refused, moved];
    let theirs = partitions.iter().map(|p| {
        let mut theirs = PartitionProduceResponse::default()
            .with_index(p.partition.0)
            .with_error_code(p.error.0)
            .with_base_offset(p.base_offset.0)
            .with_log_append_time_ms(p.log_append_time.0)
            .with_error_message(p.error_message.clone().map(StrBytes::from_string));
        if version >= 5 {
            theirs = theirs.with_log_start_offset(p.log_start.0);
        }
        let errors = p.record_errors.iter().map(|(index, message)| {
            BatchIndexAndErrorMessage::default()
                .with_batch_index(*index)
                .with_batch_index_error_message(message.clone().map(StrBytes::from_string))
        });
        theirs = theirs.with_record_errors(errors.collect());
        if let Some(CurrentLeader { leader, epoch }) = p.current_leader {
            let leader = ProduceLeader::default().with_leader_id(leader.0.into()).with_leader_epoch(epoch.0);
            theirs = theirs.with_current_leader(leader);
        }
        theirs
    });
    let mut topic = TopicProduceResponse::default().with_partition_responses(theirs.collect());
    topic = if version >= 13 { topic.with_topic_id(ID) } else { topic.with_name(StrBytes::from("topic").into()) };
    let empty = if version >= 13 {
        TopicProduceResponse::default().with_topic_id(Uuid::nil())
    } else {
        TopicProduceResponse::default().with_name(StrBytes::from("").into())
    };
    let mut theirs = CrateProduceResponse::default().with_responses(vec![topic, empty]).with_throttle_time_ms(77);
    if version >= 10 {
        theirs = theirs.with_node_endpoints(
            ENDPOINTS
                .iter()
                .map(|e| {
                    ProduceEndpoint::default()
                        .with_node_id(e.node.0.into())
                        .with_host(StrBytes::from(e.host))
                        .with_port(e.port)
                        .with_rack(e.rack.map(StrBytes::from))
                })
                .collect(),
        );
    }
    let (first, second) = topics(version);
    let ours = produce::ProduceResponse {
        topics: [
            produce::TopicResponse { topic: first, partitions: partitions.into_iter().collect() },
            produce::TopicResponse { topic: second, partitions: Default::default() },
        ]
        .into_iter()
        .collect(),
        throttle_time_ms: 77,
        node_endpoints: if version >= 10 { ENDPOINTS } else { &[] },
    };
    (ours, theirs)
}

fn topics(version: i16) -> (TopicRef<'static>, TopicRef<'static>) {
    if version >= 13 {
        (TopicRef::Id(TopicId(ID)), TopicRef::Id(TopicId::ZERO))
    } else {
        (TopicRef::Name("topic"), TopicRef::Name(""))
    }
}

#[test]
fn produce_answers_are_the_crates_bytes_in_every_version() {
    for version in produce::MIN_VERSION..=produce::MAX_VERSION {
        let (ours, theirs) = produce_answers(version);
        // Behind an answer that is already in the buffer.
        let mut out = BytesMut::from(&b"before"[..]);
        produce::encode_response(&mut out, version, 0x0a0b_0c0d, &ours).unwrap();
        let expected = response(0, version, 0x0a0b_0c0d, &theirs).unwrap();
        assert_eq!(hex(&out[6..]), hex(&expected), "v{version}");
        assert_eq!(&out[..6], b"before");
    }
}

#[test]
fn a_produce_answer_in_hex() {
    let appended = produce::PartitionResponse::appended(PartitionId(2), Offset(5), TimestampMs::NONE, Offset(1));
    let topic = produce::TopicResponse { topic: TopicRef::Name("t"), partitions: [appended].into_iter().collect() };
    let answer = produce::ProduceResponse { topics: [topic].into_iter().collect(), ..Default::default() };
    let encoded = |version| {
        let mut out = BytesMut::new();
        produce::encode_response(&mut out, version, 7, &answer).unwrap();
        hex(&out)
    };
    let partition = "00000002 0000 0000000000000005 ffffffffffffffff";
    let v3 = format!("00000029 00000007 00000001 0001 74 00000001 {partition} 00000000");
    assert_eq!(encoded(3), v3.replace(' ', ""));
    let v9 = format!("00000030 00000007 00 02 02 74 02 {partition} 0000000000000001 01 00 00 00 00000000 00");
    assert_eq!(encoded(9), v9.replace(' ', ""));
}

#[test]
fn a_produce_request_in_hex() {
    let body = Bytes::from(unhex("ffff ffff 000007d0 00000001 0001 74 00000001 00000003 00000002 aabb"));
    let request = produce::parse(3, &body).unwrap();
    assert_eq!((request.transactional_id, request.acks, request.timeout_ms), (None, -1, 2000));
    assert_eq!(request.topics[0].topic, TopicRef::Name("t"));
    let partition = &request.topics[0].partitions[0];
    assert_eq!((partition.partition, hex(partition.records.as_ref().unwrap())), (PartitionId(3), "aabb".to_owned()));
    let records = partition.records.as_ref().unwrap();
    assert_eq!(records.as_ptr(), body[body.len() - 2..].as_ptr(), "records are a slice of the body");
}

/// A fetch answer of ours and the same of the crate's, with everything that the version has.
fn fetch_answers(version: i16) -> (fetch::FetchResponse<'static, Bytes>, CrateFetchResponse) {
    const ENDPOINTS: &[NodeEndpoint<'static>] =
        &[NodeEndpoint { node: NodeId(3), host: "broker-3.example", port: 9092, rack: Some("r1") }];
    let mut read = fetch::PartitionResponse::failed(PartitionId(0), ErrorCode::NONE);
    read.high_watermark = Offset(100);
    read.last_stable_offset = Offset(90);
    read.log_start = if version >= 5 { Offset(3) } else { Offset::NONE };
    read.aborted_transactions = Some(vec![
        fetch::AbortedTransaction { producer_id: ProducerId(7), first_offset: Offset(50) },
        fetch::AbortedTransaction { producer_id: ProducerId(1 << 40), first_offset: Offset(51) },
    ]);
    read.records = Some(Bytes::from(vec![0xab; 300]));
    let mut elsewhere = fetch::PartitionResponse::failed(PartitionId(1), ErrorCode::NOT_LEADER_OR_FOLLOWER);
    let mut diverged = fetch::PartitionResponse::failed(PartitionId(2), ErrorCode::NONE);
    diverged.aborted_transactions = Some(vec![]);
    diverged.records = Some(Bytes::new());
    let mut last = fetch::PartitionResponse::failed(PartitionId(3), ErrorCode::NONE);
    last.records = Some(Bytes::from_static(b"x"));
    if version >= 11 {
        last.preferred_read_replica = Some(NodeId(5));
    }
    if version >= 12 {
        elsewhere.current_leader = Some(CurrentLeader { leader: NodeId(3), epoch: LeaderEpoch(9) });
        diverged.diverging_epoch = Some((LeaderEpoch(4), Offset(40)));
        last.diverging_epoch = Some((LeaderEpoch(5), Offset(41)));
        last.current_leader = Some(CurrentLeader { leader: NodeId(-1), epoch: LeaderEpoch(10) });
        last.snapshot_id = Some((Offset(42), LeaderEpoch(6)));
    }
    let partitions = vec![read, elsewhere, diverged, last];
    let theirs = partitions.iter().map(|p| {
        let mut theirs = crate_fetch::PartitionData::default()
            .with_partition_index(p.partition.0)
            .with_error_code(p.error.0)
            .with_high_watermark(p.high_watermark.0)
            .with_last_stable_offset(p.last_stable_offset.0)
            .with_log_start_offset(p.log_start.0)
            .with_preferred_read_replica(p.preferred_read_replica.map_or(-1, |replica| replica.0).into())
            .with_records(Some(p.records.clone().unwrap_or_default()))
            .with_aborted_transactions(p.aborted_transactions.as_ref().map(|aborted| {
                let theirs = aborted.iter().map(|transaction| {
                    crate_fetch::AbortedTransaction::default()
                        .with_producer_id(transaction.producer_id.0.into())
                        .with_first_offset(transaction.first_offset.0)
                });
                theirs.collect()
            }));
        if let Some((epoch, end)) = p.diverging_epoch {
            let epoch = crate_fetch::EpochEndOffset::default().with_epoch(epoch.0).with_end_offset(end.0);
            theirs = theirs.with_diverging_epoch(epoch);
        }
        if let Some(CurrentLeader { leader, epoch }) = p.current_leader {
            let leader =
                crate_fetch::LeaderIdAndEpoch::default().with_leader_id(leader.0.into()).with_leader_epoch(epoch.0);
            theirs = theirs.with_current_leader(leader);
        }
        if let Some((end, epoch)) = p.snapshot_id {
            theirs =
                theirs.with_snapshot_id(crate_fetch::SnapshotId::default().with_end_offset(end.0).with_epoch(epoch.0));
        }
        theirs
    });
    let topic = |partitions: Vec<crate_fetch::PartitionData>, name: &'static str, id: Uuid| {
        let topic = crate_fetch::FetchableTopicResponse::default().with_partitions(partitions);
        if version >= 13 { topic.with_topic_id(id) } else { topic.with_topic(StrBytes::from(name).into()) }
    };
    let mut answer = CrateFetchResponse::default()
        .with_throttle_time_ms(5)
        .with_responses(vec![topic(theirs.collect(), "topic", ID), topic(vec![], "", Uuid::nil())]);
    if version >= 7 {
        answer = answer.with_error_code(70).with_session_id(99);
    }
    if version >= 16 {
        let endpoint = crate_fetch::NodeEndpoint::default()
            .with_node_id(3.into())
            .with_host(StrBytes::from("broker-3.example"))
            .with_port(9092)
            .with_rack(Some(StrBytes::from("r1")));
        answer = answer.with_node_endpoints(vec![endpoint]);
    }
    let (first, second) = topics(version);
    let ours = fetch::FetchResponse {
        throttle_time_ms: 5,
        error: ErrorCode(if version >= 7 { 70 } else { 0 }),
        session_id: if version >= 7 { 99 } else { 0 },
        topics: [
            fetch::TopicResponse { topic: first, partitions },
            fetch::TopicResponse { topic: second, partitions: vec![] },
        ]
        .into_iter()
        .collect(),
        node_endpoints: if version >= 16 { ENDPOINTS } else { &[] },
    };
    (ours, answer)
}

#[test]
fn fetch_answers_are_the_crates_bytes_in_every_version_and_their_records_are_not_copied() {
    for version in fetch::MIN_VERSION..=fetch::MAX_VERSION {
        let (ours, theirs) = fetch_answers(version);
        let records = ours.topics[0].partitions[0].records.clone().unwrap();
        let mut out = BytesMut::new();
        let parts = fetch::encode_response(&mut out, version, 0x0a0b_0c0d, ours).unwrap();
        assert!(out.is_empty());
        let mut whole = Vec::new();
        let mut seen = Vec::new();
        for part in &parts.parts {
            match part {
                fetch::Part::Head(bytes) => whole.extend_from_slice(bytes),
                fetch::Part::Records(bytes) => {
                    seen.push(bytes.as_ptr());
                    whole.extend_from_slice(bytes);
                }
            }
        }
        assert_eq!(hex(&whole), hex(&response(1, version, 0x0a0b_0c0d, &theirs).unwrap()), "v{version}");
        assert_eq!(parts.size, whole.len());
        assert_eq!((seen[0], seen.len()), (records.as_ptr(), 2), "empty records are no part");
    }
}

#[test]
fn a_topic_named_in_the_wrong_way_for_the_version_is_not_written() {
    let (mut ours, _) = produce_answers(12);
    ours.topics[0].topic = TopicRef::Id(TopicId(ID));
    let mut out = BytesMut::from(&b"before"[..]);
    let error = produce::encode_response(&mut out, 12, 1, &ours).unwrap_err();
    assert!(error.to_string().starts_with("Produce response version 12: "), "{error}");
    assert_eq!(&out[..], b"before", "nothing of the failed answer is left");
}

/// `cargo test --release --test wire_golden -- --ignored --nocapture speed`
#[test]
#[ignore = "prints times, which mean something in a release build only"]
fn the_speed_of_the_hot_codecs() {
    let time = |what: &str, work: &mut dyn FnMut()| {
        let mut best = u128::MAX;
        for _ in 0..20 {
            let start = std::time::Instant::now();
            (0..10_000).for_each(|_| work());
            best = best.min(start.elapsed().as_nanos());
        }
        println!("{what}: {} ns", best / 10_000);
    };
    let records = Bytes::from(vec![7u8; 1 << 20]);
    let mut one = unhex("00 ffff 000007d0 02 06 746f706963 02 00000000");
    common::uvarint(&mut one, records.len() as u32 + 1);
    one.extend_from_slice(&records);
    one.extend_from_slice(&[0, 0, 0]);
    let mut hundred = unhex("00 ffff 000007d0 02 06 746f706963 65");
    for partition in 0..100u32 {
        hundred.extend_from_slice(&partition.to_be_bytes());
        common::uvarint(&mut hundred, 1025);
        hundred.extend_from_slice(&records[..1024]);
        hundred.push(0);
    }
    hundred.extend_from_slice(&[0, 0]);
    // As the frame codec gives them: shared slices of a read buffer.
    let shared = |bytes: &[u8]| {
        let mut buffer = BytesMut::from(bytes);
        let body = buffer.split_to(bytes.len()).freeze();
        (buffer, body)
    };
    let (_keep_one, one) = shared(&one);
    let (_keep_hundred, hundred) = shared(&hundred);
    time("produce v9 parse, 1 topic x 1 partition x 1 MiB", &mut || {
        std::hint::black_box(produce::parse(9, std::hint::black_box(&one)).unwrap());
    });
    time("produce v9 parse, 1 topic x 100 partitions x 1 KiB", &mut || {
        std::hint::black_box(produce::parse(9, std::hint::black_box(&hundred)).unwrap());
    });
    let partition = produce::PartitionResponse::appended(PartitionId(0), Offset(1), TimestampMs::NONE, Offset(0));
    let topic =
        produce::TopicResponse { topic: TopicRef::Name("topic"), partitions: [partition].into_iter().collect() };
    let answer = produce::ProduceResponse { topics: [topic].into_iter().collect(), ..Default::default() };
    let mut out = BytesMut::with_capacity(1 << 16);
    time("produce v9 answer, 1 x 1", &mut || {
        out.clear();
        produce::encode_response(&mut out, 9, 7, std::hint::black_box(&answer)).unwrap();
    });

    let mut fetch_body = unhex("ffffffff 000001f4 00000001 03200000 00 00000000 ffffffff 02 06 746f706963 33");
    for partition in 0..50u32 {
        fetch_body.extend_from_slice(&partition.to_be_bytes());
        fetch_body.extend_from_slice(&[0; 28]);
        fetch_body.push(0);
    }
    fetch_body.extend_from_slice(&[0, 1, 1, 0]);
    let mut metadata_body = vec![51];
    for topic in 0..50u8 {
        metadata_body.extend_from_slice(&[0; 16]);
        metadata_body.extend_from_slice(&[
            9,
            b't',
            b'o',
            b'p',
            b'i',
            b'c',
            b'-',
            b'0' + topic / 10,
            b'0' + topic % 10,
            0,
        ]);
    }
    metadata_body.extend_from_slice(&[0, 0, 0]);
    time("guard, Fetch v12 x 50 partitions", &mut || {
        std::hint::black_box(guard::check(1, 12, std::hint::black_box(&fetch_body)).unwrap());
    });
    time("guard, Metadata v12 x 50 topics", &mut || {
        std::hint::black_box(guard::check(3, 12, std::hint::black_box(&metadata_body)).unwrap());
    });
    time("fetch v12 parse, 50 partitions", &mut || {
        std::hint::black_box(fetch::parse(12, std::hint::black_box(&fetch_body)).unwrap());
    });
    let (_keep, frame) = shared(&request_frame());
    time("header, Fetch v12", &mut || {
        std::hint::black_box(header::parse(std::hint::black_box(&frame)).unwrap());
    });
    let records = Bytes::from(vec![7u8; 1 << 16]);
    let mut out = BytesMut::with_capacity(1 << 20);
    let mut answer = |count: i32| {
        let partitions = (0..count).map(|partition| {
            let mut read = fetch::PartitionResponse::failed(PartitionId(partition), ErrorCode::NONE);
            read.records = Some(records.clone());
            read
        });
        let topic = fetch::TopicResponse { topic: TopicRef::Name("topic"), partitions: partitions.collect() };
        let answer = fetch::FetchResponse {
            throttle_time_ms: 0,
            error: ErrorCode::NONE,
            session_id: 0,
            topics: [topic].into_iter().collect(),
            node_endpoints: &[],
        };
        out.reserve(8192);
        std::hint::black_box(fetch::encode_response(&mut out, 12, 7, answer).unwrap());
    };
    time("fetch v12 answer built and encoded, 50 x 64 KiB", &mut || answer(50));
    time("fetch v12 answer built and encoded, 1 x 64 KiB", &mut || answer(1));
}

fn request_frame() -> Vec<u8> {
    common::request(1, 12, 2, &[0; 64])
}
