//! The runtime that hosts a state machine on each partition of an internal topic.
//!
//! A request becomes records plus an answer. The machine has acted on its records when the step ends; the runtime appends
//! them as one batch through the ordinary partition, and no answer of the step or of a later one, error or not, leaves before
//! they are committed. Replay is the only way state is rebuilt: a shard whose append fails is dropped and loaded again, and
//! whoever waited at it is told to look for the coordinator again.
//!
//! Kafka's `CoordinatorRuntime` keeps two copies of the state, the uncommitted and the committed one, to answer reads from
//! the latter. Here a read is answered from the one there is, once everything it may have seen is committed.

pub mod runtime;
pub mod timers;
mod alarms;
mod fields;
mod load;
mod placing;
mod shard;
#[cfg(test)]
mod tests;

pub use fields::Fields;
pub use placing::{for_clients, partition_for, partition_of};
pub use runtime::{Host, Limits, Runtime};
pub use timers::Timers;

use crate::model::{Offset, ProducerEpoch, ProducerId, TimestampMs};
use std::convert::Infallible;

/// Stands for a request until it is answered. Unique within a shard's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A record for the shard's partition: key, and value or tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

/// What a step wants done. Records are appended as one batch, in order, before any of the replies leaves.
#[derive(Debug)]
pub struct Effects<R, T = Infallible> {
    pub records: Vec<Written>,
    pub replies: Vec<(Ticket, R)>,
    /// What is to be done outside, once everything appended so far is committed.
    pub then: Vec<T>,
    /// The transaction that the records belong to.
    pub producer: Option<(ProducerId, ProducerEpoch)>,
}

impl<R, T> Default for Effects<R, T> {
    fn default() -> Effects<R, T> {
        Effects { records: Vec::new(), replies: Vec::new(), then: Vec::new(), producer: None }
    }
}

impl<R, T> Effects<R, T> {
    pub fn reply(&mut self, to: Ticket, reply: R) {
        self.replies.push((to, reply));
    }
}

/// What comes to a machine.
#[derive(Debug)]
pub enum Input<R, C> {
    /// A request. It is answered in this step or in any later one, once.
    Request(Ticket, R),
    /// [`Machine::next_deadline`] has come.
    Tick,
    /// Everything was replayed and this broker coordinates the shard: timers start.
    Loaded,
    /// The metadata of the cluster changed.
    Changed(C),
}

/// A record as replay meets it.
#[derive(Clone, Copy, Debug)]
pub enum Replayed<'a> {
    Record {
        key: &'a [u8],
        value: Option<&'a [u8]>,
        /// Set if the record belongs to a transaction: it counts once [`Replayed::Ended`] says so.
        producer: Option<(ProducerId, ProducerEpoch)>,
    },
    /// The marker of a transaction's end.
    Ended { producer: (ProducerId, ProducerEpoch), committed: bool },
}

/// The bytes of a record are not what this machine writes; the reason is for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadRecord(pub String);

/// A pure state machine: no clock, no chance, no task. The same inputs give the same effects.
pub trait Machine: Send + 'static {
    type Request: Send + 'static;
    type Reply: Send + 'static;
    /// What the machine cannot do itself ([`Effects::then`]).
    type Task: Send + 'static;
    /// What the machine sees of the outside at a step: the time, the metadata, the settings, a fresh id.
    type Env: Send + Sync;
    /// A change of the metadata.
    type Change: Clone + Send + Sync;

    fn step(
        &mut self,
        env: &Self::Env,
        input: Input<Self::Request, Self::Change>,
        out: &mut Effects<Self::Reply, Self::Task>,
    );

    /// Takes a record that a machine like this one wrote.
    ///
    /// # Errors
    /// The record cannot be read. It is logged and left out, as in Kafka (`CoordinatorLoaderImpl`).
    fn replay(&mut self, record: Replayed<'_>) -> Result<(), BadRecord>;

    /// The records of the last step, or the one replayed last, lie in the log from `first` on. For machines that care where.
    fn placed(&mut self, first: Offset) {
        let _ = first;
    }

    /// When to call with [`Input::Tick`] at the latest. `None`: nothing is waited for.
    fn next_deadline(&self) -> Option<TimestampMs>;
}
