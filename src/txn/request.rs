//! What is asked of the machine of transactions, and what it answers.
//!
//! The machine cannot make producer ids up. A request that may need one carries it as `fresh`; where it is missing and
//! needed the answer is [`Reply::NeedsProducer`], nothing has happened, and the request is to be made again with one.

use super::record::{Partitions, State};
use crate::model::{ErrorCode, PartitionId, ProducerEpoch, ProducerId, TimestampMs, TopicName, TransactionalId};

/// A producer as a request or an answer names it: its id and epoch.
pub type Producer = (ProducerId, ProducerEpoch);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    Init(Init),
    Add(Add),
    Verify(Verify),
    End(End),
    /// The broker itself aborts a transaction whose time is up, its producer's epochs being used up.
    TimedOut {
        id: TransactionalId,
        producer: Producer,
        fresh: ProducerId,
    },
    /// What is to be written for a transaction that is decided. `None`: nothing (any more).
    Due(TransactionalId),
    /// All partitions of the transaction have its end.
    Written {
        id: TransactionalId,
        producer: Producer,
    },
    /// Answered when no end of the transaction is due, or too many wait for that.
    Settled(TransactionalId),
    Describe(TransactionalId),
    List(List),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Init(Result<Producer, ErrorCode>),
    Add(ErrorCode),
    /// One for each partition, in the request's order, or one for all of them.
    Verify(Result<Vec<ErrorCode>, ErrorCode>),
    /// How the producer goes on, where its `transaction.version` has it told so; else nothing.
    End(Result<Option<Producer>, ErrorCode>),
    TimedOut(ErrorCode),
    Due(Option<Due>),
    Written(ErrorCode),
    Settled,
    Describe(Result<Described, ErrorCode>),
    List(Vec<Listed>),
    NeedsProducer,
}

/// InitProducerId, with a transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init {
    pub id: TransactionalId,
    pub timeout_ms: i32,
    /// What the producer had before, if it recovers (KIP-360).
    pub expected: Option<Producer>,
    pub fresh: Option<ProducerId>,
}

/// AddPartitionsToTxn, one transaction; also AddOffsetsToTxn, and what a first write adds (KIP-890).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Add {
    pub id: TransactionalId,
    pub producer: Producer,
    pub partitions: Vec<(TopicName, PartitionId)>,
    /// The `transaction.version` that the client acts by.
    pub version: i16,
}

/// AddPartitionsToTxn that only asks (KIP-890).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verify {
    pub id: TransactionalId,
    pub producer: Producer,
    pub partitions: Vec<(TopicName, PartitionId)>,
}

/// EndTxn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub id: TransactionalId,
    pub producer: Producer,
    pub commit: bool,
    /// As in [`Add`].
    pub version: i16,
    pub fresh: Option<ProducerId>,
}

/// The end of a transaction, to be written into its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub producer: Producer,
    pub commit: bool,
    pub partitions: Partitions,
    /// The `transaction.version` that the markers are checked by.
    pub version: i16,
}

/// DescribeTransactions, one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    pub state: State,
    pub timeout_ms: i32,
    /// -1: there was none.
    pub started: TimestampMs,
    pub producer: Producer,
    pub partitions: Partitions,
}

/// ListTransactions. An empty filter lets everything through.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct List {
    /// States that exist; a filter of none that exists is no empty one, see `states_asked`.
    pub states: Vec<State>,
    pub states_asked: bool,
    pub producers: Vec<ProducerId>,
    /// Only what began longer ago than this; negative: all.
    pub longer_than_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub id: TransactionalId,
    pub producer: ProducerId,
    pub state: State,
}
