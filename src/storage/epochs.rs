//! Which leader epoch wrote which offsets: Kafka's `LeaderEpochFileCache` and its file,
//! `leader-epoch-checkpoint`.
//!
//! Batches carry their epoch, so recovery can rebuild what a crash took; the file is therefore written
//! when the log rolls, is cut or closed, not with each new epoch.

use super::checkpoint;
use super::log::EpochEnd;
use crate::model::{LeaderEpoch, Offset};

pub(super) const FILE: &str = "leader-epoch-checkpoint";
/// Its name while it is written.
pub(super) const STAGED: &str = "leader-epoch-checkpoint.tmp";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EpochStart {
    pub epoch: LeaderEpoch,
    pub start: Offset,
}

/// Epochs and start offsets, both strictly rising.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Epochs {
    entries: Vec<EpochStart>,
    /// The file does not say what the cache says.
    pub dirty: bool,
}

impl Epochs {
    /// Reads the checkpoint. `None`: not a checkpoint (then recovery rebuilds it).
    pub(super) fn parse(content: &[u8]) -> Option<Epochs> {
        // A torn one may end anywhere, also inside of the last number.
        if !content.ends_with(b"\n") || content.iter().filter(|byte| **byte == b'\n').count() < 2 {
            return None;
        }
        let mut epochs = Epochs::default();
        for line in checkpoint::lines(content).ok()? {
            let (epoch, start) = line.trim().split_once(' ')?;
            let (epoch, start) = (LeaderEpoch(epoch.parse().ok()?), Offset(start.trim().parse().ok()?));
            if epoch.0 < 0 || start.0 < 0 {
                return None;
            }
            epochs.assign(epoch, start);
        }
        epochs.dirty = false;
        Some(epochs)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        checkpoint::encode(self.entries.iter().map(|entry| format!("{} {}", entry.epoch, entry.start)))
    }

    #[cfg(test)]
    pub(super) fn entries(&self) -> &[EpochStart] {
        &self.entries
    }

    pub(super) fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|entry| entry.epoch)
    }

    /// Records of `epoch` start at `start`. Entries that contradict it are dropped.
    pub(super) fn assign(&mut self, epoch: LeaderEpoch, start: Offset) {
        if epoch.0 < 0 || self.entries.last().is_some_and(|last| last.epoch == epoch && last.start <= start) {
            return;
        }
        while self.entries.last().is_some_and(|last| last.epoch >= epoch || last.start >= start) {
            self.entries.pop();
        }
        self.entries.push(EpochStart { epoch, start });
        self.dirty = true;
    }

    /// The log ends at `end`: epochs that start there or later wrote nothing.
    pub(super) fn truncate_from_end(&mut self, end: Offset) {
        while self.entries.last().is_some_and(|last| last.start >= end) {
            self.entries.pop();
            self.dirty = true;
        }
    }

    /// The log starts at `start`: the epoch of that offset now starts there, older ones are gone.
    pub(super) fn truncate_from_start(&mut self, start: Offset) {
        let before = self.entries.partition_point(|entry| entry.start <= start);
        if before == 0 || (before == 1 && self.entries[0].start == start) {
            return;
        }
        self.entries.drain(..before - 1);
        self.entries[0].start = start;
        self.dirty = true;
    }

    pub(super) fn clear(&mut self) {
        self.dirty |= !self.entries.is_empty();
        self.entries.clear();
    }

    /// `endOffsetFor`: what OffsetForLeaderEpoch answers, `None` for "unknown".
    pub(super) fn end_offset(&self, requested: LeaderEpoch, log_end: Offset) -> Option<EpochEnd> {
        if requested == LeaderEpoch::NONE {
            return None;
        }
        if self.latest() == Some(requested) {
            return Some(EpochEnd { epoch: requested, end: log_end });
        }
        let above = self.entries.partition_point(|entry| entry.epoch <= requested);
        let end = self.entries.get(above)?.start;
        // Older than all that is known: its data is gone, the follower goes on at the first known epoch.
        let epoch = above.checked_sub(1).map_or(requested, |floor| self.entries[floor].epoch);
        Some(EpochEnd { epoch, end })
    }

    pub(super) fn at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let above = self.entries.partition_point(|entry| entry.start <= offset);
        above.checked_sub(1).map(|at| self.entries[at].epoch)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn cache(entries: &[(i32, i64)]) -> Epochs {
        let mut epochs = Epochs::default();
        for (epoch, start) in entries {
            epochs.assign(LeaderEpoch(*epoch), Offset(*start));
        }
        epochs
    }

    fn end(epochs: &Epochs, epoch: i32) -> Option<(i32, i64)> {
        epochs.end_offset(LeaderEpoch(epoch), Offset(100)).map(|end| (end.epoch.0, end.end.0))
    }

    fn pairs(epochs: &Epochs) -> Vec<(i32, i64)> {
        epochs.entries().iter().map(|entry| (entry.epoch.0, entry.start.0)).collect()
    }

    #[test]
    fn the_latest_epoch_ends_at_the_log_end() {
        assert_eq!(end(&cache(&[(2, 0), (4, 10)]), 4), Some((4, 100)));
    }

    #[test]
    fn an_epoch_between_ends_where_the_next_known_one_starts() {
        let epochs = cache(&[(2, 5), (4, 10), (7, 20)]);
        assert_eq!(end(&epochs, 2), Some((2, 10)));
        assert_eq!(end(&epochs, 3), Some((2, 10)));
        assert_eq!(end(&epochs, 5), Some((4, 20)));
    }

    #[test]
    fn an_epoch_older_than_all_ends_where_the_first_known_starts() {
        assert_eq!(end(&cache(&[(2, 5), (4, 10)]), 0), Some((0, 5)));
    }

    #[test]
    fn an_unknown_or_future_epoch_has_no_end() {
        assert_eq!(end(&cache(&[(2, 5)]), 3), None);
        assert_eq!(end(&cache(&[(2, 5)]), -1), None);
        assert_eq!(end(&Epochs::default(), 0), None);
    }

    #[test]
    fn a_later_entry_drops_those_that_contradict_it() {
        assert_eq!(pairs(&cache(&[(1, 0), (2, 10), (3, 20), (2, 5)])), [(1, 0), (2, 5)]);
        assert_eq!(pairs(&cache(&[(1, 0), (2, 10), (3, 10)])), [(1, 0), (3, 10)]);
        assert_eq!(pairs(&cache(&[(1, 0), (1, 10)])), [(1, 0)], "an epoch keeps its first offset");
    }

    #[test]
    fn cutting_the_end_drops_epochs_that_wrote_nothing() {
        let mut epochs = cache(&[(1, 0), (2, 10), (3, 20)]);
        epochs.truncate_from_end(Offset(10));
        assert_eq!(pairs(&epochs), [(1, 0)]);
    }

    #[test]
    fn cutting_the_start_moves_the_epoch_that_covers_it() {
        let mut epochs = cache(&[(1, 0), (2, 10), (3, 20)]);
        epochs.truncate_from_start(Offset(15));
        assert_eq!(pairs(&epochs), [(2, 15), (3, 20)]);
        epochs.truncate_from_start(Offset(20));
        assert_eq!(pairs(&epochs), [(3, 20)]);
        let mut later = cache(&[(4, 50)]);
        later.dirty = false;
        later.truncate_from_start(Offset(20));
        assert_eq!((pairs(&later), later.dirty), (vec![(4, 50)], false));
    }

    #[test]
    fn an_offset_belongs_to_the_last_epoch_that_started_before_it() {
        let epochs = cache(&[(1, 5), (2, 10)]);
        let at = |offset| epochs.at(Offset(offset)).map(|epoch| epoch.0);
        assert_eq!((at(4), at(5), at(9), at(10), at(99)), (None, Some(1), Some(1), Some(2), Some(2)));
    }

    #[test]
    fn the_file_is_kafkas() {
        let epochs = cache(&[(1, 0), (3, 20)]);
        assert_eq!(epochs.encode(), b"0\n2\n1 0\n3 20\n");
        assert_eq!(pairs(&Epochs::parse(b"0\n2\n1 0\n3 20\n").unwrap()), [(1, 0), (3, 20)]);
        for bad in ["", "0\n", "0\n1\n0 4", "1\n0\n", "0\n2\n1 0\n", "0\n1\nx 0\n", "0\n1\n-1 0\n"] {
            assert!(Epochs::parse(bad.as_bytes()).is_none(), "{bad:?}");
        }
    }
}
