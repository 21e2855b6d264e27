//! Background work that is started again when it ends by a panic.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinSet;

/// The pauses before work that panicked is started again: doubled from panic to panic.
pub(crate) const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Run work until it returns, which says that there is no more to do; `pause` is the first one. Dropped, it ends the
/// work.
pub(crate) async fn supervised<F>(name: &'static str, mut pause: Duration, start: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        // A task, so that its panics are its own; in a set, so that it ends with this future.
        let mut running = JoinSet::new();
        running.spawn(start());
        match running.join_next().await {
            Some(Err(error)) if error.is_panic() => {
                tracing::error!(work = name, %error, "it ended unexpectedly; it is started again in {} s", pause.as_secs());
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn work_that_panics_is_started_again_until_it_returns() {
        let starts = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&starts);
        supervised("a test", Duration::from_millis(1), move || {
            let counted = Arc::clone(&counted);
            async move { assert!(counted.fetch_add(1, Ordering::SeqCst) == 2, "not yet") }
        })
        .await;
        assert_eq!(starts.load(Ordering::SeqCst), 3);
    }
}
