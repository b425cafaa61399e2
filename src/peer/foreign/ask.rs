//! The requests, in the versions that brokers from 0.11 to the newest share: those in which topics have names.

use super::{Foreign, Odd, read};
use crate::model::{ErrorCode, NodeId, Offset, PartitionId, TimestampMs};
use bytes::Bytes;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    self, ApiVersionsRequest, ApiVersionsResponse, BrokerId, CreateTopicsRequest, DeleteTopicsRequest, FetchRequest,
    MetadataRequest, ProduceRequest, SaslAuthenticateRequest, SaslHandshakeRequest,
};
use kafka_protocol::protocol::StrBytes;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Versions of one API, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub min: i16,
    pub max: i16,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.min, self.max)
    }
}

/// What a broker offers, by the keys of the APIs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions(pub BTreeMap<i16, Range>);

impl Versions {
    /// The newest version of an API that both sides have; `ours` are the oldest and the newest known here.
    pub(super) fn pick(&self, key: i16, ours: (i16, i16)) -> Result<i16, Odd> {
        let theirs = self.0.get(&key).copied();
        let newest = theirs.map(|range| range.max.min(ours.1));
        match (newest, theirs) {
            (Some(newest), Some(range)) if newest >= ours.0 && newest >= range.min => Ok(newest),
            _ => Err(Odd::Unsupported { api: crate::wire::encode::api_name(key), theirs }),
        }
    }
}

/// A broker as the metadata names it to clients of this listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerSeen {
    pub node: NodeId,
    pub host: String,
    /// As it came: it may not be one.
    pub port: i32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionSeen {
    pub id: PartitionId,
    pub error: ErrorCode,
    /// `None`: there is none now.
    pub leader: Option<NodeId>,
    pub replicas: usize,
    pub in_sync: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSeen {
    pub error: ErrorCode,
    /// By number.
    pub partitions: Vec<PartitionSeen>,
}

/// What the metadata says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterSeen {
    pub cluster_id: Option<String>,
    pub brokers: Vec<BrokerSeen>,
    /// The topic that was asked for.
    pub topic: Option<TopicSeen>,
}

/// What became of a topic: the error, and what the broker says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    pub error: ErrorCode,
    pub message: Option<String>,
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Produced {
    pub error: ErrorCode,
    pub message: Option<String>,
    pub offset: Offset,
    /// The broker's clock when it was appended, if the topic's timestamps are those.
    pub appended: Option<TimestampMs>,
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    pub error: ErrorCode,
    /// Batches, not looked at yet.
    pub records: Bytes,
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn name(name: &str) -> messages::TopicName {
    messages::TopicName(text(name))
}

fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

const NO_ANSWER: ErrorCode = ErrorCode::UNKNOWN_SERVER_ERROR;

impl Foreign {
    /// ApiVersions (18): the first thing that is said. What is offered is used for all that follows.
    ///
    /// # Errors
    /// [`Odd`]
    pub async fn greet(&mut self) -> Result<(), Odd> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("klamm-doctor"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let body = self.exchange(3, &request).await?;
        // Who does not know version 3 says so in version 0 (KIP-511); before that nobody listed anything then.
        let refused = body.starts_with(&ErrorCode::UNSUPPORTED_VERSION.0.to_be_bytes());
        let answer: ApiVersionsResponse = if refused {
            let body = self.exchange(0, &ApiVersionsRequest::default()).await?;
            read::<ApiVersionsRequest>(0, body)?
        } else {
            read::<ApiVersionsRequest>(3, body)?
        };
        if answer.error_code != 0 {
            return Err(Odd::Malformed(format!("ApiVersions: {}", ErrorCode(answer.error_code).name())));
        }
        let ranges =
            answer.api_keys.iter().map(|api| (api.api_key, Range { min: api.min_version, max: api.max_version }));
        self.versions.0 = ranges.collect();
        Ok(())
    }

    /// Metadata (3): the brokers, and `topic` if one is named, which is not created by that.
    ///
    /// # Errors
    /// [`Odd`]
    pub async fn cluster(&mut self, topic: Option<&str>) -> Result<ClusterSeen, Odd> {
        let make = |version: i16| {
            let topics = topic.iter().map(|topic| MetadataRequestTopic::default().with_name(Some(name(topic))));
            // Below version 4 every broker creates what it is asked for and may; nobody who matters is that old.
            MetadataRequest::default().with_topics(Some(topics.collect())).with_allow_auto_topic_creation(version < 4)
        };
        let (_, answer) = self.call::<MetadataRequest>((1, 12), make).await?;
        let brokers = answer.brokers.into_iter().map(|broker| BrokerSeen {
            node: NodeId(broker.node_id.0),
            host: broker.host.to_string(),
            port: broker.port,
        });
        let brokers = brokers.collect();
        let of_topic = |found: messages::metadata_response::MetadataResponseTopic| {
            let partitions = found.partitions.into_iter().map(|partition| PartitionSeen {
                id: PartitionId(partition.partition_index),
                error: ErrorCode(partition.error_code),
                leader: (partition.leader_id.0 >= 0).then_some(NodeId(partition.leader_id.0)),
                replicas: partition.replica_nodes.len(),
                in_sync: partition.isr_nodes.len(),
            });
            let mut partitions: Vec<PartitionSeen> = partitions.collect();
            partitions.sort_by_key(|partition| partition.id.0);
            TopicSeen { error: ErrorCode(found.error_code), partitions }
        };
        let topic = topic.and_then(|_| answer.topics.into_iter().next()).map(of_topic);
        Ok(ClusterSeen { cluster_id: answer.cluster_id.map(|id| id.to_string()), brokers, topic })
    }

    /// CreateTopics (19): one partition, as many replicas as the cluster gives by itself.
    ///
    /// # Errors
    /// [`Odd`]
    pub async fn create(&mut self, topic: &str, configs: &[(&str, &str)]) -> Result<Created, Odd> {
        let within = milliseconds(self.within);
        let make = |version: i16| {
            let configs = configs
                .iter()
                .map(|(key, value)| CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value))));
            // That the cluster chooses came with version 4 (KIP-464).
            let replication = if version >= 4 { -1 } else { 1 };
            let topic = CreatableTopic::default()
                .with_name(name(topic))
                .with_num_partitions(1)
                .with_replication_factor(replication)
                .with_configs(configs.collect());
            CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(within)
        };
        let (_, answer) = self.call::<CreateTopicsRequest>((2, 7), make).await?;
        let created = answer.topics.into_iter().next().map(|topic| Created {
            error: ErrorCode(topic.error_code),
            message: topic.error_message.map(|message| message.to_string()),
        });
        Ok(created.unwrap_or(Created { error: NO_ANSWER, message: None }))
    }

    /// DeleteTopics (20)
    ///
    /// # Errors
    /// [`Odd`]
    pub async fn delete(&mut self, topic: &str) -> Result<Created, Odd> {
        let within = milliseconds(self.within);
        let make = |_| DeleteTopicsRequest::default().with_topic_names(vec![name(topic)]).with_timeout_ms(within);
        let (_, answer) = self.call::<DeleteTopicsRequest>((1, 5), make).await?;
        let deleted = answer.responses.into_iter().next().map(|topic| Created {
            error: ErrorCode(topic.error_code),
            message: topic.error_message.map(|message| message.to_string()),
        });
        Ok(deleted.unwrap_or(Created { error: NO_ANSWER, message: None }))
    }

    /// Produce (0), with acks=all.
    ///
    /// # Errors
    /// [`Odd`]
    pub async fn produce(&mut self, topic: &str, partition: PartitionId, batch: Bytes) -> Result<Produced, Odd> {
        let within = milliseconds(self.within);
        let make = |_| {
            let data = PartitionProduceData::default().with_index(partition.0).with_records(Some(batch));
            let topic = TopicProduceData::default().with_name(name(topic)).with_partition_data(vec![data]);
            ProduceRequest::default().with_acks(-1).with_timeout_ms(within).with_topic_data(vec![topic])
        };
        let (_, answer) = self.call::<ProduceRequest>((3, 9), make).await?;
        let found = answer.responses.into_iter().flat_map(|topic| topic.partition_responses).next();
        Ok(match found {
            None => Produced { error: NO_ANSWER, message: None, offset: Offset(-1), appended: None },
            Some(found) => Produced {
                error: ErrorCode(found.error_code),
                message: found.error_message.map(|message| message.to_string()),
                offset: Offset(found.base_offset),
                appended: (found.log_append_time_ms >= 0).then_some(TimestampMs(found.log_append_time_ms)),
            },
        })
    }

    /// Fetch (1), as a consumer.
    ///
    /// # Errors
    /// [`Odd`]
    pub async fn fetch(&mut self, topic: &str, partition: PartitionId, from: Offset) -> Result<Fetched, Odd> {
        const MOST: i32 = 1024 * 1024;
        let wait = milliseconds(self.within / 2);
        let make = |_| {
            let asked = FetchPartition::default()
                .with_partition(partition.0)
                .with_current_leader_epoch(-1)
                .with_fetch_offset(from.0)
                .with_log_start_offset(-1)
                .with_partition_max_bytes(MOST);
            let topic = FetchTopic::default().with_topic(name(topic)).with_partitions(vec![asked]);
            FetchRequest::default()
                .with_replica_id(BrokerId(-1))
                .with_max_wait_ms(wait)
                .with_min_bytes(1)
                .with_max_bytes(MOST)
                .with_session_epoch(-1)
                .with_topics(vec![topic])
        };
        let (_, answer) = self.call::<FetchRequest>((4, 11), make).await?;
        let found = answer.responses.into_iter().flat_map(|topic| topic.partitions).next();
        Ok(match found {
            _ if answer.error_code != 0 => Fetched { error: ErrorCode(answer.error_code), records: Bytes::new() },
            None => Fetched { error: NO_ANSWER, records: Bytes::new() },
            Some(found) => Fetched { error: ErrorCode(found.error_code), records: found.records.unwrap_or_default() },
        })
    }

    /// SaslHandshake (17): the error, and the mechanisms that the listener has.
    ///
    /// # Errors
    /// [`Odd`]
    pub async fn handshake(&mut self, mechanism: &str) -> Result<(ErrorCode, Vec<String>), Odd> {
        let make = |_| SaslHandshakeRequest::default().with_mechanism(text(mechanism));
        let (_, answer) = self.call::<SaslHandshakeRequest>((1, 1), make).await?;
        Ok((ErrorCode(answer.error_code), answer.mechanisms.iter().map(|name| name.to_string()).collect()))
    }

    /// SaslAuthenticate (36): one step of a mechanism. The error with what the broker says about it, or its bytes.
    ///
    /// # Errors
    /// [`Odd`]
    pub async fn authenticate(&mut self, bytes: Bytes) -> Result<Result<Bytes, Created>, Odd> {
        let make = |_| SaslAuthenticateRequest::default().with_auth_bytes(bytes);
        let (_, answer) = self.call::<SaslAuthenticateRequest>((0, 2), make).await?;
        let message = answer.error_message.map(|message| message.to_string());
        Ok(match ErrorCode(answer.error_code) {
            ErrorCode::NONE => Ok(answer.auth_bytes),
            error => Err(Created { error, message }),
        })
    }
}
