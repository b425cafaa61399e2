//! The answers that this broker reads from other brokers and from controllers. Fetch is not here: its answer has a
//! reader of its own ([`crate::wire::fetch::parse_response`]).

use crate::wire::shape::dsl::*;
use crate::wire::shape::{Api, Scalar::*};

#[rustfmt::skip]
pub(super) const TABLE: &[Api] = &[
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
    api(17, "SaslHandshake", 0, 1, NEVER, &[int16("error_code"), list("mechanisms", Text)]),
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
        int16("error_code"), text("error_message").nullable(), bytes("auth_bytes"), int64("session_lifetime_ms").since(1),
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
];
