//! The other side of `/readyz`, for container engines: `klamm health`.

use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The answer is expected within this.
const WITHIN: Duration = Duration::from_secs(2);
/// `/readyz` says a few words.
const ANSWER_MAX: u64 = 4096;

/// Asks the broker whose `admin.listener` is at `host` and `port` whether it serves clients.
///
/// # Errors
/// One sentence: it does not, or it could not be asked.
pub async fn probe(host: &str, port: u16) -> Result<(), String> {
    let at = format!("{host}:{port}");
    let answer = match timeout(WITHIN, ask(host, port)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(format!("no broker answers on admin.listener {at} ({error}): is it running?")),
        Err(_) => return Err(format!("the broker did not answer on admin.listener {at} within {WITHIN:?}.")),
    };
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(format!("the broker does not serve clients: {}", body.trim())),
    }
}

async fn ask(host: &str, port: u16) -> io::Result<String> {
    let mut stream = TcpStream::connect((host, port)).await?;
    stream.write_all(b"GET /readyz HTTP/1.0\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::{Admin, Health, Stage};
    use super::*;
    use crate::metrics::Metrics;
    use crate::model::TimestampMs;
    use std::sync::Arc;

    #[tokio::test]
    async fn a_broker_is_healthy_while_it_serves_clients_and_not_before_nor_after() {
        let health = Arc::new(Health::default());
        let metrics = Metrics::new(std::iter::empty(), TimestampMs(0));
        let admin = Admin::start("127.0.0.1", 0, metrics, Arc::clone(&health)).await.unwrap();
        let port = admin.address().port();
        for (stage, healthy) in [(Stage::Starting, false), (Stage::Serving, true), (Stage::Draining, false)] {
            health.set(stage);
            let said = probe("127.0.0.1", port).await;
            assert_eq!(said.is_ok(), healthy, "{stage:?}: {said:?}");
        }
        admin.stop().await;
        let said = probe("127.0.0.1", port).await.unwrap_err();
        assert!(said.contains("no broker answers on admin.listener 127.0.0.1:"), "{said}");
    }
}
