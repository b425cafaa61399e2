//! Which records a member gets of what was read from the log (`SharePartition.acquire`).

use super::aborted::LogBatch;
use super::runs::{Hold, Origin, Span, State};
use super::{SharePartition, Terms};
use crate::model::{MemberId, Offset};

/// How strictly the number of records is kept (`ShareAcquireMode`, KIP-1206).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Whole batches; the number may be exceeded for that.
    Batches,
    /// Never more records than asked for.
    Records,
}

/// What a member asks for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub member: &'a MemberId,
    pub mode: Mode,
    /// About how many records the client wants to acknowledge at once.
    pub batch_size: i64,
    pub max_records: i64,
    /// Where was read ([`SharePartition::next_fetch`]).
    pub from: Offset,
}

/// Records that the member has now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acquired {
    pub span: Span,
    /// With this delivery.
    pub delivery_count: i16,
}

/// Records that are available, of one origin.
#[derive(Clone, Copy)]
struct Piece {
    span: Span,
    count: i16,
    origin: Origin,
}

/// What was given out so far.
struct Taking<'a> {
    ask: Ask<'a>,
    /// No more than so many, as far as the mode cares.
    limit: i64,
    terms: &'a Terms,
    until_ms: i64,
    taken: Vec<Acquired>,
    count: i64,
}

impl Taking<'_> {
    fn left(&self) -> i64 {
        self.limit.saturating_sub(self.count)
    }

    fn hold(&self) -> State {
        State::Acquired(Hold { member: self.ask.member.clone(), until_ms: self.until_ms, deciding: None })
    }
}

/// From this delivery on a batch comes in ever smaller parts, so that one bad record does not have all of it archived
/// (KIP-1206, `throttleRecordsDeliveryLimit`).
fn throttle_from(limit: i16) -> i16 {
    (limit / 2 + limit % 2).max(2)
}

impl SharePartition {
    /// Gives the member records of `found`, the batches that were read at `ask.from` on, in order. What is in `aborted`
    /// nobody gets.
    pub fn acquire(
        &mut self,
        ask: Ask<'_>,
        found: &[LogBatch],
        aborted: &[Span],
        terms: &Terms,
        now_ms: i64,
    ) -> Vec<Acquired> {
        let (Some(first), Some(last)) = (found.first(), found.last()) else { return Vec::new() };
        let (base, mut last) = (first.span.first, last.span.last);
        if ask.max_records <= 0 || last < self.start {
            return Vec::new();
        }
        let room = terms.in_flight_max.saturating_sub(self.in_flight());
        let mut limit = ask.max_records.min(room);
        if limit <= 0 {
            // Full. What came back may be taken again, but nothing new.
            limit = ask.max_records.min(self.end.0.saturating_sub(ask.from.0));
            last = last.min(self.end.plus(-1));
            if limit <= 0 {
                return Vec::new();
            }
        }
        self.archive_stale(ask.from, base);
        let until_ms = now_ms.saturating_add(terms.lock_ms);
        let mut taking = Taking { ask, limit, terms, until_ms, taken: Vec::new(), count: 0 };
        let asked = Span::new(base.max(self.start), last);
        let more = self.take_known(&mut taking, base, asked, found);
        let fresh = Span::new(base.max(self.end), last);
        if more && taking.left() > 0 && !fresh.is_empty() {
            self.runs.lay(Span::new(self.end, fresh.first.plus(-1)), State::Missing, 0, Origin::Forgotten);
            self.end = self.take_new(&mut taking, fresh, found).next();
        }
        let taken = self.without_aborted(taking.taken, aborted);
        self.settle_start();
        taken
    }

    /// Takes back what was given out and never sent, as if nobody had had it.
    pub fn give_back(&mut self, member: &MemberId, taken: &[Acquired]) {
        for one in taken {
            self.runs.change(one.span, |at, run| {
                let State::Acquired(hold) = &run.state else { return None };
                let unsent = hold.member == *member && hold.deciding.is_none() && run.count == one.delivery_count;
                unsent.then(|| super::Run::new(at.last, State::Available, run.count.saturating_sub(1), run.origin))
            });
            self.scan_from = self.scan_from.min(one.span.first);
        }
    }

    /// What was available where the log turned out to have nothing (compaction) is over.
    fn archive_stale(&mut self, from: Offset, base: Offset) {
        let nothing = Span::new(from.max(self.start), base.min(self.end).plus(-1));
        self.runs.change(nothing, |at, run| {
            (run.state == State::Available).then(|| super::Run::new(at.last, State::Done, run.count, run.origin))
        });
    }

    /// Takes of what is known and available. Answers whether more may be taken behind it.
    fn take_known(&mut self, taking: &mut Taking<'_>, base: Offset, asked: Span, found: &[LogBatch]) -> bool {
        let available: Vec<Piece> = self
            .runs
            .touching(asked)
            .filter(|(_, run)| run.state == State::Available)
            .map(|(span, run)| Piece { span, count: run.count, origin: run.origin })
            .collect();
        let throttle = throttle_from(taking.terms.delivery_limit);
        for pieces in available.chunk_by(|one, next| one.origin == next.origin && one.origin != Origin::Unread) {
            if taking.left() <= 0 {
                return false;
            }
            let [piece, ..] = pieces else { continue };
            let Origin::Fetched(group) = piece.origin else {
                self.take_new(taking, piece.span.within(asked), found);
                continue;
            };
            let throttled = pieces.iter().any(|piece| piece.count >= throttle);
            if throttled && taking.count > 0 {
                // To be delivered on their own.
                return false;
            }
            let whole = piece.span == group && base <= group.first && group.last <= asked.last;
            let too_many = taking.ask.mode == Mode::Records && group.len() > taking.left();
            if whole && !too_many && !throttled {
                self.take(taking, piece.span, piece.count, piece.origin);
            } else {
                let some = self.take_some(taking, pieces, asked, group, throttle);
                if throttled && some > 0 {
                    return false;
                }
            }
        }
        true
    }

    /// Gives `span` out, once more.
    fn take(&mut self, taking: &mut Taking<'_>, span: Span, count: i16, origin: Origin) {
        let delivery_count = count.saturating_add(1);
        self.runs.lay(span, taking.hold(), delivery_count, origin);
        taking.count = taking.count.saturating_add(span.len());
        taking.taken.push(Acquired { span, delivery_count });
    }

    /// Takes a part of what was fetched together as `group`. Records before their last delivery come alone.
    fn take_some(&mut self, taking: &mut Taking<'_>, pieces: &[Piece], asked: Span, group: Span, throttle: i16) -> i64 {
        let limit = taking.terms.delivery_limit;
        let mut most = if taking.ask.mode == Mode::Records { taking.left() } else { i64::MAX };
        let mut throttled = false;
        let mut some = 0;
        let before = taking.taken.len();
        for piece in pieces {
            let alone = limit > 2 && piece.count == limit - 1;
            if alone && some > 0 {
                break;
            }
            if piece.count >= throttle && !throttled {
                throttled = true;
                let halvings = u32::try_from(piece.count - throttle + 1).unwrap_or(0);
                let part = group.len().checked_shr(halvings).unwrap_or(0).max(1);
                // What was taken before that was delivered less often, and is not held against it.
                if some < part {
                    most = most.min(part);
                }
            }
            if some >= most {
                break;
            }
            let span = piece.span.within(asked);
            let n = if alone { 1 } else { span.len().min(most - some) };
            let span = Span::new(span.first, span.first.plus(n - 1));
            if span.is_empty() {
                continue;
            }
            self.take(taking, span, piece.count, piece.origin);
            some += n;
            if alone {
                break;
            }
        }
        join_taken(&mut taking.taken, before);
        some
    }

    /// Takes records that nobody has had yet, of `span` that the log has; answers up to where they are known now.
    fn take_new(&mut self, taking: &mut Taking<'_>, span: Span, found: &[LogBatch]) -> Offset {
        let left = taking.left();
        let mut last = span.last;
        if left < span.len() {
            // Up to the end of the batch in which the limit lies.
            let limit = span.first.plus(left - 1);
            let holds_it = |batch: &&LogBatch| batch.span.first <= limit && limit <= batch.span.last;
            last = found.iter().find(holds_it).map_or(limit, |batch| batch.span.last.min(span.last));
        }
        let span = Span::new(span.first, last);
        if taking.ask.mode == Mode::Records {
            let taken = Span::new(span.first, span.last.min(span.first.plus(left - 1)));
            self.runs.lay(span, State::Available, 0, Origin::Fetched(span));
            self.take(taking, taken, 0, Origin::Fetched(span));
            return last;
        }
        let batch_size = taking.ask.batch_size.max(1);
        let mut first = span.first;
        for batch in found {
            let next = batch.span.first;
            if next > last {
                break;
            }
            if next.0.saturating_sub(first.0) >= batch_size && span.len() > batch_size {
                let part = Span::new(first, next.plus(-1));
                self.take(taking, part, 0, Origin::Fetched(part));
                first = next;
            }
        }
        let rest = Span::new(first, last);
        self.take(taking, rest, 0, Origin::Fetched(rest));
        last
    }

    /// Archives what was just taken of `aborted`, and leaves it out.
    fn without_aborted(&mut self, taken: Vec<Acquired>, aborted: &[Span]) -> Vec<Acquired> {
        if aborted.is_empty() {
            return taken;
        }
        let mut kept = Vec::with_capacity(taken.len());
        for mut one in taken {
            for gone in aborted {
                let gone = gone.within(one.span);
                if gone.is_empty() {
                    continue;
                }
                self.runs.lay(gone, State::Done, one.delivery_count, Origin::Forgotten);
                let before = Span::new(one.span.first, gone.first.plus(-1));
                if !before.is_empty() {
                    kept.push(Acquired { span: before, ..one });
                }
                one.span.first = gone.last.next();
            }
            if !one.span.is_empty() {
                kept.push(one);
            }
        }
        kept
    }
}

/// Joins neighbours with the same delivery from `from` on.
fn join_taken(taken: &mut Vec<Acquired>, from: usize) {
    let some = taken.split_off(from.min(taken.len()));
    for one in some {
        match taken.get_mut(from..).and_then(<[Acquired]>::last_mut) {
            Some(before)
                if before.span.last.next() == one.span.first && before.delivery_count == one.delivery_count =>
            {
                before.span.last = one.span.last;
            }
            _ => taken.push(one),
        }
    }
}
