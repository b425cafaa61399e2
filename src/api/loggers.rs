//! BROKER_LOGGER resources: log levels by logger (`RuntimeLoggerManager`).
//!
//! The loggers are the parts of this program and `root`. A level lasts until the broker stops, as in Kafka. In a
//! process that has set up no logs there are none: nothing is listed, and what is named does not exist.

use super::ApiError;
use super::alter::invalid;
use crate::controller::AlterOp;
use crate::model::{ErrorCode, NodeId};
use crate::rt::logging::{Loggers, ROOT};
use kafka_protocol::messages::incremental_alter_configs_request::AlterableConfig;

/// What IncrementalAlterConfigs answers: all changes are made, or none.
pub(super) fn alter(
    loggers: Option<&Loggers>,
    node: NodeId,
    name: &str,
    configs: &[AlterableConfig],
    validate_only: bool,
) -> Result<(), ApiError> {
    let id: i32 = name.parse().map_err(|_| invalid(format!("Node id must be an integer, but it is: {name}")))?;
    if id != node.0 {
        return Err(invalid(format!("Unexpected node id. Expected {}, but received {id}", node.0)));
    }
    for config in configs {
        check(loggers, config)?;
    }
    let Some(loggers) = loggers.filter(|_| !validate_only) else { return Ok(()) };
    for config in configs {
        let level = config.value.as_deref().filter(|_| config.config_operation == AlterOp::Set as i8);
        loggers.set(&config.name, level).map_err(|error| refused(error.to_string()))?;
        tracing::warn!(logger = &*config.name, level = level.unwrap_or("that of root"), "a log level was changed");
    }
    Ok(())
}

fn check(loggers: Option<&Loggers>, config: &AlterableConfig) -> Result<(), ApiError> {
    let not_allowed = |op: &str| Err(invalid(format!("{op} is not allowed for the BROKER_LOGGER resource")));
    let op = AlterOp::from_code(config.config_operation);
    match op {
        Some(AlterOp::Append) => return not_allowed("APPEND operation"),
        Some(AlterOp::Subtract) => return not_allowed("SUBTRACT operation"),
        None => return not_allowed(&format!("Unknown operation type {}", config.config_operation)),
        Some(AlterOp::Set | AlterOp::Delete) => {}
    }
    let name = &*config.name;
    let Some(loggers) = loggers.filter(|loggers| loggers.has(name)) else {
        return Err(refused(format!("Logger {name} does not exist!")));
    };
    if op == Some(AlterOp::Delete) {
        return if name == ROOT {
            Err(invalid(format!("Removing the log level of the {ROOT} logger is not allowed")))
        } else {
            Ok(())
        };
    }
    loggers.check(name, config.value.as_deref().unwrap_or_default()).map_err(|error| refused(error.to_string()))
}

fn refused(message: String) -> ApiError {
    ApiError::new(ErrorCode::INVALID_CONFIG, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(op: i8, name: &'static str, level: &'static str) -> AlterableConfig {
        AlterableConfig::default()
            .with_name(name.into())
            .with_config_operation(op)
            .with_value((!level.is_empty()).then(|| level.into()))
    }

    /// What is answered, and the levels of `root` and the storage afterwards.
    fn ask(configs: &[AlterableConfig], validate_only: bool) -> (Option<(ErrorCode, String)>, [&'static str; 2]) {
        let loggers = Loggers::unapplied("info");
        let answer = alter(Some(&loggers), NodeId(1), "1", configs, validate_only);
        let level = |name| loggers.levels().into_iter().find(|(known, _)| known == name).map_or("", |(_, level)| level);
        let levels = [level(ROOT), level("klamm.storage")];
        (answer.err().map(|error| (error.code, error.message.unwrap_or_default())), levels)
    }

    fn refusal(configs: &[AlterableConfig]) -> Option<(ErrorCode, String)> {
        let (refusal, levels) = ask(configs, false);
        assert_eq!(levels, ["INFO", "INFO"], "nothing of a refused request is done");
        refusal
    }

    #[test]
    fn a_level_is_set_and_taken_back() {
        let set = config(0, "klamm.storage", "DEBUG");
        assert_eq!(ask(std::slice::from_ref(&set), false), (None, ["INFO", "DEBUG"]));
        assert_eq!(ask(std::slice::from_ref(&set), true), (None, ["INFO", "INFO"]));
        assert_eq!(ask(&[config(0, ROOT, "ERROR")], false), (None, ["ERROR", "ERROR"]));
        assert_eq!(ask(&[set, config(1, "klamm.storage", "")], false), (None, ["INFO", "INFO"]));
    }

    #[test]
    fn one_change_that_cannot_be_made_refuses_all() {
        let good = config(0, "klamm.storage", "DEBUG");
        let unknown = "Logger kafka.nobody does not exist!".to_owned();
        for op in [0, 1] {
            let bad = config(op, "kafka.nobody", "INFO");
            assert_eq!(refusal(&[good.clone(), bad]), Some((ErrorCode::INVALID_CONFIG, unknown.clone())));
        }
        let level = "Cannot set the log level of root to debug as it is not a supported log level. Valid log levels \
                     are DEBUG, ERROR, FATAL, INFO, TRACE, WARN";
        let bad = config(0, ROOT, "debug");
        assert_eq!(refusal(&[good, bad]), Some((ErrorCode::INVALID_CONFIG, level.to_owned())));
        let root = "Removing the log level of the root logger is not allowed".to_owned();
        assert_eq!(refusal(&[config(1, ROOT, "")]), Some((ErrorCode::INVALID_REQUEST, root)));
    }

    #[test]
    fn levels_are_set_or_deleted_and_nothing_else() {
        let one = |op| refusal(&[config(op, ROOT, "INFO")]).map(|(_, message)| message);
        assert_eq!(one(2).as_deref(), Some("APPEND operation is not allowed for the BROKER_LOGGER resource"));
        assert_eq!(one(3).as_deref(), Some("SUBTRACT operation is not allowed for the BROKER_LOGGER resource"));
        assert_eq!(one(9).as_deref(), Some("Unknown operation type 9 is not allowed for the BROKER_LOGGER resource"));
    }

    #[test]
    fn without_logs_no_logger_exists() {
        let answer = alter(None, NodeId(1), "1", &[config(0, ROOT, "INFO")], true);
        assert_eq!(answer.err().and_then(|e| e.message).as_deref(), Some("Logger root does not exist!"));
    }

    #[test]
    fn the_broker_must_be_this_one() {
        let message = |name| alter(None, NodeId(1), name, &[], false).err().and_then(|error| error.message);
        assert_eq!(message("1"), None);
        assert_eq!(message("2").as_deref(), Some("Unexpected node id. Expected 1, but received 2"));
        assert_eq!(message("").as_deref(), Some("Node id must be an integer, but it is: "));
    }
}
