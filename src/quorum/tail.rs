//! What was committed last, in memory, for nodes that follow without a vote: they ask with the offset they have, and
//! get the batches after it, or, when these are no longer here, a snapshot of the image.

use super::checkpoint::{self, Id, NO_TAGS};
use crate::metadata::Image;
use crate::model::{LeaderEpoch, Offset};
use crate::record::BadBatch;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::watch;

/// Bytes of batches that are kept.
const BYTES_MAX: usize = 4 << 20;

#[derive(Debug)]
struct Kept {
    base: Offset,
    bytes: Bytes,
}

#[derive(Debug, Default)]
struct Batches {
    kept: VecDeque<Kept>,
    bytes: usize,
    /// The newest image outside a metadata transaction, and the offset after it: batches from there on are kept.
    stable: Option<(Arc<Image>, Offset)>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Tail {
    batches: Mutex<Batches>,
    end: watch::Sender<Offset>,
}

/// What a follower gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Batches from the offset it asked with; empty if there are none yet.
    Batches(Bytes),
    /// It has to begin anew: the bytes of a snapshot, and where that ends.
    Snapshot { end: Offset, epoch: LeaderEpoch, bytes: Bytes },
}

impl Tail {
    /// Of a log that begins with nothing.
    pub(super) fn new() -> Tail {
        let stable = Some((Arc::new(Image::default()), Offset::ZERO));
        Tail { batches: Mutex::new(Batches { stable, ..Batches::default() }), end: watch::Sender::new(Offset::ZERO) }
    }

    /// The offset after the last batch committed.
    pub(super) fn end(&self) -> watch::Receiver<Offset> {
        self.end.subscribe()
    }

    /// Starts over with an image.
    pub(super) fn reset(&self, image: &Arc<Image>, end: Offset) {
        let mut batches = self.batches.lock();
        *batches = Batches { stable: Some((Arc::clone(image), end)), ..Batches::default() };
        self.end.send_replace(end);
    }

    /// Adds a batch that was committed and applied. `stable`: the image with it, if no transaction is open.
    pub(super) fn push(&self, base: Offset, next: Offset, bytes: Bytes, stable: Option<&Arc<Image>>) {
        let mut batches = self.batches.lock();
        batches.bytes += bytes.len();
        batches.kept.push_back(Kept { base, bytes });
        if let Some(image) = stable {
            batches.stable = Some((Arc::clone(image), next));
        }
        let needed = batches.stable.as_ref().map_or(Offset::ZERO, |(_, end)| *end);
        while batches.bytes > BYTES_MAX && batches.kept.front().is_some_and(|kept| kept.base < needed) {
            batches.bytes -= batches.kept.pop_front().map_or(0, |kept| kept.bytes.len());
        }
        self.end.send_replace(next);
    }

    /// What follows `from`: as many batches as fit in `bytes_max`, and one at least.
    ///
    /// # Errors
    /// The image cannot be written as a snapshot.
    pub(super) fn read(&self, from: Offset, bytes_max: usize) -> Result<Piece, BadBatch> {
        let batches = self.batches.lock();
        let end = *self.end.borrow();
        if from >= end {
            return Ok(Piece::Batches(Bytes::new()));
        }
        let at = batches.kept.partition_point(|kept| kept.base < from);
        if batches.kept.get(at).is_some_and(|kept| kept.base == from) {
            let mut out = BytesMut::new();
            for kept in batches.kept.range(at..) {
                if !out.is_empty() && out.len() + kept.bytes.len() > bytes_max {
                    break;
                }
                out.extend_from_slice(&kept.bytes);
            }
            return Ok(Piece::Batches(out.freeze()));
        }
        let Some((image, end)) = batches.stable.clone() else { return Ok(Piece::Batches(Bytes::new())) };
        drop(batches);
        let id = Id { end, epoch: LeaderEpoch(image.epoch) };
        let bytes = checkpoint::encode(id, &image, NO_TAGS)?;
        Ok(Piece::Snapshot { end, epoch: id.epoch, bytes: bytes.into() })
    }
}
