//! A share group `g`, its members, and short words for what they send.

#![allow(clippy::unwrap_used)]

mod kinds;
mod members;
mod random;
mod states;

use super::{ShareGroup, Task};
use crate::config::Settings;
use crate::group::coordinator::check_share_heartbeat;
use crate::group::machine::Group;
use crate::group::machine::testing::Harness;
use crate::group::record::{MemberState, Record, ShareCurrentValue, ShareRecord, ShareStatesValue, SharedTopic};
use crate::group::request::{
    Assignment, Client, ConsumerHeartbeaten, Refusal, Reply, Request, ShareHeartbeat, ShareReply, ShareRequest,
};
use crate::model::{ErrorCode, GroupEpoch, GroupId, MemberId, PartitionId, TopicId, TopicName};
use crate::share::persister::{SharedPartition, StateEpoch};
use std::collections::BTreeMap;
use std::time::Duration;

const SESSION_MS: i64 = 45_000;
const RETRY_MS: i64 = 30_000;

struct Bed {
    h: Harness,
}

type Beaten = Result<ConsumerHeartbeaten, Refusal>;

fn g() -> GroupId {
    GroupId::new("g")
}

fn m(id: &str) -> MemberId {
    MemberId::new(id)
}

fn of(topic: TopicId, partitions: &[i32]) -> Assignment {
    Assignment::from([(topic, partitions.iter().copied().map(PartitionId).collect())])
}

fn shared(topic: TopicId, partitions: &[i32]) -> Vec<SharedPartition> {
    partitions.iter().map(|partition| SharedPartition { topic, partition: PartitionId(*partition) }).collect()
}

/// Which partitions of one topic are being initialised, and which are.
fn states(topic: TopicId, name: &str, initializing: &[i32], initialized: &[i32]) -> ShareStatesValue {
    let of = |partitions: &[i32]| {
        let partitions = partitions.iter().copied().map(PartitionId).collect();
        BTreeMap::from([(topic, SharedTopic { name: TopicName::new(name), partitions })])
    };
    let some = |partitions: &[i32]| if partitions.is_empty() { BTreeMap::new() } else { of(partitions) };
    ShareStatesValue { initializing: some(initializing), initialized: some(initialized), deleting: BTreeMap::new() }
}

fn refused(code: ErrorCode, message: &str) -> Beaten {
    Err(Refusal::new(code, message))
}

fn record(of: ShareRecord) -> Record {
    Record::Share { group: g(), of }
}

fn current(member: &str, epoch: i32, previous: i32, assigned: Assignment) -> Record {
    let (epoch, previous_epoch) = (GroupEpoch(epoch), GroupEpoch(previous));
    let value = Some(ShareCurrentValue { epoch, previous_epoch, state: MemberState::Stable, assigned });
    record(ShareRecord::Current { member: m(member), value })
}

impl Bed {
    /// Assigns whenever somebody asks.
    fn new() -> Bed {
        Bed::with(|_| {})
    }

    fn with(set: impl FnOnce(&mut Settings)) -> Bed {
        let h = Harness::with(|settings| {
            settings.groups.share.assignment_interval.default = Duration::ZERO;
            set(settings);
        });
        Bed { h }
    }

    /// As every request it passes the coordinator's check first.
    fn beat(&mut self, member: &str, epoch: i32, topics: Option<&[&str]>) -> Beaten {
        let beat = ShareHeartbeat {
            client: Client { id: "client".into(), host: "/127.0.0.1".into() },
            group: g(),
            member: m(member),
            epoch: GroupEpoch(epoch),
            rack: None,
            topics: topics.map(|topics| topics.iter().map(|topic| TopicName::new(topic)).collect()),
        };
        check_share_heartbeat(&beat)?;
        match self.share(ShareRequest::Heartbeat(beat)) {
            ShareReply::Heartbeat(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    fn join(&mut self, member: &str, topics: &[&str]) -> ConsumerHeartbeaten {
        self.beat(member, 0, Some(topics)).unwrap()
    }

    fn stay(&mut self, member: &str, epoch: i32) -> ConsumerHeartbeaten {
        self.beat(member, epoch, None).unwrap()
    }

    fn share(&mut self, request: ShareRequest) -> ShareReply {
        match self.h.run(Request::Share(request)) {
            Reply::Share(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    /// The share coordinators did what they were asked, or did not. What that was.
    fn settle(&mut self, done: bool) -> Vec<SharedPartition> {
        let mut all = Vec::new();
        for Task::Initialize { group, partitions, .. } in self.h.tasks() {
            all.extend(partitions.clone());
            match self.share(ShareRequest::Settled { group, partitions, done }) {
                ShareReply::Noted(noted) => assert_eq!(noted, Ok(())),
                other => panic!("{other:?}"),
            }
        }
        all
    }

    fn group(&self) -> &ShareGroup {
        match self.h.groups.groups.get(&g()) {
            Some(Group::Share(group)) => group,
            other => panic!("{other:?}"),
        }
    }

    fn epoch(&self) -> i32 {
        self.group().epoch.0
    }

    fn initialize(epoch: i32, partitions: Vec<SharedPartition>) -> Task {
        Task::Initialize { group: g(), epoch: StateEpoch(epoch), partitions }
    }

    fn delete_group(&mut self, state_is_deleted: bool) -> Reply {
        self.h.run(Request::DeleteGroup { group: g(), state_is_deleted })
    }

    /// A replay gives the same group, from the whole log and from one that was compacted.
    fn check_replay(&self) {
        for replayed in [self.h.replayed(), self.h.replayed_compacted()] {
            let shown = |h: &Harness| match h.groups.groups.get(&g()) {
                Some(Group::Share(group)) => Some(group.clone()),
                _ => None,
            };
            assert_eq!(shown(&replayed), shown(&self.h));
        }
    }
}
