//! Names and ids of things: brokers, topics, partitions, producers.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;
use uuid::Uuid;

/// `node.id` of a broker or controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub i32);

/// The number of a partition within its topic, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId(pub i32);

/// The id of an idempotent or transactional producer; `-1` is "none".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerId(pub i64);

impl ProducerId {
    pub const NONE: ProducerId = ProducerId(-1);

    #[must_use]
    pub fn is_some(self) -> bool {
        self.0 >= 0
    }
}

/// The epoch of a producer id; fences older instances. `-1` is "none".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProducerEpoch(pub i16);

impl ProducerEpoch {
    pub const NONE: ProducerEpoch = ProducerEpoch(-1);
}

/// A producer's per-partition sequence number. Wraps from 2^31-1 to 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sequence(pub i32);

impl Sequence {
    pub const NONE: Sequence = Sequence(-1);

    /// The sequence `n` further on, wrapping from 2^31-1 to 0 (`DefaultRecordBatch.incrementSequence`).
    #[must_use]
    pub fn plus(self, n: i32) -> Sequence {
        let sum = i64::from(self.0) + i64::from(n);
        Sequence((sum % (i64::from(i32::MAX) + 1)) as i32)
    }
}

/// A topic's id: random, one per creation. Tools print it as 22 characters of URL-safe base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TopicId(pub Uuid);

impl TopicId {
    /// "No id" on the wire.
    pub const ZERO: TopicId = TopicId(Uuid::nil());

    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0.is_nil()
    }

    /// Parses the 22-character form that `partition.metadata` and the tools use.
    #[must_use]
    pub fn parse(text: &str) -> Option<TopicId> {
        let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
        Some(TopicId(Uuid::from_bytes(bytes.try_into().ok()?)))
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A topic's name. Cheap to clone. Holding one does not mean that the name is valid:
/// [`TopicName::fault`] says what is wrong with it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(Arc<str>);

impl TopicName {
    /// The longest name Kafka accepts, in characters.
    pub const MAX_LENGTH: usize = 249;
    pub const CONSUMER_OFFSETS: &'static str = "__consumer_offsets";
    pub const TRANSACTION_STATE: &'static str = "__transaction_state";
    pub const SHARE_GROUP_STATE: &'static str = "__share_group_state";
    pub const CLUSTER_METADATA: &'static str = "__cluster_metadata";

    #[must_use]
    pub fn new(name: &str) -> TopicName {
        TopicName(Arc::from(name))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `Topic.isInternal`: true for the three internal topics.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        matches!(&*self.0, Self::CONSUMER_OFFSETS | Self::TRANSACTION_STATE | Self::SHARE_GROUP_STATE)
    }

    /// What Kafka's `Topic.validate` says about the name, in its words, or `None` if it is valid.
    #[must_use]
    pub fn fault(name: &str) -> Option<String> {
        if name.is_empty() {
            return Some("Topic name is invalid: the empty string is not allowed".into());
        }
        if name == "." || name == ".." {
            return Some(format!("Topic name is invalid: '{name}' is not allowed"));
        }
        if name.len() > Self::MAX_LENGTH {
            return Some(format!(
                "Topic name is invalid: the length of '{name}' is longer than the max allowed length {}",
                Self::MAX_LENGTH
            ));
        }
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
            return Some(format!(
                "Topic name is invalid: '{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
            ));
        }
        None
    }
}

impl Borrow<str> for TopicName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<&str> for TopicName {
    fn from(name: &str) -> TopicName {
        TopicName::new(name)
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A partition by topic name and number. Shown as `topic-0`, which is also its directory's name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic: TopicName,
    pub partition: PartitionId,
}

impl TopicPartition {
    #[must_use]
    pub fn new(topic: TopicName, partition: PartitionId) -> TopicPartition {
        TopicPartition { topic, partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition.0)
    }
}

impl fmt::Debug for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_wraps_from_the_largest_int_to_zero() {
        assert_eq!(Sequence(i32::MAX).plus(1), Sequence(0));
        assert_eq!(Sequence(i32::MAX - 1).plus(3), Sequence(1));
        assert_eq!(Sequence(4).plus(2), Sequence(6));
    }

    #[test]
    fn topic_id_is_shown_as_kafka_shows_it() {
        let id = TopicId(Uuid::from_u128(1));
        assert_eq!(id.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(TopicId::parse("AAAAAAAAAAAAAAAAAAAAAQ"), Some(id));
        assert_eq!(TopicId::parse("short"), None);
    }

    #[test]
    fn topic_names_follow_kafkas_rules() {
        assert_eq!(TopicName::fault("a.b_c-9"), None);
        for bad in ["", ".", "..", "a/b", "../x", "ä", "a b", &"a".repeat(250)] {
            assert!(TopicName::fault(bad).is_some(), "{bad:?} was accepted");
        }
    }
}
