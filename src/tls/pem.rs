//! PEM as Kafka reads it (`DefaultSslEngineFactory.PemStore`): blocks among any other text, keys as PKCS #8, with or without
//! a password. Keys in older forms (`RSA PRIVATE KEY`, `EC PRIVATE KEY`) are taken too, where rustls can.

use super::{BadTls, bad};
use p12_keystore::Pkcs12Archive;
use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// All certificates, in their order; at least one.
pub(super) fn certificates(text: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, BadTls> {
    match CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>() {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => {
            bad(format!("{what} contains no certificate: it needs at least one, between BEGIN and END CERTIFICATE"))
        }
        Err(_) => bad(format!("{what} cannot be read: a block in it is not PEM")),
    }
}

/// The key, opened with `password` if it has one.
pub(super) fn key(text: &[u8], password: Option<&str>, what: &str) -> Result<PrivateKeyDer<'static>, BadTls> {
    // The one kind of block that rustls does not know.
    if let Some(block) = encrypted(text) {
        let Some(password) = password else {
            return bad(format!("the key in {what} is encrypted: set ssl.key.password"));
        };
        return match opened(&block, password) {
            Some(key) => Ok(PrivatePkcs8KeyDer::from(key).into()),
            None => bad(format!(
                "the key in {what} cannot be opened: ssl.key.password is wrong, or it is encrypted in a way that is not \
                 supported (PBES2 and PBE-SHA1-3DES are)"
            )),
        };
    }
    PrivateKeyDer::from_pem_slice(text).or_else(|_| {
        bad(format!("{what} contains no private key: it needs one as PKCS #8, between BEGIN and END PRIVATE KEY"))
    })
}

fn encrypted(text: &[u8]) -> Option<Vec<u8>> {
    const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
    let text = String::from_utf8_lossy(text);
    let (_, rest) = text.split_once(BEGIN)?;
    let (body, _) = rest.split_once("-----END ENCRYPTED PRIVATE KEY-----")?;
    // As a block of a kind that is known, to be decoded by the same rules.
    let known = format!("-----BEGIN PRIVATE KEY-----{body}-----END PRIVATE KEY-----\n");
    let (kind, bytes) = <(SectionKind, Vec<u8>)>::from_pem_slice(known.as_bytes()).ok()?;
    (kind == SectionKind::PrivateKey).then_some(bytes)
}

/// Opens an `EncryptedPrivateKeyInfo`, which is what a PKCS #12 store has for a key: in a store of its own.
fn opened(block: &[u8], password: &str) -> Option<Vec<u8>> {
    const DATA: &[u8] = &[0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
    const KEY_BAG: &[u8] = &[0x06, 11, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 10, 1, 2];
    const VERSION: &[u8] = &[0x02, 1, 3];
    let bags = der(0x30, &[&der(0x30, &[KEY_BAG, &der(0xa0, &[block])])]);
    let safes = der(0x30, &[&data(DATA, &bags)]);
    let store = der(0x30, &[VERSION, &data(DATA, &safes)]);
    let archive = Pkcs12Archive::from_pkcs12(&store, password).ok()?;
    archive.keys.first().map(|bag| bag.key.as_der().to_vec())
}

/// A `ContentInfo` with bytes.
fn data(oid: &[u8], content: &[u8]) -> Vec<u8> {
    der(0x30, &[oid, &der(0xa0, &[&der(0x04, &[content])])])
}

/// A value of DER.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
    let head: Vec<u8> = match length {
        [0, 0, 0, short] if short < 0x80 => vec![tag, short],
        [0, 0, 0, one] => vec![tag, 0x81, one],
        [0, 0, high, low] => vec![tag, 0x82, high, low],
        [0, a, b, c] => vec![tag, 0x83, a, b, c],
        [a, b, c, d] => vec![tag, 0x84, a, b, c, d],
    };
    [head, content].concat()
}
