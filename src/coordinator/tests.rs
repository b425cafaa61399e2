//! The runtime with a small machine, over a disk that forgets what was not synced.

#![allow(clippy::unwrap_used)]

mod transactions;

use super::*;
use crate::config::Cleaner;
use crate::config::topic::TopicConfig;
use crate::metadata::record::PartitionRecord;
use crate::metadata::{Delta, DirectoryId, PartitionImage, Record, Replica, Replicas, Store};
use crate::metrics::Metrics;
use crate::model::{ErrorCode, LeaderEpoch, NodeId, Offset, PartitionId, Sequence, TopicId, TopicName};
use crate::partition::{Manager, ManagerSettings, Partition};
use crate::record::build::{Marker, end_txn_marker};
use crate::record::{Batch, BatchBuilder, Batches, Compression};
use crate::rt::clock;
use crate::rt::fs::sim::SimFs;
use crate::storage::dirs::{DirsError, LogDirs, Owner};
use crate::storage::flusher::{FlushRequest, Flusher};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use uuid::Uuid;

const TOPIC: TopicId = TopicId(Uuid::from_u128(7));
const P0: PartitionId = PartitionId(0);
const P1: PartitionId = PartitionId(1);
const PATIENCE: Duration = Duration::from_secs(30);

/// Keeps values by key.
#[derive(Debug, Default)]
struct Diary {
    kept: BTreeMap<String, String>,
    loaded: bool,
    /// Deleted topics it was told of.
    deleted: Vec<String>,
    ended: Vec<(ProducerId, bool)>,
    /// Where it was told that its records lie.
    placed: Vec<Offset>,
    pending: Vec<(ProducerId, String, String)>,
    parked: Vec<Ticket>,
    timers: Timers<u64>,
}

#[derive(Clone, Debug)]
enum Ask {
    Put(&'static str, String),
    PutMany(usize),
    All,
    /// Answered when the next deadline comes.
    Wait,
    Alarm(TimestampMs),
    Deleted,
    Ended,
    Placed,
    Fault,
    /// A record, and something to do once it is committed.
    Task(&'static str),
    /// A value that counts once the producer's transaction is committed.
    PutWithin((ProducerId, ProducerEpoch), &'static str, &'static str),
}

type Told = Vec<String>;

impl Diary {
    fn write(&mut self, key: &str, value: &str, out: &mut Effects<Told, &'static str>) {
        out.records.push(Written { key: key.into(), value: Some(value.into()) });
        self.kept.insert(key.into(), value.into());
    }
}

impl Machine for Diary {
    type Request = Ask;
    type Reply = Told;
    type Task = &'static str;
    type Env = TimestampMs;
    type Change = Arc<Delta>;

    fn step(&mut self, now: &TimestampMs, input: Input<Ask, Arc<Delta>>, out: &mut Effects<Told, &'static str>) {
        match input {
            Input::Request(ticket, Ask::Put(key, value)) => {
                self.write(key, &value, out);
                out.reply(ticket, vec![value]);
            }
            Input::Request(ticket, Ask::PutMany(bytes)) => {
                for n in 0..10 {
                    self.write(&format!("{n}"), &"x".repeat(bytes), out);
                }
                out.reply(ticket, Vec::new());
            }
            Input::Request(ticket, Ask::All) => {
                assert!(self.loaded, "asked before it was told that everything is loaded");
                out.reply(ticket, self.kept.iter().map(|(key, value)| format!("{key}={value}")).collect());
            }
            Input::Request(ticket, Ask::Wait) => self.parked.push(ticket),
            Input::Request(ticket, Ask::Alarm(at)) => {
                self.timers.arm(u64::try_from(at.0).unwrap(), at);
                out.reply(ticket, Vec::new());
            }
            Input::Request(ticket, Ask::Deleted) => out.reply(ticket, self.deleted.clone()),
            Input::Request(ticket, Ask::Ended) => {
                out.reply(ticket, self.ended.iter().map(|(id, committed)| format!("{}:{committed}", id.0)).collect());
            }
            Input::Request(ticket, Ask::Placed) => {
                out.reply(ticket, self.placed.iter().map(Offset::to_string).collect())
            }
            Input::Request(ticket, Ask::Task(task)) => {
                self.write("task", task, out);
                out.then.push(task);
                out.reply(ticket, Vec::new());
            }
            Input::Request(ticket, Ask::PutWithin(producer, key, value)) => {
                out.records.push(Written { key: key.into(), value: Some(value.into()) });
                out.producer = Some(producer);
                self.pending.push((producer.0, key.into(), value.into()));
                out.reply(ticket, Vec::new());
            }
            Input::Request(_, Ask::Fault) => {
                self.kept.insert("half".into(), "done".into());
                panic!("a fault that the test asked for");
            }
            Input::Tick => {
                while self.timers.pop_due(*now).is_some() {
                    for ticket in self.parked.drain(..) {
                        out.replies.push((ticket, vec!["woken".into()]));
                    }
                }
            }
            Input::Loaded => self.loaded = true,
            Input::Changed(delta) => self.deleted.extend(delta.deleted.values().map(|topic| topic.name.to_string())),
        }
    }

    fn replay(&mut self, record: Replayed<'_>) -> Result<(), BadRecord> {
        match record {
            Replayed::Record { key, value, producer } => {
                let text = |bytes: &[u8]| std::str::from_utf8(bytes).map(str::to_owned);
                let key = text(key).map_err(|_| BadRecord("no text".into()))?;
                let value = text(value.unwrap_or_default()).map_err(|_| BadRecord("no text".into()))?;
                match producer {
                    Some((id, _)) => self.pending.push((id, key, value)),
                    None => {
                        self.kept.insert(key, value);
                    }
                }
            }
            Replayed::Ended { producer: (id, _), committed } => {
                self.ended.push((id, committed));
                for (of, key, value) in std::mem::take(&mut self.pending) {
                    if of == id && committed {
                        self.kept.insert(key, value);
                    }
                }
            }
        }
        Ok(())
    }

    fn placed(&mut self, first: Offset) {
        self.placed.push(first);
    }

    fn next_deadline(&self) -> Option<TimestampMs> {
        self.timers.next()
    }
}

struct Desk {
    limits: Arc<Mutex<Limits>>,
    /// No machine is made while it is closed.
    closed: Arc<AtomicBool>,
    made: Arc<AtomicI64>,
    tasks: Mutex<Vec<&'static str>>,
}

impl Host for Desk {
    type Machine = Diary;
    const TOPIC: &'static str = "__diary";

    fn machine(&self) -> Diary {
        self.made.fetch_add(1, Ordering::Relaxed);
        while self.closed.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Diary::default()
    }

    fn env(&self, now: TimestampMs, _: &TopicConfig) -> TimestampMs {
        now
    }

    fn limits(&self) -> Limits {
        *self.limits.lock()
    }

    fn run(runtime: &Arc<Runtime<Desk>>, _: PartitionId, task: &'static str) {
        runtime.host().tasks.lock().push(task);
    }
}

/// A broker that leads both partitions of the topic.
struct Rig {
    manager: Arc<Manager>,
    store: Arc<Store>,
    metadata: Replica,
    offset: i64,
    flusher: Arc<Flusher>,
    runtime: Arc<Runtime<Desk>>,
    limits: Arc<Mutex<Limits>>,
    closed: Arc<AtomicBool>,
    made: Arc<AtomicI64>,
}

impl Rig {
    async fn start(fs: &SimFs) -> Rig {
        let rig = Rig::begin(fs);
        rig.ready(P0).await;
        rig.ready(P1).await;
        rig
    }

    /// Does not wait for the load.
    fn begin(fs: &SimFs) -> Rig {
        let owner = Owner { node_id: NodeId(1), cluster_id: Some("c".into()) };
        let dirs = loop {
            match LogDirs::open(fs.shared(), &["/a".into()], &owner) {
                // The last one's flusher may still be at work.
                Err(DirsError::Locked(_)) => std::thread::sleep(Duration::from_millis(1)),
                other => break Arc::new(other.unwrap()),
            }
        };
        let flusher = Arc::new(Flusher::start(fs, dirs.all()[0].path(), Arc::default()).unwrap());
        // Nothing counts that is not on disk.
        let config = Arc::new(TopicConfig { flush_messages: 1, max_message_bytes: 1000, ..TopicConfig::default() });
        let settings = ManagerSettings {
            node: NodeId(1),
            lag_max: std::time::Duration::from_secs(30),
            producer_expiry_ms: i64::MAX,
            recovery_threads_per_dir: 1,
            move_threads: 1,
            resolve_config: Box::new(move |_, _| Arc::clone(&config)),
            throttles: crate::partition::Throttles::default(),
            cleaner: Box::new(|| Cleaner {
                enable: false,
                threads: 1,
                dedupe_buffer_bytes: 1 << 20,
                dedupe_buffer_load: 0.9,
                io_buffer_bytes: 1 << 16,
                io_bytes_per_second_max: f64::MAX,
                backoff: Duration::from_secs(1),
            }),
        };
        let flushers = vec![Arc::clone(&flusher)];
        let manager = Manager::new(settings, fs.shared(), dirs, flushers, Metrics::new([], TimestampMs(0)));
        let store = Arc::new(Store::default());
        let limits = Arc::new(Mutex::new(Limits {
            commit_timeout: PATIENCE,
            load_bytes: 100,
            opened_bytes_max: 10_000,
            compression: None,
        }));
        let (closed, made) = (Arc::default(), Arc::default());
        let desk = Desk {
            limits: Arc::clone(&limits),
            closed: Arc::clone(&closed),
            made: Arc::clone(&made),
            tasks: Mutex::default(),
        };
        let runtime = Runtime::new(desk, NodeId(1), Arc::clone(&manager));
        store.subscribe(Arc::clone(&manager) as Arc<dyn crate::metadata::Publisher>);
        runtime.follow(&store);
        let metadata = Replica::new(Arc::clone(&store));
        let mut rig = Rig { manager, store, metadata, offset: 0, flusher, runtime, limits, closed, made };
        rig.change(vec![Record::Topic { name: "__diary".into(), id: TOPIC }, led(P0, 1, 0), led(P1, 1, 0)]);
        rig.manager.set_strays_aside();
        rig.manager.recover();
        rig
    }

    fn change(&mut self, records: Vec<Record>) {
        self.offset += 1;
        self.metadata.commit(records, Offset(self.offset), 1).unwrap();
    }

    async fn ready(&self, shard: PartitionId) {
        within(async {
            while self.ask(shard, Ask::All).await.is_err() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }

    async fn ask(&self, shard: PartitionId, ask: Ask) -> Result<Told, ErrorCode> {
        within(self.runtime.ask(shard, ask)).await
    }

    async fn put(&self, key: &'static str, value: &str) -> Result<Told, ErrorCode> {
        self.ask(P0, Ask::Put(key, value.into())).await
    }

    /// Asks, and does not wait for the answer.
    fn later(&self, shard: PartitionId, ask: Ask) -> tokio::task::JoinHandle<Result<Told, ErrorCode>> {
        let runtime = Arc::clone(&self.runtime);
        tokio::spawn(async move { runtime.ask(shard, ask).await })
    }

    fn partition(&self, id: PartitionId) -> Arc<Partition> {
        self.manager.partition("__diary", id).unwrap()
    }

    /// Nothing is synced until the answer is dropped.
    fn hold_syncs(&self) -> std::sync::mpsc::Sender<()> {
        let (free, held) = std::sync::mpsc::channel::<()>();
        let (begun, begin) = std::sync::mpsc::channel();
        let done = Box::new(move |_| {
            begun.send(()).unwrap();
            let _ = held.recv();
        });
        self.flusher.submit(FlushRequest { files: Vec::new(), done });
        begin.recv().unwrap();
        free
    }

    /// The batches that lie in a partition: how many records each has, and its bytes.
    fn batches(&self, id: PartitionId) -> Vec<(i32, usize)> {
        let partition = self.partition(id);
        let (mut at, mut found) = (Offset::ZERO, Vec::new());
        while let Some(slice) = partition.read_own(at, 1 << 24).unwrap() {
            let mut bytes = vec![0; slice.len];
            slice.file.read_exact_at(&mut bytes, slice.pos).unwrap();
            for batch in Batches::new(&bytes) {
                let (header, bytes) = batch.unwrap();
                found.push((header.record_count, bytes.len()));
                at = header.next_offset();
            }
        }
        found
    }

    /// Somebody else's batch.
    async fn append(&self, batch: Bytes) {
        let mut batch = [Batch::verify(batch).unwrap()];
        let (_, wait) = self.partition(P0).append_own(&mut batch, clock::now_ms()).unwrap();
        if let Some(wait) = wait {
            assert_eq!(within(wait.outcome()).await, ErrorCode::NONE);
        }
    }
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap()
}

fn led(partition: PartitionId, leader: i32, epoch: i32) -> Record {
    let one: Replicas = [NodeId(1)].into_iter().collect();
    Record::Partition(PartitionRecord {
        topic: TOPIC,
        partition,
        image: PartitionImage {
            replicas: one.clone(),
            isr: one,
            leader: Some(NodeId(leader)),
            leader_epoch: LeaderEpoch(epoch),
            partition_epoch: epoch,
            directories: [DirectoryId::UNASSIGNED].into_iter().collect(),
            adding: Replicas::new(),
            removing: Replicas::new(),
            elr: Replicas::new(),
            last_known_elr: Replicas::new(),
            recovering: false,
        },
    })
}

fn told(values: &[&str]) -> Result<Told, ErrorCode> {
    Ok(values.iter().map(ToString::to_string).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_leaves_before_what_it_depends_on_is_committed() {
    let rig = Rig::start(&SimFs::new()).await;
    let syncs = rig.hold_syncs();
    // Asked from here and not from tasks of their own: only then is it certain that the record was written before the read.
    let mut put = pin!(rig.ask(P0, Ask::Put("a", "1".into())));
    let mut read = pin!(rig.ask(P0, Ask::All));
    let soon = Duration::from_millis(50);
    assert!(tokio::time::timeout(soon, &mut put).await.is_err(), "an answer left before the record was on disk");
    assert!(tokio::time::timeout(soon, &mut read).await.is_err(), "a read left before what it had seen was on disk");
    assert_eq!(rig.ask(P1, Ask::All).await, told(&[]), "another shard does not wait");
    drop(syncs);
    assert_eq!(put.await, told(&["1"]));
    assert_eq!(read.await, told(&["a=1"]));
    assert_eq!(rig.ask(P0, Ask::All).await, told(&["a=1"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_there_after_a_power_cut() {
    let fs = SimFs::new();
    let rig = Rig::start(&fs).await;
    for n in 0..20 {
        rig.put(["a", "b", "c"][n % 3], &n.to_string()).await.unwrap();
    }
    fs.crash_losing_all();
    drop(rig);
    let rig = Rig::start(&fs).await;
    assert_eq!(rig.ask(P0, Ask::All).await, told(&["a=18", "b=19", "c=17"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_waits_too_long_is_refused_but_its_record_counts() {
    let rig = Rig::start(&SimFs::new()).await;
    rig.limits.lock().commit_timeout = Duration::from_millis(30);
    let syncs = rig.hold_syncs();
    assert_eq!(rig.put("a", "1").await, Err(ErrorCode::REQUEST_TIMED_OUT));
    assert_eq!(rig.put("a", "2").await, Err(ErrorCode::REQUEST_TIMED_OUT));
    drop(syncs);
    rig.ready(P0).await;
    assert_eq!(rig.ask(P0, Ask::All).await, told(&["a=2"]));
    assert_eq!(rig.made.load(Ordering::Relaxed), 2, "nothing was loaded again");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_shard_is_loaded_requests_are_told_so() {
    let fs = SimFs::new();
    let rig = Rig::start(&fs).await;
    rig.put("a", "1").await.unwrap();
    rig.closed.store(true, Ordering::Relaxed);
    // The disk says no once, so the shard is to be loaded again.
    fs.set_capacity(0);
    assert!(rig.runtime.ask(P0, Ask::Put("b", "2".into())).await.is_err());
    fs.set_capacity(u64::MAX);
    for _ in 0..3 {
        let answer = rig.runtime.ask(P0, Ask::All).await;
        assert_eq!(answer, Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS));
    }
    rig.closed.store(false, Ordering::Relaxed);
    rig.ready(P0).await;
    assert_eq!(rig.ask(P0, Ask::All).await, told(&["a=1"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_is_not_led_here_is_not_coordinated_here() {
    let mut rig = Rig::start(&SimFs::new()).await;
    assert_eq!(rig.ask(PartitionId(2), Ask::All).await, Err(ErrorCode::NOT_COORDINATOR));
    let parked = rig.later(P0, Ask::Wait);
    let other = rig.later(P1, Ask::Wait);
    tokio::time::sleep(Duration::from_millis(20)).await;
    rig.change(vec![led(P0, 2, 1)]);
    assert_eq!(within(parked).await.unwrap(), Err(ErrorCode::NOT_COORDINATOR));
    assert_eq!(rig.ask(P0, Ask::All).await, Err(ErrorCode::NOT_COORDINATOR));
    assert_eq!(rig.ask(P1, Ask::All).await, told(&[]));
    rig.change(vec![Record::RemoveTopic { id: TOPIC }]);
    assert_eq!(within(other).await.unwrap(), Err(ErrorCode::NOT_COORDINATOR));
    assert_eq!(rig.ask(P1, Ask::All).await, Err(ErrorCode::NOT_COORDINATOR));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_comes_back_has_what_it_had() {
    let mut rig = Rig::start(&SimFs::new()).await;
    rig.put("a", "1").await.unwrap();
    rig.change(vec![led(P0, 2, 1)]);
    rig.change(vec![led(P0, 1, 2)]);
    rig.ready(P0).await;
    assert_eq!(rig.ask(P0, Ask::All).await, told(&["a=1"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_told_where_its_records_lie_also_when_the_log_was_cut() {
    let mut rig = Rig::start(&SimFs::new()).await;
    rig.put("a", "1").await.unwrap();
    // Ten records in several batches.
    rig.ask(P0, Ask::PutMany(300_000)).await.unwrap();
    rig.put("b", "2").await.unwrap();
    assert_eq!(rig.ask(P0, Ask::Placed).await, told(&["0", "1", "11"]));
    rig.partition(P0).delete_records(Offset(9)).unwrap();
    rig.change(vec![led(P0, 2, 1)]);
    rig.change(vec![led(P0, 1, 2)]);
    rig.ready(P0).await;
    // A batch is read whole.
    let placed = rig.ask(P0, Ask::Placed).await.unwrap();
    assert_eq!(placed.last().map(String::as_str), Some("11"));
    assert!(
        placed.windows(2).all(|two| two[0].parse::<i64>().unwrap() + 1 == two[1].parse::<i64>().unwrap()),
        "{placed:?}"
    );
    assert!(!placed.contains(&"0".to_owned()), "{placed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stays_leader_keeps_its_machine() {
    let mut rig = Rig::start(&SimFs::new()).await;
    let parked = rig.later(P0, Ask::Wait);
    tokio::time::sleep(Duration::from_millis(20)).await;
    rig.change(vec![led(P0, 1, 1)]);
    rig.ask(P0, Ask::Alarm(clock::now_ms())).await.unwrap();
    assert_eq!(within(parked).await.unwrap(), told(&["woken"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_append_answers_whoever_waits_and_loads_what_the_log_has() {
    let fs = SimFs::new();
    let rig = Rig::start(&fs).await;
    rig.put("a", "1").await.unwrap();
    let parked = rig.later(P0, Ask::Wait);
    tokio::time::sleep(Duration::from_millis(20)).await;
    fs.set_capacity(0);
    assert_eq!(rig.put("b", "2").await, Err(ErrorCode::KAFKA_STORAGE_ERROR));
    assert_eq!(within(parked).await.unwrap(), Err(ErrorCode::KAFKA_STORAGE_ERROR));
    fs.set_capacity(u64::MAX);
    rig.ready(P0).await;
    assert_eq!(rig.ask(P0, Ask::All).await, told(&["a=1"]), "what was not appended is not known");
    rig.put("b", "3").await.unwrap();
    assert_eq!(rig.ask(P0, Ask::All).await, told(&["a=1", "b=3"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_takes_the_shard_away() {
    let fs = SimFs::new();
    let rig = Rig::start(&fs).await;
    fs.fail_sync(1);
    assert_eq!(rig.put("a", "1").await, Err(ErrorCode::KAFKA_STORAGE_ERROR));
    within(async {
        while rig.ask(P0, Ask::All).await != Err(ErrorCode::NOT_COORDINATOR) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_breaks_is_loaded_again() {
    let rig = Rig::start(&SimFs::new()).await;
    rig.put("a", "1").await.unwrap();
    let parked = rig.later(P0, Ask::Wait);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(rig.ask(P0, Ask::Fault).await, Err(ErrorCode::UNKNOWN_SERVER_ERROR));
    assert_eq!(within(parked).await.unwrap(), Err(ErrorCode::UNKNOWN_SERVER_ERROR));
    rig.ready(P0).await;
    assert_eq!(rig.ask(P0, Ask::All).await, told(&["a=1"]), "nothing of the step that broke is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlines_come_in_time_in_every_shard_whichever_was_set_first() {
    let rig = Rig::start(&SimFs::new()).await;
    let far = clock::now_ms().plus(3_600_000);
    for shard in [P0, P1] {
        rig.ask(shard, Ask::Alarm(far)).await.unwrap();
    }
    for shard in [P1, P0] {
        let parked = rig.later(shard, Ask::Wait);
        tokio::time::sleep(Duration::from_millis(20)).await;
        let begun = clock::now_ms();
        rig.ask(shard, Ask::Alarm(begun.plus(60))).await.unwrap();
        rig.ask(shard, Ask::Alarm(begun.plus(600_000))).await.unwrap();
        assert_eq!(within(parked).await.unwrap(), told(&["woken"]));
        let took = clock::now_ms().0 - begun.0;
        assert!((60..2000).contains(&took), "woken after {took} ms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_client_has_gone_leaves_the_shard_as_good_as_before() {
    let rig = Rig::start(&SimFs::new()).await;
    let syncs = rig.hold_syncs();
    for ask in [Ask::Wait, Ask::Put("a", "1".into())] {
        let gone = rig.later(P0, ask);
        tokio::time::sleep(Duration::from_millis(20)).await;
        gone.abort();
    }
    drop(syncs);
    rig.ask(P0, Ask::Alarm(clock::now_ms())).await.unwrap();
    assert_eq!(rig.ask(P0, Ask::All).await, told(&["a=1"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_active_shard_is_told_of_every_change_before_it_is_answered() {
    let mut rig = Rig::start(&SimFs::new()).await;
    for n in 0..5 {
        let (name, id) = (format!("topic-{n}"), TopicId(Uuid::from_u128(100 + n)));
        rig.change(vec![Record::Topic { name: TopicName::new(&name), id }]);
        rig.change(vec![Record::RemoveTopic { id }]);
        assert_eq!(rig.ask(P0, Ask::Deleted).await.unwrap().last(), Some(&name));
    }
    assert_eq!(rig.ask(P1, Ask::Deleted).await.unwrap().len(), 5);
    assert!(rig.store.load().topic("topic-4").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_records_of_a_large_step_go_into_several_batches_and_the_limit_of_producers_does_not_hold() {
    let fs = SimFs::new();
    let rig = Rig::start(&fs).await;
    rig.put("small", &"y".repeat(5000)).await.unwrap();
    rig.ask(P0, Ask::PutMany(300_000)).await.unwrap();
    let batches = rig.batches(P0);
    assert_eq!(batches.iter().map(|(records, _)| records).sum::<i32>(), 11);
    assert_eq!(batches.len(), 5, "{batches:?}");
    assert!(batches.iter().all(|(_, bytes)| *bytes <= 1 << 20), "{batches:?}");
    let before = rig.ask(P0, Ask::All).await;
    fs.crash_losing_all();
    drop(rig);
    let rig = Rig::start(&fs).await;
    assert_eq!(rig.ask(P0, Ask::All).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_batches_transactions_and_damage_are_met_while_loading() {
    let fs = SimFs::new();
    let rig = Rig::start(&fs).await;
    rig.limits.lock().compression = Some(Compression::Zstd);
    rig.put("a", "1").await.unwrap();
    let batch = |codec: Compression, records: &[(&[u8], &str)]| {
        let mut batch = BatchBuilder::new(Offset(0)).compressed(codec);
        for (key, value) in records {
            batch.push(TimestampMs(5), Some(key), Some(value.as_bytes()), &[]);
        }
        batch.build().unwrap()
    };
    rig.append(batch(Compression::Gzip, &[(b"b", "2"), (b"\xff", "no text"), (b"c", "3")])).await;
    // Opens to more than the limit.
    rig.append(batch(Compression::Lz4, &[(b"bomb", &"x".repeat(20_000))])).await;
    let epoch = ProducerEpoch(0);
    for (id, committed) in [(ProducerId(7), Marker::Commit), (ProducerId(8), Marker::Abort)] {
        let mut open = BatchBuilder::new(Offset(0)).producer(id, epoch, Sequence::NONE).transactional();
        open.push(TimestampMs(5), Some(format!("of {}", id.0).as_bytes()), Some(b"x"), &[]);
        rig.append(open.build().unwrap()).await;
        rig.append(end_txn_marker(committed, id, epoch, 0, TimestampMs(6)).unwrap()).await;
    }
    rig.put("d", "4").await.unwrap();
    fs.crash_losing_all();
    drop(rig);
    let rig = Rig::start(&fs).await;
    assert_eq!(rig.ask(P0, Ask::All).await, told(&["a=1", "b=2", "c=3", "d=4", "of 7=x"]));
    assert_eq!(rig.ask(P0, Ask::Ended).await, told(&["7:true", "8:false"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_stops_answers_whoever_waits_and_appends_no_more() {
    let rig = Rig::start(&SimFs::new()).await;
    let parked = rig.later(P0, Ask::Wait);
    tokio::time::sleep(Duration::from_millis(20)).await;
    within(rig.runtime.stop()).await;
    assert_eq!(within(parked).await.unwrap(), Err(ErrorCode::NOT_COORDINATOR));
    assert_eq!(rig.put("a", "1").await, Err(ErrorCode::NOT_COORDINATOR));
    assert_eq!(rig.batches(P0), []);
}
