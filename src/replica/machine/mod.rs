//! What a fetcher does next: which partitions it asks its leader for, from where, and what an answer means.
//!
//! A fetch session (KIP-227, `FetchSessionHandler`) spares the leader what it knows: in a session only partitions that are
//! new or have moved are named, and the others are fetched all the same. A partition that failed is left out for a
//! while. Pure: the caller brings the time, in milliseconds of a steady clock.

use crate::model::{ErrorCode, LeaderEpoch, Offset, PartitionId, TopicId};
use std::collections::BTreeMap;

/// A partition as fetches name it.
pub type Key = (TopicId, PartitionId);

/// Where a follower's log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub end: Offset,
    /// Of the last record; `LeaderEpoch::NONE` in an empty log.
    pub last_epoch: LeaderEpoch,
    pub log_start: Offset,
}

/// A partition of the fetcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tracked {
    /// The leader's, in which this broker follows.
    epoch: LeaderEpoch,
    /// `None`: to be looked up.
    position: Option<Position>,
    /// Not asked for before this.
    not_before: i64,
    /// Failures without a success between them.
    failures: u32,
    /// How far the leader's log was ahead when it last answered.
    lag: i64,
    /// It has answered in this epoch, and its log was not ahead.
    caught_up: bool,
}

/// One partition of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    pub key: Key,
    pub epoch: LeaderEpoch,
    pub position: Position,
}

/// A request, as far as it is decided here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    pub session_id: i32,
    pub session_epoch: i32,
    /// To be named.
    pub partitions: Vec<Asked>,
    pub forgotten: Vec<Key>,
    /// How many the leader will look at.
    pub fetched: usize,
}

/// What an error of a partition means for its follower (`AbstractFetcherThread.processFetchRequest`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// It is out of the leader's range: find out how, and start again there.
    Relocate,
    /// The metadata will say who leads now.
    WaitForMetadata,
    /// The leader and this broker do not know the same metadata yet: the same again, soon at first.
    Soon,
    /// The same again after a pause.
    Pause,
}

#[must_use]
pub fn remedy(error: ErrorCode) -> Remedy {
    match error {
        ErrorCode::OFFSET_OUT_OF_RANGE => Remedy::Relocate,
        ErrorCode::FENCED_LEADER_EPOCH => Remedy::WaitForMetadata,
        ErrorCode::UNKNOWN_LEADER_EPOCH
        | ErrorCode::NOT_LEADER_OR_FOLLOWER
        | ErrorCode::UNKNOWN_TOPIC_ID
        | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => Remedy::Soon,
        _ => Remedy::Pause,
    }
}

#[derive(Debug, Default)]
struct Session {
    id: i32,
    /// 0: the next request makes a new session.
    epoch: i32,
    /// What the leader knows.
    known: BTreeMap<Key, Asked>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Fetching {
    partitions: BTreeMap<Key, Tracked>,
    session: Session,
    /// What was asked last, until it is answered.
    asked: BTreeMap<Key, Asked>,
}

impl Fetching {
    /// The partition is to be followed in `epoch` from now on.
    pub fn follow(&mut self, key: Key, epoch: LeaderEpoch) {
        let tracked = Tracked { epoch, position: None, not_before: i64::MIN, failures: 0, lag: 0, caught_up: false };
        match self.partitions.get_mut(&key) {
            // A change that leaves the leader as it is (the in-sync replicas, say) does not touch the fetching.
            Some(known) if known.epoch == epoch => {}
            Some(known) => *known = tracked,
            None => {
                self.partitions.insert(key, tracked);
            }
        }
    }

    /// The partition is not followed here any more.
    pub fn leave(&mut self, key: Key) -> bool {
        self.partitions.remove(&key).is_some()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.partitions.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// How far the partition that is furthest behind is behind its leader, in records.
    #[must_use]
    pub fn lag_max(&self) -> i64 {
        self.partitions.values().map(|tracked| tracked.lag).max().unwrap_or(0)
    }

    /// The partitions whose logs have to be looked at before they are fetched.
    #[must_use]
    pub fn unlocated(&self, now: i64) -> Vec<(Key, LeaderEpoch)> {
        let due = self.partitions.iter().filter(|(_, tracked)| tracked.position.is_none() && tracked.not_before <= now);
        due.map(|(key, tracked)| (*key, tracked.epoch)).collect()
    }

    /// The log of a partition ends here. Of an epoch that is not its present one, it says nothing.
    pub fn located(&mut self, key: Key, epoch: LeaderEpoch, position: Position) {
        if let Some(tracked) = self.partitions.get_mut(&key).filter(|tracked| tracked.epoch == epoch) {
            tracked.position = Some(position);
        }
    }

    /// The partition is left alone until `until`; with `relocate`, its log is looked at anew then.
    pub fn pause(&mut self, key: Key, epoch: LeaderEpoch, until: i64, relocate: bool) {
        if let Some(tracked) = self.partitions.get_mut(&key).filter(|tracked| tracked.epoch == epoch) {
            tracked.not_before = until;
            if relocate {
                tracked.position = None;
            }
        }
    }

    /// The partition failed: it is left alone for `first`, for twice as long the next time, up to `most`. Its log is
    /// looked at anew then.
    pub fn failed(&mut self, key: Key, epoch: LeaderEpoch, now: i64, first: i64, most: i64) {
        if let Some(tracked) = self.partitions.get_mut(&key).filter(|tracked| tracked.epoch == epoch) {
            let pause = first.saturating_mul(1 << tracked.failures.min(16)).min(most);
            tracked.failures = tracked.failures.saturating_add(1);
            tracked.not_before = now.saturating_add(pause);
            tracked.position = None;
        }
    }

    /// When the first of the partitions that are left alone is due again, if any is.
    #[must_use]
    pub fn next_due(&self, now: i64) -> Option<i64> {
        self.partitions.values().map(|tracked| tracked.not_before).filter(|at| *at > now).min()
    }

    /// What to ask now. `None`: there is nothing to fetch. A partition that is `throttled` is left out while it is behind.
    pub fn question(&mut self, now: i64, throttled: impl Fn(Key) -> bool) -> Option<Question> {
        let ready = |(key, tracked): (&Key, &Tracked)| {
            let position = tracked.position.filter(|_| tracked.not_before <= now)?;
            if !tracked.caught_up && throttled(*key) {
                return None;
            }
            Some((*key, Asked { key: *key, epoch: tracked.epoch, position }))
        };
        let wanted: BTreeMap<Key, Asked> = self.partitions.iter().filter_map(ready).collect();
        if wanted.is_empty() {
            return None;
        }
        let session = &self.session;
        let in_session = session.epoch > 0;
        let news = |asked: &&Asked| !in_session || session.known.get(&asked.key) != Some(*asked);
        let question = Question {
            session_id: session.id,
            session_epoch: session.epoch,
            partitions: wanted.values().filter(news).copied().collect(),
            forgotten: match in_session {
                true => session.known.keys().filter(|key| !wanted.contains_key(key)).copied().collect(),
                false => Vec::new(),
            },
            fetched: wanted.len(),
        };
        self.asked = wanted;
        Some(question)
    }

    /// The leader has answered the last question, with this error or session. Answers whether its partitions are to be
    /// looked at.
    pub fn answered(&mut self, error: ErrorCode, session_id: i32) -> bool {
        match error {
            ErrorCode::NONE => {
                let session = &mut self.session;
                session.known.clone_from(&self.asked);
                if session_id == 0 {
                    // The leader has no room for a session.
                    *session = Session::default();
                } else if session.epoch == 0 || session.id != session_id {
                    (session.id, session.epoch) = (session_id, 1);
                } else {
                    session.epoch = if session.epoch == i32::MAX { 1 } else { session.epoch + 1 };
                }
                true
            }
            ErrorCode::FETCH_SESSION_ID_NOT_FOUND => {
                self.session = Session::default();
                false
            }
            _ => {
                self.unanswered();
                false
            }
        }
    }

    /// It is not known what the leader has made of the last question: a new session, and the old one is named so that
    /// it goes.
    pub fn unanswered(&mut self) {
        self.session = Session { id: self.session.id, ..Session::default() };
    }

    /// What the last question asked of a partition, if it still holds: the same epoch and the same place.
    #[must_use]
    pub fn holds(&self, key: Key) -> Option<Asked> {
        let asked = self.asked.get(&key)?;
        let tracked = self.partitions.get(&key)?;
        (tracked.epoch == asked.epoch && tracked.position == Some(asked.position)).then_some(*asked)
    }

    /// The partition has been fetched, and its leader's log goes on for `lag` records.
    pub fn fetched(&mut self, key: Key, epoch: LeaderEpoch, position: Position, lag: i64) {
        if let Some(tracked) = self.partitions.get_mut(&key).filter(|tracked| tracked.epoch == epoch) {
            tracked.position = Some(position);
            tracked.failures = 0;
            tracked.lag = lag.max(0);
            tracked.caught_up = lag <= 0;
        }
    }
}

#[cfg(test)]
mod tests;
