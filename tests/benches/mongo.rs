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

const BATCH: usize = 1000;
const SINGLES: usize = 200;
const WRITERS: usize = 64;
const OF_EACH: usize = 20;

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

async fn measure(
    name: &'static str,
    saves: usize,
    commands: &AtomicU64,
    work: impl Future<Output = ()>,
) -> Row {
    let (sent, spent, started) = (commands.load(Ordering::Relaxed), processor_time(), Instant::now());
    work.await;
    let scale = 1000.0 / saves as f64;
    Row {
        name,
        round_trips: (commands.load(Ordering::Relaxed) - sent) as f64 * scale,
        processor: processor_time().saturating_sub(spent).mul_f64(scale),
        wall: started.elapsed().mul_f64(scale),
    }
}

#[tokio::main]
async fn main() {
    let database = Database::shared();
    let commands = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&commands);
    let observer = Arc::new(move |_: &bson::Document| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let catalog = MongoCatalog::connect_observed(&database.uri, observer).await.expect("the server runs");
    let save = async |drafts| drop(catalog.publish(publish(drafts)).await.expect("a save"));
    // The first transaction makes what the driver keeps.
    save(vec![draft("first", 0)]).await;
    // Drafts are made beforehand: they are the caller's, not the catalog's.
    let singles: Vec<Draft> = (0..SINGLES).map(|number| draft("single", number)).collect();
    let one_by_one = measure("one by one", SINGLES, &commands, async {
        for single in singles {
            save(vec![single]).await;
        }
    });
    let one_by_one = one_by_one.await;
    let writers = measure("64 writers", WRITERS * OF_EACH, &commands, async {
        let writer = |writer: usize| async move {
            for number in 0..OF_EACH {
                save(vec![draft("writer", writer * OF_EACH + number)]).await;
            }
        };
        join_all((0..WRITERS).map(writer)).await;
    });
    let writers = writers.await;
    let drafts = (0..BATCH).map(|number| draft("batch", number)).collect();
    let batch = measure("batch of 1,000", BATCH, &commands, save(drafts));
    let batch = batch.await;
    println!("\n1,000 saves of 1 KB on {catalog}");
    println!(
        "{:<16} {:>12} {:>8} {:>14} {:>8} {:>12}",
        "", "round trips", "ratio", "our processor", "ratio", "wall"
    );
    for row in [&one_by_one, &writers, &batch] {
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
