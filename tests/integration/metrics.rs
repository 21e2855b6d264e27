//! What a server counts: the text that Prometheus reads, and the document that says what it means.

use std::collections::{BTreeMap, BTreeSet};

use floret_tests::cli::Cli;
use floret_tests::http::Server;
use floret_tests::repository;

/// Labels of a sample, by name.
type Labels = BTreeMap<String, String>;

/// One metric with all of its samples: the suffix of its name (of histograms), its labels and its value.
#[derive(Debug)]
struct Family {
    kind: String,
    samples: Vec<(String, Labels, f64)>,
}

fn is_name(text: &str) -> bool {
    let is_part = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    text.starts_with(|first: char| first.is_ascii_lowercase()) && text.chars().all(is_part)
}

/// `name="value",…`, in which a value may have `\\`, `\"` and `\n`.
fn labels(text: &str) -> Labels {
    let mut found = Labels::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("no label: {rest}"));
        assert!(is_name(name), "{name:?} is no name of a label");
        let mut value = String::new();
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next().unwrap_or_else(|| panic!("no end: {after}")) {
                (at, '"') => break at,
                (_, '\\') => match letters.next() {
                    Some((_, letter @ ('\\' | '"'))) => value.push(letter),
                    Some((_, 'n')) => value.push('\n'),
                    other => panic!("{other:?} is not escaped so"),
                },
                (_, letter) => value.push(letter),
            }
        };
        assert!(found.insert(name.to_owned(), value).is_none(), "{name} twice in {text}");
        rest = &after[end + 1..];
        if let Some(more) = rest.strip_prefix(',') {
            assert!(!more.is_empty(), "{text} ends with a comma");
            rest = more;
        } else {
            assert!(rest.is_empty(), "{rest:?} behind a label");
        }
    }
    found
}

/// The text format, version 0.0.4, read strictly: of each metric first its help, then its type, then all of its samples.
fn parsed(text: &str) -> BTreeMap<String, Family> {
    assert!(text.ends_with('\n'), "the last line has an end");
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let (mut helped, mut current) = (None, String::new());
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            assert!(is_name(name) && !help.is_empty(), "{line}");
            helped = Some(name);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(helped.take(), Some(name), "its help is right before it");
            let family = Family { kind: kind.to_owned(), samples: Vec::new() };
            assert!(families.insert(name.to_owned(), family).is_none(), "{name} twice");
            name.clone_into(&mut current);
        } else {
            assert!(!line.starts_with('#') && helped.is_none(), "{line}");
            let (place, value) = line.rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
            let (name, labelled) = match place.split_once('{') {
                Some((name, rest)) => (name, labels(rest.strip_suffix('}').expect("an end"))),
                None => (place, Labels::new()),
            };
            let suffix =
                name.strip_prefix(current.as_str()).unwrap_or_else(|| panic!("{line} among {current}"));
            let family = families.get_mut(&current).expect("a type before");
            let suffixes: &[&str] = match family.kind.as_str() {
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            assert!(suffixes.contains(&suffix), "{line} among {current}");
            let is_known = family.samples.iter().any(|(known, of, _)| known == suffix && *of == labelled);
            assert!(!is_known, "twice: {line}");
            family.samples.push((suffix.to_owned(), labelled, value));
        }
    }
    for (name, family) in &families {
        assert!(!family.samples.is_empty(), "{name} has no samples");
        assert_eq!(family.kind == "counter", name.ends_with("_total"), "{name}");
        if family.kind == "histogram" {
            check_histogram(name, family);
        }
    }
    families
}

/// Buckets grow, and the last of them has all that was counted.
fn check_histogram(name: &str, family: &Family) {
    let of = |wanted: &'static str| family.samples.iter().filter(move |(suffix, ..)| suffix == wanted);
    for (_, labelled, count) in of("_count") {
        let mut buckets: Vec<(f64, f64)> = of("_bucket")
            .filter_map(|(_, labels, count)| {
                let mut labels = labels.clone();
                let edge = labels.remove("le").expect("an edge");
                (labels == *labelled).then(|| (edge.replace("+Inf", "inf").parse().unwrap(), *count))
            })
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{name}: {buckets:?}");
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, *count)), "{name}");
        assert_eq!(of("_sum").filter(|(_, labels, _)| labels == labelled).count(), 1, "{name}");
    }
}

fn read(server: &Server) -> BTreeMap<String, Family> {
    let answer = server.get("/metrics").is(200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    parsed(std::str::from_utf8(&answer.body).unwrap())
}

/// The value of one sample; 0 if it is not there yet.
fn value(families: &BTreeMap<String, Family>, name: &str, suffix: &str, wanted: &[(&str, &str)]) -> f64 {
    let wanted: Labels =
        wanted.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let samples = families.get(name).into_iter().flat_map(|family| &family.samples);
    let mut found = samples.filter(|(of, labels, _)| of == suffix && *labels == wanted);
    found.next().map_or(0.0, |(.., value)| *value)
}

/// Rows of the document: type and labels, by name.
fn documented() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let text = std::fs::read_to_string(repository().join("docs/metrics.md")).unwrap();
    let quoted =
        |cell: &str| -> BTreeSet<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let name = cells[1].trim_matches('`').to_owned();
        (name, (cells[2].to_owned(), quoted(cells[3])))
    })
    .collect()
}

/// Have something of everything counted.
fn work(server: &Server) {
    server.put("/v1/default/literature/a", &b"union unions united liberty ".repeat(1_000)).is(201);
    server.put("/v1/default/literature/a", &b"union unions united liberty ".repeat(1_000)).is(200);
    let post = |target: &str, body: &str| {
        server.ask("POST", target, &[("content-type", "application/json")], body.as_bytes()).is(200);
    };
    post("/v1/corpora", r#"{"key": "corpus/a", "documents": ["literature/a"]}"#);
    post("/v1/builds", r#"{"key": "trie/a", "inputs": ["corpus/a"]}"#);
    server.get("/v1/default/literature/a").is(200);
    server.get("/v1/search?index=trie/a&text=union").is(200);
    server.get("/nowhere").is(404);
}

#[test]
fn the_document_has_every_metric_and_no_other() {
    let cli = Cli::new();
    let server = Server::start(&cli, &[]);
    work(&server);
    let shown: BTreeMap<_, _> = read(&server)
        .into_iter()
        .map(|(name, family)| {
            let names = family.samples.iter().flat_map(|(_, labels, _)| labels.keys());
            let labels: BTreeSet<String> = names.filter(|label| *label != "le").cloned().collect();
            (name, (family.kind, labels))
        })
        .collect();
    assert_eq!(shown, documented());
    server.stop();
}

#[test]
fn what_is_done_is_counted() {
    let cli = Cli::new();
    let server = Server::start(&cli, &[]);
    let before = read(&server);
    work(&server);
    let after = read(&server);
    let grown = |name: &str, suffix: &str, labels: &[(&str, &str)]| {
        value(&after, name, suffix, labels) - value(&before, name, suffix, labels)
    };
    let route = ("route", "/v1/{namespace}/{type}/{id}");
    let requests = |method: &str, status: &str| {
        grown("floret_http_requests_total", "", &[route, ("method", method), ("status", status)])
    };
    assert_eq!((requests("PUT", "201"), requests("PUT", "200"), requests("GET", "200")), (1.0, 1.0, 1.0));
    let timed = [route, ("method", "PUT")];
    assert_eq!(grown("floret_http_request_duration_seconds", "_count", &timed), 2.0);
    let unmatched = [("route", "none"), ("method", "GET"), ("status", "404")];
    assert_eq!(grown("floret_http_requests_total", "", &unmatched), 1.0);
    for (outcome, expected) in [("new", 1.0), ("unchanged", 1.0), ("failed", 0.0)] {
        assert_eq!(grown("floret_saves_total", "", &[("outcome", outcome)]), expected, "{outcome}");
    }
    assert_eq!(grown("floret_save_duration_seconds", "_count", &[]), 2.0);
    assert_eq!(grown("floret_cascades_total", "", &[("outcome", "published")]), 2.0);
    assert_eq!(grown("floret_cascade_steps_total", "", &[("outcome", "built")]), 2.0);
    for phase in ["load", "compile", "build", "store"] {
        assert_eq!(grown("floret_step_phase_seconds", "_count", &[("phase", phase)]), 2.0, "{phase}");
    }
    for contract in ["corpus", "index"] {
        let calls = grown("floret_plugin_calls_total", "", &[("contract", contract), ("outcome", "ok")]);
        assert!(calls >= 2.0, "{contract}: {calls}");
    }
    assert!(value(&after, "process_resident_memory_bytes", "", &[]) > 1e6);
    assert!(value(&after, "process_open_fds", "", &[]) >= 3.0);
    assert!(grown("process_cpu_seconds_total", "", &[]) >= 0.0);
    assert!(value(&after, "floret_connections", "", &[]) >= 1.0, "the one that asks");
    assert_eq!(value(&after, "floret_http_in_flight", "", &[]), 1.0, "the one that asks");
    assert_eq!(value(&after, "floret_build_info", "", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    server.stop();
}

#[test]
fn metrics_are_read_with_a_token_where_there_are_tokens() {
    let cli = Cli::new();
    let made = cli.run(&["--json", "token", "create", "prometheus", "--scope", "read"]).ok().json();
    let server = Server::start(&cli, &[]);
    server.get("/metrics").fails(401, "unauthenticated");
    let bearer = format!("Bearer {}", made["token"].as_str().unwrap());
    server.ask("GET", "/metrics", &[("authorization", &bearer)], b"").is(200);
    server.ask("GET", "/metrics?x=1", &[("authorization", &bearer)], b"").fails(400, "invalid_request");
    server.stop();
}

#[test]
fn a_text_that_is_no_exposition_is_refused() {
    let good = "# HELP a_total x\n# TYPE a_total counter\na_total{b=\"c\\\\d\\\"e\"} 1\n";
    let value_of_b = &parsed(good)["a_total"].samples[0].1["b"];
    assert_eq!(value_of_b, "c\\d\"e");
    for bad in [
        good.trim_end(),
        "a_total 1\n",
        "# TYPE a_total counter\na_total 1\n",
        "# HELP a_total x\n# TYPE a_total counter\n",
        "# HELP a_total x\n# TYPE a_total counter\nb_total 1\n",
        "# HELP a_total x\n# TYPE a_total counter\na_total one\n",
        "# HELP a_total x\n# TYPE a_total counter\na_total 1\na_total 2\n",
        "# HELP a x\n# TYPE a counter\na 1\n",
        "# HELP a x\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
    ] {
        assert!(std::panic::catch_unwind(|| parsed(bad)).is_err(), "{bad}");
    }
}
