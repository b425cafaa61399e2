//! What a client may ask of share groups, and what share coordinators are asked for it (`GroupCoordinatorService`).

use super::{GroupCoordinator, Shards, fault, is_blank};
use crate::coordinator::Runtime;
use crate::group::machine::share::Task;
use crate::group::request::{
    AlterShareOffsets, AlteredTopic, AlteringShareOffsets, ConsumerHeartbeaten, DeletedTopic, DescribedShare, Refusal,
    Reply, Request, ShareHeartbeat, ShareOffset, ShareOffsets, ShareReply, ShareRequest,
};
use crate::model::{
    ErrorCode, GroupEpoch, GroupId, Offset, PartitionId, Refused, ShareSummary, SharedPartition, TopicId, TopicName,
    TopicPartition,
};
use std::collections::BTreeMap;
use std::sync::Arc;

impl GroupCoordinator {
    /// ShareGroupHeartbeat.
    ///
    /// # Errors
    /// The error and its message.
    pub async fn share_heartbeat(&self, heartbeat: ShareHeartbeat) -> Result<ConsumerHeartbeaten, Refusal> {
        check_share_heartbeat(&heartbeat)?;
        match self.ask_share(&heartbeat.group.clone(), ShareRequest::Heartbeat(heartbeat)).await {
            Ok(ShareReply::Heartbeat(beaten)) => beaten,
            other => Err(share_fault("ShareGroupHeartbeat", other).into()),
        }
    }

    /// ShareGroupDescribe: one answer for each, in order.
    pub async fn describe_share(&self, groups: Vec<GroupId>) -> Vec<Result<DescribedShare, Refusal>> {
        let mut answers = Vec::with_capacity(groups.len());
        for group in groups {
            if group.is_empty() {
                answers.push(Err(ErrorCode::INVALID_GROUP_ID.into()));
                continue;
            }
            answers.push(match self.ask_share(&group, ShareRequest::Describe(group.clone())).await {
                Ok(ShareReply::Describe(described)) => described,
                other => Err(share_fault("ShareGroupDescribe", other).into()),
            });
        }
        answers
    }

    /// AlterShareGroupOffsets: one answer for each topic, in order.
    ///
    /// # Errors
    /// Nothing was altered, for this reason.
    pub async fn alter_share_offsets(&self, alter: AlterShareOffsets) -> Result<Vec<AlteredTopic>, Refusal> {
        let group = alter.group.clone();
        if group.is_empty() {
            return Err(ErrorCode::INVALID_GROUP_ID.into());
        }
        let AlteringShareOffsets { mut topics, to_initialize } =
            match self.ask_share(&group, ShareRequest::AlterOffsets(alter)).await {
                Ok(ShareReply::AlterOffsets(altering)) => altering?,
                other => return Err(share_fault("AlterShareGroupOffsets", other).into()),
            };
        if to_initialize.is_empty() {
            return Ok(topics);
        }
        let partitions: Vec<SharedPartition> = to_initialize.iter().map(|(at, ..)| *at).collect();
        let answers = self.host().persister.initialize(&group, to_initialize).await;
        let refused: BTreeMap<SharedPartition, Refused> =
            partitions.iter().zip(answers).filter_map(|(at, answer)| Some((*at, answer.err()?))).collect();
        if refused.is_empty() {
            let settled = ShareRequest::Settled { group: group.clone(), partitions, done: true };
            if let Err(error) = self.ask_share(&group, settled).await {
                tracing::error!(%group, ?error, "that partitions are initialised could not be written down");
            }
            return Ok(topics);
        }
        // They are tried again when somebody joins, as in Kafka.
        for topic in &mut topics {
            for (partition, outcome) in topic.partitions.iter_mut().filter(|(_, outcome)| outcome.is_ok()) {
                if let Some(Refused { code, message }) =
                    refused.get(&SharedPartition { topic: topic.id, partition: *partition })
                {
                    *outcome = Err(Refusal { code: *code, message: message.clone() });
                }
            }
        }
        Ok(topics)
    }

    /// DeleteShareGroupOffsets: one answer for each topic.
    ///
    /// # Errors
    /// Nothing was deleted, for this reason.
    pub async fn delete_share_offsets(
        &self,
        group: &GroupId,
        topics: Vec<TopicName>,
    ) -> Result<Vec<DeletedTopic>, Refusal> {
        if group.is_empty() {
            return Err(ErrorCode::INVALID_GROUP_ID.into());
        }
        let request = ShareRequest::DeleteOffsets { group: group.clone(), topics };
        let deleting = match self.ask_share(group, request).await {
            Ok(ShareReply::DeleteOffsets(deleting)) => deleting?,
            other => return Err(share_fault("DeleteShareGroupOffsets", other).into()),
        };
        let of = |(_, topic, partitions): &(TopicName, TopicId, Vec<PartitionId>)| {
            let topic = *topic;
            partitions.iter().map(move |at| SharedPartition { topic, partition: *at }).collect::<Vec<_>>()
        };
        let asked: Vec<SharedPartition> = deleting.topics.iter().flat_map(of).collect();
        let mut errors: BTreeMap<TopicId, ErrorCode> = BTreeMap::new();
        if !asked.is_empty() {
            let answers = self.host().persister.delete(group, asked.clone()).await;
            for (at, refused) in asked.iter().zip(answers).filter_map(|(at, answer)| Some((at, answer.err()?))) {
                tracing::error!(%group, topic = %at.topic, ?refused, "state of a share partition was not deleted");
                errors.entry(at.topic).or_insert(refused.code);
            }
        }
        let done: Vec<TopicId> =
            deleting.topics.iter().map(|(_, id, _)| *id).filter(|id| !errors.contains_key(id)).collect();
        if !done.is_empty() {
            let deleted = ShareRequest::OffsetsDeleted { group: group.clone(), topics: done };
            match self.ask_share(group, deleted).await {
                Ok(ShareReply::Noted(noted)) => noted?,
                other => return Err(share_fault("DeleteShareGroupOffsets", other).into()),
            }
        }
        let answered = deleting.topics.into_iter().map(|(name, id, _)| {
            let outcome = errors.get(&id).map_or(Ok(()), |error| Err(Refusal::from(*error)));
            DeletedTopic { name, id, outcome }
        });
        // Kafka's order: first what went well.
        let (mut all, mut rest): (Vec<_>, Vec<_>) = answered.partition(|topic| topic.outcome.is_ok());
        all.extend(deleting.refused);
        all.append(&mut rest);
        Ok(all)
    }

    /// DescribeShareGroupOffsets of one group: of these partitions, in order, or of all that share coordinators keep state
    /// of. Of a partition that nobody knows of nothing is known, which is no error.
    ///
    /// # Errors
    /// Why nobody knows.
    pub async fn describe_share_offsets(
        &self,
        group: &GroupId,
        topics: Option<Vec<(TopicName, Vec<PartitionId>)>>,
    ) -> Result<Vec<ShareOffsets>, ErrorCode> {
        let mut unknown = Vec::new();
        let mut known: Vec<(TopicName, TopicId, Vec<PartitionId>)> = Vec::new();
        match topics {
            Some(topics) => {
                let image = self.host().metadata.load();
                for (name, partitions) in topics {
                    match image.topic(name.as_str()) {
                        Some(topic) => known.push((name, topic.id, partitions)),
                        None => {
                            let partitions = partitions.into_iter().map(nothing_known).collect();
                            unknown.push(ShareOffsets { name, id: TopicId::ZERO, partitions });
                        }
                    }
                }
            }
            None => {
                let partitions = self.share_partitions(group).await?;
                let image = self.host().metadata.load();
                for at in partitions {
                    let Some(topic) = image.topic_by_id(at.topic) else { continue };
                    match known.last_mut().filter(|(_, id, _)| *id == at.topic) {
                        Some((.., partitions)) => partitions.push(at.partition),
                        None => known.push((topic.name.clone(), topic.id, vec![at.partition])),
                    }
                }
            }
        }
        // What Kafka's persister is not asked (`validateGroupTopicPartitionData`).
        let odd = |partitions: &[PartitionId]| partitions.is_empty() || partitions.iter().any(|at| at.0 < 0);
        if !known.is_empty() && (group.is_empty() || known.iter().any(|(.., partitions)| odd(partitions))) {
            return Err(ErrorCode::UNKNOWN_SERVER_ERROR);
        }
        let each = |(_, topic, partitions): &(TopicName, TopicId, Vec<PartitionId>)| {
            let topic = *topic;
            partitions.iter().map(move |at| SharedPartition { topic, partition: *at }).collect::<Vec<_>>()
        };
        let asked: Vec<SharedPartition> = known.iter().flat_map(each).collect();
        if asked.is_empty() {
            return Ok(unknown);
        }
        let mut summaries = self.host().persister.summary(group, asked).await.into_iter();
        let mut offsets: Vec<ShareOffsets> = Vec::with_capacity(known.len());
        // What is left to be asked: partitions whose end says how far behind the group is.
        let mut behind: BTreeMap<TopicPartition, i64> = BTreeMap::new();
        for (name, id, partitions) in known {
            let described = partitions.into_iter().map(|partition| {
                let Some(Ok(summary)) = summaries.next() else { return nothing_known(partition) };
                let ShareSummary { leader_epoch, start_offset, delivery_complete_count: done, .. } = summary;
                if let Some(start) = start_offset.filter(|_| done != -1) {
                    behind.insert(TopicPartition::new(name.clone(), partition), start.0.saturating_add(done.into()));
                }
                ShareOffset { start: start_offset.unwrap_or(Offset::NONE), leader_epoch, ..nothing_known(partition) }
            });
            let partitions = described.collect();
            offsets.push(ShareOffsets { name: name.clone(), id, partitions });
        }
        let ends = self.ends.of(behind.keys().cloned().collect()).await;
        for topic in &mut offsets {
            for of in &mut topic.partitions {
                let at = TopicPartition::new(topic.name.clone(), of.partition);
                let Some(done) = behind.get(&at) else { continue };
                match ends.get(&at).copied().unwrap_or(Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)) {
                    Ok(end) => of.lag = end.0.saturating_sub(*done),
                    Err(error) => {
                        let refused = Some(error.into());
                        *of = ShareOffset { start: Offset(0), refused, ..nothing_known(of.partition) };
                    }
                }
            }
        }
        offsets.extend(unknown);
        Ok(offsets)
    }

    async fn share_partitions(&self, group: &GroupId) -> Result<Vec<SharedPartition>, ErrorCode> {
        match self.ask_share(group, ShareRequest::Partitions(group.clone())).await {
            Ok(ShareReply::Partitions(partitions)) => Ok(partitions),
            other => Err(share_fault("DescribeShareGroupOffsets", other)),
        }
    }

    /// What share coordinators keep of a group that is to be deleted is deleted.
    pub(super) async fn delete_share_state(
        &self,
        group: &GroupId,
        state: Vec<SharedPartition>,
    ) -> Result<(), ErrorCode> {
        let answers = self.host().persister.delete(group, state).await;
        match answers.into_iter().find_map(Result::err) {
            None => Ok(()),
            Some(refused) => {
                tracing::error!(%group, ?refused, "state of a share group was not deleted, so the group stays");
                Err(refused.code)
            }
        }
    }

    async fn ask_share(&self, group: &GroupId, request: ShareRequest) -> Result<ShareReply, Result<Reply, ErrorCode>> {
        match self.ask(group, Request::Share(request)).await {
            Ok(Reply::Share(reply)) => Ok(reply),
            other => Err(other),
        }
    }
}

/// Nothing was delivered yet, as far as anybody knows.
fn nothing_known(partition: PartitionId) -> ShareOffset {
    ShareOffset { partition, start: Offset::NONE, leader_epoch: 0, lag: -1, refused: None }
}

/// As [`fault`], of an answer to [`GroupCoordinator::ask_share`].
fn share_fault(api: &'static str, answer: Result<ShareReply, Result<Reply, ErrorCode>>) -> ErrorCode {
    fault(api, answer.map_or_else(|other| other, |reply| Ok(Reply::Share(reply))))
}

/// Does what the machine of a shard cannot do itself.
pub(super) fn run(runtime: &Arc<Runtime<Shards>>, shard: PartitionId, task: Task) {
    let Task::Initialize { group, epoch, partitions } = task;
    let asking = Arc::clone(runtime);
    runtime.spawn(async move {
        let asked = partitions.iter().map(|at| (*at, epoch, None)).collect();
        let answers = asking.host().persister.initialize(&group, asked).await;
        let refused = answers.into_iter().find_map(Result::err);
        if let Some(refused) = &refused {
            tracing::error!(%group, ?refused, "partitions of a share group were not initialised; it is tried again");
        }
        let settled = ShareRequest::Settled { group: group.clone(), partitions, done: refused.is_none() };
        if let Err(error) = asking.ask(shard, Request::Share(settled)).await {
            tracing::info!(%group, ?error, "what became of partitions of a share group was not written down");
        }
    });
}

/// `throwIfShareGroupHeartbeatRequestIsInvalid`: its checks, its order, its words.
pub(in crate::group) fn check_share_heartbeat(heartbeat: &ShareHeartbeat) -> Result<(), Refusal> {
    let invalid = |text: &str| Err(Refusal::new(ErrorCode::INVALID_REQUEST, text));
    if is_blank(heartbeat.member.as_str()) {
        return invalid("MemberId can't be empty.");
    }
    if is_blank(heartbeat.group.as_str()) {
        return invalid("GroupId can't be empty.");
    }
    if heartbeat.rack.as_deref().is_some_and(is_blank) {
        return invalid("RackId can't be empty.");
    }
    if heartbeat.epoch == GroupEpoch::JOIN {
        if heartbeat.topics.as_ref().is_none_or(Vec::is_empty) {
            return invalid("SubscribedTopicNames must be set in first request.");
        }
    } else if heartbeat.epoch < GroupEpoch::LEAVE {
        return invalid("MemberEpoch is invalid.");
    }
    Ok(())
}
