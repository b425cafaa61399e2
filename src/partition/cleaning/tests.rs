//! Cleaning a broker's partitions over a disk in memory.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::topic::TopicConfig;
use crate::metadata::record::PartitionRecord;
use crate::metadata::{Change, DirectoryId, Image, PartitionImage, Publisher, Record, Replicas};
use crate::metrics::Metrics;
use crate::model::{ErrorCode, LeaderEpoch, NodeId, Offset, PartitionId, TopicId};
use crate::partition::{Acks, ManagerSettings, Outcome};
use crate::record::{Batch, BatchBuilder};
use crate::rt::fs::Open;
use crate::rt::fs::sim::SimFs;
use crate::storage::dirs::{DirsError, LogDirs, Owner};
use crate::storage::flusher::Flusher;
use std::path::{Path, PathBuf};
use uuid::Uuid;

const TOPIC: TopicId = TopicId(Uuid::from_u128(7));

pub(in crate::partition) fn settings() -> Settings {
    Settings {
        enable: true,
        threads: 1,
        dedupe_buffer_bytes: 1 << 20,
        dedupe_buffer_load: 0.9,
        io_buffer_bytes: 1 << 16,
        io_bytes_per_second_max: f64::MAX,
        backoff: Duration::from_millis(1),
    }
}

struct Rig {
    fs: SimFs,
    manager: Arc<Manager>,
    image: Arc<Image>,
    settings: Arc<Mutex<Settings>>,
}

fn compacted() -> TopicConfig {
    TopicConfig {
        segment_bytes: 400,
        cleanup_compact: true,
        cleanup_delete: false,
        retention_ms: -1,
        min_cleanable_dirty_ratio: 0.1,
        ..TopicConfig::default()
    }
}

impl Rig {
    fn start(fs: &SimFs, config: &TopicConfig) -> Rig {
        let owner = Owner { node_id: NodeId(1), cluster_id: Some("c".into()) };
        let dirs = loop {
            match LogDirs::open(fs.shared(), &[PathBuf::from("/a")], &owner) {
                // The last one's flusher may still be at work.
                Err(DirsError::Locked(_)) => std::thread::sleep(Duration::from_millis(1)),
                other => break Arc::new(other.unwrap()),
            }
        };
        let flushers = vec![Arc::new(Flusher::start(fs, Path::new("/a"), Arc::default()).unwrap())];
        let (config, current) = (Arc::new(config.clone()), Arc::new(Mutex::new(settings())));
        let asked = Arc::clone(&current);
        let settings = ManagerSettings {
            node: NodeId(1),
            lag_max: std::time::Duration::from_secs(30),
            producer_expiry_ms: i64::MAX,
            recovery_threads_per_dir: 1,
            move_threads: 1,
            resolve_config: Box::new(move |_, _| Arc::clone(&config)),
            cleaner: Box::new(move || asked.lock().clone()),
            throttles: crate::partition::Throttles::default(),
        };
        let manager = Manager::new(settings, fs.shared(), dirs, flushers, Metrics::new([], TimestampMs(0)));
        let mut rig = Rig { fs: fs.clone(), manager, image: Arc::default(), settings: current };
        let one: Replicas = [NodeId(1)].into_iter().collect();
        let image = PartitionImage {
            replicas: one.clone(),
            isr: one,
            leader: Some(NodeId(1)),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: 0,
            directories: [DirectoryId::UNASSIGNED].into_iter().collect(),
            adding: Replicas::new(),
            removing: Replicas::new(),
            elr: Replicas::new(),
            last_known_elr: Replicas::new(),
            recovering: false,
        };
        rig.change(vec![
            Record::Topic { name: "t".into(), id: TOPIC },
            Record::Partition(PartitionRecord { topic: TOPIC, partition: PartitionId(0), image }),
        ]);
        rig.manager.recover();
        rig
    }

    fn new() -> Rig {
        Rig::start(&SimFs::new(), &compacted())
    }

    fn change(&mut self, records: Vec<Record>) {
        let mut change = Change::new(&self.image);
        records.iter().for_each(|record| change.apply(record).unwrap());
        let (image, delta) = change.finish(Offset(1), 1).unwrap();
        self.image = Arc::new(image);
        self.manager.publish(&self.image, &delta);
    }

    fn partition(&self) -> Arc<Partition> {
        self.manager.partition("t", PartitionId(0)).unwrap()
    }

    fn put(&self, count: u8) {
        for n in 0..count {
            let mut builder = BatchBuilder::new(Offset(0));
            builder.push(TimestampMs(5), Some(&[n % 3]), Some(&[n; 40]), &[]);
            let batch = Batch::verify(builder.build().unwrap()).unwrap();
            let outcome = self.partition().append(&mut [batch], Acks::Leader, TimestampMs(5)).remove(0);
            assert!(matches!(outcome, Outcome::Done(_) | Outcome::Waits(..)), "{outcome:?}");
        }
    }

    fn clean(&self) -> bool {
        let settings = self.settings.lock().clone();
        self.manager.clean_dirtiest(&settings)
    }

    fn size(&self) -> u64 {
        self.partition().size_and_dir().unwrap().0
    }

    fn checkpoint(&self) -> Option<String> {
        let content = self.fs.shared().read(Path::new("/a/cleaner-offset-checkpoint")).ok()?;
        Some(String::from_utf8(content).unwrap())
    }
}

#[test]
fn a_dirty_log_is_cleaned_and_the_checkpoint_says_so() {
    let rig = Rig::new();
    rig.put(40);
    let before = rig.size();
    assert!(rig.clean(), "nothing was cleaned");
    assert!(rig.size() < before / 2, "{} of {before} are left", rig.size());
    let cleaned_to = rig.partition().with_log(|log| Ok(log.cleaned_to())).unwrap().unwrap();
    rig.manager.tick();
    assert_eq!(rig.checkpoint(), Some(format!("0\n1\nt 0 {cleaned_to}\n")));
    assert!(!rig.clean(), "there was something left to clean");
    let metrics = &rig.manager.metrics.cleaner;
    assert!(metrics.written_bytes.get() > 0 && metrics.dropped_records.get() > 30);
    assert_eq!(metrics.max_dirty_percent.get(), 0);
}

#[test]
fn the_next_life_goes_on_where_the_last_one_had_cleaned() {
    for stopped in [true, false] {
        let rig = Rig::new();
        rig.put(40);
        assert!(rig.clean());
        let cleaned_to = rig.partition().with_log(|log| Ok(log.cleaned_to())).unwrap();
        if stopped {
            rig.manager.close(1);
        } else {
            rig.manager.tick();
            rig.manager.checkpoint();
        }
        let fs = rig.fs.clone();
        drop(rig);
        let rig = Rig::start(&fs, &compacted());
        assert_eq!(rig.partition().with_log(|log| Ok(log.cleaned_to())).unwrap(), cleaned_to, "stopped {stopped}");
        assert!(!rig.clean());
    }
}

#[test]
fn a_log_that_is_not_compacted_or_not_dirty_enough_is_left_alone() {
    let kept = TopicConfig { cleanup_compact: false, ..compacted() };
    let clean_enough = TopicConfig { min_cleanable_dirty_ratio: 1.0, ..compacted() };
    for config in [kept, clean_enough] {
        let rig = Rig::start(&SimFs::new(), &config);
        rig.put(40);
        let before = rig.size();
        assert!(!rig.clean());
        rig.manager.retain();
        assert_eq!(rig.size(), before);
    }
}

#[test]
fn a_log_that_is_being_copied_is_not_cleaned() {
    let rig = Rig::new();
    rig.put(40);
    let partition = rig.partition();
    let paused = partition.pause_cleaning();
    assert!(!rig.clean());
    drop(paused);
    assert!(rig.clean());
}

#[test]
fn a_partition_that_is_paused_deleted_or_moved_ends_its_cleaning() {
    let mut rig = Rig::new();
    rig.put(40);
    let partition = rig.partition();
    let job = Job { manager: &rig.manager, partition: &partition, moves: 0 };
    let goes_on = |job: &Job<'_>| job.with_log(|_| Ok(())).is_ok();
    assert!(goes_on(&job));
    let paused = partition.pause_cleaning();
    assert!(!goes_on(&job));
    drop(paused);
    assert!(goes_on(&job) && !goes_on(&Job { moves: 1, ..job }));
    rig.change(vec![Record::RemoveTopic { id: TOPIC }]);
    let job = Job { manager: &rig.manager, partition: &partition, moves: 0 };
    assert!(!goes_on(&job));
    assert!(!rig.clean());
}

#[test]
fn retention_waits_for_the_cleaner() {
    let config = TopicConfig { cleanup_delete: true, retention_bytes: 500, ..compacted() };
    let rig = Rig::start(&SimFs::new(), &config);
    rig.put(40);
    let before = rig.size();
    rig.partition().state.lock().cleaning.running = true;
    rig.manager.retain();
    assert_eq!(rig.size(), before);
    rig.partition().state.lock().cleaning.running = false;
    rig.manager.retain();
    assert!(rig.size() <= 900, "compact,delete deletes too");
}

#[test]
fn a_damaged_log_is_left_out_and_counted_and_goes_on_taking_records() {
    let rig = Rig::new();
    rig.put(40);
    let file = rig.fs.shared().open(Path::new("/a/t-0/00000000000000000000.log"), Open::ReadWrite).unwrap();
    file.write_all_at(&mut [std::io::IoSlice::new(b"??")], 65).unwrap();
    assert!(!rig.clean());
    assert!(rig.partition().is_uncleanable());
    assert!(!rig.clean());
    assert_eq!(rig.manager.metrics.cleaner.uncleanable_partitions.get(), 1);
    rig.put(3);
}

#[test]
fn a_disk_that_fails_takes_the_directory_and_not_the_broker() {
    let rig = Rig::new();
    rig.put(40);
    rig.fs.fail_write(3);
    rig.clean();
    assert!(!rig.manager.dirs.all()[0].is_live());
    assert_eq!(rig.partition().positions(), Err(ErrorCode::KAFKA_STORAGE_ERROR));
}

#[test]
fn a_full_disk_is_no_reason_to_give_a_log_up() {
    let rig = Rig::new();
    rig.put(40);
    let space = rig.fs.shared().space(Path::new("/a")).unwrap();
    rig.fs.set_capacity(space.total - space.usable + 50);
    assert!(!rig.clean());
    rig.fs.set_capacity(u64::MAX / 2);
    assert!(rig.clean());
}

#[test]
fn threads_clean_until_they_are_stopped() {
    let rig = Rig::new();
    rig.put(40);
    let before = rig.size();
    rig.manager.keep_cleaning();
    let patience = clock::now() + Duration::from_secs(30);
    while rig.size() >= before && clock::now() < patience {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(rig.size() < before, "no thread cleaned");
    rig.manager.stop_cleaning();
    assert!(rig.manager.cleaning.threads.lock().running.is_empty());
    rig.manager.keep_cleaning();
    assert!(rig.manager.cleaning.threads.lock().running.is_empty(), "a thread was started after the stop");
}

#[test]
fn a_cleaner_that_is_turned_off_has_no_threads() {
    let rig = Rig::new();
    rig.settings.lock().enable = false;
    rig.manager.keep_cleaning();
    assert!(rig.manager.cleaning.threads.lock().running.is_empty());
}

#[test]
fn fewer_threads_are_left_when_the_setting_says_so() {
    let rig = Rig::new();
    let running = |rig: &Rig| rig.manager.cleaning.threads.lock().running.len();
    rig.settings.lock().threads = 3;
    rig.manager.keep_cleaning();
    assert_eq!(running(&rig), 3);
    rig.settings.lock().threads = 1;
    rig.manager.keep_cleaning();
    let patience = clock::now() + Duration::from_secs(30);
    while running(&rig) > 1 && clock::now() < patience {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(running(&rig), 1);
    rig.manager.stop_cleaning();
}

#[test]
fn no_more_bytes_a_second_are_read_and_written_than_are_allowed() {
    let rig = Rig::new();
    rig.settings.lock().io_bytes_per_second_max = 1_000_000.0;
    let started = clock::now();
    for _ in 0..4 {
        assert!(rig.manager.keep_pace(50_000));
    }
    assert!(started.elapsed() >= Duration::from_millis(190), "{:?}", started.elapsed());
    rig.manager.stop_cleaning();
    rig.settings.lock().io_bytes_per_second_max = 1.0;
    assert!(!rig.manager.keep_pace(1_000_000), "it waited on although it was told to stop");
}
