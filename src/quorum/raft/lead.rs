//! Two tasks beside openraft: one watches who leads and says when this node is active, the other brings what is proposed
//! to the log, as much at a time as waits.
//!
//! Active is a leader that has applied its whole log and is in touch with a majority. Before it becomes so, everything
//! that an earlier term of its own sent to openraft has been taken up or refused (see `Watcher::activate`), so that the offsets which
//! are given out are the ones that the batches get.

use super::Member;
use super::state::State;
use super::store::LogStore;
use super::types::{Outcome, Proposed, TypeConfig, epoch, node_id};
use crate::model::TimestampMs;
use crate::quorum::{Batch, Leadership, Proposal, ProposeError, QuorumError, Shared, Term};
use crate::record::build::BatchBuilder;
use crate::record::{BadBatch, BatchHeader, records};
use bytes::Bytes;
use openraft::{Raft, ServerState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the touch with the majority and the need for a snapshot are looked at when nothing else happens.
const TICK: Duration = Duration::from_millis(100);
/// A batch that several proposals share grows no further.
const MERGED_BYTES_MAX: usize = 1 << 20;

pub(super) fn start(member: &Member, shared: Arc<Shared>, out_of_touch: Duration, snapshot_bytes: u64) {
    let watcher = Watcher {
        raft: member.raft.clone(),
        log: member.log.clone(),
        state: member.state.clone(),
        shared: Arc::clone(&shared),
        paused: Arc::clone(&member.paused),
        out_of_touch,
        snapshot_bytes,
        active: None,
        terms: 0,
    };
    tokio::spawn(watcher.run(member.stopping.clone()));
    tokio::spawn(pump(member.raft.clone(), shared, member.stopping.clone()));
}

struct Watcher {
    raft: Raft<TypeConfig>,
    log: LogStore,
    state: State,
    shared: Arc<Shared>,
    paused: Arc<AtomicBool>,
    out_of_touch: Duration,
    snapshot_bytes: u64,
    /// The raft term in which this node is active.
    active: Option<u64>,
    /// How many times it became so.
    terms: u64,
}

impl Watcher {
    async fn run(mut self, stopping: CancellationToken) {
        let mut metrics = self.raft.metrics();
        loop {
            let now = metrics.borrow_and_update().clone();
            if let Err(fatal) = &now.running_state {
                self.depose();
                let stopped = stopping.is_cancelled();
                self.shared.fail(QuorumError::Raft(fatal.to_string()), !stopped);
                return;
            }
            let touch = now.millis_since_quorum_ack.is_some_and(|ms| u128::from(ms) <= self.out_of_touch.as_millis());
            let leads = now.state == ServerState::Leader && touch && !self.paused.load(Ordering::SeqCst);
            if self.active.is_some_and(|term| !leads || term != now.current_term) {
                self.depose();
            }
            if leads && self.active.is_none() {
                self.activate(now.current_term).await;
            }
            let leader = now.current_leader.map(node_id).filter(|_| now.state != ServerState::Leader || touch);
            self.publish(now.current_term, leader);
            if leader.is_some() && !*self.shared.ready.borrow() {
                let last = self.log.log().lock().last();
                let begun = last.is_some_and(|id| id.leader_id.term == now.current_term);
                if begun && self.state.applied() == last.map(|id| id.index) {
                    self.shared.ready.send_replace(true);
                }
            }
            if self.state.since_snapshot() >= self.snapshot_bytes
                && !self.state.in_transaction()
                && let Err(error) = self.raft.trigger().snapshot().await
            {
                tracing::warn!(%error, "cannot ask for a metadata snapshot");
            }
            tokio::select! {
                () = stopping.cancelled() => {
                    self.depose();
                    self.shared.fail(QuorumError::Stopped, false);
                    return;
                }
                changed = metrics.changed() => if changed.is_err() {
                    self.depose();
                    self.shared.fail(QuorumError::Stopped, !stopping.is_cancelled());
                    return;
                },
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    fn publish(&self, term: u64, leader: Option<crate::model::NodeId>) {
        let deciding = self.shared.queue.lock().term;
        let now = Leadership { epoch: epoch(term), leader, term: deciding };
        self.shared.learn(now);
    }

    /// Takes up the decisions of `term` once nothing is on its way to the log and all of it is applied.
    async fn activate(&mut self, term: u64) {
        // Requests to openraft are answered in order: what was sent before this is in the log or refused.
        let flushed = self.raft.with_raft_state(|state| *state.vote_ref()).await;
        let Ok(vote) = flushed else { return };
        let (last, end) = {
            let log = self.log.log().lock();
            (log.last(), log.end())
        };
        let begun = last.is_some_and(|id| id.leader_id.term == term);
        if !vote.is_committed()
            || vote.leader_id.term != term
            || !begun
            || self.state.applied() != last.map(|id| id.index)
        {
            return;
        }
        self.terms += 1;
        let mut queue = self.shared.queue.lock();
        queue.term = Some(Term(self.terms));
        (queue.next, queue.epoch) = (end, epoch(term));
        drop(queue);
        self.active = Some(term);
        tracing::info!(epoch = term, offset = %end, "this node is the active controller");
    }

    /// What waits to be proposed is refused; what is on its way is of unknown outcome.
    fn depose(&mut self) {
        if self.active.take().is_none() {
            return;
        }
        let mut queue = self.shared.queue.lock();
        queue.term = None;
        queue.pending = 0;
        let rest: Vec<Proposal> = queue.proposals.drain(..).collect();
        drop(queue);
        self.shared.leadership.send_modify(|known| known.term = None);
        for proposal in rest {
            proposal.answer(Err(ProposeError::TermOver));
        }
        tracing::info!("this node is no longer the active controller");
    }
}

/// Brings proposals to the log, one entry at a time; those that came meanwhile share the next.
async fn pump(raft: Raft<TypeConfig>, shared: Arc<Shared>, stopping: CancellationToken) {
    loop {
        let taken = {
            let mut queue = shared.queue.lock();
            queue.working = !queue.proposals.is_empty();
            queue.term.filter(|_| queue.working).map(|term| (term, queue.epoch, take(&mut queue.proposals)))
        };
        let Some((term, epoch, proposals)) = taken else {
            tokio::select! {
                () = shared.proposed.notified() => continue,
                () = stopping.cancelled() => return,
            }
        };
        let outcome = match merge(proposals.iter().filter_map(|proposal| proposal.batch.as_ref())) {
            Ok(None) => Ok(()),
            Ok(Some(batch)) => {
                let mut leadership = shared.leadership.subscribe();
                tokio::select! {
                    written = raft.client_write(Proposed { epoch, batch }) => match written {
                        Ok(done) if done.data == Outcome::Applied => Ok(()),
                        // Not this term's log any more: it is not in it, or void there.
                        Ok(_) => Err(ProposeError::TermOver),
                        Err(error) if error.forward_to_leader::<crate::quorum::Voter>().is_some() => Err(ProposeError::TermOver),
                        Err(error) => Err(ProposeError::Failed(Arc::new(QuorumError::Raft(error.to_string())))),
                    },
                    _ = leadership.wait_for(|now| now.term != Some(term)) => Err(ProposeError::Unknown),
                    () = stopping.cancelled() => Err(ProposeError::Unknown),
                }
            }
            Err(error) => Err(ProposeError::Failed(Arc::new(QuorumError::Raft(error.to_string())))),
        };
        let bytes: usize = proposals.iter().filter_map(|p| p.batch.as_ref()).map(|batch| batch.bytes.len()).sum();
        {
            let mut queue = shared.queue.lock();
            if queue.term == Some(term) {
                queue.pending = queue.pending.saturating_sub(bytes);
            }
        }
        for proposal in proposals {
            proposal.answer(outcome.clone());
        }
    }
}

/// As many proposals as share a batch.
fn take(from: &mut std::collections::VecDeque<Proposal>) -> Vec<Proposal> {
    let (mut taken, mut bytes) = (Vec::new(), 0);
    while let Some(next) = from.front() {
        let size = next.batch.as_ref().map_or(0, |batch| batch.bytes.len());
        if bytes > 0 && bytes + size > MERGED_BYTES_MAX {
            break;
        }
        bytes += size;
        taken.extend(from.pop_front());
    }
    taken
}

/// One batch with the records of all, in order.
fn merge<'a>(batches: impl Iterator<Item = &'a Batch>) -> Result<Option<Bytes>, BadBatch> {
    let batches: Vec<&Batch> = batches.collect();
    let [first, rest @ ..] = &batches[..] else { return Ok(None) };
    if rest.is_empty() {
        return Ok(Some(first.bytes.clone()));
    }
    let head = BatchHeader::parse(&first.bytes)?;
    let mut merged = BatchBuilder::new(head.base_offset).leader_epoch(head.leader_epoch);
    for batch in batches {
        let header = BatchHeader::parse(&batch.bytes)?;
        let payload = records::open(&header, &batch.bytes, usize::MAX)?;
        for record in records::Records::new(&header, &payload)? {
            let record = record?;
            merged.push(TimestampMs(header.base_timestamp.0), None, record.value, &[]);
        }
    }
    merged.build().map(Some)
}
