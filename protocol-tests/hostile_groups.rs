//! Hostile members against the real binary: whatever one client makes of the APIs of groups, the broker answers, its memory
//! stays bounded, and another group's member commits, fetches and beats all the while. (`hostile_broker.rs` has the
//! generated requests of these APIs, and lists as long as a megabyte holds.)
#![allow(clippy::unwrap_used)]

mod common;
#[path = "support/broker.rs"]
mod support;

use common::client::{Client, text, topic_name};
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, DeleteGroupsRequest, DescribeGroupsRequest,
    FindCoordinatorRequest, GroupId, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, ListGroupsRequest,
    OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
};
use std::time::{Duration, Instant};
use support::Broker;
use uuid::Uuid;

const MIB: u64 = 1024 * 1024;
/// As in `hostile_broker.rs`.
const GROWTH_MAX: u64 = 128 * MIB;

const MEMBER_ID_REQUIRED: i16 = 79;
const UNKNOWN_MEMBER_ID: i16 = 25;
const ILLEGAL_GENERATION: i16 = 22;
const INVALID_GROUP_ID: i16 = 24;
const INVALID_REQUEST: i16 = 42;

fn group(id: &str) -> GroupId {
    GroupId(text(id))
}

fn join(id: &str, session_ms: i32) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range"));
    JoinGroupRequest::default()
        .with_group_id(group(id))
        .with_session_timeout_ms(session_ms)
        .with_rebalance_timeout_ms(session_ms)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

fn commit(id: &str, topic: &str, partitions: impl Iterator<Item = i32>, offset: i64) -> OffsetCommitRequest {
    let partitions = partitions.map(|number| {
        OffsetCommitRequestPartition::default().with_partition_index(number).with_committed_offset(offset)
    });
    let topic = OffsetCommitRequestTopic::default().with_name(topic_name(topic)).with_partitions(partitions.collect());
    OffsetCommitRequest::default()
        .with_group_id(group(id))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic])
}

fn fetch(id: &str, topic: &str, partitions: Vec<i32>) -> OffsetFetchRequestGroup {
    let topic = OffsetFetchRequestTopics::default().with_name(topic_name(topic)).with_partition_indexes(partitions);
    OffsetFetchRequestGroup::default().with_group_id(group(id)).with_topics(Some(vec![topic]))
}

/// A broker, and a member of a group of its own that minds its business.
struct Scene {
    broker: Broker,
    member: Client,
    member_id: kafka_protocol::protocol::StrBytes,
    generation: i32,
    commits: i64,
    resident: u64,
}

impl Scene {
    fn new() -> Scene {
        let broker = Broker::with(&[
            // Who finds Kafka's short queue of the kernel full tries again a second later.
            "socket.listen.backlog.size=1024",
            "offsets.topic.replication.factor=1",
            "offsets.topic.num.partitions=3",
            "group.initial.rebalance.delay.ms=0",
            "group.min.session.timeout.ms=1000",
        ]);
        let mut member = Client::connect(&broker.bootstrap());
        assert_eq!(member.create_topic("t", 2, &[]), 0);
        let find = FindCoordinatorRequest::default().with_coordinator_keys(vec![text("neighbour")]);
        let begun = Instant::now();
        let joined = loop {
            // The topic is created, then loaded: until then clients are told to ask again (errors 14 to 16).
            if member.call(4, &find).coordinators[0].error_code == 0 {
                let joined = member.call(0, &join("neighbour", 60_000));
                if !(14..=16).contains(&joined.error_code) {
                    break joined;
                }
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "no coordinator");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(joined.error_code, 0);
        let sync = SyncGroupRequest::default()
            .with_group_id(group("neighbour"))
            .with_generation_id(joined.generation_id)
            .with_member_id(joined.member_id.clone());
        assert_eq!(member.call(0, &sync).error_code, 0);
        // And so are the other partitions, where other groups are.
        for id in 0..100 {
            let beat = HeartbeatRequest::default().with_group_id(group(&format!("any-{id}")));
            while member.call(0, &beat).error_code != UNKNOWN_MEMBER_ID {
                assert!(begun.elapsed() < Duration::from_secs(30), "a partition is not there");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let resident = broker.resident();
        let (member_id, generation) = (joined.member_id, joined.generation_id);
        Scene { broker, member, member_id, generation, commits: 0, resident }
    }

    fn client(&self) -> Client {
        Client::connect(&self.broker.bootstrap())
    }

    /// The neighbour is where it was, and the broker holds no more than it may.
    fn check(&mut self, after: &str) {
        let beat = HeartbeatRequest::default()
            .with_group_id(group("neighbour"))
            .with_generation_id(self.generation)
            .with_member_id(self.member_id.clone());
        assert_eq!(self.member.call(0, &beat).error_code, 0, "after {after}");
        self.commits += 1;
        let mut commit = commit("neighbour", "t", 0..1, self.commits).with_member_id(self.member_id.clone());
        commit.generation_id_or_member_epoch = self.generation;
        assert_eq!(self.member.call(8, &commit).topics[0].partitions[0].error_code, 0, "after {after}");
        let fetch = OffsetFetchRequest::default().with_groups(vec![fetch("neighbour", "t", vec![0])]);
        let fetched = self.member.call(8, &fetch).groups.remove(0);
        let offset = fetched.topics[0].partitions[0].committed_offset;
        assert_eq!((fetched.error_code, offset), (0, self.commits), "after {after}");
        let growth = self.broker.resident().saturating_sub(self.resident);
        assert!(growth < GROWTH_MAX, "{} MiB more memory after {after}", growth / MIB);
    }
}

#[test]
fn absurd_ids_and_numbers_are_answered_with_an_error() {
    let mut scene = Scene::new();
    let mut client = scene.client();
    let long = "x".repeat(i16::MAX as usize);
    for id in [long.as_str(), "\u{0}", "../../etc", "💥"] {
        let beat = HeartbeatRequest::default().with_group_id(group(id)).with_member_id(text(id));
        assert_eq!(client.call(4, &beat).error_code, UNKNOWN_MEMBER_ID, "{id:.20}");
        let gone = MemberIdentity::default().with_member_id(text(id)).with_group_instance_id(Some(text(id)));
        let leave = LeaveGroupRequest::default().with_group_id(group(id)).with_members(vec![gone]);
        assert_eq!(client.call(5, &leave).members[0].error_code, UNKNOWN_MEMBER_ID);
        assert_eq!(client.call(9, &join(id, 2000)).error_code, MEMBER_ID_REQUIRED);
        // A member that nobody knows.
        assert_eq!(client.call(9, &join(id, 2000).with_member_id(text(id))).error_code, UNKNOWN_MEMBER_ID);
        assert_eq!(client.call(8, &commit(id, "t", 0..1, 5)).topics[0].partitions[0].error_code, 0);
        let delete = DeleteGroupsRequest::default().with_groups_names(vec![group(id); 1000]);
        assert_eq!(client.call(2, &delete).results.len(), 1);
        scene.check("an absurd id");
    }
    assert_eq!(client.call(9, &join("", 2000)).error_code, INVALID_GROUP_ID);
    for session in [i32::MIN, -1, 0, i32::MAX] {
        assert_ne!(client.call(9, &join("g", session)).error_code, 0, "a session of {session} ms");
    }
    for generation in [i32::MIN, -1, i32::MAX] {
        let beat = HeartbeatRequest::default()
            .with_group_id(group("neighbour"))
            .with_generation_id(generation)
            .with_member_id(scene.member_id.clone());
        assert_eq!(client.call(4, &beat).error_code, ILLEGAL_GENERATION);
    }
    let numbers = [i32::MIN, -1, i32::MAX];
    let committed = client.call(8, &commit("neighbour", "t", numbers.into_iter(), i64::MIN));
    assert!(committed.topics[0].partitions.iter().all(|partition| partition.error_code == 3));
    let whole = OffsetFetchRequest::default().with_groups(vec![fetch("nobody", "t", numbers.to_vec())]);
    assert!(client.call(8, &whole).groups[0].topics[0].partitions.iter().all(|p| p.committed_offset == -1));
    for epoch in [i32::MIN, -3, i32::MAX] {
        let beat = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(group("g"))
            .with_member_id(text("m"))
            .with_member_epoch(epoch)
            .with_rebalance_timeout_ms(i32::MIN);
        assert_ne!(client.call(1, &beat).error_code, 0, "epoch {epoch}");
    }
    assert_eq!(client.call(1, &ConsumerGroupHeartbeatRequest::default()).error_code, INVALID_REQUEST);
    for kind in [i8::MIN, -1, 3, i8::MAX] {
        let find = FindCoordinatorRequest::default().with_key_type(kind).with_coordinator_keys(vec![text("g"); 100]);
        assert!(client.call(6, &find).coordinators.iter().all(|found| found.error_code == INVALID_REQUEST));
    }
    scene.check("absurd numbers");
}

#[test]
fn a_member_with_a_thousand_protocols_and_another_without_any_disturb_their_group_only() {
    let mut scene = Scene::new();
    let mut client = scene.client();
    let protocol = |i: usize| {
        JoinGroupRequestProtocol::default()
            .with_name(text(&format!("protocol-{i}-{}", "p".repeat(200))))
            .with_metadata(vec![0xff; 500].into())
    };
    let many = join("many", 2000).with_protocols((0..1000).map(protocol).collect());
    let joined = client.call(0, &many);
    // It joins, or its record is too large to be written: either is an answer.
    assert!([0, -1].contains(&joined.error_code), "error {}", joined.error_code);
    scene.check("a thousand protocols");
    let none = client.call(0, &join("none", 2000).with_protocols(vec![]));
    assert_ne!(none.error_code, 0);
    // Assignments to members that nobody knows, with bytes that mean nothing.
    let joined = client.call(0, &join("odd", 60_000));
    assert_eq!(joined.error_code, 0);
    let assignment = |i: usize| {
        SyncGroupRequestAssignment::default()
            .with_member_id(text(&format!("nobody-{i}")))
            .with_assignment(vec![0xff; 100].into())
    };
    let sync = SyncGroupRequest::default()
        .with_group_id(group("odd"))
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id)
        .with_assignments((0..20_000).map(assignment).collect());
    assert_eq!(client.call(3, &sync).error_code, 0);
    let described = client.call(5, &DescribeGroupsRequest::default().with_groups(vec![group("odd"), group("many")]));
    assert_eq!(described.groups.len(), 2);
    scene.check("odd assignments");
}

#[test]
fn huge_lists_are_answered_once_for_each_thing_that_they_name() {
    let mut scene = Scene::new();
    let mut client = scene.client();
    let metadata = "m".repeat(4096);
    let mut heavy = commit("heavy", "t", 0..2, 7);
    for partition in &mut heavy.topics[0].partitions {
        partition.committed_metadata = Some(text(&metadata));
    }
    assert!(client.call(8, &heavy).topics[0].partitions.iter().all(|partition| partition.error_code == 0));
    // 4 KiB of metadata, asked for a hundred thousand times.
    let again = OffsetFetchRequest::default().with_groups(vec![fetch("heavy", "t", [0, 1].repeat(50_000))]);
    assert_eq!(client.call(8, &again).groups[0].topics[0].partitions.len(), 2);
    let all = OffsetFetchRequestGroup::default().with_group_id(group("heavy")).with_topics(None);
    let again = OffsetFetchRequest::default().with_groups(vec![all; 10_000]);
    assert_eq!(client.call(8, &again).groups.len(), 1);
    scene.check("offsets asked for again and again");
    let committed = client.call(8, &commit("wide", "t", 0..100_000, 1));
    let stored = committed.topics[0].partitions.iter().filter(|partition| partition.error_code == 0).count();
    assert_eq!((stored, committed.topics[0].partitions.len()), (2, 100_000));
    scene.check("a hundred thousand partitions");
    let described = client.call(6, &DescribeGroupsRequest::default().with_groups(vec![group("neighbour"); 50_000]));
    assert_eq!(described.groups.len(), 1);
    let unknown = (0..10_000).map(|i| group(&format!("nobody-{i}")));
    let described = client.call(6, &DescribeGroupsRequest::default().with_groups(unknown.clone().collect()));
    assert_eq!(described.groups.len(), 10_000);
    let described = client.call(1, &ConsumerGroupDescribeRequest::default().with_group_ids(unknown.collect()));
    assert_eq!(described.groups.len(), 10_000);
    scene.check("ten thousand groups that are not there");
    let topics = (0..50_000).map(|i| topic_name(&format!("no-topic-{i}"))).collect();
    let owned = |i: u128| TopicPartitions::default().with_topic_id(Uuid::from_u128(i)).with_partitions(vec![-1; 10]);
    let beat = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group("huge"))
        .with_member_id(text("m"))
        .with_rebalance_timeout_ms(1000)
        .with_subscribed_topic_names(Some(topics))
        .with_topic_partitions(Some((0..10_000).map(owned).collect()));
    // A member that joins owns nothing.
    assert_eq!(client.call(1, &beat).error_code, INVALID_REQUEST);
    let joined = client.call(1, &beat.with_topic_partitions(Some(vec![])));
    assert!([0, -1].contains(&joined.error_code), "error {}", joined.error_code);
    scene.check("a subscription to fifty thousand topics");
}

#[test]
fn members_that_join_and_vanish_a_thousand_times_hold_their_group_up_until_their_sessions_end() {
    let mut scene = Scene::new();
    for _ in 0..1000 {
        let mut vanishing = scene.client();
        vanishing.send(0, &join("doors", 1000));
    }
    scene.check("a thousand members that vanished");
    let begun = Instant::now();
    let mut honest = scene.client();
    let joined = honest.call(0, &join("doors", 5000));
    assert_eq!(joined.error_code, 0);
    assert!(begun.elapsed() < Duration::from_secs(20), "the honest member waited for {:?}", begun.elapsed());
    // And members that speak the other protocol.
    for i in 0..1000 {
        let mut vanishing = scene.client();
        let beat = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(group("new doors"))
            .with_member_id(text(&format!("m-{i}")))
            .with_rebalance_timeout_ms(1000)
            .with_subscribed_topic_names(Some(vec![topic_name("t")]))
            .with_topic_partitions(Some(vec![]));
        vanishing.send(1, &beat);
    }
    scene.check("a thousand members of a consumer group that vanished");
}

#[test]
fn a_member_that_waits_to_join_holds_back_its_own_connection_only() {
    let mut scene = Scene::new();
    let mut first = scene.client();
    let joined = first.call(0, &join("pair", 5000));
    assert_eq!(joined.error_code, 0);
    // The second waits for the first to join again; what it sends meanwhile is answered after that, in order.
    let mut second = scene.client();
    second.send(0, &join("pair", 5000));
    second.send(4, &ListGroupsRequest::default());
    second.assert_silent(Duration::from_millis(300));
    scene.check("a member that waits");
    let again = join("pair", 5000).with_member_id(joined.member_id);
    let joined = first.call(0, &again);
    assert_eq!((joined.error_code, joined.members.len()), (0, 2));
    assert_eq!(second.receive::<JoinGroupRequest>(0).1.error_code, 0);
    let listed = second.receive::<ListGroupsRequest>(4).1;
    assert!(listed.groups.iter().any(|listed| listed.group_id.as_str() == "pair"));
}

#[test]
fn members_that_wait_for_ever_with_large_requests_keep_no_memory_from_others() {
    let mut scene = Scene::new();
    let mut first = scene.client();
    assert_eq!(first.call(0, &join("stuck", 600_000)).error_code, 0);
    let protocol = |i: usize| JoinGroupRequestProtocol::default().with_name(text(&format!("p{i}")));
    let large = join("stuck", 600_000);
    let protocols = large.protocols.iter().cloned().chain((0..4000).map(protocol)).collect();
    let large = large.with_protocols(protocols);
    // More than is kept for all decoded requests; each waits ten minutes for the first member, which does not come.
    let mut waiting = Vec::new();
    for _ in 0..100 {
        let mut client = scene.client();
        client.send(0, &large);
        waiting.push(client);
    }
    for client in waiting.iter_mut().take(2) {
        client.assert_silent(Duration::from_millis(200));
    }
    let mut other = scene.client();
    let committed = other.call(8, &commit("wide", "t", 0..50_000, 1));
    assert_eq!(committed.topics[0].partitions.len(), 50_000);
    scene.check("a hundred large members that wait");
}
