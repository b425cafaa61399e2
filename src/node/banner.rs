//! What the process says when it serves.

use super::Node;
use crate::config::Settings;
use crate::metadata::Endpoint;
use crate::model::NodeId;

/// What a person sees at the start: where it listens, what it tells clients, where the data is, what to try.
pub(super) fn banner(settings: &Settings, node: &Node, ephemeral: bool) -> String {
    let bound = node.addresses().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let image = node.ctx.metadata.load();
    let endpoints = image.brokers.get(&settings.node_id).map_or(&[][..], |broker| &broker.endpoints[..]);
    let by_connection = |name: &str| settings.network.advertised_by_connection.iter().any(|at| at.as_str() == name);
    let shown = |at: &Endpoint| match by_connection(&at.name) {
        true => format!("{}: to each client the address that it reached", at.name),
        false => format!("{}://{}:{}", at.name, at.host, at.port),
    };
    let advertised = endpoints.iter().map(shown).collect::<Vec<_>>();
    let dirs = settings.log.dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", ");
    let kept = if ephemeral { " (removed when it stops)" } else { "" };
    let admin = node
        .admin
        .as_ref()
        .map_or(String::new(), |admin| format!("\n  metrics      http://{}/metrics", admin.address()));
    let first = endpoints.first().map_or(String::new(), |at| match by_connection(&at.name) {
        true => format!("localhost:{}", at.port),
        false => format!("{}:{}", at.host, at.port),
    });
    format!(
        "klamm {} speaks Kafka 4.3 (node {}, cluster {})\n  listening    {bound}\n  advertised   {}\n  data         \
         {dirs}{kept}{admin}\n  try          echo hello | kcat -b {first} -P -t greetings",
        env!("CARGO_PKG_VERSION"),
        settings.node_id.0,
        node.ctx.cluster_id,
        advertised.join(", "),
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
