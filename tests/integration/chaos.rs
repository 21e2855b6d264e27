//! Hosts over shared servers, and random kills of hosts and of the database: what was acknowledged is there, once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use floret_model::{Digest, ResourceKey, Seq, Version};
use floret_pipeline::{Floret, Freshness, Selector};
use floret_store::{Clock, ManualClock, MongoCatalog, RetentionPolicy, SystemClock};
use floret_tests::chaos::{Entry, SHARED_NUMBERS};
use floret_tests::journal::{Random, content};
use floret_tests::s3::S3Server;
use floret_tests::servers::{Database, Mongo, Place};
use floret_tests::{Setup, assert_sound, open};
use futures::TryStreamExt;
use tempfile::TempDir;

/// Another length than a minute, in seconds.
const SECONDS: &str = "FLORET_TEST_CHAOS_SECONDS";
/// Another seed than the time.
const SEED: &str = "FLORET_TEST_CHAOS_SEED";
const HOSTS: u64 = 4;
/// Between two kills, at most.
const QUIET_MAX_MS: u64 = 3_000;
/// One kill of so many hits the database.
const DATABASE_ONE_IN: u64 = 6;
/// Kills of the database, at least.
const DATABASE_KILLS_MIN: u64 = 3;
/// Acknowledged versions that are read again at the end, of those that are there.
const READ_AT_END: usize = 500;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Where everything is.
struct Ground {
    folder: TempDir,
    database: Database,
    place: Place,
}

impl Ground {
    /// A host process; each life has a journal of its own, and finds the cache of the life before.
    fn host(&self, number: u64, life: u64) -> Host {
        let file = |ending: &str| self.folder.path().join(format!("host-{number}-{life}.{ending}"));
        let errors = std::fs::File::create(file("errors")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_chaos-host"))
            .arg(self.folder.path().join(format!("host-{number}")))
            .arg(file("journal"))
            .arg((life * HOSTS + number).to_string())
            .arg(&self.database.uri)
            .args(self.place.arguments())
            .stdin(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        Host { child, number, life, errors: file("errors") }
    }

    async fn open(&self, name: &str, clock: Arc<dyn Clock>) -> Arc<Floret> {
        let setup = Setup {
            clock,
            catalog: Some(MongoCatalog::connect(&self.database.uri).await.unwrap()),
            objects: Some(self.place.objects().await),
            ..Setup::default()
        };
        open(&self.folder.path().join(name), setup).await.unwrap()
    }
}

struct Host {
    child: Child,
    number: u64,
    life: u64,
    errors: PathBuf,
}

impl Host {
    /// It ends only by being killed.
    fn check(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            let told = std::fs::read_to_string(&self.errors).unwrap_or_default();
            panic!("host {} ended by itself in its life {}: {status}: {told}", self.number, self.life);
        }
    }

    fn kill(mut self) {
        self.check();
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// What all journals of all lives say.
#[derive(Default)]
struct Journals {
    appended: HashMap<(ResourceKey, Seq), u64>,
    unchanged: Vec<(ResourceKey, Seq, u64)>,
    counts: BTreeMap<String, u64>,
}

impl Journals {
    fn read(folder: &Path) -> Self {
        let mut journals = Self::default();
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "journal") {
                let text = std::fs::read_to_string(&path).unwrap();
                for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
                    journals.add(line.parse().unwrap());
                }
            }
        }
        journals
    }

    fn add(&mut self, entry: Entry) {
        let what = match &entry {
            Entry::Open => "hosts opened".to_owned(),
            Entry::Appended { .. } => "versions appended".to_owned(),
            Entry::Unchanged { .. } => "saves of what was there".to_owned(),
            Entry::Done { what } => what.split(':').next().unwrap().to_owned(),
            Entry::Failed { how } => format!("failed: {how}"),
        };
        *self.counts.entry(what).or_default() += 1;
        match entry {
            Entry::Appended { key, seq, number } => {
                let place = format!("{key}@{seq}");
                let before = self.appended.insert((key, seq), number);
                assert_eq!(before, None, "{place} was acknowledged twice, the second time for {number}");
            }
            Entry::Unchanged { key, seq, number } => self.unchanged.push((key, seq, number)),
            _ => {}
        }
    }

    fn count(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or_default()
    }

    /// Whatever was acknowledged is there as it was acknowledged. Contents were all hashed before.
    fn check(&self, versions: &HashMap<(ResourceKey, Seq), Arc<Version>>) {
        let unchanged = self.unchanged.iter().map(|(key, seq, number)| ((key.clone(), *seq), *number));
        for (place, number) in
            self.appended.iter().map(|(place, number)| (place.clone(), *number)).chain(unchanged)
        {
            let (key, seq) = &place;
            let version = versions.get(&place);
            let version = version.unwrap_or_else(|| panic!("{key}@{seq} was acknowledged, and is not there"));
            assert_eq!(version.data_hash, Digest::of(content(number).as_bytes()), "{key}@{seq}");
            let kept = version.dropped_at.is_none() || key.resource_type.as_str() == "scrap";
            assert!(kept, "{key}@{seq} was acknowledged, and was dropped");
        }
    }
}

/// Every version, by its place.
async fn versions(host: &Floret) -> HashMap<(ResourceKey, Seq), Arc<Version>> {
    let mut found = HashMap::new();
    let mut after = None;
    loop {
        let page = host.catalog().scan(after.as_ref(), 1_000).await.unwrap();
        let Some(last) = page.last() else { return found };
        after = Some(last.reference());
        for version in page {
            let before = found.insert((version.key.clone(), version.seq), version);
            assert!(before.is_none(), "two versions in one place: {before:?}");
        }
    }
}

/// Seqs have no gap; what was sent once is there once; batches are whole.
fn check_log(versions: &HashMap<(ResourceKey, Seq), Arc<Version>>) {
    let shared: BTreeSet<Digest> =
        (0..SHARED_NUMBERS).map(|number| Digest::of(content(number).as_bytes())).collect();
    let mut lengths: HashMap<&ResourceKey, (u64, u64)> = HashMap::new();
    let mut contents: HashMap<(&ResourceKey, Digest), Seq> = HashMap::new();
    let mut batches: HashMap<&str, u64> = HashMap::new();
    for ((key, seq), version) in versions {
        let (count, last) = lengths.entry(key).or_default();
        (*count, *last) = (*count + 1, (*last).max(seq.0));
        if version.tags.contains("batch") {
            *batches.entry(&version.publish_id).or_default() += 1;
        }
        if !shared.contains(&version.data_hash) {
            let before = contents.insert((key, version.data_hash), *seq);
            assert!(before.is_none(), "{key}@{seq} was saved once, and is there as {before:?} too");
        }
    }
    for (key, (count, last)) in lengths {
        assert_eq!(count, last, "{key} has a gap");
    }
    for (publish, count) in batches {
        assert_eq!(count, 5, "publish {publish} is not whole");
    }
}

/// Kill by chance until the time is over; how often the database was killed.
fn rage(ground: &Ground, mongo: &mut Mongo, random: &mut Random, length: Duration) -> u64 {
    let mut hosts: Vec<Host> = (0..HOSTS).map(|number| ground.host(number, 0)).collect();
    let (started, mut database_kills, mut lives) = (Instant::now(), 0, 0);
    while started.elapsed() < length {
        std::thread::sleep(Duration::from_millis(random.below(QUIET_MAX_MS)));
        hosts.iter_mut().for_each(Host::check);
        let due = length * u32::try_from(database_kills + 1).unwrap()
            / u32::try_from(DATABASE_KILLS_MIN + 1).unwrap();
        if started.elapsed() > due || random.below(DATABASE_ONE_IN) == 0 {
            mongo.kill();
            database_kills += 1;
            mongo.start_again();
        } else {
            let which = usize::try_from(random.below(HOSTS)).unwrap();
            let host = hosts.swap_remove(which);
            let number = host.number;
            host.kill();
            lives += 1;
            hosts.push(ground.host(number, lives));
        }
    }
    hosts.into_iter().for_each(Host::kill);
    database_kills
}

/// Two days later, nothing but blobs that a version needs is left.
async fn check_leftovers(ground: &Ground) {
    let later = Arc::new(ManualClock::new(SystemClock.now().plus_ms(2 * DAY_MS)));
    let host = ground.open("sweeper", later.clone()).await;
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
    let objects: Vec<_> = ground.place.objects().await.list(None).try_collect().await.unwrap();
    assert_eq!(objects.len(), blobs.len());
}

fn number_of(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[tokio::test(flavor = "multi_thread")]
async fn v5_hosts_and_the_database_are_killed_and_nothing_acknowledged_is_lost() {
    let seed = number_of(SEED).unwrap_or_else(|| u64::try_from(SystemClock.now().0).unwrap());
    let length = Duration::from_secs(number_of(SECONDS).unwrap_or(60));
    println!("{SEED}={seed}");
    let (mut mongo, s3) = (Mongo::start(), S3Server::start());
    let ground =
        Ground { folder: TempDir::new().unwrap(), database: mongo.database(), place: Place::in_process(&s3) };
    let mut random = Random(seed);
    let kills = tokio::task::block_in_place(|| rage(&ground, &mut mongo, &mut random, length));
    let journals = Journals::read(ground.folder.path());
    let appended = journals.count("versions appended");
    println!(
        "{:.0} versions/s; the database was killed {kills} times",
        appended as f64 / length.as_secs_f64()
    );
    println!("{:#?}", journals.counts);
    let host = ground.open("judge", Arc::new(SystemClock)).await;
    assert_sound(&host).await;
    let versions = versions(&host).await;
    check_log(&versions);
    journals.check(&versions);
    let there = journals.appended.iter().filter(|(place, _)| versions[*place].dropped_at.is_none());
    for ((key, seq), number) in there.take(READ_AT_END) {
        let read = host.get(key, &Selector::Seq(*seq), Freshness::Strong).await.unwrap();
        assert_eq!(read.content, content(*number), "{key}@{seq}");
    }
    assert!(appended > 10 * length.as_secs(), "{appended} versions: too few to mean much");
    assert!(kills >= DATABASE_KILLS_MIN, "{kills} kills of the database: too few to mean much");
    check_leftovers(&ground).await;
}
