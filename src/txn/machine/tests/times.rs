//! Timeouts and expiry.

use super::*;

#[test]
fn a_transaction_that_takes_too_long_is_aborted_and_its_producer_kept_out() {
    for version in [TV0, TV2] {
        let mut rig = Rig::new(version);
        rig.set(State::Ongoing, 5, -1);
        // Begun at 1000 with a minute to go.
        assert_eq!(rig.machine.next_deadline(), Some(TimestampMs(61_001)));
        rig.tick_at(61_000);
        assert!(rig.written.is_empty());
        rig.tick_at(71_001);
        assert_eq!(rig.states_written(), [State::PrepareAbort]);
        assert_eq!(rig.known().producer(), producer(7, 6));
        assert_eq!(rig.then, [Task::Settle(id())]);
        rig.settle();
        assert_eq!(rig.end(producer(7, 5), true, TV0), Err(ErrorCode::PRODUCER_FENCED));
        assert_eq!(rig.add(producer(7, 5), version, &[partition("t", 0)]), ErrorCode::PRODUCER_FENCED);
    }
}

#[test]
fn there_is_an_interval_between_two_looks() {
    let mut rig = Rig::new(TV2);
    rig.tick_at(11_000);
    rig.set(State::Ongoing, 5, -1);
    rig.machine.all.get_mut(&id()).unwrap().value.timeout_ms = 1;
    let known = rig.known().clone();
    rig.machine.set(&id(), Some(known));
    assert_eq!(rig.machine.next_deadline(), Some(TimestampMs(21_000)));
    rig.tick_at(20_999);
    assert!(rig.written.is_empty());
    rig.tick_at(21_000);
    assert_eq!(rig.states_written(), [State::PrepareAbort]);
}

#[test]
fn a_transaction_that_ended_in_time_is_left_alone() {
    let mut rig = Rig::new(TV2);
    rig.set(State::Ongoing, 5, -1);
    rig.end(producer(7, 5), true, TV2).unwrap();
    rig.tick_at(100_000);
    assert!(rig.written.is_empty());
    assert_eq!(rig.machine.next_deadline(), Some(TimestampMs(3_601_000)));
}

#[test]
fn nothing_to_look_at_is_no_deadline() {
    assert_eq!(Rig::new(TV2).machine.next_deadline(), None);
}

#[test]
fn a_transaction_without_a_timeout_is_that_of_two_phase_commit() {
    let mut rig = Rig::new(TV2);
    rig.set(State::Ongoing, 5, -1);
    let mut known = rig.known().clone();
    known.value.timeout_ms = i32::MAX;
    rig.machine.set(&id(), Some(known));
    rig.tick_at(10_000_000_000);
    assert!(rig.written.is_empty());
}

#[test]
fn aborting_with_the_last_epoch_asks_for_a_producer_id_until_it_gets_one() {
    let mut rig = Rig::new(TV2);
    rig.set(State::Ongoing, LAST, -1);
    rig.tick_at(100_000);
    let task = [Task::TimedOut(id(), producer(7, LAST))];
    assert_eq!((&rig.then[..], rig.written.len()), (&task[..], 0));
    rig.tick_at(110_000);
    assert_eq!(rig.then, task);
    let fresh = ProducerId(100);
    let mut timed_out = |by| rig.ask(Request::TimedOut { id: id(), producer: by, fresh });
    assert_eq!(timed_out(producer(7, LAST - 1)), Some(Reply::TimedOut(ErrorCode::INVALID_TXN_STATE)));
    assert_eq!(timed_out(producer(7, LAST)), Some(Reply::TimedOut(ErrorCode::NONE)));
    assert_eq!(timed_out(producer(7, LAST)), Some(Reply::TimedOut(ErrorCode::INVALID_TXN_STATE)));
    assert_eq!(rig.known().value.next, fresh);
}

#[test]
fn a_producer_id_that_comes_too_late_does_not_abort_the_next_transaction() {
    let mut rig = Rig::new(TV2);
    rig.set(State::Ongoing, LAST, -1);
    rig.tick_at(100_000);
    // It ended by a client of the old protocol, and the next began.
    rig.end(producer(7, LAST), true, TV0).unwrap();
    rig.settle();
    rig.add(producer(7, LAST), TV0, &[partition("t", 0)]);
    let late = Request::TimedOut { id: id(), producer: producer(7, LAST), fresh: ProducerId(100) };
    assert_eq!(rig.ask(late), Some(Reply::TimedOut(ErrorCode::INVALID_TXN_STATE)));
    assert_eq!(rig.state(), State::Ongoing);
}

#[test]
fn an_id_that_nobody_uses_is_forgotten() {
    let week = 604_800_000;
    for state in State::ALL {
        let mut rig = Rig::new(TV2);
        rig.set(state, 5, 4);
        let mut known = rig.known().clone();
        known.value.timeout_ms = i32::MAX;
        rig.machine.set(&id(), Some(known));
        rig.tick_at(999 + week);
        assert!(rig.written.is_empty());
        rig.tick_at(1000 + week + 3_600_000);
        let unused = matches!(state, State::Empty | State::CompleteCommit | State::CompleteAbort);
        let tombstone = Record { id: id(), value: None };
        assert_eq!(rig.written, if unused { vec![tombstone] } else { vec![] }, "{state:?}");
        assert_eq!(rig.machine.all.is_empty(), unused);
        rig.reload();
        assert_eq!(rig.machine.all.is_empty(), unused);
    }
}
