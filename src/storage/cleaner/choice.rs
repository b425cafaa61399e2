//! How dirty a log is, whether that is enough, and which segments become one: pure decisions
//! (`LogCleanerManager.cleanableOffsets`, `LogToClean`, `Cleaner.groupSegmentsBySize`).

use crate::model::{Offset, TimestampMs};
use std::ops::Range;

/// A segment as far as the choice depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) struct Part {
    pub base: Offset,
    pub size: u64,
    /// Asked for only where `min.compaction.lag.ms` is set.
    pub largest: TimestampMs,
    /// Of its first batch; asked for only where `max.compaction.lag.ms` is set.
    pub first: TimestampMs,
}

/// A log as far as the choice depends on it.
#[derive(Clone, Debug)]
pub(in crate::storage) struct View {
    /// The last one is the active segment.
    pub parts: Vec<Part>,
    pub log_start: Offset,
    pub log_end: Offset,
    pub last_stable: Offset,
    /// What the last cleaning reached.
    pub cleaned_to: Option<Offset>,
    pub min_lag_ms: i64,
    pub max_lag_ms: i64,
}

/// How dirty a log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dirty {
    /// Where the last cleaning ended.
    pub first: Offset,
    /// The base of the first segment that cannot be cleaned.
    pub end: Offset,
    pub clean_bytes: u64,
    pub cleanable_bytes: u64,
    /// For how long `max.compaction.lag.ms` has been exceeded; 0 if it has not.
    pub overdue_ms: i64,
    /// What the checkpoint said cannot be: [`Dirty::first`] is the log start.
    pub was_reset: bool,
}

impl Dirty {
    /// The share of new bytes in what could be cleaned.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        match self.clean_bytes + self.cleanable_bytes {
            0 => 0.0,
            total => self.cleanable_bytes as f64 / total as f64,
        }
    }

    /// Whether it is time to clean.
    #[must_use]
    pub fn is_due(&self, min_ratio: f64) -> bool {
        self.cleanable_bytes > 0 && (self.overdue_ms > 0 || self.ratio() > min_ratio)
    }
}

impl View {
    /// The number of the segment that holds `offset`; the first one for offsets before it.
    fn at(&self, offset: Offset) -> usize {
        self.parts.partition_point(|part| part.base <= offset).saturating_sub(1)
    }

    pub(in crate::storage) fn dirty(&self, now: TimestampMs) -> Dirty {
        let checkpoint = self.cleaned_to.unwrap_or(self.log_start);
        let was_reset = checkpoint < self.log_start || checkpoint > self.log_end;
        let first = if was_reset { self.log_start } else { checkpoint };
        let active = self.parts.len().saturating_sub(1);
        let dirty = self.parts.get(self.at(first)..active).unwrap_or_default();
        let too_young = |part: &&Part| self.min_lag_ms > 0 && part.largest > now.minus(self.min_lag_ms);
        let young = dirty.iter().find(too_young).map(|part| part.base);
        let active_base = self.parts.last().map_or(self.log_end, |part| part.base);
        let limit = self.last_stable.min(active_base).min(young.unwrap_or(active_base)).max(first);
        // Whole segments only.
        let end_at = self.at(limit).min(active);
        let end = self.parts.get(end_at).map_or(self.log_end, |part| part.base);
        let first_at = self.at(first);
        let bytes = |parts: Option<&[Part]>| parts.unwrap_or_default().iter().map(|part| part.size).sum();
        let clean = self.parts.partition_point(|part| part.base < first);
        let earliest = dirty.iter().map(|part| part.first).filter(|time| time.0 > 0).min();
        let until = now.minus(self.max_lag_ms.max(0));
        Dirty {
            first,
            end,
            clean_bytes: bytes(self.parts.get(..clean)),
            cleanable_bytes: if first < end { bytes(self.parts.get(first_at..end_at)) } else { 0 },
            overdue_ms: earliest.map_or(0, |earliest| until.0.saturating_sub(earliest.0).max(0)),
            was_reset,
        }
    }
}

/// A segment that is to be cleaned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) struct Size {
    pub base: Offset,
    pub log: u64,
    pub index: u64,
    pub time_index: u64,
}

/// Which segments become one: as many as fit, by size and by what an index can hold. The last ends before `end`.
pub(super) fn groups(parts: &[Size], log_max: u64, index_max: u64, end: Offset) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let mut at = 0;
    while let Some(first) = parts.get(at) {
        let mut sum = *first;
        let mut next = at + 1;
        while let Some(part) = parts.get(next) {
            let last = parts.get(next + 1).map_or(end, |behind| behind.base).plus(-1);
            // An empty segment cannot be too far away.
            let in_reach = part.log == 0 || last.0.saturating_sub(first.base.0) <= i64::from(i32::MAX);
            let grown = Size {
                base: sum.base,
                log: sum.log + part.log,
                index: sum.index + part.index,
                time_index: sum.time_index + part.time_index,
            };
            if grown.log > log_max || grown.index > index_max || grown.time_index > index_max || !in_reach {
                break;
            }
            sum = grown;
            next += 1;
        }
        groups.push(at..next);
        at = next;
    }
    groups
}
