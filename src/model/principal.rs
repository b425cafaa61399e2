//! Who somebody is: the principal of a client, and the credentials that SCRAM knows a user by.

use std::fmt;
use std::sync::Arc;

/// An authenticated identity: a type and a name (`KafkaPrincipal`). Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal {
    kind: Arc<str>,
    name: Arc<str>,
}

impl Principal {
    /// The type of every principal that a login makes.
    pub const USER: &str = "User";

    #[must_use]
    pub fn new(kind: &str, name: &str) -> Principal {
        Principal { kind: Arc::from(kind), name: Arc::from(name) }
    }

    #[must_use]
    pub fn user(name: &str) -> Principal {
        Principal::new(Principal::USER, name)
    }

    /// Who did not log in.
    #[must_use]
    pub fn anonymous() -> Principal {
        Principal::user("ANONYMOUS")
    }

    /// `Type:name`; the name may contain colons (`SecurityUtils.parseKafkaPrincipal`). `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Principal> {
        let (kind, name) = text.split_once(':')?;
        Some(Principal::new(kind, name))
    }

    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.name)
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A SCRAM mechanism, with the number that records and requests know it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScramMechanism {
    Sha256,
    Sha512,
}

impl ScramMechanism {
    pub const ALL: [ScramMechanism; 2] = [ScramMechanism::Sha256, ScramMechanism::Sha512];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ScramMechanism::Sha256 => "SCRAM-SHA-256",
            ScramMechanism::Sha512 => "SCRAM-SHA-512",
        }
    }

    /// The mechanism of exactly this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<ScramMechanism> {
        ScramMechanism::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }

    #[must_use]
    pub fn id(self) -> i8 {
        match self {
            ScramMechanism::Sha256 => 1,
            ScramMechanism::Sha512 => 2,
        }
    }

    #[must_use]
    pub fn from_id(id: i8) -> Option<ScramMechanism> {
        ScramMechanism::ALL.into_iter().find(|mechanism| mechanism.id() == id)
    }

    /// Fewer iterations than this are not accepted for a credential.
    #[must_use]
    pub fn iterations_min(self) -> u32 {
        4096
    }

    /// More iterations than this are not accepted.
    #[must_use]
    pub fn iterations_max(self) -> u32 {
        16384
    }

    /// Length of the hash, and so of every key, in bytes.
    #[must_use]
    pub fn key_bytes(self) -> usize {
        match self {
            ScramMechanism::Sha256 => 32,
            ScramMechanism::Sha512 => 64,
        }
    }
}

impl fmt::Display for ScramMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a server keeps of a password (RFC 5802): enough to check it, not to log in with it elsewhere.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramCredential {
    pub salt: Arc<[u8]>,
    pub stored_key: Arc<[u8]>,
    pub server_key: Arc<[u8]>,
    pub iterations: u32,
}

impl fmt::Debug for ScramCredential {
    /// Never the keys: this may end in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramCredential").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_principal_is_its_type_and_everything_after_the_first_colon() {
        for text in ["User:ANONYMOUS", "User:CN=a:b,O=c", "Group:x", ":", "User:"] {
            assert_eq!(Principal::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Principal::parse("alice"), None);
        assert_eq!(Principal::parse("User:a:b").unwrap().name(), "a:b");
        assert_eq!(Principal::parse("User:ANONYMOUS").unwrap(), Principal::anonymous());
    }

    #[test]
    fn a_mechanism_is_known_by_its_exact_name_and_its_number() {
        for mechanism in ScramMechanism::ALL {
            assert_eq!(ScramMechanism::parse(mechanism.name()), Some(mechanism));
            assert_eq!(ScramMechanism::from_id(mechanism.id()), Some(mechanism));
        }
        assert_eq!(ScramMechanism::parse("scram-sha-256"), None);
        assert_eq!(ScramMechanism::from_id(0), None);
    }

    #[test]
    fn a_credential_shows_no_key() {
        let key: Arc<[u8]> = Arc::from(&b"\xde\xad\xbe\xef"[..]);
        let credential =
            ScramCredential { salt: key.clone(), stored_key: key.clone(), server_key: key, iterations: 4096 };
        assert_eq!(format!("{credential:?}"), "ScramCredential { iterations: 4096, .. }");
    }
}
