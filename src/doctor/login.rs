//! A login by SASL: SaslHandshake, then the messages of the mechanism.

use super::machine::facts::NoLogin;
use crate::access::client_login;
use crate::config::client::ClientSasl;
use crate::model::ErrorCode;
use crate::peer::foreign::{Foreign, Odd};
use bytes::Bytes;

/// Most messages of a mechanism that has not come to an end.
const MESSAGES_MAX: usize = 8;

/// Logs in with what the settings say.
pub(super) async fn log_in(connection: &mut Foreign, sasl: &ClientSasl) -> Result<(), NoLogin> {
    let mechanism = client_login(&sasl.mechanism, &sasl.jaas).map_err(NoLogin::Settings)?;
    shake(connection, mechanism.name()).await?;
    let mut exchange = mechanism.begin();
    let mut message = exchange.step(&[]).map_err(NoLogin::Untrusted)?;
    for _ in 0..MESSAGES_MAX {
        let Some(bytes) = message else { return Ok(()) };
        let answer = match connection.authenticate(Bytes::from(bytes)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(refused)) => return Err(NoLogin::Refused(refused)),
            Err(Odd::Closed) => return Err(NoLogin::Closed),
            Err(odd) => return Err(NoLogin::Odd(odd)),
        };
        message = exchange.step(&answer).map_err(NoLogin::Untrusted)?;
    }
    Err(NoLogin::Untrusted(format!("the login by {} comes to no end", mechanism.name())))
}

/// The mechanisms that a listener has.
pub(super) async fn offered(connection: &mut Foreign) -> Result<Vec<String>, NoLogin> {
    shake(connection, "PLAIN").await
}

async fn shake(connection: &mut Foreign, mechanism: &str) -> Result<Vec<String>, NoLogin> {
    let (error, offered) = connection.handshake(mechanism).await.map_err(NoLogin::Odd)?;
    match error {
        ErrorCode::NONE => Ok(offered),
        ErrorCode::UNSUPPORTED_SASL_MECHANISM => Err(NoLogin::Mechanism(offered)),
        ErrorCode::ILLEGAL_SASL_STATE => Err(NoLogin::NotWanted),
        other => Err(NoLogin::Odd(Odd::Malformed(format!("SaslHandshake: {}", other.name())))),
    }
}
