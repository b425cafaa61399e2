//! Producer ids that no producer has had before, taken from blocks that the controller hands out.

use crate::controller::{ApiError, Client};
use crate::model::{ErrorCode, ProducerId};
use crate::rt::clock;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long the controller is looked for, while clients wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// The rest of this broker's current block. Ids left over when the broker stops are never used.
#[derive(Debug, Default)]
pub struct ProducerIds {
    /// The next id, and the first that is not of the block.
    rest: Mutex<(i64, i64)>,
}

impl ProducerIds {
    /// The next id. When the block is used up its successor is fetched first, by one caller for all that wait;
    /// while the controller has none to give, the client is told to try again (COORDINATOR_LOAD_IN_PROGRESS, which
    /// older clients survive where they would not survive a timeout).
    ///
    /// # Errors
    /// As said.
    pub async fn next(&self, client: &Client) -> Result<ProducerId, ApiError> {
        let mut rest = self.rest.lock().await;
        if rest.0 >= rest.1 {
            *rest = fetch(client).await?;
        }
        let id = rest.0;
        rest.0 += 1;
        Ok(ProducerId(id))
    }
}

async fn fetch(client: &Client) -> Result<(i64, i64), ApiError> {
    let busy = || ApiError::bare(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    let block = client.allocate_producer_ids(clock::now() + PATIENCE).await.map_err(|error| {
        tracing::warn!(%error, "the controller gave no block of producer ids");
        busy()
    })?;
    let end = block.first.0.checked_add(block.count.into());
    match end {
        Some(end) if block.first.0 >= 0 && end > block.first.0 => Ok((block.first.0, end)),
        _ => {
            tracing::error!(?block, "the controller gave a block without producer ids");
            Err(busy())
        }
    }
}
