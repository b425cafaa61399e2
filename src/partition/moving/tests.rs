//! Moves over a disk that forgets what was not synced.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::topic::TopicConfig;
use crate::metadata::record::PartitionRecord;
use crate::metadata::{Change, Image, PartitionImage, Publisher, Record, Replicas};
use crate::metrics::Metrics;
use crate::model::{LeaderEpoch, NodeId, PartitionId, TopicId};
use crate::partition::{Acks, Isolation, ManagerSettings, Outcome, ReadRequest, Reader};
use crate::record::Batch;
use crate::record::build::BatchBuilder;
use crate::rt::fs::Fs;
use crate::rt::fs::sim::SimFs;
use crate::storage::dirs::{DirsError, LogDirs, Owner};
use crate::storage::flusher::Flusher;
use uuid::Uuid;

const TOPIC: TopicId = TopicId(Uuid::from_u128(7));
const DIRS: [&str; 3] = ["/a", "/b", "/c"];

/// A broker's partitions: one topic with one partition, which the metadata may know to lie in a directory.
struct Rig {
    fs: SimFs,
    manager: Arc<Manager>,
    image: Arc<Image>,
}

impl Rig {
    fn start(fs: &SimFs, config: &TopicConfig, assigned: DirectoryId) -> Option<Rig> {
        let owner = Owner { node_id: NodeId(1), cluster_id: Some("c".into()) };
        let dirs = loop {
            match LogDirs::open(fs.shared(), &DIRS.map(PathBuf::from), &owner) {
                // The last one's flushers may still be at work.
                Err(DirsError::Locked(_)) => std::thread::sleep(std::time::Duration::from_millis(1)),
                other => break Arc::new(other.ok()?),
            }
        };
        let flushers = dirs.all().iter().map(|dir| Flusher::start(fs, dir.path(), Arc::default()).map(Arc::new));
        let flushers = flushers.collect::<io::Result<Vec<_>>>().ok()?;
        let config = Arc::new(config.clone());
        let settings = ManagerSettings {
            node: NodeId(1),
            lag_max: std::time::Duration::from_secs(30),
            producer_expiry_ms: i64::MAX,
            recovery_threads_per_dir: 1,
            move_threads: 1,
            resolve_config: Box::new(move |_, _| Arc::clone(&config)),
            cleaner: Box::new(crate::partition::cleaning::tests::settings),
            throttles: crate::partition::Throttles::default(),
        };
        let manager = Manager::new(settings, fs.shared(), dirs, flushers, Metrics::new([], TimestampMs(0)));
        let mut rig = Rig { fs: fs.clone(), manager, image: Arc::default() };
        rig.change(vec![
            Record::Topic { name: "t".into(), id: TOPIC },
            Record::Partition(PartitionRecord { topic: TOPIC, partition: PartitionId(0), image: partition(assigned) }),
        ]);
        rig.manager.set_strays_aside();
        rig.manager.recover();
        Some(rig)
    }

    fn change(&mut self, records: Vec<Record>) {
        let mut change = Change::new(&self.image);
        records.iter().for_each(|record| change.apply(record).unwrap());
        let (image, delta) = change.finish(Offset(1), 1).unwrap();
        self.image = Arc::new(image);
        self.manager.publish(&self.image, &delta);
    }

    fn at() -> TopicPartition {
        TopicPartition::new("t".into(), PartitionId(0))
    }

    fn partition(&self) -> Arc<Partition> {
        self.manager.partition("t", PartitionId(0)).unwrap()
    }

    fn id(&self, dir: usize) -> DirectoryId {
        DirectoryId(self.manager.dirs.all()[dir].id())
    }

    /// Appends and waits for the acknowledgement.
    fn put(&self, value: &str) -> bool {
        match self.partition().append(&mut [batch(value)], Acks::All, TimestampMs(5)).remove(0) {
            Outcome::Done(_) => true,
            Outcome::Waits(_, wait) => futures_util::FutureExt::now_or_never(wait.outcome()) == Some(ErrorCode::NONE),
            Outcome::Failed { .. } => false,
        }
    }

    /// Appends without waiting.
    fn offer(&self, value: &str) -> Outcome {
        self.partition().append(&mut [batch(value)], Acks::All, TimestampMs(5)).remove(0)
    }

    /// What a consumer reads.
    fn values(&self) -> Vec<String> {
        let partition = self.partition();
        let positions = partition.positions().unwrap();
        let mut from = positions.log_start;
        let mut all = Vec::new();
        while from < positions.high_watermark {
            let request = ReadRequest {
                from,
                max_bytes: 1 << 20,
                min_one_batch: true,
                reader: Reader::Consumer { isolation: Isolation::Uncommitted, any_replica: false },
                current_epoch: LeaderEpoch::NONE,
                last_fetched_epoch: LeaderEpoch::NONE,
            };
            let slice = partition.read(&request, &Image::default()).unwrap().records.unwrap();
            let mut bytes = vec![0; slice.len];
            slice.file.read_exact_at(&mut bytes, slice.pos).unwrap();
            for batch in crate::record::Batches::new(&bytes) {
                let (header, bytes) = batch.unwrap();
                crate::record::verify(bytes).unwrap();
                let payload = &bytes[crate::record::HEADER_LEN..];
                for record in crate::record::records::Records::new(&header, payload).unwrap() {
                    all.push(String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
                }
                from = header.next_offset();
            }
        }
        all
    }

    /// Moves on this thread.
    fn carry(&self, to: usize) -> bool {
        let wanted = Move {
            partition: self.partition(),
            to,
            cancelled: AtomicBool::new(false),
            size: AtomicU64::new(0),
            end: AtomicI64::new(0),
            leftovers: Vec::new(),
        };
        let mut made = None;
        let outcome = self.manager.carry(&wanted, &mut made);
        let done = outcome.is_ok();
        self.manager.report(&wanted, outcome);
        if let Some(path) = made {
            self.manager.discard(&path);
        }
        done
    }

    fn wait_until_idle(&self) {
        let mut state = self.manager.moves.state.lock();
        while state.threads > 0 {
            self.manager.moves.ended.wait(&mut state);
        }
    }
}

fn partition(assigned: DirectoryId) -> PartitionImage {
    let one: Replicas = [NodeId(1)].into_iter().collect();
    PartitionImage {
        replicas: one.clone(),
        isr: one,
        leader: Some(NodeId(1)),
        leader_epoch: LeaderEpoch(0),
        partition_epoch: 0,
        directories: [assigned].into_iter().collect(),
        adding: Replicas::new(),
        removing: Replicas::new(),
        elr: Replicas::new(),
        last_known_elr: Replicas::new(),
        recovering: false,
    }
}

fn batch(value: &str) -> Batch {
    let mut builder = BatchBuilder::new(Offset(0));
    builder.push(TimestampMs(5), None, Some(value.as_bytes()), &[]);
    Batch::verify(builder.build().unwrap()).unwrap()
}

/// Small segments, and nothing acknowledged that is not on disk.
fn flushed() -> TopicConfig {
    TopicConfig { segment_bytes: 400, flush_messages: 1, ..TopicConfig::default() }
}

fn values(count: usize) -> Vec<String> {
    (0..count).map(|n| n.to_string()).collect()
}

/// Waits for the flusher's thread.
fn put_and_wait(rig: &Rig, value: &str) -> bool {
    match rig.offer(value) {
        Outcome::Done(_) => true,
        Outcome::Waits(_, wait) => {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(wait.outcome()) == ErrorCode::NONE
        }
        Outcome::Failed { .. } => false,
    }
}

#[test]
fn a_moved_partition_is_read_and_written_in_its_new_directory() {
    let fs = SimFs::new();
    let rig = Rig::start(&fs, &TopicConfig { segment_bytes: 400, ..TopicConfig::default() }, DirectoryId::UNASSIGNED)
        .unwrap();
    (0..20).for_each(|n| assert!(rig.put(&n.to_string())));
    rig.partition().delete_records(Offset(3)).unwrap();
    let from = rig.partition().dir().unwrap();
    rig.manager.alter_dir(&Rig::at(), Path::new(DIRS[2])).unwrap();
    rig.wait_until_idle();
    assert_eq!((from, rig.partition().dir()), (0, Ok(2)));
    assert!(rig.put("20"));
    assert_eq!(rig.values(), values(21)[3..]);
    assert!(!fs.exists(Path::new("/a/t-0")) && fs.exists(Path::new("/c/t-0")));
    assert_eq!(rig.manager.future_replica(&Rig::at()), None);
    let told = futures_util::FutureExt::now_or_never(rig.manager.assignments()).unwrap();
    assert_eq!(told.iter().map(|told| DirectoryId(told.directory)).collect::<Vec<_>>(), [rig.id(0), rig.id(2)]);

    // As after `kill -9`: what the checkpoints of the new directory say is enough.
    let assigned = rig.id(2);
    drop(rig);
    let rig = Rig::start(&fs, &TopicConfig::default(), assigned).unwrap();
    assert_eq!((rig.partition().dir(), rig.values()), (Ok(2), values(21)[3..].to_vec()));
}

/// Writes, moves, writes, and cuts the power at the `n`-th sync. Says whether it was all done before.
fn move_until(n: u64, seed: u64) -> bool {
    let fs = SimFs::new();
    let rig = Rig::start(&fs, &flushed(), DirectoryId::UNASSIGNED).unwrap();
    let mut acked = 0;
    let mut put = |rig: &Rig| {
        let ok = put_and_wait(rig, &acked.to_string());
        acked += usize::from(ok);
        ok
    };
    for _ in 0..8 {
        assert!(put(&rig));
    }
    let ids = [rig.id(0), rig.id(1)];
    fs.crash_at_sync(fs.syncs() + n);
    let moved = rig.carry(1);
    let done = (0..3).all(|_| put(&rig)) && moved;
    drop(rig);
    fs.crash(seed);
    // The controller may have been told of the move or not.
    let assigned = if moved && seed.is_multiple_of(2) { ids[1] } else { ids[0] };
    let rig = Rig::start(&fs, &flushed(), assigned).unwrap();
    let there = rig.values();
    assert!(there.len() >= acked, "sync {n}, seed {seed}: {acked} acknowledged, there are {there:?}");
    assert_eq!(there, values(there.len()), "sync {n}, seed {seed}");
    rig.manager.resume_moves();
    rig.wait_until_idle();
    assert_eq!(rig.values(), there, "sync {n}, seed {seed}: after the move was resumed");
    assert!(put_and_wait(&rig, "more"));
    let left = |dir: &str| fs.read_dir(Path::new(dir)).unwrap().into_iter().any(|e| e.name.ends_with("-future"));
    assert!(!DIRS.iter().any(|dir| left(dir)), "sync {n}, seed {seed}: an unfinished copy is left");
    done
}

#[test]
fn whenever_the_power_fails_during_a_move_nothing_that_was_acknowledged_is_lost() {
    let mut n = 1;
    while (0..12).filter(|seed| !move_until(n, *seed)).count() > 0 {
        n += 1;
    }
    assert!(n > 20, "only {n} syncs were visited");
}

#[test]
fn a_target_that_fails_is_out_of_service_and_the_partition_stays() {
    for n in 1..12 {
        let fs = SimFs::new();
        let rig = Rig::start(&fs, &flushed(), DirectoryId::UNASSIGNED).unwrap();
        (0..8).for_each(|n| assert!(put_and_wait(&rig, &n.to_string())));
        fs.fail_sync(n);
        assert!(!rig.carry(1), "sync {n}");
        assert_eq!(rig.partition().dir(), Ok(0));
        assert!(!rig.manager.dirs.all()[1].is_live() && rig.manager.dirs.all()[0].is_live(), "sync {n}");
        assert!(put_and_wait(&rig, "8"));
        assert_eq!(rig.values(), values(9));
    }
}

#[test]
fn a_target_without_room_is_left_as_it_was() {
    let fs = SimFs::new();
    let rig = Rig::start(&fs, &flushed(), DirectoryId::UNASSIGNED).unwrap();
    (0..30).for_each(|n| assert!(put_and_wait(&rig, &n.to_string())));
    fs.set_capacity(3500);
    assert!(!rig.carry(1));
    assert!(rig.manager.dirs.all().iter().all(crate::storage::dirs::LogDir::is_live));
    fs.set_capacity(u64::MAX);
    assert!(rig.carry(1));
    assert_eq!(rig.values(), values(30));
}

#[test]
fn who_waits_for_a_flush_while_the_log_moves_is_answered() {
    let fs = SimFs::new();
    let rig = Arc::new(Rig::start(&fs, &flushed(), DirectoryId::UNASSIGNED).unwrap());
    let writer = {
        let rig = Arc::clone(&rig);
        std::thread::spawn(move || (0..300).all(|n| put_and_wait(&rig, &n.to_string())))
    };
    for to in [1, 2, 0, 1, 2] {
        rig.manager.alter_dir(&Rig::at(), Path::new(DIRS[to])).unwrap();
        rig.wait_until_idle();
    }
    assert!(writer.join().unwrap());
    assert_eq!(rig.partition().dir(), Ok(2));
    assert_eq!(rig.values(), values(300));
}

#[test]
fn requests_get_kafkas_errors() {
    let rig = Rig::start(&SimFs::new(), &TopicConfig::default(), DirectoryId::UNASSIGNED).unwrap();
    let alter = |topic: &str, partition: i32, dir: &str| {
        rig.manager.alter_dir(&TopicPartition::new(topic.into(), PartitionId(partition)), Path::new(dir))
    };
    assert_eq!(alter("t", 0, "/elsewhere"), Err(ErrorCode::LOG_DIR_NOT_FOUND));
    assert_eq!(alter("t", 0, "a"), Err(ErrorCode::LOG_DIR_NOT_FOUND));
    assert_eq!(alter("nowhere", 0, "/elsewhere"), Err(ErrorCode::LOG_DIR_NOT_FOUND));
    assert_eq!(alter("nowhere", 0, "/a"), Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    assert_eq!(alter("t", 1, "/a"), Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    assert_eq!(alter(&"t".repeat(249), 0, "/a"), Err(ErrorCode::INVALID_TOPIC_EXCEPTION));
    assert_eq!(alter("t", 0, "/a"), Ok(()), "it is there");
    assert_eq!(rig.manager.moves.state.lock().threads, 0);
    rig.manager.dirs.fail(&rig.manager.dirs.all()[1], "EIO");
    assert_eq!(alter("t", 0, "/b"), Err(ErrorCode::KAFKA_STORAGE_ERROR));
    rig.manager.dirs.fail(&rig.manager.dirs.all()[0], "EIO");
    assert!(rig.manager.offline_failed_dirs());
    assert_eq!(alter("t", 0, "/c"), Err(ErrorCode::KAFKA_STORAGE_ERROR));
}

#[test]
fn a_partition_that_comes_later_is_made_where_it_was_asked_for() {
    let mut rig = Rig::start(&SimFs::new(), &TopicConfig::default(), DirectoryId::UNASSIGNED).unwrap();
    let later = TopicPartition::new("t".into(), PartitionId(1));
    rig.manager.alter_dir(&later, Path::new("/c")).unwrap_err();
    let image = partition(DirectoryId::UNASSIGNED);
    rig.change(vec![Record::Partition(PartitionRecord { topic: TOPIC, partition: PartitionId(1), image })]);
    assert_eq!(rig.manager.partition("t", PartitionId(1)).unwrap().dir(), Ok(2));
    assert_eq!(rig.manager.moves.take_preferred(&later), None);
}

#[test]
fn preferences_for_topics_that_never_come_do_not_pile_up() {
    let rig = Rig::start(&SimFs::new(), &TopicConfig::default(), DirectoryId::UNASSIGNED).unwrap();
    for n in 0..i32::try_from(PREFERENCES_MAX).unwrap() + 5 {
        let at = TopicPartition::new("later".into(), PartitionId(n));
        assert_eq!(rig.manager.alter_dir(&at, Path::new("/c")), Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    }
    assert_eq!(rig.manager.moves.state.lock().preferred.len(), PREFERENCES_MAX);
}

#[test]
fn a_partition_of_a_directory_that_failed_at_start_is_offline_and_not_made_anew() {
    let fs = SimFs::new();
    let rig = Rig::start(&fs, &TopicConfig::default(), DirectoryId::UNASSIGNED).unwrap();
    assert!(rig.put("0"));
    let home = rig.id(0);
    drop(rig);
    fs.rename(Path::new("/a/meta.properties"), Path::new("/a/kept")).unwrap();
    fs.write_atomic(Path::new("/a/meta.properties"), b"version=7\n").unwrap();
    let rig = Rig::start(&fs, &TopicConfig::default(), home).unwrap();
    assert_eq!(rig.partition().dir(), Err(ErrorCode::KAFKA_STORAGE_ERROR));
    assert!(DIRS[1..].iter().all(|dir| !fs.exists(&Path::new(dir).join("t-0"))));
    drop(rig);
    fs.rename(Path::new("/a/kept"), Path::new("/a/meta.properties")).unwrap();
    let rig = Rig::start(&fs, &TopicConfig::default(), home).unwrap();
    assert_eq!(rig.values(), values(1));
}

#[test]
fn of_two_directories_that_a_move_left_the_one_the_metadata_names_is_used_and_the_other_kept() {
    let fs = SimFs::new();
    let rig = Rig::start(&fs, &TopicConfig::default(), DirectoryId::UNASSIGNED).unwrap();
    assert!(rig.put("0"));
    let ids = [rig.id(0), rig.id(1)];
    let dirs = Arc::clone(&rig.manager.dirs);
    dirs.create_partitions(&dirs.all()[1], &[(Rig::at(), TOPIC)]).unwrap();
    drop((rig, dirs));
    let rig = Rig::start(&fs, &TopicConfig::default(), ids[0]).unwrap();
    assert_eq!((rig.partition().dir(), rig.values()), (Ok(0), values(1)));
    assert!(fs.read_dir(Path::new("/b")).unwrap().iter().any(|entry| entry.name.ends_with("-stray")));
    assert!(rig.fs.exists(Path::new("/a/t-0")));
}
