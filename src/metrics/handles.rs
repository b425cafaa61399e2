//! What the hot path holds: plain atomics, obtained once and then only counted up.

use super::histogram::Histogram;
use crate::model::ErrorCode;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Counts up.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    pub fn inc(&self) {
        self.add(1);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Goes up and down.
#[derive(Debug, Default)]
pub struct Level(AtomicI64);

impl Level {
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Relaxed);
    }

    pub fn inc(&self) {
        self.add(1);
    }

    pub fn dec(&self) {
        self.add(-1);
    }

    pub fn set(&self, n: i64) {
        self.0.store(n, Relaxed);
    }

    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// Error codes run from -1 to 133 in Kafka 4.3; anything outside is counted as UNKNOWN_SERVER_ERROR.
const CODES: usize = 135;

/// One API of the broker.
#[derive(Debug)]
pub struct ApiMetrics {
    pub(super) name: &'static str,
    pub requests: Count,
    pub request_bytes: Count,
    pub response_bytes: Count,
    /// From the last byte of the request to the answer handed to the socket.
    pub latency: Histogram,
    errors: Box<[AtomicU64; CODES]>,
}

impl ApiMetrics {
    pub(super) fn new(name: &'static str) -> ApiMetrics {
        ApiMetrics {
            name,
            requests: Count::default(),
            request_bytes: Count::default(),
            response_bytes: Count::default(),
            latency: Histogram::default(),
            errors: Box::new(std::array::from_fn(|_| AtomicU64::new(0))),
        }
    }

    /// A request of `bytes` arrived in full.
    pub fn request(&self, bytes: usize) {
        self.requests.inc();
        self.request_bytes.add(bytes as u64);
    }

    /// Its answer of `bytes` left, `took` after the request had arrived. With acks=0 there are no bytes.
    pub fn answered(&self, took: Duration, bytes: usize) {
        self.latency.observe(took);
        self.response_bytes.add(bytes as u64);
    }

    /// The answer carries this error (once per distinct error and resource, as Kafka's ErrorsPerSec counts).
    /// `NONE` counts nothing.
    pub fn error(&self, code: ErrorCode) {
        if code != ErrorCode::NONE {
            let slot = usize::try_from(i32::from(code.0) + 1).unwrap_or(0);
            self.errors[if slot < CODES { slot } else { 0 }].fetch_add(1, Relaxed);
        }
    }

    /// The codes that were counted, with how often.
    pub fn errors(&self) -> impl Iterator<Item = (ErrorCode, u64)> {
        (-1i16..).zip(self.errors.iter()).filter_map(|(code, count)| {
            let count = count.load(Relaxed);
            (count > 0).then_some((ErrorCode(code), count))
        })
    }
}

/// One topic, over all its partitions on this broker. Held by each partition.
#[derive(Debug, Default)]
pub struct TopicMetrics {
    pub bytes_in: Count,
    pub records_in: Count,
    pub bytes_out: Count,
    /// Records that left in answers to Fetch, counted by their offsets, since nobody reads them: gaps that compaction left
    /// and markers count, too.
    pub records_out: Count,
    pub produce_requests: Count,
    pub fetch_requests: Count,
    pub failed_produce_requests: Count,
    pub failed_fetch_requests: Count,
}

/// One listener.
#[derive(Debug, Default)]
pub struct ListenerMetrics {
    /// Open now.
    pub connections: Level,
    pub accepted: Count,
}

/// Why a connection was closed before it was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// `max.connections`
    MaxConnections,
    /// `max.connections.per.ip` or its overrides
    MaxConnectionsPerIp,
    /// A frame whose length is negative or above `socket.request.max.bytes`.
    BadFrame,
    /// A request header or body that cannot be what it says.
    BadRequest,
    /// `connections.max.idle.ms`
    Idle,
    /// An error of the socket itself at accept.
    Accept,
    /// A TLS handshake that failed.
    Tls,
    /// A login that failed, or a request before it.
    Login,
    /// `connections.login.timeout.ms`
    LoginTimeout,
    /// `connections.login.max.bytes`
    LoginBytes,
}

impl Rejection {
    pub(super) const ALL: [Rejection; 10] = [
        Rejection::MaxConnections,
        Rejection::MaxConnectionsPerIp,
        Rejection::BadFrame,
        Rejection::BadRequest,
        Rejection::Idle,
        Rejection::Accept,
        Rejection::Tls,
        Rejection::Login,
        Rejection::LoginTimeout,
        Rejection::LoginBytes,
    ];

    pub(super) fn label(self) -> &'static str {
        match self {
            Rejection::MaxConnections => "max_connections",
            Rejection::MaxConnectionsPerIp => "max_connections_per_ip",
            Rejection::BadFrame => "bad_frame",
            Rejection::BadRequest => "bad_request",
            Rejection::Idle => "idle",
            Rejection::Accept => "accept",
            Rejection::Tls => "tls",
            Rejection::Login => "login",
            Rejection::LoginTimeout => "login_timeout",
            Rejection::LoginBytes => "login_bytes",
        }
    }
}

/// Why a client was told to wait: the kind of quota that it exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Throttled {
    Produce,
    Fetch,
    Request,
    ControllerMutation,
    /// `max.connection.creation.rate`, of the broker or of a listener.
    Connections,
    /// `connection_creation_rate` of an address.
    Address,
}

impl Throttled {
    pub(super) const ALL: [Throttled; 6] = [
        Throttled::Produce,
        Throttled::Fetch,
        Throttled::Request,
        Throttled::ControllerMutation,
        Throttled::Connections,
        Throttled::Address,
    ];

    pub(super) fn label(self) -> &'static str {
        match self {
            Throttled::Produce => "produce",
            Throttled::Fetch => "fetch",
            Throttled::Request => "request",
            Throttled::ControllerMutation => "controller_mutation",
            Throttled::Connections => "connections",
            Throttled::Address => "address",
        }
    }
}

/// How often one kind of quota was exceeded, and for how long clients were told to wait.
#[derive(Debug, Default)]
pub struct ThrottleMetrics {
    pub times: Count,
    pub milliseconds: Count,
}

/// Flushes of logs to disk.
#[derive(Debug, Default)]
pub struct FlushMetrics {
    /// How long each flush took; its count is the number of flushes.
    pub latency: Histogram,
    /// Partitions that were served by those flushes (group commit: more than flushes).
    pub partitions: Count,
    pub failed: Count,
}

/// Compaction (`LogCleaner`, `LogCleanerManager`).
#[derive(Debug, Default)]
pub struct CleanerMetrics {
    /// How long each cleaning of a log took; its count is the number of cleanings.
    pub duration: Histogram,
    pub read_bytes: Count,
    pub written_bytes: Count,
    /// Records that were not copied.
    pub dropped_records: Count,
    /// Share of the dirtiest log that is new.
    pub max_dirty_percent: Level,
    /// How long `max.compaction.lag.ms` has been exceeded, at most.
    pub max_delay_seconds: Level,
    /// How full the memory for keys was the last time.
    pub buffer_percent: Level,
    /// Left out since a cleaning of them failed.
    pub uncleanable_partitions: Level,
    /// When a thread last looked for something to clean, in seconds since the epoch.
    pub last_run: Level,
}

/// The coordinators of one kind: a runtime's (`CoordinatorRuntimeMetrics`, `TransactionStateManager`).
#[derive(Debug, Default)]
pub struct CoordinatorMetrics {
    /// How long it took to load each partition; its count is the number of loads.
    pub load: Histogram,
    /// Loads that failed. Each is tried again.
    pub failed_loads: Count,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_by_code_and_none_is_not_an_error() {
        let api = ApiMetrics::new("Produce");
        api.error(ErrorCode::NONE);
        api.error(ErrorCode::CORRUPT_MESSAGE);
        api.error(ErrorCode::CORRUPT_MESSAGE);
        api.error(ErrorCode::UNKNOWN_SERVER_ERROR);
        api.error(ErrorCode::SHARE_SESSION_LIMIT_REACHED);
        let counted: Vec<_> = api.errors().collect();
        assert_eq!(
            counted,
            [
                (ErrorCode::UNKNOWN_SERVER_ERROR, 1),
                (ErrorCode::CORRUPT_MESSAGE, 2),
                (ErrorCode::SHARE_SESSION_LIMIT_REACHED, 1)
            ]
        );
    }

    #[test]
    fn a_code_that_kafka_does_not_have_is_counted_as_an_unknown_server_error() {
        let api = ApiMetrics::new("Produce");
        api.error(ErrorCode(500));
        api.error(ErrorCode(-7));
        assert_eq!(api.errors().collect::<Vec<_>>(), [(ErrorCode::UNKNOWN_SERVER_ERROR, 2)]);
    }
}
