//! What the process says when it serves.

use super::{Node, open};
use crate::config::Settings;
use crate::controller::RegisteredListener;
use crate::model::NodeId;
use std::net::SocketAddr;

/// What a person sees at the start: where it listens, what it tells clients, where the data is, what to try.
pub(super) fn banner(settings: &Settings, node: &Node, ephemeral: bool) -> String {
    let bound = |addresses: &[SocketAddr], label: &str| {
        let addresses = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        if addresses.is_empty() { addresses } else { format!("\n  {label:12} {addresses}") }
    };
    let (clients, controllers) =
        (bound(node.addresses(), "listening"), bound(&node.controller_addresses, "controllers"));
    // What is registered, or will be: the controller may not have answered yet. None on a node without a broker.
    let endpoints = open::listeners(settings, node.addresses());
    let by_connection = |name: &str| settings.network.advertised_by_connection.iter().any(|at| at.as_str() == name);
    let shown = |at: &RegisteredListener| match by_connection(&at.name) {
        true => format!("{}: to each client the address that it reached", at.name),
        false => format!("{}://{}:{}", at.name, at.host, at.port),
    };
    let advertised = endpoints.iter().map(shown).collect::<Vec<_>>().join(", ");
    let advertised = if endpoints.is_empty() { String::new() } else { format!("\n  advertised   {advertised}") };
    let dirs = settings.log.dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", ");
    let kept = if ephemeral { " (removed when it stops)" } else { "" };
    let admin = node
        .admin
        .as_ref()
        .map_or(String::new(), |admin| format!("\n  metrics      http://{}/metrics", admin.address()));
    let to_try = endpoints.first().map_or(String::new(), |at| {
        let host = if by_connection(&at.name) { "localhost" } else { at.host.as_str() };
        format!("\n  try          echo hello | kcat -b {host}:{} -P -t greetings", at.port)
    });
    format!(
        "klamm {} speaks Kafka 4.3 (node {}, cluster {}){clients}{advertised}{controllers}\n  data         \
         {dirs}{kept}{admin}{to_try}",
        env!("CARGO_PKG_VERSION"),
        settings.node_id.0,
        node.ctx.cluster_id,
    )
}

/// What Testcontainers' modules and people's scripts wait for in Kafka's log.
pub(super) fn ready_lines(node: NodeId) -> String {
    let id = node.0;
    format!(
        "[BrokerLifecycleManager id={id}] The broker has been unfenced. Transitioning from RECOVERY to RUNNING.\n\
         [KafkaServer id={id}] started\n[KafkaRaftServer nodeId={id}] Kafka Server started"
    )
}
