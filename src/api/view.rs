//! The image as one listener's clients see it: which brokers are alive and where, which replicas are
//! offline. Metadata, DescribeCluster and DescribeTopicPartitions answer from the same view
//! (`KRaftMetadataCache`).

use super::Peer;
use crate::metadata::{BrokerImage, DirectoryId, Image, PartitionImage};
use crate::model::{NodeId, PartitionId};
use crate::wire::{CurrentLeader, NodeEndpoint, TopicRef};
use std::net::IpAddr;

/// A broker with its address for the client.
pub(super) struct Node<'a> {
    pub(super) broker: &'a BrokerImage,
    pub(super) host: &'a str,
    pub(super) port: u16,
}

/// Brokers that have the client's listener, by id; fenced ones only if asked for.
pub(super) fn nodes<'a>(image: &'a Image, peer: &'a Peer, fenced_too: bool) -> Vec<Node<'a>> {
    image
        .brokers
        .values()
        .filter(|broker| fenced_too || !broker.fenced)
        .filter_map(|broker| {
            let endpoint = broker.endpoint(&peer.listener)?;
            let (host, port) = match &peer.reached {
                Some(reached) if reached.node == broker.id => (&reached.host, reached.port),
                _ => (&endpoint.host, endpoint.port),
            };
            Some(Node { broker, host, port })
        })
        .collect()
}

/// The broker that clients are told is the controller: any that is alive, since each of them passes on what the
/// controller has to decide. Apache Kafka draws one for every answer; here it depends on the client's address
/// instead, which spreads clients as well and gives one client the same broker again.
pub(super) fn controller(image: &Image, peer: &Peer) -> Option<NodeId> {
    let alive: Vec<NodeId> = image.brokers.values().filter(|b| !b.fenced).map(|b| b.id).collect();
    let seed = match peer.address.ip() {
        IpAddr::V4(ip) => u32::from(ip),
        IpAddr::V6(ip) => ip.octets().iter().fold(0, |sum: u32, &octet| sum.rotate_left(5) ^ u32::from(octet)),
    };
    let seed = seed ^ u32::from(peer.address.port());
    alive.get(usize::try_from(seed).ok()?.checked_rem(alive.len())?).copied()
}

/// The leader, if it has an address on the listener.
pub(super) fn leader(image: &Image, partition: &PartitionImage, listener: &str) -> Option<NodeId> {
    let broker = image.brokers.get(&partition.leader?)?;
    broker.endpoint(listener).map(|_| broker.id)
}

/// Where clients of a listener find the leaders of partitions that this broker does not lead (KIP-951).
pub(super) struct Hints<'a> {
    image: &'a Image,
    listener: &'a str,
    /// The leaders that were named, each once.
    pub(super) endpoints: Vec<NodeEndpoint<'a>>,
}

impl<'a> Hints<'a> {
    pub(super) fn new(image: &'a Image, listener: &'a str) -> Hints<'a> {
        Hints { image, listener, endpoints: Vec::new() }
    }

    /// The leader of a partition as the metadata has it; `None` if the partition is not there.
    pub(super) fn leader(&mut self, topic: TopicRef<'_>, number: PartitionId) -> Option<CurrentLeader> {
        let topic = match topic {
            TopicRef::Name(name) => self.image.topic(name),
            TopicRef::Id(id) => self.image.topic_by_id(id),
        };
        let partition = topic?.partition(number)?;
        let leader = partition.leader.unwrap_or(NodeId(-1));
        if !self.endpoints.iter().any(|known| known.node == leader)
            && let Some(broker) = self.image.brokers.get(&leader).filter(|broker| !broker.fenced)
            && let Some(at) = broker.endpoint(self.listener)
        {
            let (host, port, rack) = (at.host.as_str(), at.port.into(), broker.rack.as_deref());
            self.endpoints.push(NodeEndpoint { node: leader, host, port, rack });
        }
        Some(CurrentLeader { leader, epoch: partition.leader_epoch })
    }
}

/// Replicas that clients of the listener cannot reach or whose directory is offline.
pub(super) fn offline_replicas(image: &Image, partition: &PartitionImage, listener: &str) -> Vec<NodeId> {
    let mut offline = Vec::new();
    for (index, id) in partition.replicas.iter().enumerate() {
        let online = image.brokers.get(id).is_some_and(|broker| {
            !broker.fenced
                && broker.endpoint(listener).is_some()
                && partition.directories.get(index).is_none_or(|dir| is_online(broker, *dir))
        });
        if !online {
            offline.push(*id);
        }
    }
    offline
}

/// Of `ids`, the brokers that clients of the listener can reach.
pub(super) fn reachable(image: &Image, ids: &[NodeId], listener: &str) -> Vec<NodeId> {
    let alive = |id: &NodeId| image.brokers.get(id).is_some_and(|b| !b.fenced && b.endpoint(listener).is_some());
    ids.iter().copied().filter(alive).collect()
}

/// `DirectoryId.isOnline`: a directory that has not been chosen yet counts as online, and so does any directory
/// of a broker that did not list its own.
fn is_online(broker: &BrokerImage, dir: DirectoryId) -> bool {
    match dir {
        DirectoryId::UNASSIGNED | DirectoryId::MIGRATING => true,
        DirectoryId::LOST => false,
        dir => broker.directories.is_empty() || broker.directories.contains(&dir),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Reached;
    use super::super::testing::{self, LISTENER};
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_broker_without_the_listener_of_the_connection_is_not_shown() {
        let image = testing::image();
        let on = |listener: &str| Peer { listener: listener.into(), ..testing::peer() };
        assert_eq!(nodes(&image, &on(LISTENER), false).len(), 2);
        assert_eq!(nodes(&image, &on("INTERNAL"), false).len(), 1);
        assert_eq!(nodes(&image, &on("NOWHERE"), true).len(), 0);
    }

    #[test]
    fn the_address_that_a_connection_reached_stands_for_the_one_that_is_registered() {
        let image = testing::image();
        let reached = Reached { node: NodeId(2), host: "172.17.0.2".into(), port: 9 };
        let peer = Peer { reached: Some(reached), ..testing::peer() };
        let usual = testing::peer();
        let shown = |peer: &Peer| -> Vec<(NodeId, String, u16)> {
            nodes(&image, peer, false).iter().map(|n| (n.broker.id, n.host.to_owned(), n.port)).collect()
        };
        assert_eq!(shown(&peer)[0], shown(&usual)[0]);
        assert_eq!(shown(&peer)[1], (NodeId(2), "172.17.0.2".to_owned(), 9));
        assert_ne!(shown(&peer)[1], shown(&usual)[1]);
    }

    #[test]
    fn a_fenced_broker_is_shown_only_when_asked_for() {
        let image = testing::image();
        assert_eq!(nodes(&image, &testing::peer(), true).len(), 3);
    }

    #[test]
    fn the_controller_is_a_broker_that_is_alive_and_the_same_for_the_same_client() {
        let image = testing::image();
        let first = controller(&image, &testing::peer());
        assert!(first == Some(NodeId(1)) || first == Some(NodeId(2)), "{first:?}");
        assert_eq!(controller(&image, &testing::peer()), first);
        assert_eq!(controller(&Image::default(), &testing::peer()), None);
    }

    #[test]
    fn a_replica_is_offline_when_its_broker_is_fenced_or_its_directory_lost() {
        let image = testing::image();
        let mut partition = testing::partition(&[1, 2, 3], 1);
        assert_eq!(offline_replicas(&image, &partition, LISTENER), [NodeId(3)]);
        assert_eq!(offline_replicas(&image, &partition, "INTERNAL"), [NodeId(2), NodeId(3)]);
        partition.directories[0] = DirectoryId::LOST;
        assert_eq!(offline_replicas(&image, &partition, LISTENER), [NodeId(1), NodeId(3)]);
        partition.directories[0] = DirectoryId(Uuid::from_u128(77));
        assert_eq!(offline_replicas(&image, &partition, LISTENER), [NodeId(1), NodeId(3)]);
        partition.directories[0] = DirectoryId::UNASSIGNED;
        assert_eq!(offline_replicas(&image, &partition, LISTENER), [NodeId(3)]);
    }
}
