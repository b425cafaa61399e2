//! What the controller is told about configs: which sets a topic or a broker may have, which keys hold lists
//! (`ControllerConfigurationValidator`). The knowledge is `config/`'s; here it is put in the controller's words.
//!
//! Left out: configs of groups and of client-metrics subscriptions, which come with what they configure. Until then
//! they are refused rather than kept and not acted on.

use super::ApiError;
use super::alter::invalid;
use crate::config::value::Type;
use crate::config::{self, broker_keys, topic_keys};
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
            ResourceType::Group | ResourceType::ClientMetrics if configs.is_empty() => Ok(()),
            ResourceType::Group => Err(ApiError::new(
                ErrorCode::INVALID_CONFIG,
                "Configs of groups are not supported yet: this broker does not serve consumer groups.",
            )),
            ResourceType::ClientMetrics => Err(ApiError::new(
                ErrorCode::INVALID_CONFIG,
                "Client metrics subscriptions are not supported: this broker does not collect metrics from clients.",
            )),
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
        _ => None,
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
    fn what_nothing_here_would_act_on_is_refused() {
        for kind in [ResourceType::Group, ResourceType::ClientMetrics] {
            assert_eq!(validate(kind, "g", &[("interval.ms", "1000")]).0, ErrorCode::INVALID_CONFIG);
            assert_eq!(validate(kind, "g", &[]).0, ErrorCode::NONE);
        }
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
