//! Any order of requests, restarts and ticks.

use super::*;
use crate::record::testing::Chance;

/// What a record may follow (`TransactionState.VALID_PREVIOUS_STATES`).
fn may_follow(from: State, to: State) -> bool {
    use State::{CompleteAbort, CompleteCommit, Empty, Ongoing, PrepareAbort, PrepareCommit};
    match to {
        Empty => matches!(from, Empty | CompleteCommit | CompleteAbort),
        Ongoing => matches!(from, Ongoing | Empty | CompleteCommit | CompleteAbort),
        PrepareCommit => from == Ongoing,
        PrepareAbort => matches!(from, Ongoing | Empty | CompleteCommit | CompleteAbort),
        CompleteCommit => from == PrepareCommit,
        CompleteAbort => from == PrepareAbort,
    }
}

#[test]
fn in_any_order_states_follow_as_they_may_and_epochs_rise() {
    for seed in 0..300 {
        let mut chance = Chance::new(seed);
        let mut rig = Rig::new(if seed % 3 == 0 { TV0 } else { TV2 });
        let mut last: Option<Value> = None;
        if seed % 2 == 0 {
            rig.set(State::Empty, LAST - 3, -1);
            last = Some(rig.known().value.clone());
        }
        for _ in 0..400 {
            rig.env.now = rig.env.now.plus(chance.below(5000) as i64);
            let known = rig.machine.all.get(&id()).map_or(producer(1, 0), Transaction::producer);
            let by = match chance.below(6) {
                0 => (known.0, ProducerEpoch(known.1.0.saturating_sub(1))),
                1 => (ProducerId(7), ProducerEpoch(LAST)),
                _ => known,
            };
            let version = if chance.below(3) == 0 { TV0 } else { rig.env.version };
            match chance.below(12) {
                0 => drop(rig.init(None)),
                1 => drop(rig.init(Some(by))),
                2..=4 => drop(rig.add(by, version, &[partition("t", chance.below(3) as i32)])),
                5..=7 => drop(rig.end(by, chance.below(2) == 0, version)),
                8 if rig.machine.is_decided(&id()) => rig.settle(),
                8 | 9 => {
                    let now = rig.env.now.0;
                    rig.tick_at(now);
                }
                10 => {
                    rig.ask(Request::Written { id: id(), producer: by });
                }
                _ => {
                    let before = rig.machine.all.get(&id()).map(|known| known.value.clone());
                    rig.reload();
                    let after = rig.machine.all.get(&id()).map(|known| known.value.clone());
                    // Before version 1 a record has no room for the id before.
                    let before = before.map(|value| match rig.env.version {
                        TV0 => Value { previous: ProducerId::NONE, ..value },
                        _ => value,
                    });
                    assert_eq!(after, before, "seed {seed}: a restart changed something");
                }
            }
            for record in rig.written.clone() {
                let value = record.value.unwrap();
                assert!(value.epoch.0 >= 0, "seed {seed}: {value:?}");
                assert!(value.state == State::Empty || value.started.0 >= 0, "seed {seed}: {value:?}");
                if let Some(last) = &last {
                    assert!(may_follow(last.state, value.state), "seed {seed}: {last:?}, then {value:?}");
                    let rises = value.producer != last.producer || value.epoch >= last.epoch;
                    assert!(rises, "seed {seed}: {last:?}, then {value:?}");
                    assert!(value.producer == last.producer || value.epoch.0 == 0, "seed {seed}: {value:?}");
                }
                last = Some(value);
            }
        }
    }
}
