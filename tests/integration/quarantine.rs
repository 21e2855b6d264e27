//! What was built is built again in samples, and a component that makes other bytes is not used any more.

use std::path::Path;
use std::sync::Arc;

use floret_model::Digest;
use floret_pipeline::{Binding, Error, Floret, Progress, Sample, Sampling, Selector};
use floret_store::{Draft, Publish};
use floret_tests::cli::Cli;
use floret_tests::http::Server;
use floret_tests::{Setup, draft, key, open, save_text, small_world};
use tempfile::TempDir;

async fn world(folder: &Path) -> Arc<Floret> {
    let host = open(folder, Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    host
}

/// As a component leaves the log that made other bytes then than it makes now: no component that keeps to its contract
/// can, having neither clock nor chance, but a defect of an engine or of memory would look like this.
async fn build_otherwise(host: &Floret, name: &str) {
    let version = host.resolve(&key(name), &Selector::Latest).await.unwrap();
    let built = Draft {
        media_type: version.media_type.clone(),
        metadata: version.metadata.clone(),
        spec: version.spec.clone(),
        build: version.build.clone(),
        ..draft(&version.key, "what came out that day", version.dependencies.clone())
    };
    let publish =
        Publish { id: "otherwise".to_owned(), at: version.created_at, drafts: vec![built], report: None };
    host.catalog().publish(publish).await.unwrap();
}

async fn rebuild(host: &Floret, text: &str) -> Result<(), Error> {
    save_text(host, "a", text).await.unwrap();
    host.cascade(&[key("literature/a")], &Progress::default()).await.map(drop)
}

fn assert_quarantined(error: &Error) {
    for word in [
        "plugins:plugin/trie-fst@1 (sha256:",
        "is quarantined: trie/all@2 is stored as",
        "`floret plugin release trie-fst`",
    ] {
        assert!(error.to_string().contains(word), "no {word:?} in {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn o3_a_component_that_makes_other_bytes_is_refused_until_it_is_released() {
    let folder = TempDir::new().unwrap();
    let host = world(folder.path()).await;
    build_otherwise(&host, "trie/all").await;
    let report = host.verify_rebuild().await.unwrap();
    assert_eq!((report.eligible, report.rebuilt.len(), report.mismatches().count()), (6, 6, 1));
    assert!(report.rebuilt.iter().all(|rebuilt| !rebuilt.engine_changed));
    let [quarantine] = &report.quarantined[..] else { panic!("{:?}", report.quarantined) };
    assert_eq!(quarantine.artefact.to_string(), "trie/all@2");
    assert_eq!(quarantine.expected, Digest::of(b"what came out that day"));
    assert_quarantined(&rebuild(&host, "other words").await.unwrap_err());
    let binding = Binding::new("trie-fst");
    let refused = host.plugin_bind("trie", binding.clone()).await.unwrap_err();
    assert!(matches!(refused, Error::Quarantined(_)), "{refused}");
    assert_quarantined(&refused);
    // What it built before is still read.
    host.get(&key("search/all"), &Selector::Latest, floret_pipeline::Freshness::Strong).await.unwrap();
    host.close().await.unwrap();
    drop(host);

    let host = open(folder.path(), Setup::default()).await.unwrap();
    assert_quarantined(&rebuild(&host, "yet other words").await.unwrap_err());
    assert_eq!(host.quarantines(false).await.unwrap(), std::slice::from_ref(quarantine));
    for unknown in ["trie", "corpus-text", "0123456789abcdef", &quarantine.digest.to_string()[..7]] {
        let error = host.plugin_release(unknown).await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{unknown}: {error}");
        assert!(error.to_string().contains("`floret plugin list`"), "{error}");
    }
    let released = host.plugin_release(&quarantine.digest.to_string()[..12]).await.unwrap();
    assert_eq!(released.len(), 1);
    rebuild(&host, "yet other words").await.unwrap();
    host.plugin_bind("trie", binding).await.unwrap();
    assert_eq!(host.quarantines(false).await.unwrap(), []);
    assert_eq!(host.quarantines(true).await.unwrap().len(), 1, "its history is kept");
    let again = host.verify_rebuild().await.unwrap();
    assert_eq!(again.quarantined.len(), 1, "what differs still differs");
    host.plugin_release("trie-fst").await.unwrap();
    rebuild(&host, "last words").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn o3_a_sample_is_drawn_by_its_seed() {
    let folder = TempDir::new().unwrap();
    let host = world(folder.path()).await;
    let drawn = async |sample: &str, seed: u64| {
        let sampling = Sampling { sample: sample.parse().unwrap(), seed };
        let report = host.verify_rebuild_of(sampling, &|done, of| assert!(done < of)).await.unwrap();
        assert_eq!((report.eligible, report.mismatches().count(), report.skipped.len()), (5, 0, 0));
        report.rebuilt.iter().map(|rebuilt| rebuilt.version.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(drawn("100%", 1).await.len(), 5);
    assert_eq!(drawn("99", 1).await.len(), 5);
    let two = drawn("2", 7).await;
    assert_eq!(two.len(), 2);
    assert_eq!(drawn("2", 7).await, two);
    assert_eq!(drawn("40%", 7).await, drawn("40%", 7).await);
    assert_eq!(host.verify_rebuild().await.unwrap().sampling.sample, Sample::All);
}

/// A data folder with an index that its component would not make so.
fn built_otherwise() -> Cli {
    let cli = Cli::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let host = world(&cli.data()).await;
        build_otherwise(&host, "trie/all").await;
        host.close().await.unwrap();
    });
    cli
}

#[test]
fn a_quarantine_is_seen_and_lifted_over_http() {
    let cli = built_otherwise();
    let server = Server::start(&cli, &[]);
    let json = [("content-type", "application/json")];
    let asked = br#"{"rebuild": {"sample": "all", "seed": 1}}"#;
    let report = server.ask("POST", "/v1/verifications", &json, asked).is(200).json();
    let quarantined = &report["rebuild"]["quarantined"];
    assert_eq!(quarantined[0]["plugin"]["resource_id"], "trie-fst", "{report}");
    assert_eq!(server.get("/v1/quarantines").is(200).json(), *quarantined);
    server.get("/v1/quarantines?all=perhaps").fails(400, "invalid_request");
    let bound = br#"{"component": "trie-fst"}"#;
    server.ask("PUT", "/v1/bindings/trie?dry_run=true", &json, bound).fails(500, "quarantined");
    server.ask("DELETE", "/v1/quarantines/semantic-ngram", &[], b"").fails(404, "not_found");
    let lifted = server.ask("DELETE", "/v1/quarantines/trie-fst", &[], b"").is(200).json();
    assert_eq!((&lifted[0]["digest"], &lifted[0]["released"]), (&quarantined[0]["digest"], &true.into()));
    assert_eq!(server.get("/v1/quarantines").is(200).json(), serde_json::json!([]));
    assert_eq!(server.get("/v1/quarantines?all=true").is(200).json(), lifted);
    server.ask("PUT", "/v1/bindings/trie?dry_run=true", &json, bound).is(200);
}

#[test]
fn o3_the_program_samples_quarantines_and_releases() {
    let cli = built_otherwise();
    cli.run(&["verify", "--rebuild", "--sample", "0%"]).fails(2, &["is no sample: expected a share"]);
    cli.run(&["verify", "--sample", "5%"]).fails(2, &["--rebuild"]);
    let ran = cli.run(&["--json", "verify", "--rebuild", "--sample", "100%", "--seed", "12"]);
    let json = ran.json();
    assert_eq!(ran.status.code(), Some(6), "{}", ran.err);
    let rebuild = &json["rebuild"];
    assert_eq!((&rebuild["sample"]["share"], &rebuild["seed"]), (&1.0.into(), &12.into()));
    assert_eq!(rebuild["quarantined"][0]["artefact"]["resource_id"], "all");
    let digest = rebuild["quarantined"][0]["digest"].as_str().unwrap().to_owned();
    let list = cli.run(&["--json", "plugin", "list"]).ok().json();
    let trie = list.as_array().unwrap().iter().find(|one| one["name"] == "trie-fst").unwrap().clone();
    assert_eq!(trie["quarantine"]["digest"], *digest);
    assert!(cli.run(&["plugin", "list"]).ok().text().contains("quarantined"));
    cli.run(&["build", "trie/other", "--from", "corpus/all"])
        .fails(5, &["trie-fst@1", "is quarantined: trie/all@2", "floret plugin release trie-fst"]);
    cli.run(&["plugin", "bind", "trie", "trie-fst"]).fails(5, &["is quarantined"]);
    cli.run(&["plugin", "release", "semantic-ngram"])
        .fails(3, &["semantic-ngram in quarantine is not there"]);
    let released = cli.run(&["plugin", "release", "trie-fst"]).ok();
    assert_eq!(released.text().trim(), format!("released\tplugins:plugin/trie-fst@1\t{digest}"));
    cli.run(&["build", "trie/other", "--from", "corpus/all"]).ok();
    cli.verify();
}
