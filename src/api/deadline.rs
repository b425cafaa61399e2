//! How long a client lets an operation take (`timeout_ms` of the requests that change the cluster).

use std::future::Future;
use std::time::Duration;

/// Runs `work` to its end whatever happens, and waits for it no longer than `timeout_ms`: `None` means that
/// the client gets REQUEST_TIMED_OUT, not that nothing was done.
pub(super) async fn within<T, F>(timeout_ms: i32, work: F) -> Option<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let patience = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
    let task = tokio::spawn(work);
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
