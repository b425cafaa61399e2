//! Where the mechanisms look up what they check a login against.

use crate::model::{Principal, ScramCredential, ScramMechanism, TimestampMs};
use std::fmt;

/// What SCRAM checks a login against: the metadata image in production.
pub trait Credentials: Send + Sync {
    /// What is known of `user` in `mechanism`.
    fn scram(&self, mechanism: ScramMechanism, user: &str) -> Option<ScramCredential>;

    /// The delegation token of that id, if there is one that has not expired. (SCRAM knows it as a user whose password is
    /// the token's HMAC.)
    fn token(&self, mechanism: ScramMechanism, token_id: &str) -> Option<Token>;
}

/// What a login with a delegation token is checked against, and what it gives.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    pub credential: ScramCredential,
    /// Whom the token makes the connection.
    pub owner: Principal,
    /// When the token, and with it the session, ends.
    pub expires: TimestampMs,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("owner", &self.owner).field("expires", &self.expires).finish_non_exhaustive()
    }
}
