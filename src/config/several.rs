//! `--brokers N`: the settings of the nodes of a cluster in one process, each made of what one node was given.
//!
//! Every node is broker and controller. The first is where the settings say; each of the others has the ports after those of
//! the one before it, and the controllers have the ports after all of these, on this machine alone.

use super::broker::Values;
use super::listeners::host_and_port;
use super::{ConfigError, broker_keys, value};

/// The name of the listeners between the nodes' controllers.
const CONTROLLER: &str = "CONTROLLER";

/// How many there may be: fewer than three are no cluster that outlives one of them.
pub(super) const COUNTS: std::ops::RangeInclusive<u16> = 3..=9;

/// What `--brokers` decides itself.
const DECIDED: [&str; 4] =
    ["process.roles", "controller.quorum.voters", "controller.quorum.bootstrap.servers", "controller.listener.names"];

fn fault(what: impl std::fmt::Display) -> ConfigError {
    ConfigError::new(format!("--brokers {what}."))
}

/// The values of each of `count` nodes.
pub(super) fn nodes(given: &Values, count: u16) -> Result<Vec<Values>, ConfigError> {
    if !COUNTS.contains(&count) {
        return Err(fault(format_args!(
            "{count} is no cluster that goes on when a node is gone: write a number from {} to {}",
            COUNTS.start(),
            COUNTS.end()
        )));
    }
    if let Some(name) = DECIDED.iter().find(|name| given.contains_key(**name)) {
        return Err(fault(format_args!("decides on {name} itself: remove the setting")));
    }
    let listeners = list(given, "listeners");
    let each = u16::try_from(listeners.len()).map_err(|_| fault("with so many listeners has no ports left"))?;
    let first: i32 = text(given, "node.id").trim().parse().map_err(|_| fault("needs a node.id that is a number"))?;
    let highest = listeners.iter().filter_map(|item| address(item)).map(|(.., port)| port).max().unwrap_or(0);
    let no_port = || fault("runs out of ports: choose lower ones in --listen HOST:PORT");
    let shift = |port: u16, by: u16| port.checked_add(by).ok_or_else(no_port);
    // Behind the last of the last node's.
    let controllers = shift(highest, each.checked_mul(count - 1).ok_or_else(no_port)?)?;
    let controller = |node: u16| shift(controllers, node + 1);
    let mut voters = Vec::new();
    for node in 0..count {
        voters.push(format!("{}@127.0.0.1:{}", first + i32::from(node), controller(node)?));
    }

    let moved = |items: Vec<String>, node: u16| -> Result<Vec<String>, ConfigError> {
        let item = |item: &String| {
            let (name, host, port) = address(item).filter(|(.., port)| *port > 0).ok_or_else(|| {
                fault(format_args!(
                    "cannot tell the nodes' ports from {item}: write a port that is not 0 in --listen HOST:PORT"
                ))
            })?;
            let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
            Ok(format!("{name}://{host}:{}", shift(port, each * node)?))
        };
        items.iter().map(item).collect()
    };
    let of_node = |node: u16| -> Result<Values, ConfigError> {
        let id = first + i32::from(node);
        let mut values = given.clone();
        let mut set = |name: &str, value: String| values.insert(name.to_owned(), value);
        let mut own = moved(listeners.clone(), node)?;
        own.push(format!("{CONTROLLER}://127.0.0.1:{}", controller(node)?));
        set("node.id", id.to_string());
        set("process.roles", "broker,controller".to_owned());
        set("controller.listener.names", CONTROLLER.to_owned());
        set("controller.quorum.voters", voters.join(","));
        set("listeners", own.join(","));
        if given.contains_key("advertised.listeners") {
            set("advertised.listeners", moved(list(given, "advertised.listeners"), node)?.join(","));
        }
        if let Some(protocols) = given.get("listener.security.protocol.map") {
            set("listener.security.protocol.map", format!("{protocols},{CONTROLLER}:PLAINTEXT"));
        }
        if let Some((host, port)) = host_and_port(text(given, "admin.listener")).filter(|(_, port)| *port > 0) {
            let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
            set("admin.listener", format!("{host}:{}", shift(port, node)?));
        }
        let dirs = if given.contains_key("log.dirs") { "log.dirs" } else { "log.dir" };
        let within = |dir: &String| format!("{dir}/node-{id}");
        set(dirs, list(given, dirs).iter().map(within).collect::<Vec<_>>().join(","));
        if let Some(dir) = given.get("metadata.log.dir") {
            set("metadata.log.dir", within(dir));
        }
        Ok(values)
    };
    (0..count).map(of_node).collect()
}

fn text<'a>(given: &'a Values, name: &str) -> &'a str {
    let default = || broker_keys::find(name).and_then(|key| key.default).unwrap_or_default();
    given.get(name).map_or_else(default, String::as_str)
}

fn list(given: &Values, name: &str) -> Vec<String> {
    value::split_list(text(given, name)).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// The parts of `NAME://HOST:PORT`.
fn address(item: &str) -> Option<(&str, &str, u16)> {
    let (name, rest) = item.split_once("://")?;
    let (host, port) = host_and_port(rest)?;
    Some((name, host, port))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::BrokerConfig;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn refused(pairs: &[(&str, &str)], count: u16) -> String {
        nodes(&values(pairs), count).unwrap_err().to_string()
    }

    #[test]
    fn every_node_has_ports_and_directories_of_its_own_and_knows_the_others() {
        let nodes = nodes(&values(&[("listeners", "PLAINTEXT://localhost:9092")]), 3).unwrap();
        let of = |name: &str| nodes.iter().map(|node| node[name].clone()).collect::<Vec<_>>();
        assert_eq!(of("node.id"), ["1", "2", "3"]);
        assert_eq!(
            of("listeners"),
            [
                "PLAINTEXT://localhost:9092,CONTROLLER://127.0.0.1:9095",
                "PLAINTEXT://localhost:9093,CONTROLLER://127.0.0.1:9096",
                "PLAINTEXT://localhost:9094,CONTROLLER://127.0.0.1:9097",
            ]
        );
        assert_eq!(of("controller.quorum.voters")[2], "1@127.0.0.1:9095,2@127.0.0.1:9096,3@127.0.0.1:9097");
        assert_eq!(of("admin.listener"), ["127.0.0.1:9644", "127.0.0.1:9645", "127.0.0.1:9646"]);
        assert_eq!(of("log.dir")[1], "./klamm-data/node-2");
        for node in nodes {
            let config = BrokerConfig::new(node).unwrap();
            assert!(!config.settings().is_solo());
        }
    }

    #[test]
    fn several_listeners_and_directories_do_not_meet() {
        let given = values(&[
            ("listeners", "IN://h:9092,OUT://h:9093"),
            ("listener.security.protocol.map", "IN:PLAINTEXT,OUT:PLAINTEXT"),
            ("inter.broker.listener.name", "IN"),
            ("advertised.listeners", "IN://a:9092,OUT://b:19093"),
            ("log.dirs", "/a,/b"),
        ]);
        let nodes = nodes(&given, 3).unwrap();
        assert_eq!(nodes[1]["listeners"], "IN://h:9094,OUT://h:9095,CONTROLLER://127.0.0.1:9099");
        assert_eq!(nodes[2]["advertised.listeners"], "IN://a:9096,OUT://b:19097");
        assert_eq!(nodes[2]["log.dirs"], "/a/node-3,/b/node-3");
        for node in nodes {
            BrokerConfig::new(node).unwrap();
        }
    }

    #[test]
    fn what_cannot_be_is_one_sentence() {
        assert!(refused(&[], 2).contains("from 3 to 9"));
        assert!(refused(&[("process.roles", "broker")], 3).contains("decides on process.roles itself"));
        assert!(refused(&[("listeners", "PLAINTEXT://h:0")], 3).contains("write a port that is not 0"));
        assert!(refused(&[("listeners", "PLAINTEXT://h:65534")], 3).contains("runs out of ports"));
    }
}
