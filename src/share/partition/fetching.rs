//! A member reads: from each of its share partitions what the machine gives it, or it waits (`DelayedShareFetch`).
//!
//! Reading and giving out is one step under the share partition's lock, so that no two members read for the same
//! records. Only headers of batches are looked at; what goes to the member are ranges of segments, whole batches.

use super::held::{Held, Phase};
use super::machine::{Aborted, Acquired, Ask, LogBatch, Mode, Producer, SharePartition, Span, Terms, aborted_spans};
use super::settling::ends_it;
use super::shares::Shares;
use crate::metadata::Image;
use crate::model::{ErrorCode, GroupId, LeaderEpoch, MemberId, Offset};
use crate::partition::{Awaited, FetchWaiter, Isolation, Partition, ReadRequest, Reader};
use crate::rt::clock;
use crate::share::persister::SharedPartition;
use crate::storage::FileSlice;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What a member asks for.
#[derive(Clone, Debug)]
pub struct FetchAsk {
    pub group: GroupId,
    pub member: MemberId,
    pub mode: Mode,
    pub batch_size: i64,
    pub max_records: i64,
    pub min_bytes: usize,
    pub max_bytes: usize,
    pub max_wait: Duration,
}

/// What a member gets of one partition.
#[derive(Clone, Debug)]
pub struct Found {
    pub records: FileSlice,
    pub acquired: Vec<Acquired>,
}

/// What came of one partition.
#[derive(Debug)]
pub struct Fetched {
    pub at: SharedPartition,
    /// `None`: there was nothing.
    pub outcome: Result<Option<Found>, ErrorCode>,
}

/// A partition of a fetch.
struct Wanted {
    at: SharedPartition,
    held: Result<Arc<Held>, ErrorCode>,
    /// [`Held::changes`] before it was looked at.
    changes: u64,
    /// Where the high watermark was then; `None`: more in the log would not help.
    high_watermark: Option<Offset>,
    outcome: Result<Option<Found>, ErrorCode>,
}

struct Fetching {
    shares: Arc<Shares>,
    ask: FetchAsk,
    isolation: Isolation,
    wanted: Vec<Wanted>,
}

impl Shares {
    /// Reads for a member, and waits up to its time for something to read. The answers are in the partitions' order.
    pub async fn fetch(
        self: &Arc<Self>,
        ask: FetchAsk,
        partitions: Vec<(SharedPartition, Result<Arc<Partition>, ErrorCode>)>,
    ) -> Vec<Fetched> {
        if partitions.is_empty() || ask.max_records == 0 || ask.max_bytes == 0 {
            return Vec::new();
        }
        let wanted = partitions.into_iter().map(|(at, partition)| {
            let held = partition.and_then(|partition| self.hold(&ask.group, at, &partition));
            Wanted { at, held, changes: 0, high_watermark: None, outcome: Ok(None) }
        });
        let wanted = wanted.collect();
        let isolation = match self.config(&ask.group).committed_only {
            true => Isolation::Committed,
            false => Isolation::Uncommitted,
        };
        let fetching = Fetching { shares: Arc::clone(self), ask, isolation, wanted };
        fetching.run().await
    }

    /// Takes back what a member was to get and will not be sent.
    pub fn give_back(&self, group: &GroupId, member: &MemberId, fetched: &[Fetched]) {
        for one in fetched {
            let Ok(Some(found)) = &one.outcome else { continue };
            let Some(held) = self.get(group, one.at) else { continue };
            held.with(|state| {
                if let Phase::Active { machine, .. } = &mut state.phase {
                    machine.give_back(member, &found.acquired);
                }
                ((), true)
            });
        }
    }
}

impl Fetching {
    async fn run(mut self) -> Vec<Fetched> {
        let deadline = Instant::from_std(clock::now()) + self.ask.max_wait;
        let waiter = FetchWaiter::new();
        let mut in_time = !self.ask.max_wait.is_zero();
        loop {
            if self.look(!in_time) || !in_time {
                return self.answer();
            }
            let waiting = Waiting { waiter: &waiter, wanted: &self.wanted };
            in_time = !waiting.register() || tokio::time::timeout_at(deadline, waiter.woken()).await.is_ok();
        }
    }

    /// Takes what there is; true if that is to be answered. `last`: whatever it is.
    fn look(&mut self, last: bool) -> bool {
        let image = self.shares.image();
        let terms = self.shares.terms(&self.ask.group);
        let mut ready = Vec::new();
        let mut all_failed = true;
        for (index, wanted) in self.wanted.iter_mut().enumerate() {
            wanted.high_watermark = None;
            let Ok(held) = &wanted.held else { continue };
            wanted.changes = held.changes();
            all_failed = false;
            let room = held.with(|state| match &mut state.phase {
                Phase::Active { machine, .. } => (machine.has_room(&terms), false),
                Phase::Loading | Phase::Gone(_) => (false, false),
            });
            if room {
                ready.push(index);
            }
        }
        if ready.is_empty() {
            return all_failed;
        }
        // Evenly, so that none starves the others (`PartitionMaxBytesStrategy`).
        let each = (self.ask.max_bytes / ready.len()).max(1);
        if self.ask.min_bytes > 1 && !last && !self.has_enough(&ready, each, &image) {
            return false;
        }
        let mut records = 0;
        let (mut any, mut failed) = (false, false);
        for index in ready {
            let Some(wanted) = self.wanted.get_mut(index) else { continue };
            let Ok(held) = &wanted.held else { continue };
            let ask = Ask {
                member: &self.ask.member,
                mode: self.ask.mode,
                batch_size: self.ask.batch_size,
                max_records: self.ask.max_records.saturating_sub(records),
                from: Offset::NONE,
            };
            let read = Reading { partition: &held.partition, isolation: self.isolation, image: &image, terms: &terms };
            let outcome = held.with(|state| match &mut state.phase {
                Phase::Active { machine, .. } => (read.take(machine, ask, each, !any), false),
                Phase::Loading | Phase::Gone(_) => (Ok((None, None)), false),
            });
            match outcome {
                Ok((high_watermark, found)) => {
                    wanted.high_watermark = high_watermark;
                    if let Some(found) = &found {
                        any = true;
                        records += found.acquired.iter().map(|one| one.span.len()).sum::<i64>();
                        self.shares.watch_locks(held);
                    }
                    wanted.outcome = Ok(found);
                }
                Err(error) => {
                    failed = true;
                    wanted.outcome = Err(error);
                    if ends_it(error) {
                        self.shares.drop_fenced(held, error);
                    }
                }
            }
        }
        any || failed
    }

    /// Whether there are as many bytes as the member wants at the least, if it got all of them.
    fn has_enough(&mut self, ready: &[usize], each: usize, image: &Image) -> bool {
        let mut bytes = 0;
        for index in ready {
            let Some(wanted) = self.wanted.get_mut(*index) else { continue };
            let Ok(held) = &wanted.held else { continue };
            let from = held.with(|state| match &mut state.phase {
                Phase::Active { machine, .. } => (Some(machine.next_fetch()), false),
                Phase::Loading | Phase::Gone(_) => (None, false),
            });
            let Some(from) = from else { continue };
            match held.partition.read(&request(from, each, false, self.isolation), image) {
                Ok(read) => {
                    wanted.high_watermark = Some(read.positions.high_watermark);
                    bytes += read.records.map_or(0, |records| records.len);
                }
                // To be answered, or mended, by who takes.
                Err(_) => return true,
            }
        }
        bytes >= self.ask.min_bytes
    }

    fn answer(self) -> Vec<Fetched> {
        let outcome = |wanted: Wanted| {
            let outcome = match &wanted.held {
                Err(error) => Err(*error),
                // Why it could not be loaded, if somebody asked for it now.
                Ok(held) if matches!(wanted.outcome, Ok(None)) => held.with(|state| match &state.phase {
                    Phase::Gone(refused) => (Err(refused.code), false),
                    Phase::Loading | Phase::Active { .. } => (Ok(None), false),
                }),
                Ok(_) => wanted.outcome,
            };
            Fetched { at: wanted.at, outcome }
        };
        self.wanted.into_iter().map(outcome).collect()
    }
}

fn request(from: Offset, max_bytes: usize, min_one_batch: bool, isolation: Isolation) -> ReadRequest {
    ReadRequest {
        from,
        max_bytes,
        min_one_batch,
        reader: Reader::Consumer { isolation, any_replica: false },
        current_epoch: LeaderEpoch::NONE,
        last_fetched_epoch: LeaderEpoch::NONE,
    }
}

/// Reads of one partition.
struct Reading<'a> {
    partition: &'a Arc<Partition>,
    isolation: Isolation,
    image: &'a Image,
    terms: &'a Terms,
}

/// A batch that was read: its offsets, and where it lies.
struct Placed {
    span: Span,
    pos: u64,
    len: usize,
}

impl Reading<'_> {
    /// Gives the member what is next. The high watermark is told if more in the log may help.
    fn take(
        &self,
        machine: &mut SharePartition,
        ask: Ask<'_>,
        max_bytes: usize,
        min_one_batch: bool,
    ) -> Result<(Option<Offset>, Option<Found>), ErrorCode> {
        let mut read =
            self.partition.read(&request(machine.next_fetch(), max_bytes, min_one_batch, self.isolation), self.image);
        if matches!(read, Err(ErrorCode::OFFSET_OUT_OF_RANGE)) {
            // The log begins later now.
            machine.log_start_moved(self.partition.positions()?.log_start);
            read = self
                .partition
                .read(&request(machine.next_fetch(), max_bytes, min_one_batch, self.isolation), self.image);
        }
        let read = match read {
            // Not below the log's end yet: after a lost tail, somebody has to write again first.
            Err(ErrorCode::OFFSET_OUT_OF_RANGE) => return Ok((None, None)),
            read => read?,
        };
        let high_watermark = Some(read.positions.high_watermark);
        let Some(slice) = read.records else { return Ok((high_watermark, None)) };
        let ask = Ask { from: machine.next_fetch(), ..ask };
        let enough = machine.end().max(ask.from).plus(ask.max_records);
        let (mut batches, mut placed) = (Vec::new(), Vec::new());
        let looked = slice.look_at_batches(|pos, header| {
            let span = Span::new(header.base_offset, header.last_offset());
            let producer = header.producer_id.is_some().then(|| Producer {
                id: header.producer_id,
                transactional: header.attributes.is_transactional(),
                control: header.attributes.is_control(),
            });
            batches.push(LogBatch { span, producer });
            placed.push(Placed { span, pos, len: header.size() });
            span.last < enough
        });
        match looked {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok((None, None)),
            Err(error) => {
                tracing::error!(partition = %self.partition.name(), %error, "the log cannot be read");
                return Err(ErrorCode::KAFKA_STORAGE_ERROR);
            }
            Ok(()) => {}
        }
        let aborted = match (self.isolation, batches.first()) {
            (Isolation::Committed, Some(first)) => {
                let aborted = self.partition.aborted_transactions(first.span.first, slice.upper_bound)?;
                let aborted: Vec<Aborted> =
                    aborted.iter().map(|one| Aborted { producer: one.producer_id, first: one.first }).collect();
                aborted_spans(&batches, &aborted)
            }
            _ => Vec::new(),
        };
        let acquired = machine.acquire(ask, &batches, &aborted, self.terms, clock::steady_ms());
        Ok((high_watermark, found(slice, &placed, acquired)))
    }
}

/// Of `slice` the batches from the first acquired record to the last.
fn found(slice: FileSlice, placed: &[Placed], acquired: Vec<Acquired>) -> Option<Found> {
    let (first, last) = (acquired.first()?.span.first, acquired.last()?.span.last);
    let of = |batch: &&Placed| batch.span.last >= first && batch.span.first <= last;
    let begin = placed.iter().find(of)?;
    let end = placed.iter().rfind(of)?;
    let len = usize::try_from(end.pos.saturating_sub(begin.pos)).ok()?.saturating_add(end.len);
    let records = FileSlice { pos: begin.pos, len, upper_bound: end.span.last.next(), ..slice };
    Some(Found { records, acquired })
}

/// Where a fetch waits. Taken back when the wait ends, also when the connection is gone.
struct Waiting<'a> {
    waiter: &'a Arc<FetchWaiter>,
    wanted: &'a [Wanted],
}

impl Waiting<'_> {
    /// Waits at all of them; false if there is something new at one already.
    fn register(&self) -> bool {
        self.wanted.iter().all(|wanted| {
            let Ok(held) = &wanted.held else { return true };
            held.wait(self.waiter, wanted.changes)
                && wanted
                    .high_watermark
                    .is_none_or(|seen| held.partition.wait_for_bytes(self.waiter, Awaited::Committed(seen)))
        })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        for held in self.wanted.iter().filter_map(|wanted| wanted.held.as_ref().ok()) {
            held.stop_waiting(self.waiter);
            held.partition.stop_waiting(self.waiter);
        }
    }
}
