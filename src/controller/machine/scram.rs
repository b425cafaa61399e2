//! Changing SCRAM credentials (`ScramControlManager`).
//!
//! A user may be named once in a request. Users whose change is refused do not keep the others' from being made.

use super::Decision;
use crate::controller::request::ApiError;
use crate::controller::security::{AlterScram, ScramDeletion, ScramUpsertion, UserOutcomes};
use crate::metadata::Image;
use crate::metadata::record::{Record, UserScramCredential};
use crate::model::{ErrorCode, ScramCredential, ScramMechanism};
use std::collections::BTreeMap;

/// `metadata.version` 3.5-IV2.
pub(crate) const SCRAM_LEVEL: i16 = 11;

/// Decides AlterUserScramCredentials: one outcome per user.
pub(crate) fn alter(request: &AlterScram, image: &Image) -> Decision<Result<UserOutcomes, ApiError>> {
    let mut changes: BTreeMap<&str, Result<Record, ApiError>> = BTreeMap::new();
    let deletions = request.deletions.iter().map(|one| (one.user.as_str(), Change::Delete(one)));
    let upsertions = request.upsertions.iter().map(|one| (one.user.as_str(), Change::Upsert(one)));
    for (user, change) in deletions.chain(upsertions) {
        let outcome = match changes.get(user) {
            Some(Err(_)) => continue,
            Some(Ok(_)) => Err(ApiError::new(
                ErrorCode::DUPLICATE_RESOURCE,
                "A user credential cannot be altered twice in the same request",
            )),
            None => decide(&change, image),
        };
        changes.insert(user, outcome);
    }
    let mut records = Vec::new();
    let mut answer = Vec::with_capacity(changes.len());
    for (user, outcome) in changes {
        answer.push((user.to_owned(), outcome.map(|record| records.push(record))));
    }
    Decision { records, answer: Ok(answer) }
}

enum Change<'a> {
    Delete(&'a ScramDeletion),
    Upsert(&'a ScramUpsertion),
}

fn decide(change: &Change<'_>, image: &Image) -> Result<Record, ApiError> {
    if image.feature(super::features::METADATA_VERSION) < SCRAM_LEVEL {
        let text = "The current metadata.version does not support SCRAM";
        return Err(ApiError::new(ErrorCode::UNSUPPORTED_VERSION, text));
    }
    match change {
        Change::Delete(ScramDeletion { user, mechanism }) => {
            let mechanism = check_name(user, *mechanism)?;
            if image.scram_credential(mechanism, user).is_none() {
                let text = "Attempt to delete a user credential that does not exist";
                return Err(ApiError::new(ErrorCode::RESOURCE_NOT_FOUND, text));
            }
            Ok(Record::RemoveScramCredential { user: user.clone(), mechanism })
        }
        Change::Upsert(ScramUpsertion { user, mechanism, iterations, salt, salted_password }) => {
            let mechanism = check_name(user, *mechanism)?;
            let refused = |text: &str| Err(ApiError::new(ErrorCode::UNACCEPTABLE_CREDENTIAL, text));
            let iterations = u32::try_from(*iterations).unwrap_or(0);
            if iterations < mechanism.iterations_min() {
                return refused("Too few iterations");
            }
            if iterations > mechanism.iterations_max() {
                return refused("Too many iterations");
            }
            if salted_password.is_empty() {
                // Java knows no empty HMAC key: Kafka fails here, and says nothing more.
                return Err(ApiError::bare(ErrorCode::UNKNOWN_SERVER_ERROR));
            }
            let credential = ScramCredential::of_salted(mechanism, salted_password, salt, iterations);
            Ok(Record::ScramCredential(UserScramCredential { user: user.clone(), mechanism, credential }))
        }
    }
}

fn check_name(user: &str, mechanism: i8) -> Result<ScramMechanism, ApiError> {
    if user.is_empty() {
        return Err(ApiError::new(ErrorCode::UNACCEPTABLE_CREDENTIAL, "Username must not be empty"));
    }
    ScramMechanism::from_id(mechanism)
        .ok_or_else(|| ApiError::new(ErrorCode::UNSUPPORTED_SASL_MECHANISM, "Unknown SCRAM mechanism"))
}
