//! The environment, by the rules of Kafka's Docker image: `KAFKA_LOG_RETENTION_MS` is
//! `log.retention.ms`, `__` is `_`, `___` is `-`; what configures the JVM and its logging is not ours.

/// Variables that begin with `KAFKA_` and are no settings.
const EXCLUDED: [&str; 11] = [
    "KAFKA_VERSION",
    "KAFKA_HEAP_OPTS",
    "KAFKA_LOG4J_OPTS",
    "KAFKA_OPTS",
    "KAFKA_JMX_OPTS",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_LOG4J_ROOT_LOGLEVEL",
    "KAFKA_LOG4J_LOGGERS",
    "KAFKA_TOOLS_LOG4J_LOGLEVEL",
    "KAFKA_JMX_HOSTNAME",
];

/// The key that a variable sets; `None` if it sets none.
pub(super) fn key(variable: &str) -> Option<String> {
    if EXCLUDED.contains(&variable) {
        return None;
    }
    let name = variable.strip_prefix("KAFKA_")?;
    // In this order, as the image does it: every _ is a dot, three dots are a dash, two an underscore.
    let key = name.to_lowercase().replace('_', ".").replace("...", "-").replace("..", "_");
    (!key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_named_as_in_kafkas_image() {
        let cases = [
            ("KAFKA_LOG_RETENTION_MS", "log.retention.ms"),
            ("KAFKA_NODE_ID", "node.id"),
            ("KAFKA_LISTENER_NAME_TC___0_MAX_CONNECTIONS", "listener.name.tc-0.max.connections"),
            ("KAFKA_A__B", "a_b"),
            ("KAFKA_A___B", "a-b"),
            ("KAFKA_A____B", "a-.b"),
            ("KAFKA_JMX_PORT", "jmx.port"),
            ("KAFKA_ADMIN_LISTENER", "admin.listener"),
            ("KAFKA_my_Key", "my.key"),
        ];
        for (variable, expected) in cases {
            assert_eq!(key(variable).as_deref(), Some(expected), "{variable}");
        }
    }

    #[test]
    fn what_configures_the_jvm_is_not_a_setting() {
        for variable in EXCLUDED {
            assert_eq!(key(variable), None, "{variable}");
        }
        for variable in ["PATH", "CLUSTER_ID", "KAFKA_", "kafka_node_id", "XKAFKA_NODE_ID"] {
            assert_eq!(key(variable), None, "{variable}");
        }
    }
}
