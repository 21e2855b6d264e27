//! Whole installations, copied from one home to another.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use floret_model::StorageType;
use floret_store::{BlobOptions, BlobStore, Catalog, EmbeddedCatalog, SystemClock, VerifyOptions, verify};
use floret_tests::cli::{Cli, Ran};
use floret_tests::servers::Database;
use serde_json::{Value, json};

/// So often a copy may be done before it is interrupted.
const TRIES_MAX: usize = 20;

fn path(cli: &Cli) -> String {
    cli.data().display().to_string()
}

fn copy_args(from: &Cli, to: &Cli) -> [String; 6] {
    ["--json", "copy", "--from", &path(from), "--to", &path(to)].map(str::to_owned)
}

fn copy(from: &Cli, to: &Cli) -> Ran {
    let args = copy_args(from, to);
    from.run(&args.each_ref().map(String::as_str))
}

/// What a copy that went well says of itself.
fn copied(from: &Cli, to: &Cli) -> Value {
    let document = copy(from, to).ok().json();
    assert_eq!(document["sound"], true, "{document}");
    document["copy"].clone()
}

fn long_text(word: &str) -> String {
    (0..4_000).map(|number| format!("{word}{number} ")).collect()
}

/// Two texts in corpora, a master over them, indexes on it; one text saved as it was before; tagged and brief ones.
fn world() -> Cli {
    let cli = Cli::new();
    cli.save("literature/a", long_text("a").as_bytes());
    cli.save("literature/b", b"A sparrow flies through the hall. A sparrow is gone.");
    for id in ["a", "b"] {
        cli.run(&["corpus", "create", &format!("corpus/{id}"), "--text", &format!("literature/{id}")]).ok();
    }
    cli.run(&["corpus", "create", "corpus/all", "--child", "corpus/a", "--child", "corpus/b"]).ok();
    for id in ["trie/all", "semantic/all"] {
        cli.run(&["build", id, "--from", "corpus/all"]).ok();
    }
    let parts = ["--part", "corpus/all", "--part", "trie/all", "--part", "semantic/all"];
    cli.run(&[&["build", "search/all"][..], &parts].concat()).ok();
    for content in [long_text("changed"), long_text("a")] {
        cli.save("literature/a", content.as_bytes());
    }
    cli.run_with(&["save", "literature/tagged", "-", "--tag", "stable"], b"kept").ok();
    cli.run_with(&["save", "literature/brief", "-", "--ttl", "1h"], b"brief").ok();
    for _ in 0..3 {
        cli.run(&["get", "literature/b"]).ok();
    }
    cli
}

fn names(cli: &Cli) -> Vec<String> {
    let mut names = Vec::new();
    for namespace in ["default", "plugins"] {
        let listed = cli.run(&["--json", "list", "--namespace", namespace]).ok().json();
        for entry in listed["resources"].as_array().unwrap() {
            names.push(entry["resource"].as_str().unwrap().to_owned());
        }
    }
    assert!(names.len() > 10, "{names:?}");
    names
}

/// Everything that a home answers of a resource, but for where its content is, and when it was read last.
fn told(cli: &Cli, name: &str) -> Value {
    let mut version = cli.run(&["--json", "get", name]).ok().json();
    version["content_location"]["path"].take();
    version["last_accessed"].take();
    let why = cli.run(&["--json", "why", name]).ok().json();
    json!([version, cli.run(&["--json", "log", name]).ok().json(), why])
}

#[test]
fn a_copy_answers_as_the_original_and_remembers_its_builds() {
    let (from, to) = (world(), Cli::new());
    let report = copied(&from, &to);
    assert_eq!(report["versions"], report["examined"]);
    assert_eq!(report["equal"], report["examined"]);
    for figure in ["blobs", "memos", "reports", "accesses"] {
        assert!(report[figure].as_u64().unwrap() > 0, "{figure}: {report}");
    }
    let known = names(&from);
    assert_eq!(names(&to), known);
    for name in &known {
        assert_eq!(told(&to, name), told(&from, name), "{name}");
    }
    for words in ["changed7", "sparow", "a12"] {
        let ask = |cli: &Cli| cli.run(&["--json", "search", "search/all", words]).ok().json();
        assert_eq!(ask(&to), ask(&from), "{words}");
    }
    to.verify();
    let fates = |report: &Value| -> Vec<String> {
        // A composite search index is put together anew each time.
        let steps = report["steps"].as_array().unwrap().iter();
        let steps = steps.filter(|step| !step["key"].to_string().contains("search"));
        steps.map(|step| step["fate"].as_str().unwrap().to_owned()).collect()
    };
    let again = to.run(&["--json", "cascade", "literature/a", "literature/b"]).ok().json();
    assert!(fates(&again).iter().all(|fate| fate == "cut_off"), "{again}");
    // What the original built of this text is remembered here.
    let saved =
        to.run_with(&["--json", "save", "literature/a", "-"], long_text("changed").as_bytes()).ok().json();
    let fates = fates(&saved["cascade"]);
    assert!(fates.contains(&"memo_hit".to_owned()) && !fates.contains(&"built".to_owned()), "{saved}");
    to.verify();
}

#[test]
fn a_copy_is_brought_up_to_date_until_it_goes_its_own_way() {
    let (from, to) = (world(), Cli::new());
    copied(&from, &to);
    let report = copied(&from, &to);
    for figure in ["versions", "blobs", "memos", "reports", "accesses"] {
        assert_eq!(report[figure], 0, "{figure}: {report}");
    }
    from.save("literature/b", b"The sparrow came back.");
    let args = copy_args(&from, &to).map(|arg| if arg == "--json" { "--dry-run".to_owned() } else { arg });
    let planned = from.run(&[&args[1..], &args[..1]].concat().iter().map(String::as_str).collect::<Vec<_>>());
    let planned = planned.ok();
    assert!(planned.text().starts_with("would copy\t"), "{}", planned.text());
    let report = copied(&from, &to);
    let versions = report["versions"].as_u64().unwrap();
    assert!(versions >= 3, "a text and what was built of it: {report}");
    assert_eq!(planned.text().split('\t').nth(1), Some(versions.to_string().as_str()));
    assert_eq!(told(&to, "search/all"), told(&from, "search/all"));
    to.save("literature/b", b"Here it stayed.");
    from.save("literature/b", b"There it left.");
    // The text, or what was built of it, whichever is looked at first.
    let words = ["is no copy of", "sha256"];
    let error = copy(&from, &to);
    assert_eq!(error.status.code(), Some(4), "{}", error.err);
    assert!(words.iter().all(|word| error.err.contains(word)), "{}", error.err);
    assert_eq!(to.run(&["get", "literature/b"]).ok().text(), "Here it stayed.");
    to.verify();
}

#[test]
fn what_cannot_be_copied_is_refused_with_what_to_do() {
    let (from, to) = (Cli::new(), Cli::new());
    let (here, there) = (path(&from), path(&to));
    let refused = |args: &[&str], code: i32, words: &[&str]| {
        let ran = from.run(&[&["copy"], args].concat()).fails(code, words);
        assert!(!ran.err.contains("s3cret"), "{}", ran.err);
    };
    refused(&["--from", &here, "--to", &there], 2, &["--from", &here, "holds no installation"]);
    assert!(!from.data().join("catalog").exists(), "nor is it made one");
    from.save("literature/a", long_text("a").as_bytes());
    refused(&["--from", &here, "--to", &here], 2, &["the same home", "name two"]);
    let blobs = format!("file://{here}/blobs");
    refused(&["--from", &here, "--to", &there, "--to-blobs", &blobs], 2, &["in one place"]);
    let server = "mongodb://ada:s3cret@127.0.0.1:1/x";
    refused(&["--from", &here, "--to", server], 2, &["--to-blobs"]);
    refused(&["--from", "http://a/b", "--to", &here], 2, &["http://", "mongodb://"]);
    refused(&[], 2, &["--from or --to"]);
    refused(&["--to", &here], 2, &["the same home"]);
    let held = EmbeddedCatalog::open(from.data().join("catalog")).unwrap();
    refused(&["--from", &here, "--to", &there], 7, &[&here, "is in use"]);
    drop(held);
    // The configured home is what is meant by leaving one out, and its URI stands on no command line.
    let configured = |args: &[&str]| {
        let mut command = from.command(&[&["copy"], args].concat());
        command.env("FLORET_CATALOG__URL", server).env("FLORET_BLOBS__URL", format!("file://{here}/blobs"));
        floret_tests::cli::run(&mut command, b"")
    };
    let ran = configured(&["--from", &here]).fails(2, &["in one place"]);
    assert!(!ran.err.contains("s3cret"), "{}", ran.err);
    // A home of its own has components of its own.
    to.save("literature/b", b"another");
    refused(&["--from", &here, "--to", &there], 4, &["is no copy of", "copy into an empty home"]);
}

#[test]
fn a_server_that_holds_nothing_is_no_source() {
    let (cli, database) = (Cli::new(), Database::shared());
    let target = cli.data().join("copied");
    let blobs = format!("file://{}", cli.data().join("elsewhere").display());
    let args = ["copy", "--from", &database.uri, "--from-blobs", &blobs, "--to"];
    let ran = cli.run(&[&args[..], &[target.to_str().unwrap()]].concat());
    ran.fails(2, &["there is nothing in", "check the database's name"]);
    assert!(!target.exists(), "nor is the target made");
}

#[test]
fn a_damaged_content_is_named_and_the_copy_stays_whole() {
    let (from, to) = (world(), Cli::new());
    let stored = from.run(&["--json", "get", "literature/a", "--version", "2"]).ok().json();
    let object = from.data().join("blobs").join(stored["content_location"]["path"].as_str().unwrap());
    let sound = std::fs::read(&object).unwrap();
    std::fs::write(&object, &sound[1..]).unwrap();
    let error = copy(&from, &to);
    assert_eq!(error.status.code(), Some(6), "{}", error.err);
    assert!(error.err.contains("the content of literature/a@2"), "{}", error.err);
    std::fs::write(&object, &sound).unwrap();
    copied(&from, &to);
    to.verify();
}

/// Many texts that are stored as blobs of their own.
fn many() -> Cli {
    let cli = Cli::new();
    let line = |id| {
        format!("{}\n", json!({"key": format!("literature/{id}"), "text": long_text(&format!("x{id}x"))}))
    };
    let lines: String = (0..300).map(line).collect();
    cli.run_with(&["save", "--batch", "-", "--each"], lines.as_bytes()).ok();
    cli
}

fn blobs(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.map(|path| if path.is_dir() { blobs(&path) } else { 1 }).sum()
}

fn spawn(from: &Cli, to: &Cli) -> Child {
    let args = copy_args(from, to);
    let mut command = from.command(&args[1..].iter().map(String::as_str).collect::<Vec<_>>());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Let a copy run until so many more blobs are there, and send it a signal.
fn cut(from: &Cli, to: &Cli, signal: &str, more: usize) -> std::process::Output {
    let folder = to.data().join("blobs");
    let before = blobs(&folder);
    let mut child = spawn(from, to);
    while blobs(&folder) < before + more && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    if child.try_wait().unwrap().is_none() {
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
    child.wait_with_output().unwrap()
}

/// The invariants hold, as far as the copy came. No host is opened: it would install its components.
async fn assert_sound_so_far(cli: &Cli) {
    let catalog: Arc<dyn Catalog> = EmbeddedCatalog::open(cli.data().join("catalog")).unwrap();
    let objects = floret_store::local_objects(&cli.data().join("blobs")).unwrap();
    let (options, clock) = (BlobOptions::default(), Arc::new(SystemClock));
    let blobs = BlobStore::new(Arc::clone(&catalog), objects, StorageType::Disk, clock, options);
    let report = verify(&*catalog, &blobs, VerifyOptions { rehash: true }).await.unwrap();
    assert!(report.is_clean(), "{:?}", report.problems);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_killed_goes_on_when_it_is_run_again() {
    let (from, to) = (many(), Cli::new());
    let mut killed = 0;
    for more in [1, 30, 60, 90] {
        let output = cut(&from, &to, "-KILL", more);
        killed += usize::from(output.status.code().is_none());
        assert_sound_so_far(&to).await;
    }
    assert!(killed > 0, "every copy was done before it was killed");
    let report = copied(&from, &to);
    assert_eq!(report["equal"], report["examined"]);
    assert_eq!(names(&to), names(&from));
    to.verify();
}

#[test]
fn ctrl_c_stops_a_copy_and_says_how_it_goes_on() {
    let from = many();
    for _ in 0..TRIES_MAX {
        let to = Cli::new();
        let output = cut(&from, &to, "-INT", 20);
        let err = String::from_utf8(output.stderr).unwrap();
        if output.status.success() {
            continue;
        }
        assert_eq!(output.status.code(), Some(130), "{err}");
        assert!(err.contains("Run it again to go on"), "{err}");
        copied(&from, &to);
        to.verify();
        return;
    }
    panic!("{TRIES_MAX} copies were all done before the signal came");
}
