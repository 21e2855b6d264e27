//! Keeps the newest versions, and of the older ones a history that gets thinner with age: one a day, a week, a month, a
//! year. A version stays if any of these says so, unless it is older than the greatest age.
//!
//! A spaced-out history is chosen by the gaps between versions, never by their ages alone: within the days (weeks …)
//! that are asked for the oldest version stays, then the next one that is at least a day younger, and so on. Gaps
//! are the same whenever cleanup runs, so that what one cleanup kept the next one keeps too, until it is too old.

use std::collections::BTreeMap;

use floret_sdk::retention::{Fate, RetentionPolicy, Subject, Verdict, VersionFacts};
use floret_sdk::{Description, Error};
use serde::{Deserialize, Deserializer};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What is kept; what each means stands in `schema.json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    newest: u64,
    max_age_days: Option<f64>,
    daily: u64,
    weekly: u64,
    monthly: u64,
    yearly: u64,
    types: BTreeMap<String, Overrides>,
}

/// What differs for a type.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Overrides {
    newest: Option<u64>,
    /// `Some(None)` where it is null: without end for this type.
    #[serde(deserialize_with = "present")]
    max_age_days: Option<Option<f64>>,
    daily: Option<u64>,
    weekly: Option<u64>,
    monthly: Option<u64>,
    yearly: Option<u64>,
}

fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<f64>>, D::Error> {
    Option::deserialize(from).map(Some)
}

impl Default for Config {
    fn default() -> Self {
        let newest = |newest| Overrides { newest: Some(newest), ..Overrides::default() };
        let types = [("corpus", newest(3)), ("literature", newest(3)), ("search", newest(10))];
        Self {
            newest: 5,
            max_age_days: None,
            daily: 0,
            weekly: 0,
            monthly: 0,
            yearly: 0,
            types: types.map(|(name, overrides)| (name.to_owned(), overrides)).into(),
        }
    }
}

/// The rules for one type.
struct Rules {
    newest: u64,
    max_age_ms: Option<u64>,
    /// How many, how long each in milliseconds, and what it is called.
    spaced: [(u64, u64, &'static str); 4],
}

impl Config {
    fn rules(&self, resource_type: &str) -> Rules {
        let none = Overrides::default();
        let own = self.types.get(resource_type).unwrap_or(&none);
        // Casts saturate; beyond 10^13 days nothing is too old.
        let milliseconds = |days: f64| (days * DAY_MS as f64) as u64;
        Rules {
            newest: own.newest.unwrap_or(self.newest),
            max_age_ms: own.max_age_days.unwrap_or(self.max_age_days).map(milliseconds),
            spaced: [
                (own.daily.unwrap_or(self.daily), DAY_MS, "day"),
                (own.weekly.unwrap_or(self.weekly), 7 * DAY_MS, "week"),
                (own.monthly.unwrap_or(self.monthly), 30 * DAY_MS, "month"),
                (own.yearly.unwrap_or(self.yearly), 365 * DAY_MS, "year"),
            ],
        }
    }
}

/// The component.
pub struct Spaced;

impl RetentionPolicy for Spaced {
    type Config = Config;

    fn describe() -> Description {
        Description {
            name: "retention-default".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Keeps the newest versions, and a history that gets thinner with age".into(),
            output_media_type: String::new(),
            config_schema: include_str!("schema.json").into(),
        }
    }

    fn keep(of: &Subject, versions: &[VersionFacts], config: &Config) -> Result<Vec<Verdict>, Error> {
        Ok(judge(&config.rules(&of.resource_type), versions))
    }
}

fn judge(rules: &Rules, versions: &[VersionFacts]) -> Vec<Verdict> {
    let spaced = spaced(rules, versions);
    let judged = versions.iter().zip(spaced).zip(0u64..);
    judged
        .map(|((version, spaced), place)| {
            if version.latest {
                keep("the latest")
            } else if !version.tags.is_empty() {
                keep("tagged")
            } else if rules.max_age_ms.is_some_and(|max| version.age_ms > max) {
                drop(format!("over {} days old", version.age_ms / DAY_MS))
            } else if place < rules.newest {
                keep(format!("among the {} newest", rules.newest))
            } else if let Some(period) = spaced {
                keep(format!("one a {period}"))
            } else {
                drop(format!("not among the {} newest", rules.newest))
            }
        })
        .collect()
}

/// For each version the period that it stands for, if it is one of the spaced-out history.
fn spaced(rules: &Rules, versions: &[VersionFacts]) -> Vec<Option<&'static str>> {
    let mut stands_for = vec![None; versions.len()];
    for (count, period_ms, name) in rules.spaced {
        let window_ms = count.saturating_mul(period_ms);
        let mut last_age_ms = None;
        for (version, stands_for) in versions.iter().zip(&mut stands_for).rev() {
            let apart = last_age_ms.is_none_or(|last| version.age_ms.saturating_add(period_ms) <= last);
            if count > 0 && version.age_ms <= window_ms && apart {
                last_age_ms = Some(version.age_ms);
                stands_for.get_or_insert(name);
            }
        }
    }
    stands_for
}

fn keep(reason: impl Into<String>) -> Verdict {
    Verdict { fate: Fate::Keep, reason: reason.into() }
}

fn drop(reason: impl Into<String>) -> Verdict {
    Verdict { fate: Fate::Drop, reason: reason.into() }
}

floret_sdk::export_retention!(Spaced);

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(resource_type: &str) -> Subject {
        Subject {
            namespace: "default".into(),
            resource_type: resource_type.into(),
            id: "x".into(),
            access_count: 0,
            last_access_age_ms: None,
        }
    }

    /// Versions of these ages in hours, newest first.
    fn versions(ages: &[u64]) -> Vec<VersionFacts> {
        let facts = |(place, hours): (usize, &u64)| VersionFacts {
            seq: (ages.len() - place) as u64,
            semantic_version: "1.0.0".into(),
            age_ms: hours * 60 * 60 * 1000,
            size_bytes: 1,
            stored_bytes: 1,
            tags: Vec::new(),
            latest: place == 0,
            referenced: false,
        };
        ages.iter().enumerate().map(facts).collect()
    }

    /// Ages in hours of what is kept.
    fn kept(config: &str, resource_type: &str, ages: &[u64]) -> Vec<u64> {
        let config = floret_sdk::config::parse(config).expect("a configuration");
        let verdicts = Spaced::keep(&subject(resource_type), &versions(ages), &config).expect("it judges");
        assert!(verdicts.iter().all(|verdict| (1..=256).contains(&verdict.reason.len())));
        let judged = ages.iter().zip(verdicts);
        judged.filter(|(_, verdict)| verdict.fate == Fate::Keep).map(|(age, _)| *age).collect()
    }

    #[test]
    fn the_defaults_of_the_schema_are_those_of_the_type() {
        floret_sdk::config::assert_defaults_agree::<Config>(&Spaced::describe().config_schema);
    }

    #[test]
    fn the_newest_stay_by_type() {
        let ages: Vec<u64> = (0..12).collect();
        assert_eq!(kept("{}", "trie", &ages), [0, 1, 2, 3, 4]);
        assert_eq!(kept("{}", "corpus", &ages), [0, 1, 2]);
        assert_eq!(kept("{}", "search", &ages).len(), 10);
        assert_eq!(kept(r#"{"types":{"trie":{"newest":1}}}"#, "trie", &ages), [0]);
        assert_eq!(kept("{}", "trie", &[]), [0; 0]);
    }

    #[test]
    fn what_is_too_old_goes_whatever_else_is_said_but_the_latest() {
        let config = r#"{"newest":9,"daily":9,"max_age_days":1,"types":{"trie":{"max_age_days":null}}}"#;
        assert_eq!(kept(config, "dictionary", &[1, 24, 25, 60]), [1, 24]);
        assert_eq!(kept(config, "dictionary", &[100, 200]), [100]);
        assert_eq!(kept(config, "trie", &[1, 24, 25, 60]), [1, 24, 25, 60]);
    }

    #[test]
    fn tags_keep() {
        let mut tagged = versions(&[0, 1, 2]);
        tagged[2].tags.push("release".into());
        let config = Config { newest: 1, ..Config::default() };
        let verdicts = Spaced::keep(&subject("trie"), &tagged, &config).expect("it judges");
        let fates: Vec<Fate> = verdicts.iter().map(|verdict| verdict.fate).collect();
        assert_eq!(fates, [Fate::Keep, Fate::Drop, Fate::Keep]);
    }

    #[test]
    fn one_a_day_stays_within_the_days() {
        let ages: Vec<u64> = (0..30).map(|place| place * 6).collect();
        let config = r#"{"newest":1,"daily":3}"#;
        assert_eq!(kept(config, "trie", &ages), [0, 24, 48, 72]);
        assert_eq!(kept(r#"{"newest":2,"daily":2,"weekly":1}"#, "trie", &ages), [0, 6, 24, 48, 168]);
    }

    #[test]
    fn what_one_cleanup_keeps_of_the_history_the_next_one_keeps_too() {
        // A version every 5 hours and a cleanup after each: spaced by a day, the history reaches 9 days back throughout.
        let config = r#"{"newest":1,"daily":10}"#;
        let mut ages: Vec<u64> = Vec::new();
        for _ in 0..200 {
            ages = ages.into_iter().map(|age| age + 5).collect();
            ages.insert(0, 0);
            ages = kept(config, "trie", &ages);
        }
        assert!(ages.last().is_some_and(|oldest| *oldest >= 9 * 24), "{ages:?}");
        assert!(ages.len() <= 12, "{ages:?}");
    }
}
