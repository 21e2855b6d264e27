//! The one thread that writes: it takes all that wait, applies them in order, and commits them as one batch.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::staged::Staged;
use super::tables::{Tables, failure};
use crate::Error;

/// Writes that may wait; then callers wait to be allowed to wait.
const QUEUE_MAX: usize = 8192;
/// Writes in one batch: at 1 KB and 5 rows each some 3 MB, which fjall writes in about 20 ms.
const GROUP_MAX: usize = 2048;

/// Bytes after which a group takes no more writes, so that many large ones do not pile up in one batch; one write may
/// be larger by itself.
const GROUP_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Whether losing the write in a crash does harm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Durability {
    /// On disk before it is acknowledged.
    Synced,
    /// With the operating system when it is acknowledged; on disk with the next write that is synced, since the
    /// journal is one sequence. A crash of the process does not lose it.
    Buffered,
}

/// What stopped the catalog.
#[derive(Clone, Debug)]
enum Fatal {
    Io { folder: PathBuf, code: Option<i32>, kind: io::ErrorKind, text: String },
    Other { folder: PathBuf, problem: String },
}

impl Fatal {
    fn of(tables: &Tables, error: &fjall::Error) -> Self {
        let folder = tables.folder.clone();
        match failure("write to", &tables.folder, error) {
            Error::Io { source, .. } => Self::Io {
                folder,
                code: source.raw_os_error(),
                kind: source.kind(),
                text: source.to_string(),
            },
            other => Self::Other { folder, problem: other.to_string() },
        }
    }

    fn panicked(tables: &Tables, payload: &(dyn Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "without a text".to_owned());
        Self::Other {
            folder: tables.folder.clone(),
            problem: format!(
                "its committer panicked ({text}); nothing of what waited was written. Open the store again"
            ),
        }
    }

    /// To those whose write it was.
    fn first(&self) -> Error {
        match self {
            Self::Io { folder, code, kind, text } => Error::Io {
                action: "write to",
                path: folder.clone(),
                source: code
                    .map_or_else(|| io::Error::new(*kind, text.clone()), io::Error::from_raw_os_error),
            },
            Self::Other { folder, problem } => Error::Backend {
                catalog: format!("the catalog in {}", folder.display()),
                problem: problem.clone(),
            },
        }
    }

    /// To those who come later.
    fn later(&self) -> Error {
        match self {
            Self::Io { folder, text, .. } => Error::Backend {
                catalog: format!("the catalog in {}", folder.display()),
                problem: format!(
                    "it takes no more writes since one failed ({text}); mend the cause and open the store again"
                ),
            },
            Self::Other { .. } => self.first(),
        }
    }
}

trait Job: Send {
    fn durability(&self) -> Durability;
    fn apply(&mut self, staged: &mut Staged<'_>);
    fn answer(self: Box<Self>, commit: Result<(), Error>);
}

struct Write<T, F> {
    durability: Durability,
    apply: Option<F>,
    outcome: Option<Result<T, Error>>,
    reply: oneshot::Sender<Result<T, Error>>,
}

impl<T, F> Job for Write<T, F>
where
    T: Send,
    F: FnOnce(&mut Staged<'_>) -> Result<T, Error> + Send,
{
    fn durability(&self) -> Durability {
        self.durability
    }

    fn apply(&mut self, staged: &mut Staged<'_>) {
        let mark = staged.mark();
        let outcome = self.apply.take().map(|apply| apply(staged));
        if !matches!(outcome, Some(Ok(_))) {
            staged.undo_to(mark);
        }
        self.outcome = outcome;
    }

    fn answer(self: Box<Self>, commit: Result<(), Error>) {
        let answer = match (commit, self.outcome) {
            (Ok(()), Some(outcome)) => outcome,
            (Err(error), _) => Err(error),
            // The sender is dropped, and the caller told so by `submit`.
            (Ok(()), None) => return,
        };
        // A caller who has gone away does not want the answer; what was written stays written.
        let _ = self.reply.send(answer);
    }
}

/// Hands writes to the thread.
pub(super) struct Committer {
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    fatal: Arc<Mutex<Option<Fatal>>>,
    folder: PathBuf,
}

impl Committer {
    pub fn start(tables: Arc<Tables>) -> Result<Self, Error> {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let fatal = Arc::new(Mutex::new(None));
        let folder = tables.folder.clone();
        let thread = std::thread::Builder::new()
            .name("floret-committer".to_owned())
            .spawn({
                let fatal = Arc::clone(&fatal);
                move || run(&tables, waiting, &fatal)
            })
            .map_err(|source| Error::Io { action: "start the committer of", path: folder.clone(), source })?;
        Ok(Self { queue: Some(queue), thread: Some(thread), fatal, folder })
    }

    /// Apply a write with all that wait. What it staged is undone if it fails, and nobody else is affected.
    /// Once queued it is carried out, also when the caller stops waiting.
    pub async fn submit<T, F>(&self, durability: Durability, apply: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&mut Staged<'_>) -> Result<T, Error> + Send + 'static,
    {
        if let Some(fatal) = &*self.fatal.lock() {
            return Err(fatal.later());
        }
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Write { durability, apply: Some(apply), outcome: None, reply });
        let queue = self.queue.as_ref().expect("taken only when dropped");
        if queue.send(job).await.is_err() {
            return Err(self.stopped());
        }
        answer.await.unwrap_or_else(|_| Err(self.stopped()))
    }

    fn stopped(&self) -> Error {
        let fatal = self.fatal.lock();
        fatal.as_ref().map_or_else(
            || Error::Backend {
                catalog: format!("the catalog in {}", self.folder.display()),
                problem: "its committer has stopped".to_owned(),
            },
            Fatal::later,
        )
    }
}

impl Drop for Committer {
    /// Waits for what is queued: at most one group, a few milliseconds.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic is caught inside and told to callers.
            let _ = thread.join();
        }
    }
}

fn run(tables: &Tables, mut waiting: mpsc::Receiver<Box<dyn Job>>, fatal: &Mutex<Option<Fatal>>) {
    let mut group: Vec<Box<dyn Job>> = Vec::new();
    loop {
        if group.is_empty() {
            match waiting.blocking_recv() {
                Some(first) => group.push(first),
                None => return,
            }
        }
        while group.len() < GROUP_MAX
            && let Ok(next) = waiting.try_recv()
        {
            group.push(next);
        }
        let committed = catch_unwind(AssertUnwindSafe(|| commit(tables, &mut group)));
        let stop = match committed {
            Ok(Ok(applied)) => {
                group.drain(..applied).for_each(|job| job.answer(Ok(())));
                continue;
            }
            Ok(Err(error)) => Fatal::of(tables, &error),
            Err(payload) => Fatal::panicked(tables, &*payload),
        };
        tracing::error!(problem = %stop.first(), "the catalog takes no more writes");
        waiting.close();
        *fatal.lock() = Some(stop.clone());
        group.drain(..).for_each(|job| job.answer(Err(stop.first())));
        while let Ok(job) = waiting.try_recv() {
            job.answer(Err(stop.later()));
        }
        return;
    }
}

/// One batch for the group, or for as much of its beginning as makes a batch; answers how many. fjall writes the
/// journal, syncs it, and only then shows the rows, so after an error nobody in this process sees any of them;
/// fjall itself then refuses to write on, and so do we. The journal may hold the batch all the same, whole or torn:
/// a torn one is dropped when the store is opened again, a whole one is seen then.
fn commit(tables: &Tables, group: &mut [Box<dyn Job>]) -> Result<usize, fjall::Error> {
    let mut staged = Staged::new(tables);
    let mut applied = 0;
    for job in group.iter_mut() {
        let mark = staged.mark();
        job.apply(&mut staged);
        applied += 1;
        if staged.mark() != mark && job.durability() == Durability::Synced {
            staged.require_sync();
        }
        if staged.bytes() >= GROUP_BYTES_MAX {
            break;
        }
    }
    staged.commit().map(|()| applied)
}
