//! What creating and deleting topics and partitions takes from a client's `controller_mutation_rate` (KIP-599).
//!
//! From some version of each API on, what exceeds the quota is refused with THROTTLING_QUOTA_EXCEEDED; clients of older ones
//! are served and made to wait. Only what can be done is charged for.

use super::{ApiError, Call, Context, millis};
use crate::model::ErrorCode;

/// What one request takes.
pub(super) struct Mutations<'a> {
    ctx: &'a Context,
    call: &'a Call,
    strict: bool,
    wait_ms: u64,
}

impl<'a> Mutations<'a> {
    /// `strict_from`: the first version whose clients know that something may be refused.
    pub(super) fn new(ctx: &'a Context, call: &'a Call, strict_from: i16) -> Mutations<'a> {
        Mutations { ctx, call, strict: call.version >= strict_from, wait_ms: 0 }
    }

    /// Parts what may be done now from what is refused. `partitions`: how many each creates or deletes; 0: it comes to
    /// nothing anyway.
    pub(super) fn admit<T>(&mut self, all: Vec<T>, partitions: impl Fn(&T) -> usize) -> (Vec<T>, Vec<T>) {
        if !self.ctx.quotas.any() {
            return (all, Vec::new());
        }
        all.into_iter().partition(|one| match partitions(one) {
            0 => true,
            count => self.take(count),
        })
    }

    fn take(&mut self, partitions: usize) -> bool {
        let client = self.call.peer.client(self.call.client_id.as_deref());
        let partitions = u32::try_from(partitions).unwrap_or(u32::MAX);
        match self.ctx.quotas.mutate(client, partitions, self.strict) {
            Ok(()) => true,
            Err(ms) => {
                self.wait_ms = self.wait_ms.max(ms);
                !self.strict
            }
        }
    }

    /// The error of what was refused.
    pub(super) fn refusal() -> ApiError {
        ApiError::new(ErrorCode::THROTTLING_QUOTA_EXCEEDED, "The throttling quota has been exceeded.")
    }

    /// Mutes the connection for as long as the client must wait, and answers how long that is.
    pub(super) fn settle(self) -> i32 {
        self.call.peer.muted.extend(self.wait_ms);
        millis(self.wait_ms)
    }
}
