//! A share partition as a machine: which records a member gets, and what becomes of them (KIP-932; `SharePartition`).
//!
//! Everything between the start offset (before it everything is settled) and the end offset (from there on nothing was
//! delivered yet) lies in [`runs::Runs`]: available, with a member under a lock, or over. A decision is made in two steps:
//! it is begun and handed out as a [`Write`], and holds once [`SharePartition::written`] says that it is kept; if it is
//! not, the member has its records as before. A lock that ends does not wait for its write.
//!
//! No clock, no log: who calls tells the time, and which batches the log has. The start offset moves over what is
//! settled, in what is kept with the next write.

mod aborted;
mod acknowledge;
mod acquire;
mod release;
mod runs;
#[cfg(test)]
mod tests;

pub use aborted::{Aborted, LogBatch, Producer, aborted_spans};
pub use acknowledge::{Acknowledgement, Kind, Rejected};
pub use acquire::{Acquired, Ask, Mode};
pub use runs::Span;

use crate::model::Offset;
use crate::share::persister::{Delivery, StateBatch};
use runs::{Fate, Origin, Run, Runs, State};
use std::collections::BTreeMap;

/// What a group's configuration says of its deliveries; it may change at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// `share.delivery.count.limit`: a record that was delivered so often and comes back is archived.
    pub delivery_limit: i16,
    /// `share.partition.max.record.locks`: how many records there may be from the start offset to the end offset.
    pub in_flight_max: i64,
    /// `share.record.lock.duration.ms`.
    pub lock_ms: i64,
    /// `share.renew.acknowledge.enable`.
    pub renews: bool,
}

/// Names a decision until it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WriteId(u64);

/// What is to be kept now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub id: WriteId,
    pub start: Offset,
    /// Records from the start on that are settled or about to be.
    pub complete: i32,
    pub batches: Vec<StateBatch>,
}

/// Why what the persister has makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the batch {first} to {last} does not follow {before}")]
pub struct BadState {
    pub first: Offset,
    pub last: Offset,
    /// Where the batches before it, or the start, have come to.
    pub before: Offset,
}

/// A group's deliveries of one partition, on the partition's leader.
#[derive(Clone, Debug)]
pub struct SharePartition {
    start: Offset,
    /// The first offset of which nothing is known.
    end: Offset,
    runs: Runs,
    /// Nothing is available before it.
    scan_from: Offset,
    next_write: u64,
    /// What each write is about.
    writing: BTreeMap<WriteId, Vec<Span>>,
}

impl SharePartition {
    /// As the persister knows it, from `start` on. What lies between its batches may have been delivered by a leader of
    /// whom nobody knows more, or does not exist: it is available until the log says otherwise.
    ///
    /// # Errors
    /// The batches overlap, are out of order, or lie before the start.
    pub fn load(start: Offset, batches: &[StateBatch]) -> Result<SharePartition, BadState> {
        let mut runs = Runs::default();
        let mut end = start;
        for batch in batches {
            if batch.first < end || batch.last < batch.first {
                return Err(BadState { first: batch.first, last: batch.last, before: end });
            }
            runs.lay(Span::new(end, batch.first.plus(-1)), State::Available, 0, Origin::Unread);
            let span = Span::new(batch.first, batch.last);
            let state = match batch.delivery {
                Delivery::Available => State::Available,
                Delivery::Acknowledged | Delivery::Archived => State::Done,
            };
            runs.lay(span, state, batch.delivery_count.max(0), Origin::Fetched(span));
            end = batch.last.next();
        }
        let mut partition =
            SharePartition { start, end, runs, scan_from: start, next_write: 0, writing: BTreeMap::new() };
        partition.settle_start();
        Ok(partition)
    }

    /// Before it everything is settled.
    #[must_use]
    pub fn start(&self) -> Offset {
        self.start
    }

    /// From here on nothing was delivered yet.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.end
    }

    /// Where to read next: the first record that is available, else the end.
    pub fn next_fetch(&mut self) -> Offset {
        let ahead = Span::new(self.scan_from.max(self.start), self.end.plus(-1));
        let found = self.runs.touching(ahead).find(|(_, run)| run.state == State::Available);
        let next = found.map_or(self.end, |(span, _)| span.first.max(ahead.first));
        self.scan_from = next;
        next
    }

    /// Whether a member may get anything: something is available again, or there is room for more.
    pub fn has_room(&mut self, terms: &Terms) -> bool {
        self.next_fetch() != self.end || self.in_flight() < terms.in_flight_max
    }

    /// How many records there are between the start and the end.
    #[must_use]
    pub fn in_flight(&self) -> i64 {
        self.end.0.saturating_sub(self.start.0)
    }

    /// The log begins at `to` now: what was before it is gone, delivered or not.
    pub fn log_start_moved(&mut self, to: Offset) {
        if to <= self.start {
            return;
        }
        self.runs.drop_before(to);
        self.start = to;
        self.end = self.end.max(to);
        self.settle_start();
    }

    /// A write has come to its end. Kept: what it decided holds. Not kept: the members have their records as before, and
    /// their locks end when they would have. Answers whether records became available or the start moved, so that
    /// somebody who waits may get something.
    pub fn written(&mut self, id: WriteId, kept: bool) -> bool {
        let mut freed = false;
        for span in self.writing.remove(&id).unwrap_or_default() {
            let mut available_from: Option<Offset> = None;
            self.runs.change(span, |at, run| {
                let State::Acquired(hold) = &run.state else { return None };
                let (_, fate) = hold.deciding.filter(|(write, _)| *write == id)?;
                let state = match fate {
                    _ if !kept => {
                        let mut hold = hold.clone();
                        hold.deciding = None;
                        State::Acquired(hold)
                    }
                    Fate::Available => {
                        available_from.get_or_insert(at.first);
                        State::Available
                    }
                    Fate::Acknowledged | Fate::Archived => State::Done,
                };
                Some(Run::new(at.last, state, run.count, run.origin))
            });
            if let Some(first) = available_from {
                self.scan_from = self.scan_from.min(first);
                freed = true;
            }
        }
        self.settle_start() || freed
    }

    /// When the next lock ends, in milliseconds of the steady clock. Locks on what is being decided do not count: if the
    /// write fails, ask again.
    #[must_use]
    pub fn next_deadline(&self) -> Option<i64> {
        let locks = self.runs.iter().filter_map(|(_, run)| match &run.state {
            State::Acquired(hold) if hold.deciding.is_none() => Some(hold.until_ms),
            _ => None,
        });
        locks.min()
    }

    /// The start moves over what is settled.
    fn settle_start(&mut self) -> bool {
        let Some(start) = self.runs.drop_over() else { return false };
        self.start = start;
        true
    }

    /// A write of `batches`, about `spans` that wait for it.
    fn write(&mut self, id: WriteId, batches: Vec<StateBatch>, spans: Vec<Span>) -> Option<Write> {
        if batches.is_empty() {
            return None;
        }
        if !spans.is_empty() {
            self.writing.insert(id, spans);
        }
        Some(Write { id, start: self.start, complete: self.complete(), batches })
    }

    fn write_id(&mut self) -> WriteId {
        self.next_write += 1;
        WriteId(self.next_write)
    }

    /// How many records are settled or about to be, from the start on. What the log does not have does not count.
    fn complete(&self) -> i32 {
        let settled = self.runs.iter().filter(|(_, run)| match &run.state {
            State::Done => true,
            State::Acquired(hold) => hold.deciding.is_some_and(|(_, fate)| fate != Fate::Available),
            State::Available | State::Missing => false,
        });
        i32::try_from(settled.map(|(span, _)| span.len()).sum::<i64>()).unwrap_or(i32::MAX)
    }
}

/// Adds `span` with its fate to what is written, joined to what stands before it if that is the same.
fn note(batches: &mut Vec<StateBatch>, span: Span, fate: Fate, delivery_count: i16) {
    let delivery = match fate {
        Fate::Available => Delivery::Available,
        Fate::Acknowledged => Delivery::Acknowledged,
        Fate::Archived => Delivery::Archived,
    };
    if let Some(before) = batches.last_mut() {
        let same = before.delivery == delivery && before.delivery_count == delivery_count;
        if same && before.last.next() == span.first {
            before.last = span.last;
            return;
        }
    }
    batches.push(StateBatch { first: span.first, last: span.last, delivery, delivery_count });
}

/// What becomes of records that come back after so many deliveries.
fn returned(count: i16, terms: &Terms) -> Fate {
    if count >= terms.delivery_limit { Fate::Archived } else { Fate::Available }
}
