//! The `kafka-protocol` crate's decoders, by API key.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, Message, Request, VersionRange};

/// What the crate made of a body.
pub(crate) struct Decoded {
    /// Bytes that it left.
    pub(crate) left: usize,
    /// The message encoded again.
    pub(crate) again: Result<Bytes, String>,
}

macro_rules! by_key {
    ($($request:ident),* $(,)?) => {
        /// Decodes a body straight through the crate: only for bodies that the guard has accepted.
        pub(crate) fn decode(key: i16, version: i16, mut body: Bytes) -> Result<Decoded, String> {
            match key {
                $($request::KEY => {
                    let message = $request::decode(&mut body, version).map_err(|error| error.to_string())?;
                    let mut out = BytesMut::new();
                    let again = message.encode(&mut out, version).map_err(|error| error.to_string());
                    Ok(Decoded { left: body.len(), again: again.map(|()| out.freeze()) })
                })*
                _ => Err(format!("API {key} is not in the crate")),
            }
        }

        /// Decodes a body through the crate and drops it; false if the crate refused it.
        pub(crate) fn decodes(key: i16, version: i16, mut body: Bytes) -> bool {
            match key {
                $($request::KEY => $request::decode(&mut body, version).is_ok(),)*
                _ => false,
            }
        }

        /// Decodes a body as the broker does, guard and all.
        pub(crate) fn guarded(key: i16, version: i16, body: Bytes) -> bool {
            match key {
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

        /// The versions that the crate's decoder takes. (`ApiKey::valid_versions` claims more for three requests.)
        pub(crate) fn versions(key: i16) -> VersionRange {
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
