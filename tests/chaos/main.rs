//! A host of the chaos test: writers over servers that hosts share, until it is killed. What was acknowledged stands in
//! its journal.
//!
//! `chaos-host FOLDER JOURNAL SEED URI ENDPOINT BUCKET REGION KEY SECRET PREFIX`; with a seed that is a multiple of 4 it
//! also cleans up, now and then.

mod writer;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use floret_pipeline::{Floret, Options};
use floret_store::{BlobOptions, MongoCatalog, RetentionPolicy};
use floret_tests::chaos::{Entry, GRACE_MS, LEASE_MS, SCRAPS_KEPT};
use floret_tests::journal::Random;
use floret_tests::servers::Place;
use floret_tests::{Setup, open};
use futures::future::select_all;

use writer::Writer;

const WRITERS: u64 = 16;
const CLEANUP_EVERY: Duration = Duration::from_secs(4);

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    end_with_the_test();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Ok([folder, journal, seed, uri, place @ ..]) = <[String; 10]>::try_from(args) else {
        bail!("expected FOLDER JOURNAL SEED URI ENDPOINT BUCKET REGION KEY SECRET PREFIX");
    };
    let seed: u64 = seed.parse().context("SEED is a number")?;
    let journal = Arc::new(Journal::open(Path::new(&journal))?);
    let setup = Setup {
        catalog: Some(MongoCatalog::connect(&uri).await?),
        objects: Some(Place::from_arguments(place).objects().await),
        blobs: BlobOptions { lease_ms: LEASE_MS, ..BlobOptions::default() },
        options: Options {
            extra_types: ["note", "scrap"].map(|name| name.parse().expect("a type")).into(),
            ..Options::default()
        },
        ..Setup::default()
    };
    let host = open(&PathBuf::from(folder), setup).await?;
    journal.write(&[Entry::Open])?;
    let mut random = Random(seed);
    let mut tasks: Vec<_> = (0..WRITERS)
        .map(|_| {
            let random = Random(random.below(u64::MAX));
            let writer = Writer::new(Arc::clone(&host), Arc::clone(&journal), random);
            tokio::spawn(writer.run())
        })
        .collect();
    if seed.is_multiple_of(4) {
        tasks.push(tokio::spawn(clean_up(host, journal)));
    }
    // None ends but with an error, which ends them all.
    select_all(tasks).await.0?
}

/// A test that is gone, however it went, needs no host.
fn end_with_the_test() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(3);
    });
}

async fn clean_up(host: Arc<Floret>, journal: Arc<Journal>) -> Result<()> {
    let policy = RetentionPolicy {
        newest: BTreeMap::from([("scrap".to_owned(), SCRAPS_KEPT)]),
        newest_of_others: usize::MAX,
        ..RetentionPolicy::default()
    };
    let mut turns = tokio::time::interval(CLEANUP_EVERY);
    loop {
        turns.tick().await;
        let entry = match host.cleanup(&policy, GRACE_MS, false).await {
            Ok(report) => {
                let (dropped, sweep) = (report.dropped.len(), report.sweep);
                let (condemned, deleted, orphans) = (sweep.condemned, sweep.deleted, sweep.orphans);
                let what = format!(
                    "cleanup: {dropped} dropped, {condemned} condemned, {deleted} deleted, {orphans} orphans"
                );
                match report.errors.iter().chain(&sweep.errors).next() {
                    None => Entry::Done { what },
                    Some(error) => Entry::Failed { how: format!("cleanup: {error}") },
                }
            }
            Err(error) => Entry::Failed { how: writer::may_fail(&error)?.to_owned() },
        };
        journal.write(&[entry])?;
    }
}

/// A file to which each write goes whole, or not at all.
pub struct Journal(std::fs::File);

impl Journal {
    fn open(path: &Path) -> Result<Self> {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        Ok(Self(file.with_context(|| format!("cannot open {}", path.display()))?))
    }

    /// Only then is something acknowledged.
    pub fn write(&self, entries: &[Entry]) -> Result<()> {
        let text: String =
            entries.iter().map(|entry| format!("{}\n", entry.to_string().replace('\n', " "))).collect();
        Ok((&self.0).write_all(text.as_bytes())?)
    }
}
