//! DescribeTransactions and ListTransactions.

use super::{Env, Transaction, Transactions};
use crate::model::{ErrorCode, TimestampMs, TransactionalId};
use crate::txn::record::State;
use crate::txn::request::{Described, List, Listed};

impl Transactions {
    /// The state of each transactional id, and when the transaction began that is open.
    pub fn states(&self) -> impl Iterator<Item = (State, Option<TimestampMs>)> {
        self.all.values().map(|known| {
            let open = known.value.state == State::Ongoing;
            (known.value.state, open.then_some(known.value.started))
        })
    }

    pub(super) fn describe(&self, id: &TransactionalId) -> Result<Described, ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        let known = self.all.get(id).ok_or(ErrorCode::TRANSACTIONAL_ID_NOT_FOUND)?;
        Ok(Described {
            state: known.value.state,
            timeout_ms: known.value.timeout_ms,
            started: known.value.started,
            producer: known.producer(),
            partitions: known.value.partitions.clone(),
        })
    }

    pub(super) fn list(&self, env: &Env, list: &List) -> Vec<Listed> {
        let asked = |known: &Transaction| {
            let value = &known.value;
            (list.producers.is_empty() || list.producers.contains(&value.producer))
                && (!list.states_asked || list.states.contains(&value.state))
                // What was never begun began before everything.
                && (list.longer_than_ms < 0 || env.now.0.saturating_sub(value.started.0) > list.longer_than_ms)
        };
        let listed = |(id, known): (&TransactionalId, &Transaction)| Listed {
            id: id.clone(),
            producer: known.value.producer,
            state: known.value.state,
        };
        self.all.iter().filter(|(_, known)| asked(known)).map(listed).collect()
    }
}
