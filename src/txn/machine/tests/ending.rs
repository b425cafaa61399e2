//! EndTxn, and what follows it.

use super::*;
use State::{CompleteAbort, CompleteCommit, Empty, Ongoing, PrepareAbort, PrepareCommit};

const ITS: ErrorCode = ErrorCode::INVALID_TXN_STATE;
const FENCED: ErrorCode = ErrorCode::PRODUCER_FENCED;
const BUSY: ErrorCode = ErrorCode::CONCURRENT_TRANSACTIONS;

#[test]
fn a_transaction_is_decided_then_told_then_complete() {
    for (commit, prepared, complete) in [(true, PrepareCommit, CompleteCommit), (false, PrepareAbort, CompleteAbort)] {
        let mut rig = Rig::new(TV2);
        rig.set(Ongoing, 5, -1);
        rig.env.now = TimestampMs(2000);
        assert_eq!(rig.end(producer(7, 5), commit, TV2), Ok(Some(producer(7, 6))));
        assert_eq!(rig.states_written(), [prepared]);
        let value = rig.written[0].value.clone().unwrap();
        assert_eq!(
            (value.epoch, value.started, value.updated),
            (ProducerEpoch(6), TimestampMs(1000), TimestampMs(2000))
        );
        assert_eq!(rig.then, [Task::Settle(id())]);
        let Some(Reply::Due(Some(due))) = rig.ask(Request::Due(id())) else { panic!("nothing due") };
        assert_eq!((due.producer, due.commit, due.version), (producer(7, 6), commit, TV2));
        assert_eq!(due.partitions, [(TopicName::new("t"), [PartitionId(0)].into())].into());
        rig.settle();
        assert_eq!(rig.states_written(), [complete]);
        let value = rig.written[0].value.clone().unwrap();
        assert_eq!((value.epoch, value.started), (ProducerEpoch(6), TimestampMs(1000)));
        assert!(value.partitions.is_empty());
        assert_eq!(rig.ask(Request::Due(id())), Some(Reply::Due(None)));
    }
}

#[test]
fn below_version_2_the_epoch_stays_and_is_not_told() {
    for (commit, prepared, complete) in [(true, PrepareCommit, CompleteCommit), (false, PrepareAbort, CompleteAbort)] {
        let mut rig = Rig::new(TV2);
        rig.set(Ongoing, 5, -1);
        assert_eq!(rig.end(producer(7, 5), commit, TV0), Ok(None));
        assert_eq!(rig.states_written(), [prepared]);
        assert_eq!(rig.written[0].value.as_ref().unwrap().version, 0);
        rig.settle();
        assert_eq!(rig.states_written(), [complete]);
        assert_eq!(rig.known().producer(), producer(7, 5));
        assert_eq!(rig.add(producer(7, 5), TV0, &[partition("t", 0)]), ErrorCode::NONE);
    }
}

/// One row of the tables: what is known, who asks for what, and the answer: an error, or how the producer goes on.
type Row = (State, i16, bool, Result<Option<Producer>, ErrorCode>);

fn check(version: i16, rows: &[Row]) {
    for (state, epoch, commit, expected) in rows {
        let mut rig = Rig::new(TV2);
        rig.set(*state, 5, 4);
        assert_eq!(
            rig.end(producer(7, *epoch), *commit, version),
            *expected,
            "{state:?}, epoch {epoch}, commit {commit}"
        );
        let decides = *state == Ongoing && expected.is_ok();
        let bumps = *expected == Ok(Some(producer(7, 6)));
        match (decides, bumps) {
            (true, _) => assert_eq!(rig.written.len(), 1),
            // There was nothing to tell anybody.
            (false, true) => assert_eq!(rig.states_written(), [PrepareAbort, CompleteAbort]),
            (false, false) => assert!(rig.written.is_empty(), "{state:?}, epoch {epoch}, commit {commit}"),
        }
    }
}

#[test]
fn version_2_knows_a_retry_by_its_epoch() {
    let bump = Ok(Some(producer(7, 6)));
    let again = Ok(Some(producer(7, 5)));
    check(
        TV2,
        &[
            // The retry, then the current epoch; abort, then commit.
            (Empty, 4, false, Err(FENCED)),
            (Empty, 5, false, bump),
            (Empty, 4, true, Err(FENCED)),
            (Empty, 5, true, Err(ITS)),
            (CompleteAbort, 4, false, again),
            (CompleteAbort, 5, false, bump),
            (CompleteAbort, 4, true, Err(ITS)),
            (CompleteAbort, 5, true, Err(ITS)),
            (CompleteCommit, 4, false, Err(ITS)),
            (CompleteCommit, 5, false, bump),
            (CompleteCommit, 4, true, again),
            (CompleteCommit, 5, true, Err(ITS)),
            (Ongoing, 4, false, Err(FENCED)),
            (Ongoing, 5, false, bump),
            (Ongoing, 4, true, Err(FENCED)),
            (Ongoing, 5, true, bump),
            (PrepareCommit, 4, true, Err(BUSY)),
            (PrepareCommit, 5, true, Err(BUSY)),
            (PrepareCommit, 4, false, Err(BUSY)),
            (PrepareAbort, 4, false, Err(BUSY)),
            (PrepareAbort, 4, true, Err(BUSY)),
            // Neither.
            (Empty, 6, false, Err(FENCED)),
            (Ongoing, 6, true, Err(FENCED)),
            (CompleteCommit, 6, true, Err(FENCED)),
            (CompleteCommit, 3, true, Err(FENCED)),
            (CompleteAbort, 3, false, Err(FENCED)),
        ],
    );
}

#[test]
fn below_version_2_a_retry_is_what_asks_for_what_has_been_done() {
    check(
        TV0,
        &[
            (Empty, 5, false, Err(ITS)),
            (Empty, 5, true, Err(ITS)),
            (CompleteAbort, 5, false, Ok(None)),
            (CompleteAbort, 5, true, Err(ITS)),
            (CompleteCommit, 5, false, Err(ITS)),
            (CompleteCommit, 5, true, Ok(None)),
            (Ongoing, 5, false, Ok(None)),
            (Ongoing, 5, true, Ok(None)),
            (PrepareCommit, 5, true, Err(BUSY)),
            (PrepareCommit, 5, false, Err(BUSY)),
            (PrepareAbort, 5, false, Err(BUSY)),
            (PrepareAbort, 5, true, Err(BUSY)),
        ],
    );
    for state in State::ALL {
        for commit in [false, true] {
            check(TV0, &[(state, 4, commit, Err(FENCED)), (state, 6, commit, Err(FENCED))]);
        }
    }
}

#[test]
fn a_stranger_ends_nothing() {
    for version in [TV0, TV2] {
        let mut rig = Rig::new(TV2);
        let error = Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        assert_eq!(rig.end(producer(7, 5), true, version), error);
        for state in [Empty, Ongoing, CompleteAbort, CompleteCommit] {
            rig.set(state, 5, 4);
            assert_eq!(rig.end(producer(8, 5), true, version), error);
        }
        let end = End { id: TransactionalId::new(""), producer: producer(7, 5), commit: true, version, fresh: None };
        assert_eq!(rig.ask(Request::End(end)), Some(Reply::End(Err(ErrorCode::INVALID_REQUEST))));
    }
}

#[test]
fn with_the_last_epoch_the_producer_goes_on_with_another_id() {
    let mut rig = Rig::new(TV2);
    rig.set(Ongoing, LAST, LAST - 1);
    assert_eq!(rig.end(producer(7, LAST), true, TV2), Ok(Some(producer(100, 0))));
    // The markers have the id of the transaction, and the epoch that no client has.
    assert_eq!((rig.known().producer(), rig.known().value.next), (producer(7, i16::MAX), ProducerId(100)));
    assert_eq!(rig.add(producer(100, 0), TV2, &[partition("t", 0)]), BUSY);
    rig.settle();
    assert_eq!((rig.known().producer(), rig.known().value.previous), (producer(100, 0), ProducerId(7)));
    // The answer was lost.
    assert_eq!(rig.end(producer(7, LAST), true, TV2), Ok(Some(producer(100, 0))));
    assert_eq!(rig.end(producer(7, LAST), false, TV2), Err(ITS));
    assert_eq!(rig.add(producer(100, 0), TV2, &[partition("t", 0)]), ErrorCode::NONE);
    assert_eq!(rig.end(producer(7, LAST), true, TV2), Err(ErrorCode::INVALID_PRODUCER_ID_MAPPING));
}

#[test]
fn the_epoch_that_no_client_was_given_can_only_be_aborted() {
    let mut rig = Rig::new(TV2);
    rig.set(Ongoing, i16::MAX, -1);
    assert_eq!(rig.end(producer(7, i16::MAX), true, TV2), Err(ErrorCode::UNKNOWN_SERVER_ERROR));
    assert_eq!(rig.state(), Ongoing);
    assert_eq!(rig.end(producer(7, i16::MAX), false, TV2), Ok(Some(producer(200, 0))));
}

#[test]
fn only_what_is_due_can_be_said_to_be_written() {
    let mut rig = Rig::new(TV2);
    let written = |rig: &mut Rig, by| rig.ask(Request::Written { id: id(), producer: by });
    assert_eq!(written(&mut rig, producer(7, 5)), Some(Reply::Written(ITS)));
    rig.set(PrepareCommit, 6, 5);
    assert_eq!(written(&mut rig, producer(7, 5)), Some(Reply::Written(ITS)));
    assert_eq!(written(&mut rig, producer(7, 6)), Some(Reply::Written(ErrorCode::NONE)));
    assert_eq!(written(&mut rig, producer(7, 6)), Some(Reply::Written(ITS)));
    assert_eq!(rig.state(), CompleteCommit);
}

#[test]
fn who_waits_until_a_transaction_is_settled_is_answered_then() {
    let mut rig = Rig::new(TV2);
    assert_eq!(rig.ask(Request::Settled(id())), Some(Reply::Settled));
    rig.set(PrepareCommit, 6, 5);
    assert_eq!(rig.ask(Request::Settled(id())), None);
    assert_eq!(rig.ask(Request::Settled(id())), None);
    let (first, second) = (Ticket(rig.tickets - 1), Ticket(rig.tickets));
    rig.ask(Request::Written { id: id(), producer: producer(7, 6) });
    assert_eq!(rig.others, [(first, Reply::Settled), (second, Reply::Settled)]);
    assert!(rig.machine.settling.is_empty());
}

#[test]
fn what_was_decided_when_the_broker_stopped_is_due_when_it_is_back() {
    for state in State::ALL {
        let mut rig = Rig::new(TV2);
        rig.set(state, 6, 5);
        rig.reload();
        let due = matches!(state, PrepareCommit | PrepareAbort);
        assert_eq!(rig.then, if due { vec![Task::Settle(id())] } else { vec![] });
    }
}

#[test]
fn a_retry_after_a_restart_is_known_by_the_epoch() {
    let mut rig = Rig::new(TV2);
    rig.set(Ongoing, 5, -1);
    rig.end(producer(7, 5), true, TV2).unwrap();
    rig.settle();
    rig.reload();
    assert_eq!(rig.end(producer(7, 5), true, TV2), Ok(Some(producer(7, 6))));
}

#[test]
fn when_too_many_wait_the_next_is_answered_at_once() {
    let mut rig = Rig::new(TV2);
    rig.set(PrepareCommit, 6, 5);
    for _ in 0..WAITING_MAX {
        assert_eq!(rig.ask(Request::Settled(id())), None);
    }
    assert_eq!(rig.ask(Request::Settled(id())), Some(Reply::Settled));
    rig.ask(Request::Written { id: id(), producer: producer(7, 6) });
    assert_eq!((rig.others.len(), rig.machine.waiting), (WAITING_MAX, 0));
}
