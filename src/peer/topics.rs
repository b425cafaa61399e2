//! Topics that a broker needs itself: CreateTopics (19) v7, of the active controller.

use super::{Link, PeerError};
use crate::model::{ErrorCode, TopicId, TopicName};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::{self, CreateTopicsRequest};
use kafka_protocol::protocol::StrBytes;
use std::time::Duration;

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedTopic<'a> {
    pub name: &'a TopicName,
    /// -1: as the controller is configured.
    pub partitions: i32,
    /// -1: as the controller is configured.
    pub replication_factor: i16,
    pub configs: &'a [(String, Option<String>)],
}

/// A topic that is there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeTopic {
    pub id: TopicId,
    pub partitions: i32,
    pub replication_factor: i16,
}

/// What became of one topic: the error, and often what the controller says about it.
pub type Made = Result<MadeTopic, (ErrorCode, Option<String>)>;

/// Has topics created. Answers what became of each, by name.
///
/// # Errors
/// [`PeerError`]
pub async fn create_topics(
    link: &Link,
    topics: &[WantedTopic<'_>],
    deadline: Duration,
) -> Result<Vec<(String, Made)>, PeerError> {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let wanted = topics.iter().map(|topic| {
        let configs = topic.configs.iter().map(|(name, value)| {
            CreatableTopicConfig::default().with_name(text(name)).with_value(value.as_deref().map(text))
        });
        CreatableTopic::default()
            .with_name(messages::TopicName(text(topic.name.as_str())))
            .with_num_partitions(topic.partitions)
            .with_replication_factor(topic.replication_factor)
            .with_configs(configs.collect())
    });
    let timeout = i32::try_from(deadline.as_millis()).unwrap_or(i32::MAX);
    let request = CreateTopicsRequest::default().with_topics(wanted.collect()).with_timeout_ms(timeout);
    let response = link.call(7, &request, deadline).await?;
    let made = response.topics.into_iter().map(|topic| {
        let made = if topic.error_code == 0 {
            Ok(MadeTopic {
                id: TopicId(topic.topic_id),
                partitions: topic.num_partitions,
                replication_factor: topic.replication_factor,
            })
        } else {
            Err((ErrorCode(topic.error_code), topic.error_message.map(|message| message.to_string())))
        };
        (topic.name.to_string(), made)
    });
    Ok(made.collect())
}
