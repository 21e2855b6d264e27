//! What can be said of this machine: configuration, folders, disk space.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::time::Duration;

use floret_store::Finding;

use crate::config::Settings;
use crate::out::{bytes, count, plural};

pub(super) const CONFIGURATION: &str = "configuration";
pub(super) const COMPILED: &str = "compiled code";
const DATA: &str = "data folder";
const SPACE: &str = "disk space";
const LEFTOVERS: &str = "leftovers";

/// Settings that are never shown whole.
const SECRETS: [&str; 4] =
    ["catalog.url", "blobs.access_key_id", "blobs.secret_access_key", "blobs.session_token"];
/// What a setting that was not shown whole has in it.
const HIDDEN: &str = "***";
/// The embedded catalog's journal may take 512 MB before it is made small, and a save its content twice.
const FREE_NOTABLE_BYTES: u64 = 2 << 30;
/// Enough for a clean stop, not for work.
const FREE_MIN_BYTES: u64 = 256 << 20;
/// An object that is written takes no longer, see `BlobOptions::lease_ms`.
const WRITING_MAX: Duration = Duration::from_secs(3600);
/// Files looked at for leftovers: a second or two on a slow disk.
const FILES_MAX: u64 = 200_000;

/// The file that was read, and whether secrets are where others see them.
pub(super) fn configuration(settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    let hidden = settings.all().into_iter().filter(|setting| {
        let value = setting.value.as_str().unwrap_or_default();
        SECRETS.contains(&setting.key.as_str()) && value.contains(HIDDEN)
    });
    let hidden: Vec<_> = hidden.collect();
    for setting in hidden.iter().filter(|setting| setting.source.starts_with("flag")) {
        let found = format!("{} holds a password, and whoever lists processes sees it", setting.source);
        let remedy = format!("set {} in the configuration file, or by a variable", setting.key);
        findings.push(Finding::warning(CONFIGURATION, found, remedy));
    }
    let Some(file) = &settings.file else {
        findings.push(Finding::ok(CONFIGURATION, "no file; defaults, variables and flags are in force"));
        return findings;
    };
    let file_name = file.display().to_string();
    let holds_secrets = hidden.iter().any(|setting| setting.source == file_name);
    findings.push(match mode(std::fs::metadata(file)) {
        Ok(mode) if holds_secrets && mode & 0o077 != 0 => Finding::warning(
            CONFIGURATION,
            format!("{file_name} holds secrets, and others may use it (mode {mode:o})"),
            format!("chmod 600 {file_name}"),
        ),
        Ok(_) if holds_secrets => Finding::ok(CONFIGURATION, format!("{file_name}, closed to others")),
        Ok(_) => Finding::ok(CONFIGURATION, format!("{file_name}, without secrets")),
        // It was read a moment ago.
        Err(error) => Finding::problem(CONFIGURATION, format!("{file_name}: {error}"), "look again"),
    });
    findings
}

/// The data folder and what else is on this machine's disks.
pub(super) fn folders(settings: &Settings, blobs: Option<&Path>) -> Vec<Finding> {
    let mut findings = data_folder(&settings.data);
    let places = [Some(settings.data.as_path()), settings.config.cache.directory.as_deref(), blobs];
    findings.extend(space(places.into_iter().flatten()));
    findings.extend(blobs.filter(|folder| folder.is_dir()).map(leftovers));
    findings
}

fn data_folder(data: &Path) -> Vec<Finding> {
    let shown = data.display();
    let metadata = match std::fs::metadata(data) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => {
            let remedy = "give another folder with --data";
            return vec![Finding::problem(DATA, format!("{shown} is no folder"), remedy)];
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let found = format!("{shown} is not there; the first save or other command makes it");
            return vec![Finding::warning(
                DATA,
                found,
                "if there should be data, see that --data names its folder",
            )];
        }
        Err(error) => {
            let remedy = "let this user look into it, or give another folder with --data";
            return vec![Finding::problem(DATA, format!("{shown}: {error}"), remedy)];
        }
    };
    let mut findings = Vec::new();
    match mode(Ok(metadata)) {
        Ok(mode) if mode & 0o022 != 0 => findings.push(Finding::problem(
            DATA,
            format!("others may write to {shown} (mode {mode:o})"),
            format!("chmod 700 {shown}, and `floret verify` if somebody may have done so"),
        )),
        Ok(mode) if mode & 0o055 != 0 => findings.push(Finding::warning(
            DATA,
            format!("others may read {shown} (mode {mode:o})"),
            format!("chmod 700 {shown}, unless they should"),
        )),
        _ => findings.push(Finding::ok(DATA, format!("{shown}, closed to others"))),
    }
    findings.push(match tempfile::tempfile_in(data).and_then(|file| file.metadata()) {
        Err(error) => Finding::problem(
            DATA,
            format!("no file can be made in {shown}: {error}"),
            "let this user write there: see its owner and mode, and that the disk is not mounted read-only or full",
        ),
        Ok(made) => owner(data, &made),
    });
    findings
}

/// Whether what we make belongs to whom the folder belongs to.
#[cfg(unix)]
fn owner(data: &Path, made: &Metadata) -> Finding {
    use std::os::unix::fs::MetadataExt;
    match std::fs::metadata(data) {
        Ok(folder) if folder.uid() != made.uid() => Finding::warning(
            DATA,
            format!("{} belongs to user {}, and this is user {}", data.display(), folder.uid(), made.uid()),
            "run it as the user to whom the folder belongs, who may else not read what is made now",
        ),
        _ => Finding::ok(DATA, "it can be written to"),
    }
}

#[cfg(not(unix))]
fn owner(_: &Path, _: &Metadata) -> Finding {
    Finding::ok(DATA, "it can be written to")
}

/// Free space, once for each disk.
#[cfg(unix)]
fn space<'a>(places: impl Iterator<Item = &'a Path>) -> Vec<Finding> {
    use std::os::unix::fs::MetadataExt;
    let mut findings = Vec::new();
    let mut disks = BTreeSet::new();
    for place in places {
        // A folder that is to be made will be on the disk of the one above it.
        let Some(there) = place.ancestors().find(|folder| folder.is_dir()) else { continue };
        match std::fs::metadata(there) {
            Ok(metadata) if !disks.insert(metadata.dev()) => continue,
            _ => {}
        }
        findings.push(match rustix::fs::statvfs(there) {
            Ok(disk) => free(
                there,
                disk.f_bavail.saturating_mul(disk.f_frsize),
                disk.f_blocks.saturating_mul(disk.f_frsize),
            ),
            Err(error) => {
                let found = format!("{}: {}", there.display(), io::Error::from(error));
                Finding::warning(SPACE, found, "see that the disk works")
            }
        });
    }
    findings
}

#[cfg(not(unix))]
fn space<'a>(_: impl Iterator<Item = &'a Path>) -> Vec<Finding> {
    Vec::new()
}

fn free(place: &Path, free_bytes: u64, disk_bytes: u64) -> Finding {
    let found = format!("{} of {} free at {}", bytes(free_bytes), bytes(disk_bytes), place.display());
    let remedy = "free some, or run `floret cleanup`; at the worst `cache` in the data folder can be removed";
    match free_bytes {
        free if free < FREE_MIN_BYTES => Finding::problem(SPACE, found, remedy),
        free if free < FREE_NOTABLE_BYTES => Finding::warning(SPACE, found, remedy),
        _ => Finding::ok(SPACE, found),
    }
}

/// Files that a writer began and, being killed, did not end. No other file has a `#` in its name.
fn leftovers(blobs: &Path) -> Finding {
    let mut seen = 0;
    let (mut files, mut size_bytes) = (0, 0);
    let mut folders = vec![blobs.to_owned()];
    while let Some(folder) = folders.pop() {
        // What cannot be looked into is told when it is read.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
                continue;
            }
            seen += 1;
            let is_unfinished = entry.file_name().to_string_lossy().contains('#');
            if let Some(metadata) = is_unfinished.then(|| entry.metadata().ok()).flatten()
                && metadata.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age > WRITING_MAX))
            {
                files += 1;
                size_bytes += metadata.len();
            }
        }
        if seen > FILES_MAX {
            break;
        }
    }
    let looked_at = plural(seen, "file");
    if files == 0 {
        return Finding::ok(LEFTOVERS, format!("none among {looked_at}"));
    }
    let found =
        format!("{} of {looked_at} were never finished, and take {}", count(files), bytes(size_bytes));
    let remedy = format!("find {} -name '*#*' -mmin +60 -delete", blobs.display());
    Finding::warning(LEFTOVERS, found, remedy)
}

/// Who may do what, as `chmod` says it; on other systems nobody else.
#[cfg(unix)]
fn mode(metadata: io::Result<Metadata>) -> io::Result<u32> {
    use std::os::unix::fs::MetadataExt;
    metadata.map(|metadata| metadata.mode() & 0o777)
}

#[cfg(not(unix))]
fn mode(metadata: io::Result<Metadata>) -> io::Result<u32> {
    metadata.map(|_| 0o700)
}

#[cfg(test)]
mod tests {
    use floret_store::Verdict;

    use super::*;

    #[test]
    fn space_is_told_before_it_is_gone() {
        let at = |free_bytes| free(Path::new("/data"), free_bytes, 1 << 40);
        for (free_bytes, verdict) in [
            (0, Verdict::Problem),
            (FREE_MIN_BYTES - 1, Verdict::Problem),
            (FREE_MIN_BYTES, Verdict::Warning),
            (FREE_NOTABLE_BYTES, Verdict::Ok),
        ] {
            assert_eq!(at(free_bytes).verdict, verdict, "{free_bytes}");
        }
        assert_eq!(at(1 << 40).found, "1.10 TB of 1.10 TB free at /data");
    }

    #[test]
    fn only_old_unfinished_files_are_leftovers() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let below = folder.path().join("cas/sha256/ab");
        std::fs::create_dir_all(&below).expect("a folder");
        for name in ["ab12.1", "ab12.2#1", "ab12.3#1"] {
            std::fs::write(below.join(name), "12345").expect("written");
        }
        assert_eq!(leftovers(folder.path()), Finding::ok(LEFTOVERS, "none among 3 files"));
        let old = std::fs::File::options().write(true).open(below.join("ab12.3#1")).expect("opened");
        let before = std::time::SystemTime::now() - 2 * WRITING_MAX;
        old.set_modified(before).expect("a time");
        let finding = leftovers(folder.path());
        assert_eq!(finding.verdict, Verdict::Warning);
        assert_eq!(finding.found, "1 of 3 files were never finished, and take 5 B");
    }
}
