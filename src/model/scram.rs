//! The arithmetic of SCRAM (RFC 5802): from a password to what a server keeps of it.
//!
//! Passwords are taken as their UTF-8 bytes, not normalized, as Kafka does (`ScramFormatter`).

use super::{ScramCredential, ScramMechanism};
use ring::{digest, hmac, pbkdf2};
use std::num::NonZeroU32;
use std::sync::Arc;

impl ScramMechanism {
    /// The mechanism's HMAC of `bytes`, under a key of any length.
    #[must_use]
    pub fn hmac(self, key: &[u8], bytes: &[u8]) -> Arc<[u8]> {
        let algorithm = match self {
            ScramMechanism::Sha256 => hmac::HMAC_SHA256,
            ScramMechanism::Sha512 => hmac::HMAC_SHA512,
        };
        Arc::from(hmac::sign(&hmac::Key::new(algorithm, key), bytes).as_ref())
    }

    /// The mechanism's hash of `bytes`.
    #[must_use]
    pub fn hash(self, bytes: &[u8]) -> Arc<[u8]> {
        let algorithm = match self {
            ScramMechanism::Sha256 => &digest::SHA256,
            ScramMechanism::Sha512 => &digest::SHA512,
        };
        Arc::from(digest::digest(algorithm, bytes).as_ref())
    }

    /// `SaltedPassword`: slow on purpose, in proportion to `iterations` (some milliseconds for ten thousand).
    #[must_use]
    pub fn salted_password(self, password: &str, salt: &[u8], iterations: NonZeroU32) -> Vec<u8> {
        let algorithm = match self {
            ScramMechanism::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            ScramMechanism::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        };
        let mut salted = vec![0; self.key_bytes()];
        pbkdf2::derive(algorithm, iterations, salt, password.as_bytes(), &mut salted);
        salted
    }
}

impl ScramCredential {
    /// What is kept of a password that was salted with `salt` in so many iterations.
    #[must_use]
    pub fn of_salted(mechanism: ScramMechanism, salted: &[u8], salt: &[u8], iterations: u32) -> ScramCredential {
        ScramCredential {
            salt: Arc::from(salt),
            stored_key: mechanism.hash(&mechanism.hmac(salted, b"Client Key")),
            server_key: mechanism.hmac(salted, b"Server Key"),
            iterations,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    /// The exchanges of RFC 5802's successors for these hashes: RFC 7677, section 3.
    #[test]
    fn a_password_becomes_the_keys_of_rfc_7677() {
        let mechanism = ScramMechanism::Sha256;
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let salted = mechanism.salted_password("pencil", &salt, NonZeroU32::new(4096).unwrap());
        let credential = ScramCredential::of_salted(mechanism, &salted, &salt, 4096);
        let message = b"n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                        s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        assert_eq!(
            STANDARD.encode(mechanism.hmac(&credential.server_key, message)),
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
        let signature = mechanism.hmac(&credential.stored_key, message);
        let proof = STANDARD.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        let client_key: Vec<u8> = signature.iter().zip(&proof).map(|(a, b)| a ^ b).collect();
        assert_eq!(mechanism.hash(&client_key), credential.stored_key);
    }

    #[test]
    fn keys_are_as_long_as_the_hash() {
        for mechanism in ScramMechanism::ALL {
            let credential = ScramCredential::of_salted(mechanism, b"salted", b"salt", 4096);
            assert_eq!(credential.stored_key.len(), mechanism.key_bytes());
            assert_eq!(credential.server_key.len(), mechanism.key_bytes());
            assert_ne!(credential.stored_key, credential.server_key);
        }
    }
}
