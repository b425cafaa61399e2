//! PEM as Kafka reads it (`DefaultSslEngineFactory.PemStore`): blocks among any other text, keys as PKCS #8, with or without
//! a password. Keys in older forms (`RSA PRIVATE KEY`, `EC PRIVATE KEY`) are taken too, where rustls can.

use super::{BadTls, bad};
use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

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
        let opened = EncryptedPrivateKeyInfoRef::try_from(&block[..]).ok().and_then(|info| info.decrypt(password).ok());
        return match opened {
            Some(key) => Ok(PrivateKeyDer::Pkcs8(key.as_bytes().to_vec().into())),
            None => bad(format!(
                "the key in {what} cannot be opened: ssl.key.password is wrong, or its encryption is not PBES2"
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
