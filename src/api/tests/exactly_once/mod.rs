//! Exactly once, by random schedules: producers of transactions in both protocols that keep each other out, take too long
//! or die between two requests; offsets of groups that change hands; producers without transactions; a topic that comes and
//! goes; readers at both isolation levels; and a broker that is killed at any write, or whose power fails at any sync. What
//! was asked, answered and seen is the [`history`]; the [`rules`] say what must hold of it.
//!
//! A seed is a schedule: it repeats everything, so that what it found can be looked at again.
//!
//! - `KLAMM_CHECK_SECONDS=600 cargo test --lib exactly_once`: for so long instead of some seconds
//! - `KLAMM_CHECK_SEED=17 …`: only this one; its trace is printed, broken rule or not

#![allow(clippy::unwrap_used)]

mod client;
mod groups;
mod history;
mod producer;
mod readers;
mod rules;
mod world;

use super::Peer;
use super::testing::{LISTENER, peer};
use crate::model::{TimestampMs, TopicName};
use crate::record::testing::Chance;
use crate::rt::fs::sim::SimFs;
use crate::rt::planted::{self, Bug};
use crate::rt::{clock, rand};
use client::Line;
use futures_util::future::{join, join_all};
use groups::Members;
use history::{History, Place};
use kafka_protocol::messages::{FindCoordinatorRequest, ListTransactionsRequest};
use producer::Producer;
use readers::Plain;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use world::{Broker, World};

/// Later than the present: whoever has the real clock is early, and nothing is overdue.
const START: TimestampMs = TimestampMs(4_102_444_800_000);

/// The topic that is deleted and created again.
const DOOMED: &str = "doomed";
/// Where offsets are committed.
const INPUT: &str = "input";
const PLACES: [Place; 5] = [("a", 0), ("a", 1), ("b", 0), (DOOMED, 0), (DOOMED, 1)];
/// So many of them, the first ones, stay.
const KEPT: usize = 3;

const GROUPS: usize = 2;
const GROUP_NAMES: [&str; GROUPS] = ["g0", "g1"];

/// The longest that a producer may leave a transaction open.
const LONGEST_MS: u64 = 3000;

/// How long the run is without being told.
const SECONDS: u64 = 15;

mod code {
    pub(super) const NONE: i16 = 0;
    pub(super) const OFFSET_OUT_OF_RANGE: i16 = 1;
    pub(super) const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    pub(super) const NOT_LEADER_OR_FOLLOWER: i16 = 6;
    pub(super) const REQUEST_TIMED_OUT: i16 = 7;
    pub(super) const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
    pub(super) const COORDINATOR_NOT_AVAILABLE: i16 = 15;
    pub(super) const NOT_COORDINATOR: i16 = 16;
    pub(super) const NOT_ENOUGH_REPLICAS: i16 = 19;
    pub(super) const ILLEGAL_GENERATION: i16 = 22;
    pub(super) const UNKNOWN_MEMBER_ID: i16 = 25;
    pub(super) const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
    pub(super) const DUPLICATE_SEQUENCE_NUMBER: i16 = 46;
    pub(super) const INVALID_PRODUCER_EPOCH: i16 = 47;
    pub(super) const INVALID_TXN_STATE: i16 = 48;
    pub(super) const INVALID_PRODUCER_ID_MAPPING: i16 = 49;
    pub(super) const CONCURRENT_TRANSACTIONS: i16 = 51;
    pub(super) const OPERATION_NOT_ATTEMPTED: i16 = 55;
    pub(super) const KAFKA_STORAGE_ERROR: i16 = 56;
    pub(super) const GROUP_ID_NOT_FOUND: i16 = 69;
    pub(super) const UNSTABLE_OFFSET_COMMIT: i16 = 88;
    pub(super) const PRODUCER_FENCED: i16 = 90;
    pub(super) const FENCED_MEMBER_EPOCH: i16 = 110;
    pub(super) const STALE_MEMBER_EPOCH: i16 = 113;
    pub(super) const TRANSACTION_ABORTABLE: i16 = 120;
}

/// Those who act, over all lives of the broker.
struct Cast {
    producers: Vec<Producer>,
    plain: Vec<Plain>,
}

/// One schedule.
struct Schedule {
    world: World,
    peer: Arc<Peer>,
    chance: RefCell<Chance>,
    history: RefCell<History>,
    members: RefCell<Vec<Members>>,
    /// When the next life begins.
    now: TimestampMs,
}

/// Runs the schedule of a seed.
fn run(seed: u64) -> History {
    rand::simulated::seed(Some(seed));
    let mut schedule = Schedule {
        world: World { fs: SimFs::new(), durable: seed.is_multiple_of(3) },
        peer: Arc::new(peer()),
        chance: RefCell::new(Chance::new(seed.wrapping_add(1))),
        history: RefCell::default(),
        members: RefCell::new(vec![Members::default(); GROUPS]),
        now: START,
    };
    let producer = |name, id, group| Producer::new(name, id, group);
    let mut cast = Cast {
        producers: vec![
            producer("x-0", "x", 0),
            producer("x-1", "x", 0),
            producer("y-0", "y", 0),
            producer("z-0", "z", 1),
        ],
        plain: vec![Plain::new("i", true), Plain::new("n", false)],
    };
    let lives = 1 + schedule.chance.borrow_mut().below(3);
    for life in 0..lives {
        schedule.life(&mut cast, life);
    }
    schedule.last_life();
    rand::simulated::seed(None);
    schedule.history.into_inner()
}

/// A runtime whose time is tokio's, and passes when nobody has anything to do.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

impl Schedule {
    /// Everybody acts until the broker is gone.
    fn life(&mut self, cast: &mut Cast, life: usize) {
        let runtime = runtime();
        let broker = runtime.block_on(async {
            clock::simulated::begin(self.now);
            let broker = self.world.start();
            self.act(cast, life, &broker).await;
            self.now = clock::now_ms().plus(1);
            broker
        });
        self.end(runtime, broker);
    }

    async fn act(&self, cast: &mut Cast, life: usize, broker: &Broker) {
        let line = self.line(broker);
        if life == 0 {
            prepare(&line).await;
        }
        let until = tokio::time::Instant::now() + self.doom();
        let producers = join_all(cast.producers.iter_mut().map(|producer| producer.run(&line)));
        let plain = join_all(cast.plain.iter_mut().map(|plain| plain.run(&line)));
        let others = join(join(readers::wander(&line), groups::watch(&line)), join(reform(&line), keep(&line)));
        let end = async {
            while tokio::time::Instant::now() < until && !self.world.fs.is_off() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            biased;
            () = end => {}
            _ = join(join(producers, plain), others) => {}
        }
        let mut history = self.history.borrow_mut();
        history.note("broker", "dies");
        history.broker_died();
        drop(history);
    }

    /// Decides how the life ends: after a time, or before, at a write or a sync.
    fn doom(&self) -> Duration {
        let mut chance = self.chance.borrow_mut();
        let fs = &self.world.fs;
        match chance.below(3) {
            0 => {}
            _ if self.world.durable => fs.crash_at_sync(fs.syncs() + 1 + chance.below(600) as u64),
            _ => fs.kill_process_at_write(1 + chance.below(1500) as u64),
        }
        Duration::from_millis(50 + chance.below(900) as u64)
    }

    fn end(&self, runtime: tokio::runtime::Runtime, broker: Broker) {
        self.world.fs.kill_process();
        drop(runtime);
        broker.end();
        clock::simulated::end();
        let mut chance = self.chance.borrow_mut();
        match self.world.durable && chance.below(2) == 0 {
            true => self.world.fs.crash(chance.next()),
            false => self.world.fs.restart_process(),
        }
    }

    /// Nobody acts any more, and everything is read once what was open has had the time to end.
    fn last_life(&mut self) {
        let runtime = runtime();
        let broker = runtime.block_on(async {
            clock::simulated::begin(self.now);
            let broker = self.world.start();
            let line = self.line(&broker);
            tokio::select! {
                biased;
                () = read_all(&line) => {}
                () = keep(&line) => {}
            }
            broker
        });
        self.end(runtime, broker);
    }

    fn line<'a>(&'a self, broker: &'a Broker) -> Line<'a> {
        Line {
            broker,
            fs: &self.world.fs,
            history: &self.history,
            chance: &self.chance,
            members: &self.members,
            peer: Arc::clone(&self.peer),
        }
    }
}

/// Topics, and coordinators.
async fn prepare(line: &Line<'_>) {
    for (topic, partitions) in [("a", 2), ("b", 1), (INPUT, 1), (DOOMED, 2)] {
        line.broker.create_topic(topic, partitions, &[("segment.ms", "200")]);
    }
    for (kind, key) in [(0, "g0"), (1, "x")] {
        let request =
            FindCoordinatorRequest::default().with_key_type(kind).with_coordinator_keys(vec![client::text(key)]);
        while line.call(4, &request).await.is_none_or(|answer| answer.coordinators[0].error_code != code::NONE) {
            // It is being created: no time passes until it is.
            let topic = if kind == 0 { TopicName::CONSUMER_OFFSETS } else { TopicName::TRANSACTION_STATE };
            while line.ctx().metadata.load().topic(topic).is_none() {
                tokio::task::yield_now().await;
                std::thread::sleep(Duration::from_micros(20));
            }
            line.broker.catch_up();
            // Nothing else draws while its coordinators come up.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Deletes a topic and creates it again.
async fn reform(line: &Line<'_>) {
    loop {
        line.pause(500).await;
        line.history.borrow_mut().note("reform", "deletes");
        line.broker.delete_topic(DOOMED);
        line.pause(30).await;
        line.history.borrow_mut().note("reform", "creates");
        line.broker.create_topic(DOOMED, 2, &[]);
    }
}

/// What a node does from time to time, and its flusher all the time.
async fn keep(line: &Line<'_>) {
    let manager = &line.ctx().partitions;
    loop {
        line.broker.serve();
        match line.below(400) {
            0 => manager.checkpoint(),
            1 => manager.retain(),
            2 => manager.tick(),
            3 => manager.checkpoint_log_starts(),
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(1 + line.below(3) as u64)).await;
    }
}

/// All of it, by those who come last.
async fn read_all(line: &Line<'_>) {
    tokio::time::sleep(Duration::from_millis(LONGEST_MS + 2000)).await;
    for place in PLACES {
        for committed in [true, false] {
            let mut from = 0;
            // An answer may get lost.
            let mut empty = 0;
            while empty < 5 {
                match readers::read(line, place, committed, from, 1 << 20).await {
                    Some(next) if next > from => (from, empty) = (next, 0),
                    Some(_) | None => empty += 1,
                }
            }
        }
        if let Some(topic) = line.ctx().partitions.topic(place.0) {
            line.history.borrow_mut().last.insert(place, format!("{:?}", topic.id()));
        }
    }
    for group in 0..GROUPS {
        for _ in 0..20 {
            if groups::fetch(line, "last", group, true).await.is_some() {
                break;
            }
        }
    }
    let request = ListTransactionsRequest::default();
    let answer = loop {
        if let Some(answer) = line.call(0, &request).await {
            break answer;
        }
    };
    let mut history = line.history.borrow_mut();
    for known in answer.transaction_states {
        let state = known.transaction_state.as_str();
        if !["Empty", "CompleteCommit", "CompleteAbort"].contains(&state) {
            history.unfinished.push(format!("{} ({state})", known.transactional_id.as_str()));
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// The broken rules of a seed, with what led to them.
fn findings(seed: u64) -> Option<String> {
    let history = run(seed);
    let faults = rules::check(&history);
    let first = faults.first()?;
    let last = history.trace.len().saturating_sub(60);
    let count = faults.len();
    Some(format!(
        "seed {seed}: {first}\n({count} in all: {:#?})\n{}\nThe whole of it: KLAMM_CHECK_SEED={seed} cargo test --lib \
         exactly_once::random -- --nocapture",
        &faults[..count.min(10)],
        history.trace[last..].join("\n")
    ))
}

#[test]
fn random_schedules_break_no_rule() {
    if let Some(seed) = number("KLAMM_CHECK_SEED") {
        let history = run(seed);
        println!("{}", history.trace.join("\n"));
        let faults = rules::check(&history);
        assert!(faults.is_empty(), "seed {seed}: {faults:#?}");
        return;
    }
    let (seconds, threads, first) = match number("KLAMM_CHECK_SECONDS") {
        Some(seconds) => {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            (seconds, threads, u64::from(rand::below(u32::MAX)) << 20)
        }
        // Other tests run too, and what they find is to be found again.
        None => (SECONDS, 1, 1),
    };
    let first = number("KLAMM_CHECK_FIRST_SEED").unwrap_or(first);
    println!("from seed {first}");
    let until = Instant::now() + Duration::from_secs(seconds);
    let (next, found) = (AtomicU64::new(first), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while Instant::now() < until && !found.load(Ordering::Relaxed) {
                    if let Some(what) = findings(next.fetch_add(1, Ordering::Relaxed)) {
                        found.store(true, Ordering::Relaxed);
                        panic!("{what}");
                    }
                }
            });
        }
    });
    println!("{} schedules", next.into_inner() - first);
}

#[test]
fn a_seed_repeats_what_it_did() {
    for seed in [1, 2, 3] {
        let (once, again) = (run(seed).trace, run(seed).trace);
        let differs = once.iter().zip(&again).position(|(a, b)| a != b);
        let differs = differs.map(|at| (&once[at.saturating_sub(3)..=at], &again[at]));
        assert_eq!((differs, once.len()), (None, again.len()), "seed {seed}");
    }
}

/// How many schedules it takes to find a bug.
fn schedules_until_found(bug: Bug) -> u64 {
    const MOST: u64 = 100;
    planted::plant(Some(bug));
    let found = (0..MOST).find(|seed| findings(*seed).is_some());
    planted::plant(None);
    let found = found.unwrap_or_else(|| panic!("{bug:?} is not found in {MOST} schedules"));
    println!("{bug:?}: in schedule {}", found + 1);
    found + 1
}

#[test]
fn a_last_stable_offset_that_is_early_is_found() {
    schedules_until_found(Bug::EarlyLastStable);
}

#[test]
fn a_marker_that_is_lost_is_found() {
    schedules_until_found(Bug::MarkerLost);
}

#[test]
fn pending_offsets_that_are_ignored_are_found() {
    schedules_until_found(Bug::PendingOffsetsIgnored);
}
