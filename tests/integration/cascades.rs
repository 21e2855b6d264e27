//! Cascades: what is rebuilt, what is not, and what is seen of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use floret_model::{CascadeReport, Seq, StepReason};
use floret_pipeline::{Binding, Error, Event, Floret, Progress, Selector};
use floret_store::VerifyOptions;
use floret_tests::{
    Setup, component, corpus, derived, guest, key, literature, open, save_text, small_world, text,
};
use serde_json::json;
use tempfile::TempDir;

fn fates(report: &CascadeReport) -> Vec<(String, &'static str)> {
    let mut fates: Vec<_> =
        report.steps.iter().map(|step| (step.key.to_string(), step.fate.name())).collect();
    fates.sort();
    fates
}

async fn change(host: &Floret, id: &str, content: &str) -> CascadeReport {
    save_text(host, id, content).await.unwrap();
    host.cascade(&[key(&format!("literature/{id}"))], &Progress::default()).await.unwrap()
}

async fn seq(host: &Floret, name: &str) -> u64 {
    host.resolve(&key(name), &Selector::Latest).await.unwrap().seq.0
}

fn owned<'a>(fates: &[(&str, &'a str)]) -> Vec<(String, &'a str)> {
    fates.iter().map(|(key, fate)| ((*key).to_owned(), *fate)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn k1_dependents_are_rebuilt_and_k2_get_new_content() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    let before = host.resolve(&key("trie/all"), &Selector::Latest).await.unwrap();
    let report = change(&host, "a", "An entirely different text.").await;
    let built = ["corpus/a", "corpus/all", "search/all", "semantic/all", "trie/all"];
    assert_eq!(fates(&report), owned(&built.map(|key| (key, "built"))));
    let after = host.resolve(&key("trie/all"), &Selector::Latest).await.unwrap();
    assert_eq!(after.seq, Seq(2));
    assert_ne!(after.data_hash, before.data_hash);
    let corpus = host.resolve(&key("corpus/all"), &Selector::Latest).await.unwrap();
    assert!(after.dependencies.iter().any(|dependency| dependency.on == corpus.reference()));
}

#[tokio::test(flavor = "multi_thread")]
async fn k2_a_rebuild_appends_the_bytes_that_the_builder_makes() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    change(&host, "a", "new words").await;
    let fresh_folder = TempDir::new().unwrap();
    let fresh = open(fresh_folder.path(), Setup::default()).await.unwrap();
    small_world(&fresh).await.unwrap();
    change(&fresh, "a", "new words").await;
    for name in ["corpus/a", "corpus/all", "trie/all", "semantic/all", "search/all"] {
        let one = host.resolve(&key(name), &Selector::Latest).await.unwrap();
        let other = fresh.resolve(&key(name), &Selector::Latest).await.unwrap();
        assert_eq!(one.data_hash, other.data_hash, "two fresh stores make the same {name}");
    }
    let rebuilt = host.verify_rebuild().await.unwrap();
    assert!(rebuilt.skipped.is_empty(), "{:?}", rebuilt.skipped);
    assert_eq!((rebuilt.rebuilt.len(), rebuilt.mismatches().count()), (9, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn k3_steps_follow_what_they_need() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    let plan = host.plan(&[key("literature/b")]).await.unwrap();
    let place = |name: &str| plan.steps.iter().position(|step| step.key == key(name)).unwrap();
    assert_eq!(plan.steps.len(), 5);
    assert!(place("corpus/b") < place("corpus/all"));
    assert!(place("corpus/all") < place("trie/all").min(place("semantic/all")));
    assert_eq!(place("search/all"), 4);
    assert_eq!(plan.steps[4].after, [1, 2, 3], "the search index waits for the corpus and both indexes");
    let expected = StepReason::InputChanged { inputs: vec![key("literature/b")] };
    assert_eq!(plan.steps[0].reason, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn k4_each_step_has_a_fate_and_what_is_direct_is_told_from_the_rest() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    let original = "The engine weaves algebraic patterns. The engine computes.";
    change(&host, "a", "something else").await;
    let back = change(&host, "a", original).await;
    let memo_hits = ["corpus/a", "corpus/all", "semantic/all", "trie/all"];
    let mut expected = owned(&memo_hits.map(|key| (key, "memo_hit")));
    expected.insert(2, ("search/all".to_owned(), "built"));
    assert_eq!(fates(&back), expected);
    let direct: Vec<String> = back.steps_of(true).map(|step| step.key.to_string()).collect();
    assert_eq!(direct, ["corpus/a"]);
    assert_eq!(back.steps_of(false).count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn k4_equal_vocabulary_and_counts_are_cut_off_at_the_corpus() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    let reordered = "A sparrow is gone. A sparrow flies through the hall!";
    host.save(literature("b", "Bede", 731, reordered)).await.unwrap();
    let report = host.cascade(&[key("literature/b")], &Progress::default()).await.unwrap();
    let step = report.steps.iter().find(|step| step.key == key("corpus/b")).unwrap();
    assert_eq!(step.fate, floret_model::Fate::Built { changed: false });
    assert_eq!((report.count("built"), report.count("cut_off")), (1, 4));
    assert_eq!(
        (seq(&host, "corpus/b").await, seq(&host, "corpus/all").await, seq(&host, "trie/all").await),
        (2, 1, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn k1_of_two_hundred_corpora_only_the_path_of_a_changed_leaf_is_built() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    let ids: Vec<String> = (0..190).map(|n| format!("{n:03}")).collect();
    host.save_batch(ids.iter().map(|id| text(id, &format!("common w{id} w{id}"))).collect()).await.unwrap();
    let mut corpora: Vec<_> = ids.iter().map(|id| corpus(id, &[id], &[])).collect();
    let groups: Vec<String> = (0..9).map(|n| format!("group {n}")).collect();
    for (n, group) in groups.iter().enumerate() {
        let members: Vec<&str> = ids.iter().skip(n).step_by(9).map(String::as_str).collect();
        corpora.push(corpus(group, &[], &members));
    }
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    corpora.push(corpus("master", &[], &groups));
    assert_eq!(corpora.len(), 200);
    let built = host.corpus_create(corpora, &Progress::default()).await.unwrap();
    assert_eq!(built.count("built"), 200);
    let index = floret_pipeline::Change {
        builds: vec![derived("trie/master", "corpus", &["corpus/master"])],
        ..floret_pipeline::Change::default()
    };
    host.apply(index, &Progress::default()).await.unwrap();
    let report = change(&host, "100", "common other").await;
    let expected = ["corpus/100", "corpus/group 1", "corpus/master", "trie/master"];
    assert_eq!(fates(&report), owned(&expected.map(|key| (key, "built"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn k6_a_failed_cascade_shows_nothing_and_is_resumed_from_its_memos() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    let trie = Binding::new("trie-fst");
    host.plugin_install(None, guest("misbehave-index").unwrap()).await.unwrap();
    let trap = json!({"mode": "trap"}).as_object().unwrap().clone();
    host.plugin_bind("trie", Binding::configured("misbehave-index", trap)).await.unwrap();
    save_text(&host, "a", "other words").await.unwrap();
    let failed = host.cascade(&[key("literature/a")], &Progress::default()).await.unwrap_err();
    let Error::Cascade(report) = &failed else { panic!("{failed}") };
    let fate = |name: &str| report.steps.iter().find(|step| step.key == key(name)).unwrap().fate.name();
    assert_eq!((fate("corpus/a"), fate("semantic/all")), ("built", "built"));
    assert_eq!((fate("trie/all"), fate("search/all")), ("failed", "skipped"));
    assert!(failed.to_string().contains("misbehave-index"), "{failed}");
    for name in ["corpus/a", "corpus/all", "trie/all", "semantic/all", "search/all"] {
        assert_eq!(seq(&host, name).await, 1, "{name}");
    }
    host.plugin_bind("trie", trie).await.unwrap();
    let resumed = host.cascade(&[key("literature/a")], &Progress::default()).await.unwrap();
    let expected = [
        ("corpus/a", "memo_hit"),
        ("corpus/all", "memo_hit"),
        ("search/all", "built"),
        ("semantic/all", "memo_hit"),
        ("trie/all", "built"),
    ];
    assert_eq!(fates(&resumed), owned(&expected));
    assert!(host.verify(VerifyOptions::default()).await.unwrap().problems.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn k6_a_stopped_cascade_publishes_nothing() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    save_text(&host, "a", "other words").await.unwrap();
    let finished = Arc::new(AtomicUsize::new(0));
    let stop = Arc::new(std::sync::OnceLock::<Progress>::new());
    let progress = Progress::new({
        let (finished, stop) = (Arc::clone(&finished), Arc::clone(&stop));
        move |event| {
            if matches!(event, Event::StepFinished(_)) && finished.fetch_add(1, Ordering::SeqCst) == 0 {
                stop.get().unwrap().stop();
            }
        }
    });
    stop.set(progress.clone()).unwrap();
    let error = host.cascade(&[key("literature/a")], &progress).await.unwrap_err();
    assert!(matches!(error, Error::Interrupted), "{error}");
    assert_eq!((seq(&host, "corpus/a").await, seq(&host, "corpus/all").await), (1, 1));
    let resumed = host.cascade(&[key("literature/a")], &Progress::default()).await.unwrap();
    assert_eq!(resumed.steps[0].fate.name(), "memo_hit");
}

#[tokio::test(flavor = "multi_thread")]
async fn k1_swapping_a_builder_is_a_cascade() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    let dimension = json!({"dimension": 64}).as_object().unwrap().clone();
    host.plugin_bind("semantic", Binding::configured("semantic-ngram", dimension)).await.unwrap();
    let report = host.cascade(&[key("plugins:binding/semantic")], &Progress::default()).await.unwrap();
    assert_eq!(fates(&report), owned(&[("search/all", "built"), ("semantic/all", "built")]));
    let again = host.plugin_install(None, component("trie-fst").unwrap()).await.unwrap();
    assert!(!again.is_new, "the same component again is no new version");
}

#[tokio::test(flavor = "multi_thread")]
async fn k4_why_tells_what_a_version_was_made_from_and_what_is_newer() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    save_text(&host, "a", "other words").await.unwrap();
    let stale = host.why(&key("corpus/a")).await.unwrap();
    assert_eq!(stale.newer_inputs.len(), 1);
    assert!(stale.newer_inputs[0].content_differs);
    host.cascade(&[key("literature/a")], &Progress::default()).await.unwrap();
    let fresh = host.why(&key("corpus/a")).await.unwrap();
    assert!(fresh.newer_inputs.is_empty());
    assert_eq!(fresh.steps[0].1.fate.name(), "built");
    let build = fresh.build.unwrap();
    assert_eq!(build.component.unwrap().plugin.key, key("plugins:plugin/corpus-text"));
    assert!(build.build_time_ms > 0.0 && build.output_bytes > 0);
}
