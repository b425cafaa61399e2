//! The messages of groups: classic, consumer and share groups, and their offsets.

use crate::wire::shape::dsl::*;
use crate::wire::shape::{Api, Scalar::*};

#[rustfmt::skip]
pub(super) const TABLE: &[Api] = &[
    api(8, "OffsetCommit", 2, 10, 8, &[
        text("group_id"), int32("generation_id_or_member_epoch"), text("member_id"),
        text("group_instance_id").since(7).nullable(), int64("retention_time_ms").until(4),
        many("topics", &[
            text("name").until(9), uuid("topic_id").since(10),
            many("partitions", &[
                int32("partition_index"), int64("committed_offset"), int32("committed_leader_epoch").since(6),
                text("committed_metadata").nullable(),
            ]),
        ]),
    ]),
    api(9, "OffsetFetch", 1, 10, 6, &[
        text("group_id").until(7),
        many("topics", &[text("name"), list("partition_indexes", Int32)]).until(7).nullable_since(2),
        many("groups", &[
            text("group_id"), text("member_id").since(9).nullable(), int32("member_epoch").since(9),
            many("topics", &[
                text("name").until(9), uuid("topic_id").since(10), list("partition_indexes", Int32),
            ]).nullable(),
        ]).since(8),
        flag("require_stable").since(7),
    ]),
    api(10, "FindCoordinator", 0, 6, 3, &[
        text("key").until(3), int8("key_type").since(1), list("coordinator_keys", Text).since(4),
    ]),
    api(11, "JoinGroup", 0, 9, 6, &[
        text("group_id"), int32("session_timeout_ms"), int32("rebalance_timeout_ms").since(1), text("member_id"),
        text("group_instance_id").since(5).nullable(), text("protocol_type"),
        many("protocols", &[text("name"), bytes("metadata")]), text("reason").since(8).nullable(),
    ]),
    api(12, "Heartbeat", 0, 4, 4, &[
        text("group_id"), int32("generation_id"), text("member_id"), text("group_instance_id").since(3).nullable(),
    ]),
    api(13, "LeaveGroup", 0, 5, 4, &[
        text("group_id"), text("member_id").until(2),
        many("members", &[
            text("member_id"), text("group_instance_id").nullable(), text("reason").since(5).nullable(),
        ]).since(3),
    ]),
    api(14, "SyncGroup", 0, 5, 4, &[
        text("group_id"), int32("generation_id"), text("member_id"), text("group_instance_id").since(3).nullable(),
        text("protocol_type").since(5).nullable(), text("protocol_name").since(5).nullable(),
        many("assignments", &[text("member_id"), bytes("assignment")]),
    ]),
    api(15, "DescribeGroups", 0, 6, 5, &[list("groups", Text), flag("include_authorized_operations").since(3)]),
    api(16, "ListGroups", 0, 5, 3, &[list("states_filter", Text).since(4), list("types_filter", Text).since(5)]),
    api(42, "DeleteGroups", 0, 2, 2, &[list("groups_names", Text)]),
    api(47, "OffsetDelete", 0, 0, NEVER, &[
        text("group_id"), many("topics", &[text("name"), many("partitions", &[int32("partition_index")])]),
    ]),
    api(68, "ConsumerGroupHeartbeat", 0, 1, 0, &[
        text("group_id"), text("member_id"), int32("member_epoch"), text("instance_id").nullable(),
        text("rack_id").nullable(), int32("rebalance_timeout_ms"), list("subscribed_topic_names", Text).nullable(),
        text("subscribed_topic_regex").since(1).nullable(), text("server_assignor").nullable(),
        many("topic_partitions", &[uuid("topic_id"), list("partitions", Int32)]).nullable(),
    ]),
    api(69, "ConsumerGroupDescribe", 0, 1, 0, &[list("group_ids", Text), flag("include_authorized_operations")]),
    api(76, "ShareGroupHeartbeat", 1, 1, 0, &[
        text("group_id"), text("member_id"), int32("member_epoch"), text("rack_id").nullable(),
        list("subscribed_topic_names", Text).nullable(),
    ]),
    api(77, "ShareGroupDescribe", 1, 1, 0, &[list("group_ids", Text), flag("include_authorized_operations")]),
    api(90, "DescribeShareGroupOffsets", 0, 1, 0, &[
        many("groups", &[
            text("group_id"), many("topics", &[text("topic_name"), list("partitions", Int32)]).nullable(),
        ]),
    ]),
    api(91, "AlterShareGroupOffsets", 0, 0, 0, &[
        text("group_id"),
        many("topics", &[text("topic_name"), many("partitions", &[int32("partition_index"), int64("start_offset")])]),
    ]),
    api(92, "DeleteShareGroupOffsets", 0, 0, 0, &[text("group_id"), many("topics", &[text("topic_name")])]),
];
