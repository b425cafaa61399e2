//! Transactions request by request, in both protocols: what each of them may do next, and what it is told if it may not.
//! (`rdkafka_transactions.rs` has a producer that does everything right.)
#![allow(clippy::unwrap_used)]

mod common;
#[path = "support/broker.rs"]
mod support;

use bytes::Bytes;
use common::client::{Client, text, topic_name};
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, DescribeTransactionsRequest, EndTxnRequest, FindCoordinatorRequest, GroupId,
    InitProducerIdRequest, ProduceRequest, ProducerId, TransactionalId, TxnOffsetCommitRequest,
};
use klamm::model::{self, Offset, ProducerEpoch, Sequence, TimestampMs};
use klamm::record::BatchBuilder;
use std::time::{Duration, Instant};
use support::Broker;

const TOPIC: &str = "ledger";

const NONE: i16 = 0;
const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
const INVALID_PRODUCER_EPOCH: i16 = 47;
const INVALID_TXN_STATE: i16 = 48;
const INVALID_PRODUCER_ID_MAPPING: i16 = 49;
const CONCURRENT_TRANSACTIONS: i16 = 51;
const TRANSACTIONAL_ID_AUTHORIZATION_FAILED: i16 = 53;
const OPERATION_NOT_ATTEMPTED: i16 = 55;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const PRODUCER_FENCED: i16 = 90;
const TRANSACTION_ABORTABLE: i16 = 120;

/// A broker, a client, and the producer that it plays.
struct Scene {
    _broker: Broker,
    client: Client,
    id: i64,
    epoch: i16,
    sequence: i32,
}

fn transactional_id() -> TransactionalId {
    TransactionalId(text("app"))
}

impl Scene {
    fn new() -> Scene {
        Scene::with(&[])
    }

    /// Nothing counts before it is on the disk, so the coordinators take their time.
    fn slow() -> Scene {
        Scene::with(&["log.flush.interval.messages=1"])
    }

    fn with(settings: &[&str]) -> Scene {
        let few = ["offsets.topic.num.partitions=1", "transaction.state.log.num.partitions=1"];
        let broker = Broker::with(&[&few, settings].concat());
        let mut client = Client::connect(&broker.bootstrap());
        assert_eq!(client.create_topic(TOPIC, 2, &[]), NONE);
        for (kind, key) in [(0, "g"), (1, "app")] {
            let find = FindCoordinatorRequest::default().with_key_type(kind).with_coordinator_keys(vec![text(key)]);
            let deadline = Instant::now() + Duration::from_secs(30);
            while client.call(4, &find).coordinators[0].error_code != NONE {
                assert!(Instant::now() < deadline, "no coordinator of {key}");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let mut scene = Scene { _broker: broker, client, id: -1, epoch: -1, sequence: 0 };
        let deadline = Instant::now() + Duration::from_secs(30);
        while scene.init() != NONE {
            assert!(Instant::now() < deadline, "no producer id");
            std::thread::sleep(Duration::from_millis(10));
        }
        scene
    }

    fn init(&mut self) -> i16 {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(transactional_id()))
            .with_transaction_timeout_ms(60_000);
        let answer = self.client.call(4, &request);
        if answer.error_code == NONE {
            (self.id, self.epoch, self.sequence) = (answer.producer_id.0, answer.producer_epoch, 0);
        }
        answer.error_code
    }

    fn batch(&self, value: &str) -> Bytes {
        let producer = (model::ProducerId(self.id), ProducerEpoch(self.epoch), Sequence(self.sequence));
        let mut batch = BatchBuilder::new(Offset::ZERO).producer(producer.0, producer.1, producer.2).transactional();
        batch.push(TimestampMs(1), None, Some(value.as_bytes()), &[]);
        batch.build().unwrap()
    }

    /// Error and text of one record to one partition.
    fn produce(&mut self, version: i16, partition: i32) -> (i16, String) {
        self.produce_as(version, partition, Some(transactional_id()))
    }

    fn produce_as(&mut self, version: i16, partition: i32, id: Option<TransactionalId>) -> (i16, String) {
        let data = PartitionProduceData::default().with_index(partition).with_records(Some(self.batch("x")));
        let topic = TopicProduceData::default().with_name(topic_name(TOPIC)).with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_transactional_id(id)
            .with_acks(-1)
            .with_timeout_ms(10_000)
            .with_topic_data(vec![topic]);
        let mut answer = self.client.call(version, &request);
        let answer = answer.responses.remove(0).partition_responses.remove(0);
        if answer.error_code == NONE {
            self.sequence += 1;
        }
        (answer.error_code, answer.error_message.map(|text| text.to_string()).unwrap_or_default())
    }

    fn add(&mut self, version: i16, partitions: &[i32]) -> Vec<i16> {
        let topic =
            AddPartitionsToTxnTopic::default().with_name(topic_name(TOPIC)).with_partitions(partitions.to_vec());
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(transactional_id())
            .with_v3_and_below_producer_id(ProducerId(self.id))
            .with_v3_and_below_producer_epoch(self.epoch)
            .with_v3_and_below_topics(vec![topic]);
        let answer = self.client.call(version, &request);
        answer.results_by_topic_v3_and_below[0].results_by_partition.iter().map(|p| p.partition_error_code).collect()
    }

    fn end_at(&mut self, version: i16, epoch: i16, commit: bool) -> (i16, i64, i16) {
        let request = EndTxnRequest::default()
            .with_transactional_id(transactional_id())
            .with_producer_id(ProducerId(self.id))
            .with_producer_epoch(epoch)
            .with_committed(commit);
        let answer = self.client.call(version, &request);
        (answer.error_code, answer.producer_id.0, answer.producer_epoch)
    }

    /// As the newer protocol has it: goes on with what the answer gives.
    fn end(&mut self, commit: bool) {
        let (error, id, epoch) = self.end_at(5, self.epoch, commit);
        assert_eq!((error, id, epoch), (NONE, self.id, self.epoch + 1));
        (self.epoch, self.sequence) = (epoch, 0);
    }

    fn commit_offset(&mut self, version: i16, offset: i64) -> i16 {
        let partition =
            TxnOffsetCommitRequestPartition::default().with_committed_offset(offset).with_committed_leader_epoch(-1);
        let topic =
            TxnOffsetCommitRequestTopic::default().with_name(topic_name(TOPIC)).with_partitions(vec![partition]);
        let mut request = TxnOffsetCommitRequest::default()
            .with_transactional_id(transactional_id())
            .with_group_id(GroupId(text("g")))
            .with_producer_id(ProducerId(self.id))
            .with_producer_epoch(self.epoch)
            .with_topics(vec![topic]);
        if version >= 3 {
            request = request.with_generation_id(-1);
        }
        self.client.call(version, &request).topics[0].partitions[0].error_code
    }

    fn state(&mut self) -> (String, usize) {
        let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![transactional_id()]);
        let state = self.client.call(0, &request).transaction_states.remove(0);
        (state.transaction_state.to_string(), state.topics.iter().map(|topic| topic.partitions.len()).sum())
    }
}

#[test]
fn what_is_written_joins_the_transaction_by_itself_in_the_newer_protocol() {
    let mut scene = Scene::new();
    for round in 0..3 {
        assert_eq!(scene.epoch, round);
        assert_eq!(scene.produce(12, 0).0, NONE);
        assert_eq!(scene.produce(12, 0).0, NONE);
        assert_eq!(scene.state(), ("Ongoing".into(), 1));
        assert_eq!(scene.commit_offset(5, 1), NONE);
        assert_eq!(scene.state(), ("Ongoing".into(), 2));
        scene.end(round != 1);
        let name = if round == 1 { "CompleteAbort" } else { "CompleteCommit" };
        assert_eq!(scene.state(), (name.into(), 0));
    }
}

#[test]
fn the_next_transaction_begins_at_once() {
    for mut scene in [Scene::new(), Scene::slow()] {
        transactions_in_a_row(&mut scene);
    }
}

fn transactions_in_a_row(scene: &mut Scene) {
    // No request between two transactions finds the one before undecided.
    for _ in 0..50 {
        assert_eq!(scene.produce(12, 0).0, NONE);
        scene.end(true);
        assert_eq!(scene.add(3, &[0]), [NONE]);
        assert_eq!(scene.end_at(1, scene.epoch, true).0, NONE);
    }
}

#[test]
fn in_the_older_protocol_a_partition_has_to_be_added_first() {
    let mut scene = Scene::new();
    let told = "Partition was not added to the transaction".to_owned();
    assert_eq!(scene.produce(9, 0), (INVALID_TXN_STATE, told));
    assert_eq!(scene.produce(11, 0).0, TRANSACTION_ABORTABLE);
    assert_eq!(scene.commit_offset(3, 1), INVALID_TXN_STATE);
    assert_eq!(scene.commit_offset(4, 1), TRANSACTION_ABORTABLE);
    assert_eq!(scene.add(0, &[0, 7]), [OPERATION_NOT_ATTEMPTED, UNKNOWN_TOPIC_OR_PARTITION]);
    assert_eq!(scene.produce(9, 0).0, INVALID_TXN_STATE);
    assert_eq!(scene.add(0, &[0]), [NONE]);
    assert_eq!(scene.produce(9, 0).0, NONE);
    // The other one is not.
    assert_eq!(scene.produce(9, 1).0, INVALID_TXN_STATE);
    assert_eq!(scene.end_at(1, scene.epoch, true), (NONE, -1, -1));
    // What was added was added for that transaction only.
    assert_eq!(scene.produce(9, 0).0, INVALID_TXN_STATE);
}

#[test]
fn the_end_of_a_transaction_may_be_asked_for_again_but_not_changed() {
    let mut scene = Scene::new();
    assert_eq!(scene.end_at(1, 0, true).0, INVALID_TXN_STATE);
    assert_eq!(scene.produce(12, 0).0, NONE);
    assert_eq!(scene.end_at(5, 0, true), (NONE, scene.id, 1));
    assert_eq!(scene.end_at(5, 0, true), (NONE, scene.id, 1));
    assert_eq!(scene.end_at(5, 0, false), (INVALID_TXN_STATE, -1, -1));
    assert_eq!(scene.end_at(5, 1, true).0, INVALID_TXN_STATE);
    // A producer that does not know whether it has begun anything may abort it.
    assert_eq!(scene.end_at(5, 1, false), (NONE, scene.id, 2));
    assert_eq!(scene.end_at(5, 0, true).0, PRODUCER_FENCED);
    assert_eq!(scene.end_at(1, 0, true).0, INVALID_PRODUCER_EPOCH);
    assert_eq!(scene.end_at(2, 0, true).0, PRODUCER_FENCED);
    scene.id += 1;
    assert_eq!(scene.end_at(5, 2, true).0, INVALID_PRODUCER_ID_MAPPING);
}

#[test]
fn a_producer_that_comes_again_ends_what_the_one_before_began() {
    let mut scene = Scene::new();
    assert_eq!(scene.produce(12, 0).0, NONE);
    assert_eq!(scene.init(), CONCURRENT_TRANSACTIONS);
    let deadline = Instant::now() + Duration::from_secs(30);
    while scene.init() != NONE {
        assert!(Instant::now() < deadline, "the transaction is not aborted");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(scene.epoch, 2);
    let epoch = scene.epoch;
    for older in [0, 1] {
        scene.epoch = older;
        assert_eq!(scene.produce(12, 0).0, INVALID_PRODUCER_EPOCH);
        assert_eq!(scene.produce(12, 1).0, INVALID_PRODUCER_EPOCH);
        assert_eq!(scene.commit_offset(5, 1), INVALID_PRODUCER_EPOCH);
        assert_eq!((scene.add(1, &[0]), scene.add(2, &[0])), (vec![INVALID_PRODUCER_EPOCH], vec![PRODUCER_FENCED]));
    }
    scene.epoch = epoch;
    assert_eq!(scene.produce(12, 0).0, NONE);
    scene.end(true);
}

#[test]
fn a_transaction_that_nobody_began_is_refused() {
    let mut scene = Scene::new();
    assert_eq!(scene.produce_as(12, 0, None).0, TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    assert_eq!(scene.produce_as(12, 0, Some(TransactionalId(text("other")))).0, INVALID_PRODUCER_ID_MAPPING);
    // A producer whose epoch is its transaction's begins each at 0.
    scene.sequence = 3;
    assert_eq!(scene.produce(12, 0).0, OUT_OF_ORDER_SEQUENCE_NUMBER);
    scene.id += 1000;
    assert_eq!(scene.produce(12, 0).0, INVALID_PRODUCER_ID_MAPPING);
}

#[test]
fn requests_that_are_sent_together_are_answered_in_their_order() {
    for mut scene in [Scene::new(), Scene::slow()] {
        requests_together(&mut scene);
    }
}

fn requests_together(scene: &mut Scene) {
    let records = |scene: &mut Scene| {
        let data = PartitionProduceData::default().with_records(Some(scene.batch("x")));
        scene.sequence += 1;
        let topic = TopicProduceData::default().with_name(topic_name(TOPIC)).with_partition_data(vec![data]);
        ProduceRequest::default()
            .with_transactional_id(Some(transactional_id()))
            .with_acks(-1)
            .with_timeout_ms(10_000)
            .with_topic_data(vec![topic])
    };
    for _ in 0..20 {
        let mut all = Vec::new();
        for _ in 0..5 {
            let request = records(scene);
            all.extend(scene.client.frame(12, &request).1);
        }
        let end = EndTxnRequest::default()
            .with_transactional_id(transactional_id())
            .with_producer_id(ProducerId(scene.id))
            .with_producer_epoch(scene.epoch)
            .with_committed(true);
        all.extend(scene.client.frame(5, &end).1);
        scene.client.send_bytes(&all);
        for _ in 0..5 {
            let (_, mut answer) = scene.client.receive::<ProduceRequest>(12);
            assert_eq!(answer.responses.remove(0).partition_responses.remove(0).error_code, NONE);
        }
        let (_, answer) = scene.client.receive::<EndTxnRequest>(5);
        assert_eq!(answer.error_code, NONE);
        (scene.epoch, scene.sequence) = (answer.producer_epoch, 0);
    }
}
