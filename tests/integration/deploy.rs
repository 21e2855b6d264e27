//! The files of `deploy/` agree with each other and with the program. Whether the programs that read them understand
//! them, `cargo xtask deploy` asks.

use std::collections::BTreeSet;
use std::path::PathBuf;

use floret_tests::cli::Cli;
use floret_tests::repository;
use serde_json::Value;

/// The user of the image, in it and in whatever runs it.
const USER: &str = "10001";
const PORT: &str = "8080";
const DATA: &str = "/var/lib/floret/data";

fn path(name: &str) -> PathBuf {
    repository().join("deploy").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap()
}

/// Every file has every one of these words.
#[track_caller]
fn hold(names: &[&str], words: &[&str]) {
    for name in names {
        for word in words {
            assert!(text(name).contains(word), "{name} does not hold {word:?}");
        }
    }
}

/// Lines that begin with this word, without it.
fn after<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.trim().strip_prefix(word)).map(str::trim).collect()
}

#[test]
fn the_image_runs_as_nobody_in_particular_and_so_does_whatever_runs_it() {
    let dockerfile = text("Dockerfile");
    assert_eq!(after(&dockerfile, "USER "), [format!("{USER}:{USER}")]);
    assert!(dockerfile.contains(&format!("--chown={USER}:{USER} ")));
    hold(&["compose.yaml"], &[&format!("user: \"{USER}:{USER}\"")]);
    let in_pods = ["runAsUser", "runAsGroup", "fsGroup"].map(|field| format!("{field}: {USER}"));
    hold(&["kubernetes/deployment.yaml"], &in_pods.each_ref().map(String::as_str));
    hold(
        &["kubernetes/deployment.yaml"],
        &["runAsNonRoot: true", "readOnlyRootFilesystem: true", "[\"ALL\"]"],
    );
}

#[test]
fn every_container_of_compose_is_closed() {
    let compose = text("compose.yaml");
    let hardened = compose.split("x-hardened: &hardened").nth(1).unwrap().split("\n\n").next().unwrap();
    for word in ["read_only: true", "cap_drop: [ALL]", "no-new-privileges:true"] {
        assert!(hardened.contains(word), "{word}");
    }
    // Each service is hardened itself, or takes over what is.
    let services = compose.split("\nservices:\n").nth(1).unwrap().split("\nnetworks:\n").next().unwrap();
    let starts = |line: &&str| line.starts_with("  ") && !line.starts_with("   ") && line.ends_with(':');
    let count = services.lines().filter(starts).filter(|line| !line.trim().starts_with('#')).count();
    let taken = after(services, "<<:");
    assert_eq!((count, taken.len()), (9, 9), "{taken:?}");
    assert!(taken.iter().all(|name| ["*hardened", "*mongo", "*host"].contains(name)), "{taken:?}");
    for anchor in ["x-mongo: &mongo", "x-host: &host"] {
        let block = compose.split(anchor).nth(1).unwrap().split("\n\n").next().unwrap();
        assert_eq!(after(block, "<<:"), ["*hardened"], "{anchor}");
    }
}

#[test]
fn ports_and_folders_agree() {
    let listen = format!("\"serve\", \"--listen\", \"0.0.0.0:{PORT}\"");
    hold(&["compose.yaml", "kubernetes/deployment.yaml"], &[&listen]);
    hold(&["Dockerfile"], &["CMD [\"--help\"]"]);
    let on_purpose = format!("serve --listen 0.0.0.0:{PORT} --insecure-no-tokens");
    hold(&["README.md"], &[&on_purpose]);
    hold(&["Dockerfile"], &[&format!("EXPOSE {PORT}"), &format!("FLORET_DATA={DATA}")]);
    hold(&["compose.yaml"], &[&format!("FLORET_DATA: {DATA}"), "floret-1:/var/lib/floret"]);
    hold(
        &["kubernetes/deployment.yaml"],
        &[&format!("containerPort: {PORT}"), &format!("value: {DATA}"), "mountPath: /var/lib/floret"],
    );
    let health = format!("\"/usr/local/bin/floret\", \"health\", \"127.0.0.1:{PORT}\"");
    hold(&["Dockerfile", "compose.yaml"], &[&health]);
    hold(&["haproxy.cfg"], &["GET /readyz", &format!("floret-1:{PORT}"), &format!("floret-2:{PORT}")]);
    hold(&["kubernetes/deployment.yaml"], &["path: /readyz", "path: /healthz"]);
    hold(&["systemd/floret.service"], &[&format!("/usr/local/bin/floret serve --listen 127.0.0.1:{PORT}")]);
    hold(&["systemd/floret.service"], &["StateDirectory=floret", "FLORET_DATA=/var/lib/floret"]);
}

/// Compose can only mount files into a container whose root is read-only, not write them.
#[test]
fn no_file_of_compose_has_its_content_in_it() {
    let compose = text("compose.yaml");
    assert!(after(&compose, "content:").is_empty());
    for word in ["\"$$S3_ACCESS_KEY\" \"$$S3_SECRET_KEY\" > /tmp/s3.json", "-s3.config=/tmp/s3.json"] {
        assert!(compose.contains(word), "{word}");
    }
}

#[test]
fn compiled_code_can_be_run_under_systemd() {
    let unit = text("systemd/floret.service");
    assert_eq!(after(&unit, "MemoryDenyWriteExecute="), ["no"], "components are compiled while it runs");
    for setting in
        ["NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=", "DynamicUser=yes"]
    {
        assert!(unit.lines().any(|line| line == setting), "{setting}");
    }
}

/// Variables that a file sets for the hosts.
fn variables(text: &str) -> Vec<(String, String)> {
    let is_name = |name: &str| name.starts_with("FLORET_") && !name.contains(' ');
    let pair = |line: &str| {
        let (name, value) = line.trim().split_once(": ")?;
        is_name(name).then(|| (name.to_owned(), value.trim_matches('"').to_owned()))
    };
    text.lines().filter_map(pair).collect()
}

#[test]
fn the_program_knows_every_variable_and_key_that_is_set_for_it() {
    let cli = Cli::new();
    let compose = variables(&text("compose.yaml"));
    let secret = variables(&text("kubernetes/secret.example.yaml"));
    assert_eq!((compose.len(), secret.len()), (8, 3), "{compose:?} {secret:?}");
    for variables in [compose, secret] {
        let shown = floret_tests::cli::run(cli.command(&["--json", "config", "show"]).envs(variables), b"");
        shown.ok();
    }
    for file in ["kubernetes/config.toml", "config.example.toml"] {
        cli.run(&["--config", path(file).to_str().unwrap(), "config", "show"]).ok();
    }
}

#[test]
fn every_secret_of_compose_is_in_its_example_and_no_file_holds_one() {
    let compose = text("compose.yaml");
    let example = text("compose.example.env");
    let mut asked: Vec<&str> =
        compose.split("${").skip(1).filter_map(|part| part.split([':', '}']).next()).collect();
    asked.sort_unstable();
    asked.dedup();
    let mut given: Vec<&str> = example
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .inspect(|(name, value)| {
            assert!(value.is_empty() || *name == "FLORET_PUBLISHED", "{name} is filled in")
        })
        .map(|(name, _)| name)
        .collect();
    given.sort_unstable();
    assert_eq!(asked, given);
    assert!(std::fs::read_to_string(repository().join(".gitignore")).unwrap().contains("/deploy/.env"));
}

#[test]
fn kustomize_is_told_of_every_manifest() {
    let kustomization = text("kubernetes/kustomization.yaml");
    let mut listed = after(&kustomization, "- ");
    listed.retain(|name| name.ends_with(".yaml"));
    listed.sort_unstable();
    let entries = std::fs::read_dir(path("kubernetes")).unwrap();
    let mut there: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    there.retain(|name| name.ends_with(".yaml") && name != "kustomization.yaml" && !name.contains("example"));
    there.sort();
    assert_eq!(listed, there);
}

#[test]
fn the_image_is_tagged_as_the_program() {
    let version = env!("CARGO_PKG_VERSION");
    hold(&["Dockerfile"], &[&format!("image.version=\"{version}\"")]);
    hold(&["compose.yaml"], &[&format!("image: floret:{version}")]);
    hold(&["kubernetes/kustomization.yaml"], &[&format!("newTag: {version}")]);
}

/// Names of metrics in an expression, those of a histogram without what is put behind them.
fn metrics_in(expression: &str) -> Vec<&str> {
    let words = expression.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let ours = words.filter(|word| word.starts_with("floret_") || word.starts_with("process_"));
    let of_histograms = ["_bucket", "_sum", "_count"];
    ours.map(|word| of_histograms.iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word)).collect()
}

/// Every text under this name, wherever it is in a document.
fn every<'a>(document: &'a Value, name: &str) -> Vec<&'a str> {
    match document {
        Value::Array(items) => items.iter().flat_map(|item| every(item, name)).collect(),
        Value::Object(members) => {
            let own = members.get(name).and_then(Value::as_str);
            own.into_iter().chain(members.values().flat_map(|member| every(member, name))).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    let document = std::fs::read_to_string(repository().join("docs/metrics.md")).unwrap();
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
    let known: BTreeSet<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    let dashboard: Value = serde_json::from_str(&text("grafana/floret.json")).unwrap();
    let expressions = every(&dashboard, "expr");
    assert!(expressions.len() > 20, "{expressions:?}");
    let mut asked = BTreeSet::new();
    for expression in expressions.iter().chain(&every(&dashboard, "definition")) {
        for (open, close) in [('(', ')'), ('{', '}'), ('[', ']')] {
            let count = |letter| expression.chars().filter(|found| *found == letter).count();
            assert_eq!(count(open), count(close), "{expression}");
        }
        asked.extend(metrics_in(expression));
    }
    let unknown: Vec<_> = asked.difference(&known).collect();
    assert!(unknown.is_empty(), "docs/metrics.md has none of {unknown:?}");
    let unseen: Vec<_> = known.difference(&asked).collect();
    assert!(unseen.is_empty(), "the dashboard shows none of {unseen:?}");
    let ids: Vec<u64> =
        dashboard["panels"].as_array().unwrap().iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "every panel has an id of its own");
}

#[test]
fn prometheus_asks_the_hosts_of_compose() {
    let targets: Vec<String> =
        after(&text("prometheus.yml"), "- floret-").into_iter().map(str::to_owned).collect();
    assert_eq!(targets, [format!("1:{PORT}"), format!("2:{PORT}")]);
    hold(&["prometheus.yml"], &["metrics_path: /metrics"]);
}
