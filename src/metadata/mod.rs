//! The cluster's metadata: records, the immutable image, what changed, and who is told.
//!
//! ```text
//! record  ── the cluster log's records, in Kafka's own KRaft format
//!   └► Image::apply ──► (Image, Delta) ──► Store ──► Publisher, Publisher, …
//! ```
//!
//! [`Image`] is what the cluster is at one offset of its log. It never changes: applying records
//! gives a new one that shares everything untouched with the old. [`Delta`] lists the difference.
//! [`Store`] holds the newest image and tells its publishers, in order, before any answer leaves.

mod acls;
mod apply;
mod delta;
mod image;
pub mod record;
mod replica;
mod security;
mod sorted;
mod store;

pub use acls::Acls;
pub use apply::{ApplyError, Change};
pub use delta::{Delta, TopicDelta};
pub use image::{
    BrokerImage, ConfigResource, DirectoryId, Endpoint, Image, PartitionImage, Replicas, ResourceType, TopicImage,
};
pub use record::Record;
pub use replica::Replica;
pub use security::{DelegationToken, QuotaEntity, QuotaName, QuotaType, Quotas, UserCredentials};
pub use sorted::SortedMap;
pub use store::{Publisher, Store};
