//! Bindings as they are stored: one that cannot be read hurts its own type, and nobody else.

use std::sync::Arc;

use floret_model::{BindingMetadata, Metadata, TypedMetadata};
use floret_pipeline::{Binding, Change, Error, Floret, Progress, SaveRequest, Selector};
use floret_store::{Catalog, Clock, Draft, EmbeddedCatalog, Publish, SystemClock};
use floret_tests::cli::Cli;
use floret_tests::http::Server;
use floret_tests::{Setup, assert_sound, derived, draft, key, open, save_text, small_world, text};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Append a binding that nobody checked, of a component as its metadata say.
async fn append(catalog: &dyn Catalog, id: &str, content: &str) {
    let metadata = BindingMetadata { component: "trie-fst".to_owned(), removed: false };
    let drafts = vec![Draft {
        metadata: Metadata::typed(TypedMetadata::Binding(metadata)),
        media_type: "application/json".to_owned(),
        ..draft(&key(&format!("plugins:binding/{id}")), content, Vec::new())
    }];
    let publish = Publish { id: format!("bad-{id}"), at: SystemClock.now(), drafts, report: None };
    catalog.publish(publish).await.unwrap();
}

/// A small world in which `words` never had a binding that can be read, and the newest of `trie` cannot be.
async fn world(folder: &TempDir) -> Arc<Floret> {
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    append(&**host.catalog(), "words", r#"{"builder": 1}"#).await;
    append(&**host.catalog(), "trie", "no document").await;
    drop(host);
    open(folder.path(), Setup::default()).await.unwrap()
}

async fn build(host: &Floret, id: &str) -> Result<(), Error> {
    let builds = vec![derived(id, "corpus", &["corpus/all"])];
    host.apply(Change { builds, ..Change::default() }, &Progress::default()).await.map(drop)
}

async fn unreadable(host: &Floret) -> Vec<String> {
    host.unreadable_bindings().await.unwrap().into_iter().map(|it| it.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_that_cannot_be_read_fails_its_type_alone() {
    let folder = TempDir::new().unwrap();
    let host = world(&folder).await;
    let error = build(&host, "words/x").await.unwrap_err();
    let Error::Cascade(failed) = &error else { panic!("{error}") };
    assert_eq!(failed.first.code(), "invalid_binding", "{error}");
    for word in [
        "plugins:binding/words@1",
        "is not a binding",
        "unknown field `builder`",
        "floret plugin bind words COMPONENT",
        "floret plugin rollback plugins:binding/words",
    ] {
        assert!(error.to_string().contains(word), "no {word:?} in {error}");
    }
    // Its type is known all the same.
    let request = SaveRequest { key: key("words/y"), ..text("y", "words") };
    let error = host.save(request).await.unwrap_err();
    assert!(error.to_string().contains("a component makes it"), "{error}");

    // Where an older binding can be read it goes on, and other types do.
    save_text(&host, "a", "other words").await.unwrap();
    let report = host.cascade(&[key("literature/a")], &Progress::default()).await.unwrap();
    assert!(report.count("built") >= 3, "{report:?}");
    let trie = host.resolve(&key("trie/all"), &Selector::Latest).await.unwrap();
    assert_eq!(trie.seq.0, 2);
    assert_sound(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_that_cannot_be_read_is_listed_with_what_is_wrong() {
    let folder = TempDir::new().unwrap();
    let host = world(&folder).await;
    let bindings = host.bindings().await.unwrap();
    let ids: Vec<&str> = bindings.iter().map(|(id, ..)| id.as_str()).collect();
    assert_eq!(ids, ["corpus", "literature", "policy", "semantic"]);
    let bad = host.unreadable_bindings().await.unwrap();
    let told: Vec<_> = bad.iter().map(|it| (it.id.as_str(), it.binding.seq.0)).collect();
    assert_eq!(told, [("trie", 2), ("words", 1)]);
    for one in &bad {
        assert!(one.problem.contains(&one.data_hash.short()), "{one:?}");
        assert_eq!(one.component.as_deref(), Some("trie-fst"));
    }
    let states = host.binding_states().await.unwrap();
    for state in &states {
        let expected = match state.id.as_str() {
            "trie" => (true, true),
            "words" => (true, false),
            _ => (false, true),
        };
        assert_eq!((state.problem.is_some(), state.component.is_some()), expected, "{state:?}");
    }
    assert_eq!(host.plugin_users("trie-fst").await.unwrap().bindings, ["trie", "words"]);
    let error = host.plugin_remove("trie-fst").await.unwrap_err();
    assert!(error.to_string().contains("it is bound to trie, words"), "{error}");
    assert!(host.open_breakers().await.unwrap().is_empty());

    // Binding anew mends one, going back the other.
    host.plugin_bind("words", Binding::new("trie-fst")).await.unwrap();
    build(&host, "words/x").await.unwrap();
    assert_eq!(unreadable(&host).await, ["trie"]);
    host.plugin_rollback(&key("plugins:binding/trie"), None).await.unwrap();
    assert!(unreadable(&host).await.is_empty());
    assert!(host.binding_states().await.unwrap().iter().all(|state| state.problem.is_none()));
    assert_sound(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_that_cannot_be_read_is_shown_to_people_and_programs() {
    let cli = Cli::new();
    cli.save("literature/t", b"some words");
    cli.run(&["corpus", "create", "corpus/c", "--text", "literature/t"]).ok();
    let catalog: Arc<dyn Catalog> = EmbeddedCatalog::open(cli.data().join("catalog")).unwrap();
    append(&*catalog, "words", r#"{"builder": 1}"#).await;
    drop(catalog);
    let listed = cli.run(&["plugin", "list"]).ok();
    assert!(listed.text().contains("trie, words"), "{}", listed.text());
    for word in ["words: plugins:binding/words@1", "is not a binding", "nothing can be built for it"] {
        assert!(listed.err.contains(word), "no {word:?} in {}", listed.err);
    }
    let listed = cli.run(&["--json", "plugin", "list"]).ok().json();
    let trie = listed.as_array().unwrap().iter().find(|plugin| plugin["name"] == "trie-fst").unwrap();
    let words = trie["bindings"].as_array().unwrap().iter().find(|it| it["type"] == "words").unwrap();
    assert_eq!((&words["config"], &words["in_use"]), (&Value::Null, &Value::Null), "{words}");
    assert!(words["problem"].as_str().unwrap().contains("is not a binding"), "{words}");
    cli.run(&["build", "words/x", "--from", "corpus/c"])
        .fails(6, &["plugins:binding/words@1", "is not a binding"]);

    let server = Server::start(&cli, &[]);
    let bindings = server.get("/v1/bindings").is(200).json();
    let words = &bindings["words"];
    assert_eq!((&words["seq"], &words["config"]), (&json!(1), &Value::Null), "{bindings}");
    assert_eq!(words["component"], "trie-fst", "what its metadata tell");
    assert!(words["problem"].as_str().unwrap().contains("unknown field `builder`"), "{words}");
    assert_eq!(bindings["trie"]["component"], "trie-fst", "{bindings}");
    assert_eq!(bindings["trie"].get("problem"), None, "{bindings}");
}

#[test]
fn limits_are_shown_as_they_are_in_force_for_each_binding() {
    let cli = Cli::configured("[limits]\nquery_timeout = \"7s\"\noutput_bytes_max = \"64 MiB\"\n");
    let bind = |id: &str, limits: &[&str]| {
        let limits = limits.iter().flat_map(|limit| ["--limit", limit]);
        let args: Vec<&str> = ["plugin", "bind", id, "trie-fst"].into_iter().chain(limits).collect();
        cli.run(&args)
    };
    bind("words", &["memory_bytes_max=64MiB", "call_timeout=30s", "instances_max=1"]).ok();
    bind("letters", &["output_bytes_max=64MiB"]).ok();
    bind("others", &["output_bytes_max=65MiB"]).fails(2, &["output_bytes_max", "this host allows 67108864"]);
    let inspected = cli.run(&["--json", "plugin", "inspect", "trie-fst"]).ok().json();
    let limits = &inspected["users"]["limits"];
    assert_eq!(inspected["users"]["bindings"], json!(["letters", "trie", "words"]));
    let limit = |value: u64, set_by: &str| json!({"value": value, "set_by": set_by});
    let (words, letters) = (&limits["words"], &limits["letters"]);
    assert_eq!(words["memory_bytes_max"], limit(64 << 20, "binding"), "{limits}");
    assert_eq!(words["call_timeout_ms"], limit(30_000, "binding"), "{limits}");
    assert_eq!(words["instances_max"]["value"], 1, "{limits}");
    assert_eq!(words["query_timeout_ms"], limit(7_000, "host"), "{limits}");
    assert_eq!(words["log_bytes_max"], limit(256 << 10, "host"), "{limits}");
    assert_eq!(letters["output_bytes_max"], limit(64 << 20, "host"), "it is as much as the host allows");
    assert_eq!(letters["memory_bytes_max"], limit(1 << 30, "host"), "{limits}");
    assert_eq!(limits["trie"].as_object().unwrap().len(), 6, "{limits}");

    let shown = cli.run(&["plugin", "inspect", "trie-fst"]).ok();
    let line = shown.text().lines().find(|line| line.starts_with("limits of words\t")).unwrap();
    for word in ["memory_bytes_max 67108864", "call_timeout_ms 30000", "query_timeout_ms 7000 (host)"] {
        assert!(line.contains(word), "no {word:?} in {line}");
    }
    let unbound = cli.run(&["--json", "plugin", "inspect", "policy-archive"]).ok().json();
    assert_eq!(unbound["users"]["limits"], json!({}));

    let server = Server::start(&cli, &[]);
    let over_http = server.get("/v1/plugins/trie-fst").is(200).json();
    assert_eq!(&over_http["users"]["limits"], limits);
}
