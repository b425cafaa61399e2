//! The bit field of authorized operations in Metadata, DescribeCluster, DescribeTopicPartitions and the descriptions of
//! groups, where the client did not ask for it.

/// What a response carries when the client did not ask for the bit field.
pub(super) const NOT_ASKED: i32 = i32::MIN;
