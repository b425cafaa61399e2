//! What the broker acts on, typed: one struct per area, built from the effective values.
//!
//! Everything here has passed its check and means something to the program; what Kafka has and
//! we accept without effect is only in the table. Settings that can change while the broker runs
//! come in a new `Settings` ([`super::Live`]).

use super::security::{Security, Towards};
use crate::model::{NodeId, Principal};
use bytes::Bytes;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// `listener.security.protocol.map`: how bytes travel on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecurityProtocol {
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

impl SecurityProtocol {
    pub const ALL: [SecurityProtocol; 4] = [
        SecurityProtocol::Plaintext,
        SecurityProtocol::Ssl,
        SecurityProtocol::SaslPlaintext,
        SecurityProtocol::SaslSsl,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SecurityProtocol::Plaintext => "PLAINTEXT",
            SecurityProtocol::Ssl => "SSL",
            SecurityProtocol::SaslPlaintext => "SASL_PLAINTEXT",
            SecurityProtocol::SaslSsl => "SASL_SSL",
        }
    }

    /// Kafka's id of the protocol, as broker registrations carry it.
    #[must_use]
    pub fn id(self) -> i16 {
        match self {
            SecurityProtocol::Plaintext => 0,
            SecurityProtocol::Ssl => 1,
            SecurityProtocol::SaslPlaintext => 2,
            SecurityProtocol::SaslSsl => 3,
        }
    }

    #[must_use]
    pub fn parse(name: &str) -> Option<SecurityProtocol> {
        SecurityProtocol::ALL.into_iter().find(|protocol| protocol.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for SecurityProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name of a listener, in upper case. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerName(Arc<str>);

impl ListenerName {
    #[must_use]
    pub fn new(name: &str) -> ListenerName {
        ListenerName(Arc::from(name.to_uppercase()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ListenerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ListenerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An address with the name and the protocol it goes by: where to listen, or what to advertise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub name: ListenerName,
    pub protocol: SecurityProtocol,
    /// A name or address, without brackets. Empty in `listeners` means all interfaces; never empty when advertised.
    pub host: String,
    /// 0 in `listeners` lets the system choose; the advertised port is then the chosen one.
    pub port: u16,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "{}://[{}]:{}", self.name, self.host, self.port)
        } else {
            write!(f, "{}://{}:{}", self.name, self.host, self.port)
        }
    }
}

/// `process.roles`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    pub broker: bool,
    pub controller: bool,
}

/// Everything the broker acts on.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub node_id: NodeId,
    pub roles: Roles,
    /// `CLUSTER_ID` of the environment; `None`: what the data directory says, or a new one.
    pub cluster_id: Option<String>,
    /// `broker.rack`
    pub rack: Option<String>,
    pub network: Network,
    pub peers: Peers,
    pub log: Log,
    pub topics: Topics,
    pub fetch: Fetch,
    pub replication: Replication,
    pub membership: Membership,
    pub groups: Groups,
    pub transactions: Transactions,
    pub share_state: ShareState,
    /// `authorizer.class.name` and what belongs to it; `None`: everybody may do everything.
    pub authorization: Option<Authorization>,
    pub tokens: Tokens,
    pub quotas: Quotas,
    pub copies: CopyLimits,
    pub quorum: Quorum,
}

impl Settings {
    /// Whether this node is a broker and the whole quorum: nobody else votes, and nobody else leads it.
    #[must_use]
    pub fn is_solo(&self) -> bool {
        self.quorum.is_solo(self.roles, self.node_id)
    }
}

/// How often and for how long something is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// At least 1.
    pub count: u16,
    /// Milliseconds; not 0.
    pub size: i64,
}

/// How client quotas are measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Quotas {
    /// `quota.window.num` and `quota.window.size.seconds`: bytes, the time of requests, connections.
    pub clients: Windows,
    /// `controller.quota.window.num` and `controller.quota.window.size.seconds`: changes of topics.
    pub mutations: Windows,
}

/// How fast replicas may be copied that are throttled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyLimit {
    /// `i64::MAX`: without limit.
    pub bytes_per_second: i64,
    pub windows: Windows,
}

/// `*.replication.throttled.rate` and `replica.alter.log.dirs.io.max.bytes.per.second` (KIP-73, KIP-113).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyLimits {
    /// What this broker sends to followers that are not in sync.
    pub leader: CopyLimit,
    /// What it fetches of partitions in which it is not in sync.
    pub follower: CopyLimit,
    /// What it copies from one of its log directories to another.
    pub moves: CopyLimit,
}

impl Default for CopyLimits {
    /// No limits.
    fn default() -> CopyLimits {
        let none = CopyLimit { bytes_per_second: i64::MAX, windows: Windows { count: 11, size: 1000 } };
        CopyLimits { leader: none, follower: none, moves: none }
    }
}

/// Delegation tokens.
#[derive(Clone, PartialEq)]
pub struct Tokens {
    /// `delegation.token.secret.key`; `None`: there are no tokens.
    pub secret: Option<Bytes>,
    /// `delegation.token.max.lifetime.ms`
    pub lifetime_max_ms: i64,
    /// `delegation.token.expiry.time.ms`: how long a token is valid without renewal.
    pub renewal_ms: i64,
    /// `delegation.token.expiry.check.interval.ms`
    pub check_interval: Duration,
}

impl fmt::Debug for Tokens {
    /// Never the secret: this may end in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("enabled", &self.secret.is_some()).finish_non_exhaustive()
    }
}

/// Listeners, sockets and the limits of connections.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Where brokers' clients connect; not the controller's listeners. Empty on a node that is only a controller.
    pub listeners: Vec<Listener>,
    /// What Metadata answers to clients of the listener of that name, in the order of `listeners`. A listener
    /// that `advertised.listeners` leaves out is not here: Kafka answers its clients LISTENER_NOT_FOUND.
    pub advertised: Vec<Listener>,
    /// Of which nobody said what to advertise and which are on all interfaces: each connection is answered with the address
    /// that it reached.
    pub advertised_by_connection: Vec<ListenerName>,
    /// `advertised.port`: told to those who come through a container's port mapping; `None`: the listener's own.
    pub published_port: Option<u16>,
    /// Those of `listeners` that `controller.listener.names` names: where controllers and brokers talk to this
    /// controller. Empty on a node that is only a broker, and where a node alone names none.
    pub controller_listeners: Vec<Listener>,
    /// How this node talks to controllers: the first of `controller.listener.names`. `None`: it names none.
    pub controller_protocol: Option<(ListenerName, SecurityProtocol)>,
    pub inter_broker_listener: ListenerName,
    /// How clients of each of `listeners`, then of `controller_listeners`, show who they are, in the same order.
    pub security: Vec<Security>,
    /// How this node connects to other brokers. `None`: it is only a controller.
    pub towards_brokers: Option<Towards>,
    /// How it connects to controllers. `None`: it names no listener of theirs.
    pub towards_controllers: Option<Towards>,
    /// `admin.listener`: host and port of the HTTP endpoint; `None` when turned off.
    pub admin: Option<(String, u16)>,
    /// It is the default: where that is taken, another port will do.
    pub admin_by_default: bool,
    /// `socket.send.buffer.bytes`; `None` leaves it to the system.
    pub send_buffer_bytes: Option<usize>,
    /// `socket.receive.buffer.bytes`; `None` leaves it to the system.
    pub receive_buffer_bytes: Option<usize>,
    pub listen_backlog: u32,
    /// `socket.request.max.bytes`
    pub request_bytes_max: usize,
    /// `queued.max.request.bytes`: of all requests in flight. Kafka's `-1` (no limit) becomes 256 MiB, or
    /// twice `socket.request.max.bytes` where that is more: here every buffer has a limit.
    pub request_bytes_in_flight_max: usize,
    pub connections_max: usize,
    pub connections_per_ip_max: usize,
    /// `max.connections.per.ip.overrides`
    pub connections_per_ip_overrides: Vec<(IpAddr, usize)>,
    /// `listener.name.<name>.max.connections`
    pub connections_per_listener: Vec<(ListenerName, usize)>,
    /// `max.connection.creation.rate`, of the whole broker.
    pub connection_rate_max: usize,
    /// `listener.name.<name>.max.connection.creation.rate`
    pub connection_rates_per_listener: Vec<(ListenerName, usize)>,
    /// `connections.max.idle.ms`; `None`: never closed for being idle.
    pub idle_max: Option<Duration>,
    /// `connection.failed.authentication.delay.ms`
    pub failed_login_delay: Duration,
    /// `connections.login.timeout.ms`: of a TLS handshake and a login together.
    pub login_max: Duration,
    /// `connections.login.max.bytes`: of all connections that have not logged in.
    pub strangers_bytes_max: usize,
    /// `request.timeout.ms`
    pub request_timeout: Duration,
    /// `max.request.partition.size.limit`
    pub partitions_per_request_max: usize,
}

/// Connections to other nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Peers {
    /// `socket.connection.setup.timeout.ms`
    pub setup_timeout: Duration,
    /// `socket.connection.setup.timeout.max.ms`
    pub setup_timeout_max: Duration,
    /// The longest answer that is read: a fetch, with one batch on top that was too large for it.
    pub response_bytes_max: usize,
}

impl Peers {
    /// How long the next attempt to connect may take: twice as long after each failure.
    #[must_use]
    pub fn setup_timeout_after(&self, failures: u32) -> Duration {
        self.setup_timeout.saturating_mul(1 << failures.min(16)).min(self.setup_timeout_max.max(self.setup_timeout))
    }
}

impl Network {
    /// The brokers' own listener, if it is one of several, and those of controllers: what clients do on the others cannot shut
    /// them.
    #[must_use]
    pub fn is_protected(&self, listener: &ListenerName) -> bool {
        let controllers = self.controller_listeners.iter().any(|at| at.name == *listener);
        controllers || self.listeners.len() > 1 && self.inter_broker_listener == *listener
    }
}

/// Log directories and the work that is done on them at intervals.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    pub dirs: Vec<PathBuf>,
    /// `log.retention.check.interval.ms`
    pub retention_check_interval: Duration,
    /// `log.flush.scheduler.interval.ms`; `None`: never (time-based flushes then happen only by `flush.ms`
    /// checked with appends).
    pub flush_check_interval: Option<Duration>,
    /// `log.flush.offset.checkpoint.interval.ms`
    pub recovery_point_checkpoint_interval: Duration,
    /// `log.flush.start.offset.checkpoint.interval.ms`
    pub log_start_checkpoint_interval: Duration,
    /// `num.recovery.threads.per.data.dir`
    pub recovery_threads_per_dir: usize,
    /// `num.replica.alter.log.dirs.threads`; by default one for each directory.
    pub move_threads: usize,
    /// `log.initial.task.delay.ms`
    pub initial_task_delay: Duration,
    pub cleaner: Cleaner,
}

/// `log.cleaner.*`: compaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Cleaner {
    pub enable: bool,
    pub threads: usize,
    pub dedupe_buffer_bytes: usize,
    /// `log.cleaner.io.buffer.load.factor`
    pub dedupe_buffer_load: f64,
    pub io_buffer_bytes: usize,
    pub io_bytes_per_second_max: f64,
    pub backoff: Duration,
}

/// How topics come and go. (Their defaults are in `TopicConfig`.)
#[derive(Clone, Debug, PartialEq)]
pub struct Topics {
    pub num_partitions: i32,
    pub default_replication_factor: i16,
    pub auto_create: bool,
    pub delete_enable: bool,
}

/// `fetch.*`.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetch {
    /// `fetch.max.bytes`: most bytes of one response, whatever the client asks for.
    pub response_bytes_max: usize,
    /// `max.incremental.fetch.session.cache.slots`
    pub sessions_max: usize,
    /// `replica.selector.class`: consumers that say their rack are sent to replicas there.
    pub rack_aware: bool,
}

/// `replica.*` and elections.
#[derive(Clone, Debug, PartialEq)]
pub struct Replication {
    pub lag_max: Duration,
    pub fetch_bytes_max: usize,
    pub fetch_response_bytes_max: usize,
    pub fetch_min_bytes: usize,
    pub fetch_wait_max: Duration,
    pub fetch_backoff: Duration,
    pub fetchers: usize,
    pub socket_timeout: Duration,
    /// `replica.high.watermark.checkpoint.interval.ms`
    pub high_watermark_checkpoint_interval: Duration,
}

/// What brokers and the controller owe each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Membership {
    /// `broker.heartbeat.interval.ms`
    pub heartbeat_interval: Duration,
    /// `broker.session.timeout.ms`: without a heartbeat for this long, a broker is fenced.
    pub session_timeout: Duration,
    /// `initial.broker.registration.timeout.ms`: a broker that is not registered by then stops.
    pub registration_timeout: Duration,
    /// `controlled.shutdown.enable`
    pub controlled_shutdown: bool,
    /// `leader.imbalance.check.interval.seconds`; `None` without `auto.leader.rebalance.enable`.
    pub balance_interval: Option<Duration>,
    /// `unclean.leader.election.interval.ms`
    pub unclean_election_interval: Duration,
}

/// `group.*` and `offsets.*`: consumer groups.
#[derive(Clone, Debug, PartialEq)]
pub struct Groups {
    pub offsets_partitions: i32,
    pub offsets_replication_factor: i16,
    pub offsets_segment_bytes: i32,
    /// `offsets.topic.compression.codec`: how the coordinator's batches are compressed, 0 to 4 (`CompressionType`).
    pub offsets_compression: i8,
    /// `offsets.load.buffer.size`
    pub offsets_load_bytes: usize,
    pub offset_metadata_bytes_max: usize,
    pub offsets_retention: Duration,
    pub offsets_retention_check_interval: Duration,
    pub offset_commit_timeout: Duration,
    pub session_timeout_min: Duration,
    pub session_timeout_max: Duration,
    pub initial_rebalance_delay: Duration,
    pub members_max: usize,
    /// `group.coordinator.rebalance.protocols`
    pub classic: bool,
    pub consumer: bool,
    /// What a consumer group has that sets nothing of its own; [`super::GroupConfig`] is what one group has.
    pub consumer_session_timeout: Duration,
    pub consumer_session_timeout_min: Duration,
    pub consumer_session_timeout_max: Duration,
    pub consumer_heartbeat_interval: Duration,
    pub consumer_heartbeat_interval_min: Duration,
    pub consumer_heartbeat_interval_max: Duration,
    /// Least time between two assignments.
    pub consumer_assignment_interval: Duration,
    pub consumer_assignment_interval_min: Duration,
    pub consumer_assignment_interval_max: Duration,
    pub consumer_members_max: usize,
    /// `group.consumer.assignors`, at least one; the first is the default. Names that are known: `uniform`, `range`.
    pub consumer_assignors: Vec<String>,
    pub consumer_migration: Migration,
    /// `group.consumer.regex.refresh.interval.ms`
    pub consumer_regex_refresh_interval: Duration,
    pub share: super::share::ShareGroups,
}

/// `group.consumer.migration.policy`: which groups that have members may change their protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// From the classic protocol to the consumer protocol.
    pub upgrade: bool,
    /// From the consumer protocol to the classic protocol.
    pub downgrade: bool,
}

/// `transaction.*`, `transactional.*` and producer ids.
#[derive(Clone, Debug, PartialEq)]
pub struct Transactions {
    pub log_partitions: i32,
    pub log_replication_factor: i16,
    pub log_min_isr: i32,
    pub log_segment_bytes: i32,
    /// `transaction.state.log.load.buffer.size`
    pub log_load_bytes: usize,
    pub timeout_max: Duration,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`
    pub timeout_check_interval: Duration,
    pub id_expiration: Duration,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`
    pub id_expiration_check_interval: Duration,
    pub producer_id_expiration: Duration,
    pub producer_id_expiration_check_interval: Duration,
    /// `transaction.partition.verification.enable`
    pub verify_partitions: bool,
    /// `add.partitions.to.txn.retry.backoff.max.ms`: how long a first write waits for the transaction before to be settled.
    pub settle_wait: Duration,
}

/// `share.coordinator.*`: what is kept of share groups' deliveries.
#[derive(Clone, Debug, PartialEq)]
pub struct ShareState {
    pub partitions: i32,
    pub replication_factor: i16,
    pub min_isr: i32,
    pub segment_bytes: i32,
    /// `share.coordinator.load.buffer.size`
    pub load_bytes: usize,
    /// `share.coordinator.state.topic.compression.codec`, by the number that a batch carries.
    pub compression: i8,
    /// `share.coordinator.snapshot.update.records.per.snapshot`
    pub updates_per_snapshot: u32,
    pub write_timeout: Duration,
    pub prune_interval: Duration,
    /// `share.coordinator.cold.partition.snapshot.interval.ms`
    pub snapshot_interval: Duration,
}

/// What the authorizer is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Authorization {
    /// `super.users`
    pub super_users: Vec<Principal>,
    /// `allow.everyone.if.no.acl.found`
    pub allow_if_no_acl: bool,
}

/// `controller.quorum.*` and the metadata log.
#[derive(Clone, Debug, PartialEq)]
pub struct Quorum {
    /// `controller.quorum.voters`: id, host and port of each. Empty: a node alone, or `bootstrap` says who knows them.
    pub voters: Vec<(NodeId, String, u16)>,
    /// `controller.quorum.bootstrap.servers`: host and port.
    pub bootstrap: Vec<(String, u16)>,
    /// `controller.quorum.fetch.timeout.ms`: not heard from for this long, a leader counts as gone.
    pub fetch_timeout: Duration,
    /// `controller.quorum.request.timeout.ms`
    pub request_timeout: Duration,
    /// `controller.quorum.retry.backoff.ms`
    pub retry_backoff: Duration,
    /// `controller.quorum.fetch.max.bytes`
    pub fetch_bytes_max: usize,
    /// `controller.quorum.fetch.snapshot.max.bytes`
    pub fetch_snapshot_bytes_max: usize,
    /// `metadata.log.dir`; `None`: the first log directory.
    pub metadata_dir: Option<PathBuf>,
    pub snapshot_after_bytes: u64,
    pub snapshot_after: Duration,
}

impl Quorum {
    /// Whether `node` is a broker and the whole quorum.
    #[must_use]
    pub fn is_solo(&self, roles: Roles, node: NodeId) -> bool {
        roles.controller && roles.broker && self.voters.iter().all(|(id, ..)| *id == node)
    }
}
