//! Work that waits for the disk, away from the threads that serve.

use tokio::task::JoinError;
use tokio_util::task::TaskTracker;

/// Does `work` on a thread that may block; `tasks` waits for its end, whoever waits for its outcome.
///
/// # Errors
/// It panicked, or the runtime ends.
pub async fn run<T: Send + 'static>(
    tasks: &TaskTracker,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    #[cfg(test)]
    if super::clock::simulated::is_on() {
        // One thread, so that a seed repeats; but it takes its time.
        tokio::time::sleep(std::time::Duration::from_millis(super::rand::below(8).into())).await;
        return Ok(work());
    }
    tasks.spawn_blocking(work).await
}
