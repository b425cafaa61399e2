//! Retention: which segments are too old, too much, or below the log start.
//!
//! As Kafka's `deleteOldSegments`: from the oldest on until one may stay; never beyond the high
//! watermark; the active segment too, after a roll. Where records have no timestamps Kafka takes the
//! file's time; we take the time since which this process knows the segment.

use super::{Kind, Log, Offset, StorageError, TimestampMs};

impl Log {
    /// Drops segments by time, size and log start, none above `high_watermark`. Returns how many. Their files are
    /// renamed at once and removed by [`Log::reap`] after `file.delete.delay.ms`.
    pub fn apply_retention(&mut self, high_watermark: Offset, now: TimestampMs) -> Result<usize, StorageError> {
        self.files.close_idle();
        let start = self.log_start;
        let mut dropped = self
            .drop_while(high_watermark, now, |log, n| Ok(n + 1 < log.segments.len() && log.segment_end(n) <= start))?;
        if !self.config.cleanup_delete {
            return Ok(dropped);
        }
        if let Ok(keep) = u64::try_from(self.config.retention_bytes) {
            let mut excess = self.size_bytes()?.saturating_sub(keep);
            dropped += self.drop_while(high_watermark, now, |log, n| {
                let size = u64::from(log.segments[n].size(&log.files)?);
                let goes = excess >= size && size > 0;
                excess = excess.saturating_sub(size);
                Ok(goes)
            })?;
        }
        let keep_ms = self.config.retention_ms;
        if keep_ms >= 0 {
            dropped += self.drop_while(high_watermark, now, |log, n| {
                let too_old = |largest: TimestampMs| {
                    let at = if largest.0 >= 0 { largest } else { log.segments[n].since };
                    now.0.saturating_sub(at.0) > keep_ms
                };
                // What an index says is enough to keep a segment, not to drop it.
                Ok(too_old(log.largest(n)?.timestamp) && too_old(log.largest_of_batches(n)?))
            })?;
        }
        Ok(dropped)
    }

    fn drop_while(
        &mut self,
        high_watermark: Offset,
        now: TimestampMs,
        mut goes: impl FnMut(&Log, usize) -> Result<bool, StorageError>,
    ) -> Result<usize, StorageError> {
        let mut count = 0;
        while count < self.segments.len() && self.segment_end(count) <= high_watermark {
            let empty_active = count + 1 == self.segments.len() && self.segments[count].size(&self.files)? == 0;
            if empty_active || !goes(self, count)? {
                break;
            }
            count += 1;
        }
        if count == 0 {
            return Ok(0);
        }
        if count == self.segments.len() {
            self.roll(self.log_end, now)?;
        }
        self.drop_oldest(count, now)?;
        Ok(count)
    }

    fn drop_oldest(&mut self, count: usize, now: TimestampMs) -> Result<(), StorageError> {
        let first = self.segments[count].base;
        self.advance_start(first)?;
        let due = now.plus(self.config.file_delete_delay_ms);
        for _ in 0..count {
            let base = self.segments[0].base;
            self.doom(base, &Kind::OF_SEGMENT, due)?;
            if self.snapshots.get_mut().contains(&base) {
                self.doom(base, &[Kind::Snapshot], due)?;
                self.snapshots.get_mut().retain(|offset| *offset != base);
            }
            self.segments.remove(0);
        }
        self.unsynced.retain(|sealed| sealed.base >= first);
        self.recovery_point = self.recovery_point.max(first);
        self.assert_invariants();
        Ok(())
    }

    /// Removes files whose delay has passed. Returns how many.
    pub fn reap(&mut self, now: TimestampMs) -> Result<usize, StorageError> {
        let mut removed = 0;
        let mut failed = None;
        let files = &self.files;
        self.doomed.retain(|doomed| {
            if doomed.due > now || failed.is_some() {
                return true;
            }
            match files.remove(&doomed.path) {
                Ok(was_there) => removed += usize::from(was_there),
                Err(error) => failed = Some(error),
            }
            failed.is_some()
        });
        if self.doomed.is_empty() {
            self.doomed = Vec::new();
        }
        failed.map_or(Ok(removed), Err)
    }

    /// When [`Log::reap`] has something to do.
    #[must_use]
    pub fn next_reap(&self) -> Option<TimestampMs> {
        self.doomed.iter().map(|doomed| doomed.due).min()
    }
}
