//! Compaction: of the records of a key only the last stays.
//!
//! [`clean`] goes over a log twice. First it reads what is new since the last time and notes where the last record of
//! each key is ([`keys`]); then it copies every segment up to there, leaving out what has been superseded, and puts the
//! copies in the place of what they were made from. Offsets, order and timestamps do not change; batches are copied as
//! they are unless records are taken from them. Keys that do not fit into memory wait for the next cleaning.
//!
//! What is cleaned is sealed, on disk, and below the last stable offset, so that neither appends nor a power cut
//! interfere. Reading and writing happen outside of the log's lock; [`Host`] takes it for a moment where the log is
//! asked or changed, gives up when the log is not to be cleaned any more, and sets the pace. Semantics are Kafka's
//! (`Cleaner`, `LogCleanerManager`; KIP-534 for delete horizons). Left out: records of magic 0 and 1.
//!
//! Decisions are pure, in `choice`, `fate` and `transactions`.

mod batches;
mod choice;
mod fate;
mod keys;
mod target;
mod transactions;
#[cfg(test)]
mod tests;

pub use choice::Dirty;
pub(in crate::storage) use choice::{Part, Size, View};
pub(in crate::storage) use fate::LastWritten;

use super::StorageError;
use super::log::{AbortedTransaction, Barrier, Log, Plan, Replacement, Source};
use crate::model::{Offset, ProducerId, TimestampMs};
use crate::record::build::{ControlType, Marker};
use crate::record::{BatchHeader, records, rewrite};
use crate::rt::{clock, rand};
use batches::Batches;
use fate::{Round, Seen};
use keys::{KeyMap, Place};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use target::Target;
use transactions::{Control, Transactions};

/// The most that the records of a batch may decompress to. A log with more in a batch is not cleaned.
const OPENED_BYTES_MAX: usize = 128 << 20;
/// How many keys are looked up together.
const TOGETHER: usize = 64;
/// Reading and writing in smaller pieces than this is not worth the calls.
const PIECE_MIN: usize = 4096;

/// The log that is cleaned, behind its lock.
pub trait Host {
    /// Does something with the log under its lock.
    ///
    /// # Errors
    /// The log is not to be cleaned any more, or `look` failed.
    fn with_log<T>(&self, look: impl FnOnce(&mut Log) -> Result<T, StorageError>) -> Result<T, Stop>;

    /// So many bytes were read or written. Waits, if that was too fast.
    ///
    /// # Errors
    /// It is time to stop.
    fn spent(&self, bytes: usize) -> Result<(), Stop>;
}

/// Why a cleaning ended before its time. The log is as it was, or cleaned up to some segment.
#[derive(Debug)]
pub enum Stop {
    /// The log is gone, was cut, moves, or the broker stops.
    Aborted,
    Storage(StorageError),
}

impl From<StorageError> for Stop {
    fn from(error: StorageError) -> Stop {
        Stop::Storage(error)
    }
}

/// What a cleaning may use.
#[derive(Clone, Copy, Debug)]
pub struct Means {
    /// Bytes for finding the last record of a key.
    pub map_bytes: usize,
    /// How full that may be: between 0 and 1.
    pub map_load: f64,
    /// Bytes read or written at once.
    pub io_bytes: usize,
}

/// What a cleaning did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cleaned {
    /// The log is clean from `first` to here.
    pub to: Offset,
    pub first: Offset,
    pub mapped_bytes: u64,
    pub read_bytes: u64,
    pub written_bytes: u64,
    pub read_records: u64,
    pub kept_records: u64,
    /// Records without a key, which cannot be compacted.
    pub keyless_records: u64,
    /// How full the memory for keys was, of what it may be.
    pub map_utilization: f64,
    pub segments_before: usize,
    pub segments_after: usize,
}

/// Cleans a log; `None` if there is nothing to clean.
///
/// # Errors
/// See [`Stop`]. Damage ([`StorageError::Corrupt`], [`StorageError::Refused`]) will be there the next time too.
pub fn clean<H: Host>(host: &H, means: &Means, now: TimestampMs) -> Result<Option<Cleaned>, Stop> {
    let barrier = flush(host)?;
    let Some(plan) = host.with_log(|log| log.plan_cleaning(&barrier, now))? else { return Ok(None) };
    let mut run = Run {
        host,
        plan: &plan,
        piece: means.io_bytes.max(PIECE_MIN),
        cleaned: Cleaned { first: plan.first, ..Cleaned::default() },
        read_buffer: Vec::new(),
        write_buffer: Vec::new(),
        places: Vec::new(),
        looked: Looked::default(),
    };
    let map = run.map(means)?;
    let end = map.latest().map_or(plan.first, Offset::next).min(plan.end);
    let round = Round { now, mapped: map.latest(), delete_retention_ms: plan.config.delete_retention_ms };
    let mut transactions = Transactions::default();
    let count = plan.segments.iter().take_while(|segment| segment.base < end).count();
    let number = |setting: i32| u64::try_from(setting).unwrap_or(0);
    let (log_max, index_max) = (number(plan.config.segment_bytes), number(plan.config.segment_index_bytes));
    for group in choice::groups(&plan.segments[..count], log_max, index_max, plan.end) {
        let base = plan.segments[group.start].base;
        let done = run.clean_group(group, &round, &map, &mut transactions);
        if done.is_err() {
            Log::discard_cleaned(&plan.fs, &plan.dir, base);
        }
        done?;
    }
    run.cleaned.to = end;
    run.cleaned.map_utilization = map.utilization();
    let cleaned = run.cleaned;
    host.with_log(|log| {
        log.set_cleaned_to(Some(end));
        Ok(())
    })?;
    Ok(Some(cleaned))
}

/// What there is now is on disk afterwards.
fn flush<H: Host>(host: &H) -> Result<Barrier, Stop> {
    let ((job, barrier), dir) = host.with_log(|log| Ok((log.cleaning_barrier()?, log.dir().to_owned())))?;
    let Some(job) = job else { return Ok(barrier) };
    for file in &job.files {
        file.sync_data().map_err(|error| StorageError::io(&dir, error))?;
    }
    host.with_log(|log| {
        log.flushed(job.mark, clock::now_ms());
        Ok(barrier)
    })
}

/// One cleaning under way.
struct Run<'a, H> {
    host: &'a H,
    plan: &'a Plan,
    piece: usize,
    cleaned: Cleaned,
    read_buffer: Vec<u8>,
    write_buffer: Vec<u8>,
    /// The keys of a batch, when they are mapped.
    places: Vec<(Place, Offset)>,
    looked: Looked,
}

/// The records of a batch, when it is judged.
#[derive(Default)]
struct Looked {
    records: Vec<Candidate>,
    kept: Vec<bool>,
    /// Where what is kept lies in the payload.
    pieces: Vec<Range<usize>>,
}

/// A record that may go.
struct Candidate {
    seen: Seen,
    place: Option<Place>,
    timestamp: TimestampMs,
    /// Where it ends in the payload.
    end: usize,
}

impl<H: Host> Run<'_, H> {
    /// Notes the last record of each key in what is new.
    fn map(&mut self, means: &Means) -> Result<KeyMap, Stop> {
        let plan = self.plan;
        let mut map = KeyMap::new(means.map_bytes, means.map_load, plan.first, plan.end, rand::uuid());
        let mut transactions = Transactions::default();
        let from = plan.segments.partition_point(|segment| segment.base <= plan.first).saturating_sub(1);
        for n in from..plan.segments.len() {
            let end = self.end_of(n);
            let base = plan.segments[n].base;
            let aborted = self.host.with_log(|log| log.aborted_transactions(base.max(plan.first), end))?;
            transactions.aborted(aborted);
            let source = self.source(base, plan.first)?;
            let path = self.path(base);
            let mut batches = Batches::new(source, base..end, &path, self.piece, std::mem::take(&mut self.read_buffer));
            while let Some((header, batch)) = batches.next(self.host)? {
                self.cleaned.mapped_bytes += header.size() as u64;
                if header.attributes.is_control() {
                    transactions.control(&header, control(&header, batch).map_err(|bad| damaged(&path, &bad))?);
                } else if !transactions.data(&header)
                    && !map_batch(&mut map, &header, batch, plan.first, &mut self.places)
                        .map_err(|bad| damaged(&path, &bad))?
                {
                    self.read_buffer = batches.into_buffer();
                    return Ok(map);
                }
                if header.last_offset() >= plan.first {
                    map.mapped_to(header.last_offset());
                }
            }
            self.read_buffer = batches.into_buffer();
            // Nothing is in the gap behind the last batch.
            map.mapped_to(end.plus(-1));
        }
        Ok(map)
    }

    /// Makes one segment of some, and puts it in their place.
    fn clean_group(
        &mut self,
        group: Range<usize>,
        round: &Round,
        map: &KeyMap,
        transactions: &mut Transactions,
    ) -> Result<(), Stop> {
        let plan = self.plan;
        let base = plan.segments[group.start].base;
        let last_written = self.host.with_log(|log| log.last_written())?;
        let out = std::mem::take(&mut self.write_buffer);
        let mut target = Target::create(plan, base, round.now, self.piece, out)?;
        let group_end = self.end_of(group.end - 1);
        for n in group.clone() {
            let (from, to) = (plan.segments[n].base, self.end_of(n));
            let aborted: Vec<AbortedTransaction> = self.host.with_log(|log| log.aborted_transactions(from, to))?;
            transactions.aborted(aborted);
            let source = self.source(from, from)?;
            let path = self.path(from);
            let mut batches = Batches::new(source, from..to, &path, self.piece, std::mem::take(&mut self.read_buffer));
            while let Some((header, batch)) = batches.next(self.host)? {
                let judged = Judged { round, map, transactions, last_written: &last_written, end: group_end };
                let kept = judged.batch(&header, batch, &mut target, &mut self.cleaned, &mut self.looked);
                match kept.map_err(|bad| damaged(&path, &bad))? {
                    Kept::Whole => target.push(self.host, &header, batch)?,
                    Kept::Rewritten(header, bytes) => target.push(self.host, &header, &bytes)?,
                    Kept::Nothing => {}
                }
            }
            self.read_buffer = batches.into_buffer();
        }
        let (new, out) = target.finish(self.host)?;
        self.write_buffer = out;
        self.cleaned.written_bytes += u64::from(new.size);
        self.cleaned.segments_before += group.len();
        self.cleaned.segments_after += 1;
        self.swap(group, &new)
    }

    fn swap(&self, group: Range<usize>, new: &Replacement) -> Result<(), Stop> {
        let now = clock::now_ms();
        if !self.host.with_log(|log| log.replace(self.plan, group, new, now))? {
            return Err(Stop::Aborted);
        }
        // Outside of the lock. Should it not happen, the order of the renames is enough to start from.
        self.plan.fs.sync_dir(&self.plan.dir).map_err(|error| StorageError::io(&self.plan.dir, error))?;
        Ok(())
    }

    fn source(&self, base: Offset, from: Offset) -> Result<Source, Stop> {
        self.host.with_log(|log| log.cleaning_source(self.plan, base, from))?.ok_or(Stop::Aborted)
    }

    fn end_of(&self, n: usize) -> Offset {
        self.plan.segments.get(n + 1).map_or(self.plan.end, |next| next.base)
    }

    fn path(&self, base: Offset) -> PathBuf {
        use super::files::{Kind, State, name};
        self.plan.dir.join(name(base, Kind::Log, State::Live))
    }
}

fn damaged(path: &std::path::Path, bad: &crate::record::BadBatch) -> Stop {
    Stop::Storage(StorageError::Corrupt { path: path.to_owned(), what: bad.to_string() })
}

/// Notes the keys of a batch from `first` on. False: there was no room for all of them.
fn map_batch(
    map: &mut KeyMap,
    header: &BatchHeader,
    batch: &[u8],
    first: Offset,
    places: &mut Vec<(Place, Offset)>,
) -> Result<bool, crate::record::BadBatch> {
    let payload = records::open(header, batch, OPENED_BYTES_MAX)?;
    places.clear();
    records::outline(header, &payload, |record| {
        if let Some(key) = record.key.filter(|_| record.offset >= first) {
            places.push((map.place(key), record.offset));
        }
    })?;
    for some in places.chunks(TOGETHER) {
        map.warm(some.iter().map(|(place, _)| *place));
        if !some.iter().all(|(place, offset)| map.put(place, *offset)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What the record of a control batch says; `None` if it has none any more.
fn control(header: &BatchHeader, batch: &[u8]) -> Result<Option<Control>, crate::record::BadBatch> {
    let payload = records::open(header, batch, OPENED_BYTES_MAX)?;
    let Some(record) = records::Records::new(header, &payload)?.next() else { return Ok(None) };
    Ok(Some(match ControlType::parse(record?.key)? {
        ControlType::Abort => Control::End(Marker::Abort),
        ControlType::Commit => Control::End(Marker::Commit),
        _ => Control::Other,
    }))
}

/// What is left of a batch.
enum Kept {
    Whole,
    Rewritten(BatchHeader, bytes::Bytes),
    Nothing,
}

/// What decides about a batch.
struct Judged<'a> {
    round: &'a Round,
    map: &'a KeyMap,
    transactions: &'a mut Transactions,
    last_written: &'a BTreeMap<ProducerId, LastWritten>,
    /// Where the new segment ends.
    end: Offset,
}

impl Judged<'_> {
    fn batch(
        self,
        header: &BatchHeader,
        batch: &[u8],
        target: &mut Target<'_>,
        done: &mut Cleaned,
        looked: &mut Looked,
    ) -> Result<Kept, crate::record::BadBatch> {
        done.read_bytes += header.size() as u64;
        let is_control = header.attributes.is_control();
        let discard = if is_control {
            let ended = self.transactions.control(header, control(header, batch)?);
            if let Some(entry) = &ended.entry {
                target.push_aborted(entry);
            }
            ended.discard
        } else {
            self.transactions.data(header)
        };
        let fate = self.round.batch(header, discard, self.last_written.get(&header.producer_id), self.end);
        let count = u64::try_from(header.record_count).unwrap_or(0);
        done.read_records += count;
        let rewritten = |bytes: bytes::Bytes| BatchHeader::parse(&bytes).map(|header| Kept::Rewritten(header, bytes));
        if fate.discard_records {
            return if fate.keep_empty { rewritten(rewrite::without_records(header)?) } else { Ok(Kept::Nothing) };
        }
        let payload = records::open(header, batch, OPENED_BYTES_MAX)?;
        let Looked { records, kept, pieces } = looked;
        records.clear();
        kept.clear();
        pieces.clear();
        records::outline(header, &payload, |record| {
            let seen = Seen { offset: record.offset, has_key: record.key.is_some(), has_value: record.has_value };
            let place = record.key.filter(|_| !is_control).map(|key| self.map.place(key));
            records.push(Candidate { seen, place, timestamp: record.timestamp, end: record.end });
        })?;
        let (mut count, mut max, mut tombstones) = (0_i32, TimestampMs::NONE, false);
        let mut at = 0;
        for some in records.chunks(TOGETHER) {
            self.map.warm(some.iter().filter_map(|candidate| candidate.place));
            for Candidate { seen, place, timestamp, end } in some {
                let last = || place.and_then(|place| self.map.get(&place));
                let keeps = is_control || self.round.keeps(header, *seen, last);
                if keeps {
                    count += 1;
                    max = max.max(*timestamp);
                    tombstones |= !seen.has_value;
                    match pieces.last_mut() {
                        Some(piece) if piece.end == at => piece.end = *end,
                        _ => pieces.push(at..*end),
                    }
                }
                at = *end;
                done.keyless_records += u64::from(!is_control && !seen.has_key);
                kept.push(keeps);
            }
        }
        done.kept_records += u64::try_from(count).unwrap_or(0);
        if count == 0 {
            return if fate.keep_empty { rewritten(rewrite::without_records(header)?) } else { Ok(Kept::Nothing) };
        }
        let horizon = self.round.horizon(header, tombstones || fate.wants_horizon);
        rewritten(match horizon {
            None if usize::try_from(count) == Ok(kept.len()) => return Ok(Kept::Whole),
            None => rewrite::with_pieces(header, &payload, pieces, count, max)?,
            Some(_) => rewrite::with_records(header, &payload, kept, horizon)?,
        })
    }
}
