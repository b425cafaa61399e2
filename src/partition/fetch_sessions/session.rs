//! One fetch session: pure.

use crate::model::{ErrorCode, LeaderEpoch, Offset, PartitionId, TopicId, TopicName};
use indexmap::IndexMap;

/// A topic as the request named it: by name up to v12, by id from v13.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TopicKey {
    Name(TopicName),
    Id(TopicId),
}

/// One partition that a client fetches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub topic: TopicKey,
    pub partition: PartitionId,
    pub from: Offset,
    pub max_bytes: i32,
    pub current_epoch: LeaderEpoch,
    pub last_fetched_epoch: LeaderEpoch,
    /// Where a follower's log starts.
    pub follower_start: Offset,
}

/// What is answered for a partition, as far as it decides whether it must be in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    pub error: ErrorCode,
    pub high_watermark: Offset,
    pub log_start: Offset,
    pub has_records: bool,
    /// A diverging epoch or a preferred replica: always news.
    pub has_advice: bool,
}

/// What the client was last told of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cached {
    from: Offset,
    max_bytes: i32,
    current_epoch: LeaderEpoch,
    last_fetched_epoch: LeaderEpoch,
    follower_start: Offset,
    high_watermark: Offset,
    log_start: Offset,
}

type Key = (TopicKey, PartitionId);

/// Up to so many partitions are moved one by one.
const FEW: usize = 8;

/// See the module.
#[derive(Debug)]
pub(super) struct Session {
    by_topic_id: bool,
    /// The epoch that the next request must carry.
    epoch: i32,
    /// In the order in which limits apply: partitions that got records move to the end, so that
    /// one busy partition cannot starve the others.
    partitions: IndexMap<Key, Cached>,
}

impl Session {
    pub(super) fn new(wanted: &[Wanted], answered: &[Answered], by_topic_id: bool) -> Session {
        let partitions = wanted
            .iter()
            .zip(answered)
            .map(|(w, a)| {
                let mut cached = cache(w);
                // After an error the client is told again, whatever the offsets are then.
                if !a.error.is_err() {
                    cached.high_watermark = a.high_watermark;
                    cached.log_start = a.log_start;
                }
                ((w.topic.clone(), w.partition), cached)
            })
            .collect();
        Session { by_topic_id, epoch: 1, partitions }
    }

    /// Checks a request against the session and, if it fits, counts it.
    pub(super) fn admit(&mut self, epoch: i32, by_topic_id: bool) -> Result<(), ErrorCode> {
        if self.by_topic_id != by_topic_id {
            return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        if self.epoch != epoch {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        }
        self.epoch = if epoch == i32::MAX { 1 } else { epoch + 1 };
        Ok(())
    }

    pub(super) fn update(&mut self, wanted: Vec<Wanted>, forgotten: &[Key]) {
        for w in wanted {
            let fresh = cache(&w);
            self.partitions
                .entry((w.topic, w.partition))
                .and_modify(|cached| {
                    *cached = Cached { high_watermark: cached.high_watermark, log_start: cached.log_start, ..fresh };
                })
                .or_insert(fresh);
        }
        if !forgotten.is_empty() {
            // One pass: `shift_remove` for each would be quadratic.
            let forgotten: std::collections::HashSet<&Key> = forgotten.iter().collect();
            self.partitions.retain(|key, _| !forgotten.contains(key));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.partitions.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    pub(super) fn wanted(&self) -> Vec<Wanted> {
        self.partitions
            .iter()
            .map(|((topic, partition), cached)| Wanted {
                topic: topic.clone(),
                partition: *partition,
                from: cached.from,
                max_bytes: cached.max_bytes,
                current_epoch: cached.current_epoch,
                last_fetched_epoch: cached.last_fetched_epoch,
                follower_start: cached.follower_start,
            })
            .collect()
    }

    /// Which partitions have news for the client (`CachedPartition.maybeUpdateResponseData`), and
    /// remembers what it is told.
    pub(super) fn respond(&mut self, wanted: &[Wanted], answered: &[Answered]) -> Vec<bool> {
        let mut served = Vec::new();
        let news = wanted
            .iter()
            .zip(answered)
            .map(|(w, a)| {
                let Some((at, _, cached)) = self.partitions.get_full_mut(&(w.topic.clone(), w.partition)) else {
                    return true;
                };
                let mut news = a.has_records || a.has_advice;
                if a.has_records {
                    served.push(at);
                }
                if a.error.is_err() {
                    // So that the client hears of it when the error is over, though nothing moved.
                    cached.high_watermark = Offset::NONE;
                    return true;
                }
                news |= cached.high_watermark != a.high_watermark || cached.log_start != a.log_start;
                cached.high_watermark = a.high_watermark;
                cached.log_start = a.log_start;
                news
            })
            .collect();
        self.move_to_end(&served);
        news
    }

    fn move_to_end(&mut self, served: &[usize]) {
        if served.len() == self.partitions.len() {
            return;
        }
        if served.len() > FEW {
            // One pass: a move costs as much as there are partitions behind.
            let mut served = served.iter().copied().peekable();
            let all = std::mem::take(&mut self.partitions).into_iter().enumerate();
            let (moved, kept): (Vec<_>, Vec<_>) = all.partition(|(at, _)| served.next_if_eq(at).is_some());
            self.partitions = kept.into_iter().chain(moved).map(|(_, entry)| entry).collect();
            return;
        }
        for (moved, at) in served.iter().enumerate() {
            // Each earlier move shifted what follows it one to the left.
            self.partitions.move_index(at - moved, self.partitions.len() - 1);
        }
    }
}

fn cache(w: &Wanted) -> Cached {
    Cached {
        from: w.from,
        max_bytes: w.max_bytes,
        current_epoch: w.current_epoch,
        last_fetched_epoch: w.last_fetched_epoch,
        follower_start: w.follower_start,
        high_watermark: Offset::NONE,
        log_start: Offset::NONE,
    }
}
