//! What a client may ask of the groups of this broker: which shard a group belongs to, what is refused before a machine
//! sees it, and how an error of the log reads to a client of each API (`GroupCoordinatorService`,
//! `CoordinatorOperationExceptionHelper`).

use super::machine::share::Task;
use super::machine::{Env, Groups};
use super::metrics::Census;
use super::request::{
    Commit, Committed, ConsumerHeartbeat, ConsumerHeartbeaten, DeleteOffsets, DeletedOffsets, DescribedClassic,
    DescribedConsumer, FetchOffsets, FetchedOffsets, Heartbeat, Join, Joined, Leave, Left, List, Listed, Refusal,
    Reply, Request, ShareReply, Sync, Synced,
};
use crate::config::topic::TopicConfig;
use crate::config::{self, Settings};
use crate::coordinator::{Host, Limits, Runtime, for_clients, partition_for};
use crate::metadata::Store;
use crate::metrics::{Count, Metrics};
use crate::model::{
    ErrorCode, GroupEpoch, GroupId, MemberId, PartitionId, ProducerEpoch, ProducerId, TimestampMs, TopicName,
};
use crate::partition::{self, Partition, TransactionEnd, Verified};
use crate::peer::Pool;
use crate::record::Compression;
#[cfg(any(test, feature = "planted"))]
use crate::rt::planted;
use crate::rt::rand;
use crate::share::Persister;
use std::sync::Arc;
use std::time::Duration;

mod ends;
mod share;

#[cfg(test)]
pub(super) use share::check_share_heartbeat;

/// From this version on the client makes the member's id up (KIP-1082).
const CLIENT_MAKES_MEMBER_ID: i16 = 1;

/// The coordinator of all groups whose partition of `__consumer_offsets` this broker leads.
pub struct GroupCoordinator {
    runtime: Arc<Runtime<Shards>>,
    /// Offsets that were committed, transactions' included.
    commits: Count,
    ends: ends::Ends,
}

impl GroupCoordinator {
    /// Coordinates nothing before [`GroupCoordinator::start`]. To be called within tokio.
    #[must_use]
    pub fn new(
        config: Arc<config::Live>,
        metadata: Arc<Store>,
        partitions: Arc<partition::Manager>,
        persister: Arc<Persister>,
        peers: Arc<Pool>,
    ) -> Arc<GroupCoordinator> {
        let node = config.load().settings().node_id;
        let ends = ends::Ends {
            node,
            config: Arc::clone(&config),
            metadata: Arc::clone(&metadata),
            partitions: Arc::clone(&partitions),
            peers,
        };
        let runtime = Runtime::new(Shards { config, metadata, persister }, node, partitions);
        Arc::new(GroupCoordinator { runtime, commits: Count::default(), ends })
    }

    /// Loads what the metadata says is coordinated here, and follows it. The partitions must follow it already.
    pub fn start(&self) {
        self.runtime.follow(&self.host().metadata);
    }

    /// Lets everything go: whoever waits is told to look for another coordinator.
    pub async fn stop(&self) {
        self.runtime.stop().await;
    }

    /// The partition of `__consumer_offsets` that holds a group.
    #[must_use]
    pub fn partition_for(&self, group: &GroupId) -> PartitionId {
        let host = self.host();
        partition_for(&host.metadata.load(), Shards::TOPIC, group.as_str(), || {
            host.settings().groups.offsets_partitions
        })
    }

    /// JoinGroup. Waits until the rebalance is over.
    pub async fn join(&self, join: Join) -> Joined {
        if join.group.is_empty() {
            return Joined::refused(join.member, ErrorCode::INVALID_GROUP_ID);
        }
        let groups = &self.host().settings().groups;
        let session = Duration::from_millis(u64::try_from(join.session_timeout_ms).unwrap_or_default());
        let in_range = (groups.session_timeout_min..=groups.session_timeout_max).contains(&session);
        if join.session_timeout_ms < 0 || !in_range {
            return Joined::refused(join.member, ErrorCode::INVALID_SESSION_TIMEOUT);
        }
        match self.ask(&join.group.clone(), Request::Join(join)).await {
            Ok(Reply::Join(joined)) => joined,
            other => Joined::refused(MemberId::new(""), fault("JoinGroup", other)),
        }
    }

    /// SyncGroup. Waits for the leader's assignment.
    pub async fn sync(&self, sync: Sync) -> Synced {
        if sync.group.is_empty() {
            return Synced::from(ErrorCode::INVALID_GROUP_ID);
        }
        match self.ask(&sync.group.clone(), Request::Sync(sync)).await {
            Ok(Reply::Sync(synced)) => synced,
            other => Synced::from(fault("SyncGroup", other)),
        }
    }

    /// Heartbeat of a classic member. While the group is being loaded, all is well.
    pub async fn heartbeat(&self, heartbeat: Heartbeat) -> ErrorCode {
        if heartbeat.group.is_empty() {
            return ErrorCode::INVALID_GROUP_ID;
        }
        match self.ask(&heartbeat.group.clone(), Request::Heartbeat(heartbeat)).await {
            Ok(Reply::Heartbeat(error)) => error,
            other => match fault("Heartbeat", other) {
                ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => ErrorCode::NONE,
                error => error,
            },
        }
    }

    /// LeaveGroup.
    pub async fn leave(&self, leave: Leave) -> Left {
        let refused = |error| Left { error, members: Vec::new() };
        if leave.group.is_empty() {
            return refused(ErrorCode::INVALID_GROUP_ID);
        }
        match self.ask(&leave.group.clone(), Request::Leave(leave)).await {
            Ok(Reply::Leave(left)) => left,
            other => refused(fault("LeaveGroup", other)),
        }
    }

    /// ConsumerGroupHeartbeat.
    ///
    /// # Errors
    /// The error and its message.
    pub async fn consumer_heartbeat(&self, heartbeat: ConsumerHeartbeat) -> Result<ConsumerHeartbeaten, Refusal> {
        check_consumer_heartbeat(&heartbeat, &self.host().settings().groups.consumer_assignors)?;
        match self.ask(&heartbeat.group.clone(), Request::ConsumerHeartbeat(heartbeat)).await {
            Ok(Reply::ConsumerHeartbeat(beaten)) => beaten,
            other => Err(fault("ConsumerGroupHeartbeat", other).into()),
        }
    }

    /// OffsetCommit. The empty group is allowed, as it was when groups had no coordinator.
    pub async fn commit(&self, commit: Commit) -> Committed {
        let offsets = commit.offsets.len();
        match self.ask(&commit.group.clone(), Request::Commit(commit)).await {
            Ok(Reply::Commit(committed)) => self.counted(committed),
            other => Committed(vec![fault("OffsetCommit", other); offsets]),
        }
    }

    /// TxnOffsetCommit. `verified`: what the transaction's coordinator was asked with.
    pub async fn commit_in_transaction(
        &self,
        producer: (ProducerId, ProducerEpoch),
        verified: Verified<'_>,
        commit: Commit,
    ) -> Committed {
        let offsets = commit.offsets.len();
        let shard = self.partition_for(&commit.group);
        let request = Request::TxnCommit(producer.0, producer.1, commit);
        match self.runtime.ask_within(shard, request, Some((producer, verified))).await.map_err(for_clients) {
            Ok(Reply::Commit(committed)) => self.counted(committed),
            other => Committed(vec![fault("TxnOffsetCommit", other); offsets]),
        }
    }

    fn counted(&self, committed: Committed) -> Committed {
        self.commits.add(committed.0.iter().filter(|error| **error == ErrorCode::NONE).count() as u64);
        committed
    }

    /// Has metrics show what is coordinated here.
    pub fn measured(self: &Arc<Self>, metrics: &Metrics) {
        metrics.coordinator("group", self.runtime.metrics());
        let coordinator = Arc::clone(self);
        metrics.register(Box::new(move |sample| {
            let mut census = Census::default();
            sample.coordinator_partitions("group", coordinator.runtime.look(|groups| census.count(groups)));
            census.show(sample);
            let commits = i64::try_from(coordinator.commits.get()).unwrap_or(i64::MAX);
            sample.counter("group_offset_commits", "Offsets that groups committed.", [(Vec::new(), commits)]);
        }));
    }

    /// The partition of `__consumer_offsets` that a group's offsets are written to, if it is here.
    #[must_use]
    pub fn log_of(&self, group: &GroupId) -> Option<Arc<Partition>> {
        self.runtime.partition(self.partition_for(group))
    }

    /// Writes the end of a transaction into a partition of `__consumer_offsets`: what its producer has committed there
    /// counts, or does not.
    ///
    /// # Errors
    /// As [`Runtime::end_transaction`].
    pub async fn end_transaction(&self, partition: PartitionId, end: &TransactionEnd) -> Result<(), ErrorCode> {
        self.runtime.end_transaction(partition, end).await
    }

    /// OffsetFetch of one group; the empty one is allowed. Older consumers do not know what other APIs answer where the
    /// log is not committed in time: they are sent to look for the coordinator again.
    pub async fn fetch_offsets(&self, fetch: FetchOffsets) -> FetchedOffsets {
        #[cfg(any(test, feature = "planted"))]
        let fetch = match planted::is_planted(planted::Bug::PendingOffsetsIgnored) {
            true => FetchOffsets { require_stable: false, ..fetch },
            false => fetch,
        };
        match self.ask_raw(&fetch.group.clone(), Request::FetchOffsets(fetch)).await {
            Ok(Reply::FetchOffsets(fetched)) => fetched,
            other => {
                let error = match fault("OffsetFetch", other) {
                    ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                    | ErrorCode::NOT_ENOUGH_REPLICAS
                    | ErrorCode::REQUEST_TIMED_OUT => ErrorCode::NOT_COORDINATOR,
                    error => for_clients(error),
                };
                FetchedOffsets { error, topics: Vec::new() }
            }
        }
    }

    /// OffsetDelete.
    pub async fn delete_offsets(&self, delete: DeleteOffsets) -> DeletedOffsets {
        let refused = |error| DeletedOffsets { error, partitions: Vec::new() };
        if delete.group.is_empty() {
            return refused(ErrorCode::INVALID_GROUP_ID);
        }
        match self.ask(&delete.group.clone(), Request::DeleteOffsets(delete)).await {
            Ok(Reply::DeleteOffsets(deleted)) => deleted,
            other => refused(fault("OffsetDelete", other)),
        }
    }

    /// DeleteGroups: one answer for each, in order. The empty group is allowed.
    pub async fn delete_groups(&self, groups: Vec<GroupId>) -> Vec<ErrorCode> {
        let mut answers = Vec::with_capacity(groups.len());
        for group in groups {
            answers.push(self.delete_group(group).await);
        }
        answers
    }

    async fn delete_group(&self, group: GroupId) -> ErrorCode {
        let delete = |state_is_deleted| Request::DeleteGroup { group: group.clone(), state_is_deleted };
        let mut answer = self.ask(&group, delete(false)).await;
        if let Ok(Reply::Share(ShareReply::DeleteState(state))) = answer {
            if let Err(error) = self.delete_share_state(&group, state).await {
                return error;
            }
            answer = self.ask(&group, delete(true)).await;
        }
        match answer {
            Ok(Reply::DeleteGroup(error)) => error,
            other => fault("DeleteGroups", other),
        }
    }

    /// DescribeGroups: one answer for each, in order. The empty group is allowed.
    pub async fn describe(&self, groups: Vec<GroupId>) -> Vec<Result<DescribedClassic, Refusal>> {
        let mut answers = Vec::with_capacity(groups.len());
        for group in groups {
            answers.push(match self.ask(&group, Request::Describe(group.clone())).await {
                Ok(Reply::Describe(described)) => described,
                other => Err(fault("DescribeGroups", other).into()),
            });
        }
        answers
    }

    /// ConsumerGroupDescribe: one answer for each, in order.
    pub async fn describe_consumer(&self, groups: Vec<GroupId>) -> Vec<Result<DescribedConsumer, Refusal>> {
        let mut answers = Vec::with_capacity(groups.len());
        for group in groups {
            if group.is_empty() {
                answers.push(Err(ErrorCode::INVALID_GROUP_ID.into()));
                continue;
            }
            answers.push(match self.ask(&group, Request::DescribeConsumer(group.clone())).await {
                Ok(Reply::DescribeConsumer(described)) => described,
                other => Err(fault("ConsumerGroupDescribe", other).into()),
            });
        }
        answers
    }

    /// ListGroups: the groups of all shards that are here.
    ///
    /// # Errors
    /// `COORDINATOR_LOAD_IN_PROGRESS` if one of them is being loaded: a list with holes would look like a whole one.
    pub async fn list(&self, list: List) -> Result<Vec<Listed>, ErrorCode> {
        let mut all = Vec::new();
        for answer in self.runtime.ask_all(|| Request::List(list.clone())).await {
            match answer {
                Ok(Reply::List(some)) => all.extend(some),
                // It went elsewhere meanwhile.
                Err(ErrorCode::NOT_COORDINATOR) => {}
                other => return Err(fault("ListGroups", other.map_err(for_clients))),
            }
        }
        Ok(all)
    }

    fn host(&self) -> &Shards {
        self.runtime.host()
    }

    /// Asks the group's shard; an error is as clients know it.
    async fn ask(&self, group: &GroupId, request: Request) -> Result<Reply, ErrorCode> {
        self.ask_raw(group, request).await.map_err(for_clients)
    }

    async fn ask_raw(&self, group: &GroupId, request: Request) -> Result<Reply, ErrorCode> {
        self.runtime.ask(self.partition_for(group), request).await
    }
}

/// What the machines of groups are made of and see.
struct Shards {
    config: Arc<config::Live>,
    metadata: Arc<Store>,
    persister: Arc<Persister>,
}

impl Shards {
    fn settings(&self) -> Arc<Settings> {
        Arc::clone(self.config.load().settings())
    }
}

impl Host for Shards {
    type Machine = Groups;
    const TOPIC: &'static str = TopicName::CONSUMER_OFFSETS;

    fn machine(&self) -> Groups {
        Groups::default()
    }

    fn env(&self, now: TimestampMs, topic: &TopicConfig) -> Env {
        Env {
            now,
            image: self.metadata.image(),
            settings: self.settings(),
            batch_bytes_max: usize::try_from(topic.max_message_bytes).unwrap_or_default(),
            fresh: rand::uuid(),
        }
    }

    fn limits(&self) -> Limits {
        let settings = self.settings();
        Limits {
            commit_timeout: settings.groups.offset_commit_timeout,
            load_bytes: settings.groups.offsets_load_bytes,
            // As a producer's batch: nothing larger can have come in.
            opened_bytes_max: settings.network.request_bytes_max,
            compression: Compression::of(settings.groups.offsets_compression),
        }
    }

    fn run(runtime: &Arc<Runtime<Shards>>, shard: PartitionId, task: Task) {
        share::run(runtime, shard, task);
    }
}

/// The error of an answer that is not one of the request's kind: the runtime's, or, for a machine that mixes answers up,
/// a fault of ours.
fn fault(api: &'static str, answer: Result<Reply, ErrorCode>) -> ErrorCode {
    match answer {
        Err(error) => error,
        Ok(reply) => {
            tracing::error!(api, ?reply, "an answer to another request");
            ErrorCode::UNKNOWN_SERVER_ERROR
        }
    }
}

/// `throwIfConsumerGroupHeartbeatRequestIsInvalid`: its checks, its order, its words.
pub(super) fn check_consumer_heartbeat(heartbeat: &ConsumerHeartbeat, assignors: &[String]) -> Result<(), Refusal> {
    let invalid = |text: &str| Err(Refusal::new(ErrorCode::INVALID_REQUEST, text));
    let epoch = heartbeat.epoch;
    let must_have_an_id =
        heartbeat.version >= CLIENT_MAKES_MEMBER_ID || epoch > GroupEpoch::JOIN || epoch == GroupEpoch::LEAVE;
    if must_have_an_id && is_blank(heartbeat.member.as_str()) {
        return invalid("MemberId can't be empty.");
    }
    if is_blank(heartbeat.group.as_str()) {
        return invalid("GroupId can't be empty.");
    }
    if heartbeat.instance.as_ref().is_some_and(|instance| is_blank(instance.as_str())) {
        return invalid("InstanceId can't be empty.");
    }
    if heartbeat.rack.as_deref().is_some_and(is_blank) {
        return invalid("RackId can't be empty.");
    }
    if epoch == GroupEpoch::JOIN {
        if heartbeat.rebalance_timeout_ms == -1 {
            return invalid("RebalanceTimeoutMs must be provided in first request.");
        }
        if heartbeat.owned.as_ref().is_none_or(|owned| !owned.is_empty()) {
            return invalid("TopicPartitions must be empty when (re-)joining.");
        }
        if heartbeat.topics.is_none() && heartbeat.regex.is_none() {
            return invalid("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.");
        }
    } else if epoch == GroupEpoch::LEAVE_STATIC {
        if heartbeat.instance.is_none() {
            return invalid("InstanceId can't be null.");
        }
    } else if epoch < GroupEpoch::LEAVE_STATIC {
        return invalid("MemberEpoch is invalid.");
    }
    match &heartbeat.assignor {
        Some(assignor) if !assignors.contains(assignor) => {
            // A set in Kafka, whose order is that of the hashes.
            let mut names: Vec<&str> = assignors.iter().map(String::as_str).collect();
            names.sort_unstable_by(|a, b| b.cmp(a));
            let text =
                format!("ServerAssignor {assignor} is not supported. Supported assignors: {}.", names.join(", "));
            Err(Refusal::new(ErrorCode::UNSUPPORTED_ASSIGNOR, text))
        }
        _ => Ok(()),
    }
}

/// Nothing but what Java's `trim` takes away.
fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c <= ' ')
}

#[cfg(test)]
mod tests;
