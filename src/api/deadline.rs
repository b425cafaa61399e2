//! How long a client lets an operation take (`timeout_ms` of the requests that change the cluster).

use super::ApiError;
use crate::controller::refusal;
use crate::model::ErrorCode;
use std::future::Future;
use std::time::Duration;

/// The controller's answers to `count` questions, or as many times REQUEST_TIMED_OUT.
pub(super) async fn answers<T, F>(timeout_ms: i32, count: usize, work: F) -> Vec<Result<T, ApiError>>
where
    T: Send + 'static,
    F: Future<Output = Vec<Result<T, ApiError>>> + Send + 'static,
{
    let missing = |code| move || Err(ApiError::bare(code));
    match within(timeout_ms, work).await {
        None => std::iter::repeat_with(missing(ErrorCode::REQUEST_TIMED_OUT)).take(count).collect(),
        Some(mut answers) => {
            if answers.len() != count {
                tracing::error!(count, got = answers.len(), "the controller did not answer every question");
                answers.resize_with(count, missing(ErrorCode::UNKNOWN_SERVER_ERROR));
            }
            answers
        }
    }
}

/// The controller's answer to one question, or REQUEST_TIMED_OUT.
pub(super) async fn answer<T, F>(timeout_ms: i32, work: F) -> Result<T, ApiError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, ApiError>> + Send + 'static,
{
    within(timeout_ms, work).await.unwrap_or_else(|| Err(ApiError::bare(ErrorCode::REQUEST_TIMED_OUT)))
}

/// Runs `work` to its end whatever happens, and waits for it no longer than `timeout_ms`: `None` means that
/// the client gets REQUEST_TIMED_OUT, not that nothing was done.
async fn within<T, F>(timeout_ms: i32, work: F) -> Option<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let patience = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
    let task = tokio::spawn(refusal::carried(work));
    match tokio::time::timeout(patience, task).await {
        Ok(Ok(answer)) => Some(answer),
        // The task panicked, or the runtime is going down: the answer never comes.
        Ok(Err(failure)) => {
            tracing::error!(%failure, "a request to the controller did not come to an end");
            None
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[tokio::test]
    async fn there_is_an_answer_to_every_question() {
        let error = |code| Err(ApiError::bare(code));
        let short = answers(10_000, 2, async { vec![Ok(1)] }).await;
        assert_eq!(short, [Ok(1), error(ErrorCode::UNKNOWN_SERVER_ERROR)]);
        let late = answers(0, 2, std::future::pending::<Vec<Result<i32, ApiError>>>()).await;
        assert_eq!(late, [error(ErrorCode::REQUEST_TIMED_OUT), error(ErrorCode::REQUEST_TIMED_OUT)]);
    }

    #[tokio::test]
    async fn an_answer_in_time_is_handed_on() {
        assert_eq!(within(10_000, async { 7 }).await, Some(7));
    }

    #[tokio::test]
    async fn work_that_takes_too_long_is_not_waited_for_but_goes_on() {
        let done = Arc::new(AtomicBool::new(false));
        let (release, held) = tokio::sync::oneshot::channel::<()>();
        let flag = Arc::clone(&done);
        let (finished, finish) = tokio::sync::oneshot::channel::<()>();
        let answer = within(1, async move {
            let _ = held.await;
            flag.store(true, Ordering::SeqCst);
            let _ = finished.send(());
        });
        assert_eq!(answer.await, None);
        assert!(release.send(()).is_ok());
        assert!(finish.await.is_ok());
        assert!(done.load(Ordering::SeqCst));
    }
}
