//! TLS: from `ssl.*` settings to what rustls needs, on the server's side and on the client's.
//!
//! [`Material`] is what key and trust stores contain; [`server`] and [`client`] make configurations of it. Stores are PEM
//! (inline or files), PKCS #12 and JKS. Faults are sentences for the operator, and never contain a secret.

mod jks;
pub mod name;
mod pem;
mod settings;
mod store;
mod verify;

pub use settings::{client, client_of_any, credulous, server};
pub use store::{Material, TrustMaterial, files};

/// Why TLS settings cannot be used: a sentence without a full stop, which says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadTls(pub String);

fn bad<T>(text: impl Into<String>) -> Result<T, BadTls> {
    Err(BadTls(text.into()))
}

#[cfg(test)]
mod tests;
