//! Delegation tokens (`DelegationTokenControlManager`): made, renewed, ended, swept when they are over.
//!
//! A token is known to clients by its HMAC under `delegation.token.secret.key`, which is worked out and not kept.

use super::Decision;
use crate::config::settings::Tokens;
use crate::controller::request::ApiError;
use crate::controller::security::{CreateToken, CreatedToken};
use crate::metadata::record::Record;
use crate::metadata::{DelegationToken, Image};
use crate::model::{ErrorCode, Principal, ScramMechanism, TimestampMs};
use bytes::Bytes;

/// `metadata.version` 3.6-IV2.
const TOKENS_LEVEL: i16 = 14;
/// Most tokens removed by one sweep.
pub(crate) const SWEEP_MAX: usize = 1000;

type Outcome<T> = Decision<Result<T, ApiError>>;

fn refuse<T>(code: ErrorCode) -> Outcome<T> {
    Decision { records: Vec::new(), answer: Err(ApiError::bare(code)) }
}

/// What a client shows to prove that it has the token `id`.
#[must_use]
pub fn hmac(secret: &[u8], id: &str) -> Bytes {
    Bytes::copy_from_slice(&ScramMechanism::Sha512.hmac(secret, id.as_bytes()))
}

fn secret<'a>(settings: &'a Tokens, image: &Image) -> Result<&'a Bytes, ErrorCode> {
    let secret = settings.secret.as_ref().ok_or(ErrorCode::DELEGATION_TOKEN_AUTH_DISABLED)?;
    if image.feature(super::features::METADATA_VERSION) < TOKENS_LEVEL {
        return Err(ErrorCode::UNSUPPORTED_VERSION);
    }
    Ok(secret)
}

/// The token with this HMAC. Every token is looked at whatever it is, so that the time taken tells nothing.
fn find<'a>(secret: &[u8], presented: &[u8], image: &'a Image) -> Option<&'a DelegationToken> {
    let mut found = None;
    for token in image.tokens.values() {
        let expected = hmac(secret, &token.id);
        if expected.len() == presented.len()
            && expected.iter().zip(presented).fold(0u8, |differ, (a, b)| differ | (a ^ b)) == 0
        {
            found = Some(token.as_ref());
        }
    }
    found
}

/// Decides CreateDelegationToken. `id` was drawn at random.
pub(crate) fn create(
    request: &CreateToken,
    id: String,
    now: TimestampMs,
    settings: &Tokens,
    image: &Image,
) -> Outcome<CreatedToken> {
    let secret = match secret(settings, image) {
        Ok(secret) => secret,
        Err(code) => return refuse(code),
    };
    if request.renewers.iter().any(|renewer| renewer.kind() != Principal::USER) {
        return refuse(ErrorCode::INVALID_PRINCIPAL_TYPE);
    }
    let mut lifetime = settings.lifetime_max_ms;
    if request.lifetime_ms > 0 {
        lifetime = lifetime.min(request.lifetime_ms);
    }
    let max = now.plus(lifetime);
    let expires = max.min(now.plus(settings.renewal_ms));
    let answer = CreatedToken { id: id.clone(), hmac: hmac(secret, &id), issued: now, expires, max };
    let token = DelegationToken {
        id,
        owner: request.owner.clone(),
        requester: request.requester.clone(),
        renewers: request.renewers.clone(),
        issued: now,
        max,
        expires,
    };
    Decision { records: vec![Record::DelegationToken(token)], answer: Ok(answer) }
}

/// Decides RenewDelegationToken: until when the token is valid now. A period not above 0 is as long as may be.
pub(crate) fn renew(
    presented: &[u8],
    period_ms: i64,
    by: &Principal,
    now: TimestampMs,
    settings: &Tokens,
    image: &Image,
) -> Outcome<TimestampMs> {
    let token = match theirs(presented, by, settings, image, |token| token.is_expired(now)) {
        Ok(token) => token,
        Err(code) => return refuse(code),
    };
    let period = if period_ms > 0 { settings.renewal_ms.min(period_ms) } else { settings.renewal_ms };
    set_expiry(token, now.plus(period))
}

/// Decides ExpireDelegationToken: until when the token is valid now. A negative period ends it at once, even one that
/// is over.
pub(crate) fn expire(
    presented: &[u8],
    period_ms: i64,
    by: &Principal,
    now: TimestampMs,
    settings: &Tokens,
    image: &Image,
) -> Outcome<TimestampMs> {
    let token = match theirs(presented, by, settings, image, |_| false) {
        Ok(token) => token,
        Err(code) => return refuse(code),
    };
    if period_ms < 0 {
        let records = vec![Record::RemoveDelegationToken { id: token.id.clone() }];
        return Decision { records, answer: Ok(now) };
    }
    if token.is_expired(now) {
        return refuse(ErrorCode::DELEGATION_TOKEN_EXPIRED);
    }
    set_expiry(token, now.plus(period_ms))
}

fn set_expiry(token: &DelegationToken, expires: TimestampMs) -> Outcome<TimestampMs> {
    let expires = token.max.min(expires);
    let records = vec![Record::DelegationToken(DelegationToken { expires, ..token.clone() })];
    Decision { records, answer: Ok(expires) }
}

/// The token of this HMAC, if `by` may change it.
fn theirs<'a>(
    presented: &[u8],
    by: &Principal,
    settings: &Tokens,
    image: &'a Image,
    too_late: impl FnOnce(&DelegationToken) -> bool,
) -> Result<&'a DelegationToken, ErrorCode> {
    let secret = secret(settings, image)?;
    let token = find(secret, presented, image).ok_or(ErrorCode::DELEGATION_TOKEN_NOT_FOUND)?;
    if too_late(token) {
        return Err(ErrorCode::DELEGATION_TOKEN_EXPIRED);
    }
    if token.is_of(by) { Ok(token) } else { Err(ErrorCode::DELEGATION_TOKEN_OWNER_MISMATCH) }
}

/// Removes tokens that are over, at most [`SWEEP_MAX`]; answers how many.
pub(crate) fn sweep(now: TimestampMs, image: &Image) -> Outcome<usize> {
    let over = image.tokens.values().filter(|token| token.is_expired(now)).take(SWEEP_MAX);
    let records: Vec<Record> = over.map(|token| Record::RemoveDelegationToken { id: token.id.clone() }).collect();
    let answer = Ok(records.len());
    Decision { records, answer }
}
