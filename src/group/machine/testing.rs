//! A machine and what it has written, for tests: time passes when the test says so, and the log can be replayed.

#![allow(clippy::unwrap_used)]

use super::share::Task;
use super::{Env, Groups, Out};
use crate::config::{BrokerConfig, Settings, Values};
use crate::coordinator::{Input, Machine, Replayed, Ticket, Written};
use crate::group::record::Record;
use crate::group::request::{Reply, Request};
use crate::metadata::record::{PartitionRecord, Record as Metadata};
use crate::metadata::{Change, Image, PartitionImage, Replicas};
use crate::model::{
    LeaderEpoch, NodeId, Offset, PartitionId, ProducerEpoch, ProducerId, TimestampMs, TopicId, TopicName,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// When every test begins.
pub(crate) const START: TimestampMs = TimestampMs(1_700_000_000_000);

/// What a machine wrote, or the end of a transaction.
#[derive(Clone, Debug)]
enum Logged {
    Record(Written, Option<(ProducerId, ProducerEpoch)>),
    Ended((ProducerId, ProducerEpoch), bool),
}

/// See the module.
pub(crate) struct Harness {
    pub(crate) groups: Groups,
    pub(crate) env: Env,
    log: Vec<Logged>,
    /// Records of the log that [`Harness::written`] has shown.
    shown: usize,
    next: u64,
    /// What the test has not taken yet. Every ticket is answered once.
    replies: BTreeMap<Ticket, Reply>,
    waiting: Vec<Ticket>,
    /// What the machine wanted done and the test has not asked for yet.
    tasks: Vec<Task>,
}

impl Harness {
    /// A machine that has nothing, with the settings' defaults and without topics.
    pub(crate) fn new() -> Harness {
        Harness::with(|_| {})
    }

    pub(crate) fn with(set: impl FnOnce(&mut Settings)) -> Harness {
        let config = BrokerConfig::new(Values::new()).unwrap();
        let mut settings = Settings::clone(config.settings());
        set(&mut settings);
        let env = Env {
            now: START,
            image: Arc::new(Image::default()),
            settings: Arc::new(settings),
            fresh: Uuid::from_u128(1),
            batch_bytes_max: 1_048_588,
        };
        Harness::of(env)
    }

    fn of(env: Env) -> Harness {
        let mut harness = Harness {
            groups: Groups::default(),
            env,
            log: Vec::new(),
            shown: 0,
            next: 0,
            replies: BTreeMap::new(),
            waiting: Vec::new(),
            tasks: Vec::new(),
        };
        harness.step(Input::Loaded);
        harness
    }

    /// One step, and what it did with the log and with those that wait.
    fn step(&mut self, input: Input<Request, Arc<crate::metadata::Delta>>) {
        let mut out = Out::default();
        self.env.fresh = Uuid::from_u128(self.env.fresh.as_u128() + 1);
        self.groups.step(&self.env, input, &mut out);
        self.log.extend(out.records.into_iter().map(|written| Logged::Record(written, out.producer)));
        self.tasks.append(&mut out.then);
        for (ticket, reply) in out.replies {
            let at = self.waiting.iter().position(|waiting| *waiting == ticket);
            self.waiting.remove(at.unwrap_or_else(|| panic!("{ticket:?} was answered twice: {reply:?}")));
            self.replies.insert(ticket, reply);
        }
    }

    /// Sends a request. The answer is there now, or comes later: [`Harness::reply`].
    pub(crate) fn send(&mut self, request: Request) -> Ticket {
        self.next += 1;
        let ticket = Ticket(self.next);
        self.waiting.push(ticket);
        self.step(Input::Request(ticket, request));
        ticket
    }

    /// The answer to a request, if it has been given and not been taken yet.
    pub(crate) fn reply(&mut self, ticket: Ticket) -> Option<Reply> {
        self.replies.remove(&ticket)
    }

    /// Sends a request that is answered at once.
    pub(crate) fn run(&mut self, request: Request) -> Reply {
        let shown = format!("{request:?}");
        let ticket = self.send(request);
        self.reply(ticket).unwrap_or_else(|| panic!("not answered at once: {shown}"))
    }

    /// What the machine wanted done since this was asked last.
    pub(crate) fn tasks(&mut self) -> Vec<Task> {
        std::mem::take(&mut self.tasks)
    }

    /// How many requests wait for their answers.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Time passes; every deadline is met when it comes.
    pub(crate) fn pass(&mut self, ms: i64) {
        let end = self.env.now.plus(ms);
        while let Some(deadline) = self.groups.next_deadline().filter(|deadline| *deadline <= end) {
            self.env.now = deadline.max(self.env.now);
            self.step(Input::Tick);
        }
        self.env.now = end;
    }

    /// A topic is created, or gets more partitions.
    pub(crate) fn topic(&mut self, name: &str, partitions: i32) -> TopicId {
        let old = self.env.image.topic(name).cloned();
        let new = TopicId(Uuid::from_u128(0xabc_0000 + (self.env.image.offset.0 + 2).unsigned_abs() as u128));
        let id = old.as_ref().map_or(new, |topic| topic.id);
        let first = old.as_ref().map_or(0, |topic| topic.partitions.len() as i32);
        let mut records = Vec::new();
        if old.is_none() {
            records.push(Metadata::Topic { name: TopicName::new(name), id });
        }
        records.extend((first..partitions).map(|number| {
            let replicas: Replicas = [NodeId(1)].into_iter().collect();
            Metadata::Partition(PartitionRecord {
                topic: id,
                partition: PartitionId(number),
                image: PartitionImage {
                    isr: replicas.clone(),
                    replicas,
                    leader: Some(NodeId(1)),
                    leader_epoch: LeaderEpoch(0),
                    partition_epoch: 0,
                    directories: [crate::metadata::DirectoryId(Uuid::from_u128(7))].into_iter().collect(),
                    adding: Replicas::new(),
                    removing: Replicas::new(),
                    elr: Replicas::new(),
                    last_known_elr: Replicas::new(),
                    recovering: false,
                },
            })
        }));
        self.change(&records);
        id
    }

    pub(crate) fn delete_topic(&mut self, name: &str) {
        let id = self.env.image.topic(name).unwrap().id;
        self.change(&[Metadata::RemoveTopic { id }]);
    }

    /// Any change of the metadata.
    pub(crate) fn change(&mut self, records: &[Metadata]) {
        let mut change = Change::new(&self.env.image);
        records.iter().for_each(|record| change.apply(record).unwrap());
        let offset = Offset(self.env.image.offset.0 + records.len() as i64);
        let (image, delta) = change.finish(offset, 1).unwrap();
        self.env.image = Arc::new(image);
        self.step(Input::Changed(Arc::new(delta)));
    }

    /// What was written since this was asked last.
    pub(crate) fn written(&mut self) -> Vec<Record> {
        let news = self.log.get(self.shown..).unwrap_or_default();
        let records = news.iter().filter_map(|logged| match logged {
            Logged::Record(written, _) => {
                Some(Record::decode(&written.key, written.value.as_deref()).unwrap().expect("a record of ours"))
            }
            Logged::Ended(..) => None,
        });
        let records = records.collect();
        self.shown = self.log.len();
        records
    }

    /// A record is in the log although this machine did not write it: replayed, as at a start.
    pub(crate) fn replay(&mut self, record: &Record) {
        self.log(Logged::Record(record.encode(), None));
    }

    /// A record of an open transaction.
    pub(crate) fn replay_of(&mut self, producer: i64, record: &Record) {
        self.log(Logged::Record(record.encode(), Some((ProducerId(producer), ProducerEpoch(0)))));
    }

    /// The marker of a transaction's end.
    pub(crate) fn end(&mut self, producer: i64, committed: bool) {
        self.log(Logged::Ended((ProducerId(producer), ProducerEpoch(0)), committed));
    }

    fn log(&mut self, logged: Logged) {
        replay(&mut self.groups, &logged);
        self.log.push(logged);
    }

    /// Another broker, or the same one after a crash: everything that was written is replayed into a new machine. Requests
    /// that waited are forgotten.
    pub(crate) fn replayed(&self) -> Harness {
        let mut groups = Groups::default();
        self.log.iter().for_each(|logged| replay(&mut groups, logged));
        let mut harness =
            Harness { groups, log: self.log.clone(), shown: self.log.len(), ..Harness::of(self.env.clone()) };
        harness.step(Input::Loaded);
        harness
    }

    /// As [`Harness::replayed`], of a log that was compacted: the last record of each key outside of transactions.
    pub(crate) fn replayed_compacted(&self) -> Harness {
        let mut last = BTreeMap::new();
        for (at, logged) in self.log.iter().enumerate() {
            if let Logged::Record(written, None) = logged {
                last.insert(written.key.clone(), at);
            }
        }
        let stays = |(at, logged): (usize, &Logged)| match logged {
            Logged::Record(written, None) => (last.get(&written.key) == Some(&at)).then(|| logged.clone()),
            _ => Some(logged.clone()),
        };
        let log = self.log.iter().enumerate().filter_map(stays).collect();
        Harness { log, shown: 0, ..Harness::of(self.env.clone()) }.replayed()
    }
}

fn replay(groups: &mut Groups, logged: &Logged) {
    let replayed = match logged {
        Logged::Record(written, producer) => {
            Replayed::Record { key: &written.key, value: written.value.as_deref(), producer: *producer }
        }
        Logged::Ended(producer, committed) => Replayed::Ended { producer: *producer, committed: *committed },
    };
    groups.replay(replayed).unwrap();
}
