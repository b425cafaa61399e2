//! The answers that this program reads: from the brokers and controllers of its cluster, and as `klamm doctor` from any
//! broker, in the versions in which topics have names. A follower's Fetch is not here: the answer to that has a reader of
//! its own ([`crate::wire::fetch::parse_response`]).

use crate::wire::shape::dsl::*;
use crate::wire::shape::{Api, Scalar::*};

#[rustfmt::skip]
pub(super) const TABLE: &[Api] = &[
    api(0, "Produce", 3, 9, 9, &[
        many("responses", &[
            text("name"),
            many("partition_responses", &[
                int32("index"), int16("error_code"), int64("base_offset"), int64("log_append_time_ms"),
                int64("log_start_offset").since(5),
                many("record_errors", &[int32("batch_index"), text("batch_index_error_message").nullable()]).since(8),
                text("error_message").since(8).nullable(),
            ]),
        ]),
        int32("throttle_time_ms"),
    ]),
    api(1, "Fetch", 4, 11, 12, &[
        int32("throttle_time_ms"), int16("error_code").since(7), int32("session_id").since(7),
        many("responses", &[
            text("topic"),
            many("partitions", &[
                int32("partition_index"), int16("error_code"), int64("high_watermark"), int64("last_stable_offset"),
                int64("log_start_offset").since(5),
                many("aborted_transactions", &[int64("producer_id"), int64("first_offset")]).nullable(),
                int32("preferred_read_replica").since(11), bytes("records").nullable(),
            ]),
        ]),
    ]),
    api(2, "ListOffsets", 1, 10, 6, &[
        int32("throttle_time_ms").since(2),
        many("topics", &[
            text("name"),
            many("partitions", &[
                int32("partition_index"), int16("error_code"), int64("timestamp"), int64("offset"),
                int32("leader_epoch").since(4),
            ]),
        ]),
    ]),
    api(3, "Metadata", 1, 12, 9, &[
        int32("throttle_time_ms").since(3),
        many("brokers", &[int32("node_id"), text("host"), int32("port"), text("rack").nullable()]),
        text("cluster_id").since(2).nullable(), int32("controller_id"),
        many("topics", &[
            int16("error_code"), text("name").nullable_since(12), uuid("topic_id").since(10), flag("is_internal"),
            many("partitions", &[
                int16("error_code"), int32("partition_index"), int32("leader_id"), int32("leader_epoch").since(7),
                list("replica_nodes", Int32), list("isr_nodes", Int32), list("offline_replicas", Int32).since(5),
            ]),
            int32("topic_authorized_operations").since(8),
        ]),
        int32("cluster_authorized_operations").between(8, 10),
    ]),
    api(17, "SaslHandshake", 0, 1, NEVER, &[int16("error_code"), list("mechanisms", Text)]),
    api(18, "ApiVersions", 0, 4, 3, &[
        int16("error_code"),
        many("api_keys", &[int16("api_key"), int16("min_version"), int16("max_version")]),
        int32("throttle_time_ms").since(1),
        many("supported_features", &[text("name"), int16("min_version"), int16("max_version")]).since(3).tag(0),
        int64("finalized_features_epoch").since(3).tag(1),
        many("finalized_features", &[text("name"), int16("max_version_level"), int16("min_version_level")])
            .since(3).tag(2),
        flag("zk_migration_ready").since(3).tag(3),
    ]),
    api(19, "CreateTopics", 2, 7, 5, &[
        int32("throttle_time_ms"),
        many("topics", &[
            text("name"), uuid("topic_id").since(7), int16("error_code"), text("error_message").nullable(),
            int16("topic_config_error_code").since(5).tag(0), int32("num_partitions").since(5),
            int16("replication_factor").since(5),
            many("configs", &[
                text("name"), text("value").nullable(), flag("read_only"), int8("config_source"), flag("is_sensitive"),
            ]).since(5).nullable_since(5),
        ]),
    ]),
    api(20, "DeleteTopics", 1, 5, 4, &[
        int32("throttle_time_ms"),
        many("responses", &[text("name"), int16("error_code"), text("error_message").since(5).nullable()]),
    ]),
    api(23, "OffsetForLeaderEpoch", 2, 4, 4, &[
        int32("throttle_time_ms"),
        many("topics", &[
            text("topic"),
            many("partitions", &[int16("error_code"), int32("partition"), int32("leader_epoch"), int64("end_offset")]),
        ]),
    ]),
    api(24, "AddPartitionsToTxn", 0, 5, 3, &[
        int32("throttle_time_ms"), int16("error_code").since(4),
        many("results_by_transaction", &[
            text("transactional_id"),
            many("topic_results", &[
                text("name"), many("results_by_partition", &[int32("partition_index"), int16("partition_error_code")]),
            ]),
        ]).since(4),
        many("results_by_topic_v3_and_below", &[
            text("name"), many("results_by_partition", &[int32("partition_index"), int16("partition_error_code")]),
        ]).until(3),
    ]),
    api(27, "WriteTxnMarkers", 1, 1, 1, &[
        many("markers", &[
            int64("producer_id"),
            many("topics", &[text("name"), many("partitions", &[int32("partition_index"), int16("error_code")])]),
        ]),
    ]),
    api(33, "AlterConfigs", 0, 2, 2, &[
        int32("throttle_time_ms"),
        many("responses", &[
            int16("error_code"), text("error_message").nullable(), int8("resource_type"), text("resource_name"),
        ]),
    ]),
    api(36, "SaslAuthenticate", 0, 2, 2, &[
        int16("error_code"), text("error_message").nullable(), bytes("auth_bytes"),
        int64("session_lifetime_ms").since(1),
    ]),
    api(44, "IncrementalAlterConfigs", 0, 1, 1, &[
        int32("throttle_time_ms"),
        many("responses", &[
            int16("error_code"), text("error_message").nullable(), int8("resource_type"), text("resource_name"),
        ]),
    ]),
    api(56, "AlterPartition", 2, 3, 0, &[
        int32("throttle_time_ms"), int16("error_code"),
        many("topics", &[
            uuid("topic_id"),
            many("partitions", &[
                int32("partition_index"), int16("error_code"), int32("leader_id"), int32("leader_epoch"),
                list("isr", Int32), int8("leader_recovery_state"), int32("partition_epoch"),
            ]),
        ]),
    ]),
    api(58, "Envelope", 0, 0, 0, &[bytes("response_data").nullable(), int16("error_code")]),
    api(62, "BrokerRegistration", 0, 4, 0, &[
        int32("throttle_time_ms"), int16("error_code"), int64("broker_epoch"),
    ]),
    api(63, "BrokerHeartbeat", 0, 1, 0, &[
        int32("throttle_time_ms"), int16("error_code"), flag("is_caught_up"), flag("is_fenced"),
        flag("should_shut_down"),
    ]),
    api(67, "AllocateProducerIds", 0, 0, 0, &[
        int32("throttle_time_ms"), int16("error_code"), int64("producer_id_start"), int32("producer_id_len"),
    ]),
    api(70, "ControllerRegistration", 0, 0, 0, &[
        int32("throttle_time_ms"), int16("error_code"), text("error_message").nullable(),
    ]),
    api(73, "AssignReplicasToDirs", 0, 0, 0, &[
        int32("throttle_time_ms"), int16("error_code"),
        many("directories", &[
            uuid("id"),
            many("topics", &[
                uuid("topic_id"), many("partitions", &[int32("partition_index"), int16("error_code")]),
            ]),
        ]),
    ]),
    api(83, "InitializeShareGroupState", 0, 0, 0, &[
        many("results", &[
            uuid("topic_id"),
            many("partitions", &[int32("partition"), int16("error_code"), text("error_message").nullable()]),
        ]),
    ]),
    api(84, "ReadShareGroupState", 0, 0, 0, &[
        many("results", &[
            uuid("topic_id"),
            many("partitions", &[
                int32("partition"), int16("error_code"), text("error_message").nullable(), int32("state_epoch"),
                int64("start_offset"),
                many("state_batches", &[
                    int64("first_offset"), int64("last_offset"), int8("delivery_state"), int16("delivery_count"),
                ]),
            ]),
        ]),
    ]),
    api(85, "WriteShareGroupState", 0, 1, 0, &[
        many("results", &[
            uuid("topic_id"),
            many("partitions", &[int32("partition"), int16("error_code"), text("error_message").nullable()]),
        ]),
    ]),
    api(86, "DeleteShareGroupState", 0, 0, 0, &[
        many("results", &[
            uuid("topic_id"),
            many("partitions", &[int32("partition"), int16("error_code"), text("error_message").nullable()]),
        ]),
    ]),
    api(87, "ReadShareGroupStateSummary", 0, 1, 0, &[
        many("results", &[
            uuid("topic_id"),
            many("partitions", &[
                int32("partition"), int16("error_code"), text("error_message").nullable(), int32("state_epoch"),
                int32("leader_epoch"), int64("start_offset"), int32("delivery_complete_count").since(1),
            ]),
        ]),
    ]),
];
