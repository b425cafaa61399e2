//! What a request hears when this node does not decide.
//!
//! A client's request is to be sent on to the node that decides, and the client is to see nothing of it. Whoever sends
//! requests on runs them in [`watch`], and learns whether an answer of the controller was `NOT_CONTROLLER`, wherever in the
//! response that ended up; and it can have another error answered instead, such as `REQUEST_TIMED_OUT` when there is no time
//! left.

use crate::model::ErrorCode;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

tokio::task_local! {
    static WATCHED: Watched;
}

#[derive(Clone)]
struct Watched {
    answer: ErrorCode,
    refused: Arc<AtomicBool>,
}

/// The error with which the controller answers while it does not decide.
pub(super) fn not_controller() -> ErrorCode {
    WATCHED
        .try_with(|watched| {
            watched.refused.store(true, Ordering::Relaxed);
            watched.answer
        })
        .unwrap_or(ErrorCode::NOT_CONTROLLER)
}

/// Runs `work`, in which a controller that does not decide answers `answer`. Tells whether it did. What `work` spawns is
/// watched if it is [`carried`].
pub async fn watch<T>(answer: ErrorCode, work: impl Future<Output = T>) -> (T, bool) {
    let refused = Arc::new(AtomicBool::new(false));
    let done = WATCHED.scope(Watched { answer, refused: Arc::clone(&refused) }, work).await;
    (done, refused.load(Ordering::Relaxed))
}

/// Work that goes to another task and is watched there as it is here.
pub fn carried<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let watched = WATCHED.try_with(Watched::clone).ok();
    async move {
        match watched {
            Some(watched) => WATCHED.scope(watched, work).await,
            None => work.await,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn nobody_watches_and_the_error_is_not_controller() {
        assert_eq!(not_controller(), ErrorCode::NOT_CONTROLLER);
    }

    #[tokio::test]
    async fn a_refusal_is_noticed_also_on_a_task_that_was_spawned() {
        let work = async { tokio::spawn(carried(async { not_controller() })).await.unwrap() };
        assert_eq!(watch(ErrorCode::REQUEST_TIMED_OUT, work).await, (ErrorCode::REQUEST_TIMED_OUT, true));
        assert_eq!(watch(ErrorCode::REQUEST_TIMED_OUT, async { 7 }).await, (7, false));
    }
}
