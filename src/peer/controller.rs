//! What a broker asks of the active controller: AlterPartition (56) v3, BrokerRegistration (62) v4, BrokerHeartbeat (63) v1,
//! AllocateProducerIds (67) v0, AssignReplicasToDirs (73) v0.
//!
//! The link leads to the node that is believed to be the active controller; if it is not, the answer's error is
//! `NOT_CONTROLLER`.

use super::{Link, PeerError};
use crate::model::{ErrorCode, LeaderEpoch, NodeId, PartitionId, ProducerId, TopicId};
use kafka_protocol::messages::alter_partition_request::{BrokerState, PartitionData, TopicData};
use kafka_protocol::messages::broker_registration_request::{Feature, Listener};
use kafka_protocol::messages::{
    AllocateProducerIdsRequest, AlterPartitionRequest, AssignReplicasToDirsRequest, BrokerHeartbeatRequest, BrokerId,
    BrokerRegistrationRequest, assign_replicas_to_dirs_request as assign,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

/// The in-sync replicas that a leader proposes for its partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrProposal {
    pub topic: TopicId,
    pub partition: PartitionId,
    pub leader_epoch: LeaderEpoch,
    /// With the broker epoch in which the leader has seen each of them; -1 if it is not known (KIP-903).
    pub isr: Vec<(NodeId, i64)>,
    /// The partition has recovered from an unclean election.
    pub recovered: bool,
    pub partition_epoch: i32,
}

/// What the controller has made of an [`IsrProposal`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrVerdict {
    pub topic: TopicId,
    pub partition: PartitionId,
    pub error: ErrorCode,
    /// The fields below say how the partition stands, if `error` is `NONE`.
    pub leader: NodeId,
    pub leader_epoch: LeaderEpoch,
    pub isr: Vec<NodeId>,
    pub recovered: bool,
    pub partition_epoch: i32,
}

/// Proposes in-sync replicas (KIP-497). Answers the error of the whole request, or a verdict per partition.
///
/// # Errors
/// [`PeerError`]
pub async fn alter_partition(
    link: &Link,
    broker: NodeId,
    broker_epoch: i64,
    proposals: &[IsrProposal],
    deadline: Duration,
) -> Result<Result<Vec<IsrVerdict>, ErrorCode>, PeerError> {
    let mut topics: BTreeMap<TopicId, Vec<PartitionData>> = BTreeMap::new();
    for proposal in proposals {
        let isr = proposal
            .isr
            .iter()
            .map(|(node, epoch)| BrokerState::default().with_broker_id(BrokerId(node.0)).with_broker_epoch(*epoch));
        let partition = PartitionData::default()
            .with_partition_index(proposal.partition.0)
            .with_leader_epoch(proposal.leader_epoch.0)
            .with_new_isr_with_epochs(isr.collect())
            .with_leader_recovery_state(i8::from(!proposal.recovered))
            .with_partition_epoch(proposal.partition_epoch);
        topics.entry(proposal.topic).or_default().push(partition);
    }
    let topics = topics
        .into_iter()
        .map(|(topic, partitions)| TopicData::default().with_topic_id(topic.0).with_partitions(partitions));
    let request = AlterPartitionRequest::default()
        .with_broker_id(BrokerId(broker.0))
        .with_broker_epoch(broker_epoch)
        .with_topics(topics.collect());
    let response = link.call(3, &request, deadline).await?;
    if response.error_code != 0 {
        return Ok(Err(ErrorCode(response.error_code)));
    }
    let verdicts = response.topics.into_iter().flat_map(|topic| {
        topic.partitions.into_iter().map(move |partition| IsrVerdict {
            topic: TopicId(topic.topic_id),
            partition: PartitionId(partition.partition_index),
            error: ErrorCode(partition.error_code),
            leader: NodeId(*partition.leader_id),
            leader_epoch: LeaderEpoch(partition.leader_epoch),
            isr: partition.isr.iter().map(|id| NodeId(**id)).collect(),
            recovered: partition.leader_recovery_state == 0,
            partition_epoch: partition.partition_epoch,
        })
    });
    Ok(Ok(verdicts.collect()))
}

/// A broker that joins the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    pub broker: NodeId,
    pub cluster_id: String,
    /// New at each start of the process.
    pub incarnation: Uuid,
    pub listeners: Vec<RegisteredListener>,
    /// Name, and the versions that the broker supports.
    pub features: Vec<(String, i16, i16)>,
    pub rack: Option<String>,
    pub log_dirs: Vec<Uuid>,
    /// The broker epoch before a clean stop; -1 if there was none.
    pub previous_broker_epoch: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredListener {
    pub name: String,
    pub host: String,
    pub port: u16,
    /// Kafka's id: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
    pub security_protocol: i16,
}

/// Registers a broker. Answers its broker epoch.
///
/// # Errors
/// [`PeerError`]
pub async fn register(
    link: &Link,
    registration: &Registration,
    deadline: Duration,
) -> Result<Result<i64, ErrorCode>, PeerError> {
    let text = |text: &String| StrBytes::from_string(text.clone());
    let listeners = registration.listeners.iter().map(|listener| {
        Listener::default()
            .with_name(text(&listener.name))
            .with_host(text(&listener.host))
            .with_port(listener.port)
            .with_security_protocol(listener.security_protocol)
    });
    let features = registration.features.iter().map(|(name, min, max)| {
        Feature::default().with_name(text(name)).with_min_supported_version(*min).with_max_supported_version(*max)
    });
    let request = BrokerRegistrationRequest::default()
        .with_broker_id(BrokerId(registration.broker.0))
        .with_cluster_id(text(&registration.cluster_id))
        .with_incarnation_id(registration.incarnation)
        .with_listeners(listeners.collect())
        .with_features(features.collect())
        .with_rack(registration.rack.as_ref().map(text))
        .with_log_dirs(registration.log_dirs.clone())
        .with_previous_broker_epoch(registration.previous_broker_epoch);
    let response = link.call(4, &request, deadline).await?;
    Ok(error_or(response.error_code, response.broker_epoch))
}

/// That a broker lives, and what it wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    pub broker: NodeId,
    pub broker_epoch: i64,
    /// The last offset of the metadata log that the broker has applied.
    pub metadata_offset: i64,
    pub want_fence: bool,
    pub want_shut_down: bool,
    pub offline_log_dirs: Vec<Uuid>,
}

/// How the controller sees a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub caught_up: bool,
    pub fenced: bool,
    pub should_shut_down: bool,
}

/// Sends a heartbeat.
///
/// # Errors
/// [`PeerError`]
pub async fn broker_heartbeat(
    link: &Link,
    heartbeat: &Heartbeat,
    deadline: Duration,
) -> Result<Result<Standing, ErrorCode>, PeerError> {
    let request = BrokerHeartbeatRequest::default()
        .with_broker_id(BrokerId(heartbeat.broker.0))
        .with_broker_epoch(heartbeat.broker_epoch)
        .with_current_metadata_offset(heartbeat.metadata_offset)
        .with_want_fence(heartbeat.want_fence)
        .with_want_shut_down(heartbeat.want_shut_down)
        .with_offline_log_dirs(heartbeat.offline_log_dirs.clone());
    let response = link.call(1, &request, deadline).await?;
    let standing = Standing {
        caught_up: response.is_caught_up,
        fenced: response.is_fenced,
        should_shut_down: response.should_shut_down,
    };
    Ok(error_or(response.error_code, standing))
}

/// Asks for a block of producer ids. Answers the first and how many.
///
/// # Errors
/// [`PeerError`]
pub async fn allocate_producer_ids(
    link: &Link,
    broker: NodeId,
    broker_epoch: i64,
    deadline: Duration,
) -> Result<Result<(ProducerId, i32), ErrorCode>, PeerError> {
    let request =
        AllocateProducerIdsRequest::default().with_broker_id(BrokerId(broker.0)).with_broker_epoch(broker_epoch);
    let response = link.call(0, &request, deadline).await?;
    Ok(error_or(response.error_code, (ProducerId(*response.producer_id_start), response.producer_id_len)))
}

/// A replica lies in a log directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Assignment {
    pub directory: Uuid,
    pub topic: TopicId,
    pub partition: PartitionId,
}

/// Says in which directories replicas lie (KIP-858). Answers the error of the whole request, or one per replica.
///
/// # Errors
/// [`PeerError`]
pub async fn assign_directories(
    link: &Link,
    broker: NodeId,
    broker_epoch: i64,
    assignments: &[Assignment],
    deadline: Duration,
) -> Result<Result<Vec<(Assignment, ErrorCode)>, ErrorCode>, PeerError> {
    let mut directories: BTreeMap<Uuid, BTreeMap<TopicId, Vec<assign::PartitionData>>> = BTreeMap::new();
    for Assignment { directory, topic, partition } in assignments {
        let partition = assign::PartitionData::default().with_partition_index(partition.0);
        directories.entry(*directory).or_default().entry(*topic).or_default().push(partition);
    }
    let directories = directories.into_iter().map(|(id, topics)| {
        let topics = topics
            .into_iter()
            .map(|(topic, partitions)| assign::TopicData::default().with_topic_id(topic.0).with_partitions(partitions));
        assign::DirectoryData::default().with_id(id).with_topics(topics.collect())
    });
    let request = AssignReplicasToDirsRequest::default()
        .with_broker_id(BrokerId(broker.0))
        .with_broker_epoch(broker_epoch)
        .with_directories(directories.collect());
    let response = link.call(0, &request, deadline).await?;
    if response.error_code != 0 {
        return Ok(Err(ErrorCode(response.error_code)));
    }
    let mut answers = Vec::new();
    for directory in response.directories {
        for topic in directory.topics {
            answers.extend(topic.partitions.into_iter().map(|partition| {
                let assignment = Assignment {
                    directory: directory.id,
                    topic: TopicId(topic.topic_id),
                    partition: PartitionId(partition.partition_index),
                };
                (assignment, ErrorCode(partition.error_code))
            }));
        }
    }
    Ok(Ok(answers))
}

fn error_or<T>(code: i16, value: T) -> Result<T, ErrorCode> {
    if code == 0 { Ok(value) } else { Err(ErrorCode(code)) }
}
