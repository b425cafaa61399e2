//! One file per Kafka API; this one holds the list of them.
