//! A login by SASL: SaslHandshake, then the messages of the mechanism.

use super::machine::facts::NoLogin;
use crate::access::jaas;
use crate::config::client::ClientSasl;
use crate::model::ErrorCode;
use crate::peer::foreign::{Foreign, Odd};
use bytes::Bytes;

/// Logs in with what the settings say.
pub(super) async fn log_in(connection: &mut Foreign, sasl: &ClientSasl) -> Result<(), NoLogin> {
    let message = plain(sasl).map_err(NoLogin::Settings)?;
    shake(connection, &sasl.mechanism).await?;
    match connection.authenticate(message).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(refused)) => Err(NoLogin::Refused(refused)),
        Err(Odd::Closed) => Err(NoLogin::Closed),
        Err(odd) => Err(NoLogin::Odd(odd)),
    }
}

/// The one message of PLAIN (RFC 4616).
fn plain(sasl: &ClientSasl) -> Result<Bytes, String> {
    let modules = jaas::parse(sasl.jaas.reveal()).map_err(|bad| format!("sasl.jaas.config cannot be read: {bad}"))?;
    let [module] = &modules[..] else { return Err("sasl.jaas.config has more than one login module".to_owned()) };
    let option = |name: &str| module.option(name).ok_or_else(|| format!("sasl.jaas.config has no {name}"));
    Ok(Bytes::from(format!("\0{}\0{}", option("username")?, option("password")?)))
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
