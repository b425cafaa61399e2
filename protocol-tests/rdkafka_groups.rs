//! Consumer groups through the `rdkafka` crate, with both protocols: members share, one takes over from another, and what
//! was committed is there after a restart.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::{Broker, PATIENCE, client, text};

const TOPIC: &str = "shared";
const PARTITIONS: i32 = 4;
const CLASSIC: &str = "classic";
const CONSUMER: &str = "consumer";

/// After so long a member that is silent is out of its group.
const SESSION: Duration = Duration::from_secs(3);

/// Groups whose members come and go quickly.
fn broker() -> Broker {
    Broker::with(&[
        "num.partitions=4",
        "offsets.topic.num.partitions=5",
        "offsets.topic.replication.factor=1",
        "group.initial.rebalance.delay.ms=0",
        "group.min.session.timeout.ms=1000",
        "group.consumer.min.session.timeout.ms=1000",
        "group.consumer.session.timeout.ms=3000",
        "group.consumer.min.heartbeat.interval.ms=100",
        "group.consumer.heartbeat.interval.ms=300",
    ])
}

fn member_of(bootstrap: &str, group: &str, protocol: &str) -> BaseConsumer {
    let mut config = rdkafka::ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("group.id", group)
        .set("group.protocol", protocol)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "200")
        .set("log_level", "0");
    if protocol == CLASSIC {
        config.set("session.timeout.ms", "3000").set("heartbeat.interval.ms", "300");
    }
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&[TOPIC]).unwrap();
    consumer
}

fn member(broker: &Broker, group: &str, protocol: &str) -> BaseConsumer {
    member_of(&broker.bootstrap(), group, protocol)
}

fn assigned(consumer: &BaseConsumer) -> BTreeSet<i32> {
    consumer.assignment().unwrap().elements().iter().map(|element| element.partition()).collect()
}

/// Polls the members until `done` says so of their assignments; everything that was read on the way.
fn poll_until(members: &[&BaseConsumer], what: &str, done: impl Fn(&[BTreeSet<i32>]) -> bool) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut read = Vec::new();
    loop {
        for member in members {
            read.extend(poll(member, Duration::from_millis(20)));
        }
        let shares: Vec<_> = members.iter().map(|member| assigned(member)).collect();
        if done(&shares) {
            return read;
        }
        assert!(Instant::now() < deadline, "{what}: {shares:?} after {PATIENCE:?}");
    }
}

/// One record's value. Errors of a connection that is cut pass.
fn poll(member: &BaseConsumer, wait: Duration) -> Option<String> {
    match member.poll(wait)? {
        Ok(record) => Some(text(&record.detach())),
        Err(error) => {
            let code = error.rdkafka_error_code();
            assert_ne!(code, Some(RDKafkaErrorCode::Fatal), "{error}");
            None
        }
    }
}

fn all() -> BTreeSet<i32> {
    (0..PARTITIONS).collect()
}

fn everything_is_assigned_once(shares: &[BTreeSet<i32>]) -> bool {
    let each = usize::try_from(PARTITIONS).unwrap() / shares.len();
    shares.iter().all(|share| share.len() == each) && shares.iter().flatten().copied().collect::<BTreeSet<_>>() == all()
}

/// Reads until everything wanted has come once; more of it is a fault.
fn read(members: &[&BaseConsumer], mut read: Vec<String>, wanted: &BTreeSet<String>) {
    let deadline = Instant::now() + PATIENCE;
    while read.len() < wanted.len() {
        assert!(Instant::now() < deadline, "{} of {} records came", read.len(), wanted.len());
        for member in members {
            read.extend(poll(member, Duration::from_millis(20)));
        }
    }
    let once: BTreeSet<String> = read.iter().cloned().collect();
    assert_eq!((&once, read.len()), (wanted, wanted.len()), "a record came twice or not at all");
}

/// Writes `count` records to every partition.
async fn write(broker: &Broker, name: &str, count: usize) -> BTreeSet<String> {
    let producer: FutureProducer = client(broker).create().unwrap();
    let mut written = BTreeSet::new();
    for partition in 0..PARTITIONS {
        for n in 0..count {
            let value = format!("{name} {partition} {n}");
            let record = FutureRecord::<str, str>::to(TOPIC).partition(partition).payload(&value);
            producer.send(record, PATIENCE).await.unwrap();
            written.insert(value);
        }
    }
    written
}

async fn two_share_and_one_leaves(protocol: &str) {
    let broker = broker();
    let first = write(&broker, "first", 5).await;
    let stays = member(&broker, "g", protocol);
    let mut seen = poll_until(&[&stays], "a member alone has everything", |shares| shares[0] == all());
    // Whoever gets a partition must begin where the other has ended: the other comes once all is read.
    let deadline = Instant::now() + PATIENCE;
    while seen.len() < first.len() {
        assert!(Instant::now() < deadline, "{} of {} records came", seen.len(), first.len());
        seen.extend(poll(&stays, Duration::from_millis(100)));
    }
    stays.commit_consumer_state(CommitMode::Sync).unwrap();
    let leaves = member(&broker, "g", protocol);
    let more = poll_until(&[&stays, &leaves], "two members have a half each", everything_is_assigned_once);
    assert_eq!(more, Vec::<String>::new(), "nothing is read again after a commit");
    let second = write(&broker, "second", 5).await;
    read(&[&stays, &leaves], Vec::new(), &second);
    for member in [&stays, &leaves] {
        member.commit_consumer_state(CommitMode::Sync).unwrap();
    }
    let begun = Instant::now();
    drop(leaves);
    poll_until(&[&stays], "the one that stays has everything", |shares| shares[0] == all());
    assert!(begun.elapsed() < SESSION, "a member that leaves is not waited for: {:?}", begun.elapsed());
    let third = write(&broker, "third", 5).await;
    read(&[&stays], Vec::new(), &third);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_classic_members_share_and_one_takes_over_when_the_other_leaves() {
    two_share_and_one_leaves(CLASSIC).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_of_a_consumer_group_share_and_one_takes_over_when_the_other_leaves() {
    two_share_and_one_leaves(CONSUMER).await;
}

const CHILD: &str = "KLAMM_TEST_MEMBER";

/// Not a test of its own: as a child process it is the member that is killed.
#[test]
fn a_member_in_a_process_of_its_own() {
    let Ok(order) = std::env::var(CHILD) else { return };
    let mut words = order.split(' ');
    let (bootstrap, protocol) = (words.next().unwrap(), words.next().unwrap());
    let member = member_of(bootstrap, "g", protocol);
    loop {
        poll(&member, Duration::from_millis(50));
    }
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail when the process has ended, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn one_is_killed(protocol: &str) {
    let broker = broker();
    write(&broker, "first", 1).await;
    let stays = member(&broker, "g", protocol);
    poll_until(&[&stays], "a member alone has everything", |shares| shares[0] == all());
    let other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_member_in_a_process_of_its_own", "--nocapture"])
        .env(CHILD, format!("{} {protocol}", broker.bootstrap()))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let other = Process(other);
    poll_until(&[&stays], "the other has its half", |shares| shares[0].len() == 2);
    // Its heartbeats come every 300 ms, so it is not on its way out.
    let settled = Instant::now();
    while settled.elapsed() < 2 * SESSION {
        poll(&stays, Duration::from_millis(50));
        assert_eq!(assigned(&stays).len(), 2, "a member that sends heartbeats keeps its half");
    }
    let begun = Instant::now();
    drop(other);
    poll_until(&[&stays], "the one that lives has everything", |shares| shares[0] == all());
    let took = begun.elapsed();
    assert!((SESSION / 2..4 * SESSION).contains(&took), "a session of {SESSION:?} ended after {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_classic_member_that_is_killed_is_replaced_after_its_session() {
    one_is_killed(CLASSIC).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_a_consumer_group_that_is_killed_is_replaced_after_its_session() {
    one_is_killed(CONSUMER).await;
}

/// What the group has committed, as somebody outside of it sees it.
fn committed(broker: &Broker, group: &str) -> BTreeMap<i32, i64> {
    let reader: BaseConsumer = client(broker).set("group.id", group).create().unwrap();
    let mut asked = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        asked.add_partition(TOPIC, partition);
    }
    let answer = reader.committed_offsets(asked, PATIENCE).unwrap();
    let offset = |offset| if let Offset::Offset(at) = offset { at } else { -1 };
    answer.elements().iter().map(|element| (element.partition(), offset(element.offset()))).collect()
}

async fn commits_survive_a_restart(protocol: &str) {
    let mut broker = broker();
    let first = write(&broker, "first", 5).await;
    let group = format!("kept-{protocol}");
    let survivor = member(&broker, &group, protocol);
    read(&[&survivor], Vec::new(), &first);
    survivor.commit_consumer_state(CommitMode::Sync).unwrap();
    let before = committed(&broker, &group);
    assert_eq!(before, (0..PARTITIONS).map(|partition| (partition, 5)).collect());

    broker.stop();
    broker.start_again();
    assert_eq!(committed(&broker, &group), before);
    // The member was there all the time, and goes on.
    let second = write(&broker, "second", 3).await;
    read(&[&survivor], Vec::new(), &second);
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = survivor.commit_consumer_state(CommitMode::Sync) {
        assert!(Instant::now() < deadline, "the member cannot commit after the restart: {error}");
        poll(&survivor, Duration::from_millis(50));
    }
    drop(survivor);

    broker.stop();
    broker.start_again();
    let third = write(&broker, "third", 2).await;
    read(&[&member(&broker, &group, protocol)], Vec::new(), &third);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_classic_group_committed_survives_a_restart_and_its_member_goes_on() {
    commits_survive_a_restart(CLASSIC).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_consumer_group_committed_survives_a_restart_and_its_member_goes_on() {
    commits_survive_a_restart(CONSUMER).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_waits_for_a_rebalance_does_not_keep_the_broker_from_stopping() {
    let mut broker = Broker::with(&[
        "num.partitions=4",
        "offsets.topic.replication.factor=1",
        "group.initial.rebalance.delay.ms=600000",
        "group.min.session.timeout.ms=1000",
    ]);
    write(&broker, "first", 1).await;
    let waits = member(&broker, "g", CLASSIC);
    let deadline = Instant::now() + PATIENCE;
    let is_there = |groups: rdkafka::groups::GroupList| groups.groups().iter().any(|group| group.name() == "g");
    while !waits.fetch_group_list(Some("g"), Duration::from_secs(5)).is_ok_and(is_there) {
        assert!(Instant::now() < deadline, "the member did not join");
        poll(&waits, Duration::from_millis(50));
    }
    let begun = Instant::now();
    broker.stop();
    assert!(begun.elapsed() < Duration::from_secs(10), "the stop took {:?}", begun.elapsed());
}
