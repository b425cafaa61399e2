//! Appending: offsets, producer checks, rolling, and one write for all batches that pass.

use super::writer::{Counters, NewEntries, Writer};
use super::{AbortedTransaction, Appended, Kind, LeaderEpoch, Log, Offset, Origin, StorageError, TimestampMs};
use crate::record::{Batch, BatchHeader, compression, records};
use crate::rt::fs::Open;
use crate::storage::error::AppendError;
use crate::storage::index::txn;
use crate::storage::producers::{Change, Check, Completed, EndMarker, Producers, Verdict};
use crate::storage::segment::relative;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::io::IoSlice;
use std::sync::Arc;

/// One answer per batch, in order.
pub type Answers = SmallVec<[Result<Appended, AppendError>; 4]>;

/// A control record is a few bytes; nobody needs more of them opened.
const CONTROL_BYTES_MAX: usize = 1 << 20;

/// What was decided about a batch before the write.
#[expect(clippy::large_enum_variant, reason = "nearly all are the large one, and they live on the stack")]
enum Outcome {
    Rejected(AppendError),
    /// A retry; `staged` if of a batch that is to be written with this one.
    Duplicate {
        answer: Appended,
        staged: bool,
    },
    Staged(Staged),
}

#[derive(Clone, Copy)]
struct Staged {
    header: BatchHeader,
    entries: NewEntries,
    change: Option<Change>,
    /// Position in the segment.
    pos: u32,
}

/// Batches that go into one segment with one write.
struct Group {
    outcomes: SmallVec<[Outcome; 4]>,
    at: Counters,
    next: Offset,
}

impl Group {
    fn staged(&self) -> impl DoubleEndedIterator<Item = &Staged> {
        self.outcomes
            .iter()
            .filter_map(|outcome| if let Outcome::Staged(staged) = outcome { Some(staged) } else { None })
    }
}

impl Log {
    /// Appends producers' batches, in order: offsets, leader epoch, producer checks, and one write for all
    /// that pass (several if the log rolls between them). A batch that fails leaves no trace.
    pub fn append(&mut self, batches: &mut [Batch], epoch: LeaderEpoch, now: TimestampMs) -> Answers {
        self.append_from(Origin::Client, batches, epoch, now)
    }

    /// As [`Log::append`], for batches of another origin.
    pub fn append_from(
        &mut self,
        origin: Origin,
        batches: &mut [Batch],
        epoch: LeaderEpoch,
        now: TimestampMs,
    ) -> Answers {
        self.append_all(Check::As(origin), batches, Some(epoch), now)
    }

    /// Appends the leader's batches with the leader's offsets and epochs; gives the first and last offset.
    /// Stops at the first batch that fails: those before it are appended.
    pub fn append_as_follower(
        &mut self,
        batches: &mut [Batch],
        now: TimestampMs,
    ) -> Result<Option<Appended>, AppendError> {
        let mut all: Option<Appended> = None;
        for answer in self.append_all(Check::Replicated, batches, None, now) {
            let answer = answer?;
            all = Some(Appended { first: all.map_or(answer.first, |all| all.first), ..answer });
        }
        Ok(all)
    }

    fn append_all(
        &mut self,
        check: Check,
        batches: &mut [Batch],
        epoch: Option<LeaderEpoch>,
        now: TimestampMs,
    ) -> Answers {
        let mut answers = Answers::new();
        while answers.len() < batches.len() {
            let first = answers.len();
            if let Err(error) = self.append_group(check, &mut batches[first..], epoch, now, &mut answers) {
                answers.push(Err(error.into()));
            }
            if check == Check::Replicated && answers.iter().any(Result::is_err) {
                break;
            }
        }
        self.assert_invariants();
        answers
    }

    /// Appends as many of `batches` as go into one segment with one write, and answers at least one.
    /// An error is the answer of the first of them.
    fn append_group(
        &mut self,
        check: Check,
        batches: &mut [Batch],
        epoch: Option<LeaderEpoch>,
        now: TimestampMs,
        answers: &mut Answers,
    ) -> Result<(), StorageError> {
        self.load_producers()?;
        self.load_epochs()?;
        let writer = self.take_writer()?;
        let mut group = Group { outcomes: SmallVec::new(), at: writer.at, next: self.log_end };
        self.writer = Some(writer);
        for batch in batches.iter_mut() {
            let first = group.staged().next().is_none();
            match self.stage(check, batch, epoch, now, &mut group) {
                Staging::Done(outcome) => group.outcomes.push(outcome),
                // A marker is written alone: its transaction index entry depends on all before it.
                Staging::Alone(outcome) => {
                    group.outcomes.push(outcome);
                    break;
                }
                Staging::NextGroup => break,
                Staging::Roll(base) if first => {
                    if let Err(error) = self.roll(base, now) {
                        group.outcomes.push(Outcome::Rejected(error.into()));
                    }
                    break;
                }
                Staging::Roll(_) => break,
            }
        }
        let written = self.write_group(batches, &group).map_err(Arc::new);
        let log_start = self.log_start;
        answers.extend(group.outcomes.into_iter().map(|outcome| match (outcome, &written) {
            (Outcome::Rejected(error), _) => Err(error),
            (Outcome::Duplicate { answer, staged: false }, _) => Ok(answer),
            (Outcome::Duplicate { answer, .. }, Ok(())) => Ok(answer),
            (Outcome::Staged(staged), Ok(())) => Ok(answer(&staged.header, log_start)),
            (_, Err(error)) => Err(AppendError::Storage(error.clone())),
        }));
        Ok(())
    }

    fn stage(
        &self,
        check: Check,
        batch: &mut Batch,
        epoch: Option<LeaderEpoch>,
        now: TimestampMs,
        group: &mut Group,
    ) -> Staging {
        let reject = |error| Staging::Done(Outcome::Rejected(error));
        let size_max = u64::try_from(self.config.segment_bytes).unwrap_or(0);
        if batch.size() as u64 > size_max {
            return reject(AppendError::LargerThanSegment { size: batch.size() as u64, max: size_max });
        }
        if let Some(epoch) = epoch {
            batch.assign(group.next, epoch);
        }
        let header = *batch.header();
        if header.base_offset < group.next {
            return reject(AppendError::UnexpectedOffset { offset: header.base_offset, log_end: self.log_end });
        }
        if header.last_offset_delta < 0 || header.last_offset() == Offset(i64::MAX) {
            return reject(AppendError::Malformed("the batch's last offset is before its first".into()));
        }
        let is_marker = header.has_producer_id() && header.attributes.is_control();
        if is_marker && group.staged().next().is_some() {
            return Staging::NextGroup;
        }
        let mut change = None;
        if header.has_producer_id() {
            let marker = if is_marker { end_marker(batch) } else { None };
            if is_marker && marker.is_none() && header.record_count > 0 && check != Check::Replicated {
                return reject(AppendError::Malformed("a control batch that does not end a transaction".into()));
            }
            let before =
                group.staged().rev().find_map(|staged| staged.change.filter(|c| c.producer == header.producer_id));
            let current = match &before {
                Some(change) => Some(&change.entry),
                None => self.producers.get().and_then(|producers| producers.get(header.producer_id)),
            };
            match Producers::check(current, &header, marker, check) {
                Ok(Verdict::Append(new)) => change = Some(new),
                Ok(Verdict::Duplicate(seen)) => {
                    let answer = Appended {
                        first: seen.first_offset(),
                        last: seen.last_offset,
                        append_time: seen.timestamp,
                        log_start: self.log_start,
                        duplicate: true,
                    };
                    return Staging::Done(Outcome::Duplicate { answer, staged: seen.last_offset >= self.log_end });
                }
                Err(error) => return reject(error),
            }
        }
        let at = &mut group.at;
        let fits_nowhere_else = at.size == 0 && at.can_hold(header.last_offset());
        if !fits_nowhere_else && at.should_roll(&header, &self.config, now) {
            // The log end, so that segments join; only a gap too wide for an index moves the base on.
            let joins = relative(self.log_end, header.last_offset()).is_some() && self.log_end > at.base;
            return Staging::Roll(if joins { self.log_end } else { header.base_offset });
        }
        let pos = at.size;
        let entries = at.add(&header, self.config.index_interval_bytes);
        group.next = header.next_offset();
        let staged = Outcome::Staged(Staged { header, entries, change, pos });
        if is_marker { Staging::Alone(staged) } else { Staging::Done(staged) }
    }

    fn write_group(&mut self, batches: &[Batch], group: &Group) -> Result<(), StorageError> {
        if group.staged().next().is_none() {
            return Ok(());
        }
        let mut writer = self.take_writer()?;
        let written = self.write_with(&mut writer, batches, group);
        self.writer = Some(writer);
        written
    }

    fn write_with(&mut self, writer: &mut Writer, batches: &[Batch], group: &Group) -> Result<(), StorageError> {
        let base = writer.at.base;
        writer.clean(self)?;
        if writer.offsets.wants_writing() || writer.times.wants_writing() {
            match writer.write_indexes(self) {
                // They wait in memory until there is room.
                Err(error) if !error.will_pass() => return Err(error),
                _ => {}
            }
        }
        let completed = group.staged().find_map(|staged| staged.change.and_then(|change| change.completed));
        let txn_len = match completed {
            Some(done) if done.aborted => self.write_aborted(writer, &done)?,
            _ => writer.txn_len,
        };
        let mut slices: SmallVec<[IoSlice<'_>; 16]> = SmallVec::new();
        for (batch, outcome) in batches.iter().zip(&group.outcomes) {
            if matches!(outcome, Outcome::Staged(_)) {
                slices.extend(batch.as_slices().map(IoSlice::new));
            }
        }
        if let Err(error) = writer.file.write_all_at(&mut slices, u64::from(writer.at.size)) {
            writer.dirty = true;
            // What cannot be cut off now is cut off before the next write.
            let _ = writer.clean(self);
            return Err(self.files.failed(base, Kind::Log)(error));
        }
        self.commit(writer, group);
        writer.txn_len = txn_len;
        Ok(())
    }

    /// Adds to the transaction index, before the marker is written: a marker whose entry is missing would
    /// make aborted records visible. An entry without its marker is overwritten. Returns the new length.
    fn write_aborted(&mut self, writer: &mut Writer, done: &Completed) -> Result<u64, StorageError> {
        let last_stable = self.load_producers()?.last_stable_after(done);
        let aborted =
            AbortedTransaction { producer_id: done.producer, first: done.first, last: done.last, last_stable };
        let base = writer.at.base;
        let file = self.files.open(base, Kind::TxnIndex, Open::Create)?;
        writer.dirty = true;
        file.write_all_at(&mut [IoSlice::new(&txn::encode(&aborted))], writer.txn_len)
            .map_err(self.files.failed(base, Kind::TxnIndex))?;
        writer.dirty = false;
        if writer.txn_len == 0 {
            self.names += 1;
        }
        Ok(writer.txn_len + txn::LEN as u64)
    }

    /// The batches are written: now the log has them.
    fn commit(&mut self, writer: &mut Writer, group: &Group) {
        writer.at = group.at;
        for staged in group.staged() {
            let header = &staged.header;
            writer.push(staged.entries);
            if header.base_offset != self.log_end {
                // A follower's gap: readers have to look at the batches.
                writer.recent.clear();
            }
            if let Some(base) = relative(writer.at.base, header.base_offset) {
                writer.remember(base, staged.pos);
            }
            if let Some(epochs) = self.epochs.get_mut()
                && epochs.latest() != Some(header.leader_epoch)
            {
                epochs.assign(header.leader_epoch, header.base_offset);
            }
            if let (Some(change), Some(producers)) = (&staged.change, self.producers.get_mut()) {
                producers.commit(change);
            }
            self.log_end = header.next_offset();
        }
        self.active().set_size(writer.at.size);
    }
}

enum Staging {
    Done(Outcome),
    Alone(Outcome),
    /// To be staged again when what is staged is written.
    NextGroup,
    /// To be staged again after a roll to this base.
    Roll(Offset),
}

fn answer(header: &BatchHeader, log_start: Offset) -> Appended {
    let append_time = if header.attributes.is_log_append_time() { header.max_timestamp } else { TimestampMs::NONE };
    let (first, last) = (header.base_offset, header.last_offset());
    Appended { first, last, append_time, log_start, duplicate: false }
}

/// What the first record of a control batch says about a transaction.
fn end_marker(batch: &Batch) -> Option<EndMarker> {
    let payload = match batch.header().attributes.compression() {
        None => Cow::Borrowed(&batch.rest()[..]),
        Some(codec) => Cow::Owned(compression::decompress(codec, batch.rest(), CONTROL_BYTES_MAX).ok()?),
    };
    marker_in(batch.header(), &payload)
}

/// As [`end_marker`], of the records' bytes.
pub(super) fn marker_in(header: &BatchHeader, payload: &[u8]) -> Option<EndMarker> {
    let record = records::Records::new(header, payload).ok()?.next()?.ok()?;
    EndMarker::parse(record.key, record.value, record.timestamp)
}
