//! Plugins by others: every template of `floret plugin new`, from an empty folder to an answer, and `floret plugin test`.
//!
//! The toolchains are the ones that `cargo xtask toolchains` installs. Where one is missing, `plugin build` says so, and the
//! test fails. A program of its own, so that compilers do not take the processors from tests of servers.

#![expect(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

mod unstubbed;

use std::path::{Path, PathBuf};
use std::process::Command;

use floret_tests::cli::{Cli, Ran, run};
use floret_tests::{guest, repository};
use serde_json::Value;

const LANGUAGES: [&str; 4] = ["rust", "python", "js", "c"];
const CONTRACTS: [&str; 3] = ["corpus", "index", "policy"];

/// The folder of a data folder's neighbours.
fn beside(cli: &Cli) -> PathBuf {
    cli.data().parent().unwrap().to_owned()
}

/// A new project of a name that tells language and contract.
fn project(cli: &Cli, language: &str, contract: &str) -> PathBuf {
    let name = format!("my-{language}-{contract}");
    let folder = beside(cli).join(&name);
    let dir = folder.to_str().unwrap();
    cli.run(&["plugin", "new", &name, "--contract", contract, "--lang", language, "--dir", dir]).ok();
    folder
}

/// The packages of a project in JavaScript, as `npm install` would put them there.
fn link_packages(folder: &Path) {
    if folder.join("package.json").is_file() && !folder.join("node_modules").exists() {
        let packages = repository().join("target/npm/node_modules");
        std::os::unix::fs::symlink(packages, folder.join("node_modules")).unwrap();
    }
}

/// `plugin build` with the installed toolchains.
fn build(cli: &Cli, folder: &Path) -> Ran {
    let target = repository().join("target");
    link_packages(folder);
    let path = std::env::var_os("PATH").unwrap();
    let path = [target.join("venv/bin")].into_iter().chain(std::env::split_paths(&path));
    let mut command = cli.command(&["--json", "plugin", "build", folder.to_str().unwrap()]);
    // Crates of one folder share the standard library that is built along.
    command
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("CARGO_TARGET_DIR", target.join("templates"))
        .env_remove("CARGO_MANIFEST_DIR")
        .env_remove("RUSTFLAGS");
    run(&mut command, b"")
}

/// Build a template, test it with its data, and install it. The name.
fn installed(cli: &Cli, language: &str, contract: &str) -> String {
    let folder = project(cli, language, contract);
    let built = build(cli, &folder).ok().json();
    let name = built["name"].as_str().unwrap().to_owned();
    let file = folder.join(format!("{name}.wasm"));
    let component = std::fs::read(&file).unwrap();
    assert_eq!(built["size_bytes"], component.len());
    let holds = |text: &str| component.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("Apache-2.0") && holds(&name), "{name}: its licence and name are not in it");

    let expected = folder.join("testdata/expected");
    let mut data: Vec<PathBuf> =
        std::fs::read_dir(folder.join("testdata")).unwrap().map(|file| file.unwrap().path()).collect();
    data.retain(|file| *file != expected);
    // `one` comes before `two` and `long`.
    data.sort_by_key(|file| file.file_stem().is_none_or(|stem| stem != "one"));
    let mut args = vec!["--json", "plugin", "test", file.to_str().unwrap(), "--input"];
    args.extend(data.iter().map(|file| file.to_str().unwrap()));
    args.extend(["--expect", expected.to_str().unwrap()]);
    let tested = cli.run(&args);
    assert!(tested.status.success(), "{name}: {}\n{}", tested.err, faults(&tested.json()));
    let tested = tested.json();
    assert_eq!(tested["component"], format!("{name}@0.1.0"));
    assert!(tested["passed"].as_u64().unwrap() >= 10, "{tested}");
    assert!(!tested["measures"].as_array().unwrap().is_empty());

    cli.run(&["plugin", "install", file.to_str().unwrap()]).ok();
    name
}

fn faults(tested: &Value) -> String {
    let checks = tested["checks"].as_array().unwrap().iter();
    let failed = checks.filter(|check| !check["fault"].is_null());
    failed.map(|check| format!("{}: {}\n", check["check"], check["fault"])).collect()
}

/// A text in a corpus.
fn corpus(cli: &Cli) {
    cli.save("literature/hall", b"A sparrow flies through the hall. The sparrow is gone.");
    cli.run(&["corpus", "create", "corpus/hall", "--texts", "literature/hall"]).ok();
}

/// An index of the template answers what is asked of it.
fn index_answers(language: &str) {
    let cli = Cli::new();
    let name = installed(&cli, language, "index");
    cli.run(&["plugin", "bind", "words", &name]).ok();
    corpus(&cli);
    cli.run(&["build", "words/hall", "--from", "corpus/hall"]).ok();
    let answer = cli.run(&["--json", "search", "words/hall", "sp", "--mode", "prefix"]).ok().json();
    assert_eq!(answer["hits"][0]["word"], "sparrow", "{answer}");
    assert_eq!(answer["hits"][0]["frequency"], 2, "{answer}");
    cli.verify();
}

/// A corpus builder of the template counts the words of a text.
fn corpus_counts(language: &str) {
    let cli = Cli::new();
    let name = installed(&cli, language, "corpus");
    cli.run(&["plugin", "bind", "corpus", &name]).ok();
    corpus(&cli);
    let counted = cli.run(&["get", "corpus/hall"]).ok();
    assert_eq!(counted.text(), "a\t1\nflies\t1\ngone\t1\nhall\t1\nis\t1\nsparrow\t2\nthe\t2\nthrough\t1\n");
    cli.verify();
}

/// A policy of the template is asked when a text is saved.
fn policy_decides(language: &str) {
    let cli = Cli::new();
    let name = installed(&cli, language, "policy");
    cli.run(&["plugin", "bind", "policy", &name]).ok();
    cli.save("literature/long", "A sparrow flies through the hall. ".repeat(100).as_bytes());
    let saved = cli.run(&["--json", "get", "literature/long"]).ok().json();
    assert_eq!(saved["policy"]["reason"], "under 1 MiB", "{saved}");
    assert_eq!(saved["content_location"]["compression"], "zstd", "{saved}");
    cli.verify();
}

#[test]
fn plugins_in_rust_are_made_from_their_templates() {
    corpus_counts("rust");
    index_answers("rust");
    policy_decides("rust");
}

#[test]
fn plugins_in_c_are_made_from_their_templates() {
    corpus_counts("c");
    index_answers("c");
    policy_decides("c");
}

#[test]
fn plugins_in_javascript_are_made_from_their_templates() {
    corpus_counts("js");
    index_answers("js");
    policy_decides("js");
}

#[test]
fn plugins_in_python_are_made_from_their_templates() {
    corpus_counts("python");
    index_answers("python");
    policy_decides("python");
}

#[test]
fn every_template_is_written_whole_and_with_its_names_filled_in() {
    let cli = Cli::new();
    for language in LANGUAGES {
        for contract in CONTRACTS {
            let folder = project(&cli, language, contract);
            let mut files = Vec::new();
            collect(&folder, &mut files);
            for file in &files {
                let text = std::fs::read_to_string(file).unwrap();
                assert!(!text.contains("{{"), "{} has a name that is not filled in", file.display());
            }
            let manifest = std::fs::read_to_string(folder.join("plugin.toml")).unwrap();
            assert!(manifest.contains(&format!("contract = \"floret:{contract}@0.1.0\"")), "{manifest}");
            assert!(manifest.contains(&format!("language = \"{language}\"")), "{manifest}");
            let wit = std::fs::read(folder.join(format!("wit/{contract}.wit"))).unwrap();
            let source = repository().join(format!("wit/{contract}/{contract}.wit"));
            assert_eq!(
                wit,
                std::fs::read(source).unwrap(),
                "{language}: the contract is not the published one"
            );
        }
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
}

#[test]
fn a_project_is_not_written_where_it_must_not_be() {
    let cli = Cli::new();
    let new = |name: &str, dir: &Path| {
        let dir = dir.to_str().unwrap();
        cli.run(&["plugin", "new", name, "--contract", "index", "--lang", "c", "--dir", dir])
    };
    let folder = beside(&cli).join("x");
    for name in ["X", "a_b", "../x", "a b", "2x", "x-", ""] {
        new(name, &folder).fails(2, &["expected lower-case letters"]);
    }
    assert!(!folder.exists());
    let file = cli.file("kept", "mine");
    new("x", &beside(&cli)).fails(2, &["is not empty", "--dir"]);
    new("x", &file).fails(2, &["cannot be used"]);
    assert_eq!(std::fs::read_to_string(file).unwrap(), "mine");
    std::fs::create_dir(&folder).unwrap();
    new("x", &folder).ok();
    new("x", &folder).fails(2, &["is not empty"]);
}

#[test]
fn a_missing_toolchain_is_named_with_what_to_install() {
    let cli = Cli::new();
    let nowhere = beside(&cli).join("nowhere");
    for (language, words) in [
        ("rust", &["rustc is not installed", "https://rustup.rs"][..]),
        ("python", &["componentize-py is not installed", ".venv/bin/pip install -r requirements.txt"]),
        ("js", &["jco is not installed", "npm install"]),
        ("c", &["clang is not installed", "apt install clang-19 lld-19 wasi-libc"]),
    ] {
        let folder = project(&cli, language, "index");
        let mut command = cli.command(&["plugin", "build", folder.to_str().unwrap()]);
        run(command.env("PATH", &nowhere), b"").fails(2, words);
        assert!(!folder.join(format!("my-{language}-index.wasm")).exists());
    }
    cli.run(&["plugin", "build", nowhere.to_str().unwrap()])
        .fails(2, &["plugin.toml cannot be read", "floret plugin new"]);
}

#[test]
fn a_build_that_fails_shows_why_and_leaves_the_old_component() {
    let cli = Cli::new();
    let folder = project(&cli, "c", "policy");
    build(&cli, &folder).ok();
    let file = folder.join("my-c-policy.wasm");
    let before = std::fs::read(&file).unwrap();
    build(&cli, &folder).ok();
    assert!(std::fs::read(&file).unwrap() == before, "built again, it has other bytes");
    let source = folder.join("src/plugin.c");
    let text = std::fs::read_to_string(&source).unwrap();
    std::fs::write(&source, text.replace("#define MIB", "#define MIBI")).unwrap();
    let failed = build(&cli, &folder);
    assert_eq!(failed.status.code(), Some(1), "{}", failed.err);
    assert!(failed.err.contains("undeclared identifier 'MIB'"), "{}", failed.err);
    assert!(std::fs::read(&file).unwrap() == before);
    let manifest = folder.join("plugin.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("Apache-2.0", "mine, all mine")).unwrap();
    let refused = build(&cli, &folder);
    assert_eq!(refused.status.code(), Some(2), "{}", refused.err);
    assert!(refused.err.contains("expected an SPDX expression"), "{}", refused.err);
}

/// A file with a guest of the tests.
fn guest_file(cli: &Cli, name: &str) -> PathBuf {
    cli.file(&format!("{name}.wasm"), guest(name).unwrap())
}

#[test]
fn faults_are_told_check_by_check_and_the_exit_code_is_a_plugins() {
    let cli = Cli::new();
    let file = guest_file(&cli, "misbehave");
    for mode in ["unsorted", "duplicate"] {
        let set = format!("mode={mode}");
        let tested = cli.run(&["plugin", "test", file.to_str().unwrap(), "--set", &set]);
        let lines: Vec<&str> = tested.text().lines().collect();
        let failed = |line: &&&str| line.starts_with("✗\ta text makes a corpus in the format\t");
        let line = lines.iter().find(failed).unwrap_or_else(|| panic!("{mode}: {}", tested.text()));
        assert!(line.contains("the output is no corpus: line 2"), "{mode}: {line}");
        assert!(lines.iter().any(|line| line.starts_with("✓\t")), "{mode}: {}", tested.text());
        tested.fails(5, &["misbehave.wasm does not keep floret:corpus@0.1.0", "failed"]);
    }
    let tested = cli.run(&["--json", "plugin", "test", file.to_str().unwrap(), "--set", "mode=panic"]);
    assert_eq!(tested.status.code(), Some(5), "{}", tested.err);
    assert!(tested.err.contains("plugin_unfit"), "{}", tested.err);
    let tested = tested.json();
    assert!(tested["failed"].as_u64().unwrap() > 0, "{tested}");
    assert!(faults(&tested).contains("misbehaving as asked"), "{tested}");
}

#[test]
fn what_cannot_be_tested_is_refused_before() {
    let cli = Cli::new();
    let file = guest_file(&cli, "misbehave");
    let tested = cli.run(&["plugin", "test", file.to_str().unwrap(), "--set", "colour=1"]);
    assert!(tested.text().contains("✗\tthe configuration is taken by the schema"), "{}", tested.text());
    tested.fails(5, &["does not keep"]);
    let text = cli.file("text.wasm", "no component");
    cli.run(&["plugin", "test", text.to_str().unwrap()]).fails(5, &["is not a WebAssembly component"]);
    cli.run(&["plugin", "test", "nowhere.wasm"]).fails(2, &["cannot read nowhere.wasm"]);
    let built_in = repository().join("plugins/dist/policy-default.wasm");
    let built_in = built_in.to_str().unwrap();
    let long = cli.file("long.txt", "a sparrow flies ".repeat(500));
    let wrong = cli.file("expected", "none\tnever\n");
    let given = ["--input", long.to_str().unwrap(), "--expect", wrong.to_str().unwrap()];
    let tested = cli.run(&[&["plugin", "test", built_in][..], &given].concat());
    assert!(tested.text().contains("✗\tthe data given make what is expected"), "{}", tested.text());
    tested.fails(5, &["1 of"]);
    assert!(!cli.data().join("catalog").exists(), "testing opened the store");
}

#[test]
fn testing_needs_no_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("none");
    let component = repository().join("plugins/dist/policy-archive.wasm");
    let mut command: Command = floret_tests::cli::command(floret_tests::binary());
    command.arg("--data").arg(&data).args(["--json", "plugin", "test"]).arg(component);
    let tested = run(&mut command, b"").ok().json();
    assert_eq!(tested["failed"], 0, "{tested}");
    assert!(!data.exists(), "a data folder was made");
}

#[test]
fn every_built_in_component_passes_its_test() {
    let cli = Cli::new();
    for name in ["corpus-text", "trie-fst", "semantic-ngram", "policy-default", "policy-archive"] {
        let file = repository().join(format!("plugins/dist/{name}.wasm"));
        let tested = cli.run(&["--json", "plugin", "test", file.to_str().unwrap()]);
        assert!(tested.status.success(), "{name}: {}\n{}", tested.err, faults(&tested.json()));
    }
}
