//! The decoders of what is not parsed by hand, by API key: the `kafka-protocol` crate's, and ours where it lacks a version.

use super::uvarint;
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, Message, Request, VersionRange};
// In place of the crate's, which lack a version.
use klamm::wire::share_acknowledge::AcknowledgeRequest as ShareAcknowledgeRequest;
use klamm::wire::share_fetch::ShareFetchRequest;
use klamm::wire::share_state::{Unchanged, WriteRequest as WriteShareGroupStateRequest};

type DescribeShareGroupOffsetsRequest = Unchanged<kafka_protocol::messages::DescribeShareGroupOffsetsRequest>;
type ReadShareGroupStateSummaryRequest = Unchanged<kafka_protocol::messages::ReadShareGroupStateSummaryRequest>;

/// What the crate made of a body.
pub(crate) struct Decoded {
    /// Bytes that it left.
    pub(crate) left: usize,
    /// The message encoded again.
    pub(crate) again: Result<Bytes, String>,
}

/// The versions that the crate does not decode and we do (`klamm::wire::offsets`).
mod by_id {
    use super::*;
    use klamm::wire::offsets::{COMMIT, FETCH, TOPIC_IDS, commit_request, fetch_request};

    pub(super) const KEYS: [i16; 2] = [COMMIT, FETCH];
    pub(super) const VERSION: i16 = TOPIC_IDS;

    pub(super) fn is(key: i16, version: i16) -> bool {
        KEYS.contains(&key) && version == VERSION
    }

    pub(super) fn decodes(key: i16, body: Bytes) -> bool {
        if key == COMMIT { commit_request(VERSION, body).is_ok() } else { fetch_request(VERSION, body).is_ok() }
    }

    pub(super) fn decode(key: i16, body: Bytes) -> Result<Decoded, String> {
        let length = body.len();
        // In the crate's words.
        let shown = |error: klamm::wire::DecodeError| error.to_string().to_lowercase();
        let again = if key == COMMIT {
            commit(&commit_request(VERSION, body).map_err(shown)?)
        } else {
            fetch(&fetch_request(VERSION, body).map_err(shown)?)
        };
        Ok(Decoded { left: length.saturating_sub(again.len()), again: Ok(again.into()) })
    }

    fn text(out: &mut Vec<u8>, text: Option<&str>) {
        uvarint(out, text.map_or(0, |text| text.len() as u32 + 1));
        out.extend_from_slice(text.unwrap_or_default().as_bytes());
    }

    fn commit(request: &OffsetCommitRequest) -> Vec<u8> {
        let mut out = Vec::new();
        text(&mut out, Some(&request.group_id));
        out.put_i32(request.generation_id_or_member_epoch);
        text(&mut out, Some(&request.member_id));
        text(&mut out, request.group_instance_id.as_deref());
        uvarint(&mut out, request.topics.len() as u32 + 1);
        for topic in &request.topics {
            out.extend_from_slice(topic.topic_id.as_bytes());
            uvarint(&mut out, topic.partitions.len() as u32 + 1);
            for partition in &topic.partitions {
                out.put_i32(partition.partition_index);
                out.put_i64(partition.committed_offset);
                out.put_i32(partition.committed_leader_epoch);
                text(&mut out, partition.committed_metadata.as_deref());
                out.push(0);
            }
            out.push(0);
        }
        out.push(0);
        out
    }

    fn fetch(request: &OffsetFetchRequest) -> Vec<u8> {
        let mut out = Vec::new();
        uvarint(&mut out, request.groups.len() as u32 + 1);
        for group in &request.groups {
            text(&mut out, Some(&group.group_id));
            text(&mut out, group.member_id.as_deref());
            out.put_i32(group.member_epoch);
            uvarint(&mut out, group.topics.as_ref().map_or(0, |topics| topics.len() as u32 + 1));
            for topic in group.topics.iter().flatten() {
                out.extend_from_slice(topic.topic_id.as_bytes());
                uvarint(&mut out, topic.partition_indexes.len() as u32 + 1);
                topic.partition_indexes.iter().for_each(|partition| out.put_i32(*partition));
                out.push(0);
            }
            out.push(0);
        }
        out.push(u8::from(request.require_stable));
        out.push(0);
        out
    }
}

/// Whether the decoder is ours, which does not keep tagged fields that it does not know.
pub(crate) fn is_ours(key: i16, version: i16) -> bool {
    let ours = [WriteShareGroupStateRequest::KEY, ShareFetchRequest::KEY, ShareAcknowledgeRequest::KEY];
    by_id::is(key, version) || ours.contains(&key)
}

macro_rules! by_key {
    ($($request:ident),* $(,)?) => {
        /// Decodes a body without the guard where the crate does it: only for bodies that the guard has accepted.
        pub(crate) fn decode(key: i16, version: i16, mut body: Bytes) -> Result<Decoded, String> {
            match key {
                _ if by_id::is(key, version) => by_id::decode(key, body),
                $($request::KEY => {
                    let length = body.len();
                    let message = $request::decode(&mut body, version).map_err(|error| error.to_string())?;
                    let mut out = BytesMut::new();
                    let again = message.encode(&mut out, version).map_err(|error| error.to_string());
                    let left = if is_ours(key, version) { length.saturating_sub(out.len()) } else { body.len() };
                    Ok(Decoded { left, again: again.map(|()| out.freeze()) })
                })*
                _ => Err(format!("API {key} is not in the crate")),
            }
        }

        /// As [`decode`], and drops it; false if it was refused.
        pub(crate) fn decodes(key: i16, version: i16, mut body: Bytes) -> bool {
            match key {
                _ if by_id::is(key, version) => by_id::decodes(key, body),
                $($request::KEY => $request::decode(&mut body, version).is_ok(),)*
                _ => false,
            }
        }

        /// Decodes a body as the broker does, guard and all.
        pub(crate) fn guarded(key: i16, version: i16, body: Bytes) -> bool {
            match key {
                _ if by_id::is(key, version) => by_id::decodes(key, body),
                $($request::KEY => klamm::wire::decode::<$request>(version, body).is_ok(),)*
                _ => false,
            }
        }

        /// The frame of an empty answer, as the broker writes it.
        pub(crate) fn empty_answer(key: i16, version: i16, correlation_id: i32) -> Bytes {
            match key {
                $($request::KEY => {
                    let answer = <$request as Request>::Response::default();
                    klamm::wire::response(key, version, correlation_id, &answer).unwrap()
                })*
                _ => panic!("API {key} is not in the crate"),
            }
        }

        /// The versions that can be decoded. (`ApiKey::valid_versions` claims more for one request.)
        pub(crate) fn versions(key: i16) -> VersionRange {
            match key {
                _ if by_id::KEYS.contains(&key) => {
                    VersionRange { max: by_id::VERSION, ..crate_versions(key) }
                }
                _ => crate_versions(key),
            }
        }

        fn crate_versions(key: i16) -> VersionRange {
            match key {
                $($request::KEY => $request::VERSIONS,)*
                _ => VersionRange { min: 0, max: -1 },
            }
        }

        /// Every key of the crate.
        pub(crate) const KEYS: &[i16] = &[$($request::KEY),*];
    };
}

by_key![
    ProduceRequest,
    FetchRequest,
    ListOffsetsRequest,
    MetadataRequest,
    OffsetCommitRequest,
    OffsetFetchRequest,
    FindCoordinatorRequest,
    JoinGroupRequest,
    HeartbeatRequest,
    LeaveGroupRequest,
    SyncGroupRequest,
    DescribeGroupsRequest,
    ListGroupsRequest,
    SaslHandshakeRequest,
    ApiVersionsRequest,
    CreateTopicsRequest,
    DeleteTopicsRequest,
    DeleteRecordsRequest,
    InitProducerIdRequest,
    OffsetForLeaderEpochRequest,
    AddPartitionsToTxnRequest,
    AddOffsetsToTxnRequest,
    EndTxnRequest,
    WriteTxnMarkersRequest,
    TxnOffsetCommitRequest,
    DescribeAclsRequest,
    CreateAclsRequest,
    DeleteAclsRequest,
    DescribeConfigsRequest,
    AlterConfigsRequest,
    AlterReplicaLogDirsRequest,
    DescribeLogDirsRequest,
    SaslAuthenticateRequest,
    CreatePartitionsRequest,
    CreateDelegationTokenRequest,
    RenewDelegationTokenRequest,
    ExpireDelegationTokenRequest,
    DescribeDelegationTokenRequest,
    DeleteGroupsRequest,
    ElectLeadersRequest,
    IncrementalAlterConfigsRequest,
    AlterPartitionReassignmentsRequest,
    ListPartitionReassignmentsRequest,
    OffsetDeleteRequest,
    DescribeClientQuotasRequest,
    AlterClientQuotasRequest,
    DescribeUserScramCredentialsRequest,
    AlterUserScramCredentialsRequest,
    VoteRequest,
    BeginQuorumEpochRequest,
    EndQuorumEpochRequest,
    DescribeQuorumRequest,
    AlterPartitionRequest,
    UpdateFeaturesRequest,
    EnvelopeRequest,
    FetchSnapshotRequest,
    DescribeClusterRequest,
    DescribeProducersRequest,
    BrokerRegistrationRequest,
    BrokerHeartbeatRequest,
    UnregisterBrokerRequest,
    DescribeTransactionsRequest,
    ListTransactionsRequest,
    AllocateProducerIdsRequest,
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupDescribeRequest,
    ControllerRegistrationRequest,
    GetTelemetrySubscriptionsRequest,
    PushTelemetryRequest,
    AssignReplicasToDirsRequest,
    ListConfigResourcesRequest,
    DescribeTopicPartitionsRequest,
    ShareGroupHeartbeatRequest,
    ShareGroupDescribeRequest,
    ShareFetchRequest,
    ShareAcknowledgeRequest,
    AddRaftVoterRequest,
    RemoveRaftVoterRequest,
    UpdateRaftVoterRequest,
    InitializeShareGroupStateRequest,
    ReadShareGroupStateRequest,
    WriteShareGroupStateRequest,
    DeleteShareGroupStateRequest,
    ReadShareGroupStateSummaryRequest,
    DescribeShareGroupOffsetsRequest,
    AlterShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsRequest,
];
