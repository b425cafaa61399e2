//! The machine of one partition of `__consumer_offsets`: all groups whose ids hash to it, and their offsets.
//!
//! Requests and deadlines come in, records and replies go out. What a record means is in one place ([`Groups::apply`]) and
//! used by replay and by whoever writes the record, so that the two cannot differ; only a classic group is more than its
//! record (who waits to join or to sync, which a restart forgets, as in Kafka).

pub mod assign;
pub mod classic;
pub mod consumer;
mod kind;
pub mod offsets;
mod shard;
pub mod share;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use super::record::Record;
use super::request::{Reply, Request};
use crate::config::Settings;
use crate::coordinator::{BadRecord, Effects, Input, Machine, Replayed, Ticket, Timers, Written};
use crate::metadata::{Delta, Image};
use crate::model::{ErrorCode, GroupId, MemberId, TimestampMs, TopicId};
use crate::record::HEADER_LEN;
use classic::ClassicGroup;
use consumer::ConsumerGroup;
pub use kind::{Ages, Kind};
use offsets::Offsets;
use share::{ShareGroup, Task};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// What the machine sees of the outside at a step.
#[derive(Clone, Debug)]
pub struct Env {
    pub now: TimestampMs,
    pub image: Arc<Image>,
    pub settings: Arc<Settings>,
    /// Not used before: for the id of a member that joins.
    pub fresh: Uuid,
    /// `max.message.bytes` of the topic that the records go to: what a step writes is one batch.
    pub batch_bytes_max: usize,
}

/// A group.
#[derive(Clone, Debug)]
pub enum Group {
    Classic(Box<ClassicGroup>),
    Consumer(Box<ConsumerGroup>),
    Share(Box<ShareGroup>),
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A classic group's rebalance: the end of the initial delay, or of the wait for members to join again.
    Join(GroupId),
    /// The members of a classic group that have not synced.
    Sync(GroupId),
    /// A member of a classic group, or one that was given an id and has not joined with it.
    ClassicSession(GroupId, MemberId),
    /// A member of a consumer group or a share group.
    Session(GroupId, MemberId),
    /// A member of a consumer group that has to give partitions up.
    Rebalance(GroupId, MemberId),
    /// A classic member of a consumer group that has to join again.
    ClassicJoin(GroupId, MemberId),
    /// A classic member of a consumer group that has to sync.
    ClassicSync(GroupId, MemberId),
    /// Offsets that have expired are looked for.
    Expiry,
    /// Offsets of deleted topics are left, more than one step takes.
    Forget,
    /// What share groups have of deleted topics is left, more than one step takes.
    ForgetShared,
}

/// What the effects of a step are collected in.
pub type Out = Effects<Reply, Task>;

impl Env {
    /// Do these records fit in the batch with what the step writes already?
    pub(super) fn fits(&self, out: &Out, more: &[Written]) -> bool {
        HEADER_LEN + batch_size(&out.records) + batch_size(more) <= self.batch_bytes_max
    }
}

/// What records take in a batch, at most: a record's length, attributes, deltas, the two lengths and its headers' count take
/// no more than this (`DefaultRecord.MAX_RECORD_OVERHEAD`).
fn batch_size(records: &[Written]) -> usize {
    records.iter().map(|record| 21 + record.key.len() + record.value.as_ref().map_or(0, Vec::len)).sum()
}

/// See the module.
#[derive(Debug, Default)]
pub struct Groups {
    pub(super) groups: BTreeMap<GroupId, Group>,
    pub(super) offsets: Offsets,
    pub(super) timers: Timers<Timer>,
    /// What the consumer groups and the share groups have in common.
    pub(super) consumers: consumer::Index,
    /// Topics that were deleted, until the share groups have forgotten them.
    pub(super) shared_doomed: BTreeSet<TopicId>,
}

impl Groups {
    /// Acts on a record and has it written. For everything but what a classic group already is.
    pub(super) fn commit(&mut self, env_now: TimestampMs, out: &mut Out, record: Record) {
        out.records.push(record.encode());
        self.apply(record, env_now);
    }

    /// Acts on records and has them written, unless they are too large for the batch that the step writes: then nothing is
    /// done, and the answer is UNKNOWN_SERVER_ERROR, which is what Kafka makes of it.
    pub(super) fn commit_all(&mut self, env: &Env, out: &mut Out, records: Vec<Record>) -> Result<(), ErrorCode> {
        let written: Vec<Written> = records.iter().map(Record::encode).collect();
        if !env.fits(out, &written) {
            return Err(ErrorCode::UNKNOWN_SERVER_ERROR);
        }
        out.records.extend(written);
        for record in records {
            self.apply(record, env.now);
        }
        Ok(())
    }

    /// Deadlines that have come. Many may have come together, and the batch has a limit, which a single group may come close
    /// to: those that are left come with the next step.
    fn tick(&mut self, env: &Env, out: &mut Out) {
        let (mut seen, mut size) = (0, 0);
        while let Some(timer) = self.timers.pop_due(env.now) {
            self.expired(env, timer, out);
            size += batch_size(out.records.get(seen..).unwrap_or_default());
            seen = out.records.len();
            if size > env.batch_bytes_max / 16 {
                return;
            }
        }
    }

    fn request(&mut self, env: &Env, ticket: Ticket, request: Request, out: &mut Out) {
        match request {
            Request::Join(join) => self.join(env, ticket, join, out),
            Request::Sync(sync) => self.sync(env, ticket, sync, out),
            Request::Heartbeat(heartbeat) => self.heartbeat(env, ticket, heartbeat, out),
            Request::Leave(leave) => self.leave(env, ticket, leave, out),
            Request::ConsumerHeartbeat(heartbeat) => self.consumer_heartbeat(env, ticket, heartbeat, out),
            Request::Commit(commit) => self.commit_offsets(env, ticket, commit, out),
            Request::TxnCommit(id, epoch, commit) => {
                self.commit_offsets_in_transaction(env, ticket, (id, epoch), commit, out);
            }
            Request::FetchOffsets(fetch) => self.fetch_offsets(env, ticket, fetch, out),
            Request::DeleteOffsets(delete) => self.delete_offsets(env, ticket, delete, out),
            Request::DeleteGroup { group, state_is_deleted } => {
                self.delete_group(env, ticket, group, state_is_deleted, out);
            }
            Request::Describe(group) => self.describe(env, ticket, group, out),
            Request::DescribeConsumer(group) => self.describe_consumer(env, ticket, group, out),
            Request::List(list) => self.list(env, ticket, list, out),
            Request::Share(share) => self.share(env, ticket, share, out),
        }
    }
}

impl Machine for Groups {
    type Request = Request;
    type Reply = Reply;
    type Task = Task;
    type Env = Env;
    type Change = Arc<Delta>;

    fn step(&mut self, env: &Env, input: Input<Request, Arc<Delta>>, out: &mut Out) {
        match input {
            Input::Request(ticket, request) => self.request(env, ticket, request, out),
            Input::Tick => self.tick(env, out),
            Input::Loaded => self.loaded(env, out),
            Input::Changed(delta) => self.metadata_changed(env, &delta, out),
        }
    }

    fn replay(&mut self, record: Replayed<'_>) -> Result<(), BadRecord> {
        self.replay_record(record)
    }

    fn next_deadline(&self) -> Option<TimestampMs> {
        self.timers.next()
    }
}
