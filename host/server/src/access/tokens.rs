//! Tokens in a file. A log of versions never forgets, and a token is to be revoked while a server has the store open: so
//! they are in a file of their own, of which the server keeps nothing but digests.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::SystemTime;

use floret_model::{Digest, Namespace, TimestampMs};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::now;

/// What tokens begin with, so that one that leaked is recognised.
const PREFIX: &str = "floret";
/// Bytes of a secret: nobody guesses 256 bits.
const SECRET_BYTES: usize = 32;
/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// What a token is good for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Reading and searching. Every other scope has it, too.
    Read,
    /// Saving, building, cascades.
    Write,
    /// Installing and binding components.
    Plugins,
    /// Everything.
    Admin,
}

impl Scope {
    const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Plugins, Self::Admin];

    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Plugins => "plugins",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|scope| scope.name() == text);
        found.ok_or_else(|| format!("{text:?} is no scope: expected read, write, plugins or admin"))
    }
}

/// What is kept of a token.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// By which it is revoked; a part of the token itself.
    pub id: String,
    /// Whose it is, or what for.
    pub name: String,
    /// Of its secret.
    pub digest: Digest,
    /// What it is good for.
    pub scopes: BTreeSet<Scope>,
    /// What it is good in; all namespaces if empty.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub namespaces: BTreeSet<Namespace>,
    /// When it was made.
    pub created_at: TimestampMs,
    /// From when on it is not good any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<TimestampMs>,
    /// Since when it is not good any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<TimestampMs>,
}

impl Token {
    pub(super) fn allows(&self, scope: Scope) -> bool {
        scope == Scope::Read || self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }
}

/// The token that a text is, whose digest is compared in constant time.
pub(super) fn find<'a>(tokens: &'a [Token], text: &str) -> Option<&'a Token> {
    let (id, secret) = text.strip_prefix(PREFIX)?.strip_prefix('_')?.split_once('_')?;
    let digest = Digest::of(secret.as_bytes());
    let token = tokens.iter().find(|token| token.id == id)?;
    bool::from(token.digest.as_bytes().ct_eq(digest.as_bytes())).then_some(token)
}

/// A token that is to be made.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Whose it is, or what for.
    pub name: String,
    /// What it is good for; at least one.
    pub scopes: BTreeSet<Scope>,
    /// What it is good in; all namespaces if empty.
    pub namespaces: BTreeSet<Namespace>,
    /// From when on it is not good any more.
    pub expires_at: Option<TimestampMs>,
}

impl NewToken {
    /// One that is good for this, in all namespaces, until it is revoked.
    pub fn of(name: impl Into<String>, scope: Scope) -> Self {
        let (scopes, namespaces) = ([scope].into(), BTreeSet::new());
        Self { name: name.into(), scopes, namespaces, expires_at: None }
    }
}

/// What differs whenever a file was replaced, or others may read it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stamp {
    modified: SystemTime,
    length: u64,
    mode: u32,
}

/// Where tokens are kept: a JSON list that only its owner can read.
#[derive(Clone, Debug)]
pub struct TokenFile {
    path: PathBuf,
}

impl fmt::Display for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

impl TokenFile {
    /// The tokens in this file, which need not be there yet.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The tokens, oldest first; none if there is no file.
    ///
    /// # Errors
    /// In words, if it cannot be read, is damaged, or can be read by others than its owner.
    pub fn read(&self) -> Result<Option<Vec<Token>>, String> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("the tokens in {self} cannot be read: {error}")),
        };
        self.check_private()?;
        let tokens = serde_json::from_slice(&bytes);
        tokens.map(Some).map_err(|error| format!("the tokens in {self} are damaged: {error}"))
    }

    /// Make a token. The text, which is kept nowhere, and what is kept.
    ///
    /// # Errors
    /// In words: a name or scopes that cannot be used, a file that cannot be read or written.
    pub fn create(&self, new: NewToken) -> Result<(String, Token), String> {
        let NewToken { name, scopes, namespaces, expires_at } = new;
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            return Err(format!(
                "{name:?} cannot be a token's name: expected 1 to {NAME_BYTES_MAX} bytes without control characters"
            ));
        }
        if scopes.is_empty() {
            return Err("a token needs a scope: read, write, plugins or admin".to_owned());
        }
        let secret = hex::encode(rand::random::<[u8; SECRET_BYTES]>());
        let id = format!("{:08x}", rand::random::<u32>());
        let digest = Digest::of(secret.as_bytes());
        let text = format!("{PREFIX}_{id}_{secret}");
        let created_at = now();
        let token = Token { id, name, digest, scopes, namespaces, created_at, expires_at, revoked_at: None };
        let added = token.clone();
        self.change(|tokens| {
            tokens.push(added);
            Ok(())
        })?;
        Ok((text, token))
    }

    /// Revoke a token; again changes nothing.
    ///
    /// # Errors
    /// In words: an id that there is not, a file that cannot be read or written.
    pub fn revoke(&self, id: &str) -> Result<Token, String> {
        let mut revoked = None;
        self.change(|tokens| {
            let token = tokens.iter_mut().find(|token| token.id == id);
            let token = token.ok_or_else(|| {
                format!("there is no token {id:?} in {self}; `floret token list` shows them")
            })?;
            token.revoked_at.get_or_insert_with(now);
            revoked = Some(token.clone());
            Ok(())
        })?;
        revoked.ok_or_else(|| format!("there is no token {id:?}"))
    }

    pub(super) fn stamp(&self) -> Option<Stamp> {
        let metadata = fs::metadata(&self.path).ok()?;
        Some(Stamp {
            modified: metadata.modified().ok()?,
            length: metadata.len(),
            mode: metadata.permissions().mode(),
        })
    }

    /// Nobody but its owner reads or changes the file; of one that root owns, as a mounted secret, its group may read it.
    fn check_private(&self) -> Result<(), String> {
        let metadata = fs::metadata(&self.path);
        let metadata = metadata.map_err(|error| format!("the tokens in {self} cannot be read: {error}"))?;
        let others = metadata.permissions().mode() & 0o077;
        match (others, metadata.uid()) {
            (0, _) | (0o040, 0) => Ok(()),
            _ => Err(format!("the tokens in {self} are not for others to read: run `chmod 600 {self}`")),
        }
    }

    /// Change the tokens under a lock, and replace the file as a whole.
    fn change(&self, change: impl FnOnce(&mut Vec<Token>) -> Result<(), String>) -> Result<(), String> {
        let failed = |error: io::Error| format!("the tokens in {self} cannot be written: {error}");
        let folder = self.path.parent().ok_or_else(|| format!("{self} is no file in a folder"))?;
        fs::create_dir_all(folder).map_err(failed)?;
        let lock = File::create(self.path.with_extension("lock")).map_err(failed)?;
        lock.lock().map_err(failed)?;
        let mut tokens = self.read()?.unwrap_or_default();
        change(&mut tokens)?;
        // Readable by its owner only, as temporary files are.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        serde_json::to_writer_pretty(&mut file, &tokens).map_err(io::Error::other).map_err(failed)?;
        file.write_all(b"\n").and_then(|()| file.as_file().sync_all()).map_err(failed)?;
        file.persist(&self.path).map_err(|error| failed(error.error))?;
        // Its name, too: what was revoked stays so when the power fails.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }
}
