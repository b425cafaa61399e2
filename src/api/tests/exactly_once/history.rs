//! What was asked of the broker, what it answered, and what was seen: all that the rules need to know.

use crate::rt::clock;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A moment: later ones are greater.
pub(super) type Moment = usize;

/// A partition of a topic as it was created then.
pub(super) type Place = (&'static str, i32);

/// What is known of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It did not happen.
    Failed,
    Perhaps,
    Done,
}

#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) place: Place,
    pub(super) value: String,
    pub(super) known: Known,
}

/// Offsets that a transaction has committed.
#[derive(Clone, Debug)]
pub(super) struct Offsets {
    pub(super) group: usize,
    /// What was committed before.
    pub(super) base: i64,
    pub(super) next: i64,
    /// When it was acknowledged.
    pub(super) acked: Option<Moment>,
}

#[derive(Clone, Debug)]
pub(super) struct Txn {
    pub(super) id: &'static str,
    pub(super) sent: Vec<Sent>,
    pub(super) offsets: Option<Offsets>,
    /// Before this time, in ms, it cannot have taken too long.
    pub(super) safe_until: i64,
    /// When somebody first asked for its end, whether to commit it or to keep its producer out.
    pub(super) touched: Option<Moment>,
    pub(super) commit_asked: Option<Moment>,
    pub(super) commit: Known,
}

/// Everything from `from` to `next`, as a reader was told.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) place: Place,
    pub(super) topic_id: String,
    pub(super) committed: bool,
    pub(super) from: i64,
    pub(super) next: i64,
    pub(super) found: Vec<(i64, String)>,
    pub(super) last_stable: i64,
    pub(super) high_watermark: i64,
    pub(super) began: Moment,
    pub(super) ended: Moment,
}

/// What a group was told of its offset. `None`: that it is not stable.
#[derive(Clone, Debug)]
pub(super) struct Fetched {
    pub(super) group: usize,
    pub(super) stable: bool,
    pub(super) offset: Option<i64>,
    pub(super) began: Moment,
    pub(super) ended: Moment,
    pub(super) ended_ms: i64,
}

#[derive(Default)]
pub(super) struct History {
    now: Moment,
    pub(super) txns: Vec<Txn>,
    /// Requests under way that take a transactional id: what begins meanwhile they may end.
    taking: BTreeMap<&'static str, usize>,
    /// Records of no transaction.
    pub(super) plain: Vec<Sent>,
    pub(super) reads: Vec<Read>,
    pub(super) fetched: Vec<Fetched>,
    /// Transactions that the coordinator says are not ended, when all of them should be.
    pub(super) unfinished: Vec<String>,
    /// What no client may ever be told.
    pub(super) faults: Vec<String>,
    /// Log ends at the end, as those who read everything see them.
    pub(super) last: BTreeMap<Place, String>,
    pub(super) trace: Vec<String>,
}

impl History {
    pub(super) fn tick(&mut self) -> Moment {
        self.now += 1;
        self.now
    }

    pub(super) fn note(&mut self, who: &str, what: impl std::fmt::Display) {
        let now = self.tick();
        let mut line = String::new();
        let _ = write!(line, "{now:>6} {:>8} {who:<6} {what}", clock::now_ms().0 - super::START.0);
        self.trace.push(line);
    }

    pub(super) fn fault(&mut self, who: &str, what: impl std::fmt::Display) {
        self.note(who, format_args!("FAULT {what}"));
        self.faults.push(format!("{who}: {what}"));
    }

    pub(super) fn begin(&mut self, id: &'static str, timeout_ms: i64) -> usize {
        let taken = self.taking.get(id).is_some_and(|requests| *requests > 0);
        let touched = taken.then(|| self.tick());
        self.txns.push(Txn {
            id,
            sent: Vec::new(),
            offsets: None,
            safe_until: clock::now_ms().0 + timeout_ms,
            touched,
            commit_asked: None,
            commit: Known::Failed,
        });
        self.txns.len() - 1
    }

    /// Somebody begins to take the transactional id: whatever is open may be aborted from now on, and so may be what begins
    /// before [`History::took`].
    pub(super) fn takes(&mut self, id: &'static str) {
        let now = self.tick();
        *self.taking.entry(id).or_default() += 1;
        for txn in self.txns.iter_mut().filter(|txn| txn.id == id) {
            txn.touched.get_or_insert(now);
        }
    }

    /// The request to take the id was answered. One that was not may still be acted on.
    pub(super) fn took(&mut self, id: &'static str) {
        if let Some(requests) = self.taking.get_mut(id) {
            *requests = requests.saturating_sub(1);
        }
    }

    /// The broker is gone, and with it every request that it had.
    pub(super) fn broker_died(&mut self) {
        self.taking.clear();
    }

    pub(super) fn end_asked(&mut self, txn: usize, commit: bool) {
        let now = self.tick();
        let txn = &mut self.txns[txn];
        txn.touched.get_or_insert(now);
        if commit {
            txn.commit_asked.get_or_insert(now);
        }
    }

    /// What an attempt to commit has come to; the most that is known counts.
    pub(super) fn commit_is(&mut self, txn: usize, known: Known) {
        let commit = &mut self.txns[txn].commit;
        *commit = match (*commit, known) {
            (Known::Done, _) | (_, Known::Done) => Known::Done,
            (Known::Perhaps, _) | (_, Known::Perhaps) => Known::Perhaps,
            _ => Known::Failed,
        };
    }
}
