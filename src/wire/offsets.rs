//! OffsetCommit 10 and OffsetFetch 10 (KIP-848): topics go by id. The crate has the ids in its structs and does not decode
//! these versions, so they are decoded here; the older versions, and all answers, are the crate's.

use crate::wire::decode::{DecodeError, admit, decode};
use crate::wire::reader::{Reader, Width};
use crate::wire::{Refused, Text};
use bytes::Bytes;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::{GroupId, OffsetCommitRequest, OffsetFetchRequest};

pub const COMMIT: i16 = 8;
pub const FETCH: i16 = 9;
/// The version that names topics by id, in both; they are flexible.
pub const TOPIC_IDS: i16 = 10;

/// Decodes an OffsetCommit request of any version. Strings of the value are slices of `body`.
pub fn commit_request(version: i16, body: Bytes) -> Result<OffsetCommitRequest, DecodeError> {
    if version != TOPIC_IDS {
        return decode(version, body);
    }
    admit(COMMIT, version, &body)?;
    Body::new(&body).commit().map_err(|refused| DecodeError::Refused { key: COMMIT, version, refused })
}

/// Decodes an OffsetFetch request of any version. Strings of the value are slices of `body`.
pub fn fetch_request(version: i16, body: Bytes) -> Result<OffsetFetchRequest, DecodeError> {
    if version != TOPIC_IDS {
        return decode(version, body);
    }
    admit(FETCH, version, &body)?;
    Body::new(&body).fetch().map_err(|refused| DecodeError::Refused { key: FETCH, version, refused })
}

struct Body<'a> {
    bytes: &'a Bytes,
    reader: Reader<'a>,
}

impl Body<'_> {
    fn new(bytes: &Bytes) -> Body<'_> {
        Body { bytes, reader: Reader::new(bytes) }
    }

    fn commit(&mut self) -> Result<OffsetCommitRequest, Refused> {
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(self.text()?))
            .with_generation_id_or_member_epoch(self.reader.i32()?)
            .with_member_id(self.text()?)
            .with_group_instance_id(self.nullable_text()?)
            .with_topics(self.list(16 + 1 + 1, |body| {
                let topic = OffsetCommitRequestTopic::default()
                    .with_topic_id(body.reader.uuid()?)
                    .with_partitions(body.list(4 + 8 + 4 + 1 + 1, Body::committed)?);
                body.reader.skip_tags()?;
                Ok(topic)
            })?);
        self.reader.skip_tags()?;
        Ok(request)
    }

    fn committed(&mut self) -> Result<OffsetCommitRequestPartition, Refused> {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(self.reader.i32()?)
            .with_committed_offset(self.reader.i64()?)
            .with_committed_leader_epoch(self.reader.i32()?)
            .with_committed_metadata(self.nullable_text()?);
        self.reader.skip_tags()?;
        Ok(partition)
    }

    fn fetch(&mut self) -> Result<OffsetFetchRequest, Refused> {
        let groups = self.list(1 + 1 + 4 + 1 + 1, Body::group)?;
        let require_stable = self.reader.i8()? != 0;
        self.reader.skip_tags()?;
        Ok(OffsetFetchRequest::default().with_groups(groups).with_require_stable(require_stable))
    }

    fn group(&mut self) -> Result<OffsetFetchRequestGroup, Refused> {
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(self.text()?))
            .with_member_id(self.nullable_text()?)
            .with_member_epoch(self.reader.i32()?)
            .with_topics(self.nullable_list(16 + 1 + 1, |body| {
                let topic = OffsetFetchRequestTopics::default()
                    .with_topic_id(body.reader.uuid()?)
                    .with_partition_indexes(body.list(4, |body| body.reader.i32())?);
                body.reader.skip_tags()?;
                Ok(topic)
            })?);
        self.reader.skip_tags()?;
        Ok(group)
    }

    fn nullable_text(&mut self) -> Result<Option<Text>, Refused> {
        let Some(length) = self.reader.length(Width::CompactString)? else { return Ok(None) };
        let at = self.reader.at();
        self.reader.skip(length)?;
        Text::from_utf8(self.bytes.slice(at..at + length)).map(Some).map_err(|_| Refused::Utf8 { at })
    }

    fn text(&mut self) -> Result<Text, Refused> {
        let at = self.reader.at();
        self.nullable_text()?.ok_or(Refused::Null { at })
    }

    /// A list whose elements take `least` bytes or more. The guard has charged for it.
    fn nullable_list<T>(
        &mut self,
        least: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, Refused>,
    ) -> Result<Option<Vec<T>>, Refused> {
        let Some(count) = self.reader.count(true, least)? else { return Ok(None) };
        let mut list = Vec::with_capacity(count);
        for _ in 0..count {
            list.push(element(self)?);
        }
        Ok(Some(list))
    }

    fn list<T>(
        &mut self,
        least: usize,
        element: impl FnMut(&mut Self) -> Result<T, Refused>,
    ) -> Result<Vec<T>, Refused> {
        let at = self.reader.at();
        self.nullable_list(least, element)?.ok_or(Refused::Null { at })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wire::response;
    use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
    use kafka_protocol::messages::offset_fetch_response::{
        OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
    };
    use kafka_protocol::messages::{OffsetCommitResponse, OffsetFetchResponse};
    use uuid::Uuid;

    const ID: Uuid = Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
    const HEX_ID: &str = "0102030405060708090a0b0c0d0e0f10";

    fn unhex(text: &str) -> Bytes {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect::<Vec<_>>().into()
    }

    fn commit_frame() -> Bytes {
        // Group, generation, member, instance; one topic with two partitions; no tags at any level.
        let partitions = "00000002 0000000000000029 00000007 03 6d64 00  00000003 ffffffffffffffff ffffffff 00 00";
        unhex(&format!("02 67 00000005 03 6d31 02 69  02 {HEX_ID} 03 {partitions} 00  00"))
    }

    fn fetch_frame() -> Bytes {
        // A group with a topic and two partitions, a group of which everything is asked; stable only.
        let first = format!("02 67 03 6d31 00000004 02 {HEX_ID} 03 00000000 00000009 00 00");
        unhex(&format!("03 {first}  02 68 00 ffffffff 00 00  01 00"))
    }

    #[test]
    fn a_commit_by_topic_id_is_read() {
        let request = commit_request(10, commit_frame()).unwrap();
        assert_eq!((request.group_id.as_str(), request.member_id.as_str()), ("g", "m1"));
        assert_eq!((request.generation_id_or_member_epoch, request.group_instance_id.as_deref()), (5, Some("i")));
        assert_eq!(request.retention_time_ms, -1);
        let [topic] = &request.topics[..] else { panic!("{request:?}") };
        assert_eq!((topic.topic_id, topic.name.as_str()), (ID, ""));
        let seen: Vec<_> = topic
            .partitions
            .iter()
            .map(|p| (p.partition_index, p.committed_offset, p.committed_leader_epoch, p.committed_metadata.as_deref()))
            .collect();
        assert_eq!(seen, [(2, 41, 7, Some("md")), (3, -1, -1, None)]);
    }

    #[test]
    fn a_fetch_by_topic_id_is_read() {
        let request = fetch_request(10, fetch_frame()).unwrap();
        assert!(request.require_stable);
        let [some, all] = &request.groups[..] else { panic!("{request:?}") };
        assert_eq!((some.group_id.as_str(), some.member_id.as_deref(), some.member_epoch), ("g", Some("m1"), 4));
        let [topic] = some.topics.as_deref().unwrap() else { panic!("{request:?}") };
        assert_eq!((topic.topic_id, &topic.partition_indexes[..]), (ID, &[0, 9][..]));
        assert_eq!((all.group_id.as_str(), all.member_id.as_deref(), all.member_epoch), ("h", None, -1));
        assert_eq!(all.topics, None);
    }

    #[test]
    fn a_body_cut_anywhere_is_refused() {
        for length in 0..commit_frame().len() {
            assert!(commit_request(10, commit_frame().slice(..length)).is_err(), "{length} bytes");
        }
        for length in 0..fetch_frame().len() {
            assert!(fetch_request(10, fetch_frame().slice(..length)).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn text_that_is_not_utf8_and_counts_that_cannot_be_are_refused() {
        let refused = |body: &str| commit_request(10, unhex(body)).unwrap_err();
        assert!(matches!(
            refused("03 c328 00000000 01 00 01 00"),
            DecodeError::Refused { refused: Refused::Utf8 { at: 1 }, .. }
        ));
        assert!(matches!(
            refused("02 67 00000000 01 00 ffffffff0f 00"),
            DecodeError::Refused { refused: Refused::Count { .. }, .. }
        ));
        assert!(matches!(
            refused("00 00000000 01 00 01 00"),
            DecodeError::Refused { refused: Refused::Null { at: 0 }, .. }
        ));
    }

    #[test]
    fn fields_that_are_not_known_are_passed_over() {
        let body = unhex(&format!("02 67 00000005 01 00 02 {HEX_ID} 01 01 05 02 aabb 01 07 01 cc"));
        assert_eq!(commit_request(10, body).unwrap().topics.len(), 1);
    }

    #[test]
    fn the_answers_have_ids_where_they_had_names() {
        let partition = OffsetCommitResponsePartition::default().with_partition_index(2).with_error_code(3);
        let topic = OffsetCommitResponseTopic::default().with_topic_id(ID).with_partitions(vec![partition]);
        let answer = response(COMMIT, 10, 7, &OffsetCommitResponse::default().with_topics(vec![topic])).unwrap();
        let body = format!("00000007 00 00000000 02 {HEX_ID} 02 00000002 0003 00 00 00");
        assert_eq!(answer[4..], unhex(&body)[..]);

        let partition = OffsetFetchResponsePartitions::default()
            .with_partition_index(2)
            .with_committed_offset(41)
            .with_committed_leader_epoch(7)
            .with_metadata(Some(Text::from_static_str("md")));
        let topic = OffsetFetchResponseTopics::default().with_topic_id(ID).with_partitions(vec![partition]);
        let group = OffsetFetchResponseGroup::default()
            .with_group_id(GroupId(Text::from_static_str("g")))
            .with_topics(vec![topic])
            .with_error_code(16);
        let answer = response(FETCH, 10, 7, &OffsetFetchResponse::default().with_groups(vec![group])).unwrap();
        let partition = "00000002 0000000000000029 00000007 03 6d64 0000 00";
        let body = format!("00000007 00 00000000 02 02 67 02 {HEX_ID} 02 {partition} 00 0010 00 00");
        assert_eq!(answer[4..], unhex(&body)[..]);
    }
}
