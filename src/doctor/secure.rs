//! TLS as a client has it, and why not.

use super::machine::facts::NoTls;
use crate::peer::Stream;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, Error};
use std::io;
use std::time::Duration;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// TLS over a socket, and its version.
pub(super) async fn handshake<S: Stream>(
    tls: &TlsConnector,
    socket: S,
    host: &str,
    within: Duration,
) -> Result<(TlsStream<S>, String), NoTls> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| NoTls::Other(format!("{host} is no name that a certificate could have")))?;
    match timeout(within, tls.connect(name, socket)).await {
        Err(_) => Err(NoTls::TimedOut),
        Ok(Err(error)) => Err(of(&error)),
        Ok(Ok(stream)) => {
            let version = stream.get_ref().1.protocol_version().and_then(|version| version.as_str().map(str::to_owned));
            Ok((stream, version.map_or_else(|| "TLS".to_owned(), |name| name.replace("TLSv1_", "TLS 1."))))
        }
    }
}

/// Whether the other side speaks TLS, however it goes on.
pub(super) async fn speaks_tls(tls: &TlsConnector, socket: impl Stream, host: &str, within: Duration) -> bool {
    let name = ServerName::try_from(host.to_owned()).or_else(|_| ServerName::try_from("localhost"));
    let Ok(name) = name else { return false };
    match timeout(within, tls.connect(name, socket)).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => matches!(inner(&error), Some(Error::AlertReceived(_))),
        Err(_) => false,
    }
}

fn inner(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref::<Error>()
}

fn of(error: &io::Error) -> NoTls {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    match inner(error) {
        Some(fault) => self::fault(fault),
        None if matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof) => {
            NoTls::Closed
        }
        None => NoTls::Other(error.to_string()),
    }
}

/// What TLS says.
pub(super) fn fault(fault: &Error) -> NoTls {
    match fault {
        Error::InvalidCertificate(CertificateError::Expired) => NoTls::Expired(None),
        Error::InvalidCertificate(CertificateError::ExpiredContext { time, not_after }) => {
            NoTls::Expired(Some(time.as_secs().saturating_sub(not_after.as_secs())))
        }
        Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            NoTls::NotValidYet
        }
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => NoTls::UnknownIssuer,
        Error::InvalidCertificate(CertificateError::NotValidForName) => NoTls::WrongName(Vec::new()),
        Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) => {
            NoTls::WrongName(presented.clone())
        }
        Error::AlertReceived(alert) => NoTls::Alert(format!("{alert:?}")),
        other => NoTls::Other(other.to_string()),
    }
}
