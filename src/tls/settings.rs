//! rustls configurations from `ssl.*`.

use super::store::{key_store, trust_store};
use super::verify::{Anyone, Clients, Pinned, Servers};
use super::{BadTls, Material, TrustMaterial, bad};
use crate::config::security::{ClientAuth, Tls};
use crate::rt::fs::Fs;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::sync::Arc;

fn versions(tls: &Tls) -> Result<Vec<&'static SupportedProtocolVersion>, BadTls> {
    if tls.protocols.is_empty() {
        return Ok(vec![&TLS13, &TLS12]);
    }
    let mut versions = Vec::new();
    for name in &tls.protocols {
        match name.as_str() {
            "TLSv1.3" => versions.push(&TLS13),
            "TLSv1.2" => versions.push(&TLS12),
            other => {
                return bad(format!(
                    "ssl.enabled.protocols has {other}, which is not supported: use TLSv1.3 and TLSv1.2"
                ));
            }
        }
    }
    Ok(versions)
}

/// Cipher suites by the names of the standard, which Java uses too; rustls puts a version before those of TLS 1.3.
fn provider(tls: &Tls) -> Result<Arc<CryptoProvider>, BadTls> {
    let mut provider = default_provider();
    if !tls.cipher_suites.is_empty() {
        let name = |suite: &rustls::SupportedCipherSuite| format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1);
        let known = |wanted: &String| provider.cipher_suites.iter().copied().find(|suite| name(suite) == *wanted);
        let suites: Vec<_> = tls.cipher_suites.iter().filter_map(known).collect();
        if suites.is_empty() {
            let all: Vec<String> = provider.cipher_suites.iter().map(name).collect();
            return bad(format!("ssl.cipher.suites has none that is supported: use some of {}", all.join(", ")));
        }
        provider.cipher_suites = suites;
    }
    Ok(Arc::new(provider))
}

fn roots(trusted: &TrustMaterial) -> Result<Arc<RootCertStore>, BadTls> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(trusted.iter().cloned());
    if added == 0 {
        return bad("ssl.truststore has no certificate that can be read: it needs at least one");
    }
    Ok(Arc::new(roots))
}

/// What accepts clients of a listener, and the certificates that it shows, the own one first.
///
/// # Errors
/// The settings or stores cannot be used.
pub fn server(tls: &Tls, fs: &dyn Fs) -> Result<(ServerConfig, Material), BadTls> {
    let Some(material) = key_store(&tls.key_store, fs)? else {
        return bad("a listener with TLS needs a key store: set ssl.keystore.location, or ssl.keystore.key");
    };
    let trusted = trust_store(&tls.trust_store, fs)?;
    let provider = provider(tls)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&versions(tls)?)
        .or_else(|_| bad("ssl.cipher.suites and ssl.enabled.protocols have nothing in common: change one of them"))?;
    let builder = match (tls.client_auth, trusted) {
        (ClientAuth::None, _) => builder.with_no_client_auth(),
        (_, None) => {
            return bad(
                "ssl.client.auth asks for certificates, but there is no trust store: set ssl.truststore.location",
            );
        }
        (auth, Some(trusted)) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots(&trusted)?, provider);
            let verifier = if auth == ClientAuth::Requested { verifier.allow_unauthenticated() } else { verifier };
            let chains = verifier.build().or_else(|error| bad(format!("the trust store cannot be used: {error}")))?;
            builder.with_client_cert_verifier(Arc::new(Clients { pinned: Pinned::new(&trusted), chains }))
        }
    };
    let mut config = builder
        .with_single_cert(material.chain.clone(), material.key.clone_key())
        .or_else(|error| bad(format!("the key store cannot be used: {error}")))?;
    // A certificate that is not valid now is not noticed here, as in Kafka: clients say so.
    config.max_early_data_size = 0;
    Ok((config, material))
}

/// What connects to other brokers. Without a trust store nobody is trusted: there are no defaults of a Java machine here.
///
/// # Errors
/// The settings or stores cannot be used.
pub fn client(tls: &Tls, fs: &dyn Fs) -> Result<ClientConfig, BadTls> {
    let Some(trusted) = trust_store(&tls.trust_store, fs)? else {
        return bad("TLS to other brokers needs a trust store: set ssl.truststore.location");
    };
    trusting(tls, &trusted, fs)
}

/// What connects to any broker, as a client does: without a trust store those are trusted that the system trusts.
///
/// # Errors
/// As [`client`].
pub fn client_of_any(tls: &Tls, fs: &dyn Fs) -> Result<ClientConfig, BadTls> {
    match trust_store(&tls.trust_store, fs)? {
        Some(trusted) => trusting(tls, &trusted, fs),
        None => {
            let trusted = rustls_native_certs::load_native_certs().certs;
            if trusted.is_empty() {
                return bad("this system trusts no certificate authority by itself: set ssl.truststore.location");
            }
            trusting(tls, &trusted, fs)
        }
    }
}

/// What believes everybody: good for nothing but to find out whether somebody speaks TLS.
///
/// # Errors
/// There is no version of TLS to speak.
pub fn credulous() -> Result<ClientConfig, BadTls> {
    let provider = Arc::new(default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .or_else(|error| bad(format!("TLS cannot be spoken: {error}")))?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider))).with_no_client_auth())
}

fn trusting(tls: &Tls, trusted: &TrustMaterial, fs: &dyn Fs) -> Result<ClientConfig, BadTls> {
    let material = key_store(&tls.key_store, fs)?;
    let provider = provider(tls)?;
    let chains = WebPkiServerVerifier::builder_with_provider(roots(trusted)?, Arc::clone(&provider)).build();
    let chains = chains.or_else(|error| bad(format!("the trust store cannot be used: {error}")))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions(tls)?)
        .or_else(|_| bad("ssl.cipher.suites and ssl.enabled.protocols have nothing in common: change one of them"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Servers {
            pinned: Pinned::new(trusted),
            chains,
            checks_host: tls.checks_host,
        }));
    match material {
        None => Ok(builder.with_no_client_auth()),
        Some(Material { key, chain }) => builder
            .with_client_auth_cert(chain, key)
            .or_else(|error| bad(format!("the key store cannot be used: {error}"))),
    }
}
