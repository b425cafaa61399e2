//! How large what a member says may be: it goes into a record, and a record into a batch of the offsets topic.

use crate::group::record::{Record, WithEpochs};

/// Bytes of a record at the most. Kafka's is the offsets topic's `max.message.bytes`, 1048588 unless it was changed; the
/// rest is left for the batch around it.
pub(super) const RECORD_BYTES_MAX: usize = 1_000_000;

/// About as many bytes as the record will have, or more.
pub(super) fn bytes(record: &Record) -> usize {
    const FIXED: usize = 64;
    const TOPIC: usize = 24;
    match record {
        Record::Member { group, member, value } => {
            let about = value.as_ref().map_or(0, |about| {
                let texts = [&about.rack, &about.regex, &about.assignor].into_iter().flatten().map(String::len);
                let topics = about.topics.iter().map(|topic| topic.as_str().len() + 3);
                let classic = about.classic.iter().flat_map(|classic| &classic.protocols);
                let protocols = classic.map(|(name, metadata)| name.len() + metadata.len() + 16);
                let instance = about.instance.as_ref().map_or(0, |instance| instance.as_str().len());
                texts.chain(topics).chain(protocols).sum::<usize>()
                    + instance
                    + about.client_id.len()
                    + about.client_host.len()
            });
            FIXED + group.as_str().len() + member.as_str().len() + about
        }
        Record::Regex { group, regex, value } => {
            let topics = value.iter().flat_map(|value| &value.topics).map(|topic| topic.as_str().len() + 3);
            FIXED + group.as_str().len() + regex.len() + topics.sum::<usize>()
        }
        Record::TargetMember { group, member, value } => {
            let topics = value.iter().flatten().map(|(_, partitions)| TOPIC + 4 * partitions.len());
            FIXED + group.as_str().len() + member.as_str().len() + topics.sum::<usize>()
        }
        Record::Current { group, member, value } => {
            let of = |partitions: &WithEpochs| partitions.values().map(|p| TOPIC + 8 * p.len()).sum::<usize>();
            let partitions = value.as_ref().map_or(0, |value| of(&value.assigned) + of(&value.pending_revocation));
            FIXED + group.as_str().len() + member.as_str().len() + partitions
        }
        Record::Group { group, .. } | Record::PartitionMetadata { group, .. } | Record::Target { group, .. } => {
            FIXED + group.as_str().len()
        }
        // Not written here.
        Record::Offset { .. } | Record::ClassicGroup { .. } => 0,
    }
}
