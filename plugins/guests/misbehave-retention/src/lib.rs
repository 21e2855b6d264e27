//! A retention policy that does what a component must not, as its configuration asks.

use floret_sdk::retention::{Fate, RetentionPolicy, Subject, Verdict, VersionFacts};
use floret_sdk::{Description, Error};
use guest_deeds::{endless, trap};
use serde::Deserialize;

/// What it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Drop everything, the latest version too.
    #[default]
    DropAll,
    /// A verdict less than versions.
    TooFew,
    /// A verdict more than versions.
    TooMany,
    /// A reason beyond the longest.
    LongReason,
    /// Trap.
    Trap,
    /// Never answer.
    Loop,
    /// Give up.
    Failed,
}

/// The configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    mode: Mode,
    only: Option<String>,
}

/// The component.
pub struct Misbehave;

impl RetentionPolicy for Misbehave {
    type Config = Config;

    fn describe() -> Description {
        Description {
            name: "misbehave-retention".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Does what a retention policy must not, as its configuration asks".into(),
            output_media_type: String::new(),
            config_schema: include_str!("schema.json").into(),
        }
    }

    fn keep(of: &Subject, versions: &[VersionFacts], config: &Config) -> Result<Vec<Verdict>, Error> {
        let drop = || Verdict { fate: Fate::Drop, reason: "dropped as asked".into() };
        let verdicts = || versions.iter().map(|_| drop()).collect::<Vec<_>>();
        if config.only.as_ref().is_some_and(|only| *only != of.id) {
            return Ok(verdicts());
        }
        Ok(match config.mode {
            Mode::DropAll => verdicts(),
            Mode::TooFew => verdicts().split_off(1),
            Mode::TooMany => [verdicts(), vec![drop()]].concat(),
            Mode::LongReason => vec![Verdict { reason: "x".repeat(257), ..drop() }; versions.len()],
            Mode::Trap => trap(),
            Mode::Loop => endless(),
            Mode::Failed => return Err(Error::Failed("gave up, as asked".into())),
        })
    }
}

floret_sdk::export_retention!(Misbehave);
