//! What a group's topics look like, in one number (`Utils.computeTopicHash`, `computeGroupHash`): when it changes, the group
//! needs a new assignment. Kafka's numbers, so that a group that Kafka wrote is not rebalanced for nothing.

use super::Index;
use super::state::Subscribed;
use crate::metadata::{Image, TopicImage};
use twox_hash::XxHash3_64;

/// The version of the hash.
const MAGIC: u8 = 0;

/// The bytes as `hash4j` streams them: numbers little-endian, strings in UTF-16 with their length behind.
struct Stream(Vec<u8>);

impl Stream {
    fn new() -> Stream {
        Stream(Vec::new())
    }

    fn int(&mut self, value: usize) {
        // As Java's `int`; no count here comes near its limit.
        self.0.extend_from_slice(&i32::try_from(value).unwrap_or(i32::MAX).to_le_bytes());
    }

    fn long(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn string(&mut self, value: &str) {
        for unit in value.encode_utf16() {
            self.0.extend_from_slice(&unit.to_le_bytes());
        }
        self.int(utf16_len(value));
    }

    fn finish(&self) -> i64 {
        XxHash3_64::oneshot(&self.0).cast_signed()
    }
}

fn utf16_len(value: &str) -> usize {
    value.encode_utf16().count()
}

/// One topic: its id, name, partitions and the racks that they lie in.
pub(super) fn of_topic(topic: &TopicImage, image: &Image) -> i64 {
    let mut stream = Stream::new();
    stream.0.push(MAGIC);
    let (most, least) = topic.id.0.as_u64_pair();
    stream.long(most.cast_signed());
    stream.long(least.cast_signed());
    stream.string(topic.name.as_str());
    stream.int(topic.partitions.len());
    for (number, partition) in topic.partitions.iter().enumerate() {
        stream.int(number);
        let brokers = partition.replicas.iter().filter_map(|id| image.brokers.get(id));
        let mut racks: Vec<&str> = brokers.filter_map(|broker| broker.rack.as_deref()).collect();
        racks.sort_unstable();
        for rack in racks {
            stream.int(utf16_len(rack));
            stream.string(rack);
        }
    }
    stream.finish()
}

/// All topics that there are of those that a group consumes; 0 if there are none.
pub(in crate::group::machine) fn of_group(subscribed: &Subscribed, image: &Image, index: &mut Index) -> i64 {
    let mut stream = Stream::new();
    let mut any = false;
    for name in subscribed.topics() {
        if let Some(topic) = image.topic(name.as_str()) {
            stream.long(index.hash(topic, image));
            any = true;
        }
    }
    if any { stream.finish() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_hash4js() {
        let mut topic = Stream::new();
        topic.0.push(0);
        topic.long(1);
        topic.long(2);
        topic.string("foo");
        topic.int(1);
        topic.int(0);
        assert_eq!(topic.finish(), -7_733_839_198_221_838_498);

        let mut racks = Stream::new();
        racks.0.push(0);
        racks.long(1);
        racks.long(2);
        racks.string("foo");
        racks.int(2);
        for number in 0..2 {
            racks.int(number);
            for rack in ["rack1", "räck2"] {
                racks.int(utf16_len(rack));
                racks.string(rack);
            }
        }
        assert_eq!(racks.finish(), -5_410_306_294_423_076_792);

        let mut group = Stream::new();
        group.long(5);
        group.long(-7);
        assert_eq!(group.finish(), -4_646_943_608_980_624_969);

        let mut long = Stream::new();
        (0..200).for_each(|value| long.long(value));
        assert_eq!(long.finish(), 6_744_391_239_880_240_638);
    }
}
