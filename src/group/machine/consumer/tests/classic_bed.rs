//! What members of the classic protocol send to the group `g`.

use super::bed::*;
use crate::group::machine::Group;
use crate::group::machine::classic::ClassicGroup;
use crate::group::protocol::{self, Subscription};
use crate::group::record::{ClassicValue, MemberValue};
use crate::group::request::{
    Assignment, Heartbeat, Join, Joined, Leave, Leaver, Left, Protocol, Reply, Request, Sync, Synced,
};
use crate::model::{ErrorCode, Generation, InstanceId, PartitionId, TopicName};
use bytes::Bytes;

pub(super) const SESSION_MS: i32 = 10_000;

pub(super) fn subscription(topics: &[&str], owned: &[(&str, &[i32])]) -> Bytes {
    let named = |(topic, of): &(&str, &[i32])| (TopicName::new(topic), of.iter().copied().map(PartitionId).collect());
    Subscription {
        topics: topics.iter().map(|topic| TopicName::new(topic)).collect(),
        user_data: None,
        owned: owned.iter().map(named).collect(),
        generation: -1,
        rack: None,
    }
    .encode(1)
    .unwrap()
}

pub(super) fn join(member: &str, topics: &[&str], owned: &[(&str, &[i32])]) -> Join {
    Join {
        version: 7,
        client: client(),
        group: g(),
        session_timeout_ms: SESSION_MS,
        rebalance_timeout_ms: REBALANCE_MS,
        member: m(member),
        instance: None,
        protocol_type: "consumer".into(),
        protocols: vec![Protocol { name: "range".into(), metadata: subscription(topics, owned) }],
        reason: None,
    }
}

/// What is known of a classic member that joined with [`join`].
pub(super) fn about_classic(topics: &[&str], owned: &[(&str, &[i32])]) -> MemberValue {
    let protocols = vec![("range".to_owned(), subscription(topics, owned))];
    MemberValue { classic: Some(ClassicValue { session_timeout_ms: SESSION_MS, protocols }), ..about(topics) }
}

impl Bed {
    pub(super) fn classic_join(&mut self, join: Join) -> Joined {
        match self.h.run(Request::Join(join)) {
            Reply::Join(joined) => joined,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn sync_as(&mut self, member: &str, generation: i32, put: impl FnOnce(&mut Sync)) -> Synced {
        let mut sync = Sync {
            version: 5,
            group: g(),
            generation: Generation(generation),
            member: m(member),
            instance: None,
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignments: Vec::new(),
        };
        put(&mut sync);
        match self.h.run(Request::Sync(sync)) {
            Reply::Sync(synced) => synced,
            other => panic!("{other:?}"),
        }
    }

    /// What a classic member is told to have.
    pub(super) fn synced(&mut self, member: &str, generation: i32) -> Assignment {
        let synced = self.sync_as(member, generation, |_| {});
        assert_eq!(synced.error, ErrorCode::NONE);
        let assignment = protocol::Assignment::parse(&synced.assignment).unwrap();
        let id = |name: &TopicName| self.h.env.image.topic(name.as_str()).unwrap().id;
        assignment.partitions.into_iter().map(|(name, of)| (id(&name), of)).collect()
    }

    pub(super) fn classic_beat(&mut self, member: &str, generation: i32) -> ErrorCode {
        let beat = Heartbeat { group: g(), generation: Generation(generation), member: m(member), instance: None };
        match self.h.run(Request::Heartbeat(beat)) {
            Reply::Heartbeat(error) => error,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn classic_leave(&mut self, members: &[(&str, Option<&str>)]) -> Left {
        let leaver = |(member, instance): &(&str, Option<&str>)| Leaver {
            member: m(member),
            instance: instance.map(InstanceId::new),
            reason: None,
        };
        let leave = Leave { version: 5, group: g(), members: members.iter().map(leaver).collect() };
        match self.h.run(Request::Leave(leave)) {
            Reply::Leave(left) => left,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn classic(&self) -> &ClassicGroup {
        match self.h.groups.groups.get(&g()) {
            Some(Group::Classic(group)) => group,
            other => panic!("{other:?}"),
        }
    }
}
