//! What members of share groups get, across connections, locks and deaths of the broker.

use super::code;
use super::common::client::{Client, batch, text};
use super::support::Broker;
use kafka_protocol::messages::initialize_share_group_state_request::{InitializeStateData, PartitionData};
use kafka_protocol::messages::share_acknowledge_request::{
    AcknowledgePartition, AcknowledgeTopic, AcknowledgementBatch,
};
use kafka_protocol::messages::share_fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{
    GroupId, InitializeShareGroupStateRequest, MetadataRequest, ShareAcknowledgeRequest, ShareFetchRequest,
};
use std::thread::sleep;
use std::time::{Duration, Instant};
use uuid::Uuid;

const SETTINGS: &[&str] = &[
    "share.coordinator.state.topic.num.partitions=1",
    "share.coordinator.state.topic.replication.factor=1",
    "share.coordinator.state.topic.min.isr=1",
    "group.share.min.record.lock.duration.ms=1000",
];
const ACCEPT: i8 = 1;

/// A topic `t` with one partition that the group `g` shares from its beginning on.
struct Shared {
    broker: Broker,
    topic: Uuid,
}

impl Shared {
    fn new(more: &[&str]) -> Shared {
        let broker = Broker::with(&[SETTINGS, more].concat());
        let mut client = Client::connect(&broker.bootstrap());
        assert_eq!(client.create_topic("t", 1, &[]), code::NONE);
        let metadata = client.call(12, &MetadataRequest::default().with_topics(None));
        let topic = metadata.topics.iter().find(|t| t.name.as_ref().is_some_and(|name| name.as_str() == "t"));
        let topic = topic.unwrap().topic_id;
        let partition = PartitionData::default().with_state_epoch(1).with_start_offset(0);
        let state = InitializeStateData::default().with_topic_id(topic).with_partitions(vec![partition]);
        let request = InitializeShareGroupStateRequest::default().with_group_id(text("g"));
        let request = request.with_topics(vec![state]);
        let deadline = Instant::now() + Duration::from_secs(30);
        while client.call(0, &request).results[0].partitions[0].error_code != code::NONE {
            assert!(Instant::now() < deadline, "nobody coordinates the state of deliveries");
            // Whoever asks for the coordinator has its topic made.
            let find = kafka_protocol::messages::FindCoordinatorRequest::default().with_key_type(2);
            client.call(6, &find.with_coordinator_keys(vec![text(&format!("g:{}:0", klamm::model::TopicId(topic)))]));
            sleep(Duration::from_millis(20));
        }
        Shared { broker, topic }
    }

    fn produce(&self, values: &[&str]) {
        let answer = Client::connect(&self.broker.bootstrap()).produce("t", 0, &batch(values));
        assert_eq!(answer.error_code, code::NONE);
    }

    fn member(&self, name: &'static str) -> Member {
        Member { client: Client::connect(&self.broker.bootstrap()), topic: self.topic, name, epoch: 0 }
    }
}

struct Member {
    client: Client,
    topic: Uuid,
    name: &'static str,
    epoch: i32,
}

impl Member {
    fn request(&mut self, max_wait_ms: i32) -> ShareFetchRequest {
        let partitions = vec![FetchPartition::default()];
        let topic = FetchTopic::default().with_topic_id(self.topic).with_partitions(partitions);
        let request = ShareFetchRequest::default()
            .with_group_id(Some(GroupId(text("g"))))
            .with_member_id(Some(text(self.name)))
            .with_share_session_epoch(self.epoch)
            .with_max_wait_ms(max_wait_ms)
            .with_min_bytes(1)
            .with_max_bytes(1 << 20)
            .with_max_records(500)
            .with_batch_size(500)
            .with_topics(vec![topic]);
        self.epoch += 1;
        request
    }

    /// First offset, last offset and delivery count of what it got.
    fn fetch(&mut self, max_wait_ms: i32) -> Vec<(i64, i64, i16)> {
        let request = self.request(max_wait_ms);
        let answer = self.client.call(1, &request);
        assert_eq!(answer.error_code, code::NONE);
        let partitions = answer.responses.iter().flat_map(|topic| &topic.partitions);
        let partitions = partitions.inspect(|partition| assert_eq!(partition.error_code, code::NONE));
        partitions
            .flat_map(|partition| &partition.acquired_records)
            .map(|one| (one.first_offset, one.last_offset, one.delivery_count))
            .collect()
    }

    fn accept(&mut self, first: i64, last: i64) -> i16 {
        let said = AcknowledgementBatch::default()
            .with_first_offset(first)
            .with_last_offset(last)
            .with_acknowledge_types(vec![ACCEPT]);
        let partition = AcknowledgePartition::default().with_acknowledgement_batches(vec![said]);
        let topic = AcknowledgeTopic::default().with_topic_id(self.topic).with_partitions(vec![partition]);
        let request = ShareAcknowledgeRequest::default()
            .with_group_id(Some(GroupId(text("g"))))
            .with_member_id(Some(text(self.name)))
            .with_share_session_epoch(self.epoch)
            .with_topics(vec![topic]);
        self.epoch += 1;
        let answer = self.client.call(1, &request);
        assert_eq!(answer.error_code, code::NONE);
        answer.responses[0].partitions[0].error_code
    }
}

#[test]
fn what_a_member_holds_goes_to_another_when_its_connection_closes() {
    let shared = Shared::new(&[]);
    shared.produce(&["a", "b", "c"]);
    let mut gone = shared.member("gone");
    assert_eq!(gone.fetch(5000), [(0, 2, 1)]);
    assert_eq!(gone.accept(0, 0), code::NONE);
    let mut heir = shared.member("heir");
    assert_eq!(heir.fetch(0), []);
    drop(gone);
    let began = Instant::now();
    assert_eq!(heir.fetch(20_000), [(1, 2, 2)]);
    assert!(began.elapsed() < Duration::from_secs(15), "not before its locks would have ended");
}

#[test]
fn a_fetch_of_a_share_group_waits_for_a_record() {
    let shared = Shared::new(&[]);
    let mut member = shared.member("m");
    assert_eq!(member.fetch(200), []);
    let request = member.request(20_000);
    member.client.send(1, &request);
    member.client.assert_silent(Duration::from_millis(200));
    shared.produce(&["a"]);
    let (_, answer) = member.client.receive::<ShareFetchRequest>(1);
    assert_eq!(answer.responses[0].partitions[0].acquired_records.len(), 1);
}

#[test]
fn who_waits_gets_a_record_whose_lock_ends() {
    let shared = Shared::new(&["group.share.record.lock.duration.ms=1000"]);
    shared.produce(&["a", "b"]);
    let (mut slow, mut other) = (shared.member("slow"), shared.member("other"));
    assert_eq!(slow.fetch(5000), [(0, 1, 1)]);
    let began = Instant::now();
    assert_eq!(other.fetch(20_000), [(0, 1, 2)]);
    assert!(began.elapsed() >= Duration::from_millis(900), "the lock was the slow one's for a second");
    assert_ne!(slow.accept(0, 1), code::NONE, "it is too late");
    assert_eq!(other.accept(0, 1), code::NONE);
}

#[test]
fn after_a_kill_what_was_accepted_does_not_come_again_and_what_was_held_does() {
    let mut shared = Shared::new(&[]);
    shared.produce(&["a", "b", "c", "d"]);
    let mut member = shared.member("m");
    assert_eq!(member.fetch(5000), [(0, 3, 1)]);
    assert_eq!(member.accept(1, 2), code::NONE);
    shared.broker.kill();
    shared.broker.start_again();
    let mut member = shared.member("m");
    assert_eq!(member.fetch(20_000), [(0, 0, 1), (3, 3, 1)], "of a delivery that nobody decided on nothing is known");
    assert_eq!(member.accept(0, 0), code::NONE);
    assert_eq!(member.accept(3, 3), code::NONE);
    shared.produce(&["e"]);
    assert_eq!(member.fetch(5000), [(4, 4, 1)]);
}
