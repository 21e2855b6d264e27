//! Components that are not to be used: what they made could not be made again.

use std::fmt;
use std::sync::Arc;

use floret_model::{Digest, ResourceType, Version, VersionRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plugins::plugin_key;
use crate::save::SaveRequest;
use crate::{Content, Error, Floret};

/// Digits of a digest that suffice to name a component.
const DIGITS_MIN: usize = 8;

/// Why a component is not to be used, or was not until somebody released it: the content of
/// `plugins:quarantine/DIGEST`, so that every host knows of it, and its history is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Quarantine {
    /// SHA-256 of the component.
    pub digest: Digest,
    /// The version of the component that built the artefact.
    pub plugin: VersionRef,
    /// What came out otherwise when it was built again.
    pub artefact: VersionRef,
    /// Digest of its stored content.
    pub expected: Digest,
    /// Digest of what the component makes of the same inputs now.
    pub got: Digest,
    /// Whether it was released.
    pub released: bool,
}

impl fmt::Display for Quarantine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (sha256:{}) is quarantined: {} is stored as {}, and built again from the same inputs it came out as {}",
            self.plugin,
            self.digest.short(),
            self.artefact,
            self.expected.short(),
            self.got.short(),
        )
    }
}

impl Floret {
    /// Components in quarantine, in the order of their digests; with those that were released, if `all`.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn quarantines(&self, all: bool) -> Result<Vec<Quarantine>, Error> {
        let mut found = Vec::new();
        for version in self.all_of(quarantine_type()?).await? {
            let quarantine = self.parse_quarantine(&version).await?;
            if all || !quarantine.released {
                found.push(quarantine);
            }
        }
        Ok(found)
    }

    /// Let components be used again: those of a name, or the one whose digest begins so (at least 8 digits).
    ///
    /// # Errors
    /// [`Error::NotFound`] if none of them is in quarantine; [`Error::InvalidRequest`] for digits that fit several.
    pub async fn plugin_release(&self, what: &str) -> Result<Vec<Quarantine>, Error> {
        let held = self.quarantines(false).await?;
        let mut chosen: Vec<Quarantine> =
            held.iter().filter(|one| one.plugin.key.resource_id.as_str() == what).cloned().collect();
        let digits = what.strip_prefix("sha256:").unwrap_or(what);
        if chosen.is_empty() && digits.len() >= DIGITS_MIN {
            let fits = |one: &&Quarantine| one.digest.to_string().starts_with(digits);
            chosen = held.iter().filter(fits).cloned().collect();
            if chosen.len() > 1 {
                return Err(Error::invalid(format!(
                    "{what} fits {} components in quarantine; give more digits",
                    chosen.len()
                )));
            }
        }
        if chosen.is_empty() {
            let hint = match held.is_empty() {
                true => "no component is".to_owned(),
                false => "`floret plugin list` shows which are".to_owned(),
            };
            return Err(Error::NotFound { what: format!("{what} in quarantine"), hint: Some(hint) });
        }
        for one in &mut chosen {
            one.released = true;
            self.put_quarantine(one).await?;
        }
        Ok(chosen)
    }

    /// Keep a component from being used.
    pub(crate) async fn put_quarantine(&self, quarantine: &Quarantine) -> Result<(), Error> {
        let key = plugin_key(quarantine_type()?, &quarantine.digest.to_string())?;
        let content = serde_json::to_value(quarantine).expect("a quarantine has string keys");
        self.save_any(SaveRequest::new(key, Content::Json(content))).await.map(drop)
    }

    /// # Errors
    /// [`Error::Quarantined`].
    pub(crate) async fn check_not_quarantined(&self, plugin: &Version) -> Result<(), Error> {
        let key = plugin_key(quarantine_type()?, &plugin.data_hash.to_string())?;
        let Some(version) = self.head(&key).await? else { return Ok(()) };
        let quarantine = self.parse_quarantine(&version).await?;
        match quarantine.released {
            true => Ok(()),
            false => Err(Error::Quarantined(Box::new(quarantine))),
        }
    }

    async fn parse_quarantine(&self, version: &Arc<Version>) -> Result<Quarantine, Error> {
        let content = self.content(version).await?;
        serde_json::from_slice(&content).map_err(|error| {
            let what = version.reference().to_string();
            floret_store::Error::Integrity { what, problem: format!("not a quarantine: {error}") }.into()
        })
    }
}

fn quarantine_type() -> Result<ResourceType, Error> {
    Ok(ResourceType::new("quarantine")?)
}
