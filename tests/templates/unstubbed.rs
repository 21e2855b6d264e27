//! Components that import WASI, as each language's own tools make them unless they are told to stub it. Their policies ask the
//! system for what it must not tell, and give the answers as the reason of each decision.

use std::path::{Path, PathBuf};
use std::process::Command;

use floret_tests::cli::{Cli, run};
use floret_tests::repository;

use crate::{build, link_packages, project};

/// A variable in the environment of the host.
const SECRET: (&str, &str) = ("SECRET_OF_THE_MACHINE", "told");

/// Change a file of a project.
fn change(folder: &Path, file: &str, changes: &[(&str, &str)]) {
    let path = folder.join(file);
    let mut text = std::fs::read_to_string(&path).unwrap();
    for (before, after) in changes {
        assert_eq!(text.matches(before).count(), 1, "{before:?} in {file}");
        text = text.replace(before, after);
    }
    std::fs::write(path, text).unwrap();
}

/// What a policy is told in a home of its own.
fn told(component: &Path, name: &str) -> String {
    let cli = Cli::new();
    cli.run(&["plugin", "install", component.to_str().unwrap()]).ok();
    cli.run(&["plugin", "bind", "policy", name]).ok();
    let mut save = cli.command(&["save", "literature/long", "-"]);
    run(save.env(SECRET.0, SECRET.1), "A sparrow flies through the hall. ".repeat(100).as_bytes()).ok();
    let saved = cli.run(&["--json", "get", "literature/long"]).ok().json();
    cli.verify();
    saved["policy"]["reason"].as_str().unwrap_or_else(|| panic!("{saved}")).to_owned()
}

/// The component imports the system, and is told nothing of it; chance is the same in every home.
fn learns_nothing(cli: &Cli, component: &Path, name: &str, expected: &str) {
    let inspected = cli.run(&["--json", "plugin", "inspect", component.to_str().unwrap()]).ok().json();
    let imports = inspected["imports"].as_array().unwrap();
    for wanted in
        ["wasi:cli/environment@0.2.", "wasi:clocks/wall-clock@0.2.", "wasi:filesystem/preopens@0.2."]
    {
        let is_it = |import: &serde_json::Value| import.as_str().unwrap().starts_with(wanted);
        assert!(imports.iter().any(is_it), "no {wanted} in {imports:?}");
    }
    let first = told(component, name);
    assert!(first.starts_with(expected), "{first:?} does not begin with {expected:?}");
    assert!(first.len() > expected.len(), "{first:?} has no random bytes");
    assert_eq!(told(component, name), first);
}

const PYTHON: [(&str, &str); 2] = [
    (
        "from wit_world import exports\n",
        "import os\nimport socket\nimport time\n\nfrom wit_world import exports\n",
    ),
    (
        "def decide(profile):\n",
        r#"def tried(what):
    try:
        return what()
    except OSError as error:
        return type(error).__name__


def asked():
    answers = [int(time.time()), int(time.monotonic()), os.environ.get("SECRET_OF_THE_MACHINE")]
    answers += [tried(lambda: os.listdir("/")), tried(lambda: open("/etc/hostname").read()), tried(socket.socket)]
    return " ".join(str(answer) for answer in answers + [os.urandom(4).hex()])


def decide(profile):
    return Choice(Codec.NONE, 0, False, asked())


def decide_as_before(profile):
"#,
    ),
];

#[test]
fn python_with_the_system_not_stubbed_finds_it_empty() {
    let cli = Cli::new();
    let folder = project(&cli, "python", "policy");
    change(&folder, "src/app.py", &PYTHON);
    let mut command = Command::new(repository().join("target/venv/bin/componentize-py"));
    // As `plugin build` does, but for `--stub-wasi`.
    command
        .current_dir(&folder)
        .args(["--wit-path", "wit", "--world", "policy-component", "componentize"])
        .args(["--python-path", "src", "app", "--output", "unstubbed.wasm"]);
    run(&mut command, b"").ok();
    let expected = "0 0 None FileNotFoundError FileNotFoundError PermissionError ";
    learns_nothing(&cli, &folder.join("unstubbed.wasm"), "my-python-policy", expected);
}

const JAVASCRIPT: [(&str, &str); 1] = [(
    "function decide(profile) {\n",
    r#"function decide(profile) {
  const asked = [Date.now(), typeof process, typeof fetch, Math.random()];
  return { codec: "none", level: 0, delta: false, reason: asked.join(" ") };
}

function decideAsBefore(profile) {
"#,
)];

#[test]
fn javascript_with_the_system_not_stubbed_finds_it_empty() {
    let cli = Cli::new();
    let folder = project(&cli, "js", "policy");
    change(&folder, "src/plugin.js", &JAVASCRIPT);
    link_packages(&folder);
    let mut command = Command::new(folder.join("node_modules/.bin/jco"));
    // As `plugin build` does, but for `--backend-qjs-stub-wasi`.
    command
        .current_dir(folder.join("src"))
        .args(["componentize", "plugin.js", "--wit", "../wit", "--world-name", "policy-component"])
        .args(["--backend", "qjs", "--backend-qjs-disable-async", "--out", "../unstubbed.wasm"]);
    run(&mut command, b"").ok();
    learns_nothing(&cli, &folder.join("unstubbed.wasm"), "my-js-policy", "0 undefined undefined 0.");
}

const C: [(&str, &str); 3] = [
    ("#include <stdlib.h>\n", "#include <stdio.h>\n#include <stdlib.h>\n"),
    ("#include <string.h>\n", "#include <string.h>\n#include <time.h>\n#include <unistd.h>\n"),
    (
        "  plugin_string_dup(&choice->reason, reason);\n",
        r#"  static char told[128];
  unsigned char chance[4] = {0};
  const char *secret = getenv("SECRET_OF_THE_MACHINE");
  FILE *file = fopen("/etc/hostname", "r");
  int failed = getentropy(chance, sizeof chance);
  snprintf(told, sizeof told, "%lld %s %s %d %02x%02x%02x%02x", (long long)time(NULL), secret ? secret : reason,
           file ? "file" : "none", failed, chance[0], chance[1], chance[2], chance[3]);
  plugin_string_dup(&choice->reason, told);
"#,
    ),
];

/// The names of WASI 0.1 that a message tells, in its own words.
fn calls(told: &str) -> Vec<&str> {
    let (_, names) = told.split_once("a component has none below it: ").unwrap_or_else(|| panic!("{told}"));
    names.split(';').next().unwrap().split(", ").collect()
}

#[test]
fn c_with_the_system_not_stubbed_is_refused_call_by_call_or_finds_it_empty() {
    let cli = Cli::new();
    let folder = project(&cli, "c", "policy");
    change(&folder, "src/plugin.c", &C);
    // The template's stubs have no line for files that are opened.
    let refused = build(&cli, &folder);
    assert_eq!(refused.status.code(), Some(1), "{}", refused.err);
    assert!(refused.err.contains("add a line for it to src/no_system.c"), "{}", refused.err);
    let named = calls(&refused.err);
    assert!(named.contains(&"path_open") && !named.contains(&"clock_time_get"), "{}", refused.err);
    std::fs::remove_file(folder.join("src/no_system.c")).unwrap();
    let refused = build(&cli, &folder);
    let named = calls(&refused.err);
    for call in ["clock_time_get", "environ_get", "path_open", "random_get"] {
        assert!(named.contains(&call), "no {call} in {}", refused.err);
    }
    assert!(!folder.join("my-c-policy.wasm").exists());

    // What `wasm-tools component new` does with an adapter: the calls of WASI 0.1 become imports of WASI 0.2.
    let component: PathBuf = folder.join("unstubbed.wasm");
    let mut command = Command::new(repository().join("target/npm/node_modules/.bin/jco"));
    command
        .current_dir(&folder)
        .args(["new", "build/module.wasm", "--wasi-reactor", "--output"])
        .arg(&component);
    run(&mut command, b"").ok();
    learns_nothing(&cli, &component, "my-c-policy", "0 under 1 MiB none 0 ");
}
