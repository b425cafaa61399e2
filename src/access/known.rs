//! The credentials that the cluster knows: those of users in the metadata, and those that follow from delegation tokens.

use super::{Credentials, Token};
use crate::config::Live;
use crate::controller::token_hmac;
use crate::metadata::{Image, Store};
use crate::model::{ScramCredential, ScramMechanism};
use crate::rt::clock;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

/// See the module.
pub struct Known {
    store: Arc<Store>,
    config: Arc<Live>,
    /// Of tokens that somebody logged in with: salting takes milliseconds, which nobody should be able to ask for again and
    /// again. Never more than there are tokens, twice.
    salted: Mutex<BTreeMap<(String, ScramMechanism), ScramCredential>>,
}

impl Known {
    #[must_use]
    pub fn new(store: Arc<Store>, config: Arc<Live>) -> Known {
        Known { store, config, salted: Mutex::default() }
    }

    /// To a client the password of a token is its HMAC in base64; the salt is one that only we could have drawn.
    fn salted(&self, secret: &[u8], mechanism: ScramMechanism, id: &str, image: &Image) -> ScramCredential {
        let key = (id.to_owned(), mechanism);
        if let Some(known) = self.salted.lock().get(&key) {
            return known.clone();
        }
        let iterations = NonZeroU32::new(mechanism.iterations_min()).unwrap_or(NonZeroU32::MIN);
        let salt = mechanism.hmac(secret, format!("salt of {id} for {mechanism}").as_bytes());
        let password = STANDARD.encode(token_hmac(secret, id));
        let salted = mechanism.salted_password(&password, &salt, iterations);
        let credential = ScramCredential::of_salted(mechanism, &salted, &salt, iterations.get());
        let mut known = self.salted.lock();
        known.insert(key, credential.clone());
        if known.len() > image.tokens.len() * ScramMechanism::ALL.len() {
            known.retain(|(id, _), _| image.tokens.contains_key(id));
        }
        credential
    }
}

impl Credentials for Known {
    fn scram(&self, mechanism: ScramMechanism, user: &str) -> Option<ScramCredential> {
        self.store.load().scram_credential(mechanism, user).cloned()
    }

    fn token(&self, mechanism: ScramMechanism, token_id: &str) -> Option<Token> {
        let config = self.config.load();
        let secret = config.settings().tokens.secret.as_ref()?;
        let image = self.store.load();
        let token = image.tokens.get(token_id).filter(|token| !token.is_expired(clock::now_ms()))?;
        let credential = self.salted(secret, mechanism, token_id, &image);
        Some(Token { credential, owner: token.owner.clone(), expires: token.expires })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::{BrokerConfig, Values};
    use crate::metadata::DelegationToken;
    use crate::model::{Principal, TimestampMs};

    fn known(secret: Option<&str>, expires: i64) -> Known {
        let values = secret.map(|secret| ("delegation.token.secret.key".to_owned(), secret.to_owned()));
        let config = BrokerConfig::new(values.into_iter().collect::<Values>()).unwrap();
        let mut image = Image::default();
        let token = DelegationToken {
            id: "t".into(),
            owner: Principal::user("alice"),
            requester: Principal::user("bob"),
            renewers: vec![],
            issued: TimestampMs(0),
            max: TimestampMs(i64::MAX),
            expires: TimestampMs(expires),
        };
        image.tokens.insert("t".into(), Arc::new(token));
        Known::new(Arc::new(Store::new(image)), Arc::new(Live::new(config)))
    }

    #[test]
    fn a_token_is_a_user_whose_password_is_its_hmac_in_base64() {
        let known = known(Some("secret"), i64::MAX);
        for mechanism in ScramMechanism::ALL {
            let token = known.token(mechanism, "t").unwrap();
            assert_eq!((token.owner, token.expires), (Principal::user("alice"), TimestampMs(i64::MAX)));
            let ScramCredential { salt, iterations, .. } = token.credential.clone();
            let password = STANDARD.encode(token_hmac(b"secret", "t"));
            let salted = mechanism.salted_password(&password, &salt, NonZeroU32::new(iterations).unwrap());
            assert_eq!(ScramCredential::of_salted(mechanism, &salted, &salt, iterations), token.credential);
            assert_eq!(known.token(mechanism, "t").unwrap().credential, token.credential);
        }
    }

    #[test]
    fn no_login_with_a_token_that_is_over_or_unknown_or_without_a_secret() {
        let mechanism = ScramMechanism::Sha256;
        assert_eq!(known(Some("secret"), 1).token(mechanism, "t"), None);
        assert_eq!(known(None, i64::MAX).token(mechanism, "t"), None);
        assert_eq!(known(Some("secret"), i64::MAX).token(mechanism, "u"), None);
    }
}
