#![allow(clippy::unwrap_used)]

mod adding;
mod ending;
mod initializing;
mod lists;
mod random;
mod times;

use super::*;
use crate::coordinator::Written;
use crate::model::ErrorCode;
use crate::txn::request::{Add, End, Init, Producer, Verify};

pub(super) const TV0: i16 = 0;
pub(super) const TV2: i16 = 2;
pub(super) const LAST: i16 = i16::MAX - 1;

pub(super) fn producer(id: i64, epoch: i16) -> Producer {
    (ProducerId(id), ProducerEpoch(epoch))
}

pub(super) fn partition(topic: &str, number: i32) -> (TopicName, PartitionId) {
    (TopicName::new(topic), PartitionId(number))
}

/// A machine, the time, and what the last step wanted.
pub(super) struct Rig {
    pub(super) machine: Transactions,
    pub(super) env: Env,
    pub(super) tickets: u64,
    pub(super) written: Vec<Record>,
    pub(super) then: Vec<Task>,
    pub(super) others: Vec<(Ticket, Reply)>,
    pub(super) log: Vec<Written>,
    pub(super) fresh: i64,
}

impl Rig {
    pub(super) fn new(version: i16) -> Rig {
        let env = Env {
            now: TimestampMs(1000),
            version,
            timeout_max_ms: 900_000,
            id_expiration_ms: 604_800_000,
            abort_every_ms: 10_000,
            expire_every_ms: 3_600_000,
        };
        let mut rig = Rig {
            machine: Transactions::default(),
            env,
            tickets: 0,
            written: Vec::new(),
            then: Vec::new(),
            others: Vec::new(),
            log: Vec::new(),
            fresh: 100,
        };
        rig.step(Input::Loaded);
        rig
    }

    pub(super) fn step(&mut self, input: Input<Request, Arc<Delta>>) -> Vec<(Ticket, Reply)> {
        let mut out = Out::default();
        self.machine.step(&self.env, input, &mut out);
        self.written =
            out.records.iter().map(|record| Record::decode(&record.key, record.value.as_deref()).unwrap()).collect();
        self.log.extend(out.records);
        self.then = out.then;
        assert_eq!(out.producer, None);
        out.replies
    }

    /// The answer; that of others goes to `others`.
    pub(super) fn ask(&mut self, request: Request) -> Option<Reply> {
        self.tickets += 1;
        let own = Ticket(self.tickets);
        let (mine, others) = self.step(Input::Request(own, request)).into_iter().partition(|(to, _)| *to == own);
        self.others = others;
        let mut mine: Vec<_> = mine;
        assert!(mine.len() < 2, "answered twice");
        mine.pop().map(|(_, reply)| reply)
    }

    pub(super) fn init_with(&mut self, expected: Option<Producer>, fresh: Option<i64>) -> Reply {
        let init = Init { id: id(), timeout_ms: 60_000, expected, fresh: fresh.map(ProducerId) };
        self.ask(Request::Init(init)).unwrap()
    }

    /// As the handle does it: with a producer id if one is needed.
    pub(super) fn init(&mut self, expected: Option<Producer>) -> Result<Producer, ErrorCode> {
        let reply = match self.init_with(expected, None) {
            Reply::NeedsProducer => {
                assert!(self.written.is_empty());
                let fresh = self.fresh;
                self.fresh += 100;
                self.init_with(expected, Some(fresh))
            }
            reply => reply,
        };
        let Reply::Init(answer) = reply else { panic!("{reply:?}") };
        answer
    }

    pub(super) fn add(&mut self, by: Producer, version: i16, partitions: &[(TopicName, PartitionId)]) -> ErrorCode {
        let add = Add { id: id(), producer: by, partitions: partitions.to_vec(), version };
        match self.ask(Request::Add(add)) {
            Some(Reply::Add(code)) => code,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn verify(
        &mut self,
        by: Producer,
        partitions: &[(TopicName, PartitionId)],
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        let verify = Verify { id: id(), producer: by, partitions: partitions.to_vec() };
        match self.ask(Request::Verify(verify)) {
            Some(Reply::Verify(answer)) => answer,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn end(&mut self, by: Producer, commit: bool, version: i16) -> Result<Option<Producer>, ErrorCode> {
        let end = |fresh| Request::End(End { id: id(), producer: by, commit, version, fresh });
        let reply = match self.ask(end(None)).unwrap() {
            Reply::NeedsProducer => {
                assert!(self.written.is_empty());
                let fresh = ProducerId(self.fresh);
                self.fresh += 100;
                self.ask(end(Some(fresh))).unwrap()
            }
            reply => reply,
        };
        let Reply::End(answer) = reply else { panic!("{reply:?}") };
        answer
    }

    /// Has what is due written everywhere.
    pub(super) fn settle(&mut self) {
        let due = match self.ask(Request::Due(id())) {
            Some(Reply::Due(Some(due))) => due,
            other => panic!("{other:?}"),
        };
        let written = self.ask(Request::Written { id: id(), producer: due.producer });
        assert_eq!(written, Some(Reply::Written(ErrorCode::NONE)));
    }

    pub(super) fn known(&self) -> &Transaction {
        &self.machine.all[&id()]
    }

    pub(super) fn state(&self) -> State {
        self.known().value.state
    }

    pub(super) fn states_written(&self) -> Vec<State> {
        self.written.iter().map(|record| record.value.as_ref().unwrap().state).collect()
    }

    /// Sets what is known, as if it had been written.
    pub(super) fn set(&mut self, state: State, epoch: i16, last_epoch: i16) {
        let partitions = match state {
            State::Ongoing | State::PrepareCommit | State::PrepareAbort => {
                [(TopicName::new("t"), [PartitionId(0)].into())].into()
            }
            _ => Partitions::new(),
        };
        let value = Value {
            producer: ProducerId(7),
            previous: ProducerId(7),
            next: ProducerId::NONE,
            epoch: ProducerEpoch(epoch),
            timeout_ms: 60_000,
            state,
            partitions,
            updated: self.env.now,
            started: if state == State::Empty { TimestampMs::NONE } else { self.env.now },
            version: self.env.version,
        };
        self.log.push(Record { id: id(), value: Some(value.clone()) }.encode(self.env.version));
        self.machine.set(&id(), Some(Transaction { value, last_epoch: ProducerEpoch(last_epoch) }));
    }

    /// The broker starts again.
    pub(super) fn reload(&mut self) {
        self.machine = Transactions::default();
        for record in &self.log {
            let replayed = Replayed::Record { key: &record.key, value: record.value.as_deref(), producer: None };
            self.machine.replay(replayed).unwrap();
        }
        assert!(self.step(Input::Loaded).is_empty());
    }

    pub(super) fn tick_at(&mut self, now: i64) {
        self.env.now = TimestampMs(now);
        assert!(self.step(Input::Tick).is_empty());
    }
}

pub(super) fn id() -> TransactionalId {
    TransactionalId::new("app")
}
