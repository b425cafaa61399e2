//! The messages of producers, consumers' reads and transactions, and of share consumers' reads.

use crate::wire::shape::dsl::*;
use crate::wire::shape::{Api, Scalar::*};

#[rustfmt::skip]
pub(super) const TABLE: &[Api] = &[
    api(0, "Produce", 3, 13, 9, &[
        text("transactional_id").nullable(), int16("acks"), int32("timeout_ms"),
        many("topic_data", &[
            text("name").until(12), uuid("topic_id").since(13),
            many("partition_data", &[int32("index"), bytes("records").nullable()]),
        ]),
    ]),
    api(1, "Fetch", 4, 18, 12, &[
        text("cluster_id").since(12).nullable().tag(0), int32("replica_id").until(14),
        one("replica_state", &[int32("replica_id"), int64("replica_epoch")]).since(15).tag(1), int32("max_wait_ms"),
        int32("min_bytes"), int32("max_bytes"), int8("isolation_level"), int32("session_id").since(7),
        int32("session_epoch").since(7),
        many("topics", &[
            text("topic").until(12), uuid("topic_id").since(13),
            many("partitions", &[
                int32("partition"), int32("current_leader_epoch").since(9), int64("fetch_offset"),
                int32("last_fetched_epoch").since(12), int64("log_start_offset").since(5),
                int32("partition_max_bytes"), uuid("replica_directory_id").since(17).tag(0),
                int64("high_watermark").since(18).tag(1),
            ]),
        ]),
        many("forgotten_topics_data", &[
            text("topic").until(12), uuid("topic_id").since(13), list("partitions", Int32),
        ]).since(7),
        text("rack_id").since(11),
    ]),
    api(2, "ListOffsets", 1, 10, 6, &[
        int32("replica_id"), int8("isolation_level").since(2),
        many("topics", &[
            text("name"),
            many("partitions", &[
                int32("partition_index"), int32("current_leader_epoch").since(4), int64("timestamp"),
            ]),
        ]),
        int32("timeout_ms").since(10),
    ]),
    api(3, "Metadata", 0, 13, 9, &[
        many("topics", &[uuid("topic_id").since(10), text("name").nullable_since(10)]).nullable_since(1),
        flag("allow_auto_topic_creation").since(4), flag("include_cluster_authorized_operations").between(8, 10),
        flag("include_topic_authorized_operations").since(8),
    ]),
    api(18, "ApiVersions", 0, 4, 3, &[
        text("client_software_name").since(3), text("client_software_version").since(3),
    ]),
    api(21, "DeleteRecords", 0, 2, 2, &[
        many("topics", &[text("name"), many("partitions", &[int32("partition_index"), int64("offset")])]),
        int32("timeout_ms"),
    ]),
    api(22, "InitProducerId", 0, 5, 2, &[
        text("transactional_id").nullable(), int32("transaction_timeout_ms"), int64("producer_id").since(3),
        int16("producer_epoch").since(3),
    ]),
    api(23, "OffsetForLeaderEpoch", 2, 4, 4, &[
        int32("replica_id").since(3),
        many("topics", &[
            text("topic"),
            many("partitions", &[int32("partition"), int32("current_leader_epoch"), int32("leader_epoch")]),
        ]),
    ]),
    api(24, "AddPartitionsToTxn", 0, 5, 3, &[
        many("transactions", &[
            text("transactional_id"), int64("producer_id"), int16("producer_epoch"), flag("verify_only"),
            many("topics", &[text("name"), list("partitions", Int32)]),
        ]).since(4),
        text("v3_and_below_transactional_id").until(3), int64("v3_and_below_producer_id").until(3),
        int16("v3_and_below_producer_epoch").until(3),
        many("v3_and_below_topics", &[text("name"), list("partitions", Int32)]).until(3),
    ]),
    api(25, "AddOffsetsToTxn", 0, 4, 3, &[
        text("transactional_id"), int64("producer_id"), int16("producer_epoch"), text("group_id"),
    ]),
    api(26, "EndTxn", 0, 5, 3, &[
        text("transactional_id"), int64("producer_id"), int16("producer_epoch"), flag("committed"),
    ]),
    api(28, "TxnOffsetCommit", 0, 5, 3, &[
        text("transactional_id"), text("group_id"), int64("producer_id"), int16("producer_epoch"),
        int32("generation_id").since(3), text("member_id").since(3), text("group_instance_id").since(3).nullable(),
        many("topics", &[
            text("name"),
            many("partitions", &[
                int32("partition_index"), int64("committed_offset"), int32("committed_leader_epoch").since(2),
                text("committed_metadata").nullable(),
            ]),
        ]),
    ]),
    api(61, "DescribeProducers", 0, 0, 0, &[many("topics", &[text("name"), list("partition_indexes", Int32)])]),
    api(65, "DescribeTransactions", 0, 0, 0, &[list("transactional_ids", Text)]),
    api(66, "ListTransactions", 0, 2, 0, &[
        list("state_filters", Text), list("producer_id_filters", Int64), int64("duration_filter").since(1),
        text("transactional_id_pattern").since(2).nullable(),
    ]),
    api(71, "GetTelemetrySubscriptions", 0, 0, 0, &[uuid("client_instance_id")]),
    api(72, "PushTelemetry", 0, 0, 0, &[
        uuid("client_instance_id"), int32("subscription_id"), flag("terminating"), int8("compression_type"),
        bytes("metrics"),
    ]),
    api(75, "DescribeTopicPartitions", 0, 0, 0, &[
        many("topics", &[text("name")]), int32("response_partition_limit"),
        one("cursor", &[text("topic_name"), int32("partition_index")]).nullable(),
    ]),
    api(78, "ShareFetch", 1, 2, 0, &[
        text("group_id").nullable(), text("member_id").nullable(), int32("share_session_epoch"),
        int32("max_wait_ms"), int32("min_bytes"), int32("max_bytes"), int32("max_records"), int32("batch_size"),
        int8("share_acquire_mode").since(2), flag("is_renew_ack").since(2),
        many("topics", &[
            uuid("topic_id"),
            many("partitions", &[
                int32("partition_index"),
                many("acknowledgement_batches", &[
                    int64("first_offset"), int64("last_offset"), list("acknowledge_types", Int8),
                ]),
            ]),
        ]),
        many("forgotten_topics_data", &[uuid("topic_id"), list("partitions", Int32)]),
    ]),
    api(79, "ShareAcknowledge", 1, 2, 0, &[
        text("group_id").nullable(), text("member_id").nullable(), int32("share_session_epoch"),
        flag("is_renew_ack").since(2),
        many("topics", &[
            uuid("topic_id"),
            many("partitions", &[
                int32("partition_index"),
                many("acknowledgement_batches", &[
                    int64("first_offset"), int64("last_offset"), list("acknowledge_types", Int8),
                ]),
            ]),
        ]),
    ]),
];
