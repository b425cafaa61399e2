//! The bit field of authorized operations in Metadata, DescribeCluster, DescribeTopicPartitions and the descriptions of
//! groups.

use crate::access::Permissions;
use crate::model::{CLUSTER_NAME, Operation, ResourceKind};

/// What a response carries when the client did not ask for the bit field.
pub(super) const NOT_ASKED: i32 = i32::MIN;

/// What may be done to the cluster; nothing is told to those who may not describe it.
pub(super) fn on_cluster(may: &Permissions<'_>) -> i32 {
    if may.cluster(Operation::Describe) { may.operations(ResourceKind::Cluster, CLUSTER_NAME) } else { 0 }
}

/// What may be done to a group, where that was asked for.
pub(super) fn on_group(may: &Permissions<'_>, group: &str, asked: bool) -> i32 {
    if asked { may.operations(ResourceKind::Group, group) } else { NOT_ASKED }
}
