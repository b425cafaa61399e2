//! What decisions about partitions look at besides the partition itself.

use super::features::{self, METADATA_VERSION};
use super::{default_directory, is_active};
use crate::controller::request::Defaults;
use crate::metadata::{ConfigResource, DirectoryId, Image, PartitionImage, TopicImage};
use crate::model::{NodeId, TopicName};

const UNCLEAN_LEADER_ELECTION: &str = "unclean.leader.election.enable";
const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";
/// `metadata.version` 3.6-IV0: a smaller ISR no longer needs a new leader epoch (KAFKA-15021).
const ISR_SHRINKS_WITHIN_AN_EPOCH: i16 = 12;
/// `metadata.version` 3.7-IV2: replicas have directories (KIP-858).
const DIRECTORIES: i16 = 17;

/// The image, and the settings of the controller that decides.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) image: &'a Image,
    pub(crate) defaults: Defaults,
}

impl<'a> View<'a> {
    pub(crate) fn new(image: &'a Image, defaults: Defaults) -> View<'a> {
        View { image, defaults }
    }

    /// A topic's config: its own, else this controller's, else the cluster's; `None`: nobody set it.
    fn config(&self, topic: &TopicName, key: &str) -> Option<&'a str> {
        let of = |resource: &ConfigResource| self.image.config(resource).get(key).map(String::as_str);
        of(&ConfigResource::topic(topic))
            .or_else(|| of(&ConfigResource::broker(self.defaults.node)))
            .or_else(|| of(&ConfigResource::cluster_default()))
    }

    /// Whether a partition of the topic may be led by a replica that lacks committed records.
    pub(super) fn unclean_election(&self, topic: &TopicName) -> bool {
        let set = self.config(topic, UNCLEAN_LEADER_ELECTION);
        set.map_or(self.defaults.unclean_leader_election, |value| value.eq_ignore_ascii_case("true"))
    }

    /// How many replicas must be in sync for records to be committed; never more than there are.
    pub(super) fn min_isr(&self, topic: &TopicImage) -> usize {
        let set = self.config(&topic.name, MIN_INSYNC_REPLICAS).and_then(|value| value.trim().parse().ok());
        let wanted = set.unwrap_or(self.defaults.min_insync_replicas);
        let replicas = topic.partitions.first().map_or(1, |partition| partition.replicas.len());
        usize::try_from(wanted).unwrap_or(0).min(replicas)
    }

    pub(super) fn elr_enabled(&self) -> bool {
        features::elr_enabled(self.image)
    }

    pub(super) fn directories_supported(&self) -> bool {
        self.image.feature(METADATA_VERSION) >= DIRECTORIES
    }

    pub(super) fn shrinking_needs_an_epoch(&self) -> bool {
        self.image.feature(METADATA_VERSION) < ISR_SHRINKS_WITHIN_AN_EPOCH
    }

    pub(super) fn is_active(&self, broker: NodeId) -> bool {
        is_active(self.image, broker)
    }

    /// The directory that a replica goes to when none was chosen.
    pub(super) fn default_directory(&self, broker: NodeId) -> DirectoryId {
        // One that is not registered is refused elsewhere.
        default_directory(self.image, broker)
    }

    /// Whether a broker's replica lies in a directory that is there.
    pub(super) fn replica_is_online(&self, partition: &PartitionImage, broker: NodeId) -> bool {
        let index = partition.replicas.iter().position(|id| *id == broker);
        let directory = index.and_then(|index| partition.directories.get(index)).copied();
        self.has_online(broker, directory.unwrap_or(DirectoryId::UNASSIGNED))
    }

    /// Whether a broker has a directory, and has not lost it.
    pub(super) fn has_online(&self, broker: NodeId, directory: DirectoryId) -> bool {
        let Some(broker) = self.image.brokers.get(&broker) else { return false };
        match directory {
            DirectoryId::UNASSIGNED | DirectoryId::MIGRATING => true,
            DirectoryId::LOST => false,
            // A registration from before directories had ids tells none.
            _ => broker.directories.is_empty() || broker.directories.contains(&directory),
        }
    }
}
