//! Exact inputs to exact answers, records and deadlines.
#![allow(clippy::unwrap_used)]

mod any_order;
mod expiry;
mod forming;
mod leaving;
mod offsets;
mod records;
mod size;
mod states;
mod static_members;
mod syncing;

use super::state::take_seen;
use super::*;
use crate::config::Settings;
use crate::group::machine::testing::{self, Harness};
use crate::group::protocol::Subscription;
use crate::group::record::{ClassicGroupValue, Record};
use crate::group::request::{Client, Leaver, Protocol, Request, Synced};
use crate::model::{Generation, InstanceId, TimestampMs};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

const START: i64 = testing::START.0;
/// `group.initial.rebalance.delay.ms`
const DELAY: i64 = 3_000;
const SESSION: i32 = 10_000;
const REBALANCE: i32 = 60_000;

/// A shard with the group `g`.
struct Shard {
    harness: Harness,
    answers: BTreeMap<Ticket, Reply>,
}

impl Shard {
    fn new() -> Shard {
        Shard::of(Harness::new())
    }

    fn of(mut harness: Harness) -> Shard {
        harness.env.fresh = Uuid::nil();
        Shard { harness, answers: BTreeMap::new() }
    }

    fn settings(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.harness.env.settings)
    }

    fn now(&self) -> i64 {
        self.harness.env.now.0
    }

    /// How many steps there were: the last one's id.
    fn ids(&self) -> u128 {
        self.harness.env.fresh.as_u128()
    }

    fn ask(&mut self, request: Request) -> Ticket {
        self.harness.send(request)
    }

    fn answer(&mut self, ticket: Ticket) -> Option<&Reply> {
        if let Some(reply) = self.harness.reply(ticket) {
            self.answers.insert(ticket, reply);
        }
        self.answers.get(&ticket)
    }

    fn take_answer(&mut self, ticket: Ticket) -> Option<Reply> {
        self.answer(ticket)?;
        self.answers.remove(&ticket)
    }

    /// Lets time pass; deadlines come when they are.
    fn pass(&mut self, ms: i64) {
        self.harness.pass(ms);
    }

    /// No deadline but the shard's own.
    fn waits_for_nothing(&self) -> bool {
        let timers = &self.harness.groups.timers;
        timers.len() == usize::from(timers.deadline(&Timer::Expiry).is_some())
    }

    fn join(&mut self, join: Join) -> Ticket {
        self.ask(Request::Join(join))
    }

    fn sync(&mut self, sync: Sync) -> Ticket {
        self.ask(Request::Sync(sync))
    }

    fn beat(&mut self, member: &str, generation: i32) -> ErrorCode {
        self.beat_as(member, None, generation)
    }

    fn beat_as(&mut self, member: &str, instance: Option<&str>, generation: i32) -> ErrorCode {
        let beat = Heartbeat {
            group: "g".into(),
            generation: Generation(generation),
            member: member.into(),
            instance: instance.map(InstanceId::from),
        };
        let ticket = self.ask(Request::Heartbeat(beat));
        match self.take_answer(ticket) {
            Some(Reply::Heartbeat(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    fn leave(&mut self, leavers: &[(&str, Option<&str>)]) -> Left {
        let members = leavers.iter().map(|(member, instance)| Leaver {
            member: (*member).into(),
            instance: instance.map(InstanceId::from),
            reason: None,
        });
        let leave = Leave { version: 5, group: "g".into(), members: members.collect() };
        let ticket = self.ask(Request::Leave(leave));
        match self.take_answer(ticket) {
            Some(Reply::Leave(left)) => left,
            other => panic!("{other:?}"),
        }
    }

    /// The error of the only one that leaves.
    fn leave_one(&mut self, member: &str, instance: Option<&str>) -> ErrorCode {
        let left = self.leave(&[(member, instance)]);
        assert_eq!(left.error, ErrorCode::NONE);
        left.members.first().unwrap().2
    }

    fn joined(&mut self, ticket: Ticket) -> Joined {
        match self.take_answer(ticket) {
            Some(Reply::Join(joined)) => joined,
            other => panic!("{other:?}"),
        }
    }

    fn synced(&mut self, ticket: Ticket) -> Synced {
        match self.take_answer(ticket) {
            Some(Reply::Sync(synced)) => synced,
            other => panic!("{other:?}"),
        }
    }

    /// The error of a join or sync; `None`: it waits.
    fn error(&mut self, ticket: Ticket) -> Option<ErrorCode> {
        match self.answer(ticket)? {
            Reply::Join(joined) => Some(joined.error),
            Reply::Sync(synced) => Some(synced.error),
            other => panic!("{other:?}"),
        }
    }

    fn waits(&mut self, ticket: Ticket) -> bool {
        self.answer(ticket).is_none()
    }

    fn group(&self) -> &ClassicGroup {
        match self.harness.groups.groups.get("g") {
            Some(Group::Classic(group)) => group,
            _ => panic!("no classic group"),
        }
    }

    fn group_mut(&mut self) -> &mut ClassicGroup {
        match self.harness.groups.groups.get_mut("g") {
            Some(Group::Classic(group)) => group,
            _ => panic!("no classic group"),
        }
    }

    /// What was written since the last call, which must be records of the group.
    fn written(&mut self) -> Vec<ClassicGroupValue> {
        let value = |record: Record| match record {
            Record::ClassicGroup { group, value: Some(value) } if group.as_str() == "g" => value,
            other => panic!("{other:?}"),
        };
        self.harness.written().into_iter().map(value).collect()
    }

    fn session(&self, member: &str) -> Option<i64> {
        let timer = Timer::ClassicSession("g".into(), member.into());
        Some(self.harness.groups.timers.deadline(&timer)?.0 - self.now())
    }

    fn join_deadline(&self) -> Option<i64> {
        Some(self.harness.groups.timers.deadline(&Timer::Join("g".into()))?.0 - self.now())
    }

    fn sync_deadline(&self) -> Option<i64> {
        Some(self.harness.groups.timers.deadline(&Timer::Sync("g".into()))?.0 - self.now())
    }
}

/// A dynamic member of a client that needs no id to join.
fn newcomer(client: &str) -> Join {
    Join {
        version: 3,
        client: Client { id: client.into(), host: "/127.0.0.1".into() },
        group: "g".into(),
        session_timeout_ms: SESSION,
        rebalance_timeout_ms: REBALANCE,
        member: "".into(),
        instance: None,
        protocol_type: "consumer".into(),
        protocols: protocols(&["range", "roundrobin"]),
        reason: None,
    }
}

fn again(member: &str) -> Join {
    Join { member: member.into(), ..newcomer("client") }
}

fn fixed(instance: &str, member: &str) -> Join {
    Join { version: 9, instance: Some(instance.into()), ..again(member) }
}

fn protocols(names: &[&str]) -> Vec<Protocol> {
    names.iter().map(|name| Protocol { name: (*name).into(), metadata: subscription(&["t"]) }).collect()
}

fn subscription(topics: &[&str]) -> Bytes {
    let topics = topics.iter().map(|topic| (*topic).into()).collect();
    let all = Subscription { topics, user_data: None, owned: Vec::new(), generation: -1, rack: None };
    all.encode(1).unwrap()
}

fn syncs(member: &str, generation: i32) -> Sync {
    Sync {
        version: 5,
        group: "g".into(),
        generation: Generation(generation),
        member: member.into(),
        instance: None,
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        assignments: Vec::new(),
    }
}

fn assigns(member: &str, generation: i32, assignments: &[(&str, &'static [u8])]) -> Sync {
    let assignments = assignments.iter().map(|(member, bytes)| ((*member).into(), Bytes::from_static(bytes)));
    Sync { assignments: assignments.collect(), ..syncs(member, generation) }
}

/// The id that the `n`th request's member was given.
fn id(client: &str, n: u128) -> String {
    format!("{client}-{}", Uuid::from_u128(n))
}

/// A group in generation 1: a leader, a follower, a static member `i`, and one that was given an id only.
struct Formed {
    shard: Shard,
    leader: String,
    follower: String,
    fixed: String,
    pending: String,
}

fn formed(state: ClassicState) -> Formed {
    let mut shard = Shard::new();
    let tickets = [shard.join(newcomer("leader")), shard.join(newcomer("follower")), shard.join(fixed("i", ""))];
    shard.pass(2 * DELAY);
    let [leader, follower, fixed] = tickets.map(|ticket| shard.joined(ticket).member.as_str().to_owned());
    let pending = shard.join(Join { version: 4, ..newcomer("pending") });
    let pending = shard.joined(pending).member.as_str().to_owned();
    let mut formed = Formed { shard, leader, follower, fixed, pending };
    match state {
        ClassicState::CompletingRebalance => {}
        ClassicState::Stable => formed.stabilize(),
        ClassicState::PreparingRebalance => {
            formed.stabilize();
            formed.shard.join(again(&formed.leader));
        }
        ClassicState::Empty => {
            let (leader, follower, fixed) = (&formed.leader, &formed.follower, &formed.fixed);
            formed.shard.leave(&[(leader, None), (follower, None), (fixed, None)]);
            formed.shard.pass(0);
        }
        ClassicState::Dead => formed.shard.group_mut().enter(ClassicState::Dead, TimestampMs(START)),
    }
    assert_eq!(formed.shard.group().state, state);
    formed.shard.written();
    formed
}

impl Formed {
    fn stabilize(&mut self) {
        let generation = self.shard.group().generation.0;
        let all = [(&*self.leader, b"L" as &[u8]), (&*self.follower, b"F"), (&*self.fixed, b"S")];
        let followers =
            [self.shard.sync(syncs(&self.follower, generation)), self.shard.sync(syncs(&self.fixed, generation))];
        let leader = self.shard.sync(assigns(&self.leader, generation, &all));
        for ticket in [leader].into_iter().chain(followers) {
            assert_eq!(self.shard.synced(ticket).error, ErrorCode::NONE);
        }
    }

    /// As if nobody had been given an id.
    fn forget_pending(&mut self) {
        let timer = Timer::ClassicSession("g".into(), (&*self.pending).into());
        self.shard.harness.groups.timers.disarm(&timer);
        self.shard.group_mut().pending.clear();
    }
}
