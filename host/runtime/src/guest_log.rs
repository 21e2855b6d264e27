//! Who hears what guests log, beside `tracing`: the task that has a component run.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Site;

/// How important a line is, as the guest says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something is not as it should be; also what a guest of WASI writes to its standard error.
    Warn,
    /// What it does; also what a guest of WASI writes to its standard output.
    Info,
    /// How it does it.
    Debug,
}

/// Told of every line that is kept of a guest's log, in order for each call, on the thread that the guest runs on. It must
/// not block. Lines have at most 4 KiB.
pub type LogListener = Arc<dyn Fn(&Site, LogLevel, &str) + Send + Sync>;

tokio::task_local! {
    static LISTENER: LogListener;
}

/// Have `listener` hear what the builders log that `work` runs: builds, merges, analyses and parts. Searches, decisions
/// and verdicts are not heard.
pub async fn listening<T>(listener: LogListener, work: impl Future<Output = T>) -> T {
    LISTENER.scope(listener, work).await
}

/// Who listens in this task.
pub(crate) fn listener() -> Option<LogListener> {
    LISTENER.try_with(Arc::clone).ok()
}

/// The same work, heard by who listens here, in whichever task it will run.
pub(crate) fn heard_here<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let listener = listener();
    async move {
        match listener {
            Some(listener) => listening(listener, work).await,
            None => work.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_in_another_task_is_heard_by_who_had_it_begun() {
        assert!(listener().is_none());
        let here: LogListener = Arc::new(|_, _, _| {});
        let heard = listening(Arc::clone(&here), async {
            let bare = tokio::spawn(async { listener().is_some() }).await.expect("it ends");
            let carried = tokio::spawn(heard_here(async { listener() })).await.expect("it ends");
            (bare, carried)
        });
        let (bare, carried) = heard.await;
        assert!(!bare, "another task has none of its own");
        assert!(carried.is_some_and(|carried| Arc::ptr_eq(&carried, &here)));
        assert!(heard_here(async { listener() }).await.is_none());
    }
}
