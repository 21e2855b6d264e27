//! Times: medians by the wall clock, and the mean of what processors spent.

use std::time::{Duration, Instant};

/// Readings of one kind of work.
pub struct Watch {
    /// Operations that one reading stands for.
    operations: u32,
    times: Vec<Duration>,
    /// Processor time when it began, and what has been spent on other things since.
    began: Duration,
    aside: Duration,
}

/// What one operation takes.
pub struct Measured {
    /// By the wall clock: the median.
    pub time: Duration,
    /// Of all threads together: the mean.
    pub processor: Duration,
}

impl Watch {
    /// From now on this process does nothing but the work, and what is put [`aside`](Self::aside).
    pub fn start(operations: usize) -> Self {
        let operations = operations as u32;
        Self { operations, times: Vec::new(), began: processor_time(), aside: Duration::ZERO }
    }

    /// Time one piece of the work.
    pub async fn read<T>(&mut self, work: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let done = work.await;
        self.times.push(started.elapsed() / self.operations);
        done
    }

    /// Do something that does not count.
    pub async fn aside<T>(&mut self, other: impl Future<Output = T>) -> T {
        let before = processor_time();
        let done = other.await;
        self.aside += processor_time().saturating_sub(before);
        done
    }

    pub fn end(self) -> Measured {
        let spent = processor_time().saturating_sub(self.began + self.aside);
        let operations = self.operations * self.times.len() as u32;
        Measured { processor: spent / operations, time: median(self.times) }
    }
}

pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// What all threads of this process have run so far, those that have ended left out: exact to the microsecond where Linux
/// keeps the figures, else zero.
fn processor_time() -> Duration {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return Duration::ZERO };
    let of_thread = |thread: std::io::Result<std::fs::DirEntry>| {
        let figures = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        figures.split(' ').next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(threads.filter_map(of_thread).sum())
}
