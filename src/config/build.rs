//! From values to [`Settings`]: units, "no limit" values, and the checks that involve several keys.

use super::ConfigError;
use super::broker::{Values, value_of};
use super::groups;
use super::listeners;
use super::quorum;
use super::security::{self, Security, Whom};
use super::settings::*;
use super::share_state;
use super::value::Value;
use crate::model::{NodeId, Principal};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Kafka's `-1` for `queued.max.request.bytes` means no limit; we have this one.
const REQUEST_BYTES_IN_FLIGHT: usize = 256 * 1024 * 1024;
/// Kafka's default for `socket.receive.buffer.bytes`, which its own server.properties spells out too. It is less than Linux
/// begins with, and setting it keeps Linux from growing the window: a producer then stalls after every 64 KB, and receiving
/// costs half as much again. So this one value is taken as "the system's", as `-1` is.
const RECEIVE_BUFFER_DEFAULT: usize = 100 * 1024;

/// Settings from static values. `hostname` is advertised for a listener on all interfaces.
pub(super) fn settings(values: &Values, hostname: &str, cluster_id: Option<String>) -> Result<Settings, ConfigError> {
    let read = Read(values);
    let node_id = NodeId(read.int("node.id"));
    if node_id.0 < 0 {
        return Err(ConfigError::new("node.id must be 0 or more: give this node a number of its own."));
    }
    if read.int("broker.id") != node_id.0 && values.contains_key("broker.id") {
        return Err(ConfigError::new(
            "broker.id and node.id are two names of one number and have different values: remove broker.id.",
        ));
    }
    let roles = roles(&read);
    let resolved = listeners::resolve(&listeners::Given {
        listeners: &read.list("listeners"),
        advertised: read.optional_list("advertised.listeners").as_deref(),
        protocols: &read.text("listener.security.protocol.map"),
        protocols_were_set: values.contains_key("listener.security.protocol.map"),
        controller_names: &read.list("controller.listener.names"),
        roles,
        inter_broker_name: read.optional_text("inter.broker.listener.name").as_deref(),
        inter_broker_protocol: values.get("security.inter.broker.protocol").map(|text| text.trim()),
        hostname,
    })?;
    let quorum = quorum::settings(&read, node_id, roles)?;
    let settings = Settings {
        node_id,
        roles,
        cluster_id,
        rack: read.optional_text("broker.rack"),
        network: network(&read, resolved, quorum.is_solo(roles, node_id))?,
        peers: peers(&read),
        log: log(&read)?,
        topics: topics(&read),
        fetch: fetch(&read),
        replication: replication(&read),
        membership: membership(&read),
        groups: groups::settings(&read)?,
        transactions: transactions(&read),
        share_state: share_state::settings(&read)?,
        authorization: authorization(&read)?,
        tokens: tokens(&read),
        quotas: quotas(&read),
        copies: copies(&read),
        quorum,
    };
    between_nodes(&read, &settings)?;
    across(&read, &settings)?;
    if let Some(fault) = groups::fault(values) {
        return Err(ConfigError::new(format!("{fault}: change one of them.")));
    }
    Ok(settings)
}

/// The settings after a dynamic change. Identity, listeners and directories stay: they need a restart.
pub(super) fn dynamic(old: &Settings, values: &Values) -> Result<Settings, ConfigError> {
    let read = Read(values);
    let resolved = listeners::Resolved {
        listeners: old.network.listeners.clone(),
        advertised: old.network.advertised.clone(),
        by_connection: old.network.advertised_by_connection.clone(),
        controller_listeners: old.network.controller_listeners.clone(),
        controller_protocol: old.network.controller_protocol.clone(),
        inter_broker: old.network.inter_broker_listener.clone(),
    };
    let settings = Settings {
        node_id: old.node_id,
        roles: old.roles,
        cluster_id: old.cluster_id.clone(),
        rack: old.rack.clone(),
        network: network(&read, resolved, old.is_solo())?,
        peers: peers(&read),
        log: Log { dirs: old.log.dirs.clone(), ..log(&read)? },
        topics: topics(&read),
        fetch: fetch(&read),
        replication: replication(&read),
        membership: membership(&read),
        groups: groups::settings(&read)?,
        transactions: transactions(&read),
        share_state: share_state::settings(&read)?,
        authorization: old.authorization.clone(),
        tokens: tokens(&read),
        quotas: quotas(&read),
        copies: copies(&read),
        quorum: old.quorum.clone(),
    };
    across(&read, &settings)?;
    Ok(settings)
}

/// Typed reading. The values were checked key by key before, so a missing or odd one is its default.
pub(super) struct Read<'a>(&'a Values);

impl Read<'_> {
    pub(super) fn value(&self, name: &str) -> Option<Value> {
        debug_assert!(super::broker_keys::find(name).is_some(), "no key {name}");
        value_of(self.0, name)
    }

    pub(super) fn long(&self, name: &str) -> i64 {
        self.value(name).map_or(0, |value| value.number())
    }

    pub(super) fn optional_long(&self, name: &str) -> Option<i64> {
        self.value(name).map(|value| value.number())
    }

    pub(super) fn int(&self, name: &str) -> i32 {
        i32::try_from(self.long(name)).unwrap_or_default()
    }

    /// Replicas of an internal topic, or how many of them must be in sync. Unless it is set, one for a node alone, where
    /// Kafka's defaults (3 and 2) need brokers that there are not: Kafka's own examples of such nodes set 1.
    pub(super) fn replicas(&self, name: &str) -> i16 {
        let alone = self.list("controller.quorum.voters").iter().filter(|voter| !voter.is_empty()).count() <= 1;
        if alone && !self.0.contains_key(name) { 1 } else { self.short(name) }
    }

    pub(super) fn short(&self, name: &str) -> i16 {
        i16::try_from(self.long(name)).unwrap_or(i16::MAX)
    }

    /// The compression of an internal topic, by the number that a batch carries (`CompressionType`).
    pub(super) fn compression(&self, name: &str) -> Result<i8, ConfigError> {
        let codec = self.long(name);
        i8::try_from(codec).ok().filter(|codec| (0..=4).contains(codec)).ok_or_else(|| {
            let kinds = "write 0 (none), 1 (gzip), 2 (snappy), 3 (lz4) or 4 (zstd).";
            ConfigError::new(format!("{name} is {codec}: {kinds}"))
        })
    }

    /// A size or a count; negative counts as 0.
    pub(super) fn size(&self, name: &str) -> usize {
        usize::try_from(self.long(name)).unwrap_or_default()
    }

    /// A size where Kafka's negative value leaves it to the system.
    pub(super) fn size_or_system(&self, name: &str) -> Option<usize> {
        usize::try_from(self.long(name)).ok()
    }

    pub(super) fn ms(&self, name: &str) -> Duration {
        Duration::from_millis(u64::try_from(self.long(name)).unwrap_or_default())
    }

    /// An interval where the largest number means never.
    pub(super) fn ms_or_never(&self, name: &str) -> Option<Duration> {
        match self.long(name) {
            i64::MAX => None,
            ms => Some(Duration::from_millis(u64::try_from(ms).unwrap_or_default())),
        }
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| value.is_true())
    }

    pub(super) fn real(&self, name: &str) -> f64 {
        if let Some(Value::Double(value)) = self.value(name) { value } else { 0.0 }
    }

    pub(super) fn text(&self, name: &str) -> String {
        self.value(name).map(|value| value.to_string()).unwrap_or_default()
    }

    pub(super) fn optional_text(&self, name: &str) -> Option<String> {
        self.value(name).map(|value| value.to_string()).filter(|text| !text.is_empty())
    }

    pub(super) fn list(&self, name: &str) -> Vec<String> {
        self.value(name).map(|value| value.list().to_vec()).unwrap_or_default()
    }

    pub(super) fn optional_list(&self, name: &str) -> Option<Vec<String>> {
        self.value(name).map(|value| value.list().to_vec())
    }
}

fn roles(read: &Read<'_>) -> Roles {
    let names = read.list("process.roles");
    let has = |role: &str| names.iter().any(|name| name == role);
    Roles { broker: has("broker"), controller: has("controller") }
}

/// The one class that `authorizer.class.name` may name.
const STANDARD_AUTHORIZER: &str = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";

fn authorization(read: &Read<'_>) -> Result<Option<Authorization>, ConfigError> {
    let class = read.text("authorizer.class.name");
    let class = class.trim();
    if class.is_empty() {
        return Ok(None);
    }
    if class != STANDARD_AUTHORIZER {
        return Err(ConfigError::new(format!(
            "authorizer.class.name is {class:?}, and Klamm cannot load Java classes: set it to {STANDARD_AUTHORIZER}, \
             whose rules Klamm has itself, or remove it."
        )));
    }
    let mut super_users = Vec::new();
    for user in read.text("super.users").split(';').map(str::trim).filter(|user| !user.is_empty()) {
        match Principal::parse(user) {
            Some(principal) => super_users.push(principal),
            None => {
                return Err(ConfigError::new(format!(
                    "super.users has {user:?}: write TYPE:NAME, for example User:admin, and semicolons between them."
                )));
            }
        }
    }
    Ok(Some(Authorization { super_users, allow_if_no_acl: read.is_true("allow.everyone.if.no.acl.found") }))
}

fn windows(read: &Read<'_>, prefix: &str) -> Windows {
    Windows {
        count: u16::try_from(read.long(&format!("{prefix}quota.window.num"))).unwrap_or(u16::MAX).max(1),
        size: read.long(&format!("{prefix}quota.window.size.seconds")).saturating_mul(1000).max(1),
    }
}

fn quotas(read: &Read<'_>) -> Quotas {
    Quotas { clients: windows(read, ""), mutations: windows(read, "controller.") }
}

fn copies(read: &Read<'_>) -> CopyLimits {
    let limit = |rate: &str, prefix: &str| CopyLimit {
        bytes_per_second: read.optional_long(rate).unwrap_or(i64::MAX),
        windows: windows(read, prefix),
    };
    CopyLimits {
        leader: limit("leader.replication.throttled.rate", "replication."),
        follower: limit("follower.replication.throttled.rate", "replication."),
        moves: limit("replica.alter.log.dirs.io.max.bytes.per.second", "alter.log.dirs.replication."),
    }
}

fn tokens(read: &Read<'_>) -> Tokens {
    Tokens {
        secret: read.optional_text("delegation.token.secret.key").map(Into::into),
        lifetime_max_ms: read.long("delegation.token.max.lifetime.ms"),
        renewal_ms: read.long("delegation.token.expiry.time.ms"),
        check_interval: read.ms("delegation.token.expiry.check.interval.ms"),
    }
}

fn network(read: &Read<'_>, listeners: listeners::Resolved, alone: bool) -> Result<Network, ConfigError> {
    let request_bytes_max = read.size("socket.request.max.bytes");
    let request_bytes_in_flight_max = match read.long("queued.max.request.bytes") {
        given if given > 0 => usize::try_from(given).unwrap_or(usize::MAX),
        _ => REQUEST_BYTES_IN_FLIGHT.max(request_bytes_max.saturating_mul(2)),
    };
    if request_bytes_in_flight_max < request_bytes_max {
        return Err(ConfigError::new(
            "queued.max.request.bytes is less than socket.request.max.bytes, so the largest request would never be \
             read: raise the first or lower the second.",
        ));
    }
    let connections_per_ip_overrides = connections_per_ip(&read.text("max.connections.per.ip.overrides"))?;
    let connections_per_ip_max = read.size("max.connections.per.ip");
    if connections_per_ip_max == 0 && connections_per_ip_overrides.is_empty() {
        return Err(ConfigError::new(
            "max.connections.per.ip is 0, so nobody could connect: raise it, or name those who may in \
             max.connections.per.ip.overrides.",
        ));
    }
    let idle = read.long("connections.max.idle.ms");
    let per_listener = |setting: &str| {
        let of = |listener: &Listener| {
            let key = format!("listener.name.{}.{setting}", listener.name.as_str().to_lowercase());
            Some((listener.name.clone(), read.0.get(&key)?.trim().parse().ok()?))
        };
        listeners.listeners.iter().filter_map(of).collect()
    };
    let connections_per_listener = per_listener("max.connections");
    let connection_rates_per_listener = per_listener("max.connection.creation.rate");
    let all = listeners.listeners.iter().chain(&listeners.controller_listeners);
    let security: Vec<Security> = all.map(|listener| security::of(read.0, listener)).collect();
    security::between_brokers(read.0, &security, &listeners.inter_broker, alone)?;
    let brokers = listeners.listeners.iter().find(|listener| listener.name == listeners.inter_broker);
    let brokers = brokers.map(|at| security::towards(read.0, Whom::Brokers, &at.name, at.protocol));
    let controllers = listeners.controller_protocol.as_ref();
    let controllers = controllers.map(|(name, of)| security::towards(read.0, Whom::Controllers, name, *of));
    Ok(Network {
        listeners: listeners.listeners,
        advertised: listeners.advertised,
        advertised_by_connection: listeners.by_connection,
        published_port: u16::try_from(read.long("advertised.port")).ok().filter(|port| *port > 0),
        controller_listeners: listeners.controller_listeners,
        controller_protocol: listeners.controller_protocol,
        inter_broker_listener: listeners.inter_broker,
        security,
        towards_brokers: brokers,
        towards_controllers: controllers,
        admin: admin_listener(&read.text("admin.listener"))?,
        admin_by_default: !read.0.contains_key("admin.listener"),
        send_buffer_bytes: read.size_or_system("socket.send.buffer.bytes"),
        receive_buffer_bytes: read
            .size_or_system("socket.receive.buffer.bytes")
            .filter(|size| *size != RECEIVE_BUFFER_DEFAULT),
        listen_backlog: u32::try_from(read.long("socket.listen.backlog.size")).unwrap_or(u32::MAX),
        request_bytes_max,
        request_bytes_in_flight_max,
        connections_max: read.size("max.connections"),
        connections_per_ip_max,
        connections_per_ip_overrides,
        connections_per_listener,
        connection_rate_max: read.size("max.connection.creation.rate"),
        connection_rates_per_listener,
        idle_max: u64::try_from(idle).ok().map(Duration::from_millis),
        failed_login_delay: read.ms("connection.failed.authentication.delay.ms"),
        login_max: read.ms("connections.login.timeout.ms"),
        strangers_bytes_max: read.size("connections.login.max.bytes"),
        request_timeout: read.ms("request.timeout.ms"),
        partitions_per_request_max: read.size("max.request.partition.size.limit"),
    })
}

fn peers(read: &Read<'_>) -> Peers {
    Peers {
        setup_timeout: read.ms("socket.connection.setup.timeout.ms"),
        setup_timeout_max: read.ms("socket.connection.setup.timeout.max.ms"),
        response_bytes_max: read
            .size("replica.fetch.response.max.bytes")
            .saturating_add(read.size("socket.request.max.bytes")),
    }
}

/// `admin.listener`; `None`: turned off.
pub(super) fn admin_listener(text: &str) -> Result<Option<(String, u16)>, ConfigError> {
    if text.is_empty() {
        return Ok(None);
    }
    match listeners::host_and_port(text) {
        Some((host, port)) => Ok(Some((host.to_owned(), port))),
        None => Err(ConfigError::new(format!(
            "admin.listener is {text:?}: write HOST:PORT, for example 127.0.0.1:9644, or leave it empty to turn it off."
        ))),
    }
}

/// `host:count,...`. Hosts are addresses here: a name would have to be looked up for each connection.
fn connections_per_ip(text: &str) -> Result<Vec<(IpAddr, usize)>, ConfigError> {
    let mut overrides = Vec::new();
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let parsed = item.rsplit_once(':').and_then(|(host, count)| {
            let host = host.trim().trim_start_matches('[').trim_end_matches(']');
            let host = if host.eq_ignore_ascii_case("localhost") { "127.0.0.1" } else { host };
            Some((host.parse().ok()?, count.trim().parse().ok()?))
        });
        match parsed {
            Some(entry) => overrides.push(entry),
            None => {
                return Err(ConfigError::new(format!(
                    "max.connections.per.ip.overrides has {item:?}: write ADDRESS:COUNT, for example 10.0.0.7:100."
                )));
            }
        }
    }
    Ok(overrides)
}

fn log(read: &Read<'_>) -> Result<Log, ConfigError> {
    let dirs = read.optional_list("log.dirs").unwrap_or_else(|| read.list("log.dir"));
    let move_threads = read.optional_long("num.replica.alter.log.dirs.threads");
    Ok(Log {
        move_threads: move_threads.and_then(|given| usize::try_from(given).ok()).unwrap_or(dirs.len()).max(1),
        dirs: dirs.into_iter().map(PathBuf::from).collect(),
        retention_check_interval: read.ms("log.retention.check.interval.ms"),
        flush_check_interval: read.ms_or_never("log.flush.scheduler.interval.ms"),
        recovery_point_checkpoint_interval: read.ms("log.flush.offset.checkpoint.interval.ms"),
        log_start_checkpoint_interval: read.ms("log.flush.start.offset.checkpoint.interval.ms"),
        recovery_threads_per_dir: read.size("num.recovery.threads.per.data.dir").max(1),
        initial_task_delay: read.ms("log.initial.task.delay.ms"),
        cleaner: Cleaner {
            enable: read.is_true("log.cleaner.enable"),
            threads: read.size("log.cleaner.threads"),
            dedupe_buffer_bytes: read.size("log.cleaner.dedupe.buffer.size"),
            dedupe_buffer_load: read.real("log.cleaner.io.buffer.load.factor"),
            io_buffer_bytes: read.size("log.cleaner.io.buffer.size"),
            io_bytes_per_second_max: read.real("log.cleaner.io.max.bytes.per.second"),
            backoff: read.ms("log.cleaner.backoff.ms"),
        },
    })
}

fn topics(read: &Read<'_>) -> Topics {
    Topics {
        num_partitions: read.int("num.partitions"),
        default_replication_factor: read.short("default.replication.factor"),
        auto_create: read.is_true("auto.create.topics.enable"),
        delete_enable: read.is_true("delete.topic.enable"),
    }
}

fn fetch(read: &Read<'_>) -> Fetch {
    Fetch {
        response_bytes_max: read.size("fetch.max.bytes"),
        sessions_max: read.size("max.incremental.fetch.session.cache.slots"),
        rack_aware: read.text("replica.selector.class").ends_with(".RackAwareReplicaSelector"),
    }
}

fn replication(read: &Read<'_>) -> Replication {
    Replication {
        lag_max: read.ms("replica.lag.time.max.ms"),
        fetch_bytes_max: read.size("replica.fetch.max.bytes"),
        fetch_response_bytes_max: read.size("replica.fetch.response.max.bytes"),
        fetch_min_bytes: read.size("replica.fetch.min.bytes"),
        fetch_wait_max: read.ms("replica.fetch.wait.max.ms"),
        fetch_backoff: read.ms("replica.fetch.backoff.ms"),
        fetchers: read.size("num.replica.fetchers"),
        socket_timeout: read.ms("replica.socket.timeout.ms"),
        high_watermark_checkpoint_interval: read.ms("replica.high.watermark.checkpoint.interval.ms"),
    }
}

fn membership(read: &Read<'_>) -> Membership {
    let balance = u64::try_from(read.long("leader.imbalance.check.interval.seconds")).unwrap_or_default();
    Membership {
        heartbeat_interval: read.ms("broker.heartbeat.interval.ms"),
        session_timeout: read.ms("broker.session.timeout.ms"),
        registration_timeout: read.ms("initial.broker.registration.timeout.ms"),
        controlled_shutdown: read.is_true("controlled.shutdown.enable"),
        balance_interval: read.is_true("auto.leader.rebalance.enable").then(|| Duration::from_secs(balance.max(1))),
        unclean_election_interval: read.ms("unclean.leader.election.interval.ms").max(Duration::from_millis(1)),
    }
}

fn transactions(read: &Read<'_>) -> Transactions {
    Transactions {
        log_partitions: read.int("transaction.state.log.num.partitions"),
        log_replication_factor: read.replicas("transaction.state.log.replication.factor"),
        log_min_isr: i32::from(read.replicas("transaction.state.log.min.isr")),
        log_segment_bytes: read.int("transaction.state.log.segment.bytes"),
        log_load_bytes: read.size("transaction.state.log.load.buffer.size"),
        timeout_max: read.ms("transaction.max.timeout.ms"),
        timeout_check_interval: read.ms("transaction.abort.timed.out.transaction.cleanup.interval.ms"),
        id_expiration: read.ms("transactional.id.expiration.ms"),
        id_expiration_check_interval: read.ms("transaction.remove.expired.transaction.cleanup.interval.ms"),
        producer_id_expiration: read.ms("producer.id.expiration.ms"),
        producer_id_expiration_check_interval: read.ms("producer.id.expiration.check.interval.ms"),
        verify_partitions: read.is_true("transaction.partition.verification.enable"),
        settle_wait: read.ms("add.partitions.to.txn.retry.backoff.max.ms"),
    }
}

/// What nodes of a cluster need among themselves beyond what one alone needs.
fn between_nodes(read: &Read<'_>, settings: &Settings) -> Result<(), ConfigError> {
    if settings.is_solo() {
        return Ok(());
    }
    let named = |name: &str| read.0.contains_key(name);
    if named("inter.broker.listener.name") && named("security.inter.broker.protocol") {
        return Err(ConfigError::new(
            "Only one of inter.broker.listener.name and security.inter.broker.protocol should be set: remove the second.",
        ));
    }
    let towards = settings.network.towards_controllers.as_ref();
    towards.map_or(Ok(()), |towards| security::between_controllers(towards, settings.quorum.voters.len()))
}

/// What Kafka checks across keys (`KafkaConfig.validateValues`).
fn across(read: &Read<'_>, settings: &Settings) -> Result<(), ConfigError> {
    let cleaner = &settings.log.cleaner;
    let replication = &settings.replication;
    let retention = ["log.retention.ms", "log.retention.minutes", "log.retention.hours"]
        .into_iter()
        .find_map(|name| read.optional_long(name));
    let lag = |which: &str| read.long(&format!("log.cleaner.{which}.compaction.lag.ms"));
    let checks: [(bool, &str, &str); 8] = [
        (
            !settings.log.dirs.is_empty(),
            "log.dirs is empty: name at least one directory.",
            "At least one log directory must be defined via log.dirs or log.dir.",
        ),
        (
            read.optional_long("log.roll.ms").is_none_or(|ms| ms >= 1),
            "log.roll.ms must be 1 or more: raise it.",
            "log.roll.ms must be greater than or equal to 1",
        ),
        (
            read.optional_long("log.roll.jitter.ms").is_none_or(|ms| ms >= 0),
            "log.roll.jitter.ms must be 0 or more: raise it.",
            "log.roll.jitter.ms must be greater than or equal to 0",
        ),
        (
            retention != Some(0),
            "log.retention.ms must be 1 or more, or -1 to keep records for ever: change it.",
            "log.retention.ms must be unlimited (-1) or, greater than or equal to 1",
        ),
        (
            lag("min") <= lag("max"),
            "log.cleaner.min.compaction.lag.ms is more than log.cleaner.max.compaction.lag.ms: swap them.",
            "log.cleaner.min.compaction.lag.ms must not be more than log.cleaner.max.compaction.lag.ms",
        ),
        (
            cleaner.dedupe_buffer_bytes / cleaner.threads.max(1) > 1024 * 1024,
            "log.cleaner.dedupe.buffer.size must be more than 1 MiB for each of log.cleaner.threads: raise it.",
            "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.",
        ),
        (
            replication.fetch_wait_max <= replication.socket_timeout,
            "replica.fetch.wait.max.ms is more than replica.socket.timeout.ms: lower the first.",
            "replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms to prevent unnecessary \
             socket timeouts",
        ),
        (
            replication.fetch_wait_max <= replication.lag_max,
            "replica.fetch.wait.max.ms is more than replica.lag.time.max.ms: lower the first.",
            "replica.fetch.wait.max.ms should always be less than or equal to replica.lag.time.max.ms to prevent \
             frequent changes in ISR",
        ),
    ];
    match checks.iter().find(|(holds, ..)| !holds) {
        Some((_, sentence, words)) => Err(ConfigError::new(*sentence).with_kafkas_words(words)),
        None => Ok(()),
    }
}
