//! Committed offsets: commit, fetch, delete, expire (`OffsetMetadataManager`).

use super::{Env, Groups, Out};
use crate::coordinator::Ticket;
use crate::group::request::{Commit, DeleteOffsets, FetchOffsets};
use crate::metadata::Delta;

/// The offsets of all groups of the shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offsets {}

impl Groups {
    pub(super) fn commit_offsets(&mut self, env: &Env, ticket: Ticket, commit: Commit, out: &mut Out) {
        let _ = (env, ticket, commit, out);
        todo!()
    }

    pub(super) fn fetch_offsets(&mut self, env: &Env, ticket: Ticket, fetch: FetchOffsets, out: &mut Out) {
        let _ = (env, ticket, fetch, out);
        todo!()
    }

    pub(super) fn delete_offsets(&mut self, env: &Env, ticket: Ticket, delete: DeleteOffsets, out: &mut Out) {
        let _ = (env, ticket, delete, out);
        todo!()
    }

    pub(super) fn expire_offsets(&mut self, env: &Env, out: &mut Out) {
        let _ = (env, out);
        todo!()
    }

    /// Topics were deleted: so are their offsets.
    pub(super) fn forget_deleted_topics(&mut self, env: &Env, delta: &Delta, out: &mut Out) {
        let _ = (env, delta, out);
        todo!()
    }
}
