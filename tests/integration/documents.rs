//! The documents say what is so: numbers are those of the program, and links lead somewhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use floret_runtime::Limits;

fn documents() -> Vec<(PathBuf, String)> {
    let root = floret_tests::repository();
    let mut open = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
                open.push(path);
            } else if name.ends_with(".md") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}

/// Where the links of a text lead, those outside the repository left out.
fn links(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut is_code = false;
    for line in text.lines() {
        is_code ^= line.trim_start().starts_with("```");
        if is_code {
            continue;
        }
        for part in line.split("](").skip(1) {
            let target = part.split(')').next().unwrap_or_default();
            if !target.contains("://") && !target.starts_with("mailto:") {
                found.push(target);
            }
        }
    }
    found
}

/// The anchor of a heading: lower case, spaces as hyphens, without the punctuation.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.collect::<String>().trim().to_lowercase().replace(' ', "-")
}

fn has_anchor(path: &Path, wanted: &str) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter(|line| line.starts_with('#'))
        .any(|line| anchor(line.trim_start_matches('#')) == wanted)
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for (path, text) in documents() {
        for link in links(&text) {
            let (file, part) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            if !target.exists() || (!part.is_empty() && !has_anchor(&target, part)) {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_index_names_every_document_beside_it() {
    let folder = floret_tests::repository().join("docs");
    let index = std::fs::read_to_string(folder.join("README.md")).unwrap();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(
            name == "README.md" || index.contains(&format!("({name}")),
            "docs/README.md does not name {name}"
        );
    }
}

/// `600s`, `10ms` of a duration, or a whole number, in nanoseconds or as it is.
fn shown(text: &str) -> u128 {
    let duration =
        |digits: &str, unit| digits.parse().ok().map(|count: u64| Duration::from_nanos(count * unit));
    let found = text.strip_suffix("ms").and_then(|digits| duration(digits, 1_000_000));
    let found = found.or_else(|| text.strip_suffix('s').and_then(|digits| duration(digits, 1_000_000_000)));
    found.map_or_else(|| text.parse().unwrap(), |duration| duration.as_nanos())
}

/// An amount as configurations write it.
fn written(text: &str) -> u128 {
    if let Some(more) = text.strip_prefix("processors") {
        let more = more.strip_prefix(" + ").map_or(0, |more| more.parse().unwrap());
        return std::thread::available_parallelism().unwrap().get() as u128 + more;
    }
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let unit = match text[end..].trim() {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        other => panic!("{other:?} is no unit"),
    };
    text[..end].parse::<u128>().unwrap() * unit
}

#[test]
fn the_table_of_limits_has_every_limit_with_its_default() {
    let text = format!("{:?}", Limits::default());
    let fields = text.trim_start_matches("Limits { ").trim_end_matches(" }").split(", ");
    let fields = fields.map(|field| field.split_once(": ").unwrap());
    let expected: BTreeMap<_, _> = fields.map(|(name, value)| (name.to_owned(), shown(value))).collect();
    let document = std::fs::read_to_string(floret_tests::repository().join("docs/limits.md")).unwrap();
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let found: BTreeMap<_, _> =
        rows.map(|(name, rest)| (name.to_owned(), written(rest.split(" | ").next().unwrap()))).collect();
    assert_eq!(found, expected);
}
