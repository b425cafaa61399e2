//! Taking records away at either end: truncation of what the leader does not have, and DeleteRecords.
//!
//! Files go newest first, and durably before the segment that stays is cut, so that no crash leaves a
//! hole between what stays and what comes back. After a cut the caller writes the recovery point
//! checkpoint before it appends again: the old one may lie beyond what is durable then.

use super::{Kind, Log, Offset, StorageError, TimestampMs};
use crate::rt::fs::Open;
use crate::storage::index::{Entry, OffsetEntry, TimeEntry, View, txn};
use crate::storage::producers::Producers;
use crate::storage::segment::Segment;

impl Log {
    /// Cuts the log so that it ends at `offset` at the latest. A cut inside a batch drops the batch.
    pub fn truncate_to(&mut self, offset: Offset, now: TimestampMs) -> Result<(), StorageError> {
        if offset.0 < 0 {
            return Err(StorageError::Refused(format!("cannot truncate {} to {offset}", self.partition)));
        }
        self.load_epochs()?;
        if offset >= self.log_end {
            // This broker may have entered an epoch as leader without writing in it.
            let end = self.log_end;
            if let Some(epochs) = self.epochs.get_mut() {
                epochs.truncate_from_end(end);
            }
            return self.write_epochs_if_dirty();
        }
        if offset < self.segments[0].base {
            return self.truncate_and_restart_at(offset, now);
        }
        self.cuts += 1;
        self.drop_segments_behind(self.segment_of(offset), now)?;
        self.cut_active(offset)?;
        self.drop_snapshots_behind_end()?;
        let end = self.log_end;
        self.log_start = self.log_start.min(end);
        self.recovery_point = self.recovery_point.min(end);
        self.high_watermark = self.high_watermark.min(end);
        self.cleaned_to = self.cleaned_to.map(|cleaned| cleaned.min(end));
        let mut producers = self.rebuild_producers(end)?;
        producers.stable_below(self.high_watermark);
        self.producers = producers.into();
        if let Some(epochs) = self.epochs.get_mut() {
            epochs.truncate_from_end(end);
        }
        self.write_epochs_if_dirty()?;
        self.assert_invariants();
        Ok(())
    }

    /// Removes the segments behind the `n`-th, which becomes the active one.
    pub(super) fn drop_segments_behind(&mut self, n: usize, now: TimestampMs) -> Result<(), StorageError> {
        let due = now.plus(self.config.file_delete_delay_ms);
        let active = self.segments[n].base;
        if n + 1 == self.segments.len() {
            return Ok(());
        }
        self.writer = None;
        while self.segments.len() > n + 1 {
            let base = self.active().base;
            self.doom(base, &Kind::OF_SEGMENT, due)?;
            self.segments.pop();
            self.log_end = self.log_end.min(base);
        }
        self.unsynced.retain(|sealed| sealed.base < active);
        self.files.sync_dir()
    }

    fn drop_snapshots_behind_end(&mut self) -> Result<(), StorageError> {
        let end = self.log_end;
        self.drop_snapshots(|offset| offset > end)
    }

    /// Cuts log and indexes of the active segment at the batch that holds `offset`.
    fn cut_active(&mut self, offset: Offset) -> Result<(), StorageError> {
        if let Some(mut writer) = self.writer.take() {
            // So that the files say all there is to say; entries that are missing only cost time.
            match writer.write_indexes(self) {
                Err(error) if !error.will_pass() => return Err(error),
                _ => {}
            }
        }
        let n = self.segments.len() - 1;
        let base = self.segments[n].base;
        let size = match self.locate(n, offset)? {
            Some((pos, _)) => pos,
            None => u64::from(self.segments[n].size(&self.files)?),
        };
        self.files.forget(base);
        let target = offset.0.saturating_sub(base.0);
        self.cut_index::<OffsetEntry>(base, Kind::Index, |entry| i64::from(entry.offset) >= target)?;
        self.cut_index::<TimeEntry>(base, Kind::TimeIndex, |entry| i64::from(entry.offset) >= target)?;
        let txn_len = self.txn_index_len(base)?;
        if txn_len > 0 {
            let failed = self.files.failed(base, Kind::TxnIndex);
            let file = self.files.open(base, Kind::TxnIndex, Open::ReadWrite)?;
            let kept = txn::read(&*file, txn_len).map_err(&failed)?.iter().take_while(|txn| txn.last < offset).count();
            file.set_len((kept * txn::LEN) as u64).map_err(failed)?;
        }
        let file = self.files.open(base, Kind::Log, Open::ReadWrite)?;
        // Durable, or a crash could put what was cut off behind what is appended now.
        let cut = file.set_len(size).and_then(|()| file.sync_data());
        cut.map_err(self.files.failed(base, Kind::Log))?;
        let segment = Segment::new(base, self.segments[n].since);
        segment.set_size(size as u32);
        self.segments[n] = segment;
        let (writer, end) = self.load_writer(None)?;
        self.writer = Some(Box::new(writer));
        self.log_end = end;
        Ok(())
    }

    fn cut_index<E: Entry>(&self, base: Offset, kind: Kind, gone: impl Fn(&E) -> bool) -> Result<(), StorageError> {
        let failed = self.files.failed(base, kind);
        let file = self.files.open(base, kind, Open::Create)?;
        let mut view = View::<E>::of_file(Some(file.clone())).map_err(&failed)?;
        let kept = view.first_where(gone).map_err(&failed)?;
        file.set_len(u64::from(kept) * E::LEN as u64).map_err(failed)
    }

    /// Drops everything and goes on, empty, at `offset`.
    pub fn truncate_and_restart_at(&mut self, offset: Offset, now: TimestampMs) -> Result<(), StorageError> {
        if offset.0 < 0 {
            return Err(StorageError::Refused(format!("cannot restart {} at {offset}", self.partition)));
        }
        self.load_epochs()?;
        self.cuts += 1;
        self.drop_segments_behind(0, now)?;
        let due = now.plus(self.config.file_delete_delay_ms);
        self.writer = None;
        self.unsynced.clear();
        self.doom(self.segments[0].base, &Kind::OF_SEGMENT, due)?;
        let segment = Segment::new(offset, now);
        segment.set_size(0);
        self.segments = vec![segment];
        (self.log_start, self.log_end, self.recovery_point) = (offset, offset, offset);
        self.high_watermark = offset;
        self.cleaned_to = None;
        self.producers = Producers::default().into();
        if let Some(epochs) = self.epochs.get_mut() {
            epochs.clear();
        }
        self.drop_snapshots(|_| true)?;
        self.write_epochs_if_dirty()?;
        let writer = self.create_segment(offset, now)?;
        self.writer = Some(Box::new(writer));
        self.files.sync_dir()?;
        self.assert_invariants();
        Ok(())
    }

    /// Advances the log start (the caller has checked `before` against the high watermark). The segments
    /// below go with the next [`Log::apply_retention`].
    pub fn delete_records(&mut self, before: Offset) -> Result<(), StorageError> {
        if before > self.log_end {
            let what = format!("cannot delete {} up to {before}: the log ends at {}", self.partition, self.log_end);
            return Err(StorageError::Refused(what));
        }
        self.advance_start(before)
    }

    pub(super) fn advance_start(&mut self, start: Offset) -> Result<(), StorageError> {
        if start <= self.log_start {
            return Ok(());
        }
        self.load_epochs()?;
        self.load_producers()?;
        self.log_start = start;
        if let Some(epochs) = self.epochs.get_mut() {
            epochs.truncate_from_start(start);
        }
        if let Some(producers) = self.producers.get_mut() {
            producers.stable_below(start);
        }
        self.assert_invariants();
        Ok(())
    }
}
