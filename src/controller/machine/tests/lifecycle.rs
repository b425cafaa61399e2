use super::*;
use crate::controller::machine::lifecycle::{Lifecycle, Phase, Say};

const INTERVAL: u64 = 2000;

fn standing(caught_up: bool, fenced: bool, should_shut_down: bool) -> Standing {
    Standing { caught_up, fenced, should_shut_down }
}

fn beat(epoch: i64, want_fence: bool, want_shut_down: bool) -> Say {
    Say::Heartbeat { epoch, want_fence, want_shut_down }
}

#[test]
fn a_broker_registers_catches_up_and_runs_once_it_is_ready() {
    let mut broker = Lifecycle::new(INTERVAL);
    assert_eq!(broker.next(), Say::Register);
    assert_eq!(broker.registered(7), 0);
    assert_eq!(broker.next(), beat(7, true, false));
    broker.heard(standing(false, true, false));
    assert_eq!(broker.phase(), Phase::Starting);
    broker.heard(standing(true, true, false));
    assert_eq!(broker.phase(), Phase::CaughtUp);
    // Its partitions are not open yet: it asks to stay fenced, and does not hurry.
    assert_eq!((broker.next(), broker.heard(standing(true, true, false))), (beat(7, true, false), INTERVAL));
    broker.set_ready();
    assert_eq!(broker.next(), beat(7, false, false));
    assert_eq!(broker.heard(standing(true, false, false)), INTERVAL);
    assert_eq!(broker.phase(), Phase::Running);
}

#[test]
fn a_broker_that_stops_asks_until_it_may() {
    let mut broker = Lifecycle::running(INTERVAL, 7);
    broker.leave();
    assert_eq!((broker.phase(), broker.next()), (Phase::Leaving, beat(7, false, true)));
    assert!(broker.heard(standing(true, false, false)) < INTERVAL);
    broker.heard(standing(true, true, true));
    assert_eq!((broker.phase(), broker.next()), (Phase::Left, Say::Nothing));
}

#[test]
fn a_broker_to_which_nobody_was_sent_stops_at_once() {
    let mut broker = Lifecycle::new(INTERVAL);
    broker.leave();
    assert_eq!(broker.phase(), Phase::Left);
}

#[test]
fn a_broker_that_the_controller_has_forgotten_registers_again() {
    let mut broker = Lifecycle::running(INTERVAL, 7);
    assert_eq!(broker.refused(ErrorCode::STALE_BROKER_EPOCH), 0);
    assert_eq!((broker.next(), broker.epoch()), (Say::Register, None));
    broker.registered(9);
    assert_eq!(broker.next(), beat(9, false, false));
    broker.refused(ErrorCode::STALE_BROKER_EPOCH);
    broker.leave();
    assert_eq!((broker.phase(), broker.next()), (Phase::Left, Say::Nothing));
}

#[test]
fn failures_are_retried_soon_and_then_as_often_as_heartbeats() {
    let mut broker = Lifecycle::new(INTERVAL);
    let waits: Vec<u64> = (0..8).map(|_| broker.refused(ErrorCode::NOT_CONTROLLER)).collect();
    assert_eq!(waits, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
    broker.registered(7);
    assert_eq!(broker.refused(ErrorCode::NOT_CONTROLLER), 50);
}

#[test]
fn a_broker_that_stops_does_not_wait_for_a_controller_that_is_gone() {
    let mut broker = Lifecycle::running(INTERVAL, 7);
    broker.leave();
    let waited: u64 = std::iter::from_fn(|| {
        let wait = broker.refused(ErrorCode::NOT_CONTROLLER);
        (broker.phase() != Phase::Left).then_some(wait)
    })
    .sum();
    assert!((5_000..20_000).contains(&waited), "{waited}");
}
