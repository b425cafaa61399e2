//! What becomes of records that members have: what they say of them, locks that end, members that go; and that it is kept.
//!
//! Of one share partition one write is on its way at a time, and takes with it what was decided while the last one was.
//! It goes on when whoever asked has gone, so that nothing stays undecided.

use super::held::{Held, Outgoing, Phase};
use super::machine::{Acknowledgement, Rejected, WriteId};
use super::shares::{Shares, as_told, refused};
use crate::model::{ErrorCode, GroupId, MemberId};
use crate::rt::clock;
use crate::share::persister::{Refused, ShareWrite, SharedPartition};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Comes true with what was kept.
type Kept = oneshot::Receiver<Result<(), Refused>>;

impl Shares {
    /// Does what a member says of its records, in the partitions' order. Done when it is kept.
    pub async fn acknowledge(
        self: &Arc<Self>,
        group: &GroupId,
        member: &MemberId,
        said: &[(SharedPartition, Vec<Acknowledgement>)],
    ) -> Vec<Result<(), Refused>> {
        let begun: Vec<Result<Option<Kept>, Refused>> =
            said.iter().map(|(at, said)| self.begin(group, member, *at, said)).collect();
        let mut outcomes = Vec::with_capacity(begun.len());
        for begun in begun {
            outcomes.push(match begun {
                Err(refused) => Err(refused),
                Ok(None) => Ok(()),
                // The writer is gone only when the broker stops.
                Ok(Some(kept)) => kept.await.unwrap_or(Err(refused(ErrorCode::NOT_LEADER_OR_FOLLOWER))),
            });
        }
        outcomes
    }

    fn begin(
        self: &Arc<Self>,
        group: &GroupId,
        member: &MemberId,
        at: SharedPartition,
        said: &[Acknowledgement],
    ) -> Result<Option<Kept>, Refused> {
        let held = self.get(group, at).ok_or(refused(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))?;
        let terms = self.terms(group);
        let (kept, begins) = held.with(|state| {
            let machine = match &mut state.phase {
                Phase::Active { machine, .. } => machine,
                Phase::Gone(refused) => return (Err(refused.clone()), false),
                // As nobody can have got anything of it yet.
                Phase::Loading => return (Err(told(Rejected::NOT_FOUND)), false),
            };
            let write = match machine.acknowledge(member, said, &terms, clock::steady_ms()) {
                Err(rejected) => return (Err(told(rejected)), false),
                Ok(None) => return (Ok((None, false)), false),
                Ok(Some(write)) => write,
            };
            let (then, kept) = oneshot::channel();
            let begins = state.send(Outgoing { write, then: Some(then) });
            (Ok((Some(kept), begins)), false)
        })?;
        if begins {
            self.write(&held);
        }
        Ok(kept)
    }

    /// Gives back what a member holds in these partitions. Done when it is kept, or cannot be.
    pub(super) async fn release(self: &Arc<Self>, group: &GroupId, member: &MemberId, partitions: &[SharedPartition]) {
        let terms = self.terms(group);
        let mut waiting = Vec::new();
        for held in partitions.iter().filter_map(|at| self.get(group, *at)) {
            let begins = held.with(|state| {
                let Phase::Active { machine, .. } = &mut state.phase else { return (false, false) };
                let Some(write) = machine.release(member, &terms) else { return (false, false) };
                let (then, kept) = oneshot::channel();
                waiting.push(kept);
                (state.send(Outgoing { write, then: Some(then) }), false)
            });
            if begins {
                self.write(&held);
            }
        }
        for kept in waiting {
            if let Ok(Err(refused)) = kept.await {
                tracing::debug!(%group, %member, ?refused, "records of a member that left wait for their locks to end");
            }
        }
    }

    /// Writes what is to be kept of it, until there is no more.
    fn write(self: &Arc<Self>, held: &Arc<Held>) {
        let (shares, held) = (Arc::clone(self), Arc::clone(held));
        self.spawn(async move {
            while let Some((state_epoch, outgoing)) = held.take_outgoing() {
                let Some(newest) = outgoing.last().map(|outgoing| &outgoing.write) else { continue };
                let write = ShareWrite {
                    at: held.key.at,
                    state_epoch,
                    leader_epoch: held.leader_epoch.0,
                    start_offset: Some(newest.start),
                    delivery_complete_count: newest.complete,
                    batches: outgoing.iter().flat_map(|outgoing| outgoing.write.batches.iter().copied()).collect(),
                };
                let mut kept = shares.persister.write(&held.key.group, vec![write]).await;
                let kept = kept.pop().unwrap_or_else(|| Err(refused(ErrorCode::UNKNOWN_SERVER_ERROR)));
                let kept = kept.map_err(as_told);
                let ids: Vec<WriteId> = outgoing.iter().map(|outgoing| outgoing.write.id).collect();
                if held.written(&ids, kept.is_ok()) {
                    shares.watch_locks(&held);
                }
                if let Err(refused) = &kept {
                    tracing::debug!(partition = %held.partition.name(), ?refused, "deliveries could not be kept");
                    if ends_it(refused.code) {
                        shares.drop_fenced(&held, refused.code);
                    }
                }
                for then in outgoing.into_iter().filter_map(|outgoing| outgoing.then) {
                    // Whoever asked may have gone.
                    let _ = then.send(kept.clone());
                }
            }
        });
    }

    /// Has the locks of a share partition end at their time.
    pub(super) fn watch_locks(self: &Arc<Self>, held: &Arc<Held>) {
        if held.with(|state| (std::mem::replace(&mut state.alarmed, true), false)) {
            held.poke.notify_one();
            return;
        }
        let (shares, held) = (Arc::clone(self), Arc::clone(held));
        self.spawn(async move {
            while let Some(deadline_ms) = shares.end_locks(&held) {
                let wait = u64::try_from(deadline_ms.saturating_sub(clock::steady_ms())).unwrap_or(0);
                let at = Instant::from_std(clock::now()) + Duration::from_millis(wait);
                tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = held.poke.notified() => {}
                }
            }
        });
    }

    /// Ends the locks whose time is over; answers when the next one ends. `None`: there is none, and nobody watches.
    fn end_locks(self: &Arc<Self>, held: &Arc<Held>) -> Option<i64> {
        let terms = self.terms(&held.key.group);
        let (next, begins) = held.with(|state| {
            let Phase::Active { machine, .. } = &mut state.phase else {
                state.alarmed = false;
                return ((None, false), false);
            };
            let ended = machine.expire(clock::steady_ms(), &terms);
            let next = machine.next_deadline();
            state.alarmed = next.is_some();
            let freed = ended.is_some();
            let begins = ended.is_some_and(|write| state.send(Outgoing { write, then: None }));
            ((next, begins), freed)
        });
        if begins {
            self.write(held);
        }
        next
    }
}

fn told(rejected: Rejected) -> Refused {
    Refused { code: rejected.code, message: Some(rejected.message.to_owned()) }
}

/// Errors that say that somebody else has the share partition, or nobody (`fencedSharePartitionHandler`).
pub(super) fn ends_it(code: ErrorCode) -> bool {
    [
        ErrorCode::NOT_LEADER_OR_FOLLOWER,
        ErrorCode::FENCED_STATE_EPOCH,
        ErrorCode::GROUP_ID_NOT_FOUND,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
    ]
    .contains(&code)
}
