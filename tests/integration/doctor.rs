//! `floret doctor` over installations that are whole, and over those that are not.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use floret_model::{BindingMetadata, Bump, Codec, Digest, Metadata, TypedMetadata};
use floret_store::{
    BlobOptions, BlobStore, Catalog, Clock, Draft, EmbeddedCatalog, IfUnchanged, Precondition, Publish,
    SystemClock,
};
use floret_tests::cli::{Cli, Ran, command, run};
use floret_tests::{binary, key};
use serde_json::Value;

/// A folder with something in it, closed to others.
fn installation(config: &str) -> Cli {
    let cli = Cli::configured(config);
    cli.save("literature/t", b"The engine weaves algebraic patterns.");
    chmod(&cli.data(), 0o700);
    cli
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// What the doctor finds, each as check, verdict, and what was found with its remedy. Its exit code fits.
#[track_caller]
fn findings(ran: &Ran) -> Vec<(String, String, String)> {
    let document = ran.json();
    let healthy = document["healthy"].as_bool().unwrap();
    assert_eq!(ran.status.code(), Some(if healthy { 0 } else { 6 }), "{}", ran.err);
    assert_eq!(ran.err.contains("unhealthy"), !healthy, "{}", ran.err);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let finding = |finding: &Value| {
        let (verdict, remedy) = (text(&finding["verdict"]), &finding["remedy"]);
        assert_eq!(remedy.is_null(), verdict == "ok", "{finding}");
        let found = format!("{} {}", text(&finding["found"]), remedy.as_str().unwrap_or_default());
        (text(&finding["check"]), verdict, found)
    };
    document["findings"].as_array().unwrap().iter().map(finding).collect()
}

/// Whether a check came out so, with these words.
#[track_caller]
fn found(ran: &Ran, check: &str, verdict: &str, words: &[&str]) {
    let findings = findings(ran);
    let is_it = |(of, how, text): &(String, String, String)| {
        of == check && how == verdict && words.iter().all(|word| text.contains(word))
    };
    assert!(findings.iter().any(is_it), "no {check} {verdict} with {words:?} in {findings:#?}");
}

/// Checks that are a problem. Disk space is the machine's affair.
fn problems(ran: &Ran) -> BTreeSet<String> {
    let bad =
        findings(ran).into_iter().filter(|(check, verdict, _)| verdict == "problem" && check != "disk space");
    bad.map(|(check, ..)| check).collect()
}

fn files(folder: &Path, into: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        into.insert(entry.path().display().to_string());
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), into);
        }
    }
}

#[test]
fn a_whole_installation_is_healthy_and_stays_as_it_is() {
    let cli = installation("");
    let mut before = BTreeSet::new();
    files(&cli.data().join("blobs"), &mut before);
    let ran = cli.run(&["--json", "doctor"]);
    assert_eq!(problems(&ran), BTreeSet::new());
    for (check, words) in [
        ("program", &["floret ", env!("CARGO_PKG_VERSION")][..]),
        ("configuration", &["config.toml", "without secrets"]),
        ("data folder", &["closed to others"]),
        ("data folder", &["can be written to"]),
        ("leftovers", &["none among"]),
        ("catalog", &["fjall, embedded", "format 1"]),
        ("round trip", &["is read in", "ms"]),
        ("leases", &["taken and given back"]),
        ("blobs", &["can be written and deleted"]),
        ("blobs", &["conditional writes are supported"]),
        ("compiled code", &["closed to others"]),
        ("components", &["6 stored, whole and loaded: corpus-text, policy-archive"]),
        ("built-in components", &["as in this program: corpus-text@1, trie-fst@1"]),
        ("bindings", &["trie to trie-fst", "policy to policy-default"]),
    ] {
        found(&ran, check, "ok", words);
    }
    let mut after = BTreeSet::new();
    files(&cli.data().join("blobs"), &mut after);
    assert_eq!(after, before);
    let plain = cli.run(&["doctor"]).ok();
    assert!(plain.text().lines().all(|line| line.split('\t').count() >= 3), "{}", plain.text());
    assert!(plain.text().contains("\nhealthy\t"), "{}", plain.text());
    cli.verify();
}

#[test]
fn what_is_not_there_is_not_made() {
    let cli = Cli::new();
    let nowhere = cli.data().join("not/yet");
    let ran = run(command(binary()).args(["--json", "--data"]).arg(&nowhere).arg("doctor"), b"");
    found(&ran, "data folder", "warning", &["is not there", "--data"]);
    found(&ran, "catalog", "ok", &["is not there yet"]);
    found(&ran, "blobs", "ok", &["is not there yet"]);
    assert!(!nowhere.exists() && !cli.data().join("not").exists());
}

#[test]
fn a_folder_that_others_may_use_is_named() {
    let cli = installation("");
    chmod(&cli.data(), 0o755);
    found(
        &cli.run(&["--json", "doctor"]),
        "data folder",
        "warning",
        &["others may read", "755", "chmod 700"],
    );
    chmod(&cli.data(), 0o777);
    let ran = cli.run(&["--json", "doctor"]);
    found(&ran, "data folder", "problem", &["others may write", "777", "chmod 700"]);
    assert_eq!(problems(&ran), BTreeSet::from(["data folder".to_owned()]));
    let compiled = cli.data().join("compiled");
    fs::remove_file(&compiled).unwrap();
    fs::create_dir(&compiled).unwrap();
    chmod(&compiled, 0o777);
    let ran = cli.run(&["--json", "doctor"]);
    found(&ran, "compiled code", "problem", &["others may write to it", "chmod 700"]);
    found(&ran, "components", "ok", &["6 stored, whole and loaded"]);
    cli.run(&["doctor"]).fails(6, &["2 problems"]);
}

/// Permissions do not bind root, so root asks as somebody else.
#[test]
fn a_folder_that_cannot_be_written_to_is_named() {
    let cli = installation("");
    let beside = cli.data().parent().unwrap().to_owned();
    let program = beside.join("floret");
    if fs::hard_link(binary(), &program).is_err() {
        fs::copy(binary(), &program).unwrap();
    }
    chmod(&beside, 0o755);
    chmod(&cli.data(), 0o555);
    let mut asking = command(&program);
    asking.args(["--json", "--data"]).arg(cli.data()).arg("doctor");
    if fs::metadata(cli.data()).unwrap().uid() == 0 {
        asking.uid(65_534).gid(65_534);
    }
    let ran = run(&mut asking, b"");
    chmod(&cli.data(), 0o700);
    found(&ran, "data folder", "problem", &["no file can be made in", "owner and mode"]);
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    cli.verify();
}

#[test]
fn a_damaged_component_is_named_with_what_is_bound_to_it() {
    let cli = installation("");
    let info = cli.run(&["--json", "get", "plugins:plugin/trie-fst"]).ok().json();
    let blob = cli.data().join("blobs").join(info["content_location"]["path"].as_str().unwrap());
    let mut bytes = fs::read(&blob).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&blob, &bytes).unwrap();
    let ran = cli.run(&["--json", "doctor"]);
    found(&ran, "components", "problem", &["plugin/trie-fst@1", "is damaged", "restore it"]);
    found(&ran, "components", "ok", &["5 stored, whole and loaded"]);
    found(
        &ran,
        "bindings",
        "problem",
        &["binding/trie@1", "trie-fst cannot be loaded", "floret plugin bind trie"],
    );
    found(&ran, "bindings", "ok", &["semantic to semantic-ngram"]);
    fs::remove_file(&blob).unwrap();
    found(&cli.run(&["--json", "doctor"]), "components", "problem", &["its object is not there"]);
    fs::remove_dir_all(cli.data().join("blobs")).unwrap();
    let ran = cli.run(&["--json", "doctor"]);
    found(&ran, "blobs", "problem", &["is not there, and the catalog is", "restore"]);
    found(&ran, "components", "warning", &["not looked at"]);
}

/// Append a binding that nobody checked.
async fn bind(data: &Path, id: &str, content: &'static str) {
    let catalog: Arc<dyn Catalog> = EmbeddedCatalog::open(data.join("catalog")).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let objects = floret_store::local_objects(&data.join("blobs")).unwrap();
    let disk = floret_model::StorageType::Disk;
    let blobs =
        BlobStore::new(Arc::clone(&catalog), objects, disk, Arc::clone(&clock), BlobOptions::default());
    let digest = Digest::of(content.as_bytes());
    let (content_location, stored) = blobs.inline(&content.into(), digest, Codec::NONE).unwrap();
    let component = "somebody's".to_owned();
    let draft = Draft {
        key: key(&format!("plugins:binding/{id}")),
        bump: Bump::Patch,
        precondition: Precondition::Any,
        if_unchanged: IfUnchanged::Append,
        data_hash: digest,
        media_type: "application/json".to_owned(),
        content_location,
        content_inline: Some(stored),
        dependencies: Vec::new(),
        metadata: Metadata::typed(TypedMetadata::Binding(BindingMetadata { component, removed: false })),
        tags: BTreeSet::new(),
        ttl_ms: None,
        spec: None,
        build: None,
        policy: None,
    };
    let publish = Publish { id: format!("bind-{id}"), at: clock.now(), drafts: vec![draft], report: None };
    catalog.publish(publish).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn bindings_that_cannot_be_used_are_named() {
    for (content, words) in [
        (r#"{"component": "gone"}"#, &["gone is not installed"][..]),
        (r#"{"component": "corpus-text"}"#, &["floret:corpus", "floret:index is needed"]),
        (r#"{"component": "trie-fst", "config": {"depth": "unheard of"}}"#, &["does not fit its schema"]),
        (r#"{"builder": 1}"#, &["not a binding"]),
    ] {
        let cli = installation("");
        bind(&cli.data(), "trie", content).await;
        let ran = cli.run(&["--json", "doctor"]);
        found(&ran, "bindings", "problem", &[&["binding/trie@2"], words].concat());
        assert_eq!(problems(&ran), BTreeSet::from(["bindings".to_owned()]));
    }
}

#[test]
fn a_store_in_use_hides_nothing_else() {
    let cli = installation("");
    let held = EmbeddedCatalog::open(cli.data().join("catalog")).unwrap();
    let ran = cli.run(&["--json", "doctor"]);
    found(&ran, "catalog", "problem", &["is in use by pid", "stop that process"]);
    found(&ran, "blobs", "ok", &["can be written and deleted"]);
    found(&ran, "components", "warning", &["not looked at", "look again"]);
    assert_eq!(problems(&ran), BTreeSet::from(["catalog".to_owned()]));
    drop(held);
    assert_eq!(problems(&cli.run(&["--json", "doctor"])), BTreeSet::new());
}

/// A port of this machine at which nobody listens.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn s3_at(port: u16) -> String {
    format!(
        "[blobs]\nurl = \"s3://bucket/main\"\nendpoint = \"http://127.0.0.1:{port}\"\nregion = \"r\"\n\
         access_key_id = \"k\"\nsecret_access_key = \"s\"\n"
    )
}

#[test]
fn servers_that_are_down_are_named_each_with_its_remedy_and_soon() {
    let cli = Cli::configured(&s3_at(closed_port()));
    let uri =
        format!("mongodb://127.0.0.1:{}/floret?replicaSet=rs0&serverSelectionTimeoutMS=500", closed_port());
    let started = Instant::now();
    let ran = cli.run(&["--json", "--catalog", &uri, "doctor"]);
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    found(&ran, "catalog", "problem", &["the MongoDB catalog floret at 127.0.0.1", "is unavailable"]);
    found(&ran, "blobs", "problem", &["127.0.0.1"]);
    found(&ran, "components", "warning", &["not looked at"]);
}

#[test]
fn servers_that_say_nothing_are_not_waited_for() {
    // The system takes connections, and nobody ever reads from them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let cli = Cli::configured(&s3_at(port));
    let uri = format!("mongodb://127.0.0.1:{port}/floret?replicaSet=rs0");
    let started = Instant::now();
    let ran = cli.run(&["--json", "--catalog", &uri, "doctor", "--timeout", "1s"]);
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    for check in ["catalog", "blobs"] {
        found(&ran, check, "problem", &["no answer within 1s", "--timeout"]);
    }
}

#[test]
fn a_catalog_that_is_shared_needs_blobs_that_are() {
    let cli = Cli::new();
    let uri = format!("mongodb://127.0.0.1:{}/floret?serverSelectionTimeoutMS=200", closed_port());
    let ran = cli.run(&["--json", "--catalog", &uri, "doctor"]);
    found(&ran, "blobs", "problem", &["hosts share", "--blobs s3://BUCKET/PREFIX"]);
}

#[test]
fn a_configuration_that_cannot_be_read_is_a_finding() {
    let cli = Cli::configured("[cache]\nmemory = 1\n");
    let ran = cli.run(&["--json", "doctor"]);
    found(&ran, "configuration", "problem", &["unknown key `memory`", "config.toml"]);
    cli.run(&["doctor"]).fails(6, &["1 problem"]);
}

#[test]
fn secrets_that_others_see_are_named() {
    let uri = format!("mongodb://ada:secret@127.0.0.1:{}/x?serverSelectionTimeoutMS=200", closed_port());
    let config = format!("[catalog]\nurl = \"{uri}\"\n");
    let cli = Cli::configured(&config);
    let file = cli.data().join("config.toml");
    chmod(&file, 0o644);
    let ran = cli.run(&["--json", "doctor"]);
    found(&ran, "configuration", "warning", &["holds secrets", "644", "chmod 600"]);
    chmod(&file, 0o600);
    let ran = cli.run(&["--json", "--catalog", &uri, "doctor"]);
    found(&ran, "configuration", "warning", &["flag --catalog", "whoever lists processes sees it"]);
    assert!(!ran.err.contains("secret") && !ran.text().contains("ada:"), "{}", ran.text());
    found(&cli.run(&["--json", "doctor"]), "configuration", "ok", &["closed to others"]);
}

/// Answers one connection so, and then no other.
fn answering(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 512];
        let length = stream.read(&mut asked).unwrap();
        assert!(asked[..length].starts_with(b"GET /readyz HTTP/1.0\r\n"));
        stream.write_all(answer.as_bytes()).unwrap();
    });
    address
}

#[test]
fn health_is_what_the_host_answers() {
    let cli = Cli::new();
    cli.run(&["health", &answering("HTTP/1.1 200 OK\r\n\r\nready")]).ok();
    for (answer, words) in [
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", "503 Service Unavailable"),
        ("SSH-2.0-OpenSSH\r\n", "speaks no HTTP"),
        ("", "speaks no HTTP"),
    ] {
        cli.run(&["health", &answering(answer)]).fails(8, &[words, "start `floret serve`"]);
    }
    cli.run(&["health", &format!("127.0.0.1:{}", closed_port())]).fails(8, &["refused"]);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    cli.run(&["health", &address, "--timeout", "200ms"]).fails(8, &["is unavailable"]);
}
