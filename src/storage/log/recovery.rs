//! Recovery after an unclean stop.
//!
//! Every segment from the one that holds the recovery point on is read in large pieces: each batch's
//! header, CRC and offsets are checked, indexes, producer state, transaction index and epochs are built
//! anew. The log ends before the first batch that fails; what lies behind it, later segments included,
//! is dropped. A gap between two segments means that the end of the first was lost, unless compaction has
//! been there: Kafka's leaves such gaps, ours does not.

use super::append::marker_in;
use super::open::{RecoveryProgress, due};
use super::writer::{Counters, Writer};
use super::{AbortedTransaction, Kind, Log, Offset, StorageError, Unsynced};
use crate::record::{BadBatch, BatchHeader, HEADER_LEN, records};
use crate::rt::fs::{File, Open};
use crate::storage::epochs::Epochs;
use crate::storage::index::txn;
use crate::storage::producers::Producers;
use crate::storage::segment::relative;
use crc_fast::{CrcAlgorithm, Digest};
use std::io::{self, IoSlice};

/// Read at once. A batch that is larger is checked piece by piece.
const PIECE: usize = 1 << 20;
/// Where the bytes begin that the CRC covers.
const CRC_FROM: usize = 21;

/// What recovery builds while it goes through the segments.
struct Rebuilt {
    producers: Producers,
    epochs: Epochs,
    done_bytes: u64,
    total_bytes: u64,
}

/// A recovered segment: its writer, positioned at its valid end, and where its offsets end.
struct Recovered {
    writer: Writer,
    end: Offset,
    /// Something was cut off.
    cut: bool,
}

impl Log {
    pub(super) fn recover(&mut self, progress: &mut dyn FnMut(RecoveryProgress)) -> Result<(), StorageError> {
        let first = self.segment_of(self.recovery_point);
        // Nothing is known about names and data that were not flushed.
        (self.names, self.parent_unsynced) = (self.names + 1, true);
        self.log_end = self.segments[first].base;
        let mut rebuilt = Rebuilt {
            producers: self.rebuild_producers(self.segments[first].base)?,
            epochs: self.read_epochs(self.segments[first].base)?,
            done_bytes: 0,
            total_bytes: 0,
        };
        for segment in &self.segments[first..] {
            rebuilt.total_bytes += u64::from(segment.size(&self.files)?);
        }
        // What the checkpoint says about offsets that are read again is not needed.
        let from = self.segments[first].base;
        rebuilt.epochs.truncate_from_end(from);
        let mut n = first;
        loop {
            let Recovered { mut writer, end, mut cut } = self.recover_segment(n, &mut rebuilt, progress)?;
            let next = self.segments.get(n + 1).map(|next| next.base);
            let may_skip = |next: Offset| self.cleaned_to.is_some_and(|cleaned| next <= cleaned);
            if next.is_some_and(|next| next < end || (next > end && !may_skip(next))) {
                tracing::warn!(partition = %self.partition, "a segment ends at {end}, the next begins at {next:?}");
                cut = true;
            }
            self.log_end = end;
            if cut {
                let at = due(self.opened, self.config.file_delete_delay_ms);
                tracing::warn!(partition = %self.partition, "the log is cut at {end}");
                self.drop_behind(n, at)?;
            }
            let Some(next) = next.filter(|_| !cut) else {
                self.writer = Some(Box::new(writer));
                break;
            };
            let files = writer.finish(self)?;
            self.segments[n].seal(writer.at.size, writer.at.largest);
            self.seals += 1;
            self.unsynced.push(Unsynced { base: writer.at.base, seal: self.seals, files });
            self.recovered_snapshot(next, &rebuilt.producers)?;
            n += 1;
        }
        self.recovery_point = self.recovery_point.min(self.log_end);
        let end = self.log_end;
        self.drop_snapshots(|offset| offset > end)?;
        rebuilt.epochs.truncate_from_end(self.log_end);
        if self.log_start <= self.log_end {
            rebuilt.epochs.truncate_from_start(self.log_start);
        }
        rebuilt.epochs.dirty = true;
        self.epochs = rebuilt.epochs.into();
        self.producers = rebuilt.producers.into();
        Ok(())
    }

    /// Drops the segments behind the `n`-th. Their files are on disk under another name before anything is
    /// appended.
    fn drop_behind(&mut self, n: usize, due: crate::model::TimestampMs) -> Result<(), StorageError> {
        if n + 1 == self.segments.len() {
            return Ok(());
        }
        while self.segments.len() > n + 1 {
            let base = self.active().base;
            self.doom(base, &Kind::OF_SEGMENT, due)?;
            self.segments.pop();
        }
        self.files.sync_dir()
    }

    /// The producers' state where a recovered segment ends: the next recovery need not go behind it.
    fn recovered_snapshot(&mut self, at: Offset, producers: &Producers) -> Result<(), StorageError> {
        let bytes = crate::storage::producers::snapshot::encode(producers);
        let file = self.files.open(at, Kind::Snapshot, Open::Truncate)?;
        file.write_all_at(&mut [IoSlice::new(&bytes)], 0).map_err(self.files.failed(at, Kind::Snapshot))?;
        if let Some(sealed) = self.unsynced.last_mut() {
            sealed.files.push(file);
        }
        let snapshots = self.snapshots.get_mut();
        if let Err(place) = snapshots.binary_search(&at) {
            snapshots.insert(place, at);
        }
        Ok(())
    }

    fn recover_segment(
        &self,
        n: usize,
        rebuilt: &mut Rebuilt,
        progress: &mut dyn FnMut(RecoveryProgress),
    ) -> Result<Recovered, StorageError> {
        let segment = &self.segments[n];
        let base = segment.base;
        let failed = self.files.failed(base, Kind::Log);
        self.files.forget(base);
        let file = self.files.open(base, Kind::Log, Open::ReadWrite)?;
        let size = u64::from(segment.size(&self.files)?);
        let mut writer = Writer::new(file.clone(), Counters::new(base, segment.since, &self.config));
        for kind in [Kind::Index, Kind::TimeIndex] {
            self.files.open(base, kind, Open::Truncate)?;
        }
        self.files.remove(&self.files.path(base, Kind::TxnIndex))?;
        let mut pieces = Pieces { file: &*file, size, buf: Vec::new(), buf_pos: 0 };
        let mut end = base;
        let mut pos = 0;
        let mut reported = 0;
        let why = loop {
            let header = match pieces.checked_batch(pos).map_err(&failed)? {
                Ok(Some(header)) => header,
                Ok(None) => break None,
                Err(why) => break Some(why.to_string()),
            };
            if header.base_offset < end || header.last_offset_delta < 0 {
                break Some(format!("offsets go back from {end} to {}", header.base_offset));
            }
            if relative(base, header.last_offset()).is_none() {
                break Some(format!("offset {} is too far from the segment's base", header.last_offset()));
            }
            let entries = writer.at.add(&header, self.config.index_interval_bytes);
            writer.push(entries);
            if writer.offsets.wants_writing() || writer.times.wants_writing() {
                writer.write_indexes(self)?;
            }
            rebuilt.epochs.assign(header.leader_epoch, header.base_offset);
            if header.has_producer_id() {
                self.replay(&pieces, pos, &header, &mut rebuilt.producers, &mut writer)?;
            }
            end = header.next_offset();
            pos += header.size() as u64;
            if pos - reported >= PIECE as u64 {
                reported = pos;
                let done_bytes = rebuilt.done_bytes + pos;
                progress(RecoveryProgress { done_bytes, total_bytes: rebuilt.total_bytes });
            }
        };
        if let Some(why) = &why {
            tracing::warn!(partition = %self.partition, "segment {base} is cut at {pos} of {size}: {why}");
            // Durable, or the next crash could put it behind what is appended now.
            file.set_len(pos).and_then(|()| file.sync_data()).map_err(&failed)?;
        }
        segment.set_size(pos as u32);
        rebuilt.done_bytes += size;
        progress(RecoveryProgress { done_bytes: rebuilt.done_bytes, total_bytes: rebuilt.total_bytes });
        Ok(Recovered { writer, end, cut: why.is_some() })
    }

    fn replay(
        &self,
        pieces: &Pieces<'_>,
        pos: u64,
        header: &BatchHeader,
        producers: &mut Producers,
        writer: &mut Writer,
    ) -> Result<(), StorageError> {
        let marker = if header.attributes.is_control() {
            let batch = pieces.buffered(pos, header.size()).unwrap_or_default();
            records::open(header, batch, 1 << 20).ok().and_then(|payload| marker_in(header, &payload))
        } else {
            None
        };
        let Some(done) = producers.replay(header, marker).filter(|done| done.aborted) else { return Ok(()) };
        let base = writer.at.base;
        let aborted = AbortedTransaction {
            producer_id: done.producer,
            first: done.first,
            last: done.last,
            last_stable: producers.last_stable_after(&done),
        };
        let file = self.files.open(base, Kind::TxnIndex, Open::Create)?;
        file.write_all_at(&mut [IoSlice::new(&txn::encode(&aborted))], writer.txn_len)
            .map_err(self.files.failed(base, Kind::TxnIndex))?;
        writer.txn_len += txn::LEN as u64;
        Ok(())
    }
}

/// A segment's file, a piece of it in memory.
struct Pieces<'a> {
    file: &'a dyn File,
    size: u64,
    buf: Vec<u8>,
    buf_pos: u64,
}

impl Pieces<'_> {
    fn buffered(&self, pos: u64, len: usize) -> Option<&[u8]> {
        let at = usize::try_from(pos.checked_sub(self.buf_pos)?).ok()?;
        self.buf.get(at..at.checked_add(len)?)
    }

    /// Reads the piece that begins at `pos`.
    fn fill(&mut self, pos: u64) -> io::Result<()> {
        let want = usize::try_from(self.size.saturating_sub(pos)).unwrap_or(usize::MAX).min(PIECE);
        self.buf.resize(want, 0);
        self.buf_pos = pos;
        let got = self.file.read_at(&mut self.buf, pos)?;
        self.buf.truncate(got);
        Ok(())
    }

    /// The batch at `pos`, if its CRC is right; `None` at the end of the file.
    fn checked_batch(&mut self, pos: u64) -> io::Result<Result<Option<BatchHeader>, BadBatch>> {
        if pos >= self.size {
            return Ok(Ok(None));
        }
        if self.buffered(pos, HEADER_LEN).is_none() {
            self.fill(pos)?;
        }
        let header = match BatchHeader::parse(self.buffered(pos, HEADER_LEN).unwrap_or_default()) {
            Ok(header) => header,
            Err(why) => return Ok(Err(why)),
        };
        if pos + header.size() as u64 > self.size {
            return Ok(Err(BadBatch::Truncated));
        }
        if self.buffered(pos, header.size()).is_none() {
            self.fill(pos)?;
        }
        let computed = self.crc(pos, header.size())?;
        if computed != header.crc {
            return Ok(Err(BadBatch::Crc { stored: header.crc, computed }));
        }
        Ok(header.attributes.codec().map(|_| Some(header)))
    }

    fn crc(&self, pos: u64, len: usize) -> io::Result<u32> {
        if let Some(batch) = self.buffered(pos, len) {
            return Ok(crate::record::crc32c(batch.get(CRC_FROM..).unwrap_or_default()));
        }
        let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
        let mut piece = vec![0; PIECE];
        let (mut at, end) = (pos + CRC_FROM as u64, pos + len as u64);
        while at < end {
            let want = usize::try_from(end - at).unwrap_or(usize::MAX).min(PIECE);
            let got = self.file.read_at(&mut piece[..want], at)?;
            if got == 0 {
                break;
            }
            digest.update(&piece[..got]);
            at += got as u64;
        }
        Ok(digest.finalize() as u32)
    }
}
