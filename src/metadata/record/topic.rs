//! Records of partitions: PartitionRecord and PartitionChangeRecord.

use super::BadRecord;
use super::wire::{Reader, Tags, Write as _};
use crate::metadata::image::{DirectoryId, PartitionImage, Replicas};
use crate::model::{LeaderEpoch, NodeId, PartitionId, TopicId};
use smallvec::SmallVec;

const NO_LEADER: i32 = -1;
const LEADER_UNCHANGED: i32 = -2;

/// A partition as it is created, or as a snapshot holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRecord {
    pub topic: TopicId,
    pub partition: PartitionId,
    pub image: PartitionImage,
}

impl PartitionRecord {
    pub(super) fn read(version: i16, r: &mut Reader<'_>) -> Result<PartitionRecord, BadRecord> {
        let partition = PartitionId(r.i32()?);
        let topic = TopicId(r.uuid()?);
        let (replicas, isr, removing, adding) = (r.nodes()?, r.nodes()?, r.nodes()?, r.nodes()?);
        let leader = leader(r.i32()?)?;
        let (leader_epoch, partition_epoch) = (LeaderEpoch(r.i32()?), r.i32()?);
        let directories = if version >= 1 { r.directories()? } else { SmallVec::new() };
        let mut image = PartitionImage {
            directories: fill(directories, replicas.len())?,
            replicas,
            isr,
            leader,
            leader_epoch,
            partition_epoch,
            adding,
            removing,
            elr: Replicas::new(),
            last_known_elr: Replicas::new(),
            recovering: false,
        };
        r.tags(|tag, content| {
            match tag {
                0 => image.recovering = recovering(content.i8()?)?,
                1 if version >= 2 => image.elr = content.nullable_nodes()?.unwrap_or_default(),
                2 if version >= 2 => image.last_known_elr = content.nullable_nodes()?.unwrap_or_default(),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(PartitionRecord { topic, partition, image })
    }

    pub(super) fn write(&self, version: i16, out: &mut Vec<u8>) {
        let image = &self.image;
        out.i32(self.partition.0);
        out.uuid(self.topic.0);
        out.nodes(&image.replicas);
        out.nodes(&image.isr);
        out.nodes(&image.removing);
        out.nodes(&image.adding);
        out.i32(image.leader.map_or(NO_LEADER, |id| id.0));
        out.i32(image.leader_epoch.0);
        out.i32(image.partition_epoch);
        if version >= 1 {
            out.directories(&image.directories);
        }
        let mut tags = Tags::default();
        if image.recovering {
            tags.add(0, |field| field.i8(1));
        }
        if version >= 2 && !image.elr.is_empty() {
            tags.add(1, |field| field.nodes(&image.elr));
        }
        if version >= 2 && !image.last_known_elr.is_empty() {
            tags.add(2, |field| field.nodes(&image.last_known_elr));
        }
        tags.write(out);
    }
}

/// A change of a partition: what is `None` stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionChange {
    pub topic: TopicId,
    pub partition: PartitionId,
    pub isr: Option<Replicas>,
    /// The new leader, or that there is none. Setting it raises the leader epoch, even to the same.
    pub leader: Option<Option<NodeId>>,
    pub replicas: Option<Replicas>,
    pub removing: Option<Replicas>,
    pub adding: Option<Replicas>,
    pub recovering: Option<bool>,
    pub directories: Option<SmallVec<[DirectoryId; 1]>>,
    pub elr: Option<Replicas>,
    pub last_known_elr: Option<Replicas>,
}

impl PartitionChange {
    /// A change that changes nothing but the partition's epoch.
    #[must_use]
    pub fn new(topic: TopicId, partition: PartitionId) -> PartitionChange {
        PartitionChange {
            topic,
            partition,
            isr: None,
            leader: None,
            replicas: None,
            removing: None,
            adding: None,
            recovering: None,
            directories: None,
            elr: None,
            last_known_elr: None,
        }
    }

    /// The partition after the change (`PartitionRegistration.merge`).
    ///
    /// # Errors
    /// The directories do not match the replicas.
    pub fn merge(&self, old: &PartitionImage) -> Result<PartitionImage, BadRecord> {
        let replicas = self.replicas.clone().unwrap_or_else(|| old.replicas.clone());
        let directories = self.directories.clone().unwrap_or_else(|| old.directories.clone());
        let (leader, leader_epoch) = match self.leader {
            None => (old.leader, old.leader_epoch),
            Some(leader) => (leader, LeaderEpoch(old.leader_epoch.0.saturating_add(1))),
        };
        Ok(PartitionImage {
            directories: fill(directories, replicas.len())?,
            replicas,
            isr: self.isr.clone().unwrap_or_else(|| old.isr.clone()),
            leader,
            leader_epoch,
            partition_epoch: old.partition_epoch.saturating_add(1),
            adding: self.adding.clone().unwrap_or_else(|| old.adding.clone()),
            removing: self.removing.clone().unwrap_or_else(|| old.removing.clone()),
            elr: self.elr.clone().unwrap_or_else(|| old.elr.clone()),
            last_known_elr: self.last_known_elr.clone().unwrap_or_else(|| old.last_known_elr.clone()),
            recovering: self.recovering.unwrap_or(old.recovering),
        })
    }

    pub(super) fn read(version: i16, r: &mut Reader<'_>) -> Result<PartitionChange, BadRecord> {
        let partition = PartitionId(r.i32()?);
        let mut change = PartitionChange::new(TopicId(r.uuid()?), partition);
        r.tags(|tag, content| {
            match tag {
                0 => change.isr = content.nullable_nodes()?,
                1 => {
                    change.leader = match content.i32()? {
                        LEADER_UNCHANGED => None,
                        id => Some(leader(id)?),
                    }
                }
                2 => change.replicas = content.nullable_nodes()?,
                3 => change.removing = content.nullable_nodes()?,
                4 => change.adding = content.nullable_nodes()?,
                5 => {
                    change.recovering = match content.i8()? {
                        -1 => None,
                        state => Some(recovering(state)?),
                    }
                }
                6 if version >= 2 => change.elr = content.nullable_nodes()?,
                7 if version >= 2 => change.last_known_elr = content.nullable_nodes()?,
                8 if version >= 1 => change.directories = content.nullable_directories()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(change)
    }

    pub(super) fn write(&self, version: i16, out: &mut Vec<u8>) {
        out.i32(self.partition.0);
        out.uuid(self.topic.0);
        let mut tags = Tags::default();
        let nodes = |tag, nodes: &Option<Replicas>, tags: &mut Tags| {
            if let Some(nodes) = nodes {
                tags.add(tag, |field| field.nodes(nodes));
            }
        };
        nodes(0, &self.isr, &mut tags);
        if let Some(leader) = self.leader {
            tags.add(1, |field| field.i32(leader.map_or(NO_LEADER, |id| id.0)));
        }
        nodes(2, &self.replicas, &mut tags);
        nodes(3, &self.removing, &mut tags);
        nodes(4, &self.adding, &mut tags);
        if let Some(recovering) = self.recovering {
            tags.add(5, |field| field.i8(i8::from(recovering)));
        }
        if version >= 2 {
            nodes(6, &self.elr, &mut tags);
            nodes(7, &self.last_known_elr, &mut tags);
        }
        if let (Some(directories), 1..) = (&self.directories, version) {
            tags.add(8, |field| field.directories(directories));
        }
        tags.write(out);
    }
}

fn leader(id: i32) -> Result<Option<NodeId>, BadRecord> {
    match id {
        NO_LEADER => Ok(None),
        0.. => Ok(Some(NodeId(id))),
        _ => Err(BadRecord::Invalid("a negative leader")),
    }
}

fn recovering(state: i8) -> Result<bool, BadRecord> {
    match state {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(BadRecord::Invalid("an unknown leader recovery state")),
    }
}

/// One directory per replica; records from before directories had ids have none.
fn fill(directories: SmallVec<[DirectoryId; 1]>, replicas: usize) -> Result<SmallVec<[DirectoryId; 1]>, BadRecord> {
    if directories.is_empty() {
        Ok(smallvec::smallvec![DirectoryId::MIGRATING; replicas])
    } else if directories.len() == replicas {
        Ok(directories)
    } else {
        Err(BadRecord::Invalid("another number of directories than of replicas"))
    }
}
