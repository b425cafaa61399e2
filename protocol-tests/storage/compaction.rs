//! The power fails while a log is compacted.
//!
//! As in the parent, at every sync. After the restart: no file of a swap is left, everything that was flushed is there
//! or superseded by something that is, and what is there is what was appended.

use super::{Dice, NOW, check_indexes_of, header};
use klamm::config::topic::TopicConfig;
use klamm::model::{
    LeaderEpoch, Offset, PartitionId, ProducerEpoch, ProducerId, Sequence, TimestampMs, TopicPartition,
};
use klamm::record::build::{BatchBuilder, ControlType, Marker, end_txn_marker};
use klamm::record::records::{Records, open as open_records};
use klamm::record::{Batch, Batches};
use klamm::rt::fs::sim::SimFs;
use klamm::storage::cleaner::{Host, Means, Stop, clean};
use klamm::storage::{AppendError, Log, OpenLog, Origin, StorageError};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Offset, producer, key and value; a marker has no key, and a value that says how it ended.
type Row = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>);
/// What a table made of committed records holds.
type Table = BTreeMap<Vec<u8>, (i64, Vec<u8>)>;

struct World {
    fs: SimFs,
    config: TopicConfig,
    dice: Dice,
    history: Vec<Row>,
    flushed: Offset,
    recovery_point: Offset,
    cleaned_to: Option<Offset>,
    sequence: i32,
    in_transaction: bool,
    now: TimestampMs,
    cleanings: u32,
}

/// The log that is cleaned; the cleaner asks for it a moment at a time.
struct Shared<'a>(RefCell<&'a mut Log>);

impl Host for Shared<'_> {
    fn with_log<T>(&self, look: impl FnOnce(&mut Log) -> Result<T, StorageError>) -> Result<T, Stop> {
        Ok(look(&mut self.0.borrow_mut())?)
    }

    fn spent(&self, _bytes: usize) -> Result<(), Stop> {
        Ok(())
    }
}

impl World {
    fn new(seed: u64) -> World {
        let fs = SimFs::new();
        fs.shared().create_dir_all(Path::new("/data")).unwrap();
        fs.shared().sync_dir(Path::new("/")).unwrap();
        let mut dice = Dice(seed);
        let config = TopicConfig {
            segment_bytes: 400 + dice.below(600) as i32,
            index_interval_bytes: dice.below(200) as i32,
            cleanup_compact: true,
            cleanup_delete: false,
            retention_ms: -1,
            delete_retention_ms: 20,
            ..TopicConfig::default()
        };
        World {
            fs,
            config,
            dice,
            history: Vec::new(),
            flushed: Offset::ZERO,
            recovery_point: Offset::ZERO,
            cleaned_to: None,
            sequence: 0,
            in_transaction: false,
            now: NOW,
            cleanings: 0,
        }
    }

    fn open(&self, clean: bool) -> Result<Log, StorageError> {
        let mut log = Log::open(OpenLog {
            fs: self.fs.shared(),
            dir: super::dir(),
            partition: TopicPartition::new("t".into(), PartitionId(0)),
            config: Arc::new(self.config.clone()),
            clean,
            recovery_point: self.recovery_point,
            log_start: Offset::ZERO,
            cleaned_to: self.cleaned_to,
            producer_expiry_ms: i64::MAX,
            now: self.now,
        })?;
        log.high_watermark_advanced(log.log_end());
        Ok(log)
    }

    fn append(&mut self, log: &mut Log) -> Result<(), StorageError> {
        let mut builder = BatchBuilder::new(Offset(0));
        let mut origin = Origin::Client;
        let batch = if self.in_transaction && self.dice.below(3) == 0 {
            self.in_transaction = false;
            origin = Origin::Marker { transaction_version: 0 };
            let kind = if self.dice.below(2) == 0 { Marker::Abort } else { Marker::Commit };
            Batch::verify(end_txn_marker(kind, ProducerId(1), ProducerEpoch(0), 0, self.now).unwrap()).unwrap()
        } else {
            let count = 1 + self.dice.below(4);
            if self.dice.below(3) == 0 {
                self.in_transaction = true;
                builder = builder.producer(ProducerId(1), ProducerEpoch(0), Sequence(self.sequence)).transactional();
                self.sequence += count as i32;
            }
            for _ in 0..count {
                let key = [b'k', self.dice.below(9) as u8];
                let value = vec![self.dice.below(256) as u8; 1 + self.dice.below(30) as usize];
                let value = (self.dice.below(4) > 0).then_some(&value[..]);
                builder.push(self.now, Some(&key), value, &[]);
            }
            Batch::verify(builder.build().unwrap()).unwrap()
        };
        let mut batches = [batch];
        match log.append_from(origin, &mut batches, LeaderEpoch(0), self.now).remove(0) {
            Ok(_) => self.history.extend(rows(&batches[0].to_bytes())),
            Err(AppendError::Storage(error)) => return Err(StorageError::Refused(error.to_string())),
            Err(error) => panic!("{error}"),
        }
        log.high_watermark_advanced(log.log_end());
        Ok(())
    }

    fn step(&mut self, log: &mut Log) -> Result<(), StorageError> {
        self.now = self.now.plus(self.dice.below(4) as i64);
        match self.dice.below(20) {
            0..12 => self.append(log),
            12..14 => {
                let Some(job) = log.flush_job() else { return Ok(()) };
                job.files
                    .iter()
                    .try_for_each(|file| file.sync_data())
                    .map_err(|e| StorageError::io(super::dir(), e))?;
                log.flushed(job.mark, self.now);
                self.flushed = log.recovery_point();
                Ok(())
            }
            14..18 => {
                let means = Means { map_bytes: 12 * (4 + self.dice.below(20) as usize), map_load: 0.9, io_bytes: 4096 };
                let cleaned = clean(&Shared(RefCell::new(&mut *log)), &means, self.now);
                match cleaned {
                    Ok(cleaned) => self.cleanings += u32::from(cleaned.is_some()),
                    Err(Stop::Storage(error)) => return Err(error),
                    Err(Stop::Aborted) => panic!("nobody told it to stop"),
                }
                self.flushed = self.flushed.max(log.recovery_point());
                // The checkpoint is written now and then.
                if self.dice.below(2) == 0 {
                    (self.cleaned_to, self.recovery_point) = (log.cleaned_to(), log.recovery_point());
                }
                Ok(())
            }
            18 => log.reap(TimestampMs(i64::MAX)).map(|_| ()),
            _ => {
                log.close()?;
                self.flushed = log.log_end();
                (self.cleaned_to, self.recovery_point) = (log.cleaned_to(), log.recovery_point());
                *log = self.open(true)?;
                Ok(())
            }
        }
    }
}

fn rows(batch: &[u8]) -> Vec<Row> {
    let header = header(batch);
    let payload = open_records(&header, batch, 1 << 20).unwrap();
    let all = Records::new(&header, &payload).unwrap().map(|record| {
        let record = record.unwrap();
        if header.attributes.is_control() {
            let committed = ControlType::parse(record.key).unwrap() == ControlType::Commit;
            return (record.offset.0, header.producer_id.0, None, committed.then(Vec::new));
        }
        let producer = if header.attributes.is_transactional() { header.producer_id.0 } else { -1 };
        (record.offset.0, producer, record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec))
    });
    all.collect()
}

fn stored(log: &Log) -> Vec<Row> {
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
            all.extend(rows(batch));
        }
    }
    all
}

/// The last committed value of each key, up to the first transaction that is open at the end.
fn table<'a>(rows: impl Iterator<Item = &'a Row> + Clone) -> (Table, i64) {
    let mut open = BTreeMap::new();
    let mut aborted = BTreeSet::new();
    for (offset, producer, key, value) in rows.clone() {
        if key.is_some() && *producer >= 0 {
            open.entry(*producer).or_insert_with(Vec::new).push(*offset);
        } else if key.is_none()
            && let Some(ended) = open.remove(producer)
            && value.is_none()
        {
            aborted.extend(ended);
        }
    }
    let stable = open.values().filter_map(|offsets| offsets.first().copied()).min().unwrap_or(i64::MAX);
    let mut table = Table::new();
    for (offset, _, key, value) in rows.filter(|row| row.0 < stable && !aborted.contains(&row.0)) {
        match (key, value) {
            (Some(key), Some(value)) => drop(table.insert(key.clone(), (*offset, value.clone()))),
            (Some(key), None) => drop(table.remove(key)),
            (None, _) => {}
        }
    }
    (table, stable)
}

fn check(world: &World, log: &Log, context: &str) {
    let end = log.log_end();
    assert!(end >= world.flushed, "{context}: ends at {end}, {} was flushed", world.flushed);
    let stored = stored(log);
    let appended: BTreeSet<&Row> = world.history.iter().collect();
    assert!(stored.iter().all(|row| appended.contains(row)), "{context}: something was never appended");
    assert!(stored.is_sorted_by_key(|row| row.0), "{context}: out of order");
    let expected = table(world.history.iter().filter(|row| row.0 < end.0));
    let found = table(stored.iter());
    assert_eq!(found.0, expected.0, "{context}: the last value of a key");
    if expected.1 < i64::MAX {
        assert_eq!(found.1, expected.1, "{context}: where the open transaction begins");
    }
    let listed = log.aborted_transactions(Offset::ZERO, end).unwrap();
    let is_listed = |offset| listed.iter().any(|entry| entry.first.0 <= offset && offset <= entry.last.0);
    let committed: BTreeSet<i64> = expected.0.values().map(|(offset, _)| *offset).collect();
    for (offset, producer, key, _) in stored.iter().filter(|row| row.0 < found.1 && row.1 >= 0 && row.2.is_some()) {
        if committed.contains(offset) {
            assert!(!is_listed(*offset), "{context}: {producer} committed {key:?} at {offset}");
        }
    }
    let left = world.fs.shared().read_dir(&super::dir()).unwrap();
    let left: Vec<_> = left.iter().filter(|e| e.name.ends_with(".swap") || e.name.ends_with(".cleaned")).collect();
    assert!(left.is_empty(), "{context}: {left:?}");
}

fn run(world: &mut World, steps: u64) {
    let Ok(mut log) = world.open(false) else { return };
    for _ in 0..steps {
        if let Err(error) = world.step(&mut log) {
            assert!(world.fs.is_off(), "something failed while the power was on: {error}");
            return;
        }
    }
}

fn at_every_sync(seed: u64, steps: u64) -> (u64, u32) {
    let mut crash_at = 1;
    loop {
        for chance in 0..4 {
            let context = format!("seed {seed}, crash at sync {crash_at}, chance {chance}");
            let mut world = World::new(seed);
            world.fs.crash_at_sync(world.fs.syncs() + crash_at);
            run(&mut world, steps);
            let survived = !world.fs.is_off();
            match chance {
                0 => world.fs.crash_losing_all(),
                _ => world.fs.crash(seed * 1000 + crash_at * 10 + chance),
            }
            let mut log = world.open(false).unwrap();
            check(&world, &log, &context);
            // And life goes on: what was lost is not missed, and the log is cleaned to its end.
            world.history.retain(|row| row.0 < log.log_end().0);
            let means = Means { map_bytes: 1 << 12, map_load: 0.9, io_bytes: 4096 };
            clean(&Shared(RefCell::new(&mut log)), &means, world.now).unwrap();
            check(&world, &log, &format!("{context}, cleaned"));
            log.close().unwrap();
            check_indexes_of(&world.fs, &context);
            if survived && chance == 3 {
                return (crash_at, world.cleanings);
            }
        }
        crash_at += 1;
    }
}

#[test]
fn a_power_cut_while_a_log_is_compacted_loses_nothing() {
    let (mut points, mut cleanings) = (0, 0);
    for seed in 0..6 {
        let (syncs, cleaned) = at_every_sync(seed, 60);
        points += syncs;
        cleanings += cleaned;
    }
    assert!(points > 300 && cleanings > 20, "{cleanings} cleanings, {points} syncs");
}
