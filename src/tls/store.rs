//! Key and trust stores: which settings make one (`DefaultSslEngineFactory.createKeystore`), and what is in it.

use super::{BadTls, bad, jks, pem};
use crate::config::security::{KeyStore, Secret, Tls, TrustStore};
use crate::rt::fs::Fs;
use p12_keystore::{KeyStore as Pkcs12, KeyStoreEntry, Pkcs12ImportPolicy};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::fmt;
use std::path::Path;

/// The largest store file that is read.
const FILE_MAX: u64 = 16 * 1024 * 1024;

/// A key and the certificates that go with it, the own one first.
pub struct Material {
    pub key: PrivateKeyDer<'static>,
    pub chain: Vec<CertificateDer<'static>>,
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Material({} certificates)", self.chain.len())
    }
}

/// Certificates that are trusted. Empty where nothing is configured.
pub type TrustMaterial = Vec<CertificateDer<'static>>;

/// What the files that `tls` names have in them now; `None` for one that cannot be read.
#[must_use]
pub fn files(tls: &Tls, fs: &dyn Fs) -> Vec<Option<Vec<u8>>> {
    let paths = tls.key_store.location.iter().chain(tls.trust_store.location.iter());
    paths.map(|path| fs.read(path).ok()).collect()
}

fn file(fs: &dyn Fs, path: &Path, key: &str) -> Result<Vec<u8>, BadTls> {
    let cannot =
        |error: &dyn fmt::Display| BadTls(format!("{key} is {}, which cannot be read: {error}", path.display()));
    let length = fs.file_len(path).map_err(|error| cannot(&error))?;
    if length > FILE_MAX {
        return Err(cannot(&"it is too large to be a store"));
    }
    fs.read(path).map_err(|error| cannot(&error))
}

/// The key store's content; `None` where nothing is configured.
///
/// # Errors
/// Settings that contradict each other (Kafka's rules), or a store that cannot be read.
pub(super) fn key_store(store: &KeyStore, fs: &dyn Fs) -> Result<Option<Material>, BadTls> {
    let KeyStore { kind, location, password, key_password, key, chain } = store;
    let is_pem = kind == "PEM";
    let reveal = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.reveal().to_owned());
    match (key, chain, location) {
        (Some(_), ..) if !is_pem => {
            bad(format!("ssl.keystore.key can be set only for PEM, but ssl.keystore.type is {kind}: set it to PEM"))
        }
        (Some(_), None, _) => bad("ssl.keystore.key is set, but ssl.keystore.certificate.chain is not: set it too"),
        (Some(_), Some(_), Some(_)) => {
            bad("both ssl.keystore.location and ssl.keystore.key are set: remove one of them")
        }
        (None, Some(_), _) => bad("ssl.keystore.certificate.chain is set, but ssl.keystore.key is not: set it too"),
        (Some(_), ..) | (_, _, Some(_)) if is_pem && password.is_some() => {
            bad("ssl.keystore.password cannot be set with PEM: set ssl.key.password, or neither")
        }
        (Some(key), Some(chain), None) => {
            let password = reveal(key_password);
            Ok(Some(Material {
                key: pem::key(key.reveal().as_bytes(), password.as_deref(), "ssl.keystore.key")?,
                chain: pem::certificates(chain.reveal().as_bytes(), "ssl.keystore.certificate.chain")?,
            }))
        }
        (None, None, Some(path)) => {
            let bytes = file(fs, path, "ssl.keystore.location")?;
            let what = path.display().to_string();
            if is_pem {
                let password = reveal(key_password);
                return Ok(Some(Material {
                    key: pem::key(&bytes, password.as_deref(), &what)?,
                    chain: pem::certificates(&bytes, &what)?,
                }));
            }
            known(kind, "ssl.keystore.type")?;
            let Some(password) = reveal(password) else {
                return bad("ssl.keystore.location is set, but ssl.keystore.password is not: set it too");
            };
            let key_password = reveal(key_password).unwrap_or_else(|| password.clone());
            binary_key(&bytes, &password, &key_password, &what).map(Some)
        }
        (None, None, None) if password.is_some() => {
            bad("ssl.keystore.password is set, but ssl.keystore.location is not: set it too")
        }
        (None, None, None) => Ok(None),
    }
}

/// The trust store's content; `None` where nothing is configured.
///
/// # Errors
/// As [`key_store`].
pub(super) fn trust_store(store: &TrustStore, fs: &dyn Fs) -> Result<Option<TrustMaterial>, BadTls> {
    let TrustStore { kind, location, password, certificates } = store;
    let is_pem = kind == "PEM";
    match (certificates, location) {
        (Some(_), _) if !is_pem => bad(format!(
            "ssl.truststore.certificates can be set only for PEM, but ssl.truststore.type is {kind}: set it to PEM"
        )),
        (Some(_), Some(_)) => {
            bad("both ssl.truststore.location and ssl.truststore.certificates are set: remove one of them")
        }
        (Some(_), None) | (None, Some(_)) if is_pem && password.is_some() => {
            bad("ssl.truststore.password cannot be set with PEM: remove it")
        }
        (Some(text), None) => pem::certificates(text.reveal().as_bytes(), "ssl.truststore.certificates").map(Some),
        (None, Some(path)) => {
            let bytes = file(fs, path, "ssl.truststore.location")?;
            let what = path.display().to_string();
            if is_pem {
                return pem::certificates(&bytes, &what).map(Some);
            }
            known(kind, "ssl.truststore.type")?;
            binary_trust(&bytes, password.as_ref().map(Secret::reveal), &what).map(Some)
        }
        (None, None) if password.is_some() => {
            bad("ssl.truststore.password is set, but ssl.truststore.location is not: set it too")
        }
        (None, None) => Ok(None),
    }
}

fn known(kind: &str, key: &str) -> Result<(), BadTls> {
    if matches!(kind, "JKS" | "PKCS12") {
        return Ok(());
    }
    bad(format!("{key} is {kind}, which is not supported: use PKCS12, JKS or PEM"))
}

fn open(bytes: &[u8], password: &str, what: &str) -> Result<Pkcs12, BadTls> {
    Pkcs12::from_pkcs12(bytes, password, Pkcs12ImportPolicy::Strict).or_else(|error| {
        tracing::debug!(%error, "a PKCS #12 store could not be opened");
        bad(format!("{what} cannot be opened: its password is wrong, or it is not a JKS or PKCS #12 store"))
    })
}

/// As Java, whichever of the two formats the type names, the file may be in the other.
fn binary_key(bytes: &[u8], password: &str, key_password: &str, what: &str) -> Result<Material, BadTls> {
    let none = || BadTls(format!("{what} contains no key with a certificate: it needs one"));
    if !bytes.starts_with(&jks::MAGIC) {
        let store = open(bytes, password, what)?;
        let (_, chain) = store.private_key_chain().ok_or_else(none)?;
        let key = PrivatePkcs8KeyDer::from(chain.key().as_der().to_vec());
        let chain: Vec<_> = chain.certs().iter().map(|one| CertificateDer::from(one.as_der().to_vec())).collect();
        return if chain.is_empty() { Err(none()) } else { Ok(Material { key: key.into(), chain }) };
    }
    let entries = jks::read(bytes, Some(password)).or_else(|why| bad(format!("{what} cannot be opened: {why}")))?;
    let found = entries.into_iter().find_map(|entry| match entry {
        jks::Entry::Key { hidden, chain } if !chain.is_empty() => Some((hidden, chain)),
        _ => None,
    });
    let (hidden, chain) = found.ok_or_else(none)?;
    let Some(key) = jks::key(hidden, key_password) else {
        return bad(format!("the key in {what} cannot be opened: ssl.key.password is wrong"));
    };
    let chain = chain.into_iter().map(|one| CertificateDer::from(one.to_vec())).collect();
    Ok(Material { key: PrivatePkcs8KeyDer::from(key).into(), chain })
}

fn binary_trust(bytes: &[u8], password: Option<&str>, what: &str) -> Result<TrustMaterial, BadTls> {
    let all: TrustMaterial = if bytes.starts_with(&jks::MAGIC) {
        let entries = jks::read(bytes, password).or_else(|why| bad(format!("{what} cannot be opened: {why}")))?;
        let trusted = entries.iter().filter_map(|entry| match entry {
            jks::Entry::Trusted(one) => Some(one.to_vec()),
            jks::Entry::Key { chain, .. } => chain.first().map(|one| one.to_vec()),
        });
        trusted.map(CertificateDer::from).collect()
    } else {
        let store = open(bytes, password.unwrap_or_default(), what)?;
        let trusted = store.entries().filter_map(|(_, entry)| match entry {
            KeyStoreEntry::Certificate(one) => Some(one),
            KeyStoreEntry::PrivateKeyChain(chain) => chain.certs().first(),
            KeyStoreEntry::Secret(_) => None,
        });
        trusted.map(|one| CertificateDer::from(one.as_der().to_vec())).collect()
    };
    // Java says the same in its own way: "the trustAnchors parameter must be non-empty".
    if all.is_empty() {
        return bad(format!("{what} contains no trusted certificate: it needs at least one"));
    }
    Ok(all)
}
