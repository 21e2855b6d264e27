//! House rules that a compiler does not check.

use std::path::{Path, PathBuf};

/// A file above this is split by idea.
const LINES_MAX: usize = 600;

fn sources(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["target", ".git", "state-of-the-union"].contains(&name.as_str()) {
                sources(&path, endings, found);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
}

fn texts(endings: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    sources(&floret_tests::repository(), endings, &mut found);
    found.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn files_are_short_enough_to_read() {
    for (path, text) in texts(&[".rs"]) {
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines, at most {LINES_MAX} are", path.display());
    }
}

#[test]
fn nothing_is_left_for_later_or_ignored() {
    let marks = ["TO".to_owned() + "DO", "FIX".to_owned() + "ME", "#[ig".to_owned() + "nore"];
    for (path, text) in texts(&[".rs", ".wit", ".toml"]) {
        for mark in &marks {
            assert!(!text.contains(mark.as_str()), "{} holds {mark}", path.display());
        }
    }
}

#[test]
fn no_machine_is_named() {
    let marks = ["/wo".to_owned() + "rk/", "/ro".to_owned() + "ot/", "/ho".to_owned() + "me/"];
    for (path, text) in texts(&[".rs", ".wit", ".toml", ".md", ".lock", ".json"]) {
        for mark in &marks {
            assert!(!text.contains(mark.as_str()), "{} names a machine's path {mark}", path.display());
        }
    }
}

#[test]
fn the_wall_clock_is_read_at_the_edges_only() {
    for (path, text) in texts(&[".rs"]) {
        let shown = path.display().to_string();
        let below =
            ["host/model/src", "host/pipeline/src", "host/store/src"].iter().any(|part| shown.contains(part));
        if below && !shown.ends_with("clock.rs") {
            assert!(!text.contains("SystemTime::now"), "{shown} reads the wall clock; a clock is passed in");
        }
    }
}
