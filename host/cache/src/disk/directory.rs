//! The cache directory: whose it is, which format it has, who may read it.
//!
//! ```text
//! lock          held by the process that has the directory open
//! format        "floret-cache 1\n"; missing: wiped at the next open
//! small/        fjall: index rows, and values up to 64 KiB
//! large/        one file for each larger value, named by its sequence number in hexadecimal
//! access-log    hot keys, see access_log.rs
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, io};

/// The format that this program writes, and the newest that it reads. Any older one is wiped.
const FORMAT: u32 = 1;

const FORMAT_PREFIX: &str = "floret-cache ";

/// Everything that a cache puts into its directory, `.tmp` aside; nothing else is ever removed from it.
const OURS: [&str; 5] = ["lock", "format", "small", "large", "access-log"];

/// A cache directory that this process has locked, in the current format.
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
    /// The lock ends when this is closed.
    _lock: File,
}

impl Directory {
    /// Makes or locks the directory, checks its format, wipes it if that is older.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        make_private(path)?;
        let first_foreign =
            names(path)?.into_iter().find(|name| !OURS.contains(&name.trim_end_matches(".tmp")));
        if let Some(found) = first_foreign {
            let path = path.to_owned();
            return Err(Error::NotACache { path, found });
        }
        // Only now is it sure to be a cache's own directory, whose mode may be changed.
        set_mode(path, 0o700)?;
        let lock = lock(path)?;
        let directory = Self { path: path.to_owned(), _lock: lock };
        match directory.format()? {
            Some(FORMAT) => {}
            Some(found) if found > FORMAT => {
                return Err(Error::NewerFormat { path: directory.path, found, supported: FORMAT });
            }
            Some(_) | None => directory.wipe()?,
        }
        make_private(&directory.path.join("large"))?;
        make_private(&directory.path.join("small"))?;
        Ok(directory)
    }

    /// Makes the next open wipe the directory: what is in it can no longer be trusted.
    pub(crate) fn distrust(&self) {
        // If even this fails (read-only file system), nothing was written since, and nothing can be done.
        let _ = fs::remove_file(self.path.join("format"));
    }

    /// Removes everything but the lock and begins anew.
    fn wipe(&self) -> Result<(), Error> {
        for name in names(&self.path)? {
            let path = self.path.join(&name);
            match name.as_str() {
                "lock" => continue,
                "small" | "large" => fs::remove_dir_all(&path),
                _ => fs::remove_file(&path),
            }
            .map_err(io(&path))?;
        }
        let contents = format!("{FORMAT_PREFIX}{FORMAT}\n");
        write_private(&self.path.join("format"), &[contents.as_bytes()])
    }

    /// Removes the engine's directory, after the engine said that it cannot be read.
    pub(crate) fn wipe_engine(&self) -> Result<(), Error> {
        let small = self.path.join("small");
        fs::remove_dir_all(&small).map_err(io(&small))?;
        make_private(&small)
    }

    /// The format number; 0 if the file makes no sense, `None` if there is none.
    fn format(&self) -> Result<Option<u32>, Error> {
        let path = self.path.join("format");
        match fs::read(&path) {
            Ok(contents) => Ok(Some(parse_format(&contents).unwrap_or(0))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io(path)(error)),
        }
    }
}

fn parse_format(contents: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(contents).ok()?;
    text.strip_prefix(FORMAT_PREFIX)?.trim_end().parse().ok()
}

fn names(path: &Path) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(io(path))? {
        let entry = entry.map_err(io(path))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

fn lock(directory: &Path) -> Result<File, Error> {
    let path = directory.join("lock");
    let file = private_options().truncate(false).open(&path).map_err(io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Error::Locked { path: directory.to_owned() }),
        Err(fs::TryLockError::Error(error)) => Err(io(path)(error)),
    }
}

/// Writes a file of mode 0600 so that it is there whole or not at all: under another name first, then renamed. No
/// fsync: after a power cut it may be torn, which its checksum tells.
pub(crate) fn write_private(path: &Path, parts: &[&[u8]]) -> Result<(), Error> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let written = private_options()
        .truncate(true)
        .open(&temporary)
        .and_then(|mut file| parts.iter().try_for_each(|part| file.write_all(part)))
        .and_then(|()| fs::rename(&temporary, path));
    written.map_err(|error| {
        // What cannot be removed now is removed at the next open.
        let _ = fs::remove_file(&temporary);
        io(path)(error)
    })
}

#[cfg(unix)]
fn private_options() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

#[cfg(not(unix))]
fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    options
}

/// Makes the directory and the missing ones above it, all for this user only.
fn make_private(path: &Path) -> Result<(), Error> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path).map_err(io(path))
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    let current = fs::metadata(path).map_err(io(path))?.permissions().mode();
    if current & 0o7777 == mode {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(io(path))
}

#[cfg(not(unix))]
fn set_mode(_path: &Path, _mode: u32) -> Result<(), Error> {
    Ok(())
}
