//! What a request hears when this node does not decide.
//!
//! A client's request is to be sent on to the node that decides, and the client is to see nothing of it. Whoever sends
//! requests on runs them in [`watch`], and learns whether an answer of the controller was `NOT_CONTROLLER`, wherever in the
//! response that ended up; and it can have `REQUEST_TIMED_OUT` answered instead when there is no time left.

use crate::model::ErrorCode;
use std::cell::Cell;
use std::future::Future;

tokio::task_local! {
    static WATCHED: Watched;
}

struct Watched {
    answer: ErrorCode,
    refused: Cell<bool>,
}

/// The error with which the controller answers while it does not decide.
pub(super) fn not_controller() -> ErrorCode {
    WATCHED
        .try_with(|watched| {
            watched.refused.set(true);
            watched.answer
        })
        .unwrap_or(ErrorCode::NOT_CONTROLLER)
}

/// Runs `work`, in which a controller that does not decide answers `answer`. Tells whether it did. `work` is watched on its
/// own task only: what it spawns is not.
pub async fn watch<T>(answer: ErrorCode, work: impl Future<Output = T>) -> (T, bool) {
    WATCHED
        .scope(Watched { answer, refused: Cell::new(false) }, async {
            let done = work.await;
            (done, WATCHED.with(|watched| watched.refused.get()))
        })
        .await
}
