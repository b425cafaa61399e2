//! The Kafka APIs: one file each, which translates and decides nothing.
//!
//! `apis!` below is the one list: dispatch, ApiVersions and the README's table all come from it.
//! What a handler registers is what ApiVersions says. The ranges are Kafka 4.3's, as far as the
//! `kafka-protocol` crate can encode them; never simply what the crate can decode.
//!
//! Produce and Fetch are the hot path and have stages of their own: the connection hands Produce to
//! [`produce::Placer`], [`place`] hands Fetch to [`fetch::place`].
//!
//! The list says, too, on which listeners an API is served, and which of them a broker sends on to the active controller
//! ([`forward`]): handlers do not know.

mod acls;
mod alter;
mod authorized;
mod auto_topics;
mod config_rules;
mod deadline;
mod distinct;
mod forward;
mod groups;
mod loggers;
mod mutations;
#[cfg(test)]
#[path = "tests/exactly_once/mod.rs"]
mod exactly_once;
#[cfg(test)]
mod testing;
mod text;
mod tokens;
mod transactions;
mod view;

pub mod add_offsets_to_txn;
pub mod add_partitions_to_txn;
pub mod allocate_producer_ids;
pub mod alter_client_quotas;
pub mod alter_configs;
pub mod alter_partition;
pub mod alter_partition_reassignments;
pub mod alter_replica_log_dirs;
pub mod alter_share_group_offsets;
pub mod alter_user_scram_credentials;
pub mod api_versions;
pub mod assign_replicas_to_dirs;
pub mod broker_heartbeat;
pub mod broker_registration;
pub mod consumer_group_describe;
pub mod consumer_group_heartbeat;
pub mod create_acls;
pub mod create_delegation_token;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_acls;
pub mod delete_groups;
pub mod delete_records;
pub mod delete_share_group_offsets;
pub mod delete_topics;
pub mod describe_acls;
pub mod describe_client_quotas;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_delegation_token;
pub mod describe_groups;
pub mod describe_log_dirs;
pub mod describe_producers;
pub mod describe_quorum;
pub mod describe_share_group_offsets;
pub mod describe_topic_partitions;
pub mod describe_transactions;
pub mod elect_leaders;
pub mod describe_user_scram_credentials;
pub mod end_txn;
pub mod envelope;
pub mod expire_delegation_token;
pub mod fetch;
pub mod find_coordinator;
pub mod heartbeat;
pub mod incremental_alter_configs;
pub mod init_producer_id;
pub mod join_group;
pub mod leave_group;
pub mod list_config_resources;
pub mod list_groups;
pub mod list_offsets;
pub mod list_partition_reassignments;
pub mod list_transactions;
pub mod metadata;
pub mod offset_commit;
pub mod offset_delete;
pub mod offset_fetch;
pub mod offset_for_leader_epoch;
pub mod out_of_turn;
pub mod produce;
pub mod raft_voters;
pub mod renew_delegation_token;
pub mod sasl_authenticate;
pub mod sasl_handshake;
pub mod share_group_describe;
pub mod share_group_heartbeat;
pub mod share_acknowledge;
pub mod share_fetch;
pub mod share_state;
pub mod sync_group;
pub mod txn_offset_commit;
pub mod unregister_broker;
pub mod update_features;
pub mod write_txn_markers;

pub use auto_topics::AutoTopics;
pub use config_rules::ConfigRules;

/// An error as a response carries it.
pub use crate::controller::ApiError;

use crate::access::quotas::{Client, Mute, Quotas};
use crate::access::{Authorizer, Permissions, Subject};
use crate::config::{self, SecurityProtocol, Settings};
use crate::controller;
use crate::metrics::Metrics;
use crate::model::{ErrorCode, Operation, PartitionId, Principal};
use crate::partition::{self, Partition};
use crate::rt::clock;
use crate::storage::FileSlice;
use crate::txn::ProducerIds;
use crate::wire::header::QUORUM_KEY;
use crate::wire::{self, RequestHeader, TopicRef};
use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiVersionsRequest;
use kafka_protocol::protocol::Request;
use smallvec::{SmallVec, smallvec};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// What handlers act on. Handles only: no handler holds a lock, a file or a socket.
pub struct Context {
    pub metadata: Arc<crate::metadata::Store>,
    /// Decides if this node is the active controller, and refuses if it is not.
    pub controller: Arc<controller::Service>,
    /// Asks the active controller, wherever it is.
    pub client: Arc<controller::Client>,
    /// The configuration of this broker, as it is now: dynamic changes come in here.
    pub config: Arc<config::Live>,
    pub cluster_id: String,
    pub auto_topics: Arc<AutoTopics>,
    pub producer_ids: Arc<ProducerIds>,
    /// What logins are checked against.
    pub credentials: Arc<dyn crate::access::Credentials>,
    pub partitions: Arc<partition::Manager>,
    pub metrics: Arc<Metrics>,
    pub quotas: Arc<Quotas>,
    pub fetch_sessions: Arc<partition::fetch_sessions::FetchSessions>,
    pub groups: Arc<crate::group::GroupCoordinator>,
    pub transactions: Arc<crate::txn::TransactionCoordinator>,
    /// What share groups read of this broker's partitions.
    pub shares: Arc<crate::share::Shares>,
    /// Keeps deliveries of share groups: of those that are coordinated here.
    pub share_states: Arc<crate::share::ShareCoordinator>,
    /// Asks whoever keeps them.
    pub persister: Arc<crate::share::Persister>,
    /// Who may do what; `None`: everybody may do everything (`authorizer.class.name` is not set).
    pub authorizer: Option<Arc<Authorizer>>,
}

impl Context {
    /// Why a partition is not on this broker: others have it, or it is in no metadata.
    pub(crate) fn absent(&self, topic: TopicRef<'_>, partition: PartitionId) -> ErrorCode {
        let image = self.metadata.load();
        let (known, unknown) = match topic {
            TopicRef::Name(name) => (image.topic(name), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            TopicRef::Id(id) => (image.topic_by_id(id), ErrorCode::UNKNOWN_TOPIC_ID),
        };
        match known {
            None => unknown,
            Some(topic) if topic.partition(partition).is_some() => ErrorCode::NOT_LEADER_OR_FOLLOWER,
            Some(_) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        }
    }

    /// A partition by its topic's name.
    ///
    /// # Errors
    /// As [`Context::absent`].
    pub(crate) fn partition(&self, topic: &str, partition: PartitionId) -> Result<Arc<Partition>, ErrorCode> {
        let held = self.partitions.partition(topic, partition);
        held.ok_or_else(|| self.absent(TopicRef::Name(topic), partition))
    }

    /// The settings as they are now.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(self.config.load().settings())
    }

    /// What a client may do by a request of this name.
    fn may<'a>(&'a self, peer: &'a Peer, request: &'static str) -> Permissions<'a> {
        Permissions::new(self.authorizer.as_deref(), peer.subject(request))
    }
}

/// Whom a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Clients of the broker, other brokers among them.
    Broker,
    /// `controller.listener.names`: brokers and controllers, and clients that ask a controller directly (KIP-919).
    Controller,
}

/// On which listeners an API is served: Kafka's `listeners` of each message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Broker,
    Controller,
    /// On both, each with what it knows.
    Both,
    /// On both: a broker does its part, and has the controller do what is left.
    Shared,
    /// On both, and only the active controller can answer it: a broker sends it on.
    Forwarded,
}

impl Scope {
    #[must_use]
    pub const fn is_on(self, side: Side) -> bool {
        match self {
            Scope::Broker => matches!(side, Side::Broker),
            Scope::Controller => matches!(side, Side::Controller),
            Scope::Both | Scope::Shared | Scope::Forwarded => true,
        }
    }
}

/// The client's side of a connection, as handlers see it. It does not change: a connection that logs in has another one
/// from then on. Logging in again may change when the session ends, never the principal.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The name of the listener that the connection came in on: answers carry its addresses.
    pub listener: String,
    pub side: Side,
    /// How bytes travel on that listener.
    pub protocol: SecurityProtocol,
    pub address: SocketAddr,
    /// Who the client has shown to be; [`Principal::anonymous`] until it has.
    pub principal: Principal,
    /// It logged in with a delegation token (`KafkaPrincipal.tokenAuthenticated`), and may not ask for another.
    pub by_token: bool,
    /// Another broker sent the request on, in an Envelope; `listener` and `protocol` are those that it came on.
    pub forwarded: bool,
    /// The address by which it reached this broker, where that and nothing else is to be answered.
    pub reached: Option<Reached>,
    /// Set by what answers its requests when it has to wait (KIP-219); the connection heeds it.
    pub muted: Arc<Mute>,
    /// Ends its share sessions when the last of this peer is gone.
    pub share_sessions: Arc<crate::share::session::Tie>,
}

impl Peer {
    /// As quotas know it.
    pub(crate) fn client<'a>(&'a self, client_id: Option<&'a str>) -> Client<'a> {
        Client { user: self.principal.name(), id: client_id.unwrap_or_default() }
    }
}

/// An address of this broker that is right for one client: see `server/reach.rs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    pub node: crate::model::NodeId,
    pub host: String,
    pub port: u16,
}

/// One request, less its body.
#[derive(Clone, Debug)]
pub struct Call {
    /// The API's name.
    pub api: &'static str,
    pub version: i16,
    pub client_id: Option<String>,
    pub peer: Arc<Peer>,
    pub authorizer: Option<Arc<Authorizer>>,
}

impl Peer {
    fn subject(&self, request: &'static str) -> Subject<'_> {
        Subject { principal: &self.principal, address: self.address.ip(), request }
    }
}

impl Call {
    /// What the client may do.
    pub(crate) fn may(&self) -> Permissions<'_> {
        Permissions::new(self.authorizer.as_deref(), self.peer.subject(self.api))
    }

    /// The answer to a request that the client may not make of this cluster.
    fn needs(&self, operation: Operation) -> ApiError {
        let text = format!("Request {} needs {} permission.", self.api, operation.name());
        ApiError::new(ErrorCode::CLUSTER_AUTHORIZATION_FAILED, text)
    }

    /// Nothing, if the client may do this to the cluster (`AuthHelper.authorizeClusterOperation`).
    fn on_cluster(&self, operation: Operation) -> Result<(), ApiError> {
        if self.may().cluster(operation) { Ok(()) } else { Err(self.needs(operation)) }
    }
}

/// Inclusive range of versions that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    pub min: i16,
    pub max: i16,
}

impl Versions {
    #[must_use]
    pub const fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }
}

/// One Kafka API.
pub trait Api {
    type Request: Request + Send + 'static;
    const NAME: &'static str;
    const VERSIONS: Versions;

    /// The version that `version` looks like on the wire, where a version changed only what a field may mean and the
    /// crate does not know it yet.
    #[must_use]
    fn form(version: i16) -> i16 {
        version
    }

    /// Decodes a request's body: not by the crate where that does not know the version.
    ///
    /// # Errors
    /// The body is not what it says.
    fn decode(version: i16, body: Bytes) -> Result<Self::Request, wire::DecodeError> {
        wire::decode(version, body)
    }

    /// Whether a request that only the controller can answer is answered by the broker all the same: to refuse it, for what
    /// nobody else can see.
    #[must_use]
    fn stays(call: &Call) -> bool {
        let _ = call;
        false
    }

    fn handle(
        ctx: Arc<Context>,
        call: Call,
        request: Self::Request,
    ) -> impl Future<Output = <Self::Request as Request>::Response> + Send;
}

/// A piece of an answer.
#[derive(Clone, Debug)]
pub enum Chunk {
    Bytes(Bytes),
    /// Read from the segment only when the socket has room.
    File(FileSlice),
}

impl Chunk {
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Chunk::Bytes(bytes) => bytes.len(),
            Chunk::File(range) => range.len,
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A whole response frame. Empty: there is none to give, and the connection is closed.
pub type Answer = SmallVec<[Chunk; 2]>;

/// An answer that is still to come.
pub type Later = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// What became of a request.
pub enum Placement {
    Done(Answer),
    /// Its order is fixed; later requests of the connection may be placed before it is answered.
    Waiting(Later),
    /// Nothing of the connection is placed before it is answered.
    Exclusive(Later),
}

/// An API that is served.
#[derive(Clone, Copy, Debug)]
pub struct Served {
    pub key: i16,
    pub name: &'static str,
    pub versions: Versions,
    /// The lowest version that ApiVersions announces; lower than what is served for Produce only.
    pub advertised_min: i16,
    pub scope: Scope,
}

/// How a request other than Produce and Fetch is served.
#[derive(Clone, Copy)]
struct Runner {
    run: Run,
    form: fn(i16) -> i16,
    stays: fn(&Call) -> bool,
    /// The throttle time of an answer that another node gave, header and body.
    waits: fn(i16, &Bytes) -> i32,
}

type Run = fn(&Arc<Context>, Call, i32, Bytes) -> Result<Later, String>;

/// Sets `throttle_time_ms` of an answer, unless it is higher already.
type Throttle<R> = fn(&mut R, i32);

/// Decodes, handles and encodes one request of `A`. Without `throttle` its time does not count, as in Kafka for what brokers
/// ask each other.
fn run<A: Api + 'static>(
    ctx: &Arc<Context>,
    call: Call,
    correlation_id: i32,
    body: Bytes,
    throttle: Option<Throttle<<A::Request as Request>::Response>>,
) -> Result<Later, String> {
    let version = A::form(call.version);
    let request = A::decode(version, body).map_err(|error| error.to_string())?;
    let ctx = Arc::clone(ctx);
    Ok(Box::pin(async move {
        // Of what was sent on, whoever sent it on measures the time.
        let measures = call.peer.side == Side::Broker && ctx.quotas.measures_time();
        let response = match throttle.filter(|_| measures) {
            None => A::handle(ctx, call, request).await,
            Some(throttle) => {
                let (peer, client_id) = (Arc::clone(&call.peer), call.client_id.clone());
                let (mut response, worked) = timed(A::handle(Arc::clone(&ctx), call, request)).await;
                let ms = ctx.quotas.worked(peer.client(client_id.as_deref()), worked);
                peer.muted.extend(ms);
                throttle(&mut response, millis(ms));
                response
            }
        };
        let key = <A::Request as Request>::KEY;
        match wire::response(key, version, correlation_id, &response) {
            Ok(frame) => smallvec![Chunk::Bytes(frame)],
            Err(error) => {
                // A fault of ours. The connection is closed: better than a wrong answer, or none.
                tracing::error!(%error, "an answer could not be encoded");
                Answer::new()
            }
        }
    }))
}

/// An answer that another node gave, header and body; `None`: it cannot be read.
fn answered<A: Api>(version: i16, response: &Bytes) -> Option<<A::Request as Request>::Response> {
    let version = A::form(version);
    let length = wire::header::response_header_length(<A::Request as Request>::KEY, version, response).ok()?;
    wire::decode_response::<A::Request>(version, response.slice(length..)).ok()
}

/// What comes of it, and how long we worked on it: the time that it waited does not count.
async fn timed<F: Future>(future: F) -> (F::Output, Duration) {
    let mut future = std::pin::pin!(future);
    let mut worked = Duration::ZERO;
    let output = std::future::poll_fn(|cx| {
        let began = clock::now();
        let polled = future.as_mut().poll(cx);
        worked += clock::now().saturating_duration_since(began);
        polled
    })
    .await;
    (output, worked)
}

/// `throttle_time_ms`, as answers have it.
fn millis(ms: u64) -> i32 {
    i32::try_from(ms).unwrap_or(i32::MAX)
}

macro_rules! apis {
    (
        [$($scope:ident: $($api:path),* $(,)?;)*]
        without a throttle time: [$($where:ident: $($exempt:path),* $(,)?;)*]
    ) => {
        const APIS: &[Served] = &[
            Served {
                key: produce::KEY,
                name: produce::NAME,
                versions: produce::VERSIONS,
                advertised_min: 0,
                scope: Scope::Broker,
            },
            Served {
                key: fetch::KEY,
                name: fetch::NAME,
                versions: fetch::VERSIONS,
                advertised_min: fetch::VERSIONS.min,
                scope: Scope::Broker,
            },
            share_fetch::SERVED,
            $($(Served {
                key: <<$api as Api>::Request as Request>::KEY,
                name: <$api as Api>::NAME,
                versions: <$api as Api>::VERSIONS,
                advertised_min: <$api as Api>::VERSIONS.min,
                scope: Scope::$scope,
            },)*)*
            $($(Served {
                key: <<$exempt as Api>::Request as Request>::KEY,
                name: <$exempt as Api>::NAME,
                versions: <$exempt as Api>::VERSIONS,
                advertised_min: <$exempt as Api>::VERSIONS.min,
                scope: Scope::$where,
            },)*)*
        ];

        fn runner(key: i16) -> Option<Runner> {
            $($(if key == <<$api as Api>::Request as Request>::KEY {
                let run: Run = |ctx, call, id, body| {
                    run::<$api>(ctx, call, id, body, Some(|response, ms| {
                        response.throttle_time_ms = response.throttle_time_ms.max(ms);
                    }))
                };
                let waits = |version, response: &Bytes| answered::<$api>(version, response).map_or(0, |r| r.throttle_time_ms);
                return Some(Runner { run, form: <$api as Api>::form, stays: <$api as Api>::stays, waits });
            })*)*
            $($(if key == <<$exempt as Api>::Request as Request>::KEY {
                let run: Run = |ctx, call, id, body| run::<$exempt>(ctx, call, id, body, None);
                return Some(Runner { run, form: <$exempt as Api>::form, stays: <$exempt as Api>::stays, waits: |_, _| 0 });
            })*)*
            None
        }
    };
}

apis! {
    [
        Broker:
            list_offsets::ListOffsets,
            metadata::Metadata,
            offset_commit::OffsetCommit,
            offset_fetch::OffsetFetch,
            find_coordinator::FindCoordinator,
            join_group::JoinGroup,
            heartbeat::Heartbeat,
            leave_group::LeaveGroup,
            sync_group::SyncGroup,
            describe_groups::DescribeGroups,
            list_groups::ListGroups,
            delete_records::DeleteRecords,
            init_producer_id::InitProducerId,
            offset_for_leader_epoch::OffsetForLeaderEpoch,
            add_partitions_to_txn::AddPartitionsToTxn,
            add_offsets_to_txn::AddOffsetsToTxn,
            end_txn::EndTxn,
            txn_offset_commit::TxnOffsetCommit,
            alter_replica_log_dirs::AlterReplicaLogDirs,
            describe_log_dirs::DescribeLogDirs,
            delete_groups::DeleteGroups,
            offset_delete::OffsetDelete,
            describe_delegation_token::DescribeDelegationToken,
            describe_client_quotas::DescribeClientQuotas,
            describe_producers::DescribeProducers,
            describe_transactions::DescribeTransactions,
            list_transactions::ListTransactions,
            consumer_group_heartbeat::ConsumerGroupHeartbeat,
            consumer_group_describe::ConsumerGroupDescribe,
            share_group_heartbeat::ShareGroupHeartbeat,
            share_group_describe::ShareGroupDescribe,
            describe_share_group_offsets::DescribeShareGroupOffsets,
            alter_share_group_offsets::AlterShareGroupOffsets,
            delete_share_group_offsets::DeleteShareGroupOffsets,
            share_acknowledge::ShareAcknowledge,
            list_config_resources::ListConfigResources,
            describe_topic_partitions::DescribeTopicPartitions;
        Both:
            api_versions::ApiVersions,
            describe_acls::DescribeAcls,
            describe_configs::DescribeConfigs,
            describe_user_scram_credentials::DescribeUserScramCredentials,
            describe_cluster::DescribeCluster;
        Shared:
            alter_configs::AlterConfigs,
            incremental_alter_configs::IncrementalAlterConfigs;
        Forwarded:
            create_topics::CreateTopics,
            delete_topics::DeleteTopics,
            create_acls::CreateAcls,
            delete_acls::DeleteAcls,
            create_partitions::CreatePartitions,
            create_delegation_token::CreateDelegationToken,
            renew_delegation_token::RenewDelegationToken,
            expire_delegation_token::ExpireDelegationToken,
            elect_leaders::ElectLeaders,
            alter_partition_reassignments::AlterPartitionReassignments,
            list_partition_reassignments::ListPartitionReassignments,
            alter_client_quotas::AlterClientQuotas,
            alter_user_scram_credentials::AlterUserScramCredentials,
            update_features::UpdateFeatures,
            unregister_broker::UnregisterBroker,
            raft_voters::AddRaftVoter,
            raft_voters::RemoveRaftVoter;
        Controller:
            broker_registration::BrokerRegistration,
            broker_heartbeat::BrokerHeartbeat,
            allocate_producer_ids::AllocateProducerIds;
    ]
    without a throttle time: [
        Broker:
            write_txn_markers::WriteTxnMarkers,
            share_state::InitializeShareGroupState,
            share_state::ReadShareGroupState,
            share_state::WriteShareGroupState,
            share_state::DeleteShareGroupState,
            share_state::ReadShareGroupStateSummary;
        Both:
            sasl_handshake::SaslHandshake,
            sasl_authenticate::SaslAuthenticate;
        Forwarded:
            describe_quorum::DescribeQuorum;
        Controller:
            alter_partition::AlterPartition,
            assign_replicas_to_dirs::AssignReplicasToDirs,
            envelope::Envelope;
    ]
}

/// Every API that is served on some listener, in the order of the list.
#[must_use]
pub fn served() -> &'static [Served] {
    APIS
}

/// Every API that is served on a listener of this side, in the order of the list.
pub fn served_on(side: Side) -> impl Iterator<Item = &'static Served> {
    APIS.iter().filter(move |api| api.scope.is_on(side))
}

/// The version that a served version looks like on the wire: its own, but for versions that the crate does not know and
/// that changed only what a field may mean.
#[must_use]
pub fn form(key: i16, version: i16) -> i16 {
    runner(key).map_or(version, |runner| (runner.form)(version))
}

/// What an element of a list takes besides its decoded form: what is looked up for it, and its part of the answer.
const ELEMENT: usize = 320;
/// Fetch and Produce requests up to these lengths are not weighed: they hold too few partitions to matter, and of a
/// Produce request nothing is left once it was appended.
const FETCH_UNWEIGHED: usize = 2 * 1024;
const PRODUCE_UNWEIGHED: usize = 64 * 1024;

/// Whether an answer may depend on what other clients do, for as long as they like. What such a request asks is taken out of
/// it as soon as it is placed.
#[must_use]
pub fn waits_for_others(key: i16) -> bool {
    key == <join_group::JoinGroup as Api>::Request::KEY || key == <sync_group::SyncGroup as Api>::Request::KEY
}

/// What handling a request will occupy, to be known before that begins. Nothing for what is not handled.
///
/// # Errors
/// The body is not what it says: the connection is to be closed.
pub fn cost(side: Side, header: &RequestHeader, body: &[u8]) -> Result<wire::Cost, String> {
    let RequestHeader { key, version, .. } = *header;
    let unweighed = match key {
        fetch::KEY => FETCH_UNWEIGHED,
        produce::KEY => PRODUCE_UNWEIGHED,
        _ => 0,
    };
    let served = served_on(side).any(|api| api.key == key && api.versions.contains(version));
    if !served || body.len() < unweighed {
        return Ok(wire::Cost(0));
    }
    let weight = wire::guard::weigh(key, form(key, version), body)
        .map_err(|refused| format!("API {key} version {version}: {refused}"))?;
    Ok(wire::Cost(weight.cost.0.saturating_add(weight.elements.saturating_mul(ELEMENT))))
}

/// Does what may take long where it keeps no other connection from being served.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            // A fault of ours: it ends this connection, as it would have without the detour.
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and this with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Places a request other than Produce.
///
/// # Errors
/// The key is unknown, the version is not served, or the body is not what it says: Kafka closes the
/// connection without an answer (`SocketServer.processCompletedReceives`).
pub fn place(ctx: &Arc<Context>, peer: &Arc<Peer>, header: &RequestHeader, body: Bytes) -> Result<Placement, String> {
    if header.key == QUORUM_KEY && peer.side == Side::Controller {
        if !ctx.may(peer, "Quorum").cluster(Operation::ClusterAction) {
            // As Kafka's Vote and Fetch of the metadata. There is no answer to give, since no client asks this.
            return Err(format!("{} may not take part in the quorum: it needs CLUSTER_ACTION", peer.principal));
        }
        return Ok(Placement::Exclusive(quorum(ctx, header.correlation_id, body)));
    }
    let Some(api) = served_on(peer.side).find(|api| api.key == header.key) else {
        return Err(format!("API key {} is not served on the listener {}", header.key, peer.listener));
    };
    if !api.versions.contains(header.version) {
        if header.key == ApiVersionsRequest::KEY {
            // The one API that is answered whatever its version, for the client to choose another (KIP-511).
            let answer = api_versions::unsupported();
            return wire::response(header.key, 0, header.correlation_id, &answer)
                .map(|frame| Placement::Done(smallvec![Chunk::Bytes(frame)]))
                .map_err(|error| error.to_string());
        }
        return Err(format!("version {} of {} is not served", header.version, api.name));
    }
    let Some(Runner { run, stays, waits, .. }) = runner(header.key) else {
        return match header.key {
            share_fetch::KEY => share_fetch::place(ctx, peer, header, body),
            _ => fetch::place(ctx, peer, header, &body),
        };
    };
    let call = Call {
        api: api.name,
        version: header.version,
        client_id: header.client_id.as_ref().map(|id| id.to_string()),
        peer: Arc::clone(peer),
        authorizer: ctx.authorizer.clone(),
    };
    if api.scope == Scope::Forwarded && peer.side == Side::Broker && !stays(&call) {
        let request =
            forward::Forwarded { ctx: Arc::clone(ctx), call, correlation_id: header.correlation_id, body, run, waits };
        return request.place(header).map(Placement::Exclusive);
    }
    run(ctx, call, header.correlation_id, body).map(Placement::Exclusive)
}

/// Answers a message of the quorum; one that cannot be read ends the connection.
fn quorum(ctx: &Arc<Context>, correlation_id: i32, body: Bytes) -> Later {
    let ctx = Arc::clone(ctx);
    Box::pin(async move {
        let answer = match ctx.controller.quorum().serve(&ctx.cluster_id, &body).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(%error, "a message of the quorum cannot be read");
                return Answer::new();
            }
        };
        let mut head = BytesMut::with_capacity(8);
        head.put_i32(i32::try_from(answer.len() + 4).unwrap_or(i32::MAX));
        head.put_i32(correlation_id);
        smallvec![Chunk::Bytes(head.freeze()), Chunk::Bytes(answer)]
    })
}

#[cfg(test)]
mod tests;
