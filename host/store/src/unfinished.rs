//! Files that a process left behind which died while it wrote an object into a local folder.
//!
//! The folder's object store writes `<object>#<number>` and renames it, and hides such names from listings: so they
//! are looked for here. On S3 the parts of an upload that was cut off are hidden likewise, and a rule of the bucket removes
//! them (see deploy/README.md).

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;
use std::time::UNIX_EPOCH;

use floret_model::TimestampMs;

use crate::Error;
use crate::blob::BLOB_ROOT;

/// Number and bytes of files.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Unfinished {
    pub files: u64,
    pub bytes: u64,
}

/// Remove such files below `folder` that nobody wrote to since `before`, or only count them. Blocks.
///
/// # Errors
/// [`Error::Io`] for a folder or file that cannot be looked at or removed.
pub(crate) fn remove(folder: &Path, before: TimestampMs, dry_run: bool) -> Result<Unfinished, Error> {
    let mut found = Unfinished::default();
    for directory in entries(&folder.join(BLOB_ROOT))? {
        if !is_directory(&directory)? {
            continue;
        }
        for entry in entries(&directory.path())? {
            if !is_staged(&entry.file_name()) {
                continue;
            }
            let path = entry.path();
            let failed = |action, source| Error::Io { action, path: path.clone(), source };
            let metadata = match entry.metadata() {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                metadata => metadata.map_err(|source| failed("look at", source))?,
            };
            let written = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let written = written.and_then(|since| i64::try_from(since.as_millis()).ok());
            if written.is_none_or(|written| written > before.0) {
                continue;
            }
            if !dry_run {
                match std::fs::remove_file(&path) {
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    removed => removed.map_err(|source| failed("remove", source))?,
                }
            }
            found.files += 1;
            found.bytes += metadata.len();
        }
    }
    Ok(found)
}

fn entries(folder: &Path) -> Result<Vec<std::fs::DirEntry>, Error> {
    let listed = std::fs::read_dir(folder).and_then(Iterator::collect);
    match listed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.map_err(|source| Error::Io { action: "list", path: folder.to_owned(), source }),
    }
}

fn is_directory(entry: &std::fs::DirEntry) -> Result<bool, Error> {
    let kind =
        entry.file_type().map_err(|source| Error::Io { action: "look at", path: entry.path(), source })?;
    Ok(kind.is_dir())
}

fn is_staged(name: &OsStr) -> bool {
    let number = name.to_str().and_then(|name| name.rsplit_once('#')).map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_old_files_under_way_are_removed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(
            remove(folder.path(), TimestampMs(0), false).expect("no such folder"),
            Unfinished::default()
        );
        let blobs = folder.path().join(BLOB_ROOT).join("aa");
        std::fs::create_dir_all(&blobs).expect("a folder");
        let names = ["aa11.1", "aa11.2#1", "aa11.3#20", "aa11.4#", "aa11.5#x"];
        for name in names {
            std::fs::write(blobs.join(name), "abc").expect("a file");
        }
        let there = || names.map(|name| blobs.join(name).exists());
        let two = Unfinished { files: 2, bytes: 6 };
        assert_eq!(
            remove(folder.path(), TimestampMs(0), false).expect("all are young"),
            Unfinished::default()
        );
        assert_eq!(remove(folder.path(), TimestampMs(i64::MAX), true).expect("a dry run"), two);
        assert_eq!(there(), [true; 5]);
        assert_eq!(remove(folder.path(), TimestampMs(i64::MAX), false).expect("they can go"), two);
        assert_eq!(there(), [true, false, false, true, true]);
    }
}
