#![allow(clippy::unwrap_used)]

mod fencing;
mod times;

use super::*;
use crate::coordinator::{Ticket, Written};
use crate::metadata::{PartitionImage, Replicas, TopicImage};
use crate::model::Delivery::{Acknowledged, Available};
use crate::model::{Delivery, GroupId, LeaderEpoch, PartitionId, SharedPartition, StateBatch, TopicId, TopicName};
use smallvec::SmallVec;
use uuid::Uuid;

const TOPIC: TopicId = TopicId(Uuid::from_u128(7));
const PARTITIONS: usize = 3;
const LIMIT: u32 = 3;

fn topic() -> Arc<TopicImage> {
    let partition = PartitionImage {
        replicas: Replicas::default(),
        isr: Replicas::default(),
        leader: None,
        leader_epoch: LeaderEpoch(0),
        partition_epoch: 0,
        directories: SmallVec::new(),
        adding: Replicas::default(),
        removing: Replicas::default(),
        elr: Replicas::default(),
        last_known_elr: Replicas::default(),
        recovering: false,
    };
    let partitions = std::iter::repeat_n(Arc::new(partition), PARTITIONS).collect();
    Arc::new(TopicImage { id: TOPIC, name: TopicName::new("t"), partitions })
}

fn image() -> Image {
    let mut image = Image::default();
    image.topics_by_id.insert(TOPIC, topic());
    image.features.insert("share.version".into(), 1);
    image
}

fn key(partition: i32) -> Key {
    Key { group: GroupId::new("g"), at: SharedPartition { topic: TOPIC, partition: PartitionId(partition) } }
}

fn batch(first: i64, last: i64, delivery: Delivery, delivery_count: i16) -> StateBatch {
    StateBatch { first: Offset(first), last: Offset(last), delivery, delivery_count }
}

/// A write of partition 0 by leader 0 in state epoch 1.
fn write() -> ShareWrite {
    ShareWrite {
        at: key(0).at,
        state_epoch: StateEpoch(1),
        leader_epoch: 0,
        start_offset: None,
        delivery_complete_count: 0,
        batches: Vec::new(),
    }
}

fn snapshot(snapshot_epoch: i32, start_offset: Option<i64>) -> Snapshot {
    Snapshot {
        snapshot_epoch,
        state_epoch: StateEpoch(1),
        leader_epoch: 0,
        start_offset: start_offset.map(Offset),
        delivery_complete_count: if start_offset.is_some() { 0 } else { UNKNOWN_COUNT },
        created: TimestampMs(1000),
        written: TimestampMs(1000),
        batches: Vec::new(),
    }
}

/// A machine, the time, what the last step wrote, and its log.
struct Rig {
    machine: States,
    env: Env,
    written: Vec<Record>,
    then: Vec<Task>,
    log: Vec<Written>,
}

impl Rig {
    fn new() -> Rig {
        let env = Env { now: TimestampMs(1000), image: Arc::new(image()), snapshot_every_ms: 500, prune_every_ms: 400 };
        let mut rig = Rig { machine: States::new(LIMIT), env, written: Vec::new(), then: Vec::new(), log: Vec::new() };
        rig.step(Input::Loaded);
        rig
    }

    fn step(&mut self, input: Input<Request, Arc<Delta>>) -> Vec<(Ticket, Reply)> {
        let mut out = Out::default();
        self.machine.step(&self.env, input, &mut out);
        self.written = out.records.iter().map(|it| Record::decode(&it.key, it.value.as_deref()).unwrap()).collect();
        self.machine.placed(Offset(self.log.len() as i64));
        self.log.extend(out.records);
        self.then = out.then;
        out.replies
    }

    fn ask(&mut self, request: Request) -> Reply {
        let mut replies = self.step(Input::Request(Ticket(1), request));
        assert_eq!(replies.len(), 1);
        replies.pop().unwrap().1
    }

    fn initialize(&mut self, partition: i32, state_epoch: i32, start_offset: Option<i64>) -> Result<(), ErrorCode> {
        let (state_epoch, start_offset) = (StateEpoch(state_epoch), start_offset.map(Offset));
        code(self.ask(Request::Initialize { key: key(partition), state_epoch, start_offset }))
    }

    fn read(&mut self, leader_epoch: i32) -> Result<ShareState, ErrorCode> {
        match self.ask(Request::Read { key: key(0), leader_epoch }) {
            Reply::Read(state) => state.map_err(|refused| refused.code),
            other => panic!("{other:?}"),
        }
    }

    fn write(&mut self, write: ShareWrite) -> Result<(), ErrorCode> {
        code(self.ask(Request::Write { group: GroupId::new("g"), write }))
    }

    fn summary(&mut self) -> ShareSummary {
        match self.ask(Request::Summary(key(0))) {
            Reply::Summary(summary) => summary.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// Another machine that has read the log from this record on.
    fn reloaded(&self, from: usize) -> States {
        let mut machine = States::new(LIMIT);
        for (at, record) in self.log.iter().enumerate().skip(from) {
            let replayed = Replayed::Record { key: &record.key, value: record.value.as_deref(), producer: None };
            machine.replay(replayed).unwrap();
            machine.placed(Offset(at as i64));
        }
        machine
    }
}

fn code(reply: Reply) -> Result<(), ErrorCode> {
    match reply {
        Reply::Done(done) => done.map_err(|refused| refused.code),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_partition_begins_with_a_snapshot() {
    let mut rig = Rig::new();
    assert_eq!(rig.initialize(0, 1, Some(10)), Ok(()));
    assert_eq!(rig.written, [Record::Snapshot(key(0), Some(snapshot(0, Some(10))))]);
    assert_eq!(rig.initialize(1, 1, None), Ok(()));
    assert_eq!(rig.written, [Record::Snapshot(key(1), Some(snapshot(0, None)))]);
    let state = ShareState { state_epoch: StateEpoch(1), start_offset: Some(Offset(10)), batches: Vec::new() };
    assert_eq!((rig.read(0), rig.written.len()), (Ok(state), 0));
}

#[test]
fn a_partition_that_is_set_back_forgets_its_deliveries_and_counts_its_snapshots_on() {
    let mut rig = Rig::new();
    rig.initialize(0, 1, Some(10)).unwrap();
    rig.write(ShareWrite { batches: vec![batch(10, 12, Acknowledged, 1)], ..write() }).unwrap();
    assert_eq!(rig.initialize(0, 1, Some(5)), Ok(()));
    assert_eq!(rig.written, [Record::Snapshot(key(0), Some(snapshot(1, Some(5))))]);
    assert_eq!(rig.read(0).unwrap().batches, []);
}

#[test]
fn a_write_is_an_update_until_there_were_enough_of_them() {
    let mut rig = Rig::new();
    rig.initialize(0, 1, Some(0)).unwrap();
    let update = |batches, start_offset: Option<i64>, done| Update {
        snapshot_epoch: 0,
        leader_epoch: 0,
        start_offset: start_offset.map(Offset),
        delivery_complete_count: done,
        batches,
    };
    let first = vec![batch(0, 4, Acknowledged, 1), batch(5, 9, Available, 1)];
    let written = ShareWrite { batches: first.clone(), delivery_complete_count: 5, ..write() };
    assert_eq!(rig.write(written), Ok(()));
    assert_eq!(rig.written, [Record::Update(key(0), update(first, None, 5))]);
    // What a write says of records before the start that it sets is left out.
    let later = ShareWrite { start_offset: Some(Offset(5)), batches: vec![batch(3, 6, Acknowledged, 2)], ..write() };
    assert_eq!(rig.write(later), Ok(()));
    assert_eq!(rig.written, [Record::Update(key(0), update(vec![batch(5, 6, Acknowledged, 2)], Some(5), 0))]);
    rig.write(write()).unwrap();
    rig.env.now = TimestampMs(1200);
    rig.write(ShareWrite { batches: vec![batch(8, 9, Available, 2)], delivery_complete_count: 2, ..write() }).unwrap();
    let all = vec![batch(5, 6, Acknowledged, 2), batch(7, 7, Available, 1), batch(8, 9, Available, 2)];
    let due = Snapshot {
        delivery_complete_count: 2,
        created: TimestampMs(1200),
        written: TimestampMs(1200),
        batches: all.clone(),
        ..snapshot(1, Some(5))
    };
    assert_eq!(rig.written, [Record::Snapshot(key(0), Some(due))]);
    let state = ShareState { state_epoch: StateEpoch(1), start_offset: Some(Offset(5)), batches: all };
    assert_eq!(rig.read(0), Ok(state));
    rig.write(write()).unwrap();
    assert!(matches!(rig.written[..], [Record::Update(..)]));
}

#[test]
fn what_is_not_there_or_no_partition_is_refused() {
    let mut rig = Rig::new();
    let uninitialized = |reply: Reply, text: &str| {
        let refused = Refused { code: ErrorCode::INVALID_REQUEST, message: Some(text.into()) };
        assert!(reply == Reply::Done(Err(refused.clone())) || reply == Reply::Read(Err(refused)), "{reply:?}");
    };
    let read = Request::Read { key: key(0), leader_epoch: 0 };
    uninitialized(rig.ask(read), "Read operation on uninitialized share partition not allowed.");
    let written = Request::Write { group: GroupId::new("g"), write: write() };
    uninitialized(rig.ask(written), "Write operation on uninitialized share partition not allowed.");
    let negative = Request::Read { key: key(-1), leader_epoch: 0 };
    uninitialized(rig.ask(negative), "The partition id cannot be a negative number.");
    let beyond = PARTITIONS as i32;
    assert_eq!(rig.initialize(beyond, 1, None), Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    assert_eq!(code(rig.ask(Request::Delete(key(beyond)))), Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    assert_eq!(rig.log, []);
}

#[test]
fn a_summary_of_what_is_not_there_is_one_of_nothing() {
    let mut rig = Rig::new();
    let nothing = ShareSummary {
        state_epoch: StateEpoch(0),
        leader_epoch: 0,
        start_offset: None,
        delivery_complete_count: UNKNOWN_COUNT,
    };
    assert_eq!(rig.summary(), nothing);
    rig.initialize(0, 1, Some(10)).unwrap();
    rig.write(ShareWrite { delivery_complete_count: 4, ..write() }).unwrap();
    let some = ShareSummary {
        state_epoch: StateEpoch(1),
        start_offset: Some(Offset(10)),
        delivery_complete_count: 4,
        ..nothing
    };
    assert_eq!(rig.summary(), some);
}

#[test]
fn what_is_deleted_is_forgotten_once() {
    let mut rig = Rig::new();
    rig.initialize(0, 1, Some(10)).unwrap();
    assert_eq!(code(rig.ask(Request::Delete(key(0)))), Ok(()));
    assert_eq!(rig.written, [Record::Snapshot(key(0), None)]);
    assert_eq!(code(rig.ask(Request::Delete(key(0)))), Ok(()));
    assert_eq!((rig.written.len(), rig.machine.is_empty()), (0, true));
    // Epochs begin anew too.
    assert_eq!(rig.initialize(0, 0, Some(10)), Ok(()));
}

#[test]
fn with_a_topic_goes_what_was_kept_of_it() {
    let mut rig = Rig::new();
    rig.initialize(0, 1, Some(10)).unwrap();
    rig.initialize(2, 1, Some(10)).unwrap();
    let mut delta = Delta::default();
    delta.deleted.insert(TopicId(Uuid::from_u128(8)), topic());
    rig.step(Input::Changed(Arc::new(delta.clone())));
    assert_eq!(rig.written, []);
    delta.deleted.insert(TOPIC, topic());
    rig.step(Input::Changed(Arc::new(delta)));
    assert_eq!(rig.written, [Record::Snapshot(key(0), None), Record::Snapshot(key(2), None)]);
    assert!(rig.machine.is_empty());
}

#[test]
fn what_is_replayed_is_what_was() {
    let mut rig = Rig::new();
    rig.initialize(0, 1, Some(10)).unwrap();
    rig.initialize(1, 1, None).unwrap();
    rig.read(4).unwrap();
    for n in 0..5 {
        let batches = vec![batch(10 + n, 12 + n, Acknowledged, 1 + n as i16)];
        rig.write(ShareWrite { batches, leader_epoch: 4, delivery_complete_count: n as i32, ..write() }).unwrap();
    }
    rig.ask(Request::Delete(key(1)));
    let machine = rig.reloaded(0);
    assert_eq!((machine.all, machine.last_snapshot), (rig.machine.all, rig.machine.last_snapshot));
}
