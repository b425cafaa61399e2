//! What the active controller does unasked: it founds the cluster, fences brokers that went silent, gives partitions back
//! to their first replicas, elects leaders where that may lose records and is allowed to, and removes delegation tokens that are over.
//!
//! One task per node; it sleeps while another node decides. What it does is decided in `machine/`; here is only when.

use super::machine::{self, Decision};
use super::service::Service;
use crate::metadata::Record;
use crate::model::ErrorCode;
use crate::rt::clock;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// When a round of fencing failed, or nobody's session runs.
const IDLE: Duration = Duration::from_secs(1);

/// How often what is done.
#[derive(Clone, Debug)]
pub struct Duties {
    /// `leader.imbalance.check.interval.seconds`; `None`: not at all (`auto.leader.rebalance.enable`).
    pub balance: Option<Duration>,
    /// `unclean.leader.election.interval.ms`
    pub unclean: Duration,
    /// `delegation.token.expiry.check.interval.ms`; `None`: there are no tokens.
    pub tokens: Option<Duration>,
    /// What a new cluster begins with, if it was formatted.
    pub formatted: Option<Vec<Record>>,
}

/// Does the controller's duties whenever this node is the active controller, until `stop`.
pub async fn attend(service: Service, duties: Duties, stop: CancellationToken) {
    let mut leadership = service.quorum().leadership();
    loop {
        let term = leadership.borrow_and_update().term;
        let on_duty = async {
            if term.is_some() {
                while_active(&service, &duties).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = stop.cancelled() => return,
            changed = leadership.changed() => if changed.is_err() { return },
            () = on_duty => {}
        }
    }
}

/// Returns when this node does not decide any more.
async fn while_active(service: &Service, duties: &Duties) {
    while let Err(error) = service.found(duties.formatted.clone()).await {
        if error.code == ErrorCode::NOT_CONTROLLER {
            return;
        }
        tracing::error!(%error, "the first records of the cluster could not be written; trying again");
        tokio::time::sleep(IDLE).await;
    }
    let never = Duration::from_secs(u64::from(u32::MAX));
    let (mut balance, mut unclean) =
        (tokio::time::interval(duties.balance.unwrap_or(never)), tokio::time::interval(duties.unclean));
    let mut tokens = tokio::time::interval(duties.tokens.unwrap_or(never));
    // The first tick is at once; a new controller waits until brokers had time to say that they are there.
    balance.reset();
    unclean.reset();
    tokens.reset();
    let mut fence = after(Duration::ZERO);
    loop {
        let outcome = tokio::select! {
            () = sleep_until(fence) => service.fence_expired().await.map(|next| {
                fence = after(next.unwrap_or(IDLE).min(IDLE));
            }),
            _ = balance.tick() => service.balance_leaders().await,
            _ = unclean.tick() => service.elect_unclean().await,
            _ = tokens.tick() => service.sweep_tokens().await,
        };
        if let Err(error) = outcome {
            if error.code == ErrorCode::NOT_CONTROLLER {
                return;
            }
            tracing::error!(%error, "a duty of the controller failed; trying again");
            fence = after(IDLE);
        }
    }
}

fn after(pause: Duration) -> Instant {
    Instant::from_std(clock::now()) + pause
}

impl Service {
    /// Writes the first records of a new cluster, unless they are there.
    async fn found(&self, formatted: Option<Vec<Record>>) -> Result<(), super::ApiError> {
        let ((), ticket) = self.decide(|now| {
            let founded = now.view.image.feature(machine::features::METADATA_VERSION) != 0;
            let minimum = now.view.defaults.min_insync_replicas;
            let records = if founded { Vec::new() } else { machine::features::bootstrap(formatted, minimum) };
            Decision { records, answer: () }
        })?;
        self.committed(ticket).await
    }
}
