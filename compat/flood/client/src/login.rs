//! A connection that logs in: TLS or not, SCRAM-SHA-256.

use crate::Options;
use crate::wire::{self, Stream};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::rand::SecureRandom as _;
use ring::{digest, hmac, pbkdf2, rand};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::collections::HashMap;
use std::net::TcpStream;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Who logs in where.
pub struct Door {
    address: String,
    tls: Option<Arc<ClientConfig>>,
    user: String,
    password: String,
    /// By salt: making it is slow on purpose, and a client may keep it.
    salted: Mutex<HashMap<(Vec<u8>, u32), [u8; 32]>>,
}

fn said(what: &str, error: impl std::fmt::Display) -> String {
    format!("{what}: {error}")
}

impl Door {
    /// `--to HOST:PORT`, `--ca FILE` for TLS, `--user`, `--password`.
    pub fn new(options: &Options) -> Result<Door, String> {
        let tls = match options.text("ca") {
            Err(_) => None,
            Ok(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in CertificateDer::pem_file_iter(path).map_err(|error| said(path, error))? {
                    let certificate = certificate.map_err(|error| said(path, error))?;
                    roots.add(certificate).map_err(|error| said(path, error))?;
                }
                let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
                // Every handshake is a whole one.
                config.resumption = Resumption::disabled();
                Some(Arc::new(config))
            }
        };
        Ok(Door {
            address: options.text("to")?.to_owned(),
            tls,
            user: options.text("user")?.to_owned(),
            password: options.text("password")?.to_owned(),
            salted: Mutex::default(),
        })
    }

    /// A connection that is logged in.
    pub fn enter(&self) -> Result<Box<dyn Stream>, String> {
        let socket = TcpStream::connect(&self.address).map_err(|error| said("cannot connect", error))?;
        socket.set_nodelay(true).map_err(|error| said("nodelay", error))?;
        socket.set_read_timeout(Some(Duration::from_secs(30))).map_err(|error| said("timeout", error))?;
        let mut stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(socket),
            Some(config) => {
                let name = ServerName::try_from("localhost").map_err(|error| said("name", error))?;
                let tls = ClientConnection::new(Arc::clone(config), name).map_err(|error| said("TLS", error))?;
                Box::new(StreamOwned::new(tls, socket))
            }
        };
        self.log_in(&mut *stream)?;
        Ok(stream)
    }

    fn log_in(&self, stream: &mut dyn Stream) -> Result<(), String> {
        let body = wire::call(stream, &wire::handshake("SCRAM-SHA-256"))?;
        if wire::i16_at(&body, 0)? != 0 {
            return Err("the broker does not offer SCRAM-SHA-256".into());
        }
        let mut random = [0; 18];
        rand::SystemRandom::new().fill(&mut random).map_err(|error| said("random", error))?;
        let first = format!("n={},r={}", self.user, BASE64.encode(random));
        let answer = wire::call(stream, &wire::authenticate(format!("n,,{first}").as_bytes()))?;
        let server = String::from_utf8(wire::authenticated(&answer)?).map_err(|error| said("server-first", error))?;
        let part = |name: &str| server.split(',').find_map(|part| part.strip_prefix(name));
        let (Some(nonce), Some(salt), Some(iterations)) = (part("r="), part("s="), part("i=")) else {
            return Err(format!("not a SCRAM message: {server}"));
        };
        let salt = BASE64.decode(salt).map_err(|error| said("salt", error))?;
        let salted = self.salted(salt, iterations.parse().map_err(|error| said("iterations", error))?)?;
        let mac = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text);
        let client = mac(&salted, b"Client Key");
        let stored = digest::digest(&digest::SHA256, client.as_ref());
        let last = format!("c=biws,r={nonce}");
        let all = format!("{first},{server},{last}");
        let signature = mac(stored.as_ref(), all.as_bytes());
        let proof: Vec<u8> = client.as_ref().iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        let last = format!("{last},p={}", BASE64.encode(proof));
        let answer = wire::call(stream, &wire::authenticate(last.as_bytes()))?;
        let expected = mac(mac(&salted, b"Server Key").as_ref(), all.as_bytes());
        let told = wire::authenticated(&answer)?;
        if told != format!("v={}", BASE64.encode(expected)).as_bytes() {
            return Err("the broker does not know the password itself".into());
        }
        Ok(())
    }

    fn salted(&self, salt: Vec<u8>, iterations: u32) -> Result<[u8; 32], String> {
        let mut known = self.salted.lock().map_err(|error| said("lock", error))?;
        let count = NonZeroU32::new(iterations).ok_or("no iterations")?;
        Ok(*known.entry((salt, iterations)).or_insert_with_key(|(salt, _)| {
            let mut out = [0; 32];
            pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, count, salt, self.password.as_bytes(), &mut out);
            out
        }))
    }
}
