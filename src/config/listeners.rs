//! Listeners: parsing `NAME://host:port` lists, their protocols, what is advertised, and every
//! way in which these can be at odds.
//!
//! Several listeners, in any order, with a `CONTROLLER` listener among them on any address: that is
//! what Docker images and Testcontainers set.

use super::ConfigError;
use super::settings::{Listener, ListenerName, Roles, SecurityProtocol};
use std::net::IpAddr;

/// What the listener keys say.
pub(super) struct Given<'a> {
    pub(super) listeners: &'a [String],
    pub(super) advertised: Option<&'a [String]>,
    /// `listener.security.protocol.map`, and whether somebody set it.
    pub(super) protocols: &'a str,
    pub(super) protocols_were_set: bool,
    pub(super) controller_names: &'a [String],
    pub(super) roles: Roles,
    pub(super) inter_broker_name: Option<&'a str>,
    /// `security.inter.broker.protocol`, if somebody set it.
    pub(super) inter_broker_protocol: Option<&'a str>,
    /// Advertised for a listener on all interfaces.
    pub(super) hostname: &'a str,
}

/// The outcome: see the fields of `settings::Network`.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) listeners: Vec<Listener>,
    pub(super) advertised: Vec<Listener>,
    pub(super) by_connection: Vec<ListenerName>,
    pub(super) controller_listeners: Vec<Listener>,
    pub(super) controller_protocol: Option<(ListenerName, SecurityProtocol)>,
    pub(super) inter_broker: ListenerName,
}

pub(super) fn resolve(given: &Given<'_>) -> Result<Resolved, ConfigError> {
    let controllers: Vec<ListenerName> = given.controller_names.iter().map(|name| ListenerName::new(name)).collect();
    let protocols = protocols(given, &controllers)?;
    let all = endpoints("listeners", given.listeners, &protocols)?;
    distinct_ports(&all)?;
    let controller_protocol = controller_protocol(&controllers, &protocols)?;
    let (controller_listeners, listeners) = by_role(given.roles, all, &controllers)?;
    if !given.roles.broker {
        // Brokers' addresses are registered; a controller's are where controller.quorum.voters says.
        let inter_broker = given.inter_broker_name.map_or_else(|| ListenerName::new("PLAINTEXT"), ListenerName::new);
        return Ok(Resolved {
            listeners,
            advertised: Vec::new(),
            by_connection: Vec::new(),
            controller_listeners,
            controller_protocol,
            inter_broker,
        });
    }
    let (advertised, by_connection) = advertised(given, &controllers, &protocols, &listeners)?;
    let inter_broker = match given.inter_broker_name {
        Some(name) => ListenerName::new(name),
        // Kafka goes by security.inter.broker.protocol: the listener of that name. Without one we take the
        // first, as a broker on its own uses none.
        None => {
            let named = ListenerName::new(given.inter_broker_protocol.unwrap_or("PLAINTEXT"));
            let exists = listeners.iter().any(|listener| listener.name == named);
            if exists || given.inter_broker_protocol.is_some() { named } else { listeners[0].name.clone() }
        }
    };
    if !advertised.iter().any(|listener| listener.name == inter_broker) {
        let names: Vec<&str> = advertised.iter().map(|listener| listener.name.as_str()).collect();
        return Err(ConfigError::new(format!(
            "The listener between brokers is {inter_broker}, which is not advertised: set inter.broker.listener.name to \
             one of {}.",
            names.join(", ")
        )));
    }
    Ok(Resolved { listeners, advertised, by_connection, controller_listeners, controller_protocol, inter_broker })
}

/// Which listeners are the controller's and which are for clients, in Kafka's sense of each role.
fn by_role(
    roles: Roles,
    all: Vec<Listener>,
    controllers: &[ListenerName],
) -> Result<(Vec<Listener>, Vec<Listener>), ConfigError> {
    let listens = |name: &ListenerName| all.iter().any(|listener| listener.name == *name);
    if !roles.controller {
        if let Some(name) = controllers.iter().find(|name| listens(name)) {
            return Err(ConfigError::new(format!(
                "process.roles is broker, and listeners has {name}, which controller.listener.names names: only a \
                 controller listens there, so remove it from listeners."
            )));
        }
        return Ok((Vec::new(), all));
    }
    if let Some(missing) = controllers.iter().find(|name| !listens(name)) {
        return Err(ConfigError::new(format!(
            "controller.listener.names names {missing}, which is not in listeners: add {missing}://localhost:9093 to \
             listeners, or remove the name."
        )));
    }
    let (ours, clients): (Vec<Listener>, Vec<Listener>) =
        all.into_iter().partition(|listener| controllers.contains(&listener.name));
    if roles.broker && clients.is_empty() {
        return Err(ConfigError::new(
            "All of listeners are named in controller.listener.names: add a listener for clients, for example \
             PLAINTEXT://localhost:9092.",
        ));
    }
    if let Some(stray) = clients.first().filter(|_| !roles.broker) {
        return Err(ConfigError::new(format!(
            "process.roles is controller, and listeners has {}, which controller.listener.names does not name: a \
             controller has no clients, so remove it from listeners or name it.",
            stray.name
        )));
    }
    if ours.is_empty() && !roles.broker {
        return Err(ConfigError::new(
            "process.roles is controller, and controller.listener.names is empty: name the listener where brokers and \
             other controllers reach it.",
        ));
    }
    Ok((ours, clients))
}

/// How to talk to controllers: Kafka takes the first name.
fn controller_protocol(
    controllers: &[ListenerName],
    protocols: &[(ListenerName, SecurityProtocol)],
) -> Result<Option<(ListenerName, SecurityProtocol)>, ConfigError> {
    let Some(name) = controllers.first() else { return Ok(None) };
    match protocols.iter().find(|(known, _)| known == name) {
        Some(found) => Ok(Some(found.clone())),
        None => Err(ConfigError::new(format!(
            "controller.listener.names names {name}, whose protocol is not known: add {name}:PLAINTEXT to \
             listener.security.protocol.map."
        ))),
    }
}

/// What clients are told, one entry for each listener, in the listeners' order. A listener that
/// `advertised.listeners` leaves out is left out here too. With it the names of those on all interfaces of which nobody said
/// what to advertise: each connection is then answered with the address that it reached, and what is told here is the host's
/// name, for other brokers and the banner.
fn advertised(
    given: &Given<'_>,
    controllers: &[ListenerName],
    protocols: &[(ListenerName, SecurityProtocol)],
    listeners: &[Listener],
) -> Result<(Vec<Listener>, Vec<ListenerName>), ConfigError> {
    let mut by_connection = Vec::new();
    let mut named = match given.advertised {
        Some(items) => endpoints("advertised.listeners", items, protocols)?,
        None => listeners.to_vec(),
    };
    named.retain(|listener| !controllers.contains(&listener.name));
    for listener in &mut named {
        if !listeners.iter().any(|l| l.name == listener.name) {
            let names: Vec<&str> = listeners.iter().map(|l| l.name.as_str()).collect();
            return Err(ConfigError::new(format!(
                "advertised.listeners names {}, which is not in listeners: use the names that are ({}).",
                listener.name,
                names.join(", ")
            )));
        }
        let everywhere = matches!(listener.host.as_str(), "0.0.0.0" | "::");
        if given.advertised.is_none() && (everywhere || listener.host.is_empty()) {
            listener.host.clear();
            by_connection.push(listener.name.clone());
        } else if everywhere {
            return Err(ConfigError::new(format!(
                "Clients cannot connect to {}, which {} would be advertised as: set advertised.listeners (or \
                 --advertise HOST:PORT) to an address that they can reach.",
                listener.host, listener.name
            )));
        }
        if listener.host.is_empty() {
            given.hostname.clone_into(&mut listener.host);
        }
    }
    if named.is_empty() {
        return Err(ConfigError::new(
            "advertised.listeners has no listener for clients: add one, for example PLAINTEXT://localhost:9092.",
        ));
    }
    let position = |name: &ListenerName| listeners.iter().position(|l| l.name == *name);
    named.sort_by_key(|listener| position(&listener.name));
    Ok((named, by_connection))
}

/// `listener.security.protocol.map`, with what Kafka adds to its default.
fn protocols(
    given: &Given<'_>,
    controllers: &[ListenerName],
) -> Result<Vec<(ListenerName, SecurityProtocol)>, ConfigError> {
    let mut map = Vec::new();
    for item in given.protocols.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let parsed = item.rsplit_once(':').and_then(|(name, protocol)| {
            Some((ListenerName::new(name.trim()), SecurityProtocol::parse(protocol.trim())?))
        });
        match parsed {
            Some(entry) => map.push(entry),
            None => {
                return Err(ConfigError::new(format!(
                    "listener.security.protocol.map has {item:?}: write NAME:PROTOCOL, where the protocol is PLAINTEXT, \
                     SSL, SASL_PLAINTEXT or SASL_SSL."
                )));
            }
        }
    }
    if !given.protocols_were_set {
        for name in controllers {
            if !map.iter().any(|(known, _)| known == name) {
                map.push((name.clone(), SecurityProtocol::Plaintext));
            }
        }
    }
    Ok(map)
}

fn endpoints(
    key: &str,
    items: &[String],
    protocols: &[(ListenerName, SecurityProtocol)],
) -> Result<Vec<Listener>, ConfigError> {
    let mut listeners: Vec<Listener> = Vec::with_capacity(items.len());
    for item in items {
        let Some((name, host, port)) = endpoint(item) else {
            return Err(ConfigError::new(format!(
                "{key} has {item:?}: write NAME://HOST:PORT, for example PLAINTEXT://localhost:9092."
            )));
        };
        let name = ListenerName::new(name);
        let Some((_, protocol)) = protocols.iter().find(|(known, _)| *known == name) else {
            return Err(ConfigError::new(format!(
                "{key} has the listener {name}, whose protocol is not known: add {name}:PLAINTEXT to \
                 listener.security.protocol.map."
            )));
        };
        if listeners.iter().any(|listener| listener.name == name) {
            return Err(ConfigError::new(format!("{key} has two listeners named {name}: give each its own name.")));
        }
        listeners.push(Listener { name, protocol: *protocol, host: host.to_owned(), port });
    }
    Ok(listeners)
}

/// `NAME://host:port`, `NAME://[v6]:port` or `NAME://:port`.
fn endpoint(text: &str) -> Option<(&str, &str, u16)> {
    let (name, address) = text.rsplit_once("://")?;
    let (host, port) = host_and_port(address)?;
    (!name.is_empty()).then_some((name, host, port))
}

/// `host:port`, `[v6]:port` or `:port`.
pub(super) fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None => host,
    };
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'%' | b'.' | b'_' | b':');
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    (digits && host.bytes().all(fits)).then_some((host, port.parse().ok()?))
}

/// A port belongs to one listener, or to one on IPv4 and one on IPv6.
fn distinct_ports(listeners: &[Listener]) -> Result<(), ConfigError> {
    for (i, one) in listeners.iter().enumerate() {
        for other in &listeners[i + 1..] {
            if one.port == 0 || one.port != other.port {
                continue;
            }
            let families = (one.host.parse::<IpAddr>(), other.host.parse::<IpAddr>());
            if !matches!(families, (Ok(a), Ok(b)) if a.is_ipv4() != b.is_ipv4()) {
                return Err(ConfigError::new(format!(
                    "listeners has {} and {} on one port: give each its own, unless one is an IPv4 address and the \
                     other an IPv6 address.",
                    one.name, other.name
                )));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn list(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    struct Keys {
        listeners: &'static str,
        advertised: Option<&'static str>,
        map: Option<&'static str>,
        controllers: &'static str,
        inter_broker: Option<&'static str>,
    }

    const PLAIN: Keys = Keys {
        listeners: "PLAINTEXT://localhost:9092",
        advertised: None,
        map: None,
        controllers: "",
        inter_broker: None,
    };

    fn run(keys: Keys) -> Result<Resolved, String> {
        let default_map = "PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL";
        let advertised = keys.advertised.map(list);
        let controllers = if keys.controllers.is_empty() { vec![] } else { list(keys.controllers) };
        resolve(&Given {
            listeners: &list(keys.listeners),
            advertised: advertised.as_deref(),
            protocols: keys.map.unwrap_or(default_map),
            protocols_were_set: keys.map.is_some(),
            controller_names: &controllers,
            roles: Roles { broker: true, controller: true },
            inter_broker_name: keys.inter_broker,
            inter_broker_protocol: None,
            hostname: "box.example",
        })
        .map_err(|fault| fault.to_string())
    }

    fn shown(listeners: &[Listener]) -> Vec<String> {
        listeners.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn addresses_are_split_at_the_last_colon() {
        let cases = [
            ("localhost:9092", Some(("localhost", 9092))),
            (":9092", Some(("", 9092))),
            ("[::1]:9092", Some(("::1", 9092))),
            ("10.0.0.1:0", Some(("10.0.0.1", 0))),
            ("localhost", None),
            ("localhost:", None),
            ("localhost:70000", None),
            ("localhost:-1", None),
            ("local host:1", None),
            ("[::1:9092", None),
        ];
        for (text, expected) in cases {
            assert_eq!(host_and_port(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_testcontainers_sets_is_accepted_in_any_order() {
        let resolved = run(Keys {
            listeners: "CONTROLLER://0.0.0.0:9094,BROKER://0.0.0.0:9093,PLAINTEXT://0.0.0.0:9092",
            advertised: Some("PLAINTEXT://localhost:32768,BROKER://f00:9093"),
            map: Some("BROKER:PLAINTEXT,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"),
            controllers: "CONTROLLER",
            inter_broker: Some("BROKER"),
        })
        .unwrap();
        assert_eq!(shown(&resolved.listeners), ["BROKER://0.0.0.0:9093", "PLAINTEXT://0.0.0.0:9092"]);
        assert_eq!(shown(&resolved.advertised), ["BROKER://f00:9093", "PLAINTEXT://localhost:32768"]);
        assert_eq!(shown(&resolved.controller_listeners), ["CONTROLLER://0.0.0.0:9094"]);
        assert_eq!(resolved.inter_broker.as_str(), "BROKER");
    }

    #[test]
    fn a_dash_in_a_listener_name_is_fine() {
        let resolved = run(Keys {
            listeners: "TC-0://0.0.0.0:9099",
            advertised: Some("tc-0://host:1"),
            map: Some("TC-0:PLAINTEXT"),
            ..PLAIN
        })
        .unwrap();
        assert_eq!(shown(&resolved.advertised), ["TC-0://host:1"]);
    }

    #[test]
    fn a_listener_on_all_interfaces_is_advertised_by_connection_and_to_others_by_the_hosts_name() {
        for (listeners, shown_as) in [
            ("PLAINTEXT://:9092", "PLAINTEXT://:9092"),
            ("PLAINTEXT://0.0.0.0:9092", "PLAINTEXT://0.0.0.0:9092"),
            ("PLAINTEXT://[::]:9092", "PLAINTEXT://[::]:9092"),
        ] {
            let resolved = run(Keys { listeners, ..PLAIN }).unwrap();
            assert_eq!(shown(&resolved.listeners), [shown_as]);
            assert_eq!(shown(&resolved.advertised), ["PLAINTEXT://box.example:9092"]);
            assert_eq!(resolved.by_connection, [ListenerName::new("PLAINTEXT")]);
        }
    }

    #[test]
    fn who_says_what_to_advertise_turns_that_off() {
        for keys in
            [Keys { advertised: Some("PLAINTEXT://h:1"), ..PLAIN }, Keys { listeners: "PLAINTEXT://h:1", ..PLAIN }]
        {
            assert_eq!(run(keys).unwrap().by_connection, []);
        }
    }

    #[test]
    fn a_controller_listener_needs_no_entry_in_the_default_protocol_map() {
        let resolved =
            run(Keys { listeners: "PLAINTEXT://:9092,CONTROLLER://:9093", controllers: "CONTROLLER", ..PLAIN })
                .unwrap();
        assert_eq!(shown(&resolved.controller_listeners), ["CONTROLLER://:9093"]);
    }

    #[test]
    fn every_contradiction_is_refused_with_what_to_do() {
        let cases: Vec<(Keys, &str)> = vec![
            (Keys { listeners: "localhost:9092", ..PLAIN }, "write NAME://HOST:PORT"),
            (Keys { listeners: "PLAINTEXT://h:99999", ..PLAIN }, "write NAME://HOST:PORT"),
            (Keys { listeners: "INSIDE://h:1", ..PLAIN }, "add INSIDE:PLAINTEXT to listener.security.protocol.map"),
            (Keys { listeners: "PLAINTEXT://h:1,PLAINTEXT://h:2", ..PLAIN }, "two listeners named PLAINTEXT"),
            (Keys { map: Some("PLAINTEXT=PLAINTEXT"), ..PLAIN }, "write NAME:PROTOCOL"),
            (Keys { map: Some("PLAINTEXT:QUIC"), ..PLAIN }, "write NAME:PROTOCOL"),
            (
                Keys { listeners: "A://h:1,B://h:1", map: Some("A:PLAINTEXT,B:PLAINTEXT"), ..PLAIN },
                "A and B on one port",
            ),
            (Keys { controllers: "CONTROLLER", ..PLAIN }, "CONTROLLER, which is not in listeners"),
            (Keys { controllers: "PLAINTEXT", ..PLAIN }, "add a listener for clients"),
            (Keys { advertised: Some("SSL://h:1"), ..PLAIN }, "SSL, which is not in listeners"),
            (Keys { advertised: Some("PLAINTEXT://0.0.0.0:9092"), ..PLAIN }, "--advertise HOST:PORT"),
            (Keys { inter_broker: Some("INSIDE"), ..PLAIN }, "set inter.broker.listener.name to one of PLAINTEXT"),
        ];
        for (keys, expected) in cases {
            let (listeners, advertised) = (keys.listeners, keys.advertised);
            let fault = run(keys).unwrap_err();
            assert!(fault.contains(expected), "{listeners:?} {advertised:?} gave {fault:?}, not {expected:?}");
            assert!(fault.ends_with('.'), "{fault:?} is not a sentence");
        }
    }

    #[test]
    fn one_port_may_serve_ipv4_and_ipv6() {
        let map = Some("A:PLAINTEXT,B:PLAINTEXT");
        let both = Keys { listeners: "A://127.0.0.1:9092,B://[::1]:9092", map, ..PLAIN };
        assert!(run(both).is_ok());
        let zero = Keys { listeners: "A://localhost:0,B://localhost:0", map, ..PLAIN };
        assert!(run(zero).is_ok(), "port 0 is a different port each time");
    }
}
