//! HTTP for operators, on `admin.listener`: `/metrics` (OpenMetrics text), `/healthz` (the process
//! lives), `/readyz` (clients are served; 503 with the reason before that and while draining).
//!
//! No authentication: it listens on the loopback address unless told otherwise.

mod probe;

pub use probe::probe;

use crate::metrics::{CONTENT_TYPE, Metrics};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long open requests may take once the endpoint stops.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// Whether clients are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// Logs are opened, listeners are not bound yet.
    Starting = 0,
    /// Listeners serve.
    Serving = 1,
    /// Shutting down: no new connections, open requests are answered.
    Draining = 2,
}

/// The broker's stage, as `/readyz` tells it.
#[derive(Debug, Default)]
pub struct Health(AtomicU8);

impl Health {
    pub fn set(&self, stage: Stage) {
        self.0.store(stage as u8, Ordering::Relaxed);
    }

    #[must_use]
    pub fn stage(&self) -> Stage {
        match self.0.load(Ordering::Relaxed) {
            0 => Stage::Starting,
            1 => Stage::Serving,
            _ => Stage::Draining,
        }
    }
}

/// The endpoint's address cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "Cannot listen on {address} for admin.listener ({error}): choose another address with --set \
     admin.listener=HOST:PORT, or turn the endpoint off with --set admin.listener=."
)]
pub struct BindError {
    address: String,
    #[source]
    error: std::io::Error,
}

impl BindError {
    /// Somebody else listens there.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.error.kind() == std::io::ErrorKind::AddrInUse
    }
}

/// The running endpoint.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Admin {
    /// Binds and serves. Port 0 takes a free one.
    pub async fn start(host: &str, port: u16, metrics: Arc<Metrics>, health: Arc<Health>) -> Result<Admin, BindError> {
        let bind_error = |error| BindError { address: format!("{host}:{port}"), error };
        let host = if host.is_empty() { "0.0.0.0" } else { host };
        let listener = TcpListener::bind((host, port)).await.map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;
        let app = Router::new()
            .route("/metrics", get(show_metrics))
            .with_state(metrics)
            .route("/readyz", get(readiness).with_state(health))
            .route("/healthz", get(async || "ok\n"));
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let serving = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(stopped).await {
                tracing::warn!(%error, "admin endpoint stopped serving");
            }
        });
        Ok(Admin { address, stop, serving })
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, answers open requests, and ends within a second.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if tokio::time::timeout(STOP_WITHIN, &mut self.serving).await.is_err() {
            self.serving.abort();
        }
    }
}

async fn show_metrics(State(metrics): State<Arc<Metrics>>) -> Response {
    // With many partitions this is milliseconds of work: not on a thread that serves clients.
    match tokio::task::spawn_blocking(move || metrics.render()).await {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("metrics failed: {error}\n")).into_response(),
    }
}

async fn readiness(State(health): State<Arc<Health>>) -> (StatusCode, &'static str) {
    match health.stage() {
        Stage::Serving => (StatusCode::OK, "ready\n"),
        Stage::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting: listeners are not open yet\n"),
        Stage::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining: the broker is shutting down\n"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::TimestampMs;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    async fn start() -> (Admin, Arc<Metrics>, Arc<Health>) {
        let metrics = Metrics::new([(0, "Produce")], TimestampMs(0));
        let health = Arc::new(Health::default());
        let admin = Admin::start("127.0.0.1", 0, Arc::clone(&metrics), Arc::clone(&health)).await.unwrap();
        (admin, metrics, health)
    }

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn metrics_are_open_metrics_text() {
        let (admin, metrics, _) = start().await;
        metrics.api(0).request(10);
        let answer = get(admin.address(), "/metrics").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(
            answer.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
            "{answer}"
        );
        assert!(answer.contains("klamm_requests_total{api=\"Produce\"} 1"), "{answer}");
        admin.stop().await;
    }

    #[tokio::test]
    async fn readiness_follows_the_brokers_stage_and_health_does_not() {
        let (admin, _, health) = start().await;
        for (stage, status, word) in [
            (Stage::Starting, "503", "starting"),
            (Stage::Serving, "200", "ready"),
            (Stage::Draining, "503", "draining"),
        ] {
            health.set(stage);
            let answer = get(admin.address(), "/readyz").await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(word), "{stage:?}: {answer}");
            assert!(get(admin.address(), "/healthz").await.starts_with("HTTP/1.1 200"), "{stage:?}");
        }
        assert!(get(admin.address(), "/else").await.starts_with("HTTP/1.1 404"));
        admin.stop().await;
    }

    #[tokio::test]
    async fn a_taken_port_is_one_sentence_that_says_what_to_do() {
        let (admin, metrics, health) = start().await;
        let port = admin.address().port();
        let fault = Admin::start("127.0.0.1", port, metrics, health).await.unwrap_err().to_string();
        assert!(fault.starts_with(&format!("Cannot listen on 127.0.0.1:{port} for admin.listener (")), "{fault}");
        assert!(fault.ends_with("turn the endpoint off with --set admin.listener=."), "{fault}");
        admin.stop().await;
    }

    #[tokio::test]
    async fn stopping_does_not_wait_for_an_idle_connection() {
        let (admin, _, _) = start().await;
        let address = admin.address();
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(b"GET /met").await.unwrap();
        tokio::time::timeout(Duration::from_secs(5), admin.stop()).await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}
