//! `controller.quorum.*`: who votes on the metadata, and what each role needs of it
//! (`KafkaConfig.validateValues`).

use super::ConfigError;
use super::build::Read;
use super::listeners::host_and_port;
use super::settings::{Quorum, Roles};
use crate::model::NodeId;
use std::path::PathBuf;

/// The settings of the quorum, checked against the roles of this node.
pub(super) fn settings(read: &Read<'_>, node_id: NodeId, roles: Roles) -> Result<Quorum, ConfigError> {
    let voters = voters(read)?;
    let bootstrap = bootstrap(read)?;
    let listed = voters.iter().any(|(id, ..)| *id == node_id);
    if roles.controller && !voters.is_empty() && !listed {
        let named: Vec<String> = voters.iter().map(|(id, ..)| id.0.to_string()).collect();
        return Err(ConfigError::new(format!(
            "controller.quorum.voters names {}, but this is the controller {}: make node.id and the voter's number \
             the same.",
            named.join(", "),
            node_id.0
        )));
    }
    if !roles.controller && listed {
        return Err(ConfigError::new(format!(
            "process.roles is broker, and controller.quorum.voters names this node ({}): add controller to \
             process.roles, or give the broker a number of its own.",
            node_id.0
        )));
    }
    if !roles.controller && voters.is_empty() && bootstrap.is_empty() {
        return Err(ConfigError::new(
            "process.roles is broker, and no setting says where the controllers are: set controller.quorum.voters to \
             ID@HOST:PORT of each, or set process.roles=broker,controller.",
        ));
    }
    if roles.controller && voters.is_empty() && bootstrap.len() > 1 {
        return Err(ConfigError::new(format!(
            "controller.quorum.bootstrap.servers names {} addresses, and controllers that find each other by it are \
             not supported yet: name them in controller.quorum.voters as ID@HOST:PORT.",
            bootstrap.len()
        )));
    }
    let several = voters.iter().any(|(id, ..)| *id != node_id) || !roles.controller;
    if several && read.list("controller.listener.names").iter().all(String::is_empty) {
        return Err(ConfigError::new(
            "controller.listener.names is empty, so controllers cannot be reached: name the listener they use, for \
             example controller.listener.names=CONTROLLER.",
        ));
    }
    Ok(Quorum {
        voters,
        bootstrap,
        fetch_timeout: read.ms("controller.quorum.fetch.timeout.ms"),
        request_timeout: read.ms("controller.quorum.request.timeout.ms"),
        retry_backoff: read.ms("controller.quorum.retry.backoff.ms"),
        fetch_bytes_max: read.size("controller.quorum.fetch.max.bytes"),
        fetch_snapshot_bytes_max: read.size("controller.quorum.fetch.snapshot.max.bytes"),
        metadata_dir: read.optional_text("metadata.log.dir").map(PathBuf::from),
        snapshot_after_bytes: u64::try_from(read.long("metadata.log.max.record.bytes.between.snapshots"))
            .unwrap_or_default(),
        snapshot_after: read.ms("metadata.log.max.snapshot.interval.ms"),
    })
}

fn voters(read: &Read<'_>) -> Result<Vec<(NodeId, String, u16)>, ConfigError> {
    let mut voters: Vec<(NodeId, String, u16)> = Vec::new();
    for item in read.list("controller.quorum.voters").iter().filter(|item| !item.is_empty()) {
        let parsed = item.split_once('@').and_then(|(id, address)| {
            let (host, port) = host_and_port(address)?;
            let id = id.trim().parse().ok().filter(|id| *id >= 0)?;
            (!host.is_empty()).then(|| (NodeId(id), host.to_owned(), port))
        });
        let Some(voter) = parsed else {
            return Err(ConfigError::new(format!(
                "controller.quorum.voters has {item:?}: write ID@HOST:PORT, for example 1@localhost:9093."
            )));
        };
        if voters.iter().any(|(id, ..)| *id == voter.0) {
            return Err(ConfigError::new(format!(
                "controller.quorum.voters names node {} twice: give every controller its own number.",
                voter.0.0
            )));
        }
        voters.push(voter);
    }
    Ok(voters)
}

fn bootstrap(read: &Read<'_>) -> Result<Vec<(String, u16)>, ConfigError> {
    let mut servers = Vec::new();
    for item in read.list("controller.quorum.bootstrap.servers").iter().filter(|item| !item.is_empty()) {
        let Some((host, port)) = host_and_port(item).filter(|(host, _)| !host.is_empty()) else {
            return Err(ConfigError::new(format!(
                "controller.quorum.bootstrap.servers has {item:?}: write HOST:PORT, for example localhost:9093."
            )));
        };
        servers.push((host.to_owned(), port));
    }
    Ok(servers)
}
