//! InitProducerId.

use super::*;

#[test]
fn a_new_transactional_id_gets_a_fresh_producer_id_and_epoch_0() {
    let mut rig = Rig::new(TV2);
    assert_eq!(rig.init(None), Ok(producer(100, 0)));
    let value = Value {
        producer: ProducerId(100),
        previous: ProducerId(100),
        next: ProducerId::NONE,
        epoch: ProducerEpoch(0),
        timeout_ms: 60_000,
        state: State::Empty,
        partitions: Partitions::new(),
        updated: TimestampMs(1000),
        started: TimestampMs::NONE,
        version: 0,
    };
    assert_eq!(rig.written, [Record { id: id(), value: Some(value) }]);
}

#[test]
fn without_a_producer_id_at_hand_nothing_happens() {
    let mut rig = Rig::new(TV2);
    assert_eq!(rig.init_with(None, None), Reply::NeedsProducer);
    assert!(rig.written.is_empty() && rig.machine.all.is_empty());
}

#[test]
fn a_producer_that_comes_again_keeps_its_id_and_gets_the_next_epoch() {
    let mut rig = Rig::new(TV2);
    rig.init(None).unwrap();
    assert_eq!(rig.init(None), Ok(producer(100, 1)));
    assert_eq!(rig.init(None), Ok(producer(100, 2)));
    assert_eq!(rig.add(producer(100, 1), TV0, &[partition("t", 0)]), ErrorCode::PRODUCER_FENCED);
}

#[test]
fn an_empty_id_and_a_timeout_out_of_range_are_refused() {
    let mut rig = Rig::new(TV2);
    let mut refused = |id: &str, timeout_ms| {
        let init = Init { id: TransactionalId::new(id), timeout_ms, expected: None, fresh: Some(ProducerId(1)) };
        let reply = rig.ask(Request::Init(init)).unwrap();
        assert!(rig.written.is_empty());
        reply
    };
    assert_eq!(refused("", 1), Reply::Init(Err(ErrorCode::INVALID_REQUEST)));
    for timeout in [0, -1, i32::MIN, 900_001] {
        assert_eq!(refused("a", timeout), Reply::Init(Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT)));
    }
}

#[test]
fn the_timeout_is_that_of_the_last_request() {
    let mut rig = Rig::new(TV2);
    rig.init(None).unwrap();
    let init = Init { id: id(), timeout_ms: 900_000, expected: None, fresh: None };
    rig.ask(Request::Init(init));
    assert_eq!(rig.known().value.timeout_ms, 900_000);
}

#[test]
fn a_producer_that_recovers_gets_the_next_epoch_and_a_retry_the_same() {
    let mut rig = Rig::new(TV2);
    rig.set(State::Empty, 5, -1);
    assert_eq!(rig.init(Some(producer(7, 5))), Ok(producer(7, 6)));
    // The answer was lost.
    assert_eq!(rig.init(Some(producer(7, 5))), Ok(producer(7, 6)));
    assert_eq!(rig.init(Some(producer(7, 4))), Err(ErrorCode::PRODUCER_FENCED));
    assert!(rig.written.is_empty());
    assert_eq!(rig.init(Some(producer(8, 6))), Err(ErrorCode::PRODUCER_FENCED));
}

#[test]
fn a_producer_that_another_has_followed_does_not_recover() {
    let mut rig = Rig::new(TV2);
    rig.set(State::Empty, 5, -1);
    assert_eq!(rig.init(None), Ok(producer(7, 6)));
    assert_eq!(rig.init(Some(producer(7, 5))), Err(ErrorCode::PRODUCER_FENCED));
}

#[test]
fn a_producer_that_nobody_knows_any_more_recovers_with_a_fresh_id() {
    let mut rig = Rig::new(TV2);
    assert_eq!(rig.init(Some(producer(7, 5))), Ok(producer(100, 0)));
}

#[test]
fn a_producer_whose_epochs_are_used_up_gets_another_id() {
    let mut rig = Rig::new(TV2);
    rig.set(State::CompleteCommit, LAST, -1);
    assert_eq!(rig.init(None), Ok(producer(100, 0)));
    assert_eq!(rig.written[0].value.as_ref().unwrap().previous, ProducerId(7));
    // Nothing says that this one may recover.
    assert_eq!(rig.init(Some(producer(7, LAST))), Err(ErrorCode::PRODUCER_FENCED));
}

#[test]
fn a_producer_that_recovers_where_its_epochs_are_used_up_may_ask_again() {
    let mut rig = Rig::new(TV2);
    rig.set(State::Empty, LAST, -1);
    assert_eq!(rig.init(Some(producer(7, LAST))), Ok(producer(100, 0)));
    assert_eq!(rig.init(Some(producer(7, LAST))), Ok(producer(100, 0)));
    assert_eq!(rig.init(Some(producer(100, 0))), Ok(producer(100, 1)));
    assert_eq!(rig.init(Some(producer(7, LAST))), Err(ErrorCode::PRODUCER_FENCED));
}

#[test]
fn a_retry_where_no_epoch_is_left_is_an_error_of_kafkas() {
    let mut rig = Rig::new(TV2);
    rig.set(State::Empty, LAST, LAST - 1);
    assert_eq!(rig.init(Some(producer(7, LAST - 1))), Err(ErrorCode::UNKNOWN_SERVER_ERROR));
}

#[test]
fn an_ongoing_transaction_is_aborted_first_and_its_producer_kept_out() {
    for version in [TV0, TV2] {
        let mut rig = Rig::new(version);
        rig.set(State::Ongoing, 5, -1);
        assert_eq!(rig.init(None), Err(ErrorCode::CONCURRENT_TRANSACTIONS));
        assert_eq!(rig.states_written(), [State::PrepareAbort]);
        assert_eq!(rig.written[0].value.as_ref().unwrap().epoch, ProducerEpoch(6));
        assert_eq!(rig.then, [Task::Settle(id())]);
        assert_eq!(rig.init(None), Err(ErrorCode::CONCURRENT_TRANSACTIONS));
        rig.settle();
        assert_eq!(rig.add(producer(7, 5), version, &[partition("t", 0)]), ErrorCode::PRODUCER_FENCED);
        assert_eq!(rig.init(None), Ok(producer(7, 7)));
    }
}

#[test]
fn a_stranger_does_not_abort_an_ongoing_transaction() {
    let mut rig = Rig::new(TV2);
    rig.set(State::Ongoing, 5, -1);
    assert_eq!(rig.init(Some(producer(8, 5))), Err(ErrorCode::PRODUCER_FENCED));
    assert_eq!(rig.state(), State::Ongoing);
}

#[test]
fn aborting_with_the_last_epoch_takes_another_id_from_version_2_on() {
    let mut rig = Rig::new(TV2);
    rig.set(State::Ongoing, LAST, -1);
    assert_eq!(rig.init(None), Err(ErrorCode::CONCURRENT_TRANSACTIONS));
    assert_eq!((rig.known().producer(), rig.known().value.next), (producer(7, i16::MAX), ProducerId(100)));
    rig.settle();
    assert_eq!(rig.init(None), Ok(producer(100, 1)));

    let mut rig = Rig::new(TV0);
    rig.set(State::Ongoing, LAST, -1);
    assert_eq!(rig.init(None), Err(ErrorCode::CONCURRENT_TRANSACTIONS));
    assert_eq!(rig.known().producer(), producer(7, i16::MAX));
    rig.settle();
    assert_eq!(rig.init(None), Ok(producer(100, 0)));
}

#[test]
fn while_a_transaction_is_decided_and_not_complete_everybody_waits() {
    for state in [State::PrepareCommit, State::PrepareAbort] {
        let mut rig = Rig::new(TV2);
        rig.set(state, 5, 4);
        for expected in [None, Some(producer(7, 5)), Some(producer(9, 9))] {
            assert_eq!(rig.init(expected), Err(ErrorCode::CONCURRENT_TRANSACTIONS));
        }
    }
}

#[test]
fn after_a_restart_a_retry_of_a_recovery_is_fenced_as_in_kafka() {
    let mut rig = Rig::new(TV2);
    rig.set(State::Empty, 5, -1);
    assert_eq!(rig.init(Some(producer(7, 5))), Ok(producer(7, 6)));
    rig.reload();
    assert_eq!(rig.init(Some(producer(7, 5))), Err(ErrorCode::PRODUCER_FENCED));
}
