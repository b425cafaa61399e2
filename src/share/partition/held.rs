//! A share partition on this broker: its machine behind one short lock, who waits for it, and what is to be kept of it.

use super::machine::{SharePartition, Write, WriteId};
use crate::model::{ErrorCode, GroupId, LeaderEpoch};
use crate::partition::{FetchWaiter, Partition};
use crate::share::persister::{Refused, SharedPartition, StateEpoch};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use tokio::sync::{Notify, oneshot};

/// Of which group, and of which partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub group: GroupId,
    pub at: SharedPartition,
}

/// See the module.
pub(super) struct Held {
    pub key: Key,
    pub partition: Arc<Partition>,
    /// In which this broker reads and writes its state.
    pub leader_epoch: LeaderEpoch,
    /// The newest epoch in which this broker is known to lead. One more than before, and it has led all the time.
    led: AtomicI32,
    state: Mutex<State>,
    /// Has whoever waits for the next lock to end look again.
    pub poke: Notify,
}

/// Under the lock.
pub(super) struct State {
    pub phase: Phase,
    waiters: Vec<Arc<FetchWaiter>>,
    /// Counts what somebody may wait for.
    changes: u64,
    /// To be kept, in order; the writer takes all of it at once.
    outbox: Vec<Outgoing>,
    /// Somebody writes, and takes what comes.
    writing: bool,
    /// Somebody waits for the next lock to end.
    pub alarmed: bool,
}

/// How far it has come.
pub(super) enum Phase {
    Loading,
    Active {
        machine: SharePartition,
        state_epoch: StateEpoch,
    },
    /// It could not be loaded, or is not this broker's any more.
    Gone(Refused),
}

/// A write on its way, and who wants to know what came of it.
pub(super) struct Outgoing {
    pub write: Write,
    pub then: Option<oneshot::Sender<Result<(), Refused>>>,
}

impl Held {
    pub(super) fn new(key: Key, partition: Arc<Partition>, leader_epoch: LeaderEpoch) -> Held {
        let state = State {
            phase: Phase::Loading,
            waiters: Vec::new(),
            changes: 0,
            outbox: Vec::new(),
            writing: false,
            alarmed: false,
        };
        let led = AtomicI32::new(leader_epoch.0);
        Held { key, partition, leader_epoch, led, state: Mutex::new(state), poke: Notify::new() }
    }

    /// Has `act` look at it, and tells those who wait if `act` says that there is something to get now.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State) -> (T, bool)) -> T {
        let mut state = self.state.lock();
        let (outcome, changed) = act(&mut state);
        if changed {
            state.changes += 1;
            state.waiters.drain(..).for_each(|waiter| waiter.wake());
        }
        outcome
    }

    /// Loading is over.
    pub(super) fn loaded(&self, outcome: Result<(SharePartition, StateEpoch), Refused>) {
        self.with(|state| {
            if matches!(state.phase, Phase::Loading) {
                state.phase = match outcome {
                    Ok((machine, state_epoch)) => Phase::Active { machine, state_epoch },
                    Err(refused) => Phase::Gone(refused),
                };
            }
            ((), true)
        });
    }

    /// It is not this broker's any more: nothing is given out, and what members say is refused.
    pub(super) fn fence(&self, code: ErrorCode) {
        self.with(|state| {
            if !matches!(state.phase, Phase::Gone(_)) {
                state.phase = Phase::Gone(Refused { code, message: None });
            }
            ((), true)
        });
        self.poke.notify_one();
    }

    /// Whether this broker has led ever since, now that it leads in `epoch`.
    pub(super) fn still_led(&self, epoch: LeaderEpoch) -> bool {
        let before = self.led.swap(epoch.0, Relaxed);
        epoch.0 <= before.saturating_add(1)
    }

    /// What has happened so far, to be told from what happens afterwards.
    pub(super) fn changes(&self) -> u64 {
        self.state.lock().changes
    }

    /// Has `waiter` woken by the next change; false if there was one since `seen`.
    pub(super) fn wait(&self, waiter: &Arc<FetchWaiter>, seen: u64) -> bool {
        let mut state = self.state.lock();
        if state.changes != seen {
            return false;
        }
        state.waiters.push(Arc::clone(waiter));
        true
    }

    /// Takes back [`Held::wait`].
    pub(super) fn stop_waiting(&self, waiter: &Arc<FetchWaiter>) {
        self.state.lock().waiters.retain(|waiting| !Arc::ptr_eq(waiting, waiter));
    }

    /// What is to be written next, all of it. `None`: nothing, and the writer ends.
    pub(super) fn take_outgoing(&self) -> Option<(StateEpoch, Vec<Outgoing>)> {
        let mut state = self.state.lock();
        let outgoing = std::mem::take(&mut state.outbox);
        let state_epoch = match &state.phase {
            Phase::Active { state_epoch, .. } if !outgoing.is_empty() => *state_epoch,
            phase => {
                let refused = match phase {
                    Phase::Gone(refused) => refused.clone(),
                    _ => Refused { code: ErrorCode::NOT_LEADER_OR_FOLLOWER, message: None },
                };
                state.writing = false;
                for then in outgoing.into_iter().filter_map(|outgoing| outgoing.then) {
                    // Whoever asked may have gone.
                    let _ = then.send(Err(refused.clone()));
                }
                return None;
            }
        };
        Some((state_epoch, outgoing))
    }

    /// Writes have come to their end. Answers whether locks may have to end now.
    pub(super) fn written(&self, ids: &[WriteId], kept: bool) -> bool {
        self.with(|state| {
            let Phase::Active { machine, .. } = &mut state.phase else { return (false, false) };
            let mut freed = false;
            for id in ids {
                freed |= machine.written(*id, kept);
            }
            (!kept, freed)
        })
    }
}

impl State {
    /// Has `outgoing` written; true if somebody has to begin with that.
    pub(super) fn send(&mut self, outgoing: Outgoing) -> bool {
        self.outbox.push(outgoing);
        !std::mem::replace(&mut self.writing, true)
    }
}
