//! PLAIN (RFC 4616), with the users of a JAAS string.
//!
//! Every comparison takes the same time whether the user exists or not: passwords are compared as hashes keyed with what
//! only this process knows, and an unknown user is compared with a password that nobody has.

use super::jaas::Module;
use super::mechanism::{Identity, Refused, Step, constant_time_eq};
use crate::model::Principal;
use ring::hmac;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Users and what their passwords hash to with a key of this process.
pub struct Users {
    key: hmac::Key,
    users: BTreeMap<String, hmac::Tag>,
    nobody: hmac::Tag,
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Users({})", self.users.len())
    }
}

impl Users {
    /// The `user_<name>` options of `PlainLoginModule`. `pepper` is random and kept while the broker runs.
    #[must_use]
    pub fn new(modules: &[Module], pepper: &[u8]) -> Users {
        const MODULE: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";
        let key = hmac::Key::new(hmac::HMAC_SHA256, pepper);
        let options = modules.iter().filter(|module| module.class == MODULE).flat_map(|module| &module.options);
        let mut users = BTreeMap::new();
        for (name, password) in options.filter_map(|(name, value)| Some((name.strip_prefix("user_")?, value))) {
            users.entry(name.to_owned()).or_insert_with(|| hmac::sign(&key, password.as_bytes()));
        }
        // No password is this: a password has no NUL.
        let nobody = hmac::sign(&key, b"\0");
        Users { key, users, nobody }
    }

    fn is_password(&self, user: &str, password: &str) -> bool {
        let shown = hmac::sign(&self.key, password.as_bytes());
        let expected = self.users.get(user).unwrap_or(&self.nobody);
        constant_time_eq(shown.as_ref(), expected.as_ref())
    }
}

/// One login.
#[derive(Debug)]
pub struct Plain {
    users: Arc<Users>,
}

impl Plain {
    pub(super) fn new(users: Arc<Users>) -> Plain {
        Plain { users }
    }

    pub(super) fn step(&mut self, bytes: &[u8]) -> Step {
        let says = |text: &str| Step::Refused(Refused::Saying(text.to_owned()));
        let text = String::from_utf8_lossy(bytes);
        // Kafka looks at no more than four.
        let parts: Vec<&str> = text.splitn(5, '\0').take(4).collect();
        let [authorization, user, password] = parts[..] else {
            return says(&format!("Invalid SASL/PLAIN response: expected 3 tokens, got {}", parts.len()));
        };
        if user.is_empty() {
            return says("Authentication failed: username not specified");
        }
        if password.is_empty() {
            return says("Authentication failed: password not specified");
        }
        if !self.users.is_password(user, password) {
            return says("Authentication failed: Invalid username or password");
        }
        if !authorization.is_empty() && authorization != user {
            return says("Authentication failed: Client requested an authorization id that is different from username");
        }
        Step::Done(Vec::new(), Identity { principal: Principal::user(user), by_token: false, expires: None })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::access::jaas;

    fn answer(bytes: &[u8]) -> Result<String, String> {
        let modules = jaas::parse(
            "org.apache.kafka.common.security.plain.PlainLoginModule required username=broker password=own \
             user_alice=\"wonder land\" user_empty=\"\";",
        );
        let users = Users::new(&modules.unwrap(), b"pepper");
        match Plain::new(Arc::new(users)).step(bytes) {
            Step::Done(_, identity) => Ok(identity.principal.to_string()),
            Step::Refused(Refused::Saying(text)) => Err(text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn who_knows_the_password_is_let_in_under_the_own_name_only() {
        assert_eq!(answer(b"\0alice\0wonder land").unwrap(), "User:alice");
        assert_eq!(answer(b"alice\0alice\0wonder land").unwrap(), "User:alice");
        assert!(answer(b"root\0alice\0wonder land").unwrap_err().contains("authorization id"));
    }

    #[test]
    fn an_unknown_user_a_wrong_password_and_an_empty_one_are_one_answer() {
        let wrong = "Authentication failed: Invalid username or password";
        for bytes in [&b"\0alice\0x"[..], b"\0mallory\0x", b"\0broker\0own", b"\0alice\0wonder lan", b"\0empty\0x"] {
            assert_eq!(answer(bytes).unwrap_err(), wrong);
        }
        assert_eq!(answer(b"\0alice\0").unwrap_err(), "Authentication failed: password not specified");
        assert_eq!(answer(b"\0\0x").unwrap_err(), "Authentication failed: username not specified");
    }

    #[test]
    fn what_is_not_three_tokens_is_refused_with_their_number() {
        let fault = |n: usize| format!("Invalid SASL/PLAIN response: expected 3 tokens, got {n}");
        for (bytes, n) in [(&b""[..], 1), (b"alice", 1), (b"\0alice", 2), (b"\0a\0b\0c", 4), (b"\0\0\0\0\0\0", 4)] {
            assert_eq!(answer(bytes).unwrap_err(), fault(n));
        }
        assert!(answer(&[0xff, 0, 0xfe, 0, 0xfd]).is_err());
    }

    #[test]
    fn users_show_neither_names_nor_passwords() {
        let modules =
            jaas::parse("org.apache.kafka.common.security.plain.PlainLoginModule required user_a=b;").unwrap();
        assert_eq!(format!("{:?}", Users::new(&modules, b"p")), "Users(1)");
    }
}
