//! The words of the program: typed ids, offsets, epochs and error codes.
//!
//! Everything here is plain data. A bare integer never stands for an offset, an epoch or an id
//! outside this module and the edges that encode it.

mod acl;
mod deliveries;
mod error_code;
mod groups;
mod ids;
mod position;
mod principal;
mod scram;

pub use acl::{
    Acl, AclFilter, AclRequest, Asked, AskedPattern, CLUSTER_NAME, Coded, Operation, Pattern, Permission, ResourceKind,
    WILDCARD,
};
pub use deliveries::{
    Delivery, Refused, ShareState, ShareSummary, ShareWrite, SharedPartition, StateBatch, StateEpoch,
};
pub use error_code::ErrorCode;
pub use groups::{Generation, GroupEpoch, GroupId, InstanceId, MemberId, TransactionalId};
pub use ids::{NodeId, PartitionId, ProducerEpoch, ProducerId, Sequence, TopicId, TopicName, TopicPartition};
pub use position::{LeaderEpoch, Offset, TimestampMs};
pub use principal::{Principal, ScramCredential, ScramMechanism};
