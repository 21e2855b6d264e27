use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::task::Poll;

use floret_model::{CascadeReport, Digest, Memo, ResourceKey, StorageType, TimestampMs, Version, VersionRef};
use floret_store::{Access, Catalog, CopyEvent, CopyOptions, CopyReport, Draft, Error, Publish, copy};
use serde_json::json;

use crate::support::{HOUR_MS, NOW, Store, files, fresh, key, part, reference};

const CHECKED: CopyOptions = CopyOptions { dry_run: false, rehash: true };

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

fn hours(hours: i64) -> TimestampMs {
    TimestampMs(NOW.0 + hours * HOUR_MS as i64)
}

async fn publish(store: &Store, id: &str, at: TimestampMs, drafts: Vec<Draft>) {
    let publish = Publish { id: id.to_owned(), at, drafts, report: None };
    store.catalog.publish(publish).await.unwrap_or_else(|error| panic!("{id}: {error}"));
}

fn on(draft: Draft, dependencies: &[(&ResourceKey, u64)]) -> Draft {
    let dependencies = dependencies.iter().map(|(key, seq)| part(key, *seq)).collect();
    Draft { dependencies, ..draft }
}

fn long(word: &str) -> String {
    (0..500).map(|number| format!("{word} {number} ")).collect()
}

/// Bytes that do not compress.
fn noise(length: u64) -> Vec<u8> {
    let mut random = Random(length);
    (0..length).map(|_| random.below(256) as u8).collect()
}

/// A bit of everything: inline and outside, saved again, tagged, expired, dropped, made from others, in batches; builds,
/// reports and access counts.
async fn world(store: &Store) {
    let [text, other, corpus] =
        [("literature", "t"), ("literature", "😀/…"), ("corpus", "c")].map(|(kind, id)| key(kind, id));
    publish(store, "p1", hours(-50), vec![store.inline(&text, "A")]).await;
    publish(store, "p2", hours(-49), vec![store.stored(&text, long("B")).await]).await;
    let tagged = Draft { tags: BTreeSet::from(["stable".to_owned()]), ..store.inline(&text, "A") };
    let made = on(store.stored(&corpus, long("C")).await, &[(&text, 2)]);
    publish(store, "p3", hours(-48), vec![tagged, made]).await;
    let brief = Draft { ttl_ms: Some(HOUR_MS), ..store.inline(&other, "brief") };
    publish(store, "p4", hours(-47), vec![brief]).await;
    let again = on(store.stored(&corpus, long("B")).await, &[(&text, 3)]);
    let last = Draft { ttl_ms: Some(HOUR_MS), ..store.stored(&other, noise(5 << 20)).await };
    publish(store, "p5", hours(-46), vec![again, last]).await;
    let gone = [reference(&corpus, 1), reference(&text, 1), reference(&text, 2), reference(&other, 2)];
    assert_eq!(store.catalog.drop_versions(&gone, NOW).await.expect("dropped").len(), 4);
    publish(store, "p6", hours(-45), vec![store.stored(&other, noise(6 << 20)).await]).await;
    for number in 0..20_u32 {
        let batch = (0..150).map(|id| {
            let [one, many] = ["one", "many"].map(|kind| key("raw", &format!("{kind} {id}")));
            let text = format!("{number} {id}");
            let made = on(store.inline(&many, text.clone()), &[(&one, u64::from(number) + 1)]);
            [store.inline(&one, text), made]
        });
        publish(store, &format!("batch {number}"), hours(i64::from(number)), batch.flatten().collect()).await;
    }
    for (name, output) in [("one", long("B")), ("two", long("only a build's"))] {
        let draft = store.stored(&text, output).await;
        store.catalog.put_memo(&memo(name, draft.data_hash)).await.expect("put");
    }
    for id in ["cascade 1", "cascade 2"] {
        store.catalog.put_report(&report(id)).await.expect("put");
    }
    let last_at = NOW;
    let accesses = [(text, Access { count: 7, last_at }), (corpus, Access { count: 2, last_at })];
    store.catalog.add_accesses(&accesses).await.expect("added");
}

fn memo(name: &str, output: Digest) -> Memo {
    Memo {
        recipe: Digest::of(name.as_bytes()),
        output,
        output_bytes: 3,
        statistics: json!({"words": 3}),
        build_time_ms: 0.5,
        created_at: NOW,
    }
}

fn report(id: &str) -> CascadeReport {
    CascadeReport {
        id: id.to_owned(),
        started_at: NOW,
        elapsed_ms: 1.5,
        roots: vec![key("literature", "t")],
        published: true,
        steps: Vec::new(),
    }
}

/// All that a home holds, as it reads; but for the places of contents.
#[derive(PartialEq, Debug)]
struct Everything {
    versions: Vec<Version>,
    heads: Vec<Option<VersionRef>>,
    dependents: Vec<Vec<ResourceKey>>,
    memos: Vec<Memo>,
    reports: Vec<CascadeReport>,
    accesses: Vec<(ResourceKey, Access)>,
}

async fn everything(store: &Store) -> Everything {
    let catalog = &*store.catalog;
    let versions = catalog.scan(None, usize::MAX).await.expect("read");
    let keys: BTreeSet<ResourceKey> = versions.iter().map(|version| version.key.clone()).collect();
    let keys: Vec<ResourceKey> = keys.into_iter().collect();
    let heads = catalog.heads(&keys).await.expect("read").into_iter();
    let versions = versions.into_iter().map(|version| {
        let mut version = (*version).clone();
        version.content_location.path = None;
        version
    });
    Everything {
        versions: versions.collect(),
        heads: heads.map(|head| head.map(|head| head.reference())).collect(),
        dependents: catalog.dependents(&keys).await.expect("read"),
        memos: catalog.scan_memos(None, usize::MAX).await.expect("read"),
        reports: catalog.scan_reports(None, usize::MAX).await.expect("read"),
        accesses: catalog.scan_accesses(None, usize::MAX).await.expect("read"),
    }
}

async fn run(from: &Store, to: &Store) -> Result<CopyReport, Error> {
    copy(&from.blobs, &to.blobs, CHECKED, |_| {}).await
}

async fn copied(from: &Store, to: &Store) -> CopyReport {
    let report = run(from, to).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(report.is_clean(), "{:?}", report.verify);
    report
}

/// As many versions of each publish as the source has, or none.
fn assert_whole_publishes(source: &Everything, target: &Everything) {
    let count = |of: &Everything| {
        let mut counts = BTreeMap::new();
        for version in &of.versions {
            *counts.entry(version.publish_id.clone()).or_insert(0) += 1;
        }
        counts
    };
    let whole = count(source);
    for (id, number) in count(target) {
        assert_eq!(number, whole[&id], "versions of {id}");
    }
}

#[tokio::test]
async fn everything_goes_over_as_it_is_and_once() {
    let ((from, _from), (to, _to)) = (fresh(), fresh());
    world(&from).await;
    let before = everything(&from).await;
    let first = copied(&from, &to).await;
    let after = everything(&to).await;
    assert_eq!(after, before);
    assert_eq!(everything(&from).await, before, "the source is only read");
    assert_eq!((first.examined, first.versions, first.equal), (6008, 6008, 6008));
    assert_eq!((first.memos, first.reports, first.accesses, first.left), (2, 2, 2, 0));
    // B, the noise that was not dropped, and the output that no version has.
    assert_eq!(first.blobs, 3);
    for version in to.catalog.scan(None, usize::MAX).await.expect("read") {
        if version.content_location.storage_type == StorageType::Disk && version.dropped_at.is_none() {
            let content = to.blobs.content(&version).await.expect("whole");
            assert_eq!(Digest::of(&content), version.data_hash);
        }
    }
    let second = copied(&from, &to).await;
    assert_eq!((second.versions, second.blobs, second.memos), (0, 0, 0));
    assert_eq!((second.reports, second.accesses, second.equal), (0, 0, 6008));
    assert_eq!(everything(&to).await, before);
}

#[tokio::test]
async fn a_later_copy_brings_over_the_difference() {
    let ((from, _from), (to, _to)) = (fresh(), fresh());
    world(&from).await;
    copied(&from, &to).await;
    let (text, corpus) = (key("literature", "t"), key("corpus", "c"));
    publish(&from, "p7", hours(30), vec![from.stored(&text, long("D")).await]).await;
    publish(&from, "p8", hours(31), vec![on(from.inline(&corpus, "E"), &[(&text, 4)])]).await;
    from.catalog.put_memo(&memo("three", Digest::of(long("D").as_bytes()))).await.expect("put");
    from.catalog.put_report(&report("cascade 0")).await.expect("put");
    let access = |count| [(text.clone(), Access { count, last_at: hours(1) })];
    from.catalog.add_accesses(&access(3)).await.expect("added");
    // It was read there, too.
    to.catalog.add_accesses(&access(1)).await.expect("added");
    let report = copied(&from, &to).await;
    assert_eq!((report.versions, report.blobs, report.memos, report.reports), (2, 1, 1, 1));
    assert_eq!(report.accesses, 1);
    assert_eq!(everything(&to).await, everything(&from).await);
    to.catalog.add_accesses(&access(5)).await.expect("added");
    assert_eq!(copied(&from, &to).await.accesses, 0);
    assert_eq!(to.catalog.access(&text).await.expect("read").count, 15, "no count sinks");
}

#[tokio::test]
async fn a_copy_that_is_cut_off_anywhere_goes_on() {
    let (from, _from) = fresh();
    world(&from).await;
    let source = everything(&from).await;
    for seed in 0..6 {
        let mut random = Random(seed);
        let (to, _to) = fresh();
        let mut cuts = 0_u64;
        let report = loop {
            // Sooner at first, so that it is cut off; later in the end, so that it comes to one.
            let mut polls = 1 + random.below(20 + 10 * cuts);
            let mut work = pin!(copy(&from.blobs, &to.blobs, CHECKED, |_| {}));
            let cut = std::future::poll_fn(|context| {
                polls -= 1;
                match work.as_mut().poll(context) {
                    Poll::Ready(done) => Poll::Ready(Some(done)),
                    Poll::Pending if polls == 0 => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                }
            });
            if let Some(done) = cut.await {
                break done.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            }
            cuts += 1;
            assert!(cuts < 100, "seed {seed}: it does not come to an end");
            let target = everything(&to).await;
            assert_whole_publishes(&source, &target);
            let found = to.verify().await;
            assert!(found.is_clean(), "seed {seed}: {:?}", found.problems);
        };
        assert!(cuts > 0, "seed {seed} was never cut off");
        assert!(report.is_clean());
        assert_eq!(everything(&to).await, source, "seed {seed}");
    }
}

#[tokio::test]
async fn clocks_that_disagree_do_not_change_what_goes_first() {
    let ((from, _from), (to, _to)) = (fresh(), fresh());
    let [a, b, c] = ["a", "b", "c"].map(|id| key("corpus", id));
    publish(&from, "p1", hours(10), vec![from.inline(&a, "A1")]).await;
    // The clock of who made this from it is ten hours behind.
    let both = vec![on(from.inline(&b, "B1"), &[(&a, 1)]), from.inline(&c, "C1")];
    publish(&from, "p2", hours(0), both).await;
    publish(&from, "p3", hours(-1), vec![from.inline(&c, "C2")]).await;
    // Two publishes of one name and time, and one between them that was made from the first and went into the second.
    publish(&from, "twin", hours(5), vec![from.inline(&a, "A2")]).await;
    publish(&from, "between", hours(4), vec![on(from.inline(&b, "B2"), &[(&a, 2)])]).await;
    publish(&from, "twin", hours(5), vec![on(from.inline(&c, "C3"), &[(&b, 2)])]).await;
    let report = copied(&from, &to).await;
    assert_eq!(report.versions, 7);
    assert_eq!(everything(&to).await, everything(&from).await);
}

#[tokio::test]
async fn a_target_that_went_its_own_way_is_refused_and_left_alone() {
    let (text, other) = (key("literature", "t"), key("literature", "aa"));
    type Make = fn(&Store, &ResourceKey) -> Vec<Draft>;
    let makes: [(&str, Make); 3] = [
        ("another first version", |store, key| vec![store.inline(key, "X")]),
        ("another second version", |store, key| vec![store.inline(key, "A"), store.inline(key, "X")]),
        ("a longer log", |store, key| ["X", "Y", "Z"].map(|text| store.inline(key, text)).into()),
    ];
    for (why, make) in makes {
        let ((from, _from), (to, _to)) = (fresh(), fresh());
        publish(&from, "p0", hours(0), vec![from.inline(&other, "goes first")]).await;
        publish(&from, "p1", hours(1), vec![from.inline(&text, "A"), from.inline(&text, "B")]).await;
        publish(&to, "p1", hours(1), make(&to, &text)).await;
        let before = everything(&to).await;
        let error = run(&from, &to).await.expect_err(why);
        let message = error.to_string();
        assert!(matches!(error, Error::Diverged { .. }), "{why}: {message}");
        for word in [&from.catalog.to_string(), &to.catalog.to_string(), "literature/t@", "sha256"] {
            assert!(message.contains(word), "{why}: no {word} in {message}");
        }
        assert_eq!(everything(&to).await, before, "{why}: nothing was written");
    }
    // What the target has beside is its own.
    let ((from, _from), (to, _to)) = (fresh(), fresh());
    publish(&from, "p1", hours(1), vec![from.inline(&text, "A")]).await;
    publish(&to, "p1", hours(1), vec![to.inline(&text, "A"), to.inline(&text, "on"), to.inline(&other, "A")])
        .await;
    let report = copied(&from, &to).await;
    assert_eq!((report.versions, report.equal), (0, 1));
}

#[tokio::test]
async fn a_damaged_content_is_named_and_nothing_needs_it_there() {
    let ((from, folder), (to, _to)) = (fresh(), fresh());
    let [text, corpus, trie] = ["literature", "corpus", "trie"].map(|kind| key(kind, "x"));
    publish(&from, "p1", hours(1), vec![from.inline(&text, "A")]).await;
    let draft = from.stored(&corpus, long("B")).await;
    let path = draft.content_location.path.clone().expect("a path");
    publish(&from, "p2", hours(2), vec![on(draft, &[(&text, 1)])]).await;
    publish(&from, "p3", hours(3), vec![on(from.inline(&trie, "C"), &[(&corpus, 1)])]).await;
    let object = folder.path().join("objects").join(path);
    let sound = std::fs::read(&object).expect("the object");
    let mut flipped = sound.clone();
    *flipped.last_mut().expect("not empty") ^= 1;
    for damaged in [Some(flipped), Some(sound[1..].to_vec()), None] {
        match damaged {
            Some(bytes) => std::fs::write(&object, bytes).expect("written"),
            None => std::fs::remove_file(&object).expect("removed"),
        }
        let error = run(&from, &to).await.expect_err("it is damaged");
        assert!(matches!(error, Error::Integrity { .. }), "{error}");
        assert!(error.to_string().contains("the content of corpus/x@1"), "{error}");
        let found = to.verify().await;
        assert!(found.is_clean(), "{:?}", found.problems);
    }
    std::fs::write(&object, &sound).expect("restored");
    copied(&from, &to).await;
    assert_eq!(everything(&to).await, everything(&from).await);
}

#[tokio::test]
async fn each_home_keeps_what_its_own_retention_keeps() {
    let ((from, _from), (to, _to)) = (fresh(), fresh());
    let [text, corpus] = ["literature", "corpus"].map(|kind| key(kind, "x"));
    for (number, content) in ["A", "B", "C"].into_iter().enumerate() {
        let draft = from.stored(&text, long(content)).await;
        publish(&from, content, hours(number as i64), vec![draft]).await;
    }
    copied(&from, &to).await;
    let dropped = async |store: &Store, seq| {
        let dropped = store.catalog.drop_versions(&[reference(&text, seq)], NOW).await;
        assert_eq!(dropped.expect("dropped").len(), 1);
    };
    dropped(&from, 1).await;
    dropped(&to, 2).await;
    let report = copied(&from, &to).await;
    let counted = (report.versions, report.equal, report.dropped_in_source, report.dropped_in_target);
    assert_eq!(counted, (0, 3, 1, 1));
    // What is made there from a version that is gone here cannot come here.
    publish(&from, "late", hours(9), vec![on(from.inline(&corpus, "late"), &[(&text, 2)])]).await;
    let error = run(&from, &to).await.expect_err("it was dropped");
    let message = error.to_string();
    assert!(matches!(error, Error::Diverged { .. }), "{message}");
    for word in ["literature/x@2", "corpus/x was made from it", "dropped by cleanup"] {
        assert!(message.contains(word), "no {word} in {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_meanwhile_is_left_to_the_next_copy() {
    let ((from, _from), (to, _to)) = (fresh(), fresh());
    let [text, other] = ["t", "u"].map(|id| key("literature", id));
    publish(&from, "p1", hours(1), vec![from.inline(&text, "A")]).await;
    let here = tokio::runtime::Handle::current();
    let progress = |event| {
        if let CopyEvent::Planned { .. } = event {
            let drafts = vec![from.inline(&text, "B"), from.inline(&other, "C")];
            tokio::task::block_in_place(|| here.block_on(publish(&from, "p2", hours(2), drafts)));
        }
    };
    let report = copy(&from.blobs, &to.blobs, CHECKED, progress).await.expect("copied");
    assert_eq!((report.versions, report.equal, report.left), (1, 1, 2));
    assert!(report.is_clean());
    let report = copied(&from, &to).await;
    assert_eq!((report.versions, report.equal, report.left), (2, 3, 0));
    assert_eq!(everything(&to).await, everything(&from).await);
}

#[tokio::test]
async fn a_dry_run_counts_and_writes_nothing() {
    let ((from, _from), (to, folder)) = (fresh(), fresh());
    let text = key("literature", "t");
    publish(&from, "p1", hours(1), vec![from.inline(&text, "A"), from.stored(&text, long("B")).await]).await;
    let empty = everything(&to).await;
    let options = CopyOptions { dry_run: true, rehash: true };
    let report = copy(&from.blobs, &to.blobs, options, |_| {}).await.expect("looked");
    let raw_bytes = 1 + long("B").len() as u64;
    let expected = CopyReport { dry_run: true, examined: 2, versions: 2, raw_bytes, ..CopyReport::default() };
    assert_eq!(report, expected);
    assert_eq!(everything(&to).await, empty);
    assert!(files(&folder.path().join("objects")).is_empty());
    copied(&from, &to).await;
    let report = copy(&from.blobs, &to.blobs, options, |_| {}).await.expect("looked");
    assert_eq!((report.versions, report.raw_bytes), (0, 0));
}
