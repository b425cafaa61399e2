//! Findings about addresses: those to begin with, and those that brokers advertise.

use super::facts::{Cluster, Contact, Facts, NoConnection, NoLogin, NoTls, Speaks, Stop, Wish};
use super::{Finding, Section};
use crate::model::NodeId;
use crate::peer::Endpoint;
use crate::peer::foreign::Odd;
use std::net::IpAddr;

/// As one writes it.
pub(super) fn shown(at: &Endpoint) -> String {
    if at.host.contains(':') { format!("[{}]:{}", at.host, at.port) } else { format!("{}:{}", at.host, at.port) }
}

/// Whose address it is.
#[derive(Clone, Copy)]
enum Whose<'a> {
    /// The client's: `bootstrap.servers`.
    Clients,
    /// A broker advertises it; and the address by which brokers were asked, if one worked.
    Brokers(NodeId, Option<&'a Contact>),
}

/// About an address to begin with.
pub(super) fn bootstrap(wish: &Wish, contact: &Contact) -> Vec<Finding> {
    steps(wish, contact, Whose::Clients)
}

/// About the brokers, one section each, and one about all of them.
pub(super) fn cluster(facts: &Facts, cluster: &Cluster) -> Vec<Section> {
    let used = facts.bootstrap.iter().find(|contact| contact.stop.is_none());
    let mut sections = Vec::new();
    let count = cluster.brokers.len();
    let id = cluster.id.as_deref().map_or("without an id".to_owned(), |id| format!("with the id {id}"));
    let about_all = if count == 0 {
        Finding::fault(
            "no-brokers",
            format!("the cluster {id} names no broker that serves clients"),
            "look at the brokers' logs: they have not registered with their controllers yet, or are fenced",
        )
    } else {
        Finding::good(format!("{count} {}, in a cluster {id}", if count == 1 { "broker" } else { "brokers" }))
    };
    sections.push(Section { title: "the cluster".to_owned(), findings: vec![about_all] });
    for (node, advertised, contact) in &cluster.brokers {
        let mut findings = match contact {
            None => vec![Finding::fault(
                "advertised-invalid",
                format!("node {} advertises {advertised}, to which nobody can connect", node.0),
                format!("set advertised.listeners of node {} to a host and a port that clients can reach", node.0),
            )],
            Some(contact) => steps(&facts.wish, contact, Whose::Brokers(*node, used)),
        };
        if let Some(contact) = contact
            && let (Some(here), Some(there)) = (&cluster.id, &contact.cluster_id)
            && here != there
        {
            findings.push(Finding::fault(
                "advertised-other-cluster",
                format!("what answers there belongs to another cluster, with the id {there}"),
                format!(
                    "set advertised.listeners of node {} to its own address: {advertised} is somebody else's from here",
                    node.0
                ),
            ));
        }
        sections.push(Section { title: format!("node {}, which advertises {advertised}", node.0), findings });
    }
    sections
}

fn steps(wish: &Wish, contact: &Contact, whose: Whose<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_name = contact.at.host.parse::<IpAddr>().is_err();
    if !contact.resolved.is_empty() && is_name {
        let all: Vec<String> = contact.resolved.iter().map(ToString::to_string).collect();
        findings.push(Finding::good(format!("the name means {}", all.join(", "))));
    }
    if let Some((address, micros)) = contact.connected {
        for (address, why) in &contact.refused {
            let why = reason(why, wish);
            findings.push(Finding::note(format!("{address} takes no connection ({why}); clients try the next")));
        }
        findings.push(Finding::good(format!("{address} takes connections, in {}", duration(micros))));
    }
    if let Some(version) = &contact.tls {
        findings.push(Finding::good(format!("{version}, with a certificate that is trusted and for this name")));
    }
    if let Some(apis) = contact.apis {
        findings.push(Finding::good(format!("Kafka's protocol, {apis} APIs")));
    }
    if contact.logged_in {
        let mechanism = wish.mechanism.as_deref().unwrap_or_default();
        findings.push(Finding::good(format!("the login by {mechanism} is accepted")));
    }
    findings.extend(contact.stop.as_ref().map(|stop| stopped(wish, contact, whose, stop)));
    findings
}

/// Microseconds, as one says them.
pub(super) fn duration(micros: u64) -> String {
    format!("{}.{} ms", micros / 1000, micros % 1000 / 100)
}

fn reason(why: &NoConnection, wish: &Wish) -> String {
    match why {
        NoConnection::Refused => "refused".to_owned(),
        NoConnection::TimedOut => format!("no answer within {} ms", wish.timeout_ms),
        NoConnection::Other(text) => text.clone(),
    }
}

fn is_loopback(contact: &Contact) -> bool {
    contact.at.host == "localhost" || contact.resolved.iter().any(IpAddr::is_loopback)
}

/// What to set at a broker whose address is not good.
fn readvertise(node: NodeId, contact: &Contact, used: Option<&Contact>) -> String {
    let mut text = String::new();
    let by_itself = used.is_some_and(|used| !is_loopback(used));
    if is_loopback(contact) && by_itself {
        text.push_str("localhost is every client's own machine; ");
    }
    let node = node.0;
    text.push_str(&format!("set advertised.listeners of node {node} to a name and port that clients can use"));
    if let Some(used) = used {
        text.push_str(&format!(" ({} worked from here)", shown(&used.at)));
    }
    text
}

fn stopped(wish: &Wish, contact: &Contact, whose: Whose<'_>, stop: &Stop) -> Finding {
    let host = &contact.at.host;
    match (stop, whose) {
        (Stop::Unresolved(why), Whose::Clients) => Finding::fault(
            "name-unresolved",
            format!("the name {host} has no address here ({why})"),
            "look for a slip in the name, then at this machine's DNS and /etc/hosts; the name of a container is known only \
             to containers on its Docker network",
        ),
        (Stop::Unresolved(why), Whose::Brokers(node, used)) => Finding::fault(
            "advertised-unresolved",
            format!("clients are told to use {host}, which has no address here ({why})"),
            format!("{}, or make {host} known here, as in /etc/hosts", readvertise(node, contact, used)),
        ),
        (Stop::Unconnected, whose) => unconnected(wish, contact, whose),
        (Stop::Settings(sentence), _) => {
            Finding::fault("client-settings", sentence.clone(), "change the client's settings")
        }
        (Stop::Tls(fault, speaks), _) => no_tls(wish, contact, fault, speaks),
        (Stop::Greeting(odd, speaks), _) => not_kafka(wish, contact, odd, speaks),
        (Stop::Login(fault), _) => no_login(wish, fault),
        (Stop::Metadata(_, Some(mechanisms)), _) => Finding::fault(
            "login-wanted",
            format!("it closes the connection of who has not logged in, as {} does", wish.protocol),
            format!(
                "set security.protocol={}, sasl.mechanism (there is {}) and sasl.jaas.config",
                if wish.tls { "SASL_SSL" } else { "SASL_PLAINTEXT" },
                mechanisms.join(", ")
            ),
        ),
        (Stop::Metadata(odd, None), _) => Finding::fault(
            "no-metadata",
            format!("it speaks Kafka's protocol, but asked for its brokers {odd}"),
            "look at the broker's log for this connection",
        ),
    }
}

fn unconnected(wish: &Wish, contact: &Contact, whose: Whose<'_>) -> Finding {
    let all: Vec<String> =
        contact.refused.iter().map(|(address, why)| format!("{address}: {}", reason(why, wish))).collect();
    let all = all.join("; ");
    let refused = contact.refused.iter().any(|(_, why)| *why == NoConnection::Refused);
    match whose {
        Whose::Brokers(node, used) => Finding::fault(
            "advertised-unreachable",
            format!("clients are told to use {}, which takes no connection from here ({all})", shown(&contact.at)),
            readvertise(node, contact, used),
        ),
        Whose::Clients if refused => Finding::fault(
            "port-closed",
            format!("nobody listens there ({all})"),
            "start the broker, or use the port of one of its listeners (listeners in its server.properties); that of a \
             container has to be published (docker run -p)",
        ),
        Whose::Clients => Finding::fault(
            "unreachable",
            format!("no connection comes about ({all})"),
            "look for a firewall or a security group between here and there, and whether the address belongs to a network \
             that this machine can reach",
        ),
    }
}

fn no_tls(wish: &Wish, contact: &Contact, fault: &NoTls, speaks: &Speaks) -> Finding {
    let host = &contact.at.host;
    let plain = if wish.mechanism.is_some() { "SASL_PLAINTEXT" } else { "PLAINTEXT" };
    if let Speaks::Kafka = speaks {
        return Finding::fault(
            "plaintext-listener",
            format!("it speaks Kafka's protocol without TLS, but security.protocol is {}", wish.protocol),
            format!("set security.protocol={plain}, or use the port of a listener with TLS"),
        );
    }
    if let Speaks::Http | Speaks::Text(_) = speaks {
        return stranger(speaks);
    }
    match fault {
        NoTls::Expired(since) => {
            let days = since.map_or(String::new(), |seconds| format!(" (since {})", span(seconds)));
            Finding::fault(
                "certificate-expired",
                format!("the broker's certificate is not valid any more{days}"),
                "give the broker a new certificate (ssl.keystore.location); if it should be valid, look at this machine's clock",
            )
        }
        NoTls::NotValidYet => Finding::fault(
            "certificate-not-valid-yet",
            "the broker's certificate is not valid yet",
            "look at this machine's clock, which may be behind; otherwise give the broker a certificate that is valid now",
        ),
        NoTls::UnknownIssuer => Finding::fault(
            "certificate-untrusted",
            "the broker's certificate is signed by nobody whom this client trusts",
            "name a trust store that has the authority's certificate: ssl.truststore.location, with ssl.truststore.type=PEM \
             for a PEM file",
        ),
        NoTls::WrongName(names) => {
            let names = if names.is_empty() { String::new() } else { format!(", but for {}", names.join(", ")) };
            Finding::fault(
                "certificate-other-name",
                format!("the broker's certificate is not for {host}{names}"),
                format!(
                    "use one of the certificate's names, or give the broker a certificate with {host} among its subject \
                     alternative names; ssl.endpoint.identification.algorithm= (empty) turns the check off"
                ),
            )
        }
        NoTls::Alert(alert) if alert.contains("Certificate") || alert.contains("UnknownCA") => Finding::fault(
            "client-certificate",
            format!("the broker wants a certificate of the client's, and got none that it trusts (alert {alert})"),
            "set ssl.keystore.location to a key with a certificate whose authority is in the broker's trust store",
        ),
        NoTls::Alert(alert) => Finding::fault(
            "tls-refused",
            format!("the broker refuses this client's TLS (alert {alert})"),
            "compare ssl.enabled.protocols and ssl.cipher.suites of both sides",
        ),
        NoTls::Closed | NoTls::TimedOut | NoTls::Other(_) => {
            let what = match fault {
                NoTls::Closed => "it closed the connection".to_owned(),
                NoTls::Other(text) => text.clone(),
                _ => format!("no answer within {} ms", wish.timeout_ms),
            };
            Finding::fault(
                "no-tls",
                format!("TLS does not come about ({what})"),
                "look at the broker's log, and whether this is the port of a listener with TLS",
            )
        }
    }
}

/// Somebody who does not speak Kafka's protocol.
fn stranger(speaks: &Speaks) -> Finding {
    let advice = "use the port of a broker's listener (listeners in its server.properties)";
    match speaks {
        Speaks::Http => Finding::fault(
            "http",
            "an HTTP server is there, and no broker",
            format!("{advice}; consoles, registries, REST proxies and metrics have ports of their own"),
        ),
        Speaks::Text(text) => {
            Finding::fault("not-kafka", format!("what is there says {text:?}: it is no broker"), advice)
        }
        _ => Finding::fault("not-kafka", "what is there does not speak Kafka's protocol", advice),
    }
}

fn not_kafka(wish: &Wish, contact: &Contact, odd: &Odd, speaks: &Speaks) -> Finding {
    match (odd, speaks) {
        (_, Speaks::Tls) if !wish.tls => Finding::fault(
            "tls-listener",
            format!("it speaks TLS, but security.protocol is {}", wish.protocol),
            format!(
                "set security.protocol={} (and ssl.truststore.location), or use the port of a listener without TLS",
                if wish.mechanism.is_some() { "SASL_SSL" } else { "SSL or SASL_SSL" }
            ),
        ),
        (_, Speaks::Http | Speaks::Text(_)) => stranger(speaks),
        (Odd::Malformed(why), _) => Finding::fault(
            "not-kafka",
            format!("what it answers to ApiVersions cannot be read ({why})"),
            "a broker older than 0.10 is there, or none",
        ),
        (Odd::TimedOut, _) => Finding::fault(
            "silent",
            format!("it takes connections and answers nothing within {} ms", wish.timeout_ms),
            "look whether the broker hangs, and what stands between here and there: a proxy or a load balancer takes \
             connections for brokers that are not there",
        ),
        (Odd::Closed | Odd::Io(_) | Odd::Tls(_), _) => Finding::fault(
            "closed-at-once",
            format!("the connection ends before anything is answered ({odd})"),
            format!(
                "look at the broker's log and its limits (max.connections, max.connections.per.ip), at proxies before it, and \
                 whether {} is a port of a broker at all",
                contact.at.port
            ),
        ),
        _ => stranger(speaks),
    }
}

fn no_login(wish: &Wish, fault: &NoLogin) -> Finding {
    let mechanism = wish.mechanism.as_deref().unwrap_or_default();
    match fault {
        NoLogin::Settings(sentence) => {
            Finding::fault("client-settings", sentence.clone(), "write username=\"...\" password=\"...\" into it")
        }
        NoLogin::NotWanted => Finding::fault(
            "login-not-wanted",
            format!("the listener has no logins, but security.protocol is {}", wish.protocol),
            format!(
                "set security.protocol={}, or use the port of a listener with SASL",
                if wish.tls { "SSL" } else { "PLAINTEXT" }
            ),
        ),
        NoLogin::Mechanism(offered) => Finding::fault(
            "mechanism",
            format!("the listener does not have {mechanism}, but {}", offered.join(", ")),
            "set sasl.mechanism to one of those, or add it to the broker's sasl.enabled.mechanisms",
        ),
        NoLogin::Refused(created) => {
            let said = created.message.clone().unwrap_or_else(|| created.error.name().to_owned());
            Finding::fault(
                "login-refused",
                format!("the login by {mechanism} is refused: {said}"),
                refused_advice(mechanism),
            )
        }
        NoLogin::Closed => Finding::fault(
            "login-refused",
            format!("the broker closes the connection during the login by {mechanism}"),
            refused_advice(mechanism),
        ),
        NoLogin::Untrusted(why) => Finding::fault(
            "broker-untrusted",
            format!("the broker does not show that it knows the password: {why}"),
            "this may not be the broker that you think it is: find out who listens there",
        ),
        NoLogin::Odd(odd) => Finding::fault(
            "login-broken",
            format!("the login by {mechanism} does not come to its end: {odd}"),
            "look at the broker's log for this connection",
        ),
    }
}

fn refused_advice(mechanism: &str) -> String {
    let listed = if mechanism.starts_with("SCRAM") {
        format!("whether the user has credentials for {mechanism} (kafka-configs --describe --entity-type users)")
    } else {
        "whether the broker knows the user (the listener's sasl.jaas.config)".to_owned()
    };
    format!("look at username and password in sasl.jaas.config, and {listed}")
}

/// Seconds, as one says them.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
