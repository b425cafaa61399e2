//! The messages that brokers and controllers send each other.

use crate::wire::shape::dsl::*;
use crate::wire::shape::{Api, Scalar::*};

#[rustfmt::skip]
pub(super) const TABLE: &[Api] = &[
    api(27, "WriteTxnMarkers", 1, 1, 1, &[
        many("markers", &[
            int64("producer_id"), int16("producer_epoch"), flag("transaction_result"),
            many("topics", &[text("name"), list("partition_indexes", Int32)]), int32("coordinator_epoch"),
        ]),
    ]),
    api(52, "Vote", 0, 2, 0, &[
        text("cluster_id").nullable(), int32("voter_id").since(1),
        many("topics", &[
            text("topic_name"),
            many("partitions", &[
                int32("partition_index"), int32("replica_epoch"), int32("replica_id"),
                uuid("replica_directory_id").since(1), uuid("voter_directory_id").since(1),
                int32("last_offset_epoch"), int64("last_offset"), flag("pre_vote").since(2),
            ]),
        ]),
    ]),
    api(53, "BeginQuorumEpoch", 0, 1, 1, &[
        text("cluster_id").nullable(), int32("voter_id").since(1),
        many("topics", &[
            text("topic_name"),
            many("partitions", &[
                int32("partition_index"), uuid("voter_directory_id").since(1), int32("leader_id"),
                int32("leader_epoch"),
            ]),
        ]),
        many("leader_endpoints", &[text("name"), text("host"), uint16("port")]).since(1),
    ]),
    api(54, "EndQuorumEpoch", 0, 1, 1, &[
        text("cluster_id").nullable(),
        many("topics", &[
            text("topic_name"),
            many("partitions", &[
                int32("partition_index"), int32("leader_id"), int32("leader_epoch"),
                list("preferred_successors", Int32).until(0),
                many("preferred_candidates", &[int32("candidate_id"), uuid("candidate_directory_id")]).since(1),
            ]),
        ]),
        many("leader_endpoints", &[text("name"), text("host"), uint16("port")]).since(1),
    ]),
    api(56, "AlterPartition", 2, 3, 0, &[
        int32("broker_id"), int64("broker_epoch"),
        many("topics", &[
            uuid("topic_id"),
            many("partitions", &[
                int32("partition_index"), int32("leader_epoch"), list("new_isr", Int32).until(2),
                many("new_isr_with_epochs", &[int32("broker_id"), int64("broker_epoch")]).since(3),
                int8("leader_recovery_state"), int32("partition_epoch"),
            ]),
        ]),
    ]),
    api(58, "Envelope", 0, 0, 0, &[
        bytes("request_data"), bytes("request_principal").nullable(), bytes("client_host_address"),
    ]),
    api(59, "FetchSnapshot", 0, 1, 0, &[
        text("cluster_id").nullable().tag(0), int32("replica_id"), int32("max_bytes"),
        many("topics", &[
            text("name"),
            many("partitions", &[
                int32("partition"), int32("current_leader_epoch"),
                one("snapshot_id", &[int64("end_offset"), int32("epoch")]), int64("position"),
                uuid("replica_directory_id").since(1).tag(0),
            ]),
        ]),
    ]),
    api(62, "BrokerRegistration", 0, 4, 0, &[
        int32("broker_id"), text("cluster_id"), uuid("incarnation_id"),
        many("listeners", &[text("name"), text("host"), uint16("port"), int16("security_protocol")]),
        many("features", &[text("name"), int16("min_supported_version"), int16("max_supported_version")]),
        text("rack").nullable(), flag("is_migrating_zk_broker").since(1), list("log_dirs", Uuid).since(2),
        int64("previous_broker_epoch").since(3),
    ]),
    api(63, "BrokerHeartbeat", 0, 1, 0, &[
        int32("broker_id"), int64("broker_epoch"), int64("current_metadata_offset"), flag("want_fence"),
        flag("want_shut_down"), list("offline_log_dirs", Uuid).since(1).tag(0),
    ]),
    api(67, "AllocateProducerIds", 0, 0, 0, &[int32("broker_id"), int64("broker_epoch")]),
    api(70, "ControllerRegistration", 0, 0, 0, &[
        int32("controller_id"), uuid("incarnation_id"), flag("zk_migration_ready"),
        many("listeners", &[text("name"), text("host"), uint16("port"), int16("security_protocol")]),
        many("features", &[text("name"), int16("min_supported_version"), int16("max_supported_version")]),
    ]),
    api(73, "AssignReplicasToDirs", 0, 0, 0, &[
        int32("broker_id"), int64("broker_epoch"),
        many("directories", &[
            uuid("id"), many("topics", &[uuid("topic_id"), many("partitions", &[int32("partition_index")])]),
        ]),
    ]),
    api(82, "UpdateRaftVoter", 0, 0, 0, &[
        text("cluster_id").nullable(), int32("current_leader_epoch"), int32("voter_id"), uuid("voter_directory_id"),
        many("listeners", &[text("name"), text("host"), uint16("port")]),
        one("kraft_version_feature", &[int16("min_supported_version"), int16("max_supported_version")]),
    ]),
    api(83, "InitializeShareGroupState", 0, 0, 0, &[
        text("group_id"),
        many("topics", &[
            uuid("topic_id"), many("partitions", &[int32("partition"), int32("state_epoch"), int64("start_offset")]),
        ]),
    ]),
    api(84, "ReadShareGroupState", 0, 0, 0, &[
        text("group_id"),
        many("topics", &[uuid("topic_id"), many("partitions", &[int32("partition"), int32("leader_epoch")])]),
    ]),
    api(85, "WriteShareGroupState", 0, 1, 0, &[
        text("group_id"),
        many("topics", &[
            uuid("topic_id"),
            many("partitions", &[
                int32("partition"), int32("state_epoch"), int32("leader_epoch"), int64("start_offset"),
                int32("delivery_complete_count").since(1),
                many("state_batches", &[
                    int64("first_offset"), int64("last_offset"), int8("delivery_state"), int16("delivery_count"),
                ]),
            ]),
        ]),
    ]),
    api(86, "DeleteShareGroupState", 0, 0, 0, &[
        text("group_id"), many("topics", &[uuid("topic_id"), many("partitions", &[int32("partition")])]),
    ]),
    api(87, "ReadShareGroupStateSummary", 0, 1, 0, &[
        text("group_id"),
        many("topics", &[uuid("topic_id"), many("partitions", &[int32("partition"), int32("leader_epoch")])]),
    ]),
];
