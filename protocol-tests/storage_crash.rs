//! The log of a partition over a disk that loses what was not synced.
//!
//! A random but repeatable workload is run once for every sync it makes, and the power fails at that
//! sync. What the disk keeps of the unsynced rest is random too. After the restart: nothing that was
//! flushed is lost, what is there is a prefix of what was appended, byte by byte, the index files
//! agree with it, and the producers' state is what the batches say.

#![allow(clippy::unwrap_used)]

#[path = "storage/compaction.rs"]
mod compaction;

use klamm::config::topic::TopicConfig;
use klamm::model::{
    LeaderEpoch, Offset, PartitionId, ProducerEpoch, ProducerId, Sequence, TimestampMs, TopicPartition,
};
use klamm::record::build::{BatchBuilder, Marker, end_txn_marker};
use klamm::record::{Batch, BatchHeader, Batches, HEADER_LEN};
use klamm::rt::fs::sim::SimFs;
use klamm::storage::{AppendError, Log, OpenLog, Origin, StorageError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NOW: TimestampMs = TimestampMs(1_000_000);

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// What the world outside of the log knows.
struct World {
    fs: SimFs,
    config: TopicConfig,
    dice: Dice,
    /// Every batch that was appended and not cut off, also those that retention removed.
    history: Vec<Vec<u8>>,
    /// As `history` before the truncation that may be under way.
    before_cut: Option<Vec<Vec<u8>>>,
    /// Everything below was flushed.
    flushed: Offset,
    /// What the directory's checkpoints say.
    recovery_point: Offset,
    log_start: Offset,
    sequences: [i32; 3],
    in_transaction: [bool; 3],
    epoch: i32,
}

fn dir() -> PathBuf {
    PathBuf::from("/data/t-0")
}

impl World {
    fn new(seed: u64) -> World {
        let fs = SimFs::new();
        // The log directory itself is older than the workload.
        fs.shared().create_dir_all(Path::new("/data")).unwrap();
        fs.shared().sync_dir(Path::new("/")).unwrap();
        let mut dice = Dice(seed);
        let config = TopicConfig {
            segment_bytes: 700 + dice.below(1500) as i32,
            index_interval_bytes: dice.below(400) as i32,
            retention_bytes: 4000,
            retention_ms: -1,
            ..TopicConfig::default()
        };
        World {
            fs,
            config,
            dice,
            history: Vec::new(),
            before_cut: None,
            flushed: Offset::ZERO,
            recovery_point: Offset::ZERO,
            log_start: Offset::ZERO,
            sequences: [0; 3],
            in_transaction: [false; 3],
            epoch: 0,
        }
    }

    fn open(&self, clean: bool) -> Result<Log, StorageError> {
        Log::open(OpenLog {
            fs: self.fs.shared(),
            dir: dir(),
            partition: TopicPartition::new("t".into(), PartitionId(0)),
            config: Arc::new(self.config.clone()),
            clean,
            recovery_point: self.recovery_point,
            log_start: self.log_start,
            cleaned_to: None,
            producer_expiry_ms: i64::MAX,
            now: NOW,
        })
    }

    fn batch(&mut self) -> (Origin, Batch) {
        let records = 1 + self.dice.below(5) as i32;
        let producer = self.dice.below(5) as usize;
        let mut builder = BatchBuilder::new(Offset(0));
        if let Some(sequence) = self.sequences.get_mut(producer) {
            let id = ProducerId(producer as i64);
            // The last of them is transactional.
            if producer == 2 {
                if self.in_transaction[2] && self.dice.below(3) == 0 {
                    self.in_transaction[2] = false;
                    let kind = if self.dice.below(2) == 0 { Marker::Abort } else { Marker::Commit };
                    let bytes = end_txn_marker(kind, id, ProducerEpoch(0), 0, NOW).unwrap();
                    return (Origin::Marker { transaction_version: 0 }, Batch::verify(bytes).unwrap());
                }
                self.in_transaction[2] = true;
                builder = builder.transactional();
            }
            builder = builder.producer(id, ProducerEpoch(0), Sequence(*sequence));
            *sequence += records;
        }
        for n in 0..records {
            let value = [self.dice.below(256) as u8; 40];
            builder.push(TimestampMs(self.dice.below(5000) as i64 + i64::from(n)), None, Some(&value), &[]);
        }
        (Origin::Client, Batch::verify(builder.build().unwrap()).unwrap())
    }

    fn append(&mut self, log: &mut Log) -> Result<(), StorageError> {
        for _ in 0..=self.dice.below(3) {
            let (origin, batch) = self.batch();
            let mut batches = [batch];
            match log.append_from(origin, &mut batches, LeaderEpoch(self.epoch), NOW).remove(0) {
                Ok(answer) => {
                    assert!(!answer.duplicate);
                    self.history.push(batches[0].to_bytes().to_vec());
                }
                Err(AppendError::Storage(error)) => {
                    return Err(StorageError::Refused(error.to_string()));
                }
                Err(error) => panic!("{error}"),
            }
        }
        Ok(())
    }

    fn flush(&mut self, log: &mut Log) -> Result<(), StorageError> {
        let job = if self.dice.below(3) == 0 { log.sealed_flush_job() } else { log.flush_job() };
        let Some(job) = job else { return Ok(()) };
        // The syncs run outside of the partition's lock: the log goes on meanwhile.
        for _ in 0..self.dice.below(6) {
            self.append(log)?;
        }
        for file in &job.files {
            file.sync_data().map_err(|error| StorageError::io(dir(), error))?;
        }
        log.flushed(job.mark, NOW);
        self.flushed = self.flushed.max(log.recovery_point());
        Ok(())
    }

    fn step(&mut self, log: &mut Log) -> Result<(), StorageError> {
        match self.dice.below(20) {
            0..10 => self.append(log),
            10..14 => self.flush(log),
            14..15 => {
                self.epoch += 1;
                log.assign_epoch(LeaderEpoch(self.epoch))
            }
            15..16 => {
                // The checkpoints are written now and then.
                (self.recovery_point, self.log_start) = (log.recovery_point(), log.log_start());
                Ok(())
            }
            16..17 => {
                let span = log.log_end().0 - log.log_start().0;
                let target = Offset(log.log_end().0 - self.dice.below(span as u64 / 3 + 1) as i64);
                let kept = |batch: &Vec<u8>| BatchHeader::parse(batch).unwrap().last_offset() < target;
                self.before_cut = Some(self.history.clone());
                self.history.retain(kept);
                // A cut inside a batch takes all of it.
                let end = self.history.last().map_or(Offset::ZERO, |batch| header(batch).next_offset());
                self.flushed = self.flushed.min(target).min(end);
                self.epoch += 1;
                log.truncate_to(target, NOW)?;
                self.flushed = self.flushed.min(log.log_end());
                // The caller's duty before it appends again.
                (self.recovery_point, self.log_start) = (log.recovery_point(), log.log_start());
                self.before_cut = None;
                self.follow(log)
            }
            17..18 => {
                log.apply_retention(log.log_end(), NOW)?;
                self.log_start = self.log_start.max(log.log_start());
                log.reap(NOW.plus(1_000_000)).map(|_| ())
            }
            _ => {
                log.close()?;
                self.flushed = log.log_end();
                self.recovery_point = log.recovery_point();
                self.log_start = log.log_start();
                *log = self.open(true)?;
                Ok(())
            }
        }
    }

    /// Producers go on where the log knows them to be.
    fn follow(&mut self, log: &Log) -> Result<(), StorageError> {
        let known = log.producers()?;
        for id in 0..3 {
            let view = known.iter().find(|view| view.producer_id.0 == id as i64);
            self.sequences[id] = view.map_or(0, |view| view.last_sequence.0 + 1);
            self.in_transaction[id] = view.is_some_and(|view| view.txn_start.is_some());
        }
        Ok(())
    }
}

/// Runs the workload until it ends or the power fails.
fn run(world: &mut World, steps: u64) {
    let Ok(mut log) = world.open(false) else { return };
    for _ in 0..steps {
        if world.step(&mut log).is_err() {
            assert!(world.fs.is_off(), "something failed while the power was on");
            return;
        }
    }
}

fn stored(log: &Log) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut at = log.log_start();
    while let Some(slice) = log.read(at, 900, log.log_end(), true).unwrap() {
        let mut bytes = vec![0; slice.len];
        slice.file.read_exact_at(&mut bytes, slice.pos).unwrap();
        for batch in Batches::new(&bytes) {
            let (header, batch) = batch.unwrap();
            klamm::record::verify(batch).unwrap();
            assert!(header.next_offset() > at);
            at = header.next_offset();
            all.push(batch.to_vec());
        }
    }
    assert_eq!(at, log.log_end());
    all
}

fn header(batch: &[u8]) -> BatchHeader {
    BatchHeader::parse(batch).unwrap()
}

/// What the batches say about the producers: last sequence, last offset's batch, open transaction.
fn replay(batches: &[Vec<u8>]) -> BTreeMap<i64, (i32, Option<i64>)> {
    let mut state = BTreeMap::new();
    for batch in batches {
        let header = header(batch);
        if !header.has_producer_id() {
            continue;
        }
        let entry = state.entry(header.producer_id.0).or_insert((-1, None));
        if header.attributes.is_control() {
            entry.1 = None;
        } else {
            entry.0 = header.last_sequence().0;
            if header.attributes.is_transactional() && entry.1.is_none() {
                entry.1 = Some(header.base_offset.0);
            }
        }
    }
    state
}

fn check_indexes(world: &World, context: &str) {
    check_indexes_of(&world.fs, context);
}

fn check_indexes_of(fs: &SimFs, context: &str) {
    let fs = fs.shared();
    for entry in fs.read_dir(&dir()).unwrap() {
        let Some(base) = entry.name.strip_suffix(".log") else { continue };
        let log = fs.read(&dir().join(&entry.name)).unwrap();
        let first: i64 = base.parse().unwrap();
        let number = |bytes: &[u8]| bytes.iter().fold(0_i64, |sum, byte| (sum << 8) | i64::from(*byte));
        let index = fs.read(&dir().join(format!("{base}.index"))).unwrap();
        assert_eq!(index.len() % 8, 0, "{context}");
        for entry in index.chunks_exact(8) {
            let (offset, pos) = (first + number(&entry[..4]), number(&entry[4..]) as usize);
            assert_eq!(header(&log[pos..pos + HEADER_LEN]).last_offset().0, offset, "{context}: {base}.index");
        }
        let times = fs.read(&dir().join(format!("{base}.timeindex"))).unwrap();
        let largest: BTreeMap<i64, i64> = Batches::new(&log)
            .map(|batch| batch.unwrap().0)
            .map(|header| (header.last_offset().0, header.max_timestamp.0))
            .collect();
        let mut last = -1;
        for entry in times.chunks_exact(12) {
            let (time, offset) = (number(&entry[..8]), first + number(&entry[8..]));
            assert_eq!(largest.get(&offset), Some(&time), "{context}: {base}.timeindex");
            assert!(time > last, "{context}: {base}.timeindex");
            last = time;
        }
        if !largest.is_empty() {
            assert_eq!(Some(&last), largest.values().max(), "{context}: the last entry is the largest time");
        }
    }
}

fn check_after_crash(world: &mut World, context: &str) {
    let mut log = world.open(false).unwrap();
    assert!(log.log_end() >= world.flushed, "{context}: ends at {}, {} was flushed", log.log_end(), world.flushed);
    let stored = stored(&log);
    let from = stored.first().map_or(0, |first| {
        let offset = header(first).base_offset;
        world.history.iter().position(|batch| header(batch).base_offset == offset).unwrap_or(usize::MAX)
    });
    let is_prefix = |history: &[Vec<u8>]| history.get(from..).is_some_and(|rest| rest.starts_with(&stored));
    let old = world.before_cut.take();
    assert!(
        is_prefix(&world.history) || old.as_deref().is_some_and(is_prefix),
        "{context}: what is stored was not appended like that"
    );
    // Producers whose batches are all there; those that retention took may be known or not.
    let known = log.producers().unwrap();
    for (id, (sequence, txn)) in replay(&stored) {
        let view = known.iter().find(|view| view.producer_id.0 == id);
        let view = view.unwrap_or_else(|| panic!("{context}: producer {id} is not known"));
        if txn.is_some() || sequence >= 0 {
            assert_eq!(view.last_sequence.0, sequence, "{context}: producer {id}");
        }
        if from == 0 {
            assert_eq!(view.txn_start.map(|offset| offset.0), txn, "{context}: producer {id}");
        }
    }
    let epochs: BTreeMap<i64, i32> =
        stored.iter().map(|batch| (header(batch).base_offset.0, header(batch).leader_epoch.0)).collect();
    for (offset, epoch) in epochs {
        let at = Offset(offset).max(log.log_start());
        assert_eq!(log.epoch_at(at).unwrap(), Some(LeaderEpoch(epoch)), "{context}: epoch at {offset}");
    }
    log.close().unwrap();
    check_indexes(world, context);
    // And life goes on.
    (world.recovery_point, world.log_start) = (log.recovery_point(), log.log_start());
    let mut log = world.open(true).unwrap();
    let end = log.log_end();
    let mut builder = BatchBuilder::new(Offset(0));
    builder.push(NOW, None, None, &[]);
    let batch = Batch::verify(builder.build().unwrap()).unwrap();
    assert_eq!(log.append(&mut [batch], LeaderEpoch(99), NOW).remove(0).unwrap().first, end, "{context}");
}

fn at_every_sync(seed: u64, steps: u64) -> u64 {
    let mut crash_at = 1;
    loop {
        for chance in 0..3 {
            let mut world = World::new(seed);
            let before = world.fs.syncs();
            world.fs.crash_at_sync(before + crash_at);
            run(&mut world, steps);
            let survived = !world.fs.is_off();
            if chance == 0 {
                world.fs.crash_losing_all()
            } else {
                world.fs.crash(seed * 1000 + crash_at * 10 + chance)
            }
            check_after_crash(&mut world, &format!("seed {seed}, crash at sync {crash_at}, chance {chance}"));
            if survived && chance == 2 {
                return crash_at;
            }
        }
        crash_at += 1;
    }
}

#[test]
fn a_power_cut_at_any_sync_loses_nothing_that_was_flushed() {
    let mut points = 0;
    for seed in 0..6 {
        points += at_every_sync(seed, 60);
    }
    assert!(points > 200, "the workload synced only {points} times");
}
