//! What the controller is told about configs: which sets a resource may have, which keys hold lists
//! (`ControllerConfigurationValidator`). The knowledge is `config/`'s; here it is put in the controller's words.

use super::ApiError;
use super::alter::invalid;
use crate::config::value::Type;
use crate::config::{self, broker_keys, entity_keys, topic_keys};
use crate::controller;
use crate::metadata::{ConfigResource, ResourceType};
use crate::model::{ErrorCode, TopicName};
use std::collections::BTreeMap;
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub struct ConfigRules {
    config: Arc<config::Live>,
}

impl ConfigRules {
    #[must_use]
    pub fn new(config: Arc<config::Live>) -> ConfigRules {
        ConfigRules { config }
    }
}

impl controller::ConfigRules for ConfigRules {
    fn validate(
        &self,
        resource: &ConfigResource,
        configs: &BTreeMap<String, String>,
        _existing: &BTreeMap<String, String>,
    ) -> Result<(), ApiError> {
        match resource.kind {
            ResourceType::Topic => {
                if resource.name.is_empty() {
                    return Err(invalid("Default topic resources are not allowed."));
                }
                if let Some(fault) = TopicName::fault(&resource.name) {
                    return Err(ApiError::new(ErrorCode::INVALID_TOPIC_EXCEPTION, fault));
                }
                topic_keys::validate(self.config.load().effective(), configs)
                    .map_err(|fault| ApiError::new(ErrorCode::INVALID_CONFIG, fault.to_string()))
            }
            // The values were checked by the broker that took the request.
            ResourceType::Broker if resource.name.is_empty() => Ok(()),
            ResourceType::Broker => match resource.name.parse::<i32>() {
                Err(_) => Err(invalid("Unable to parse broker name as a base 10 number.")),
                Ok(id) if id < 0 => Err(invalid("Invalid negative broker ID.")),
                Ok(_) => Ok(()),
            },
            ResourceType::Group if resource.name.is_empty() => Err(invalid("Default group resources are not allowed.")),
            ResourceType::Group => entity_keys::validate_group(self.config.load().effective(), configs)
                .map_err(|fault| ApiError::new(ErrorCode::INVALID_CONFIG, fault.to_string())),
            ResourceType::ClientMetrics => entity_keys::validate_client_metrics(&resource.name, configs)
                .map_err(|(code, fault)| ApiError::new(code, fault.to_string())),
            ResourceType::BrokerLogger => Err(invalid("Unknown resource type BROKER_LOGGER")),
        }
    }

    fn is_list(&self, kind: ResourceType, key: &str) -> bool {
        find(kind, key).is_some_and(|key| key.of == Type::List)
    }

    fn default_value(&self, kind: ResourceType, key: &str) -> Option<String> {
        find(kind, key).and_then(|key| key.default).map(str::to_owned)
    }
}

fn find(kind: ResourceType, name: &str) -> Option<&'static config::key::Key> {
    match kind {
        ResourceType::Topic => topic_keys::find(name).map(|topic| &topic.key),
        ResourceType::Broker => broker_keys::find(name),
        ResourceType::Group => entity_keys::find_group(name).map(|group| &group.key),
        ResourceType::ClientMetrics => entity_keys::find_client_metrics(name),
        ResourceType::BrokerLogger => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::controller::ConfigRules as _;

    fn validate(kind: ResourceType, name: &str, configs: &[(&str, &str)]) -> (ErrorCode, String) {
        let configs = configs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let rules = ConfigRules::new(testing::config());
        match rules.validate(&ConfigResource::new(kind, name), &configs, &BTreeMap::new()) {
            Ok(()) => (ErrorCode::NONE, String::new()),
            Err(error) => (error.code, error.message.unwrap_or_default()),
        }
    }

    #[test]
    fn a_topic_has_known_keys_with_values_that_parse() {
        let topic = |configs: &[(&str, &str)]| validate(ResourceType::Topic, "a", configs);
        assert_eq!(topic(&[("retention.ms", "1"), ("cleanup.policy", "compact")]).0, ErrorCode::NONE);
        let unknown = (ErrorCode::INVALID_CONFIG, "Unknown topic config name: no.such".to_owned());
        assert_eq!(topic(&[("no.such", "1")]), unknown);
        assert_eq!(topic(&[("retention.ms", "soon")]).0, ErrorCode::INVALID_CONFIG);
    }

    #[test]
    fn there_are_no_defaults_for_all_topics() {
        let (code, message) = validate(ResourceType::Topic, "", &[]);
        assert_eq!((code, message.as_str()), (ErrorCode::INVALID_REQUEST, "Default topic resources are not allowed."));
        assert_eq!(validate(ResourceType::Topic, "a/b", &[]).0, ErrorCode::INVALID_TOPIC_EXCEPTION);
    }

    #[test]
    fn a_broker_is_named_by_its_number_or_not_at_all() {
        let broker = |name: &str| validate(ResourceType::Broker, name, &[]).1;
        assert_eq!(broker(""), "");
        assert_eq!(broker("7"), "");
        assert_eq!(broker("-7"), "Invalid negative broker ID.");
        assert_eq!(broker("seven"), "Unable to parse broker name as a base 10 number.");
    }

    #[test]
    fn groups_and_client_metrics_have_keys_of_their_own() {
        let set = |kind, name: &str, key: &str, value: &str| validate(kind, name, &[(key, value)]).0;
        assert_eq!(set(ResourceType::Group, "g", "consumer.session.timeout.ms", "50000"), ErrorCode::NONE);
        assert_eq!(set(ResourceType::Group, "g", "no.such", "1"), ErrorCode::INVALID_CONFIG);
        assert_eq!(set(ResourceType::Group, "", "consumer.session.timeout.ms", "50000"), ErrorCode::INVALID_REQUEST);
        assert_eq!(set(ResourceType::ClientMetrics, "m", "interval.ms", "1000"), ErrorCode::NONE);
        assert_eq!(set(ResourceType::ClientMetrics, "m", "interval.ms", "1"), ErrorCode::INVALID_REQUEST);
        assert_eq!(set(ResourceType::ClientMetrics, "m", "no.such", "1"), ErrorCode::INVALID_REQUEST);
    }

    #[test]
    fn lists_and_their_defaults_are_those_of_the_tables() {
        let rules = ConfigRules::new(testing::config());
        assert!(rules.is_list(ResourceType::Topic, "cleanup.policy"));
        assert!(!rules.is_list(ResourceType::Topic, "retention.ms"));
        assert!(!rules.is_list(ResourceType::Group, "cleanup.policy"));
        assert_eq!(rules.default_value(ResourceType::Topic, "cleanup.policy").as_deref(), Some("delete"));
    }
}
