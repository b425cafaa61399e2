//! The keys of a JWKS (RFC 7517), and whether one of them has signed something.
//!
//! Only signatures with public keys: RSA (PKCS #1 and PSS), ECDSA on P-256 and P-384, Ed25519. `none` and shared secrets are
//! no signatures here.

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::Notify;

/// More keys than this are no set that anybody publishes.
const KEYS_MAX: usize = 256;
/// Keys that are tried for a token that names none.
const TRIED_MAX: usize = 8;

/// Why a JWKS cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadKeys(&'static str);

#[derive(Debug, PartialEq, Eq)]
enum Public {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Debug)]
struct Key {
    id: Option<String>,
    algorithm: Option<String>,
    public: Public,
}

/// The keys as they are now: whoever fetches them puts them in.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: ArcSwap<Vec<Key>>,
    /// A token named a key that is not here: it may be new.
    pub unknown: Notify,
}

impl KeySet {
    /// Takes the keys of a JWKS document, in place of those that were there. Those of kinds that are not known, or for
    /// other uses than signatures, are left out.
    ///
    /// # Errors
    /// It is not a JWKS. What was there stays.
    pub fn replace(&self, document: &[u8]) -> Result<usize, BadKeys> {
        let document: Value = serde_json::from_slice(document).map_err(|_| BadKeys("it is not JSON"))?;
        let listed = document.get("keys").and_then(Value::as_array).ok_or(BadKeys("it has no keys"))?;
        if listed.len() > KEYS_MAX {
            return Err(BadKeys("it has too many keys"));
        }
        let keys: Vec<Key> = listed.iter().filter_map(key).collect();
        let count = keys.len();
        self.keys.store(Arc::new(keys));
        Ok(count)
    }

    /// Whether a key (that of the name `id`, if one is given) has signed `message` by `algorithm`.
    #[must_use]
    pub fn verify(&self, algorithm: &str, id: Option<&str>, message: &[u8], signature: &[u8]) -> bool {
        let keys = self.keys.load();
        let named = |key: &&Key| id.is_none_or(|id| key.id.as_deref() == Some(id));
        let fits = |key: &&Key| key.algorithm.as_deref().is_none_or(|of| of == algorithm);
        if id.is_some() && !keys.iter().any(|key| named(&key)) {
            self.unknown.notify_one();
            return false;
        }
        let mut tried = keys.iter().filter(named).filter(fits).take(TRIED_MAX);
        tried.any(|key| key.public.verifies(algorithm, message, signature))
    }
}

fn key(value: &Value) -> Option<Key> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?.trim_end_matches('=')).ok();
    if text("use").is_some_and(|usage| usage != "sig") {
        return None;
    }
    let point = |length: usize| {
        let (x, y) = (bytes("x")?, bytes("y")?);
        (x.len() == length && y.len() == length).then(|| [&[4], &x[..], &y[..]].concat())
    };
    let public = match (text("kty")?, text("crv")) {
        ("RSA", _) => Public::Rsa { n: unpadded(bytes("n")?), e: unpadded(bytes("e")?) },
        ("EC", Some("P-256")) => Public::P256(point(32)?),
        ("EC", Some("P-384")) => Public::P384(point(48)?),
        ("OKP", Some("Ed25519")) => Public::Ed25519(bytes("x")?),
        _ => return None,
    };
    Some(Key { id: text("kid").map(str::to_owned), algorithm: text("alg").map(str::to_owned), public })
}

/// Without zeros before the number.
fn unpadded(mut bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.drain(..zeros);
    bytes
}

impl Public {
    fn verifies(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        let plain = |how: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(how, key).verify(message, signature).is_ok()
        };
        match (self, algorithm) {
            (Public::Rsa { n, e }, _) => {
                let how = match algorithm {
                    "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
                    "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
                    "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
                    "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
                    "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
                    "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
                    _ => return false,
                };
                RsaPublicKeyComponents { n, e }.verify(how, message, signature).is_ok()
            }
            (Public::P256(point), "ES256") => plain(&signature::ECDSA_P256_SHA256_FIXED, point),
            (Public::P384(point), "ES384") => plain(&signature::ECDSA_P384_SHA384_FIXED, point),
            (Public::Ed25519(key), "EdDSA") => plain(&signature::ED25519, key),
            _ => false,
        }
    }
}
