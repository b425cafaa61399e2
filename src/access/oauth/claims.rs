//! What a token says, and whether that is enough.

use super::jwks::KeySet;
use super::{Accepted, Fault};
use crate::access::jaas::Module;
use crate::model::TimestampMs;
use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use std::sync::Arc;

type Claims = Map<String, Value>;

/// A token's three parts, decoded.
struct Jws<'a> {
    header: Claims,
    claims: Claims,
    /// Header and claims as they were signed.
    signed: &'a str,
    signature: Vec<u8>,
}

fn decoded(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).or_else(|_| URL_SAFE.decode(part)).ok()
}

fn object(part: &str) -> Option<Claims> {
    match serde_json::from_slice(&decoded(part)?).ok()? {
        Value::Object(claims) => Some(claims),
        _ => None,
    }
}

impl Jws<'_> {
    fn parse(token: &str) -> Result<Jws<'_>, Fault> {
        let fault = Fault::Token("it is not three parts of base64 with JSON in the first two");
        let parsed = || {
            let (signed, signature) = token.rsplit_once('.')?;
            let (header, claims) = signed.split_once('.')?;
            Some(Jws { header: object(header)?, claims: object(claims)?, signed, signature: decoded(signature)? })
        };
        parsed().ok_or(fault)
    }
}

/// A time claim, in milliseconds. `Err` if it is there and not a number.
fn time(claims: &Claims, name: &str) -> Result<Option<f64>, Fault> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_f64().map(|s| Some(s * 1000.0)).ok_or(Fault::Token("a time is not a number")),
    }
}

/// A string, or the strings of a list.
fn strings(value: Option<&Value>) -> Option<Vec<&str>> {
    match value? {
        Value::String(text) => Some(vec![text]),
        Value::Array(items) => items.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

fn text<'a>(claims: &'a Claims, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty())
}

/// Kafka's rules for tokens that nobody signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsecured {
    principal_claim: String,
    scope_claim: String,
    required_scope: Vec<String>,
    skew_ms: u32,
}

impl Unsecured {
    /// From the options of `OAuthBearerLoginModule`.
    ///
    /// # Errors
    /// A clock skew that is none.
    pub fn new(module: &Module) -> Result<Unsecured, String> {
        let option = |name: &str| module.option(&format!("unsecuredValidator{name}"));
        let skew = option("AllowableClockSkewMs").unwrap_or("0");
        let bad =
            || format!("unsecuredValidatorAllowableClockSkewMs is {skew}: write a number of milliseconds, 0 or more");
        Ok(Unsecured {
            principal_claim: option("PrincipalClaimName").unwrap_or("sub").to_owned(),
            scope_claim: option("ScopeClaimName").unwrap_or("scope").to_owned(),
            required_scope: option("RequiredScope").unwrap_or("").split_whitespace().map(str::to_owned).collect(),
            skew_ms: skew.parse::<i32>().ok().and_then(|skew| skew.try_into().ok()).ok_or_else(bad)?,
        })
    }

    pub(super) fn check(&self, token: &str, now: TimestampMs) -> Result<Accepted, Fault> {
        let jws = Jws::parse(token)?;
        let claims = &jws.claims;
        if jws.header.get("alg").and_then(Value::as_str) != Some("none") || !jws.signature.is_empty() {
            return Err(Fault::Token("it is signed, and only unsecured tokens are accepted here"));
        }
        let subject = text(claims, &self.principal_claim).ok_or(Fault::Token("it names nobody"))?;
        let (now, skew) = (now.0 as f64, f64::from(self.skew_ms));
        let expires = time(claims, "exp")?.ok_or(Fault::Token("it never expires"))?;
        let issued = time(claims, "iat")?;
        if issued.is_some_and(|issued| issued > now + skew) {
            return Err(Fault::Token("it was issued in the future"));
        }
        if now - skew >= expires {
            return Err(Fault::Token("it has expired"));
        }
        if issued.is_some_and(|issued| expires <= issued) {
            return Err(Fault::Token("it expires before it was issued"));
        }
        // One string is one scope here, whatever blanks it has.
        let scopes = strings(claims.get(&self.scope_claim)).unwrap_or_default();
        if self.required_scope.iter().any(|required| !scopes.iter().any(|scope| scope.trim() == required)) {
            return Err(Fault::Scope(format!("[{}]", self.required_scope.join(", "))));
        }
        Ok(Accepted { subject: subject.to_owned(), expires: TimestampMs(expires as i64) })
    }
}

/// Kafka's rules for tokens that a key of a JWKS has signed.
#[derive(Debug)]
pub struct Signed {
    pub keys: Arc<KeySet>,
    /// Empty: the token must not name an audience.
    pub audiences: Vec<String>,
    pub issuer: Option<String>,
    pub skew_seconds: u32,
    pub scope_claim: String,
    pub subject_claim: String,
}

impl Signed {
    pub(super) fn check(&self, token: &str, now: TimestampMs) -> Result<Accepted, Fault> {
        let jws = Jws::parse(token)?;
        let claims = &jws.claims;
        let algorithm = jws.header.get("alg").and_then(Value::as_str).ok_or(Fault::Token("it names no algorithm"))?;
        if jws.header.contains_key("crit") {
            return Err(Fault::Token("it demands extensions"));
        }
        let key_id = match jws.header.get("kid") {
            None => None,
            Some(Value::String(id)) => Some(id.as_str()),
            Some(_) => return Err(Fault::Token("its key has no name")),
        };
        if !self.keys.verify(algorithm, key_id, jws.signed.as_bytes(), &jws.signature) {
            return Err(Fault::Token("no key of the JWKS has signed it"));
        }
        let (now, skew) = ((now.0 / 1000) as f64 * 1000.0, f64::from(self.skew_seconds) * 1000.0);
        let expires = time(claims, "exp")?.ok_or(Fault::Token("it never expires"))?;
        let issued = time(claims, "iat")?.ok_or(Fault::Token("it does not say when it was issued"))?;
        let begins = time(claims, "nbf")?;
        if expires < 0.0 || issued < 0.0 {
            return Err(Fault::Token("a time is negative"));
        }
        if now - skew >= expires {
            return Err(Fault::Token("it has expired"));
        }
        if begins.is_some_and(|begins| now + skew < begins) {
            return Err(Fault::Token("it is not valid yet"));
        }
        if expires < issued || begins.is_some_and(|begins| expires < begins) {
            return Err(Fault::Token("it expires before it begins"));
        }
        let audiences = match claims.get("aud") {
            None => None,
            given => Some(strings(given).ok_or(Fault::Token("its audience is no text"))?),
        };
        let meant = match &audiences {
            Some(named) => named.iter().any(|one| self.audiences.iter().any(|expected| expected == one)),
            None => self.audiences.is_empty(),
        };
        if !meant {
            return Err(Fault::Token("it is for another audience"));
        }
        if let Some(expected) = &self.issuer
            && claims.get("iss").and_then(Value::as_str) != Some(expected)
        {
            return Err(Fault::Token("it is from another issuer"));
        }
        let scopes = strings(claims.get(&self.scope_claim)).unwrap_or_default();
        let blank = scopes.iter().any(|scope| scope.trim().is_empty());
        if blank
            || scopes.iter().enumerate().any(|(at, one)| scopes[..at].iter().any(|other| other.trim() == one.trim()))
        {
            return Err(Fault::Token("a scope is blank or there twice"));
        }
        let subject = text(claims, &self.subject_claim).ok_or(Fault::Token("it names nobody"))?;
        Ok(Accepted { subject: subject.trim().to_owned(), expires: TimestampMs(expires as i64) })
    }
}
