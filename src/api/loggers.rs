//! BROKER_LOGGER resources: log levels by logger.
//!
//! Klamm's levels are set at start and not changed while it runs, so there are no loggers to list or
//! to set. The answers are those of an Apache Kafka whose logging library cannot be steered: none are listed, and
//! each that is named does not exist.

use super::ApiError;
use super::alter::invalid;
use crate::controller::AlterOp;
use crate::model::{ErrorCode, NodeId};
use kafka_protocol::messages::incremental_alter_configs_request::AlterableConfig;

/// What IncrementalAlterConfigs answers (`RuntimeLoggerManager`).
pub(super) fn alter(node: NodeId, name: &str, configs: &[AlterableConfig]) -> Result<(), ApiError> {
    let id: i32 = name.parse().map_err(|_| invalid(format!("Node id must be an integer, but it is: {name}")))?;
    if id != node.0 {
        return Err(invalid(format!("Unexpected node id. Expected {}, but received {id}", node.0)));
    }
    // Whatever the first change wants, it is refused, and the rest with it.
    let Some(config) = configs.first() else { return Ok(()) };
    let not_allowed = |op: &str| invalid(format!("{op} is not allowed for the BROKER_LOGGER resource"));
    Err(match AlterOp::from_code(config.config_operation) {
        Some(AlterOp::Set | AlterOp::Delete) => {
            ApiError::new(ErrorCode::INVALID_CONFIG, format!("Logger {} does not exist!", &*config.name))
        }
        Some(AlterOp::Append) => not_allowed("APPEND operation"),
        Some(AlterOp::Subtract) => not_allowed("SUBTRACT operation"),
        None => not_allowed(&format!("Unknown operation type {}", config.config_operation)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(op: i8) -> Option<String> {
        let config = AlterableConfig::default().with_name("root".into()).with_config_operation(op);
        alter(NodeId(1), "1", &[config]).err().and_then(|error| error.message)
    }

    #[test]
    fn no_logger_exists() {
        assert_eq!(one(0).as_deref(), Some("Logger root does not exist!"));
        assert_eq!(one(1).as_deref(), Some("Logger root does not exist!"));
    }

    #[test]
    fn levels_are_set_or_deleted_and_nothing_else() {
        assert_eq!(one(2).as_deref(), Some("APPEND operation is not allowed for the BROKER_LOGGER resource"));
        assert_eq!(one(3).as_deref(), Some("SUBTRACT operation is not allowed for the BROKER_LOGGER resource"));
        assert!(one(9).is_some_and(|message| message.starts_with("Unknown operation type 9")));
    }

    #[test]
    fn the_broker_must_be_this_one() {
        let message = |name| alter(NodeId(1), name, &[]).err().and_then(|error| error.message);
        assert_eq!(message("1"), None);
        assert_eq!(message("2").as_deref(), Some("Unexpected node id. Expected 1, but received 2"));
        assert_eq!(message("").as_deref(), Some("Node id must be an integer, but it is: "));
    }
}
