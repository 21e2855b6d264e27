//! Ctrl-C in the middle of a cascade.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use floret_tests::cli::Cli;
use floret_tests::guest;
use floret_tests::http::Server;

const TEXTS: u32 = 24;
/// So often a cascade may be done before the signal comes.
const TRIES_MAX: u32 = 20;

fn interrupt(child: &Child) {
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
}

fn blobs(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.map(|path| if path.is_dir() { blobs(&path) } else { 1 }).sum()
}

/// Wait for something that will happen, without a clock.
fn until(mut happened: impl FnMut() -> bool) {
    while !happened() {
        std::thread::yield_now();
    }
}

fn spawn(cli: &Cli, args: &[&str]) -> Child {
    cli.command(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Interrupt a cascade once it has stored something. Whether that stopped it: it may have come too late.
fn is_stopped(mut child: Child, folder: &Path, before: usize) -> bool {
    until(|| blobs(folder) > before || child.try_wait().unwrap().is_some());
    if child.try_wait().unwrap().is_none() {
        interrupt(&child);
    }
    let text = told(&mut child);
    let status = child.wait().unwrap();
    if status.success() {
        return false;
    }
    assert_eq!(status.code(), Some(130), "{status}: {text}");
    assert!(text.contains("stopped before anything was published; run it again"), "{text}");
    true
}

fn told(child: &mut Child) -> String {
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

/// Texts, a corpus of each, a master over them, and a trie.
fn world() -> Cli {
    // One step after the other, so that there is a middle.
    let cli = Cli::configured("[limits]\nparallel_steps_max = 1\ncall_timeout = \"60s\"\n");
    save_all(&cli, "first");
    let names: Vec<String> = (0..TEXTS).map(|n| format!("corpus/{n}")).collect();
    for (n, name) in names.iter().enumerate() {
        cli.run(&["corpus", "create", name, "--text", &format!("literature/{n}")]).ok();
    }
    let mut args = vec!["corpus", "create", "corpus/all"];
    for name in &names {
        args.extend(["--child", name]);
    }
    cli.run(&args).ok();
    cli.run(&["build", "trie/all", "--from", "corpus/all"]).ok();
    cli
}

/// All texts anew, as a batch.
fn lines(word: &str) -> String {
    let line = |n| {
        let words: String = (0..3_000).map(|m| format!("{word}{n}x{m} ")).collect();
        format!("{}\n", serde_json::json!({"key": format!("literature/{n}"), "text": words}))
    };
    (0..TEXTS).map(line).collect()
}

/// Save all texts anew, and rebuild nothing.
fn save_all(cli: &Cli, word: &str) {
    cli.run_with(&["save", "--batch", "-", "--no-cascade"], lines(word).as_bytes()).ok();
}

fn cascade_args() -> Vec<String> {
    let roots = (0..TEXTS).map(|n| format!("literature/{n}"));
    ["--json".to_owned(), "cascade".to_owned()].into_iter().chain(roots).collect()
}

fn seq(cli: &Cli, name: &str) -> u64 {
    cli.run(&["--json", "get", name]).ok().json()["version_info"]["seq"].as_u64().unwrap()
}

#[test]
fn k6_ctrl_c_in_a_cascade_publishes_nothing_and_the_next_run_goes_on() {
    let cli = world();
    let args = cascade_args();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    for round in 1..=TRIES_MAX {
        save_all(&cli, &format!("round{round}"));
        let (corpus, trie) = (seq(&cli, "corpus/0"), seq(&cli, "trie/all"));
        let folder = cli.data().join("blobs");
        let before = blobs(&folder);
        if !is_stopped(spawn(&cli, &args), &folder, before) {
            continue;
        }
        assert_eq!((seq(&cli, "corpus/0"), seq(&cli, "trie/all")), (corpus, trie));
        cli.verify();
        let report = cli.run(&args).ok().json();
        let fates = report["steps"].to_string();
        assert!(
            fates.contains("memo_hit") && fates.contains("built"),
            "it goes on where it stopped: {fates}"
        );
        assert_eq!((seq(&cli, "corpus/0"), seq(&cli, "trie/all")), (corpus + 1, trie + 1));
        cli.verify();
        return;
    }
    panic!("{TRIES_MAX} cascades were all done before the signal came");
}

#[test]
fn k6_ctrl_c_cancels_a_cascade_of_a_server() {
    let cli = world();
    let server = Server::start(&cli, &[]);
    let client = Cli::new();
    let url = format!("http://{}", server.address());
    let args: Vec<String> = cascade_args();
    let args: Vec<&str> = ["--server", &url].into_iter().chain(args.iter().map(String::as_str)).collect();
    let latest = |name: &str| {
        let record = server.get(&format!("/v1/default/{name}/record")).is(200).json();
        record["seq"].as_u64().unwrap()
    };
    for round in 1..=TRIES_MAX {
        server.ask("POST", "/v1/batches", &[], lines(&format!("round{round}")).as_bytes()).is(200);
        let (corpus, trie) = (latest("corpus/0"), latest("trie/all"));
        let folder = cli.data().join("blobs");
        let before = blobs(&folder);
        if !is_stopped(spawn(&client, &args), &folder, before) {
            continue;
        }
        assert_eq!((latest("corpus/0"), latest("trie/all")), (corpus, trie));
        assert_eq!(server.get("/v1/jobs").is(200).json()[0]["state"], "cancelled");
        let report = client.run(&args).ok().json();
        let fates = report["steps"].to_string();
        assert!(fates.contains("memo_hit") && fates.contains("built"), "it goes on: {fates}");
        assert_eq!((latest("corpus/0"), latest("trie/all")), (corpus + 1, trie + 1));
        server.stop();
        cli.verify();
        return;
    }
    panic!("{TRIES_MAX} cascades were all done before the signal came");
}

#[test]
fn k6_a_second_ctrl_c_ends_a_step_that_does_not_end() {
    let cli = world();
    let misbehave = cli.file("misbehave.wasm", guest("misbehave-index").unwrap());
    cli.run(&["plugin", "install", misbehave.to_str().unwrap()]).ok();
    cli.run(&["plugin", "bind", "trie", "misbehave-index", "--hold", "--set", "mode=loop"]).ok();
    let mut child = spawn(&cli, &["cascade", "plugins:binding/trie"]);
    let handled = format!("/proc/{}/status", child.id());
    until(|| catches_interrupts(&handled) || child.try_wait().unwrap().is_some());
    interrupt(&child);
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut first = String::new();
    err.read_line(&mut first).unwrap();
    assert!(first.contains("stopping") && first.contains("Ctrl-C again ends at once"), "{first}");
    interrupt(&child);
    let mut rest = String::new();
    err.read_to_string(&mut rest).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130), "{status}: {first}{rest}");
    assert_eq!(seq(&cli, "trie/all"), 1);
    cli.verify();
    cli.run(&["plugin", "bind", "trie", "trie-fst"]).ok();
    cli.verify();
}

/// Whether a process has a handler for SIGINT, which is signal 2.
fn catches_interrupts(status: &str) -> bool {
    let text = std::fs::read_to_string(status).unwrap_or_default();
    let mask = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0");
    u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & (1 << 1) != 0)
}
