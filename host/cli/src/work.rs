//! Long work: its progress on standard error, and Ctrl-C.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use anyhow::Result;
use floret_model::CascadeReport;
use floret_pipeline::{Event, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::failure::Exit;

/// Work that takes less shows nothing.
const SHOW_AFTER: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(100);

const WORKING: u8 = 0;
const STOPPING: u8 = 1;
const DONE: u8 = 2;

/// Whether bars are wanted, as the command line says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bars {
    pub quiet: bool,
}

impl Bars {
    /// A bar of `length` steps, or one that only turns; drawn after a second, on a terminal only.
    pub(crate) fn bar(self, length: Option<u64>, message: &'static str) -> ProgressBar {
        let bar = match length {
            Some(_) => ProgressBar::hidden()
                .with_style(style("{spinner} {msg} {wide_bar:.cyan} {pos}/{len} {elapsed}")),
            None => ProgressBar::hidden().with_style(style("{spinner} {msg} {elapsed}")),
        }
        .with_message(message);
        if let Some(length) = length {
            bar.set_length(length);
        }
        if self.quiet || !io::stderr().is_terminal() {
            return bar;
        }
        let shown = bar.downgrade();
        std::thread::spawn(move || {
            std::thread::sleep(SHOW_AFTER);
            if let Some(bar) = shown.upgrade().filter(|bar| !bar.is_finished()) {
                bar.set_draw_target(ProgressDrawTarget::stderr());
                bar.enable_steady_tick(TICK);
            }
        });
        bar
    }

    /// Run a cascade, or anything that reports as one does: a bar for its steps; the first Ctrl-C stops it between two
    /// steps, the second ends the process.
    pub(crate) async fn cascade<E>(
        self,
        work: impl AsyncFnOnce(&Work) -> Result<CascadeReport, E>,
    ) -> Result<CascadeReport>
    where
        E: Into<anyhow::Error>,
    {
        let bar = self.bar(Some(0), "building");
        let drawn = bar.clone();
        let progress = Progress::new(move |event| match event {
            Event::Planned(plan) => drawn.set_length(plan.steps.len() as u64),
            Event::StepFinished(step) => {
                drawn.set_message(step.key.to_string());
                drawn.inc(1);
            }
            _ => {}
        });
        let watch = Watch::start(progress.clone(), bar.clone());
        let report = work(&Work { progress, bar: bar.clone() }).await;
        watch.end();
        bar.finish_and_clear();
        report.map_err(Into::into)
    }
}

/// A cascade that runs: who is told of its steps, and whether it is to stop.
pub(crate) struct Work {
    progress: Progress,
    bar: ProgressBar,
}

impl Work {
    /// So many of the steps are done.
    pub(crate) fn is_at(&self, done: u64, of: u64) {
        self.bar.set_length(of);
        self.bar.set_position(done);
    }
}

impl std::ops::Deref for Work {
    type Target = Progress;

    fn deref(&self) -> &Progress {
        &self.progress
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Listens for Ctrl-C while a cascade runs.
struct Watch {
    state: Arc<AtomicU8>,
    listener: tokio::task::JoinHandle<()>,
}

impl Watch {
    fn start(progress: Progress, bar: ProgressBar) -> Self {
        let state = Arc::new(AtomicU8::new(WORKING));
        let seen = Arc::clone(&state);
        let listener = tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                if seen.compare_exchange(WORKING, STOPPING, Ordering::SeqCst, Ordering::SeqCst).is_err() {
                    std::process::exit(i32::from(Exit::Interrupted as u8));
                }
                progress.stop();
                bar.suspend(|| {
                    eprintln!("stopping when the running steps are done; nothing is published. Ctrl-C again ends at once.");
                });
            }
        });
        Self { state, listener }
    }

    fn end(self) {
        self.state.store(DONE, Ordering::SeqCst);
        // Tokio has taken the signal over for good: from here on every Ctrl-C ends the process.
        if !LATE.swap(true, Ordering::SeqCst) {
            tokio::spawn(async {
                if tokio::signal::ctrl_c().await.is_ok() {
                    std::process::exit(i32::from(Exit::Interrupted as u8));
                }
            });
        }
        self.listener.abort();
    }
}

static LATE: AtomicBool = AtomicBool::new(false);
