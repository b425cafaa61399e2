//! One address, from its name to the first answer that needs a login.

use super::login;
use super::machine::facts::{Contact, NoConnection, NoLogin, Speaks, Stop};
use super::secure;
use crate::config::DoctorCommand;
use crate::config::client::ClientSasl;
use crate::peer::foreign::{Foreign, Odd, connect, first_bytes, resolve};
use crate::peer::{Endpoint, Stream};
use crate::rt::clock;
use crate::rt::fs::Fs;
use crate::tls;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsConnector;

/// How connections are made. Faults of the settings are told where a connection needs them.
pub(super) struct Client {
    within: Duration,
    id: String,
    tls: Option<Result<TlsConnector, String>>,
    sasl: Option<ClientSasl>,
}

/// A socket, and what became of it.
type Made = Result<(SocketAddr, Box<dyn Stream>), Stop>;

impl Client {
    pub(super) fn new(command: &DoctorCommand, fs: &dyn Fs) -> Client {
        let configured = command.client.tls.as_ref().map(|settings| tls::client_of_any(settings, fs));
        Client {
            within: command.timeout,
            id: command.client.client_id.clone(),
            tls: configured
                .map(|made| made.map(|config| TlsConnector::from(Arc::new(config))).map_err(|bad| bad.to_string())),
            sasl: command.client.sasl.clone(),
        }
    }

    /// Does what a client does first. The connection is there if all of it went well.
    pub(super) async fn contact(&self, at: Endpoint) -> (Contact, Option<Foreign>) {
        let mut contact = Contact::new(at);
        match self.steps(&mut contact).await {
            Ok(connection) => (contact, Some(connection)),
            Err(stop) => {
                contact.stop = Some(stop);
                (contact, None)
            }
        }
    }

    async fn steps(&self, contact: &mut Contact) -> Result<Foreign, Stop> {
        let at = contact.at.clone();
        let addresses = resolve(&at.host, at.port, self.within).await;
        let addresses = addresses.map_err(|error| Stop::Unresolved(error.to_string()))?;
        contact.resolved = addresses.iter().map(SocketAddr::ip).collect();
        let (address, stream) = self.socket(contact, &addresses).await?;
        let mut connection = Foreign::over(stream, &self.id, self.within);
        if let Err(odd) = connection.greet().await {
            if let Odd::Tls(fault) = &odd {
                return Err(Stop::Tls(secure::fault(fault), Speaks::Tls));
            }
            let speaks = match &odd {
                Odd::NotKafka(bytes) => spoken(bytes),
                _ => None,
            };
            return Err(Stop::Greeting(odd, self.or_ask(speaks, address, &at.host).await));
        }
        contact.apis = Some(connection.versions().0.len());
        if let Some(sasl) = &self.sasl {
            login::log_in(&mut connection, sasl).await.map_err(Stop::Login)?;
            contact.logged_in = true;
        }
        match connection.cluster(None).await {
            Ok(seen) => contact.cluster_id = seen.cluster_id,
            Err(odd) => return Err(Stop::Metadata(odd, self.mechanisms(address, &at.host).await)),
        }
        Ok(connection)
    }

    /// The first address that takes a connection, with TLS if that is wished for.
    async fn socket(&self, contact: &mut Contact, addresses: &[SocketAddr]) -> Made {
        for address in addresses {
            let began = clock::now();
            let socket = match connect(*address, self.within).await {
                Ok(socket) => socket,
                Err(error) => {
                    contact.refused.push((*address, no_connection(&error)));
                    continue;
                }
            };
            contact.connected = Some((*address, micros(clock::now() - began)));
            let tls = match &self.tls {
                None => return Ok((*address, Box::new(socket))),
                Some(Err(sentence)) => return Err(Stop::Settings(sentence.clone())),
                Some(Ok(tls)) => tls,
            };
            return match secure::handshake(tls, socket, &contact.at.host, self.within).await {
                Ok((stream, version)) => {
                    contact.tls = Some(version);
                    Ok((*address, Box::new(stream)))
                }
                Err(no_tls) => {
                    let speaks = self.or_ask(None, *address, &contact.at.host).await;
                    Err(Stop::Tls(no_tls, speaks))
                }
            };
        }
        Err(Stop::Unconnected)
    }

    /// What is spoken at an address, found out with connections of their own.
    async fn or_ask(&self, known: Option<Speaks>, address: SocketAddr, host: &str) -> Speaks {
        if let Some(known) = known {
            return known;
        }
        if let Ok(socket) = connect(address, self.within).await {
            let mut plain = Foreign::over(Box::new(socket), &self.id, self.within);
            match plain.greet().await {
                Ok(()) => return Speaks::Kafka,
                Err(Odd::NotKafka(bytes)) => {
                    if let Some(speaks) = spoken(&bytes) {
                        return speaks;
                    }
                }
                Err(_) => {}
            }
        }
        if let (Ok(socket), Ok(config)) = (connect(address, self.within).await, tls::credulous())
            && secure::speaks_tls(&TlsConnector::from(Arc::new(config)), socket, host, self.within).await
        {
            return Speaks::Tls;
        }
        if let Ok(mut socket) = connect(address, self.within).await {
            let said = first_bytes(&mut socket, b"GET / HTTP/1.0\r\n\r\n", self.within).await;
            if let Some(speaks) = spoken(&said) {
                return speaks;
            }
        }
        Speaks::Unknown
    }

    /// The mechanisms of a listener that closes when no login comes.
    async fn mechanisms(&self, address: SocketAddr, host: &str) -> Option<Vec<String>> {
        if self.sasl.is_some() {
            return None;
        }
        let mut contact = Contact::new(Endpoint { host: host.to_owned(), port: address.port() });
        let (_, stream) = self.socket(&mut contact, &[address]).await.ok()?;
        let mut connection = Foreign::over(stream, &self.id, self.within);
        connection.greet().await.ok()?;
        match login::offered(&mut connection).await {
            Ok(names) => Some(names),
            Err(NoLogin::Mechanism(names)) => Some(names),
            Err(_) => None,
        }
    }
}

/// What the first bytes of an answer say about who answers.
fn spoken(bytes: &[u8]) -> Option<Speaks> {
    if bytes.starts_with(b"HTTP/") {
        return Some(Speaks::Http);
    }
    // A record of TLS: an alert or a handshake, version 3.
    if let [0x15 | 0x16, 0x03, ..] = bytes {
        return Some(Speaks::Tls);
    }
    let text: Vec<u8> = bytes.iter().copied().take_while(|byte| (0x20..0x7f).contains(byte)).take(40).collect();
    (text.len() >= 4).then(|| Speaks::Text(String::from_utf8_lossy(&text).into_owned()))
}

fn no_connection(error: &io::Error) -> NoConnection {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => NoConnection::Refused,
        io::ErrorKind::TimedOut => NoConnection::TimedOut,
        _ => NoConnection::Other(error.to_string()),
    }
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
