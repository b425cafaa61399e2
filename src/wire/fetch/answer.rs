//! Reading the answer to a Fetch, as a follower gets it from its leader. Its own guard: every length is shown to fit, and
//! the lists take at most [`super::decoded_max`] bytes. Versions with topic ids only.

use super::{FLEXIBLE, FetchResponse, KEY, MAX_VERSION, PartitionResponse, TOPIC_IDS, TopicResponse, decoded_max};
use crate::model::{ErrorCode, LeaderEpoch, NodeId, Offset, PartitionId, ProducerId, TopicId};
use crate::wire::reader::{Reader, Width};
use crate::wire::{CurrentLeader, Refused, TopicRef};
use bytes::Bytes;
use smallvec::SmallVec;

const _: () = assert!(FLEXIBLE <= TOPIC_IDS, "versions with topic ids are flexible");

/// Parses the body of an answer. Records are slices of it. Endpoints of other leaders are passed over.
pub fn parse_response(version: i16, body: &Bytes) -> Result<FetchResponse<'_, Bytes>, Refused> {
    if !(TOPIC_IDS..=MAX_VERSION).contains(&version) {
        return Err(Refused::UnsupportedVersion { key: KEY, version });
    }
    let mut answer = Answer { body, reader: Reader::new(body), budget: decoded_max(body.len()) };
    let throttle_time_ms = answer.reader.i32()?;
    let error = ErrorCode(answer.reader.i16()?);
    let session_id = answer.reader.i32()?;
    let count = answer.count(size_of::<TopicResponse<'_, Bytes>>(), 18)?;
    let mut topics = SmallVec::with_capacity(count);
    for _ in 0..count {
        let topic = TopicRef::Id(TopicId(answer.reader.uuid()?));
        let count = answer.count(size_of::<PartitionResponse<Bytes>>(), 37)?;
        let mut partitions = Vec::with_capacity(count);
        for _ in 0..count {
            partitions.push(answer.partition()?);
        }
        answer.reader.skip_tags()?;
        topics.push(TopicResponse { topic, partitions });
    }
    answer.reader.skip_tags()?;
    Ok(FetchResponse { throttle_time_ms, error, session_id, topics, node_endpoints: &[] })
}

struct Answer<'a> {
    body: &'a Bytes,
    reader: Reader<'a>,
    budget: usize,
}

impl Answer<'_> {
    /// The count of an array of elements that take `size` bytes in memory and at least `least` on the wire.
    fn count(&mut self, size: usize, least: usize) -> Result<usize, Refused> {
        let at = self.reader.at();
        let count = self.reader.count(true, least)?.ok_or(Refused::Null { at })?;
        let cost = count.saturating_mul(size);
        self.budget = self.budget.checked_sub(cost).ok_or(Refused::Count { at, count: count as i64 })?;
        Ok(count)
    }

    fn partition(&mut self) -> Result<PartitionResponse<Bytes>, Refused> {
        let partition = PartitionId(self.reader.i32()?);
        let mut answer = PartitionResponse::failed(partition, ErrorCode(self.reader.i16()?));
        answer.high_watermark = Offset(self.reader.i64()?);
        answer.last_stable_offset = Offset(self.reader.i64()?);
        answer.log_start = Offset(self.reader.i64()?);
        let aborted = self.reader.count(true, 17)?;
        if let Some(count) = aborted {
            let mut transactions = Vec::new();
            for _ in 0..count {
                let producer_id = ProducerId(self.reader.i64()?);
                let first_offset = Offset(self.reader.i64()?);
                self.reader.skip_tags()?;
                transactions.push(super::AbortedTransaction { producer_id, first_offset });
            }
            answer.aborted_transactions = Some(transactions);
        }
        let preferred = NodeId(self.reader.i32()?);
        answer.preferred_read_replica = (preferred != NodeId(-1)).then_some(preferred);
        answer.records = match self.reader.length(Width::CompactBytes)? {
            None | Some(0) => None,
            Some(length) => {
                let start = self.reader.at();
                self.reader.skip(length)?;
                Some(self.body.slice(start..start + length))
            }
        };
        self.reader.tags(|tag, field| match tag {
            0 => {
                answer.diverging_epoch = Some((LeaderEpoch(field.i32()?), Offset(field.i64()?)));
                field.skip_tags().map(|()| true)
            }
            1 => {
                answer.current_leader =
                    Some(CurrentLeader { leader: NodeId(field.i32()?), epoch: LeaderEpoch(field.i32()?) });
                field.skip_tags().map(|()| true)
            }
            2 => {
                answer.snapshot_id = Some((Offset(field.i64()?), LeaderEpoch(field.i32()?)));
                field.skip_tags().map(|()| true)
            }
            _ => Ok(false),
        })?;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Part, encode_response};
    use super::*;
    use bytes::BytesMut;
    use smallvec::smallvec;

    fn answer<'a>() -> FetchResponse<'a, Bytes> {
        let mut one = PartitionResponse::failed(PartitionId(0), ErrorCode::NONE);
        one.high_watermark = Offset(7);
        one.log_start = Offset(2);
        one.records = Some(Bytes::from_static(b"records"));
        let mut two = PartitionResponse::failed(PartitionId(1), ErrorCode::FENCED_LEADER_EPOCH);
        two.diverging_epoch = Some((LeaderEpoch(3), Offset(40)));
        two.current_leader = Some(CurrentLeader { leader: NodeId(2), epoch: LeaderEpoch(9) });
        two.aborted_transactions =
            Some(vec![super::super::AbortedTransaction { producer_id: ProducerId(5), first_offset: Offset(6) }]);
        let topic = TopicRef::Id(TopicId(uuid::Uuid::from_u128(77)));
        FetchResponse {
            throttle_time_ms: 0,
            error: ErrorCode::NONE,
            session_id: 11,
            topics: smallvec![TopicResponse { topic, partitions: vec![one, two] }],
            node_endpoints: &[],
        }
    }

    fn body() -> Bytes {
        let parts = encode_response(&mut BytesMut::new(), 17, 1, answer()).unwrap();
        let whole: Vec<u8> = parts
            .parts
            .into_iter()
            .flat_map(|part| match part {
                Part::Head(bytes) | Part::Records(bytes) => bytes,
            })
            .collect();
        // Length, correlation id and the header's tags.
        Bytes::from(whole).slice(9..)
    }

    #[test]
    fn what_a_leader_writes_a_follower_reads() {
        let body = body();
        assert_eq!(parse_response(17, &body).unwrap(), answer());
    }

    #[test]
    fn an_answer_cut_anywhere_is_refused() {
        let body = body();
        for length in 0..body.len() {
            assert!(parse_response(17, &body.slice(..length)).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn a_count_that_does_not_fit_sizes_nothing() {
        let mut hostile = body().to_vec();
        // The count of the topics.
        hostile.splice(10..11, [0xff, 0xff, 0xff, 0xff, 0x0f]);
        assert!(matches!(parse_response(17, &Bytes::from(hostile)), Err(Refused::Count { .. })));
    }
}
