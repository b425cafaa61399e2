//! Random logs, cleaned again and again, against what should be left of them.

use super::*;
use std::collections::{BTreeMap, BTreeSet};

/// A small generator with a seed, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decided {
    Open,
    Committed,
    Aborted,
}

/// A record that was appended, and what came of its transaction (by the marker's offset).
struct Written {
    row: Row,
    batch: i64,
    transaction: Option<usize>,
}

#[derive(Default)]
struct Model {
    written: Vec<Written>,
    /// Outcome of each transaction.
    transactions: Vec<Decided>,
    open: BTreeMap<i64, usize>,
    sequences: BTreeMap<i64, i32>,
    /// Delete horizons, by the batch's base offset.
    horizons: BTreeMap<i64, i64>,
    gone: BTreeSet<i64>,
}

impl Model {
    fn append(&mut self, rig: &Rig, dice: &mut Dice) {
        let id = dice.below(4) as i64;
        let mut builder = BatchBuilder::new(Offset(0));
        let codec = [None, None, Some(Compression::Lz4), Some(Compression::Zstd)][dice.below(4) as usize];
        if let Some(codec) = codec {
            builder = builder.compressed(codec);
        }
        let count = 1 + dice.below(5) as i32;
        let mut transaction = None;
        if id > 0 {
            let sequence = self.sequences.entry(id).or_default();
            builder = builder.producer(ProducerId(id), ProducerEpoch(0), Sequence(*sequence));
            *sequence += count;
        }
        if id > 1 {
            builder = builder.transactional();
            let next = self.transactions.len();
            let number = *self.open.entry(id).or_insert(next);
            if number == next {
                self.transactions.push(Decided::Open);
            }
            transaction = Some(number);
        }
        let mut rows = Vec::new();
        for n in 0..count {
            let key = (dice.below(50) > 0).then(|| format!("key-{}", dice.below(12)).into_bytes());
            let value = (dice.below(4) > 0).then(|| vec![dice.below(256) as u8; dice.below(20) as usize]);
            let timestamp = rig.now.0 + i64::from(n) - dice.below(100) as i64;
            builder.push(TimestampMs(timestamp), key.as_deref(), value.as_deref(), &[]);
            rows.push(Row { offset: 0, timestamp, key, value });
        }
        let first = rig.append(Batch::verify(builder.build().unwrap()).unwrap());
        for (offset, row) in (first..).zip(rows) {
            self.written.push(Written { row: Row { offset, ..row }, batch: first, transaction });
        }
    }

    fn end(&mut self, rig: &Rig, dice: &mut Dice) {
        let Some((id, number)) = self.open.pop_first() else { return };
        let aborts = dice.below(2) == 0;
        rig.marker(if aborts { Marker::Abort } else { Marker::Commit }, id);
        self.transactions[number] = if aborts { Decided::Aborted } else { Decided::Committed };
    }

    fn is_aborted(&self, written: &Written) -> bool {
        written.transaction.is_some_and(|number| self.transactions[number] == Decided::Aborted)
    }

    /// What a complete cleaning up to `to` leaves.
    fn clean(&mut self, to: i64, now: i64, retention: i64) {
        let mut last: BTreeMap<&[u8], i64> = BTreeMap::new();
        for written in self.written.iter().filter(|written| written.row.offset < to) {
            if let Some(key) = written.row.key.as_deref().filter(|_| !self.is_aborted(written)) {
                last.insert(key, written.row.offset);
            }
        }
        let mut fresh = BTreeMap::new();
        let mut gone = Vec::new();
        for written in self.written.iter().filter(|written| written.row.offset < to) {
            let row = &written.row;
            let is_last = row.key.as_deref().is_some_and(|key| last.get(key) == Some(&row.offset));
            let expired = row.value.is_none() && self.horizons.get(&written.batch).is_some_and(|at| *at <= now);
            if self.is_aborted(written) || !is_last || expired {
                gone.push(row.offset);
            } else if row.value.is_none() && !self.gone.contains(&row.offset) {
                fresh.insert(written.batch, now + retention);
            }
        }
        self.gone.extend(gone);
        for (batch, horizon) in fresh {
            self.horizons.entry(batch).or_insert(horizon);
        }
    }

    fn left(&self) -> Vec<Row> {
        self.written
            .iter()
            .map(|written| &written.row)
            .filter(|row| !self.gone.contains(&row.offset))
            .cloned()
            .collect()
    }

    /// What a consumer of committed records is to see: the last stable offset is its end.
    fn committed(&self, stable: i64) -> Vec<Row> {
        let visible = |written: &&Written| {
            written.row.offset < stable && !self.is_aborted(written) && !self.gone.contains(&written.row.offset)
        };
        self.written.iter().filter(visible).map(|written| written.row.clone()).collect()
    }
}

/// What a consumer of committed records makes of the batches and the list of aborted transactions.
fn read_committed(rig: &Rig, stable: Offset) -> Vec<Row> {
    let listed = rig.log.lock().aborted_transactions(Offset::ZERO, stable).unwrap();
    let mut ahead: BTreeMap<i64, ProducerId> = listed.iter().map(|entry| (entry.first.0, entry.producer_id)).collect();
    let mut aborting = BTreeSet::new();
    let mut rows = Vec::new();
    for batch in rig.batches().iter().take_while(|(header, _)| header.last_offset() < stable) {
        let header = batch.0;
        while let Some(next) = ahead.first_entry().filter(|next| *next.key() <= header.last_offset().0) {
            aborting.insert(next.remove());
        }
        if header.attributes.is_control() {
            if matches!(control(&header, &batch.1).unwrap(), Some(Control::End(Marker::Abort))) {
                aborting.remove(&header.producer_id);
            }
        } else if !(header.attributes.is_transactional() && aborting.contains(&header.producer_id)) {
            rows.extend(rows_of(batch));
        }
    }
    rows
}

fn check(rig: &Rig, model: &Model, context: &str) {
    assert_eq!(rig.rows(), model.left(), "{context}");
    let stable = {
        let log = rig.log.lock();
        log.first_unstable_offset().unwrap().unwrap_or(log.log_end())
    };
    assert_eq!(read_committed(rig, stable), model.committed(stable.0), "{context}: committed");
    let known = rig.log.lock().producers().unwrap();
    for (id, sequence) in &model.sequences {
        let view = known.iter().find(|view| view.producer_id.0 == *id);
        assert_eq!(view.map(|view| view.last_sequence.0 + 1), Some(*sequence), "{context}: producer {id}");
    }
    // Every offset is found, by whichever index.
    let log = rig.log.lock();
    for row in model.left() {
        let slice = log.read(Offset(row.offset), 1, log.log_end(), true).unwrap().unwrap();
        let mut head = vec![0; 61];
        slice.file.read_exact_at(&mut head, slice.pos).unwrap();
        let header = BatchHeader::parse(&head).unwrap();
        assert!(header.base_offset.0 <= row.offset && row.offset <= header.last_offset().0, "{context}: {row:?}");
    }
}

fn run(seed: u64, map_bytes: usize) {
    let mut dice = Dice(seed);
    let config = TopicConfig {
        segment_bytes: 500 + dice.below(2000) as i32,
        index_interval_bytes: dice.below(300) as i32,
        ..compacted()
    };
    let mut rig = Rig::with(config);
    rig.means.map_bytes = map_bytes;
    let mut model = Model::default();
    for step in 0..120 {
        let context = format!("seed {seed}, step {step}");
        rig.now = rig.now.plus(dice.below(60) as i64);
        match dice.below(20) {
            0..12 => model.append(&rig, &mut dice),
            12..15 => model.end(&rig, &mut dice),
            15..18 => {
                while let Some(cleaned) = rig.clean() {
                    model.clean(cleaned.to.0, rig.now.0, rig.config.delete_retention_ms);
                }
                check(&rig, &model, &context);
            }
            18 => {
                rig.flush();
                rig.reopen(true, Offset::ZERO);
                check(&rig, &model, &context);
            }
            _ => {
                let point = rig.log.lock().recovery_point();
                let from = if dice.below(2) == 0 { Offset::ZERO } else { point };
                rig.reopen(false, from);
                check(&rig, &model, &context);
            }
        }
    }
}

#[test]
fn whatever_was_written_cleaning_leaves_what_it_should() {
    for seed in 0..60 {
        run(seed, 1 << 16);
    }
}

#[test]
fn a_small_memory_takes_longer_and_leaves_the_last_record_of_every_key() {
    for seed in 0..20 {
        let mut dice = Dice(seed);
        let mut rig = Rig::new();
        rig.means.map_bytes = 12 * (2 + dice.below(6) as usize);
        let mut model = Model::default();
        for _ in 0..60 {
            model.append(&rig, &mut dice);
            if dice.below(4) == 0 {
                model.end(&rig, &mut dice);
            }
        }
        while !model.open.is_empty() {
            model.end(&rig, &mut dice);
        }
        rig.roll();
        let before = rig.rows();
        let mut to = 0;
        while let Some(cleaned) = rig.clean() {
            to = cleaned.to.0;
        }
        // The horizons begin at other times, so nothing has expired.
        model.clean(to, rig.now.0, i64::MAX / 2);
        let after = rig.rows();
        assert_eq!(after, before.into_iter().filter(|row| after.contains(row)).collect::<Vec<_>>());
        let filler = |row: &Row| row.key.as_deref() == Some(b"filler");
        assert_eq!(after.iter().filter(|row| !filler(row)).cloned().collect::<Vec<_>>(), model.left(), "seed {seed}");
    }
}
