//! Topics that are created because a client asked for their metadata (`auto.create.topics.enable`).
//!
//! A client is not kept waiting: it is told that the topic does not exist, and finds it when it asks again. A topic
//! whose creation is under way is not asked for twice. Internal topics get the partitions, replicas and configs that
//! their settings say.

use crate::config::Settings;
use crate::controller::{Client, NewTopic};
use crate::model::TopicName;
use crate::rt::clock;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;

/// Most topics whose creation is under way at one time. A client that asks for more finds those that were left out
/// created once it asks again and there is room.
const IN_FLIGHT_MAX: usize = 10_000;

/// The topics whose creation is under way.
#[derive(Debug, Default)]
pub struct AutoTopics {
    in_flight: Mutex<HashSet<TopicName>>,
}

impl AutoTopics {
    /// Starts the creation of those of `names` that are valid and not under way.
    pub fn create(self: &Arc<Self>, names: Vec<TopicName>, settings: &Settings, client: &Arc<Client>) {
        let claim = Claim { names: self.claim(names), of: Arc::clone(self) };
        if claim.names.is_empty() {
            return;
        }
        let topics = claim.names.iter().map(|name| shape(name, settings)).collect();
        let (client, deadline) = (Arc::clone(client), clock::now() + settings.network.request_timeout);
        tokio::spawn(async move {
            let answers = client.create_topics(topics, deadline).await;
            for (name, answer) in claim.names.iter().zip(answers) {
                match answer {
                    Ok(topic) => tracing::info!(topic = %name, id = %topic.id, "created on demand"),
                    Err(error) => tracing::warn!(topic = %name, %error, "could not be created on demand"),
                }
            }
        });
    }

    /// Those of `names` that may be created now: from here on they are under way.
    fn claim(&self, names: Vec<TopicName>) -> Vec<TopicName> {
        let mut in_flight = self.in_flight.lock();
        let mut claimed = Vec::new();
        for name in names {
            if TopicName::fault(name.as_str()).is_none()
                && in_flight.len() < IN_FLIGHT_MAX
                && in_flight.insert(name.clone())
            {
                claimed.push(name);
            }
        }
        claimed
    }

    fn release(&self, names: &[TopicName]) {
        let mut in_flight = self.in_flight.lock();
        for name in names {
            in_flight.remove(name);
        }
    }
}

/// Gives the names back however the creation ends.
struct Claim {
    names: Vec<TopicName>,
    of: Arc<AutoTopics>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.of.release(&self.names);
    }
}

fn shape(name: &TopicName, settings: &Settings) -> NewTopic {
    let (partitions, replication_factor, configs) = match name.as_str() {
        TopicName::CONSUMER_OFFSETS => {
            let groups = &settings.groups;
            let configs = vec![
                ("cleanup.policy", "compact".to_owned()),
                ("compression.type", "producer".to_owned()),
                ("segment.bytes", groups.offsets_segment_bytes.to_string()),
            ];
            (groups.offsets_partitions, groups.offsets_replication_factor, configs)
        }
        TopicName::TRANSACTION_STATE => {
            let transactions = &settings.transactions;
            let configs = vec![
                ("cleanup.policy", "compact".to_owned()),
                ("compression.type", "uncompressed".to_owned()),
                ("min.insync.replicas", transactions.log_min_isr.to_string()),
                ("segment.bytes", transactions.log_segment_bytes.to_string()),
                ("unclean.leader.election.enable", "false".to_owned()),
            ];
            (transactions.log_partitions, transactions.log_replication_factor, configs)
        }
        TopicName::SHARE_GROUP_STATE => {
            let share = &settings.share_state;
            let configs = vec![
                ("cleanup.policy", "delete".to_owned()),
                ("compression.type", "producer".to_owned()),
                ("segment.bytes", share.segment_bytes.to_string()),
                ("min.insync.replicas", share.min_isr.to_string()),
                ("retention.ms", "-1".to_owned()),
            ];
            (share.partitions, share.replication_factor, configs)
        }
        _ => (-1, -1, Vec::new()),
    };
    NewTopic {
        name: name.clone(),
        partitions,
        replication_factor,
        assignments: Vec::new(),
        configs: configs.into_iter().map(|(key, value)| (key.to_owned(), Some(value))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::metadata::ConfigResource;

    #[tokio::test]
    async fn a_topic_appears_after_it_was_asked_for() {
        let (topics, controller, config) = (Arc::new(AutoTopics::default()), testing::controller(), testing::config());
        let client = testing::client(&controller);
        topics.create(vec![TopicName::new("a"), TopicName::new("a/b")], config.load().settings(), &client);
        while !topics.in_flight.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        let image = controller.store().image();
        assert_eq!(image.topic("a").map(|topic| topic.partitions.len()), Some(2));
        assert!(image.topic("a/b").is_none());
    }

    #[tokio::test]
    async fn internal_topics_get_the_shape_of_their_settings() {
        let live = testing::config();
        let config = live.load();
        let offsets = shape(&TopicName::new("__consumer_offsets"), config.settings());
        assert_eq!(offsets.partitions, config.settings().groups.offsets_partitions);
        assert!(offsets.configs.contains(&("cleanup.policy".into(), Some("compact".into()))));
        for name in ["__consumer_offsets", "__transaction_state", "__share_group_state"] {
            let shape = shape(&TopicName::new(name), config.settings());
            let configs = shape.configs.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?)));
            let rules = super::super::ConfigRules::new(Arc::clone(&live));
            let resource = ConfigResource::topic(&shape.name);
            let outcome = crate::controller::ConfigRules::validate(
                &rules,
                &resource,
                &configs.collect(),
                &std::collections::BTreeMap::new(),
            );
            assert_eq!(outcome, Ok(()), "{name}");
        }
    }

    #[test]
    fn a_topic_whose_creation_is_under_way_is_not_claimed_again_until_it_ends() {
        let topics = AutoTopics::default();
        let name = TopicName::new("a");
        assert_eq!(topics.claim(vec![name.clone()]), std::slice::from_ref(&name));
        assert_eq!(topics.claim(vec![name.clone()]), []);
        topics.release(std::slice::from_ref(&name));
        assert_eq!(topics.claim(vec![name.clone()]), [name]);
    }

    #[test]
    fn a_name_that_is_not_valid_is_not_claimed() {
        assert_eq!(AutoTopics::default().claim(vec![TopicName::new("a/b"), TopicName::new("")]), []);
    }

    #[test]
    fn no_more_than_the_limit_is_under_way() {
        let topics = AutoTopics::default();
        let names = (0..IN_FLIGHT_MAX + 5).map(|n| TopicName::new(&format!("t{n}"))).collect();
        assert_eq!(topics.claim(names).len(), IN_FLIGHT_MAX);
    }
}
