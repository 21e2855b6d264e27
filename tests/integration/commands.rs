//! The real binary and what it says of bad input: one error, and an exit code for each kind of it.

use floret_tests::cli::Cli;
use floret_tests::{component, guest};

#[test]
fn what_is_asked_for_badly_ends_with_2_and_what_is_not_there_with_3() {
    let cli = Cli::new();
    let text = cli.file("text.txt", "a text");
    let text = text.to_str().unwrap();
    let latin1 = cli.file("latin1.txt", b"caf\xe9");
    let latin1 = latin1.to_str().unwrap();
    cli.run(&["save", "literature/t", text]).ok();
    for (args, code, words) in [
        (
            &["save", "literature/l", latin1][..],
            2,
            &["literature/l is not UTF-8", "0xe9", "convert the text"][..],
        ),
        (&["save", "melody/x", text], 2, &["unknown resource type \"melody\"", "dictionary", "`types`"]),
        (&["save", "corpus/x", text], 2, &["corpus/x cannot be saved as it is", "`floret corpus create`"]),
        (&["save", "nowhere:literature/x", text], 2, &["unknown namespace \"nowhere\"", "default, plugins"]),
        (&["save", "Literature/x", text], 2, &["resource type \"Literature\"", "lower-case"]),
        (&["save", "literature/a\nb", text], 2, &["control character"]),
        (&["save", "text", text], 2, &["TYPE/ID"]),
        (&["save", "literature/x", "no such file"], 2, &["cannot read no such file"]),
        (&["get", "literature/nobody"], 3, &["literature/nobody is not there"]),
        (&["get", "literature/t", "--version", "9"], 3, &["literature/t@9 is not there"]),
        (&["get", "literature/t", "--version", "x"], 2, &["names no version"]),
        (&["cascade", "literature/nobody"], 3, &["literature/nobody is not there"]),
        (&["build", "trie/x", "--from", "corpus/nobody"], 3, &["corpus/nobody"]),
        (&["search", "literature/t", "word"], 2, &["literature/t cannot be searched"]),
        (&["plugin", "bind", "trie", "nobody"], 3, &["no component named \"nobody\"", "trie-fst"]),
        (
            &["plugin", "bind", "corpus", "corpus-text", "--set", "min_count=many"],
            2,
            &["corpus-text", "/min_count"],
        ),
        (&["plugin", "bind", "trie", "corpus-text"], 2, &["floret:corpus@0.1.0", "needs floret:index"]),
        (
            &["save", "literature/t", text, "--if-latest", "none"],
            4,
            &["literature/t has moved on", "found @1"],
        ),
        (&["frobnicate"], 2, &["frobnicate"]),
        (&["get"], 2, &["TYPE/ID"]),
    ] {
        cli.run(args).fails(code, words);
    }
    cli.verify();
}

#[test]
fn errors_are_json_where_json_is_asked_for() {
    let cli = Cli::new();
    for (args, code, name) in [
        (&["--json", "get", "literature/nobody"][..], 3, "not_found"),
        (&["--json", "save", "melody/x", "-"], 2, "unknown_type"),
        (&["--json", "frobnicate"], 2, "usage"),
    ] {
        let ran = cli.run(args);
        assert_eq!(ran.status.code(), Some(code), "{}", ran.err);
        let error: serde_json::Value = serde_json::from_str(&ran.err).expect(&ran.err);
        assert_eq!(error["error"]["code"], name);
        assert!(!error["error"]["message"].as_str().unwrap().is_empty());
    }
}

#[test]
fn a_configuration_that_cannot_be_used_ends_with_2() {
    for (config, words) in [
        ("[cach]\nx = 1", &["unknown key `cach`", "config.toml"][..]),
        ("[namespaces.default]\ncompression = \"brotli\"", &["unknown compression \"brotli\"", "zstd"]),
        ("[limits]\ncall_timeout = \"soon\"", &["limits.call_timeout", "\"soon\" is not a duration"]),
        ("[limits]\ninstances_max = 0", &["instances_max is 0"]),
        ("[store]\nmerge_fan_in = 1", &["store.merge_fan_in is 1", "at least 2"]),
        ("not toml", &["config.toml"]),
    ] {
        let cli = Cli::configured(config);
        cli.run(&["list"]).fails(2, words);
    }
}

#[test]
fn what_is_no_component_ends_with_5_and_is_not_installed() {
    let cli = Cli::new();
    let installed = cli.run(&["--json", "plugin", "list"]).ok().json();
    let whole = component("trie-fst").unwrap();
    let wasi = r#"(component (import "wasi:http/types@0.2.0" (instance))
        (instance $i) (export "floret:corpus/builder@0.1.0" (instance $i)))"#;
    for (bytes, words) in [
        (b"a text".to_vec(), &["is not a WebAssembly component"][..]),
        (whole[..whole.len() / 2].to_vec(), &["is not a WebAssembly component"]),
        (wat::parse_str("(component)").unwrap(), &["exports no Floret contract"]),
        (guest("two-contracts").unwrap().to_vec(), &["exports several contracts"]),
        (wat::parse_str(wasi).unwrap(), &["imports wasi:http/types@0.2.0"]),
    ] {
        cli.run_with(&["plugin", "install", "-"], &bytes).fails(5, words);
    }
    assert_eq!(cli.run(&["--json", "plugin", "list"]).ok().json(), installed);
    cli.verify();
}

#[test]
fn a_component_that_breaks_ends_with_5_and_keeps_what_was_saved() {
    let cli = Cli::configured(
        "[limits]\ncall_timeout = \"1s\"\nmemory_bytes_max = \"64 MiB\"\noutput_bytes_max = \"4 MiB\"\n",
    );
    cli.save("literature/t", b"some words");
    cli.run(&["corpus", "create", "corpus/c", "--text", "literature/t"]).ok();
    cli.run(&["build", "trie/c", "--from", "corpus/c"]).ok();
    let misbehave = cli.file("misbehave.wasm", guest("misbehave-index").unwrap());
    cli.run(&["plugin", "install", misbehave.to_str().unwrap()]).ok();
    for (round, (mode, words)) in [
        ("loop", "stopped at the limit call_timeout = 1000 ms"),
        ("allocate", "stopped at the limit memory_bytes_max"),
        ("write", "stopped at the limit output_bytes_max"),
        ("trap", "trapped"),
        ("recurse", "stack overflow"),
    ]
    .into_iter()
    .enumerate()
    {
        cli.run(&["plugin", "bind", "trie", "misbehave-index", "--hold", "--set", &format!("mode={mode}")])
            .ok();
        let ran = cli.run_with(&["save", "literature/t", "-"], format!("round {round}").as_bytes());
        let ran = ran.fails(5, &["trie/c: misbehave-index@0.1.0", words, "nothing was published"]);
        assert!(
            ran.err.contains("what was saved is kept") && ran.err.contains("floret cascade 'literature/t'")
        );
        let kept = cli.run(&["get", "literature/t"]).ok();
        assert_eq!(kept.text(), format!("round {round}"));
        cli.verify();
    }
    cli.run(&["plugin", "bind", "trie", "trie-fst", "--hold"]).ok();
    let report = cli.run(&["--json", "cascade", "literature/t"]).ok().json();
    let fates: Vec<&str> = report["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["fate"].as_str().or(step["fate"]["fate"].as_str()).unwrap_or("?"))
        .collect();
    assert_eq!(fates, ["memo_hit", "built"], "{report}");
    cli.verify();
}

#[test]
fn v8_no_byte_and_many_go_through_the_program() {
    let cli = Cli::configured("types = [\"raw\"]\n");
    let huge = cli.file("huge", "");
    // A hole: it has its length and takes no place.
    std::fs::File::options().write(true).open(&huge).unwrap().set_len(200_000_000).unwrap();
    let empty = cli.file("empty", "");
    for (key, file) in [("raw/empty", &empty), ("raw/huge", &huge)] {
        cli.run(&["save", key, file.to_str().unwrap()]).ok();
        let back = cli.file("back", "");
        cli.run(&["get", key, "--output", back.to_str().unwrap()]).ok();
        assert!(std::fs::read(back).unwrap() == std::fs::read(file).unwrap(), "{key} is another");
    }
    cli.run(&["save", "literature/empty", empty.to_str().unwrap()]).ok();
    cli.verify();
}

#[test]
fn v4_odd_ids_go_through_the_program() {
    let cli = Cli::new();
    for id in ["a/b", "..", "../../x", "with space", "😀", "-", "a@1"] {
        let key = format!("literature/{id}");
        cli.save(&key, id.as_bytes());
        assert_eq!(cli.run(&["get", &key]).ok().text(), id);
    }
    assert_eq!(cli.run(&["--json", "list"]).ok().json()["resources"].as_array().unwrap().len(), 7);
    cli.verify();
}
