//! Records of brokers: RegisterBrokerRecord and BrokerRegistrationChangeRecord.

use super::BadRecord;
use super::wire::{Reader, Tags, Write as _};
use crate::metadata::image::{BrokerImage, DirectoryId, Endpoint};
use crate::model::NodeId;
use std::collections::BTreeMap;

/// A broker's registration, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterBroker {
    pub image: BrokerImage,
}

impl RegisterBroker {
    pub(super) fn read(version: i16, r: &mut Reader<'_>) -> Result<RegisterBroker, BadRecord> {
        let id = NodeId(r.i32()?);
        if version >= 2 && r.bool()? {
            return Err(BadRecord::Invalid("a broker that migrates from ZooKeeper, which Kafka 4 does not know"));
        }
        let (incarnation, epoch) = (r.uuid()?, r.i64()?);
        let endpoints = r.list(7, |r| {
            let endpoint =
                Endpoint { name: r.string()?, host: r.string()?, port: r.u16()?, security_protocol: r.i16()? };
            r.no_tags()?;
            Ok(endpoint)
        })?;
        let features: BTreeMap<_, _> = r.list(6, |r| {
            let feature = (r.string()?, (r.i16()?, r.i16()?));
            r.no_tags()?;
            Ok(feature)
        })?;
        let rack = r.nullable_string()?;
        let fenced = r.bool()?;
        let in_controlled_shutdown = version >= 1 && r.bool()?;
        let (mut directories, mut cordoned) = (Vec::new(), None);
        r.tags(|tag, content| {
            match tag {
                0 if version >= 3 => directories = content.directories()?,
                1 if version >= 4 => cordoned = content.nullable_directories()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(RegisterBroker {
            image: BrokerImage {
                id,
                epoch,
                incarnation,
                endpoints,
                features,
                rack,
                fenced,
                in_controlled_shutdown,
                directories,
                cordoned,
            },
        })
    }

    pub(super) fn write(&self, version: i16, out: &mut Vec<u8>) {
        let broker = &self.image;
        out.i32(broker.id.0);
        if version >= 2 {
            out.bool(false);
        }
        out.uuid(broker.incarnation);
        out.i64(broker.epoch);
        out.len(broker.endpoints.len());
        for endpoint in &broker.endpoints {
            out.string(&endpoint.name);
            out.string(&endpoint.host);
            out.u16(endpoint.port);
            out.i16(endpoint.security_protocol);
            out.no_tags();
        }
        out.len(broker.features.len());
        for (name, (min, max)) in &broker.features {
            out.string(name);
            out.i16(*min);
            out.i16(*max);
            out.no_tags();
        }
        out.nullable_string(broker.rack.as_deref());
        out.bool(broker.fenced);
        if version >= 1 {
            out.bool(broker.in_controlled_shutdown);
        }
        let mut tags = Tags::default();
        if version >= 3 && !broker.directories.is_empty() {
            tags.add(0, |field| field.directories(&broker.directories));
        }
        if let (Some(cordoned), 4..) = (&broker.cordoned, version) {
            tags.add(1, |field| field.directories(cordoned));
        }
        tags.write(out);
    }
}

/// A change of a registration: what is `None` stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerChange {
    pub broker: NodeId,
    pub epoch: i64,
    pub fenced: Option<bool>,
    /// Can only begin; a new registration ends it.
    pub in_controlled_shutdown: bool,
    pub directories: Option<Vec<DirectoryId>>,
    pub cordoned: Option<Vec<DirectoryId>>,
}

impl BrokerChange {
    /// A change that changes nothing.
    #[must_use]
    pub fn new(broker: NodeId, epoch: i64) -> BrokerChange {
        BrokerChange { broker, epoch, fenced: None, in_controlled_shutdown: false, directories: None, cordoned: None }
    }

    /// The registration after the change.
    #[must_use]
    pub fn merge(&self, old: &BrokerImage) -> BrokerImage {
        let mut new = old.clone();
        if let Some(fenced) = self.fenced {
            new.fenced = fenced;
        }
        new.in_controlled_shutdown |= self.in_controlled_shutdown;
        if let Some(directories) = &self.directories {
            new.directories.clone_from(directories);
        }
        if self.cordoned.is_some() {
            new.cordoned.clone_from(&self.cordoned);
        }
        new
    }

    pub(super) fn read(version: i16, r: &mut Reader<'_>) -> Result<BrokerChange, BadRecord> {
        let mut change = BrokerChange::new(NodeId(r.i32()?), r.i64()?);
        r.tags(|tag, content| {
            match tag {
                0 => {
                    change.fenced = match content.i8()? {
                        -1 => Some(false),
                        0 => None,
                        1 => Some(true),
                        _ => return Err(BadRecord::Invalid("an unknown fencing change")),
                    }
                }
                1 if version >= 1 => {
                    change.in_controlled_shutdown = match content.i8()? {
                        0 => false,
                        1 => true,
                        _ => return Err(BadRecord::Invalid("an unknown controlled shutdown change")),
                    }
                }
                // No directories is "no change": a broker always has one.
                2 if version >= 2 => {
                    change.directories = Some(content.directories()?).filter(|d: &Vec<_>| !d.is_empty())
                }
                3 if version >= 3 => change.cordoned = content.nullable_directories()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(change)
    }

    pub(super) fn write(&self, version: i16, out: &mut Vec<u8>) {
        out.i32(self.broker.0);
        out.i64(self.epoch);
        let mut tags = Tags::default();
        if let Some(fenced) = self.fenced {
            tags.add(0, |field| field.i8(if fenced { 1 } else { -1 }));
        }
        if self.in_controlled_shutdown && version >= 1 {
            tags.add(1, |field| field.i8(1));
        }
        if let (Some(directories), 2..) = (&self.directories, version) {
            tags.add(2, |field| field.directories(directories));
        }
        if let (Some(cordoned), 3..) = (&self.cordoned, version) {
            tags.add(3, |field| field.directories(cordoned));
        }
        tags.write(out);
    }
}
