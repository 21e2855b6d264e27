//! Components and bindings are swapped, taken back and taken away, by a host and under hosts that run on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use floret_model::{Metadata, PluginMetadata, Seq, TypedMetadata, VersionRef};
use floret_pipeline::{Binding, Error, Floret, Freshness, Progress, Selector};
use floret_store::{Catalog, EmbeddedCatalog, Publish, local_objects};
use floret_tests::cli::Cli;
use floret_tests::http::Server;
use floret_tests::servers::Database;
use floret_tests::shared::SharedCatalog;
use floret_tests::{
    Setup, assert_sound, component, corpus, draft, guest, key, open, save_text, small_world, variant,
};
use serde_json::{Value, json};
use tempfile::TempDir;

fn binding(component: &str, config: Value) -> Binding {
    Binding::configured(component, config.as_object().unwrap().clone())
}

async fn cascade(host: &Floret, root: &str) {
    host.cascade(&[key(root)], &Progress::default()).await.unwrap();
}

/// By which version of its component the latest version of a resource was built.
async fn built_by(host: &Floret, name: &str) -> VersionRef {
    let version = host.resolve(&key(name), &Selector::Latest).await.unwrap();
    version.build.as_ref().unwrap().component.as_ref().unwrap().plugin.clone()
}

fn plugin(name: &str, seq: u64) -> VersionRef {
    VersionRef { key: key(&format!("plugins:plugin/{name}")), seq: Seq(seq) }
}

/// Append a version of a component that no host here can load, as a newer host may have installed it.
async fn install_from_the_future(catalog: &dyn Catalog, name: &str) {
    let metadata = Metadata::typed(TypedMetadata::Plugin(PluginMetadata {
        contract: "floret:index@9.0.0".to_owned(),
        component_name: name.to_owned(),
        component_version: "9.0.0".to_owned(),
        summary: String::new(),
        built_in: false,
        source: None,
        signature: None,
        removed: false,
    }));
    let drafts = vec![floret_store::Draft {
        metadata,
        ..draft(&key(&format!("plugins:plugin/{name}")), "a component of the future", Vec::new())
    }];
    let at = floret_store::Clock::now(&floret_store::SystemClock);
    let publish = Publish { id: format!("future-{name}"), at, drafts, report: None };
    catalog.publish(publish).await.unwrap();
}

fn assert_told(error: &Error, words: &[&str]) {
    for word in words {
        assert!(error.to_string().contains(word), "no {word:?} in {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_does_not_load_leaves_the_last_good_one_in_place() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    install_from_the_future(&**host.catalog(), "trie-fst").await;
    drop(host);
    let host = open(folder.path(), Setup::default()).await.unwrap();
    save_text(&host, "a", "other words").await.unwrap();
    cascade(&host, "literature/a").await;
    assert_eq!(built_by(&host, "trie/all").await, plugin("trie-fst", 1));
    let states = host.binding_states().await.unwrap();
    for state in &states {
        match state.id.as_str() {
            "trie" => {
                assert_eq!(state.component, Some(plugin("trie-fst", 1)));
                assert!(
                    state.problem.as_ref().unwrap().contains("is not a WebAssembly component"),
                    "{state:?}"
                );
            }
            _ => assert_eq!(state.problem, None, "{state:?}"),
        }
    }
    // A rollback makes it the newest again, and nothing is wrong any longer.
    host.plugin_rollback(&key("plugins:plugin/trie-fst"), None).await.unwrap();
    assert!(host.binding_states().await.unwrap().iter().all(|state| state.problem.is_none()));
    save_text(&host, "a", "still other words").await.unwrap();
    cascade(&host, "literature/a").await;
    assert_eq!(built_by(&host, "trie/all").await, plugin("trie-fst", 3));
    assert_sound(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_version_loads_the_newest_says_why() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    install_from_the_future(&**host.catalog(), "mine").await;
    let error = host.plugin_bind("mine", binding("mine", json!({}))).await.unwrap_err();
    assert_told(&error, &["is not a WebAssembly component"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_on_one_host_is_taken_by_another_that_follows() {
    let folder = TempDir::new().unwrap();
    let catalog = SharedCatalog::over(EmbeddedCatalog::open(folder.path().join("catalog")).unwrap());
    let objects = || Some(local_objects(&folder.path().join("blobs")).unwrap());
    let setup = || Setup { catalog: Some(catalog.clone()), objects: objects(), ..Setup::default() };
    let one = open(&folder.path().join("one"), setup()).await.unwrap();
    let other = open(&folder.path().join("other"), setup()).await.unwrap();
    small_world(&one).await.unwrap();
    let following = tokio::spawn({
        let other = Arc::clone(&other);
        async move { other.follow().await }
    });
    catalog.streams(1).await;
    let mut round = 0;
    // Builds go on all the while, and each is by one of the two.
    let mut until_built_by = async |expected: VersionRef| loop {
        round += 1;
        save_text(&other, "a", &format!("round {round}")).await.unwrap();
        cascade(&other, "literature/a").await;
        let found = built_by(&other, "trie/all").await;
        assert!(found.seq <= expected.seq, "{found} is newer than {expected}");
        if found == expected {
            break;
        }
    };
    until_built_by(plugin("trie-fst", 1)).await;
    let next = variant(&component("trie-fst").unwrap(), "Ada");
    one.plugin_install(Some("trie-fst"), next).await.unwrap();
    until_built_by(plugin("trie-fst", 2)).await;
    // What the other cannot load it does not take, and goes on.
    install_from_the_future(&*catalog, "trie-fst").await;
    save_text(&other, "a", "after it").await.unwrap();
    cascade(&other, "literature/a").await;
    assert_eq!(built_by(&other, "trie/all").await, plugin("trie-fst", 2));
    following.abort();
    assert_sound(&other).await;
}

#[test]
fn a_binding_made_at_the_command_line_is_taken_by_a_host_that_serves() {
    let (database, blobs) = (Database::shared(), TempDir::new().unwrap());
    let blobs = format!("file://{}", blobs.path().display());
    let shared = ["--catalog", &database.uri, "--blobs", &blobs];
    let (serving, other) = (Cli::new(), Cli::new());
    let server = Server::start(&serving, &shared);
    let run = |args: &[&str]| other.run(&[&shared, args].concat()).ok();
    let mut round = 0;
    let mut policy = || {
        round += 1;
        server.put("/v1/default/literature/a", format!("round {round}").as_bytes()).is(201);
        run(&["--json", "get", "literature/a"]).json()["policy"]["policy"].as_str().unwrap().to_owned()
    };
    assert!(policy().starts_with("policy-default@"));
    run(&["plugin", "bind", "policy", "policy-archive"]);
    let since = Instant::now();
    while !policy().starts_with("policy-archive@") {
        assert!(since.elapsed() < Duration::from_secs(30), "it is not taken");
    }
    run(&["plugin", "rollback", "policy"]);
    while !policy().starts_with("policy-default@") {
        assert!(since.elapsed() < Duration::from_secs(60), "it is not taken back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_saves_the_older_version_as_the_newest_and_builds_nothing_twice() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    let trie = host.plugin_named("trie-fst").await.unwrap();
    let error = host.plugin_rollback(&trie, None).await.unwrap_err();
    assert_told(&error, &["no other version before plugins:plugin/trie-fst@1"]);
    let first = component("trie-fst").unwrap();
    host.plugin_install(None, variant(&first, "Ada")).await.unwrap();
    cascade(&host, "plugins:plugin/trie-fst").await;
    let saved = host.plugin_rollback(&trie, None).await.unwrap();
    assert_eq!((saved.is_new, saved.version.seq), (true, Seq(3)));
    assert_eq!(host.plugin_bytes("trie-fst").await.unwrap(), first);
    let report = host.cascade(std::slice::from_ref(&trie), &Progress::default()).await.unwrap();
    assert_eq!((report.count("memo_hit"), report.count("built")), (1, 0), "{report:?}");
    let again = host.plugin_rollback(&trie, Some(Seq(1))).await.unwrap();
    assert_eq!((again.is_new, again.version.seq), (false, Seq(3)), "it is the newest already");
    for (to, words) in [(9, "trie-fst@9 is not there"), (0, "trie-fst@0")] {
        let error = host.plugin_rollback(&trie, Some(Seq(to))).await.unwrap_err();
        assert_told(&error, &[words]);
    }
    drop(host);
    // What somebody went back to is no longer replaced by what comes with the host.
    let host = open(folder.path(), Setup::default()).await.unwrap();
    assert_eq!(host.resolve(&trie, &Selector::Latest).await.unwrap().seq, Seq(3));

    let semantic = host.plugin_named("semantic").await.unwrap();
    host.plugin_bind("semantic", binding("semantic-ngram", json!({"dimension": 64}))).await.unwrap();
    let saved = host.plugin_rollback(&semantic, None).await.unwrap();
    assert_eq!((saved.is_new, saved.version.seq), (true, Seq(3)));
    let bound = host.get(&semantic, &Selector::Latest, Freshness::Strong).await.unwrap();
    assert!(!String::from_utf8_lossy(&bound.content).contains("dimension"));
    let error = host.plugin_named("nothing").await.unwrap_err();
    assert_told(&error, &["a component or a binding \"nothing\" is not there", "plugin list --all"]);
    assert_sound(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_needed_is_not_removed_and_what_is_not_can_come_back() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    let removed = async |name: &str| host.plugin_remove(name).await;
    assert_told(&removed("nobody").await.unwrap_err(), &["no component named \"nobody\""]);
    assert_told(&removed("trie-fst").await.unwrap_err(), &["trie-fst stays: it is bound to trie"]);
    let second = variant(&component("trie-fst").unwrap(), "Ada");
    host.plugin_install(Some("second"), second.clone()).await.unwrap();
    host.plugin_bind("trie", binding("second", json!({}))).await.unwrap();
    let error = removed("trie-fst").await.unwrap_err();
    assert_told(&error, &["it built 1 of the versions that are kept", "trie/all@1", "floret cascade"]);
    for (id, words) in [
        ("policy", "no text could be saved without it"),
        ("literature", "no text could be saved without it"),
        ("trie", "trie/all (1 in all) could not be rebuilt without it"),
        ("nothing", "a binding for nothing is not there"),
    ] {
        assert_told(&host.plugin_unbind(id).await.unwrap_err(), &[words]);
    }
    // A component that nobody needs, and a binding that nothing was built by.
    host.plugin_install(None, guest("misbehave-index").unwrap()).await.unwrap();
    host.plugin_bind("other", binding("misbehave-index", json!({}))).await.unwrap();
    host.plugin_unbind("other").await.unwrap();
    assert!(host.bindings().await.unwrap().iter().all(|(id, ..)| id != "other"));
    assert!(host.plugin_unbind("other").await.is_err(), "it is gone");
    let tombstone = removed("misbehave-index").await.unwrap();
    assert_eq!(tombstone.version.seq, Seq(2), "nothing is rewritten");
    assert_told(&removed("misbehave-index").await.unwrap_err(), &["no component named"]);
    let names = async |all: bool| {
        let plugins = if all { host.plugins_with_removed().await } else { host.plugins().await }.unwrap();
        plugins.iter().filter(|it| it.key.resource_id.as_str() == "misbehave-index").count()
    };
    assert_eq!((names(false).await, names(true).await), (0, 1));
    let bind = host.plugin_bind("other", binding("misbehave-index", json!({}))).await.unwrap_err();
    assert_told(&bind, &["no component named \"misbehave-index\" is installed"]);
    let error = host.plugin_rollback(&key("plugins:plugin/misbehave-index"), Some(Seq(2))).await.unwrap_err();
    assert_told(&error, &["is where it was removed"]);
    // It comes back by installing it, and the binding by going back.
    host.plugin_install(None, guest("misbehave-index").unwrap()).await.unwrap();
    assert_eq!((names(false).await, names(true).await), (1, 1));
    host.plugin_rollback(&key("plugins:binding/other"), None).await.unwrap();
    assert!(host.bindings().await.unwrap().iter().any(|(id, ..)| id == "other"));
    assert_sound(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_with_the_host_and_was_removed_does_not_come_back_by_itself() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    host.plugin_remove("policy-archive").await.unwrap();
    host.plugin_unbind("semantic").await.unwrap();
    host.plugin_remove("semantic-ngram").await.unwrap();
    drop(host);
    let host = open(folder.path(), Setup::default()).await.unwrap();
    let plugins = host.plugins().await.unwrap();
    let names: Vec<&str> = plugins.iter().map(|it| it.key.resource_id.as_str()).collect();
    assert_eq!(names, ["corpus-text", "policy-default", "retention-default", "trie-fst"]);
    save_text(&host, "a", "some words").await.unwrap();
    host.corpus_create(vec![corpus("a", &["a"], &[])], &Progress::default()).await.unwrap();
    assert_sound(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_of_another_contract_does_not_take_the_place_of_one_that_is_bound() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    let corpus: Bytes = component("corpus-text").unwrap();
    let error = host.plugin_install(Some("trie-fst"), corpus.clone()).await.unwrap_err();
    assert_told(&error, &["floret:corpus", "needs floret:index", "bound to trie", "--name"]);
    host.plugin_install(Some("another"), corpus).await.unwrap();
}

/// A small world in a data folder, and a component beside it that is another version of the trie builder.
fn world() -> (Cli, String) {
    let cli = Cli::new();
    cli.save("literature/t", b"some words");
    cli.run(&["corpus", "create", "corpus/c", "--text", "literature/t"]).ok();
    cli.run(&["build", "trie/c", "--from", "corpus/c"]).ok();
    let file = cli.file("trie.wasm", variant(&component("trie-fst").unwrap(), "Ada Lovelace"));
    (cli, file.to_str().unwrap().to_owned())
}

fn seq(cli: &Cli, name: &str) -> u64 {
    cli.run(&["--json", "log", name]).ok().json()[0]["seq"].as_u64().unwrap()
}

#[test]
fn a_swap_rebuilds_at_once_or_later_or_is_only_planned() {
    let (cli, file) = world();
    let install =
        |flag: &[&str]| cli.run(&[&["--json", "plugin", "install", &file], flag].concat()).ok().json();
    let planned = install(&["--plan"]);
    assert_eq!(planned["plan"]["steps"][0]["key"]["resource_id"], "c", "{planned}");
    assert_eq!(planned["would_change"], true);
    assert_eq!((seq(&cli, "plugins:plugin/trie-fst"), seq(&cli, "trie/c")), (1, 1), "nothing was changed");
    let held = install(&["--hold"]);
    assert_eq!((held["is_new"].clone(), held["cascade"].clone()), (json!(true), Value::Null), "{held}");
    assert_eq!((held["dependents"].clone(), seq(&cli, "trie/c")), (json!(1), 1));
    let again = install(&[]);
    assert_eq!((again["is_new"].clone(), seq(&cli, "trie/c")), (json!(false), 2), "{again}");
    cli.run(&["plugin", "install", &file, "--hold", "--plan"]).fails(2, &["cannot be used with"]);

    let bind = |flag: &[&str]| {
        let args = ["--json", "plugin", "bind", "trie", "misbehave-index", "--set", "mode=trap"];
        cli.run(&[&args, flag].concat())
    };
    assert_eq!(bind(&["--plan"]).status.code(), Some(3), "it is not installed");
    let misbehave = cli.file("misbehave.wasm", guest("misbehave-index").unwrap());
    cli.run(&["plugin", "install", misbehave.to_str().unwrap()]).ok();
    assert_eq!(bind(&["--plan"]).ok().json()["plan"]["steps"][0]["key"]["resource_id"], "c");
    assert_eq!(seq(&cli, "plugins:binding/trie"), 1);
    let failed = bind(&[]);
    assert_eq!(failed.status.code(), Some(5), "{}", failed.err);
    for word in ["trapped", "is in use", "floret plugin rollback plugins:binding/trie"] {
        assert!(failed.err.contains(word), "no {word:?} in {}", failed.err);
    }
    let back = cli.run(&["--json", "plugin", "rollback", "trie", "--plan"]).ok().json();
    assert_eq!((back["would_change"].clone(), seq(&cli, "plugins:binding/trie")), (json!(true), 2));
    cli.run(&["plugin", "rollback", "trie"]).ok();
    // What was built before the failure has this very recipe.
    assert_eq!((seq(&cli, "plugins:binding/trie"), seq(&cli, "trie/c")), (3, 2));
    cli.verify();
}

#[test]
fn inspecting_says_what_is_in_a_component_and_who_uses_it() {
    let (cli, file) = world();
    let inspected = cli.run(&["--json", "plugin", "inspect", &file]).ok().json();
    assert_eq!(inspected["metadata"]["authors"], "Ada Lovelace");
    assert!(inspected["metadata"]["producers"].as_object().is_some_and(|it| !it.is_empty()), "{inspected}");
    assert_eq!(inspected["limits"]["component_bytes_max"], 64 << 20);
    assert_eq!(inspected["users"], Value::Null, "it is not installed");
    let inspected = cli.run(&["--json", "plugin", "inspect", "trie-fst"]).ok().json();
    assert_eq!(inspected["users"]["bindings"], json!(["trie"]));
    assert_eq!(inspected["users"]["latest_versions"], json!({"trie": 1}));
    let shown = cli.run(&["plugin", "inspect", "trie-fst"]).ok();
    for word in ["bound to\ttrie", "built\t1 latest version: 1 trie", "limits\t", "call_timeout_ms"] {
        assert!(shown.text().contains(word), "no {word:?} in {}", shown.text());
    }
    cli.run(&["plugin", "inspect", "nobody.wasm"]).fails(3, &["no component named \"nobody.wasm\""]);
    cli.run(&["plugin", "remove", "policy-archive"]).ok();
    let list = |all: &[&str]| cli.run(&[&["plugin", "list"], all].concat()).ok();
    assert!(!list(&[]).text().contains("policy-archive"));
    assert!(list(&["--all"]).text().contains("removed"));
}
