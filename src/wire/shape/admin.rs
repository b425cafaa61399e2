//! The messages of administration: topics, configs, ACLs, tokens, quotas, credentials, the cluster.

use crate::wire::shape::dsl::*;
use crate::wire::shape::{Api, Scalar::*};

#[rustfmt::skip]
pub(super) const TABLE: &[Api] = &[
    api(17, "SaslHandshake", 0, 1, NEVER, &[text("mechanism")]),
    api(19, "CreateTopics", 2, 7, 5, &[
        many("topics", &[
            text("name"), int32("num_partitions"), int16("replication_factor"),
            many("assignments", &[int32("partition_index"), list("broker_ids", Int32)]),
            many("configs", &[text("name"), text("value").nullable()]),
        ]),
        int32("timeout_ms"), flag("validate_only"),
    ]),
    api(20, "DeleteTopics", 1, 6, 4, &[
        many("topics", &[text("name").nullable(), uuid("topic_id")]).since(6), list("topic_names", Text).until(5),
        int32("timeout_ms"),
    ]),
    api(29, "DescribeAcls", 1, 3, 2, &[
        int8("resource_type_filter"), text("resource_name_filter").nullable(), int8("pattern_type_filter"),
        text("principal_filter").nullable(), text("host_filter").nullable(), int8("operation"),
        int8("permission_type"),
    ]),
    api(30, "CreateAcls", 1, 3, 2, &[
        many("creations", &[
            int8("resource_type"), text("resource_name"), int8("resource_pattern_type"), text("principal"),
            text("host"), int8("operation"), int8("permission_type"),
        ]),
    ]),
    api(31, "DeleteAcls", 1, 3, 2, &[
        many("filters", &[
            int8("resource_type_filter"), text("resource_name_filter").nullable(), int8("pattern_type_filter"),
            text("principal_filter").nullable(), text("host_filter").nullable(), int8("operation"),
            int8("permission_type"),
        ]),
    ]),
    api(32, "DescribeConfigs", 1, 4, 4, &[
        many("resources", &[
            int8("resource_type"), text("resource_name"), list("configuration_keys", Text).nullable(),
        ]),
        flag("include_synonyms"), flag("include_documentation").since(3),
    ]),
    api(33, "AlterConfigs", 0, 2, 2, &[
        many("resources", &[
            int8("resource_type"), text("resource_name"), many("configs", &[text("name"), text("value").nullable()]),
        ]),
        flag("validate_only"),
    ]),
    api(34, "AlterReplicaLogDirs", 1, 2, 2, &[
        many("dirs", &[text("path"), many("topics", &[text("name"), list("partitions", Int32)])]),
    ]),
    api(35, "DescribeLogDirs", 1, 4, 2, &[many("topics", &[text("topic"), list("partitions", Int32)]).nullable()]),
    api(36, "SaslAuthenticate", 0, 2, 2, &[bytes("auth_bytes")]),
    api(37, "CreatePartitions", 0, 3, 2, &[
        
        many("topics", &[text("name"), int32("count"), many("assignments", &[list("broker_ids", Int32)]).nullable()]),
        int32("timeout_ms"), flag("validate_only"),
    ]),
    api(38, "CreateDelegationToken", 1, 3, 2, &[
        text("owner_principal_type").since(3).nullable(), text("owner_principal_name").since(3).nullable(),
        many("renewers", &[text("principal_type"), text("principal_name")]), int64("max_lifetime_ms"),
    ]),
    api(39, "RenewDelegationToken", 1, 2, 2, &[bytes("hmac"), int64("renew_period_ms")]),
    api(40, "ExpireDelegationToken", 1, 2, 2, &[bytes("hmac"), int64("expiry_time_period_ms")]),
    api(41, "DescribeDelegationToken", 1, 3, 2, &[
        many("owners", &[text("principal_type"), text("principal_name")]).nullable(),
    ]),
    api(43, "ElectLeaders", 0, 2, 2, &[
        int8("election_type").since(1),
        many("topic_partitions", &[text("topic"), list("partitions", Int32)]).nullable(), int32("timeout_ms"),
    ]),
    api(44, "IncrementalAlterConfigs", 0, 1, 1, &[
        many("resources", &[
            int8("resource_type"), text("resource_name"),
            many("configs", &[text("name"), int8("config_operation"), text("value").nullable()]),
        ]),
        flag("validate_only"),
    ]),
    api(45, "AlterPartitionReassignments", 0, 1, 0, &[
        int32("timeout_ms"), flag("allow_replication_factor_change").since(1),
        many("topics", &[
            text("name"), many("partitions", &[int32("partition_index"), list("replicas", Int32).nullable()]),
        ]),
    ]),
    api(46, "ListPartitionReassignments", 0, 0, 0, &[
        int32("timeout_ms"), many("topics", &[text("name"), list("partition_indexes", Int32)]).nullable(),
    ]),
    api(48, "DescribeClientQuotas", 0, 1, 1, &[
        many("components", &[text("entity_type"), int8("match_type"), text("match").nullable()]), flag("strict"),
    ]),
    api(49, "AlterClientQuotas", 0, 1, 1, &[
        many("entries", &[
            many("entity", &[text("entity_type"), text("entity_name").nullable()]),
            many("ops", &[text("key"), float64("value"), flag("remove")]),
        ]),
        flag("validate_only"),
    ]),
    api(50, "DescribeUserScramCredentials", 0, 0, 0, &[many("users", &[text("name")]).nullable()]),
    api(51, "AlterUserScramCredentials", 0, 0, 0, &[
        many("deletions", &[text("name"), int8("mechanism")]),
        many("upsertions", &[
            text("name"), int8("mechanism"), int32("iterations"), bytes("salt"), bytes("salted_password"),
        ]),
    ]),
    api(55, "DescribeQuorum", 0, 2, 0, &[
        many("topics", &[text("topic_name"), many("partitions", &[int32("partition_index")])]),
    ]),
    api(57, "UpdateFeatures", 0, 2, 0, &[
        int32("timeout_ms"),
        many("feature_updates", &[
            text("feature"), int16("max_version_level"), flag("allow_downgrade").until(0),
            int8("upgrade_type").since(1),
        ]),
        flag("validate_only").since(1),
    ]),
    api(60, "DescribeCluster", 0, 2, 0, &[
        flag("include_cluster_authorized_operations"), int8("endpoint_type").since(1),
        flag("include_fenced_brokers").since(2),
    ]),
    api(64, "UnregisterBroker", 0, 0, 0, &[int32("broker_id")]),
    api(74, "ListConfigResources", 0, 1, 0, &[list("resource_types", Int8).since(1)]),
    api(80, "AddRaftVoter", 0, 0, 0, &[
        text("cluster_id").nullable(), int32("timeout_ms"), int32("voter_id"), uuid("voter_directory_id"),
        many("listeners", &[text("name"), text("host"), uint16("port")]),
    ]),
    api(81, "RemoveRaftVoter", 0, 0, 0, &[
        text("cluster_id").nullable(), int32("voter_id"), uuid("voter_directory_id"),
    ]),
];
