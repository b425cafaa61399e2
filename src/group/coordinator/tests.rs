//! What is decided before a machine is asked.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::group::request::Client;
use crate::model::{InstanceId, TopicId};
use std::collections::BTreeMap;

/// The numbers are what Java says.
#[test]
fn a_group_is_in_the_partition_where_kafka_looks_for_it() {
    for (group, hash) in [("", 0), ("g", 103), ("test-group", 627_841_412), ("Ä", 196), ("😀", 1_772_899)] {
        assert_eq!(partition_of(group, i32::MAX), PartitionId(hash), "{group}");
        assert_eq!(partition_of(group, 50), PartitionId(hash % 50), "{group}");
    }
    // Its hash is -2147483648.
    assert_eq!(partition_of("polygenelubricants", 50), PartitionId(0));
}
