//! What a policy was asked is logged, and can be asked again of another one.

use std::sync::Arc;

use floret_model::{Codec, CompressionType, StorageType};
use floret_pipeline::{
    Binding, Contender, ContenderSource, Content, Cost, Error, Floret, POLICY_BINDING, PolicyComparison,
    PolicyReplay, SaveRequest, Selector,
};
use floret_store::RetentionPolicy;
use floret_tests::cli::Cli;
use floret_tests::{Setup, component, key, open, repository, save_text, small_world};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

fn contender(name: &str, config: Value) -> Contender {
    let config = config.as_object().unwrap().clone();
    Contender { source: ContenderSource::Installed(name.to_owned()), config }
}

fn replay(a: Contender, b: Contender) -> PolicyReplay {
    PolicyReplay { a, b, last: 10_000, resource_type: None }
}

fn defaults() -> PolicyReplay {
    replay(contender("policy-default", json!({})), contender("policy-archive", json!({})))
}

async fn compare(host: &Floret, replay: &PolicyReplay) -> Result<PolicyComparison, Error> {
    host.policy_compare(replay, &|done, of| assert!(done <= of, "{done} of {of}")).await
}

/// The small world, a text that is a file, and one that is above what is held in memory.
async fn world(folder: &TempDir) -> Arc<Floret> {
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    save_text(&host, "long", &"word after word ".repeat(20_000)).await.unwrap();
    let large = "a line of a large content\n".repeat(400_000);
    let spooled = host.spool("large".as_ref(), std::io::Cursor::new(large)).await.unwrap();
    host.save(SaveRequest::new(key("literature/large"), Content::File(spooled))).await.unwrap();
    host
}

#[tokio::test(flavor = "multi_thread")]
async fn h3_a_decision_is_logged_with_all_that_is_needed_to_ask_again() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    let config = json!({"level": 5}).as_object().unwrap().clone();
    let binding = Binding::configured("policy-default", config.clone());
    host.plugin_bind(POLICY_BINDING, binding).await.unwrap();
    let mut request = SaveRequest::new(key("literature/t"), Content::Bytes("words ".repeat(5_000).into()));
    request.metadata.custom.insert("archived".to_owned(), true.into());
    let saved = host.save(request).await.unwrap().version;
    let policy = saved.policy.clone().unwrap();
    let asked = policy.asked.unwrap();
    assert_eq!(asked.component.to_string(), "plugins:plugin/policy-default@1");
    assert_eq!(
        policy.digest,
        host.plugins()
            .await
            .unwrap()
            .iter()
            .find(|one| one.key.resource_id.as_str() == "policy-default")
            .unwrap()
            .data_hash
    );
    assert_eq!((asked.config, asked.size_bytes), (config, 30_000));
    assert_eq!((asked.namespace.as_str(), asked.resource_type.as_str()), ("default", "literature"));
    assert_eq!(asked.media_type, "text/plain; charset=utf-8");
    assert_eq!(asked.flags, ["archived"]);
    assert_eq!(asked.codec, Codec { compression: CompressionType::Zstd, level: 5 });
    let why = host.why(&key("literature/t")).await.unwrap();
    assert_eq!(why.policy, saved.policy);
    assert_eq!(why.stored_as, asked.codec);
    small_world(&host).await.unwrap();
    let trie = host.resolve(&key("trie/all"), &Selector::Latest).await.unwrap();
    assert!(
        trie.policy.as_ref().unwrap().asked.as_ref().unwrap().items.is_some(),
        "what its builder counted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn h3_a_replay_of_the_policy_in_force_gives_what_is_stored() {
    let folder = TempDir::new().unwrap();
    let host = world(&folder).await;
    let before = host.catalog().statistics().await.unwrap();
    let comparison = compare(&host, &defaults()).await.unwrap();
    assert_eq!((comparison.gone, comparison.incomplete), (0, 0));
    let mut stored = 0;
    let mut after = None;
    loop {
        let page = host.catalog().scan(after.as_ref(), 100).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.reference());
        let decided = page.iter().filter(|version| version.policy.is_some());
        stored += decided.map(|version| version.content_location.size_compressed).sum::<u64>();
    }
    assert_eq!(comparison.total.a.bytes, stored, "the policy in force, asked again, says what it said");
    assert!(comparison.total.b.bytes < stored, "{:?}", comparison.total);
    assert!(comparison.total.differing >= 2, "{:?}", comparison.total);
    let literature = &comparison.by_type["literature"];
    assert_eq!(literature.count, 4);
    assert!(literature.raw_bytes > 10_000_000);
    let of_types: u64 = comparison.by_type.values().map(|costs| costs.count).sum();
    assert_eq!((of_types, comparison.decisions), (comparison.total.count, comparison.total.count));
    for Cost { encode_ms, decode_ms, .. } in [comparison.total.a, comparison.total.b] {
        assert!(encode_ms > 0.0 && decode_ms > 0.0);
    }
    assert_eq!(host.catalog().statistics().await.unwrap(), before, "nothing changed");
    let one = |last| PolicyReplay { last, ..defaults() };
    let latest = compare(&host, &one(1)).await.unwrap();
    assert_eq!((latest.total.count, latest.total.raw_bytes), (1, 10_400_000), "the latest decision");
}

#[tokio::test(flavor = "multi_thread")]
async fn h3_equal_policies_agree_and_configurations_tell() {
    let folder = TempDir::new().unwrap();
    let host = world(&folder).await;
    let same = replay(contender("policy-default", json!({})), contender("policy-default", json!({})));
    let literature = PolicyReplay { resource_type: Some("literature".parse().unwrap()), ..same };
    let same = compare(&host, &literature).await.unwrap();
    assert_eq!((same.total.differing, same.total.a.bytes), (0, same.total.b.bytes));
    assert_eq!(same.total.a.encode_ms, same.total.b.encode_ms, "encoded once");
    assert_eq!(same.by_type.keys().collect::<Vec<_>>(), ["literature"]);
    let levels =
        replay(contender("policy-default", json!({"level": 1})), contender("policy-default", json!({})));
    assert!(compare(&host, &levels).await.unwrap().total.differing > 0);
    let bytes = component("policy-archive").unwrap();
    let file = Contender { source: ContenderSource::Component(bytes), config: Map::new() };
    let by_file = compare(&host, &replay(contender("policy-default", json!({})), file)).await.unwrap();
    let by_name = compare(&host, &defaults()).await.unwrap();
    assert_eq!(by_file.total.b.bytes, by_name.total.b.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn h3_contents_that_are_gone_are_counted() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    for round in 0..6 {
        save_text(&host, "t", &format!("round {round}")).await.unwrap();
    }
    host.cleanup(&RetentionPolicy::default(), 0, false).await.unwrap();
    let comparison = compare(&host, &defaults()).await.unwrap();
    assert_eq!((comparison.decisions, comparison.gone, comparison.total.count), (6, 3, 3));
    let inline = host.resolve(&key("literature/t"), &Selector::Latest).await.unwrap();
    assert_eq!(
        inline.content_location.storage_type,
        StorageType::Database,
        "inline contents are compared too"
    );
}

#[test]
fn h3_the_program_compares_draws_and_refuses_what_is_no_policy() {
    let cli = Cli::new();
    cli.save("literature/a", "some words, and some words more; ".repeat(1_000).as_bytes());
    cli.save("dictionary/d", b"{\"word\": \"word\", \"provider\": \"x\"}");
    let why = cli.run(&["--json", "why", "literature/a"]).ok().json();
    assert_eq!(why["policy"]["asked"]["size_bytes"], 33_000);
    let log = cli.run(&["--json", "log", "literature/a"]).ok().json();
    assert_eq!(log[0]["policy"]["asked"]["component"]["resource_id"], "policy-default");
    let file = repository().join("plugins/dist/policy-archive.wasm");
    let file = file.to_str().unwrap();
    let svg = cli.file("picture.svg", "");
    let args =
        ["policy", "compare", "policy-default", file, "--svg", svg.to_str().unwrap(), "--set-b", "level=12"];
    let table = cli.run(&args).ok();
    let types: Vec<&str> = table.text().lines().map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!(types.last(), Some(&"all"), "{}", table.text());
    assert!(types.contains(&"literature"), "{}", table.text());
    let drawn = std::fs::read_to_string(&svg).unwrap();
    assert!(drawn.starts_with("<svg ") && drawn.contains("policy-archive@0.1.0"), "{drawn}");
    let json = cli.run(&[&["--json"], &args[..]].concat()).ok().json();
    assert_eq!(json["b"]["config"], json!({"level": 12}));
    assert_eq!(json["by_type"]["literature"]["raw_bytes"], 33_000);
    cli.run(&["policy", "compare", "policy-default", "unheard-of"])
        .fails(3, &["no component named \"unheard-of\""]);
    cli.run(&["policy", "compare", "policy-default", "trie-fst"]).fails(2, &["floret:policy is needed here"]);
    cli.run(&["policy", "compare", "policy-default", "policy-archive", "--set-b", "level=20"])
        .fails(2, &["does not fit its schema"]);
    cli.run(&["policy", "compare", "policy-default", "policy-archive", "--last", "0"]).fails(2, &["--last"]);
}
