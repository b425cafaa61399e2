//! Broker keys: Listeners and connections.

use super::broker_keys::reasons::POOLS;
use super::key::{Check, Key};
use super::value::Type::{Int, List, Long, String};

pub(super) const KEYS: &[Key] = &[
    Key::new("listeners", List, Some("PLAINTEXT://localhost:9092"), "Where to listen: NAME://HOST:PORT, separated by commas. An empty host means every interface, port 0 any free port.")
        .check(Check::Distinct { may_be_empty: false })
        .per_broker(),
    Key::new("advertised.listeners", List, None, "The addresses that clients are told to use, by listener name; the listeners themselves unless set.")
        .check(Check::Distinct { may_be_empty: false }),
    Key::new("listener.security.protocol.map", String, Some("PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL"), "The security protocol of each listener name: NAME:PROTOCOL, separated by commas.")
        .per_broker(),
    Key::new("socket.send.buffer.bytes", Int, Some("102400"), "Size of a connection's send buffer; -1 leaves it to the system."),
    Key::new("socket.receive.buffer.bytes", Int, Some("102400"), "Size of a connection's receive buffer; -1, and the default, leave it to the system, which lets it grow."),
    Key::new("socket.request.max.bytes", Int, Some("104857600"), "Largest request; a connection that announces more is closed.")
        .check(Check::AtLeast(1)),
    Key::new("socket.listen.backlog.size", Int, Some("50"), "How many connections may wait to be accepted.")
        .check(Check::AtLeast(1)),
    Key::new("max.connections.per.ip", Int, Some("2147483647"), "Most connections from one address; 0 refuses all but those with an override.")
        .check(Check::AtLeast(0))
        .cluster_wide(),
    Key::new("max.connections.per.ip.overrides", String, Some(""), "Limits for single addresses: host:count, separated by commas.")
        .cluster_wide(),
    Key::new("max.connections", Int, Some("2147483647"), "Most connections in all; may be set per listener with its prefix.")
        .check(Check::AtLeast(0))
        .cluster_wide(),
    Key::new("max.connection.creation.rate", Int, Some("2147483647"), "Most new connections a second; may be set per listener with its prefix.")
        .check(Check::AtLeast(0))
        .cluster_wide(),
    Key::new("connections.max.idle.ms", Long, Some("600000"), "A connection that is silent for this long is closed; negative: never."),
    Key::new("connection.failed.authentication.delay.ms", Int, Some("100"), "How long the answer to a failed login is held back.")
        .check(Check::AtLeast(0)),
    Key::new("queued.max.requests", Int, Some("500"), "Most requests that wait for a thread.")
        .check(Check::AtLeast(1))
        .no_effect("Requests in flight are bounded in bytes, by queued.max.request.bytes."),
    Key::new("queued.max.request.bytes", Long, Some("-1"), "Most bytes of requests in flight; more are not read from sockets. -1: 256 MiB, or twice socket.request.max.bytes if that is more."),
    Key::new("num.network.threads", Int, Some("3"), "Threads that read from and write to sockets.")
        .check(Check::AtLeast(1))
        .cluster_wide()
        .no_effect(POOLS),
];
