//! `klamm doctor`: whether a client could work with a cluster from where it runs, and what to change where not.
//!
//! [`run`] does what a client does, step by step (name, TCP, TLS, ApiVersions, login, metadata, the same for each broker by
//! the address that it advertises, a record written and read), and notes what it found as `machine::Facts`. What that
//! means, and the advice, is decided by [`machine::diagnose`], which does nothing else. Any broker may be at the other end,
//! or none: nothing that comes from there is believed.

mod contact;
mod login;
pub mod machine;
mod secure;
mod trial;

use crate::config::DoctorCommand;
use crate::model::{NodeId, TimestampMs};
use crate::peer::Endpoint;
use crate::peer::foreign::Foreign;
use crate::rt::fs::Fs;
use contact::Client;
use machine::facts::{Cluster, Contact, Facts, Wish};
use std::collections::BTreeMap;

/// Examines the cluster. `now` is this machine's clock.
pub async fn run(command: &DoctorCommand, fs: &dyn Fs, now: &(dyn Fn() -> TimestampMs + Sync)) -> Facts {
    let client = Client::new(command, fs);
    let mut facts = Facts { wish: wish(command), ..Facts::default() };
    let mut first: Option<(Contact, Foreign)> = None;
    for (host, port) in &command.bootstrap {
        let (contact, connection) = client.contact(Endpoint { host: host.clone(), port: *port }).await;
        facts.bootstrap.push(contact.clone());
        if let (None, Some(connection)) = (&first, connection) {
            first = Some((contact, connection));
        }
    }
    let Some((_, mut connection)) = first else { return facts };
    let seen = match connection.cluster(None).await {
        Ok(seen) => seen,
        Err(odd) => {
            // It has answered the same a moment ago.
            if let Some(contact) = facts.bootstrap.iter_mut().find(|contact| contact.stop.is_none()) {
                contact.stop = Some(machine::facts::Stop::Metadata(odd, None));
            }
            return facts;
        }
    };
    let mut cluster = Cluster { id: seen.cluster_id, brokers: Vec::new() };
    let mut links: BTreeMap<NodeId, Foreign> = BTreeMap::new();
    for broker in seen.brokers {
        let shown = format!("{}:{}", broker.host, broker.port);
        let port = u16::try_from(broker.port).ok().filter(|port| *port != 0 && !broker.host.is_empty());
        let contact = match port {
            None => None,
            Some(port) => {
                let (contact, connection) = client.contact(Endpoint { host: broker.host, port }).await;
                links.extend(connection.map(|connection| (broker.node, connection)));
                Some(contact)
            }
        };
        cluster.brokers.push((broker.node, shown, contact));
    }
    facts.cluster = Some(cluster);
    facts.trial = Some(trial::run(command, &mut connection, &mut links, now).await);
    facts
}

fn wish(command: &DoctorCommand) -> Wish {
    let client = &command.client;
    Wish {
        protocol: client.protocol.name(),
        tls: client.tls.is_some(),
        mechanism: client.sasl.as_ref().map(|sasl| sasl.mechanism.clone()),
        timeout_ms: u64::try_from(command.timeout.as_millis()).unwrap_or(u64::MAX),
        unused: client.unused.clone(),
    }
}
