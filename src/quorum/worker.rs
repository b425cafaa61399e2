//! The thread that commits: takes all proposals that wait, writes them at once, syncs once, then
//! applies and publishes them one by one and answers.

use super::log::{Log, WriteError};
use super::tail::Tail;
use super::{Batch, Founding, Proposal, ProposeError, QuorumError, Settle, Shared, Term};
use crate::metadata::Replica;
use crate::model::LeaderEpoch;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

pub(super) fn start(
    shared: Arc<Shared>,
    log: Log,
    replica: Replica,
    epoch: LeaderEpoch,
    founding: Founding,
    tail: Arc<Tail>,
) -> io::Result<JoinHandle<()>> {
    let settle = match founding {
        Founding::Durable => None,
        Founding::Early { settle } => Some(settle),
    };
    std::thread::Builder::new().name("metadata".into()).spawn(move || {
        // A panic in a publisher must not leave callers waiting for ever.
        let last_words = LastWords(Arc::clone(&shared));
        let mut worker = Worker { shared, log, replica, epoch, settle, tail };
        match worker.run() {
            Ok(()) => last_words.0.fail(QuorumError::Stopped, false),
            Err(error) => last_words.0.fail(error, true),
        }
    })
}

struct LastWords(Arc<Shared>);

impl Drop for LastWords {
    fn drop(&mut self) {
        self.0.fail(QuorumError::Stopped, std::thread::panicking());
    }
}

impl Shared {
    /// Marks the log as failed, or stopped; the first word stands. Everyone who waits is told.
    pub(super) fn fail(&self, error: QuorumError, tell_node: bool) {
        let mut queue = self.queue.lock();
        let failure = Arc::clone(queue.failure.get_or_insert_with(|| Arc::new(error)));
        for proposal in queue.proposals.drain(..) {
            proposal.answer(Err(ProposeError::Failed(Arc::clone(&failure))));
        }
        drop(queue);
        if tell_node {
            tracing::error!(error = %failure, "the metadata log failed");
            self.failure.send_replace(Some(failure));
        }
    }
}

impl Proposal {
    pub(super) fn answer(self, result: Result<(), ProposeError>) {
        if let Some(done) = self.done {
            // Nobody waits any more: the client went away.
            let _ = done.send(result);
        }
    }
}

struct Worker {
    shared: Arc<Shared>,
    log: Log,
    replica: Replica,
    epoch: LeaderEpoch,
    /// To be called before the first sync.
    settle: Option<Settle>,
    tail: Arc<Tail>,
}

impl Worker {
    fn run(&mut self) -> Result<(), QuorumError> {
        while let Some(proposals) = self.take() {
            let batches: Vec<&Batch> = proposals.iter().filter_map(|p| p.batch.as_ref()).collect();
            let founds_early = self.settle.is_some() && self.log.is_new();
            match self.log.write(&batches, self.epoch) {
                Ok(()) if founds_early => {
                    self.commit(proposals)?;
                    self.sync()?;
                }
                Ok(()) => {
                    if !batches.is_empty() {
                        self.sync()?;
                    }
                    self.commit(proposals)?;
                }
                Err(WriteError::Undone(error)) => self.end_term(proposals, error),
                Err(WriteError::Fatal(error)) => return Err(error),
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), QuorumError> {
        if let Some(settle) = self.settle.take() {
            settle().map_err(|error| self.log.failed(error))?;
        }
        self.log.sync()
    }

    /// All proposals that wait, or `None` when it is time to stop.
    fn take(&self) -> Option<Vec<Proposal>> {
        let mut queue = self.shared.queue.lock();
        queue.working = false;
        // The batch that begins the epoch waits for company.
        while queue.proposals.iter().all(|p| p.done.is_none()) {
            if queue.stopping {
                return None;
            }
            self.shared.wake.wait(&mut queue);
        }
        queue.working = true;
        Some(queue.proposals.drain(..).collect())
    }

    fn commit(&mut self, proposals: Vec<Proposal>) -> Result<(), QuorumError> {
        for mut proposal in proposals {
            if let Some(batch) = proposal.batch.take() {
                let (base, next) = (batch.first(), batch.last.next());
                self.shared.queue.lock().pending -= if batch.records.is_empty() { 0 } else { batch.bytes.len() };
                if !batch.records.is_empty() {
                    let applied = self.replica.commit(batch.records, batch.last, self.epoch.0);
                    applied.map_err(|error| QuorumError::Apply(batch.last, error))?;
                }
                let stable = (!self.replica.in_transaction()).then(|| self.replica.store().image());
                self.tail.push(base, next, batch.bytes, stable.as_ref());
            }
            proposal.answer(Ok(()));
        }
        if !self.replica.in_transaction() {
            self.log.snapshot_if_due(&self.replica.store().load())?;
        }
        Ok(())
    }

    /// Nothing of `proposals` is in the log. All that was decided on top of them goes with them.
    fn end_term(&self, proposals: Vec<Proposal>, error: io::Error) {
        let error = Arc::new(error);
        tracing::error!(%error, "metadata could not be written; the changes that waited are refused");
        let mut queue = self.shared.queue.lock();
        queue.term = queue.term.map(|term| Term(term.0 + 1));
        queue.next = self.log.end();
        queue.pending = 0;
        let rest: Vec<Proposal> = queue.proposals.drain(..).collect();
        let term = queue.term;
        self.shared.leadership.send_modify(|now| now.term = term);
        drop(queue);
        for proposal in proposals.into_iter().chain(rest) {
            proposal.answer(Err(ProposeError::Write(Arc::clone(&error))));
        }
    }
}
