//! ShareAcknowledge (79), v1-2: a member of a share group says what became of records it got.
//!
//! v2 renews locks (KIP-1222) and tells how long they last. The group needs READ, and so does each topic. Where the
//! cluster has no share groups (`share.version`) the answer is UNSUPPORTED_VERSION.
//!
//! The answer leaves once what was said is kept. A session's last request gives the other records back.

use super::view::Hints;
use super::{Api, ApiError, Call, Context, Versions, text};
use crate::access::Permissions;
use crate::model::{ErrorCode, GroupId, MemberId, Operation, PartitionId, TopicId};
use crate::share::partition::machine::{Acknowledgement, Kind, Span};
use crate::share::persister::{Refused, SharedPartition};
use crate::share::session;
use crate::wire::share_acknowledge::{
    AcknowledgeOutcome, AcknowledgeRequest, AcknowledgeResponse, AcknowledgedTopic, AcknowledgementBatch, Endpoint,
};
use crate::wire::{CurrentLeader, NodeEndpoint, Text, TopicRef};
use std::collections::BTreeMap;
use std::sync::Arc;

pub struct ShareAcknowledge;

/// The longest member id: that of a UUID as text.
const MEMBER_ID_MAX: usize = 36;

/// Errors with which a client is told who leads.
const ELSEWHERE: [ErrorCode; 2] = [ErrorCode::NOT_LEADER_OR_FOLLOWER, ErrorCode::FENCED_LEADER_EPOCH];

impl Api for ShareAcknowledge {
    type Request = AcknowledgeRequest;
    const NAME: &'static str = "ShareAcknowledge";
    const VERSIONS: Versions = Versions { min: 1, max: 2 };

    async fn handle(ctx: Arc<Context>, call: Call, request: AcknowledgeRequest) -> AcknowledgeResponse {
        let failed = |error| AcknowledgeResponse { error, ..AcknowledgeResponse::default() };
        let key = match member(&ctx, &call.may(), request.group_id.as_ref(), request.member_id.as_ref()) {
            Ok(key) => key,
            Err(error) => return failed(error),
        };
        if let Err(error) = ctx.shares.sessions().acknowledge(&key, request.session_epoch) {
            return failed(error);
        }
        let said = Said { key: &key, version: call.version, is_renewal: request.is_renewal, topics: &request.topics };
        let outcomes = said.settle(&ctx, &call.may()).await;
        if request.session_epoch == session::LAST {
            ctx.shares.leave(&key.0, &key.1);
        }
        answer(&ctx, &call, &key.0, outcomes)
    }
}

/// Who asks.
///
/// # Errors
/// What is wrong with it, or the group may not be read.
pub(super) fn member(
    ctx: &Context,
    may: &Permissions<'_>,
    group: Option<&Text>,
    member: Option<&Text>,
) -> Result<(GroupId, MemberId), ErrorCode> {
    if !ctx.shares.are_enabled() {
        return Err(ErrorCode::UNSUPPORTED_VERSION);
    }
    let group = group.ok_or(ErrorCode::INVALID_REQUEST)?;
    if !may.group(Operation::Read, group) {
        return Err(ErrorCode::GROUP_AUTHORIZATION_FAILED);
    }
    let member = member.filter(|id| !id.is_empty() && id.encode_utf16().count() <= MEMBER_ID_MAX);
    let member = member.ok_or(ErrorCode::INVALID_REQUEST)?;
    Ok((GroupId::new(group), MemberId::new(member)))
}

/// What a member says of its records, in a request of either API.
pub(super) struct Said<'a> {
    pub key: &'a (GroupId, MemberId),
    pub version: i16,
    pub is_renewal: bool,
    pub topics: &'a [AcknowledgedTopic],
}

/// What came of it, by partition, in the request's order.
pub(super) type Settled = Vec<(SharedPartition, Result<(), ApiError>)>;

impl Said<'_> {
    /// Does what may be done of it, and waits until that is kept.
    pub(super) async fn settle(&self, ctx: &Context, may: &Permissions<'_>) -> Settled {
        let mut outcomes: Vec<(SharedPartition, Option<Result<(), ApiError>>)> = Vec::new();
        let mut said = Vec::new();
        let mut empty = Vec::new();
        {
            let image = ctx.metadata.load();
            for topic in self.topics {
                let known = image.topic_by_id(topic.topic);
                let may = known.is_some_and(|known| may.topic(Operation::Read, known.name.as_str()));
                for partition in &topic.partitions {
                    let at = SharedPartition { topic: topic.topic, partition: partition.partition };
                    let read = self.read(&partition.batches);
                    let error = match (known, &read) {
                        (None, _) => Some(ErrorCode::UNKNOWN_TOPIC_ID),
                        (Some(_), Err(error)) => Some(*error),
                        (Some(_), Ok(_)) if !may => Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED),
                        (Some(known), Ok(_)) if known.partition(at.partition).is_none() => {
                            Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
                        }
                        _ => None,
                    };
                    match (error, read) {
                        (Some(error), _) | (None, Err(error)) => outcomes.push((at, Some(Err(ApiError::bare(error))))),
                        (None, Ok(read)) if read.is_empty() => empty.push((at, Ok(()))),
                        (None, Ok(read)) => {
                            outcomes.push((at, None));
                            said.push((at, read));
                        }
                    }
                }
            }
        }
        // Nothing said is no error, but Kafka mentions it only where something was said of another partition.
        let mentions_empty = !said.is_empty();
        let (group, member) = self.key;
        let mut kept = ctx.shares.acknowledge(group, member, &said).await.into_iter();
        let mut settled: Settled = Vec::with_capacity(outcomes.len());
        for (at, done) in outcomes {
            let done = done.unwrap_or_else(|| kept.next().unwrap_or(Ok(())).map_err(told));
            settled.push((at, done));
        }
        if mentions_empty {
            settled.append(&mut empty);
        }
        settled
    }

    /// What is said of one partition.
    ///
    /// # Errors
    /// `INVALID_REQUEST`: it makes no sense (`KafkaApis.validateAcknowledgementBatches`).
    fn read(&self, batches: &[AcknowledgementBatch]) -> Result<Vec<Acknowledgement>, ErrorCode> {
        let newest = if self.version >= crate::wire::share_acknowledge::RENEWALS { Kind::Renew } else { Kind::Reject };
        let mut before = -1;
        let mut read = Vec::with_capacity(batches.len());
        for batch in batches {
            let span = Span::new(batch.first, batch.last);
            let each = i64::try_from(batch.kinds.len()).unwrap_or(i64::MAX);
            if span.is_empty() || batch.first.0 < before || each == 0 || (each > 1 && each != span.len()) {
                return Err(ErrorCode::INVALID_REQUEST);
            }
            before = batch.last.0;
            let kind = |number: &u8| {
                let kind = Kind::from_wire(number.cast_signed()).ok_or(ErrorCode::INVALID_REQUEST)?;
                let renews = kind == Kind::Renew;
                if renews && (newest != Kind::Renew || !self.is_renewal) {
                    return Err(ErrorCode::INVALID_REQUEST);
                }
                Ok(kind)
            };
            read.push(Acknowledgement { span, kinds: batch.kinds.iter().map(kind).collect::<Result<_, _>>()? });
        }
        Ok(read)
    }
}

/// An error as Kafka words it: what is not here is told in the standard words, the rest in its own or none.
fn told(refused: Refused) -> ApiError {
    let error = ApiError { code: refused.code, message: refused.message };
    if error.code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION { text::explained(error) } else { error }
}

/// Where the leaders are of partitions that this broker does not lead; nothing of the others.
pub(super) fn leader(hints: &mut Hints<'_>, at: SharedPartition, error: ErrorCode) -> Option<CurrentLeader> {
    let elsewhere = ELSEWHERE.contains(&error);
    elsewhere.then(|| hints.leader(TopicRef::Id(at.topic), at.partition)).flatten()
}

/// How long locks last, as answers have it.
pub(super) fn lock_ms(ctx: &Context, group: &GroupId) -> i32 {
    i32::try_from(ctx.shares.config(group).record_lock.as_millis()).unwrap_or(i32::MAX)
}

fn answer(ctx: &Context, call: &Call, group: &GroupId, settled: Settled) -> AcknowledgeResponse {
    let image = ctx.metadata.image();
    let mut hints = Hints::new(&image, &call.peer.listener);
    let mut topics: BTreeMap<TopicId, Vec<AcknowledgeOutcome>> = BTreeMap::new();
    for (at, outcome) in settled {
        let (error, message) = match outcome {
            Ok(()) => (ErrorCode::NONE, None),
            Err(error) => (error.code, text::message(error.message)),
        };
        let current_leader = leader(&mut hints, at, error);
        let partition: PartitionId = at.partition;
        topics.entry(at.topic).or_default().push(AcknowledgeOutcome { partition, error, message, current_leader });
    }
    AcknowledgeResponse {
        throttle_time_ms: 0,
        error: ErrorCode::NONE,
        lock_ms: lock_ms(ctx, group),
        topics: topics.into_iter().collect(),
        endpoints: hints.endpoints.iter().map(endpoint).collect(),
    }
}

fn endpoint(known: &NodeEndpoint<'_>) -> Endpoint {
    let NodeEndpoint { node, host, port, rack } = *known;
    Endpoint { node, host: text::text(host), port, rack: rack.map(text::text) }
}
