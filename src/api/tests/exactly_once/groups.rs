//! The consumers' side: who of the producers consumes for a group, and what the group is told of its offset.
//!
//! A group has one member at a time, which keeps the others out: whoever takes it over has the member before removed, joins,
//! and asks where to go on, which it is told once nothing of the member before is undecided.

use super::client::{Line, text, topic_name};
use super::history::Fetched;
use super::{GROUP_NAMES, INPUT, code};
use crate::rt::clock;
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, GroupId, OffsetFetchRequest};

const ATTEMPTS: usize = 60;

#[derive(Clone, Debug)]
pub(super) struct Membership {
    pub(super) member: String,
    pub(super) epoch: i32,
    /// What is committed.
    pub(super) base: i64,
}

/// Who was told to be a member of a group, over all lives of the broker.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    pub(super) all: Vec<String>,
    pub(super) taken: usize,
}

fn heartbeat(group: usize, member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    let request = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(GroupId(text(GROUP_NAMES[group])))
        .with_member_id(text(member))
        .with_member_epoch(epoch);
    if epoch < 0 {
        return request.with_rebalance_timeout_ms(-1);
    }
    request
        .with_rebalance_timeout_ms(60_000)
        .with_subscribed_topic_names(Some(vec![topic_name(INPUT)]))
        .with_topic_partitions(Some(Vec::new()))
}

/// Takes a group over. `None`: somebody else has, or it takes too long.
pub(super) async fn join(line: &Line<'_>, who: &str, group: usize) -> Option<Membership> {
    let (others, member, turn) = {
        let mut members = line.members.borrow_mut();
        let members = &mut members[group];
        let others = members.all.clone();
        members.taken += 1;
        let member = format!("{who}-{}", members.taken);
        members.all.push(member.clone());
        (others, member, members.taken)
    };
    line.history.borrow_mut().note(who, format_args!("takes {} from {others:?}", GROUP_NAMES[group]));
    for other in others {
        asked(line, who, group, &other, -1, &[code::UNKNOWN_MEMBER_ID, code::GROUP_ID_NOT_FOUND]).await?;
        line.members.borrow_mut()[group].all.retain(|member| *member != other);
    }
    let epoch = asked(line, who, group, &member, 0, &[]).await?;
    if line.members.borrow()[group].taken != turn {
        return None;
    }
    for _ in 0..ATTEMPTS {
        if let Some(Some(base)) = fetch(line, who, group, true).await {
            return Some(Membership { member, epoch, base: base.max(0) });
        }
        line.pause(40).await;
    }
    None
}

/// The member's epoch.
async fn asked(line: &Line<'_>, who: &str, group: usize, member: &str, epoch: i32, fine: &[i16]) -> Option<i32> {
    for _ in 0..ATTEMPTS {
        let answer = line.call(1, &heartbeat(group, member, epoch)).await;
        let told = answer.map(|answer| (answer.error_code, answer.member_epoch));
        line.history.borrow_mut().note(who, format_args!("heartbeat of {member} with {epoch}: {told:?}"));
        match told {
            Some((code::NONE, epoch)) => return Some(epoch),
            Some((error, _)) if fine.contains(&error) => return Some(-1),
            Some((code::COORDINATOR_LOAD_IN_PROGRESS | code::COORDINATOR_NOT_AVAILABLE | code::NOT_COORDINATOR, _))
            | None => {}
            Some((error, _)) => {
                line.history.borrow_mut().fault(who, format_args!("ConsumerGroupHeartbeat: {error}"));
                return None;
            }
        }
        line.pause(30).await;
    }
    None
}

/// The group's offset. `None`: no answer; `Some(None)`: it is not stable.
pub(super) async fn fetch(line: &Line<'_>, who: &str, group: usize, stable: bool) -> Option<Option<i64>> {
    let topic = OffsetFetchRequestTopics::default().with_name(topic_name(INPUT)).with_partition_indexes(vec![0]);
    let asked = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(text(GROUP_NAMES[group])))
        .with_member_epoch(-1)
        .with_topics(Some(vec![topic]));
    let request = OffsetFetchRequest::default().with_groups(vec![asked]).with_require_stable(stable);
    let began = line.history.borrow_mut().tick();
    let mut answer = line.call(8 + line.below(2) as i16, &request).await?;
    let mut answer = answer.groups.remove(0);
    let mut history = line.history.borrow_mut();
    if answer.error_code != code::NONE {
        let error = answer.error_code;
        if ![code::COORDINATOR_LOAD_IN_PROGRESS, code::COORDINATOR_NOT_AVAILABLE, code::NOT_COORDINATOR]
            .contains(&error)
        {
            history.fault(who, format_args!("OffsetFetch: {error}"));
        }
        return None;
    }
    let told = answer.topics.remove(0).partitions.remove(0);
    let offset = match told.error_code {
        // Nothing was ever committed.
        code::NONE => Some(told.committed_offset.max(0)),
        code::UNSTABLE_OFFSET_COMMIT if stable => None,
        error => {
            history.fault(who, format_args!("OffsetFetch of a partition: {error}"));
            return None;
        }
    };
    history.note(who, format_args!("{} is at {offset:?}, stable: {stable}", GROUP_NAMES[group]));
    let ended = history.tick();
    let ended_ms = clock::now_ms().0;
    history.fetched.push(Fetched { group, stable, offset, began, ended, ended_ms });
    Some(offset)
}

/// Looks again and again.
pub(super) async fn watch(line: &Line<'_>) {
    loop {
        // What comes of it is noted.
        let _ = fetch(line, "watch", line.below(super::GROUPS), line.percent(70)).await;
        line.pause(15).await;
    }
}
