//! Keys for tokens, from where `sasl.oauthbearer.jwks.endpoint.url` says: fetched at once, then every so often, and when a
//! token names a key that is not there.

use crate::access::KeySource;
use crate::rt::fs::Fs;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, HOST};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The largest document that is read.
const DOCUMENT_MAX: usize = 1024 * 1024;
/// How long a fetch may take.
const FETCH_MAX: Duration = Duration::from_secs(10);
/// A set is fetched for an unknown key no more often than this: anybody can make up names of keys.
const UNKNOWN_PAUSE: Duration = Duration::from_secs(10);

/// Keeps the keys of `source` fresh, for ever.
pub(super) async fn keep(source: KeySource, fs: Arc<dyn Fs>) {
    let mut backoff = source.backoff;
    loop {
        match tokio::time::timeout(FETCH_MAX, fetch(&source.url, &fs)).await {
            Ok(Ok(document)) => match source.keys.replace(&document) {
                Ok(count) => {
                    tracing::info!(url = source.url, count, "keys for tokens were fetched");
                    backoff = source.backoff;
                    tokio::time::sleep(UNKNOWN_PAUSE.min(source.refresh)).await;
                    // Sooner for a key that is asked for.
                    let left = source.refresh.saturating_sub(UNKNOWN_PAUSE);
                    let _ = tokio::time::timeout(left, source.keys.unknown.notified()).await;
                    continue;
                }
                Err(fault) => tracing::warn!(url = source.url, %fault, "the keys for tokens cannot be used"),
            },
            Ok(Err(fault)) => tracing::warn!(url = source.url, fault, "the keys for tokens were not fetched"),
            Err(_) => tracing::warn!(url = source.url, "the keys for tokens did not come in time"),
        }
        tokio::time::sleep(backoff.max(Duration::from_millis(1))).await;
        backoff = (backoff * 2).min(source.backoff_max);
    }
}

async fn fetch(url: &str, fs: &Arc<dyn Fs>) -> Result<Vec<u8>, String> {
    if let Some(path) = url.strip_prefix("file:") {
        let path = format!("/{}", path.trim_start_matches('/'));
        let fs = Arc::clone(fs);
        let read = tokio::task::spawn_blocking(move || fs.read(Path::new(&path))).await;
        return read.map_err(|error| error.to_string())?.map_err(|error| error.to_string());
    }
    let uri: hyper::Uri = url.parse().map_err(|_| "it is not an address".to_owned())?;
    let host = uri.host().ok_or("it has no host")?;
    let secure = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let name = host.trim_matches(['[', ']']);
    let stream = TcpStream::connect((name, port)).await.map_err(|error| error.to_string())?;
    if !secure {
        return get(stream, &uri).await;
    }
    let name = ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())?;
    let config = system_trust()?;
    let stream = TlsConnector::from(config).connect(name, stream).await.map_err(|error| error.to_string())?;
    get(stream, &uri).await
}

/// Whom this machine trusts.
fn system_trust() -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

async fn get(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    uri: &hyper::Uri,
) -> Result<Vec<u8>, String> {
    let text = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(text)?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let request = Request::get(path).header(HOST, authority).header(ACCEPT, "application/json");
    let request = request.body(Empty::<bytes::Bytes>::new()).map_err(|error| error.to_string())?;
    let ask = async {
        let response = sender.send_request(request).await.map_err(text)?;
        if !response.status().is_success() {
            return Err(format!("the answer was {}", response.status()));
        }
        let body = Limited::new(response.into_body(), DOCUMENT_MAX).collect().await;
        Ok(body.map_err(|error| error.to_string())?.to_bytes().to_vec())
    };
    tokio::pin!(ask);
    tokio::select! {
        answer = &mut ask => answer,
        // It ends when the server closes; what came is still to be read.
        _ = connection => ask.await,
    }
}
