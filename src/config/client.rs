//! The settings of a client, by the names that Kafka's clients have for them: what `--command-config` names.

use super::broker::Values;
use super::broker_keys;
use super::listeners::host_and_port;
use super::security::{ClientAuth, Of, Secret, Tls};
use super::settings::SecurityProtocol;
use super::{ConfigError, properties};

/// How a client connects.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientSettings {
    /// `security.protocol`
    pub protocol: SecurityProtocol,
    /// `ssl.*`, for SSL and SASL_SSL.
    pub tls: Option<Tls>,
    /// `sasl.*`, for SASL_PLAINTEXT and SASL_SSL.
    pub sasl: Option<ClientSasl>,
    /// `client.id`
    pub client_id: String,
    /// `bootstrap.servers`
    pub bootstrap: Vec<(String, u16)>,
    /// Keys of the file with which nothing is done here: what a consumer or a producer needs them for is not tried.
    pub unused: Vec<String>,
}

/// How a client logs in.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientSasl {
    /// `sasl.mechanism`
    pub mechanism: String,
    /// `sasl.jaas.config`
    pub jaas: Secret,
}

/// What clients and brokers have in common under these names.
const SHARED: [&str; 3] = ["ssl.", "sasl.mechanism", "sasl.jaas.config"];
/// Of the keys above those that only a provider of Java's could honour.
const OF_JAVA: [&str; 5] = [
    "ssl.provider",
    "ssl.engine.factory.class",
    "ssl.keymanager.algorithm",
    "ssl.trustmanager.algorithm",
    "ssl.secure.random.implementation",
];

fn is_used(name: &str) -> bool {
    matches!(name, "security.protocol" | "client.id" | "bootstrap.servers")
        || (SHARED.iter().any(|prefix| name.starts_with(prefix)) && !OF_JAVA.contains(&name))
}

impl ClientSettings {
    /// Reads a file of Kafka's clients.
    ///
    /// # Errors
    /// A sentence: the file is none, or has a value that cannot be.
    pub fn parse(text: &str) -> Result<ClientSettings, ConfigError> {
        let all: Values = properties::parse(text)?
            .into_iter()
            .map(|property| (property.key, property.value.trim().to_owned()))
            .collect();
        let value = |name: &str| all.get(name).map(String::as_str).filter(|text| !text.is_empty());
        let protocol = value("security.protocol").unwrap_or("PLAINTEXT");
        let known = SecurityProtocol::ALL.into_iter().find(|one| one.name().eq_ignore_ascii_case(protocol));
        let protocol = known.ok_or_else(|| {
            ConfigError::new(format!(
                "security.protocol is {protocol}, which does not exist: make it PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."
            ))
        })?;
        for (name, text) in all.iter().filter(|(name, _)| is_used(name)) {
            if let Some(Err(bad)) = broker_keys::find(name).map(|key| key.parse(text)) {
                return Err(ConfigError::new(format!("{name} cannot be used: {bad}.")));
            }
        }
        let tls = matches!(protocol, SecurityProtocol::Ssl | SecurityProtocol::SaslSsl)
            .then(|| Of::client(all.clone()).tls(ClientAuth::None));
        let is_sasl = matches!(protocol, SecurityProtocol::SaslPlaintext | SecurityProtocol::SaslSsl);
        let sasl = is_sasl.then(|| sasl(protocol, &value)).transpose()?;
        let mut unused: Vec<String> = all.keys().filter(|name| !is_used(name)).cloned().collect();
        unused.sort();
        Ok(ClientSettings {
            protocol,
            tls,
            sasl,
            client_id: value("client.id").unwrap_or("klamm-doctor").to_owned(),
            bootstrap: value("bootstrap.servers").map(addresses).transpose()?.unwrap_or_default(),
            unused,
        })
    }
}

fn sasl<'a>(protocol: SecurityProtocol, value: &impl Fn(&str) -> Option<&'a str>) -> Result<ClientSasl, ConfigError> {
    let name = protocol.name();
    // As in Kafka, where Kerberos is the default.
    let mechanism = value("sasl.mechanism").unwrap_or("GSSAPI");
    if !["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"].contains(&mechanism) {
        return Err(ConfigError::new(format!(
            "sasl.mechanism is {mechanism}, which is not supported here: make it PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."
        )));
    }
    let jaas = value("sasl.jaas.config").ok_or_else(|| {
        ConfigError::new(format!(
            "security.protocol is {name}, but there is no sasl.jaas.config, which has the user and the password: set it."
        ))
    })?;
    Ok(ClientSasl { mechanism: mechanism.to_owned(), jaas: Secret::new(jaas) })
}

/// `host[:port],...`; the port is 9092 where none is given.
///
/// # Errors
/// A sentence that names the part which is no address.
pub fn addresses(text: &str) -> Result<Vec<(String, u16)>, ConfigError> {
    let one = |part: &str| {
        let with_port =
            if part.ends_with(']') || !part.contains(':') { format!("{part}:9092") } else { part.to_owned() };
        host_and_port(&with_port)
            .filter(|(host, port)| !host.is_empty() && *port != 0)
            .map(|(host, port)| (host.to_owned(), port))
            .ok_or_else(|| {
                ConfigError::new(format!("{part:?} is no address: write HOST:PORT, as broker.example:9092."))
            })
    };
    let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        return Err(ConfigError::new("There is no address to begin with: write HOST:PORT, as broker.example:9092."));
    }
    parts.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_empty_file_is_a_client_without_security() {
        let settings = ClientSettings::parse("").unwrap();
        assert_eq!(settings.protocol, SecurityProtocol::Plaintext);
        assert!(settings.tls.is_none() && settings.sasl.is_none() && settings.bootstrap.is_empty());
    }

    #[test]
    fn a_file_of_kafkas_clients_is_read() {
        let settings = ClientSettings::parse(
            "bootstrap.servers=one:1, [::1]:2,three\nsecurity.protocol=sasl_ssl\nsasl.mechanism=SCRAM-SHA-512\n\
             sasl.jaas.config=x required username=\"a\" password=\"hunter2\";\nssl.truststore.type=PEM\n\
             ssl.truststore.location=/ca.pem\nssl.endpoint.identification.algorithm=\ngroup.id=g\nssl.provider=p\n",
        )
        .unwrap();
        let tls = settings.tls.as_ref().unwrap();
        assert_eq!(tls.trust_store.location.as_deref(), Some(std::path::Path::new("/ca.pem")));
        assert!(!tls.checks_host);
        assert_eq!(settings.sasl.as_ref().unwrap().mechanism, "SCRAM-SHA-512");
        assert_eq!(settings.bootstrap, [("one".into(), 1), ("::1".into(), 2), ("three".into(), 9092)]);
        assert_eq!(settings.unused, ["group.id", "ssl.provider"]);
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[test]
    fn a_servers_name_is_compared_unless_that_is_turned_off() {
        let settings = ClientSettings::parse("security.protocol=SSL").unwrap();
        assert!(settings.tls.unwrap().checks_host);
    }

    #[test]
    fn what_cannot_be_is_refused_in_a_sentence() {
        for (text, expected) in [
            ("security.protocol=TLS", "security.protocol is TLS"),
            ("security.protocol=SASL_SSL", "sasl.mechanism is GSSAPI"),
            ("security.protocol=SASL_SSL\nsasl.mechanism=PLAIN", "no sasl.jaas.config"),
            ("bootstrap.servers=a:b:c:", "no address"),
            ("bootstrap.servers=,", "no address"),
        ] {
            let fault = ClientSettings::parse(text).unwrap_err().to_string();
            assert!(fault.contains(expected) && fault.ends_with('.'), "{text}: {fault}");
        }
    }
}
