//! A group `g`, its members, and short words for what they send.

use crate::config::Settings;
use crate::group::coordinator::check_consumer_heartbeat;
use crate::group::machine::Group;
use crate::group::machine::consumer::ConsumerGroup;
use crate::group::machine::testing::Harness;
use crate::group::record::{CurrentValue, GroupValue, MemberState, MemberValue, Record, TargetValue, WithEpochs};
use crate::group::request::{
    Assignment, Client, ConsumerHeartbeat, ConsumerHeartbeaten, DescribedConsumer, Refusal, Reply, Request,
};
use crate::model::{
    ErrorCode, GroupEpoch, GroupId, InstanceId, MemberId, Offset, PartitionId, TimestampMs, TopicId, TopicName,
};
use std::time::Duration;

pub(super) const REBALANCE_MS: i32 = 30_000;

pub(super) struct Bed {
    pub(super) h: Harness,
}

pub(super) type Beaten = Result<ConsumerHeartbeaten, Refusal>;

pub(super) fn g() -> GroupId {
    GroupId::new("g")
}

pub(super) fn m(id: &str) -> MemberId {
    MemberId::new(id)
}

pub(super) fn client() -> Client {
    Client { id: "client".into(), host: "/127.0.0.1".into() }
}

/// Partitions of one topic.
pub(super) fn of(topic: TopicId, partitions: &[i32]) -> Assignment {
    Assignment::from([(topic, partitions.iter().copied().map(PartitionId).collect())])
}

pub(super) fn owned(parts: &[(TopicId, &[i32])]) -> Assignment {
    parts.iter().map(|(topic, of)| (*topic, of.iter().copied().map(PartitionId).collect())).collect()
}

/// Partitions with the epochs at which they were assigned.
pub(super) fn at(parts: &[(TopicId, &[(i32, i32)])]) -> WithEpochs {
    let each = |of: &[(i32, i32)]| of.iter().map(|(p, e)| (PartitionId(*p), GroupEpoch(*e))).collect();
    parts.iter().map(|(topic, of)| (*topic, each(of))).collect()
}

pub(super) fn refused(code: ErrorCode, message: &str) -> Beaten {
    Err(Refusal::new(code, message))
}

impl Bed {
    /// Assigns whenever somebody asks.
    pub(super) fn new() -> Bed {
        Bed::with(|_| {})
    }

    pub(super) fn with(set: impl FnOnce(&mut Settings)) -> Bed {
        let mut h = Harness::with(|settings| {
            settings.groups.consumer_assignment_interval = Duration::ZERO;
            set(settings);
        });
        h.topic(TopicName::CONSUMER_OFFSETS, 3);
        Bed { h }
    }

    /// A heartbeat that says nothing, but what is put into it. As every request it passes the coordinator's check first.
    pub(super) fn beat(&mut self, member: &str, epoch: i32, put: impl FnOnce(&mut ConsumerHeartbeat)) -> Beaten {
        let mut beat = ConsumerHeartbeat {
            version: 1,
            client: client(),
            group: g(),
            member: m(member),
            epoch: GroupEpoch(epoch),
            instance: None,
            rack: None,
            rebalance_timeout_ms: -1,
            topics: None,
            regex: None,
            assignor: None,
            owned: None,
        };
        put(&mut beat);
        check_consumer_heartbeat(&beat, &self.h.env.settings.groups.consumer_assignors)?;
        match self.h.run(Request::ConsumerHeartbeat(beat)) {
            Reply::ConsumerHeartbeat(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    /// A dynamic member joins.
    pub(super) fn join(&mut self, member: &str, topics: &[&str]) -> Beaten {
        self.beat(member, 0, joining(topics))
    }

    /// A static member joins.
    pub(super) fn join_static(&mut self, member: &str, instance: &str, topics: &[&str]) -> Beaten {
        self.beat(member, 0, |beat| {
            joining(topics)(beat);
            beat.instance = Some(InstanceId::new(instance));
        })
    }

    /// A member reports what it has.
    pub(super) fn report(&mut self, member: &str, epoch: i32, has: &Assignment) -> Beaten {
        self.beat(member, epoch, |beat| beat.owned = Some(has.clone()))
    }

    pub(super) fn group(&self) -> &ConsumerGroup {
        match self.h.groups.groups.get(&g()) {
            Some(Group::Consumer(group)) => group,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn describe(&mut self) -> Result<DescribedConsumer, Refusal> {
        match self.h.run(Request::DescribeConsumer(g())) {
            Reply::DescribeConsumer(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn state(&self) -> &'static str {
        self.group().state()
    }

    pub(super) fn current(&self, member: &str) -> &CurrentValue {
        &self.group().members.get(&m(member)).unwrap().current
    }

    pub(super) fn has(&self, member: &str) -> bool {
        matches!(self.h.groups.groups.get(&g()), Some(Group::Consumer(group)) if group.members.contains_key(&m(member)))
    }

    /// A replay gives the same groups, from the whole log and from one that was compacted.
    pub(super) fn check_replay(&self) {
        for replayed in [self.h.replayed(), self.h.replayed_compacted()] {
            let shown = |h: &Harness| match h.groups.groups.get(&g()) {
                Some(Group::Consumer(group)) => Some(group.clone()),
                _ => None,
            };
            assert_eq!(shown(&replayed), shown(&self.h));
            assert_eq!(replayed.groups.consumers.by_topic, self.h.groups.consumers.by_topic);
        }
    }

    pub(super) fn now(&self) -> TimestampMs {
        self.h.env.now
    }
}

/// What a first heartbeat has to say.
pub(super) fn joining(topics: &[&str]) -> impl FnOnce(&mut ConsumerHeartbeat) {
    let topics: Vec<TopicName> = topics.iter().map(|topic| TopicName::new(topic)).collect();
    |beat| {
        beat.rebalance_timeout_ms = REBALANCE_MS;
        beat.topics = Some(topics);
        beat.owned = Some(Assignment::new());
    }
}

/// As [`joining`], with a regular expression.
pub(super) fn joining_by(regex: &str) -> impl FnOnce(&mut ConsumerHeartbeat) {
    let regex = regex.to_owned();
    |beat| {
        beat.rebalance_timeout_ms = REBALANCE_MS;
        beat.regex = Some(regex);
        beat.owned = Some(Assignment::new());
    }
}

/// What a member says that joined with [`joining`].
pub(super) fn about(topics: &[&str]) -> MemberValue {
    MemberValue {
        instance: None,
        rack: None,
        client_id: client().id,
        client_host: client().host,
        topics: topics.iter().map(|topic| TopicName::new(topic)).collect(),
        regex: Some(String::new()),
        rebalance_timeout_ms: REBALANCE_MS,
        assignor: None,
        classic: None,
    }
}

pub(super) fn member_record(member: &str, value: MemberValue) -> Record {
    Record::Member { group: g(), member: m(member), value: Some(value) }
}

pub(super) fn epoch_record(epoch: i32, metadata_hash: i64) -> Record {
    Record::Group { group: g(), value: Some(GroupValue { epoch: GroupEpoch(epoch), metadata_hash }) }
}

pub(super) fn target_record(member: &str, target: Assignment) -> Record {
    Record::TargetMember { group: g(), member: m(member), value: Some(target) }
}

pub(super) fn targets_record(epoch: i32, assigned_at: TimestampMs) -> Record {
    Record::Target { group: g(), value: Some(TargetValue { epoch: GroupEpoch(epoch), assigned_at }) }
}

pub(super) fn current_record(member: &str, epoch: i32, previous: i32, assigned: WithEpochs) -> Record {
    let value = CurrentValue {
        epoch: GroupEpoch(epoch),
        previous_epoch: GroupEpoch(previous),
        state: MemberState::Stable,
        assigned,
        pending_revocation: WithEpochs::new(),
    };
    Record::Current { group: g(), member: m(member), value: Some(value) }
}

/// The three records that take a member away.
pub(super) fn gone(member: &str) -> Vec<Record> {
    let (group, member) = (g(), m(member));
    vec![
        Record::Current { group: group.clone(), member: member.clone(), value: None },
        Record::TargetMember { group: group.clone(), member: member.clone(), value: None },
        Record::Member { group, member, value: None },
    ]
}

impl Bed {
    /// The group's hash as it is recorded.
    pub(super) fn hash(&self) -> i64 {
        self.group().metadata_hash
    }

    pub(super) fn image_offset(&self) -> Offset {
        self.h.env.image.offset
    }
}
