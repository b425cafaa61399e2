//! What the controller is asked about users and clients, and what it answers: credentials, quotas, delegation tokens.

use super::request::ApiError;
use crate::metadata::QuotaName;
use crate::model::{Principal, TimestampMs};
use bytes::Bytes;
use std::fmt;

/// An AlterUserScramCredentials request.
#[derive(Clone, Debug, Default)]
pub struct AlterScram {
    pub deletions: Vec<ScramDeletion>,
    pub upsertions: Vec<ScramUpsertion>,
}

/// A credential to remove.
#[derive(Clone, Debug)]
pub struct ScramDeletion {
    pub user: String,
    /// As the client sent it: it may name no mechanism.
    pub mechanism: i8,
}

/// A credential to set.
#[derive(Clone)]
pub struct ScramUpsertion {
    pub user: String,
    /// As the client sent it: it may name no mechanism.
    pub mechanism: i8,
    pub iterations: i32,
    pub salt: Bytes,
    pub salted_password: Bytes,
}

impl fmt::Debug for ScramUpsertion {
    /// Not the password: this may end in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, mechanism, iterations, .. } = self;
        f.debug_struct("ScramUpsertion")
            .field("user", user)
            .field("mechanism", mechanism)
            .field("iterations", iterations)
            .finish_non_exhaustive()
    }
}

/// One outcome for each user that an AlterUserScramCredentials request names.
pub type UserOutcomes = Vec<(String, Result<(), ApiError>)>;

/// What a client says a quota belongs to: kinds and names in its order, to be checked.
pub type AskedEntity = Vec<(String, QuotaName)>;

/// One outcome for each entity that an AlterClientQuotas request names.
pub type QuotaOutcomes = Vec<(AskedEntity, Result<(), ApiError>)>;

/// The quotas to set (`Some`) or to remove (`None`) of one entity.
#[derive(Clone, Debug, PartialEq)]
pub struct QuotaAlteration {
    pub entity: AskedEntity,
    pub ops: Vec<(String, Option<f64>)>,
}

/// A CreateDelegationToken request, of a client that may have the token.
#[derive(Clone, Debug)]
pub struct CreateToken {
    pub owner: Principal,
    pub requester: Principal,
    pub renewers: Vec<Principal>,
    /// Not above 0: as long as may be.
    pub lifetime_ms: i64,
}

/// A delegation token that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedToken {
    pub id: String,
    pub hmac: Bytes,
    pub issued: TimestampMs,
    pub expires: TimestampMs,
    pub max: TimestampMs,
}
