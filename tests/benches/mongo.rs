//! What the catalog costs on a server, in round trips and in this process's own processor time.
//!
//! Data: 1 KB contents inline, made from a counter; keys `entry-<n>`; no randomness, so no seed. A fresh database on the
//! server that the tests use (SecantusDB, or `FLORET_TEST_MONGODB_URI`), on this machine: so times include the server's own
//! work on the same cores, and only round trips and our processor time tell of the catalog. Goal: the batch takes at
//! most 1/20 of both.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use floret_model::{ResourceKey, TimestampMs};
use floret_store::{Catalog, Draft, MongoCatalog, Publish};
use floret_tests::servers::Database;
use futures::future::join_all;

fn draft(kind: &str, number: usize) -> Draft {
    let line = format!("entry {number} of {kind}\n");
    let content = &line.repeat(1024 / line.len() + 1)[..1024];
    let key = ResourceKey::parse("default", "dictionary", &format!("{kind}-{number}")).expect("a valid key");
    floret_tests::draft(&key, content, Vec::new())
}

fn publish(drafts: Vec<Draft>) -> Publish {
    Publish { id: "bench".to_owned(), at: TimestampMs(1_767_225_600_000), drafts, report: None }
}

/// What all threads of this process have run so far.
fn processor_time() -> Duration {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return Duration::ZERO };
    let of_thread = |thread: std::io::Result<std::fs::DirEntry>| {
        let figures = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        figures.split(' ').next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(threads.filter_map(of_thread).sum())
}

struct Row {
    name: &'static str,
    /// For a thousand saves.
    round_trips: f64,
    processor: Duration,
    wall: Duration,
}

/// How often a thousand saves are measured: medians are reported.
const ROUNDS: usize = 7;

/// One way to save: `saves` of them, whose drafts are made beforehand, since they are the caller's and not the catalog's.
struct Way {
    name: &'static str,
    saves: usize,
    writers: usize,
    of_each: usize,
}

impl Way {
    fn drafts(&self, round: usize) -> Vec<Vec<Vec<Draft>>> {
        let kind = format!("{}-{round}", self.name.replace(' ', "-").replace(',', ""));
        let mut numbers = 0..self.saves;
        let mut publish = || numbers.by_ref().take(self.of_each).map(|number| draft(&kind, number)).collect();
        let each = self.saves / self.of_each / self.writers;
        (0..self.writers).map(|_| (0..each).map(|_| publish()).collect()).collect()
    }

    async fn run(&self, catalog: &MongoCatalog, drafts: Vec<Vec<Vec<Draft>>>) {
        let writer = |publishes: Vec<Vec<Draft>>| async move {
            for drafts in publishes {
                catalog.publish(publish(drafts)).await.expect("a save");
            }
        };
        join_all(drafts.into_iter().map(writer)).await;
    }

    /// Round trips are counted in a round of their own: to be shown every command costs the driver a copy of each.
    async fn measure(&self, plain: &MongoCatalog, observed: &MongoCatalog, commands: &AtomicU64) -> Row {
        let scale = 1000.0 / self.saves as f64;
        let before = commands.load(Ordering::Relaxed);
        self.run(observed, self.drafts(ROUNDS)).await;
        let round_trips = (commands.load(Ordering::Relaxed) - before) as f64 * scale;
        let mut rounds = Vec::with_capacity(ROUNDS);
        for round in 0..ROUNDS {
            let drafts = self.drafts(round);
            let (spent, started) = (processor_time(), Instant::now());
            self.run(plain, drafts).await;
            rounds.push((processor_time().saturating_sub(spent), started.elapsed()));
        }
        let median = |of: fn(&(Duration, Duration)) -> Duration| {
            let mut all: Vec<Duration> = rounds.iter().map(of).collect();
            all.sort();
            all[ROUNDS / 2].mul_f64(scale)
        };
        Row {
            name: self.name,
            round_trips,
            processor: median(|(processor, _)| *processor),
            wall: median(|(_, wall)| *wall),
        }
    }
}

const WAYS: [Way; 3] = [
    Way { name: "one by one", saves: 200, writers: 1, of_each: 1 },
    Way { name: "64 writers", saves: 1280, writers: 64, of_each: 1 },
    Way { name: "batch of 1,000", saves: 1000, writers: 1, of_each: 1000 },
];

#[tokio::main]
async fn main() {
    let database = Database::shared();
    let commands = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&commands);
    let observer = Arc::new(move |_: &bson::Document| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let observed = MongoCatalog::connect_observed(&database.uri, observer).await.expect("the server runs");
    let plain = MongoCatalog::connect(&database.uri).await.expect("the server runs");
    // The first transaction makes what the driver keeps.
    for (number, catalog) in [&observed, &plain].into_iter().enumerate() {
        drop(catalog.publish(publish(vec![draft("first", number)])).await.expect("a save"));
    }
    let mut rows = Vec::new();
    for way in WAYS {
        rows.push(way.measure(&plain, &observed, &commands).await);
    }
    println!("\n1,000 saves of 1 KB on {plain}, medians of {ROUNDS} rounds");
    println!(
        "{:<16} {:>12} {:>8} {:>14} {:>8} {:>12}",
        "", "round trips", "ratio", "our processor", "ratio", "wall"
    );
    let one_by_one = &rows[0];
    for row in &rows {
        println!(
            "{:<16} {:>12.0} {:>8.4} {:>11.1} ms {:>8.4} {:>9.1} ms",
            row.name,
            row.round_trips,
            row.round_trips / one_by_one.round_trips,
            row.processor.as_secs_f64() * 1e3,
            row.processor.as_secs_f64() / one_by_one.processor.as_secs_f64(),
            row.wall.as_secs_f64() * 1e3,
        );
    }
}
