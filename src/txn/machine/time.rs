//! What time does: transactions that take too long are aborted, ids that nobody uses are forgotten
//! (`abortTimedOutTransactions`, `removeExpiredTransactionalIds`). Both are looked for at intervals, as in Kafka, the
//! former only while a transaction is ongoing.

use super::{Env, Out, Scan, Task, Transactions};
use crate::model::{ErrorCode, ProducerId, TimestampMs, TransactionalId};
use crate::txn::record::{Record, State};
use crate::txn::request::Producer;

impl Transactions {
    /// Everything was replayed: what was decided goes on, and time begins to count.
    pub(super) fn loaded(&mut self, env: &Env, out: &mut Out) {
        let decided = self.all.iter().filter(|(_, known)| known.is_decided()).map(|(id, _)| id);
        out.then.extend(decided.cloned().map(Task::Settle));
        self.scans.arm(Scan::TimedOut, env.now.plus(env.abort_every_ms));
        self.scans.arm(Scan::Unused, env.now.plus(env.expire_every_ms));
    }

    /// The next scan that has something to do.
    pub(super) fn deadline(&self) -> Option<TimestampMs> {
        let unused = self.scans.deadline(&Scan::Unused).filter(|_| !self.all.is_empty());
        let timed_out = self.scans.deadline(&Scan::TimedOut).zip(self.timeouts.next());
        let timed_out = timed_out.map(|(scan, timeout)| scan.max(timeout));
        unused.into_iter().chain(timed_out).min()
    }

    pub(super) fn tick(&mut self, env: &Env, out: &mut Out) {
        while let Some(scan) = self.scans.pop_due(env.now) {
            match scan {
                Scan::TimedOut => {
                    self.scans.arm(scan, env.now.plus(env.abort_every_ms));
                    self.abort_all_timed_out(env, out);
                }
                Scan::Unused => {
                    self.scans.arm(scan, env.now.plus(env.expire_every_ms));
                    self.forget_unused(env, out);
                }
            }
        }
    }

    fn abort_all_timed_out(&mut self, env: &Env, out: &mut Out) {
        while let Some(id) = self.timeouts.pop_due(env.now) {
            if self.fence(env, &id, None, out).is_some() {
                continue;
            }
            if let Some(known) = self.all.get(&id) {
                out.then.push(Task::TimedOut(id.clone(), known.producer()));
                // In case nobody comes with a producer id: looked at again with the next scan.
                self.timeouts.arm(id, env.now.plus(1));
            }
        }
    }

    /// With a producer id, for a transaction whose epochs are used up.
    pub(super) fn abort_timed_out(
        &mut self,
        env: &Env,
        id: &TransactionalId,
        producer: Producer,
        fresh: Option<ProducerId>,
        out: &mut Out,
    ) -> ErrorCode {
        // It may have ended, and another begun, since.
        let is_due = self.timeouts.deadline(id).is_some_and(|at| at <= env.now.plus(1));
        match self.all.get(id) {
            Some(known) if is_due && known.producer() == producer => {
                self.fence(env, id, fresh, out).unwrap_or(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS)
            }
            _ => ErrorCode::INVALID_TXN_STATE,
        }
    }

    fn forget_unused(&mut self, env: &Env, out: &mut Out) {
        let before = env.now.plus(-env.id_expiration_ms);
        let unused = |state| matches!(state, State::Empty | State::CompleteCommit | State::CompleteAbort);
        let expired: Vec<TransactionalId> = self
            .all
            .iter()
            .filter(|(_, known)| unused(known.value.state) && known.value.updated <= before)
            .map(|(id, _)| id.clone())
            .collect();
        for id in expired {
            out.records.push(Record { id: id.clone(), value: None }.encode(env.version));
            self.set(&id, None);
        }
    }
}
