//! AddPartitionsToTxn.

use super::*;

#[test]
fn the_first_partition_begins_the_transaction() {
    let mut rig = Rig::new(TV2);
    rig.set(State::CompleteCommit, 5, -1);
    rig.env.now = TimestampMs(2000);
    assert_eq!(rig.add(producer(7, 5), TV2, &[partition("t", 1)]), ErrorCode::NONE);
    let value = rig.written[0].value.clone().unwrap();
    assert_eq!((value.state, value.started, value.updated), (State::Ongoing, TimestampMs(2000), TimestampMs(2000)));
    assert_eq!((value.epoch, value.version), (ProducerEpoch(5), TV2));
    assert_eq!(value.partitions, [(TopicName::new("t"), [PartitionId(1)].into())].into());
}

#[test]
fn more_partitions_join_it_and_its_beginning_stays() {
    let mut rig = Rig::new(TV2);
    rig.set(State::Ongoing, 5, -1);
    rig.env.now = TimestampMs(2000);
    assert_eq!(rig.add(producer(7, 5), TV2, &[partition("t", 1), partition("u", 0)]), ErrorCode::NONE);
    let value = rig.written[0].value.clone().unwrap();
    assert_eq!((value.started, value.updated), (TimestampMs(1000), TimestampMs(2000)));
    let all = [
        (TopicName::new("t"), [PartitionId(0), PartitionId(1)].into()),
        (TopicName::new("u"), [PartitionId(0)].into()),
    ];
    assert_eq!(value.partitions, all.into());
}

#[test]
fn a_partition_that_has_joined_is_written_once() {
    let mut rig = Rig::new(TV2);
    rig.set(State::Ongoing, 5, -1);
    assert_eq!(rig.add(producer(7, 5), TV2, &[partition("t", 0)]), ErrorCode::NONE);
    assert!(rig.written.is_empty());
}

#[test]
fn who_adds_must_be_the_producer_of_the_transaction() {
    let mut rig = Rig::new(TV2);
    let one = [partition("t", 0)];
    assert_eq!(rig.add(producer(7, 5), TV2, &one), ErrorCode::INVALID_PRODUCER_ID_MAPPING);
    for state in [State::Empty, State::Ongoing, State::CompleteAbort] {
        rig.set(state, 5, 4);
        assert_eq!(rig.add(producer(8, 5), TV2, &one), ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        assert_eq!(rig.add(producer(7, 4), TV2, &one), ErrorCode::PRODUCER_FENCED);
        assert_eq!(rig.add(producer(7, 6), TV2, &one), ErrorCode::PRODUCER_FENCED);
        assert!(rig.written.is_empty());
    }
    let add = Add { id: TransactionalId::new(""), producer: producer(7, 5), partitions: one.to_vec(), version: TV2 };
    assert_eq!(rig.ask(Request::Add(add)), Some(Reply::Add(ErrorCode::INVALID_REQUEST)));
}

#[test]
fn nothing_joins_a_transaction_that_is_decided() {
    for state in [State::PrepareCommit, State::PrepareAbort] {
        let mut rig = Rig::new(TV2);
        rig.set(state, 6, 5);
        for by in [producer(7, 6), producer(7, 5), producer(200, 0)] {
            assert_eq!(rig.add(by, TV2, &[partition("t", 0)]), ErrorCode::CONCURRENT_TRANSACTIONS);
        }
    }
}

#[test]
fn asking_tells_which_partitions_have_joined() {
    let mut rig = Rig::new(TV2);
    rig.set(State::Ongoing, 5, -1);
    let answer = rig.verify(producer(7, 5), &[partition("t", 1), partition("t", 0)]);
    assert_eq!(answer, Ok(vec![ErrorCode::TRANSACTION_ABORTABLE, ErrorCode::NONE]));
    rig.set(State::Empty, 5, -1);
    assert_eq!(rig.verify(producer(7, 5), &[partition("t", 0)]), Ok(vec![ErrorCode::TRANSACTION_ABORTABLE]));
    assert!(rig.written.is_empty());
}

#[test]
fn asking_is_for_the_producer_of_the_transaction_until_it_is_decided() {
    let mut rig = Rig::new(TV2);
    let one = [partition("t", 0)];
    assert_eq!(rig.verify(producer(7, 5), &one), Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING));
    rig.set(State::PrepareCommit, 6, 5);
    assert_eq!(rig.verify(producer(8, 6), &one), Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING));
    assert_eq!(rig.verify(producer(7, 5), &one), Err(ErrorCode::PRODUCER_FENCED));
    assert_eq!(rig.verify(producer(7, 6), &one), Err(ErrorCode::CONCURRENT_TRANSACTIONS));
}
