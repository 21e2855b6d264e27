//! `deploy/config.example.toml` and the configurations beside it say what the program does.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{Config, Flags, load};

/// Keys that have no default, or one that depends on the machine: a comment in the example.
const NOT_SET: [&str; 16] = [
    "data",
    "catalog.url",
    "blobs.url",
    "blobs.endpoint",
    "blobs.region",
    "blobs.access_key_id",
    "blobs.secret_access_key",
    "blobs.session_token",
    "cache.directory",
    "serve.tls_cert",
    "serve.tls_key",
    "serve.tokens",
    "serve.otlp_endpoint",
    "limits.instances_max",
    "limits.searchers_max",
    "limits.parallel_steps_max",
];

fn deployed(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy")).join(name)
}

/// Keys that a configuration file sets, and those that are in it as a comment, `# KEY = …`.
fn keys(text: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut set, mut commented) = (BTreeSet::new(), BTreeSet::new());
    let mut section = String::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = format!("{name}.");
            continue;
        }
        let (keys, line) = match line.strip_prefix("# ") {
            Some(line) => (&mut commented, line),
            None => (&mut set, line),
        };
        if let Some((key, _)) = line.split_once(" = ").filter(|(key, _)| !key.contains(' ')) {
            keys.insert(format!("{section}{key}"));
        }
    }
    (set, commented)
}

#[test]
fn the_example_has_every_key_and_sets_the_defaults() {
    let file = deployed("config.example.toml");
    let text = std::fs::read_to_string(&file).expect("the example is there");
    let data = tempfile::tempdir().expect("a temporary folder");
    let flags = Flags { config: Some(file), data: Some(data.path().to_owned()), ..Flags::default() };
    let settings = load(&flags, &[]).expect("the example is a good configuration");
    assert_eq!(settings.config, Config { data: flags.data, ..Config::default() });

    let (set, commented) = keys(&text);
    let expected: BTreeSet<String> = NOT_SET.map(str::to_owned).into();
    assert_eq!(commented, expected, "these have no default that can be written, and are comments");
    let known: BTreeSet<String> = settings.all().into_iter().map(|setting| setting.key).collect();
    let written: BTreeSet<String> = set.union(&commented).cloned().collect();
    assert_eq!(written, known, "the example has these keys, and the program those");
}

#[test]
fn cleanup_is_made_as_often_as_it_may_be_or_never() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let flags = Flags { data: Some(folder.path().to_owned()), ..Flags::default() };
    for (every, is_good, expected) in
        [("never", true, None), ("1m", true, Some(60)), ("59s", false, Some(59)), ("0s", false, Some(0))]
    {
        let env = [("FLORET_CLUSTER__CLEANUP_EVERY".to_owned(), every.to_owned())];
        let config = load(&flags, &env).expect("a duration, or never").config;
        assert_eq!(config.options().is_ok(), is_good, "{every}");
        assert_eq!(config.schedule().map(|schedule| schedule.every.as_secs()), expected, "{every}");
    }
}

#[test]
fn the_example_is_good_with_every_comment_taken_away() {
    let text = std::fs::read_to_string(deployed("config.example.toml")).expect("the example is there");
    let is_key = |line: &str| {
        NOT_SET.iter().any(|key| {
            let name = key.rsplit('.').next().unwrap_or(key);
            line.strip_prefix("# ").is_some_and(|line| line.starts_with(&format!("{name} = ")))
        })
    };
    let whole: Vec<&str> =
        text.lines().map(|line| if is_key(line) { line.trim_start_matches("# ") } else { line }).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("whole.toml");
    std::fs::write(&file, whole.join("\n")).expect("written");
    let flags = Flags { config: Some(file), ..Flags::default() };
    let config = load(&flags, &[]).expect("every value has its type").config;
    assert_eq!(config.data, Some(PathBuf::from("/var/lib/floret")));
    assert_eq!(config.limits.parallel_steps_max, 2);
    assert_eq!(config.blobs.region.as_deref(), Some("eu-central-1"));
}
