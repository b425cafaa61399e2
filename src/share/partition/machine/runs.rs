//! What is known of the records of a share partition, from its start to its end without a gap: runs of neighbours in the
//! same state.
//!
//! Kafka keeps fetched batches and, where their records differ, a state per record. Here a record's state is that of its
//! run; runs are cut where their records part ways and joined where they meet again, so that what is kept grows with the
//! differences and not with the records.

use super::WriteId;
use crate::model::{MemberId, Offset};
use std::collections::BTreeMap;

/// Offsets, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub first: Offset,
    pub last: Offset,
}

impl Span {
    #[must_use]
    pub fn new(first: Offset, last: Offset) -> Span {
        Span { first, last }
    }

    /// How many offsets; 0 if the end is before the beginning.
    #[must_use]
    pub fn len(self) -> i64 {
        self.last.0.saturating_sub(self.first.0).saturating_add(1).max(0)
    }

    /// Whether it has no offset.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.last < self.first
    }

    /// What lies in both; empty if nothing does.
    #[must_use]
    pub fn within(self, other: Span) -> Span {
        Span { first: self.first.max(other.first), last: self.last.min(other.last) }
    }
}

/// What a decision makes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Available,
    Acknowledged,
    Archived,
}

/// A member's hold on records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    pub member: MemberId,
    /// When the lock ends, in milliseconds of the steady clock.
    pub until_ms: i64,
    /// Decided, and being written. The hold goes on if that fails.
    pub deciding: Option<(WriteId, Fate)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Available,
    Acquired(Hold),
    /// Acknowledged or archived: never delivered again.
    Done,
    /// The log has no such records.
    Missing,
}

/// How records came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Fetched together, in these bounds. They are delivered together again, if nothing parts them.
    Fetched(Span),
    /// Between records of which the persister knew something. Perhaps there are none.
    Unread,
    /// It does not matter any more.
    Forgotten,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub last: Offset,
    pub state: State,
    /// How often they were delivered.
    pub count: i16,
    pub origin: Origin,
}

impl Run {
    pub(super) fn new(last: Offset, state: State, count: i16, origin: Origin) -> Run {
        match state {
            // So that what is over is kept in as few runs as possible.
            State::Done | State::Missing => Run { last, state, count: 0, origin: Origin::Forgotten },
            State::Available | State::Acquired(_) => Run { last, state, count, origin },
        }
    }

    fn continues(&self, before: &Run) -> bool {
        self.state == before.state && self.count == before.count && self.origin == before.origin
    }

    /// Whether they are over, as far as deliveries are concerned.
    fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Missing)
    }
}

/// The runs, by their first offset. They follow each other without a gap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Runs(BTreeMap<Offset, Run>);

impl Runs {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Span, &Run)> {
        self.0.iter().map(|(first, run)| (Span::new(*first, run.last), run))
    }

    /// Those that touch `span`, whole.
    pub(super) fn touching(&self, span: Span) -> impl Iterator<Item = (Span, &Run)> {
        let first = self.0.range(..=span.first).next_back().map_or(span.first, |(first, _)| *first);
        let end = if span.is_empty() { first } else { span.last.next() };
        self.0
            .range(first..end)
            .map(|(first, run)| (Span::new(*first, run.last), run))
            .filter(move |(at, _)| !at.within(span).is_empty())
    }

    /// Makes a run begin at `at`, if one covers it.
    fn cut(&mut self, at: Offset) {
        let Some((first, run)) = self.0.range_mut(..at).next_back() else { return };
        if *first < at && run.last >= at {
            let rest = run.clone();
            run.last = at.plus(-1);
            self.0.insert(at, rest);
        }
    }

    /// Has the records of `span` in the given state from now on, whatever they were. A span that begins where the runs end
    /// makes them longer.
    pub(super) fn lay(&mut self, span: Span, state: State, count: i16, origin: Origin) {
        if span.is_empty() {
            return;
        }
        self.cut(span.first);
        self.cut(span.last.next());
        while let Some((first, _)) = self.0.range(span.first..=span.last).next() {
            let first = *first;
            self.0.remove(&first);
        }
        self.0.insert(span.first, Run::new(span.last, state, count, origin));
        self.join(span.last.next());
        self.join(span.first);
    }

    /// Joins the run that begins at `at` to the one before, if they are the same.
    fn join(&mut self, at: Offset) {
        let Some(run) = self.0.get(&at) else { return };
        let last = run.last;
        let Some((_, before)) = self.0.range(..at).next_back() else { return };
        if !run.continues(before) {
            return;
        }
        self.0.remove(&at);
        if let Some((_, before)) = self.0.range_mut(..at).next_back() {
            before.last = last;
        }
    }

    /// Changes what `change` wants changed of the records of `span`, run by run and cut to the span. `None`: as it is.
    pub(super) fn change(&mut self, span: Span, mut change: impl FnMut(Span, &Run) -> Option<Run>) {
        let changed: Vec<(Span, Run)> = self
            .touching(span)
            .filter_map(|(at, run)| {
                let at = at.within(span);
                change(at, run).map(|run| (at, run))
            })
            .collect();
        for (at, run) in changed {
            self.lay(at, run.state, run.count, run.origin);
        }
    }

    /// Forgets what is before `start`.
    pub(super) fn drop_before(&mut self, start: Offset) {
        self.cut(start);
        self.0 = self.0.split_off(&start);
    }

    /// Takes away the records at the front that are over; answers where the others begin, if anything was taken.
    pub(super) fn drop_over(&mut self) -> Option<Offset> {
        let mut start = None;
        while let Some(front) = self.0.first_entry().filter(|front| front.get().is_over()) {
            start = Some(front.remove().last.next());
        }
        start
    }
}
