//! The records of the cluster log, in Kafka's KRaft format.
//!
//! A record is an unsigned varint frame version (1), the type, the version of the message, and the
//! message in its flexible encoding. So Apache Kafka's tools read our log, and a log written by
//! Apache Kafka 3.3 to 4.3 is replayed here.
//!
//! Types that Klamm acts on have a struct; types it knows but does not act on yet
//! (controller registrations) are kept as they are ([`Opaque`]) so that a snapshot
//! loses nothing. Anything else is refused.
//!
//! Which version of a message is written follows from the cluster's `metadata.version`.

mod acl;
mod broker;
mod credential;
mod topic;
mod wire;

pub use acl::AclRecord;
pub use broker::{BrokerChange, RegisterBroker};
pub use credential::{ClientQuota, UserScramCredential};
pub use topic::{PartitionChange, PartitionRecord};

use crate::metadata::image::ConfigResource;
use crate::metadata::image::ResourceType;
use crate::metadata::security::DelegationToken;
use crate::model::{NodeId, ProducerId, ScramMechanism, TopicId, TopicName};
use uuid::Uuid;
use wire::{Reader, Tags, Write as _};

/// Why bytes are not a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    #[error("it ends too early")]
    Truncated,
    #[error("unknown frame version {0}, expected 1")]
    Frame(i16),
    #[error("unknown record type {0}; it was written by software newer than Apache Kafka 4.3")]
    Type(i16),
    #[error("version {version} of record type {kind} is not known; the newest known is {newest}")]
    Version { kind: i16, version: i16, newest: i16 },
    #[error("{0} byte(s) of garbage after the record")]
    Garbage(usize),
    #[error("it holds {0}")]
    Invalid(&'static str),
}

/// A record of a type that is known but not acted on yet, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opaque {
    pub kind: i16,
    pub version: i16,
    pub body: Box<[u8]>,
}

/// A record of the cluster log.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    RegisterBroker(RegisterBroker),
    UnregisterBroker {
        broker: NodeId,
        epoch: i64,
    },
    Topic {
        name: TopicName,
        id: TopicId,
    },
    Partition(PartitionRecord),
    Config {
        resource: ConfigResource,
        key: String,
        /// `None` removes the key.
        value: Option<String>,
    },
    PartitionChange(PartitionChange),
    FenceBroker {
        broker: NodeId,
        epoch: i64,
    },
    UnfenceBroker {
        broker: NodeId,
        epoch: i64,
    },
    RemoveTopic {
        id: TopicId,
    },
    Feature {
        name: String,
        /// 0: off.
        level: i16,
    },
    ProducerIds {
        broker: NodeId,
        broker_epoch: i64,
        /// The first id of the next block.
        next: ProducerId,
    },
    BrokerChange(BrokerChange),
    Acl(AclRecord),
    RemoveAcl {
        id: Uuid,
    },
    NoOp,
    BeginTransaction {
        name: Option<String>,
    },
    EndTransaction,
    AbortTransaction {
        reason: Option<String>,
    },
    /// Forgets the eligible leader replicas of a topic, or, with the empty name, of all topics.
    ClearElr {
        topic: String,
    },
    ScramCredential(UserScramCredential),
    RemoveScramCredential {
        user: String,
        mechanism: ScramMechanism,
    },
    ClientQuota(ClientQuota),
    DelegationToken(DelegationToken),
    RemoveDelegationToken {
        id: String,
    },
    Opaque(Opaque),
}

/// Record types, by Kafka's numbers.
pub(crate) mod kind {
    pub(crate) const REGISTER_BROKER: i16 = 0;
    pub(crate) const UNREGISTER_BROKER: i16 = 1;
    pub(crate) const TOPIC: i16 = 2;
    pub(crate) const PARTITION: i16 = 3;
    pub(crate) const CONFIG: i16 = 4;
    pub(crate) const PARTITION_CHANGE: i16 = 5;
    pub(crate) const FENCE_BROKER: i16 = 7;
    pub(crate) const UNFENCE_BROKER: i16 = 8;
    pub(crate) const REMOVE_TOPIC: i16 = 9;
    pub(crate) const DELEGATION_TOKEN: i16 = 10;
    pub(crate) const USER_SCRAM_CREDENTIAL: i16 = 11;
    pub(crate) const FEATURE_LEVEL: i16 = 12;
    pub(crate) const CLIENT_QUOTA: i16 = 14;
    pub(crate) const PRODUCER_IDS: i16 = 15;
    pub(crate) const BROKER_CHANGE: i16 = 17;
    pub(crate) const ACCESS_CONTROL_ENTRY: i16 = 18;
    pub(crate) const REMOVE_ACCESS_CONTROL_ENTRY: i16 = 19;
    pub(crate) const NO_OP: i16 = 20;
    pub(crate) const ZK_MIGRATION_STATE: i16 = 21;
    pub(crate) const REMOVE_USER_SCRAM_CREDENTIAL: i16 = 22;
    pub(crate) const BEGIN_TRANSACTION: i16 = 23;
    pub(crate) const END_TRANSACTION: i16 = 24;
    pub(crate) const ABORT_TRANSACTION: i16 = 25;
    pub(crate) const REMOVE_DELEGATION_TOKEN: i16 = 26;
    pub(crate) const REGISTER_CONTROLLER: i16 = 27;
    pub(crate) const CLEAR_ELR: i16 = 28;
}

const FRAME_VERSION: i16 = 1;

/// The newest version of a type that this code reads; `None`: unknown type.
fn newest(kind: i16) -> Option<i16> {
    match kind {
        kind::REGISTER_BROKER => Some(4),
        kind::PARTITION | kind::PARTITION_CHANGE => Some(2),
        kind::BROKER_CHANGE => Some(3),
        kind::UNREGISTER_BROKER
        | kind::TOPIC
        | kind::CONFIG
        | kind::FENCE_BROKER
        | kind::UNFENCE_BROKER
        | kind::REMOVE_TOPIC
        | kind::DELEGATION_TOKEN
        | kind::USER_SCRAM_CREDENTIAL
        | kind::FEATURE_LEVEL
        | kind::CLIENT_QUOTA
        | kind::PRODUCER_IDS
        | kind::ACCESS_CONTROL_ENTRY
        | kind::REMOVE_ACCESS_CONTROL_ENTRY
        | kind::NO_OP
        | kind::ZK_MIGRATION_STATE
        | kind::REMOVE_USER_SCRAM_CREDENTIAL
        | kind::BEGIN_TRANSACTION
        | kind::END_TRANSACTION
        | kind::ABORT_TRANSACTION
        | kind::REMOVE_DELEGATION_TOKEN
        | kind::REGISTER_CONTROLLER
        | kind::CLEAR_ELR => Some(0),
        _ => None,
    }
}

impl Record {
    /// Reads one record, which must fill `bytes`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<Record, BadRecord> {
        let mut r = Reader::new(bytes);
        let frame = r.short_uvarint()?;
        if frame != FRAME_VERSION {
            return Err(BadRecord::Frame(frame));
        }
        let kind = r.short_uvarint()?;
        let version = r.short_uvarint()?;
        let newest = newest(kind).ok_or(BadRecord::Type(kind))?;
        if version > newest {
            return Err(BadRecord::Version { kind, version, newest });
        }
        let record = Record::body(kind, version, &mut r)?;
        match r.remaining() {
            0 => Ok(record),
            garbage => Err(BadRecord::Garbage(garbage)),
        }
    }

    fn body(kind: i16, version: i16, r: &mut Reader<'_>) -> Result<Record, BadRecord> {
        // These two read their tagged fields themselves, as do those that have any.
        let record = match kind {
            kind::REGISTER_BROKER => return RegisterBroker::read(version, r).map(Record::RegisterBroker),
            kind::PARTITION => return PartitionRecord::read(version, r).map(Record::Partition),
            kind::PARTITION_CHANGE => return PartitionChange::read(version, r).map(Record::PartitionChange),
            kind::BROKER_CHANGE => return BrokerChange::read(version, r).map(Record::BrokerChange),
            kind::BEGIN_TRANSACTION => return Ok(Record::BeginTransaction { name: tagged_text(r)? }),
            kind::ABORT_TRANSACTION => return Ok(Record::AbortTransaction { reason: tagged_text(r)? }),
            kind::UNREGISTER_BROKER => Record::UnregisterBroker { broker: NodeId(r.i32()?), epoch: r.i64()? },
            kind::TOPIC => Record::Topic { name: TopicName::new(&r.string()?), id: TopicId(r.uuid()?) },
            kind::CONFIG => {
                let code = r.i8()?;
                let resource_type =
                    ResourceType::from_code(code).ok_or(BadRecord::Invalid("a config of an unknown resource type"))?;
                let resource = ConfigResource { kind: resource_type, name: r.string()? };
                Record::Config { resource, key: r.string()?, value: r.nullable_string()? }
            }
            kind::FENCE_BROKER => Record::FenceBroker { broker: NodeId(r.i32()?), epoch: r.i64()? },
            kind::UNFENCE_BROKER => Record::UnfenceBroker { broker: NodeId(r.i32()?), epoch: r.i64()? },
            kind::REMOVE_TOPIC => Record::RemoveTopic { id: TopicId(r.uuid()?) },
            kind::FEATURE_LEVEL => Record::Feature { name: r.string()?, level: r.i16()? },
            kind::PRODUCER_IDS => {
                Record::ProducerIds { broker: NodeId(r.i32()?), broker_epoch: r.i64()?, next: ProducerId(r.i64()?) }
            }
            kind::ACCESS_CONTROL_ENTRY => return AclRecord::read(r).map(Record::Acl),
            kind::REMOVE_ACCESS_CONTROL_ENTRY => Record::RemoveAcl { id: r.uuid()? },
            kind::NO_OP => Record::NoOp,
            kind::END_TRANSACTION => Record::EndTransaction,
            kind::CLEAR_ELR => Record::ClearElr { topic: r.string()? },
            kind::USER_SCRAM_CREDENTIAL => Record::ScramCredential(UserScramCredential::read(r)?),
            kind::REMOVE_USER_SCRAM_CREDENTIAL => {
                Record::RemoveScramCredential { user: r.string()?, mechanism: credential::mechanism(r)? }
            }
            kind::CLIENT_QUOTA => Record::ClientQuota(ClientQuota::read(r)?),
            kind::DELEGATION_TOKEN => Record::DelegationToken(credential::read_token(r)?),
            kind::REMOVE_DELEGATION_TOKEN => Record::RemoveDelegationToken { id: r.string()? },
            _ => return Ok(Record::Opaque(Opaque { kind, version, body: r.rest().into() })),
        };
        r.no_tags()?;
        Ok(record)
    }

    /// Writes the record as a cluster at `metadata_version` (the level of that feature) does.
    pub fn encode(&self, metadata_version: i16, out: &mut Vec<u8>) {
        let (kind, version) = (self.kind(), self.version(metadata_version));
        out.uvarint(FRAME_VERSION as u32);
        out.uvarint(kind as u32);
        out.uvarint(version as u32);
        match self {
            Record::RegisterBroker(record) => return record.write(version, out),
            Record::Partition(record) => return record.write(version, out),
            Record::PartitionChange(record) => return record.write(version, out),
            Record::BrokerChange(record) => return record.write(version, out),
            Record::Acl(record) => return record.write(out),
            Record::BeginTransaction { name } => return write_tagged_text(name.as_deref(), out),
            Record::AbortTransaction { reason } => return write_tagged_text(reason.as_deref(), out),
            Record::Opaque(opaque) => return out.fixed(&opaque.body),
            Record::UnregisterBroker { broker, epoch }
            | Record::FenceBroker { broker, epoch }
            | Record::UnfenceBroker { broker, epoch } => {
                out.i32(broker.0);
                out.i64(*epoch);
            }
            Record::Topic { name, id } => {
                out.string(name.as_str());
                out.uuid(id.0);
            }
            Record::Config { resource, key, value } => {
                out.i8(resource.kind.code());
                out.string(&resource.name);
                out.string(key);
                out.nullable_string(value.as_deref());
            }
            Record::RemoveTopic { id } => out.uuid(id.0),
            Record::RemoveAcl { id } => out.uuid(*id),
            Record::Feature { name, level } => {
                out.string(name);
                out.i16(*level);
            }
            Record::ProducerIds { broker, broker_epoch, next } => {
                out.i32(broker.0);
                out.i64(*broker_epoch);
                out.i64(next.0);
            }
            Record::ClearElr { topic } => out.string(topic),
            Record::ScramCredential(record) => record.write(out),
            Record::RemoveScramCredential { user, mechanism } => {
                out.string(user);
                out.i8(mechanism.id());
            }
            Record::ClientQuota(record) => record.write(out),
            Record::DelegationToken(token) => credential::write_token(token, out),
            Record::RemoveDelegationToken { id } => out.string(id),
            Record::NoOp | Record::EndTransaction => {}
        }
        out.no_tags();
    }

    /// The type's number.
    #[must_use]
    pub fn kind(&self) -> i16 {
        match self {
            Record::RegisterBroker(_) => kind::REGISTER_BROKER,
            Record::UnregisterBroker { .. } => kind::UNREGISTER_BROKER,
            Record::Topic { .. } => kind::TOPIC,
            Record::Partition(_) => kind::PARTITION,
            Record::Config { .. } => kind::CONFIG,
            Record::PartitionChange(_) => kind::PARTITION_CHANGE,
            Record::FenceBroker { .. } => kind::FENCE_BROKER,
            Record::UnfenceBroker { .. } => kind::UNFENCE_BROKER,
            Record::RemoveTopic { .. } => kind::REMOVE_TOPIC,
            Record::Feature { .. } => kind::FEATURE_LEVEL,
            Record::ProducerIds { .. } => kind::PRODUCER_IDS,
            Record::BrokerChange(_) => kind::BROKER_CHANGE,
            Record::Acl(_) => kind::ACCESS_CONTROL_ENTRY,
            Record::RemoveAcl { .. } => kind::REMOVE_ACCESS_CONTROL_ENTRY,
            Record::NoOp => kind::NO_OP,
            Record::BeginTransaction { .. } => kind::BEGIN_TRANSACTION,
            Record::EndTransaction => kind::END_TRANSACTION,
            Record::AbortTransaction { .. } => kind::ABORT_TRANSACTION,
            Record::ClearElr { .. } => kind::CLEAR_ELR,
            Record::ScramCredential(_) => kind::USER_SCRAM_CREDENTIAL,
            Record::RemoveScramCredential { .. } => kind::REMOVE_USER_SCRAM_CREDENTIAL,
            Record::ClientQuota(_) => kind::CLIENT_QUOTA,
            Record::DelegationToken(_) => kind::DELEGATION_TOKEN,
            Record::RemoveDelegationToken { .. } => kind::REMOVE_DELEGATION_TOKEN,
            Record::Opaque(opaque) => opaque.kind,
        }
    }

    /// The version of the message that a cluster at this level writes (`MetadataVersion`).
    fn version(&self, metadata_version: i16) -> i16 {
        match self {
            Record::RegisterBroker(_) => match metadata_version {
                30.. => 4,
                17.. => 3,
                8.. => 2,
                _ => 1,
            },
            Record::Partition(_) | Record::PartitionChange(_) => match metadata_version {
                23.. => 2,
                17.. => 1,
                _ => 0,
            },
            Record::BrokerChange(_) => match metadata_version {
                30.. => 3,
                17.. => 2,
                _ => 1,
            },
            Record::Opaque(opaque) => opaque.version,
            _ => 0,
        }
    }
}

fn tagged_text(r: &mut Reader<'_>) -> Result<Option<String>, BadRecord> {
    let mut text = None;
    r.tags(|tag, content| {
        if tag == 0 {
            text = content.nullable_string()?;
        }
        Ok(tag == 0)
    })?;
    Ok(text)
}

fn write_tagged_text(text: Option<&str>, out: &mut Vec<u8>) {
    let mut tags = Tags::default();
    if text.is_some() {
        tags.add(0, |field| field.nullable_string(text));
    }
    tags.write(out);
}

#[cfg(test)]
mod tests;
