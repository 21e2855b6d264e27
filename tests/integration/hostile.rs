//! Components that lie or that expect a system, through the whole host. What the sandbox itself withstands is tested
//! with the runtime (`host/runtime/tests/runtime/hostile.rs`, `wasi.rs`).

use bytes::Bytes;
use floret_model::{ContentLocation, Digest, Metadata, PluginMetadata, TypedMetadata};
use floret_pipeline::{Binding, Change, Error, Floret, Freshness, Progress, Selector};
use floret_runtime::Query;
use floret_store::{Catalog, Clock, Draft, Publish, SystemClock};
use floret_tests::cli::Cli;
use floret_tests::http::Server;
use floret_tests::{Setup, assert_sound, derived, draft, guest, key, open, save_text, small_world};
use serde_json::json;
use tempfile::TempDir;

/// `misbehave` with another member of equal length where its configuration's schema says `"type": "object"`.
fn with_member(lie: &str) -> Bytes {
    let honest = br#""type": "object""#;
    assert_eq!(lie.len(), honest.len());
    let mut bytes = guest("misbehave").unwrap().to_vec();
    let place = bytes.windows(honest.len()).position(|window| window == honest).unwrap();
    bytes[place..place + honest.len()].copy_from_slice(lie.as_bytes());
    bytes.into()
}

/// Schemas that are none, each with what is said of it.
const LIES: [(&str, &str, &str); 5] = [
    ("unknown-type", r#""type": "objekt""#, "it is not a valid JSON Schema"),
    ("number", r#""type": 77777777"#, "it is not a valid JSON Schema"),
    ("list", r#""type": [[[[]]]]"#, "it is not a valid JSON Schema"),
    ("elsewhere", r#""$ref":"file:/x""#, "it is not a valid JSON Schema"),
    ("no-json", r#""type": [[[[[[[["#, "it is not JSON"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_none_is_told_with_the_components_name_and_installs_nothing() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    for (name, lie, problem) in LIES {
        let error = host.plugin_install(Some(name), with_member(lie)).await.unwrap_err();
        assert_eq!(error.code(), "plugin_invalid_schema", "{lie}: {error}");
        for word in ["misbehave@0.1.0", problem, "mend the JSON Schema that `describe` answers with"] {
            assert!(error.to_string().contains(word), "{lie}: no {word:?} in {error}");
        }
        let error = host.plugin_bind("corpus", Binding::new(name)).await.unwrap_err();
        assert!(matches!(error, Error::UnknownComponent { .. }), "{lie}: {error}");
        save_text(&host, "a", &format!("words beside {name}")).await.unwrap();
        host.cascade(&[key("literature/a")], &Progress::default()).await.unwrap();
    }
    assert_sound(&host).await;
}

/// Append a component that nobody checked, as an older host may have installed it.
async fn append_component(catalog: &dyn Catalog, name: &str, component: Bytes) {
    let metadata = Metadata::typed(TypedMetadata::Plugin(PluginMetadata {
        contract: "floret:corpus@0.1.0".to_owned(),
        component_name: "misbehave".to_owned(),
        component_version: "0.1.0".to_owned(),
        summary: String::new(),
        built_in: false,
        source: None,
        signature: None,
        removed: false,
    }));
    let draft = draft(&key(&format!("plugins:plugin/{name}")), "", Vec::new());
    let (digest, size_bytes) = (Digest::of(&component), component.len() as u64);
    let content_location = ContentLocation {
        cache_key: digest.to_string(),
        size_bytes,
        size_compressed: size_bytes,
        checksum: digest,
        ..draft.content_location.clone()
    };
    let content_inline = Some(component);
    let drafts = vec![Draft { metadata, data_hash: digest, content_location, content_inline, ..draft }];
    let publish = Publish { id: format!("old-{name}"), at: SystemClock.now(), drafts, report: None };
    catalog.publish(publish).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_none_is_refused_when_an_older_host_installed_it() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    append_component(&**host.catalog(), "old", with_member(LIES[0].1)).await;
    drop(host);
    let host = open(folder.path(), Setup::default()).await.unwrap();
    let error = host.plugin_bind("corpus", Binding::new("old")).await.unwrap_err();
    assert_eq!(error.code(), "plugin_invalid_schema", "{error}");
    assert!(error.to_string().contains("misbehave@0.1.0"), "{error}");
}

#[test]
fn a_schema_that_is_none_is_the_senders_fault_over_http_too() {
    let cli = Cli::new();
    let lie = with_member(LIES[0].1);
    let file = cli.file("lie.wasm", &lie);
    cli.run(&["plugin", "install", file.to_str().unwrap()])
        .fails(5, &["misbehave@0.1.0", "plugin_invalid_schema"]);
    let server = Server::start(&cli, &[]);
    server.put("/v1/plugins/lie", &lie).fails(422, "plugin_invalid_schema");
    server.get("/v1/plugins/lie").fails(404, "unknown_component");
    server.put("/v1/plugins/honest", &guest("misbehave").unwrap()).is(201);
}

/// A home in which the probe has built an index of the small world's corpus, and what that index says.
async fn probed(folder: &TempDir, salt: &str) -> (std::sync::Arc<Floret>, Bytes) {
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    host.plugin_install(None, guest("wasi-probe").unwrap()).await.unwrap();
    let binding = Binding::new("wasi-probe");
    host.plugin_bind("probe", binding).await.unwrap();
    let mut build = derived("probe/x", "corpus", &["corpus/all"]);
    build.spec.config = json!({"salt": salt}).as_object().unwrap().clone();
    host.apply(Change { builds: vec![build], ..Change::default() }, &Progress::default()).await.unwrap();
    let snapshot = host.get(&key("probe/x"), &Selector::Latest, Freshness::Strong).await.unwrap();
    (host, snapshot.content.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_of_wasi_builds_the_same_in_every_home_and_learns_nothing() {
    let folders = [(); 3].map(|()| TempDir::new().unwrap());
    let (host, first) = probed(&folders[0], "").await;
    let (_, second) = probed(&folders[1], "").await;
    let (_, salted) = probed(&folders[2], "x").await;
    assert_eq!(first, second);
    assert_ne!(first, salted);
    let text = std::str::from_utf8(&first).unwrap();
    assert!(text.starts_with("arguments=[]\nvariables=[]\nfolder=None\nfolders=0\n"), "{text}");
    let answer = host.search(&key("probe/x"), &Query::Exact("asked".to_owned()), 1).await.unwrap();
    assert!(answer.hits[0].word.starts_with("arguments=[] variables=[] "), "{}", answer.hits[0].word);
    let inspected = host.plugin_inspect(guest("wasi-probe").unwrap()).await.unwrap();
    assert!(inspected.imports.iter().any(|import| import == "wasi:random/random@0.2.3"));
    assert_sound(&host).await;
}
