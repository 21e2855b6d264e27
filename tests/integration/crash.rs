//! `kill -9` at random moments during saves and cascades.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use floret_model::{ResourceKey, Seq};
use floret_pipeline::{Floret, Freshness, Selector};
use floret_store::{Clock, ListQuery, ManualClock, RetentionPolicy, SystemClock, VerifyOptions};
use floret_tests::journal::{Line, Random, TRIPLE, content};
use floret_tests::{Setup, assert_sound, key, open};
use futures::TryStreamExt;
use tempfile::TempDir;

const ROUNDS: u64 = 200;
/// After so many rounds the store is opened here and looked at.
const LOOK_EVERY: u64 = 20;
/// A writer is killed after so many acknowledgements at most, and then so much later at most: counted by what was done,
/// a slow machine kills at the same places as a fast one.
const LINES_MAX: u64 = 8;
const LATER_MAX_US: u64 = 10_000;
/// One writer of so many is killed while it opens the store.
const EARLY_ONE_IN: u64 = 8;
const OPENING_MAX_US: u64 = 40_000;
/// A writer that acknowledges nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(60);
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Let a writer work and kill it; what it acknowledged.
fn round(folder: &Path, seed: u64) -> Vec<Line> {
    let mut random = Random(seed);
    let mut child = Command::new(env!("CARGO_BIN_EXE_crash-writer"))
        .arg(folder)
        .arg(seed.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (sender, lines) = mpsc::channel();
    let out = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        // A last line without its end was not acknowledged: the writer died before its write was done.
        for line in out.lines() {
            let _ = sender.send(line.unwrap());
        }
    });
    let mut acknowledged = Vec::new();
    let early = random.below(EARLY_ONE_IN) == 0;
    let (wanted, later_us) = match early {
        true => (0, random.below(OPENING_MAX_US)),
        false => (1 + random.below(LINES_MAX), random.below(LATER_MAX_US)),
    };
    for _ in 0..wanted {
        // One that fails ends by itself, which is told below.
        acknowledged.extend(lines.recv_timeout(PATIENCE));
    }
    let until = Instant::now() + Duration::from_micros(later_us);
    while let Ok(line) = lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
        acknowledged.push(line);
    }
    child.kill().unwrap();
    let status = child.wait().unwrap();
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(status.code(), None, "seed {seed}: the writer ended by itself: {told}");
    reader.join().unwrap();
    acknowledged.extend(lines.try_iter());
    acknowledged.iter().map(|line| line.parse().unwrap()).collect()
}

/// Everything that was acknowledged, and what follows from it.
#[derive(Default)]
struct Acknowledged {
    saved: BTreeMap<(ResourceKey, Seq), u64>,
    built: BTreeSet<(ResourceKey, Seq)>,
}

impl Acknowledged {
    fn add(&mut self, line: Line) {
        match line {
            Line::Open => {}
            Line::Saved { key, seq, number } => {
                let before = self.saved.insert((key.clone(), seq), number);
                assert!(before.is_none(), "{key}@{seq} was acknowledged twice, for {before:?} and {number}");
            }
            Line::Built { key, seq } => {
                assert!(self.built.insert((key.clone(), seq)), "{key}@{seq} was acknowledged twice");
            }
        }
    }

    /// Every version is there, what was saved with its exact content, and what was built with that of its digest.
    async fn check(&self, host: &Floret) {
        for ((key, seq), number) in &self.saved {
            let read = host.get(key, &Selector::Seq(*seq), Freshness::Strong).await;
            let read = read.unwrap_or_else(|error| panic!("{key}@{seq} was acknowledged: {error}"));
            assert_eq!(read.content, content(*number), "{key}@{seq}");
        }
        for (key, seq) in &self.built {
            let read = host.get(key, &Selector::Seq(*seq), Freshness::Strong).await;
            assert!(read.is_ok(), "{key}@{seq} was acknowledged: {:?}", read.err());
        }
    }
}

/// What holds whenever a store is opened, whatever was cut off.
async fn check_store(host: &Floret) {
    let report = host.verify(VerifyOptions::default()).await.unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
    let query = ListQuery { limit: 1_000, ..ListQuery::default() };
    for head in host.catalog().list(&query).await.unwrap() {
        let log = host.log(&head.key, None, usize::MAX).await.unwrap();
        let seqs: Vec<u64> = log.iter().map(|version| version.seq.0).collect();
        assert_eq!(seqs, (1..=head.seq.0).rev().collect::<Vec<_>>(), "{}", head.key);
    }
    let batches = TRIPLE.map(key);
    let mut heads = Vec::new();
    for one in &batches {
        heads.push(
            host.resolve(one, &Selector::Latest).await.ok().map(|head| (head.seq, head.publish_id.clone())),
        );
    }
    assert!(heads.iter().all(|head| *head == heads[0]), "a batch is all or nothing: {heads:?}");
    check_pins(host).await;
}

/// What a cascade published is the latest of one moment: every index stands on the latest corpus.
async fn check_pins(host: &Floret) {
    let Ok(corpus) = host.resolve(&key("corpus/all"), &Selector::Latest).await else { return };
    for name in ["trie/all", "search/all"] {
        let Ok(index) = host.resolve(&key(name), &Selector::Latest).await else { continue };
        let on = index.dependencies.iter().find(|dependency| dependency.on.key == corpus.key).unwrap();
        assert_eq!(on.on.seq, corpus.seq, "{name}");
    }
}

async fn run(folder: &Path, rounds: std::ops::Range<u64>, acknowledged: &mut Acknowledged) {
    for number in rounds {
        for line in round(folder, number) {
            acknowledged.add(line);
        }
        if (number + 1) % LOOK_EVERY == 0 {
            let host = open(folder, Setup::default()).await.unwrap();
            check_store(&host).await;
            close(host).await;
        }
    }
}

async fn close(host: Arc<Floret>) {
    host.close().await.unwrap();
    drop(host);
}

/// Take away what the kills left behind, two days later: nothing but blobs that a version or a memo needs is left.
async fn sweep(folder: &Path) -> Arc<Floret> {
    let later = Arc::new(ManualClock::new(SystemClock.now().plus_ms(DAY_MS)));
    let host = open(folder, Setup { clock: later.clone(), ..Setup::default() }).await.unwrap();
    let policy =
        RetentionPolicy { newest: BTreeMap::new(), newest_of_others: usize::MAX, memo_ms: 30 * DAY_MS };
    for _ in 0..2 {
        let report = host.cleanup(&policy, 60 * 60 * 1000, false).await.unwrap();
        assert!(report.errors.is_empty() && report.sweep.errors.is_empty(), "{report:?}");
        assert!(report.dropped.is_empty(), "{:?}", report.dropped);
        later.advance_ms(DAY_MS);
    }
    assert_sound(&host).await;
    let blobs = host.catalog().blobs(None, usize::MAX).await.unwrap();
    let objects = floret_store::local_objects(&folder.join("blobs")).unwrap();
    let objects: Vec<_> = objects.list(None).try_collect().await.unwrap();
    assert_eq!(objects.len(), blobs.len());
    host
}

#[tokio::test(flavor = "multi_thread")]
async fn v5_two_hundred_kills_lose_nothing_that_was_acknowledged() {
    let folder = TempDir::new().unwrap();
    let mut acknowledged = Acknowledged::default();
    run(folder.path(), 0..ROUNDS, &mut acknowledged).await;
    assert!(acknowledged.saved.len() > 200, "{} saves: too few to mean much", acknowledged.saved.len());
    assert!(acknowledged.built.len() > 100, "{} builds: too few to mean much", acknowledged.built.len());
    let host = open(folder.path(), Setup::default()).await.unwrap();
    check_store(&host).await;
    assert_sound(&host).await;
    acknowledged.check(&host).await;
    close(host).await;
    let host = sweep(folder.path()).await;
    acknowledged.check(&host).await;
    let rebuilt = host.verify_rebuild().await.unwrap();
    assert_eq!((rebuilt.mismatches().count(), rebuilt.skipped.len()), (0, 0));
}
