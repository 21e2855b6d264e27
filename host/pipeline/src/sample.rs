//! Choosing some of many, the same ones whenever the seed is the same.

use std::fmt;
use std::str::FromStr;

use floret_model::{DigestHasher, VersionRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;

/// How many of the things there are.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sample {
    /// All of them.
    #[default]
    All,
    /// Each with this chance, above 0 and at most 1.
    Share(f64),
    /// So many, or all if there are fewer; at least 1.
    Count(usize),
}

/// A sample and what chance is drawn from.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Sampling {
    /// How many.
    pub sample: Sample,
    /// With the same seed the same versions are chosen, as far as they are there.
    pub seed: u64,
}

impl FromStr for Sample {
    type Err = Error;

    /// `5%`, `0.5%`, or a count such as `100`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = || {
            Error::InvalidRequest(format!(
                "{text:?} is no sample: expected a share above 0 % and at most 100 %, such as 5%, or a count such as 100"
            ))
        };
        if let Some(percent) = text.strip_suffix('%') {
            let percent: f64 = percent.trim().parse().map_err(|_| refused())?;
            let fits = percent > 0.0 && percent <= 100.0;
            return if fits { Ok(Self::Share(percent / 100.0)) } else { Err(refused()) };
        }
        match text.parse() {
            Ok(count @ 1..) => Ok(Self::Count(count)),
            _ => Err(refused()),
        }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Share(share) => write!(f, "{}%", share * 100.0),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

impl Sampling {
    /// Where a version stands in the order of chance: evenly spread over all numbers.
    pub(crate) fn rank(&self, version: &VersionRef) -> u64 {
        let mut hasher = DigestHasher::default();
        hasher.field(&self.seed.to_le_bytes());
        hasher.field(&version.key.encode());
        hasher.field(&version.seq.0.to_le_bytes());
        let digest = hasher.finish();
        let (first, _) = digest.as_bytes().split_first_chunk().expect("a digest has 32 bytes");
        u64::from_le_bytes(*first)
    }
}

/// Takes what is offered as a sampling says. Holds as many as are chosen.
pub(crate) struct Chosen {
    sampling: Sampling,
    ranked: std::collections::BTreeSet<(u64, VersionRef)>,
    offered: u64,
}

impl Chosen {
    pub fn new(sampling: Sampling) -> Self {
        Self { sampling, ranked: Default::default(), offered: 0 }
    }

    pub fn offer(&mut self, version: VersionRef) {
        self.offered += 1;
        let rank = self.sampling.rank(&version);
        match self.sampling.sample {
            Sample::Share(share) if rank as f64 >= share * 2f64.powi(64) => return,
            _ => self.ranked.insert((rank, version)),
        };
        if let Sample::Count(count) = self.sampling.sample
            && self.ranked.len() > count
        {
            self.ranked.pop_last();
        }
    }

    /// How many were offered.
    pub fn offered(&self) -> u64 {
        self.offered
    }

    /// Those chosen, in the order of their names.
    pub fn sorted(self) -> Vec<VersionRef> {
        let mut chosen: Vec<_> = self.ranked.into_iter().map(|(_, version)| version).collect();
        chosen.sort_unstable();
        chosen
    }
}

#[cfg(test)]
mod tests {
    use floret_model::Seq;

    use super::*;

    fn versions() -> Vec<VersionRef> {
        let key = |id: u64| format!("corpus/{id}").parse().expect("a key");
        (0..1000).map(|id| VersionRef { key: key(id), seq: Seq(1) }).collect()
    }

    fn chosen(sample: Sample, seed: u64, from: impl IntoIterator<Item = VersionRef>) -> Vec<VersionRef> {
        let mut chosen = Chosen::new(Sampling { sample, seed });
        from.into_iter().for_each(|version| chosen.offer(version));
        chosen.sorted()
    }

    #[test]
    fn samples_are_shares_or_counts() {
        let parse = |text: &str| text.parse::<Sample>();
        assert_eq!(parse("5%").expect("a share"), Sample::Share(0.05));
        assert_eq!(parse("100%").expect("a share"), Sample::Share(1.0));
        assert_eq!(parse("7").expect("a count"), Sample::Count(7));
        for wrong in ["", "0", "0%", "-1%", "101%", "NaN%", "five", "1.5"] {
            let error = parse(wrong).expect_err("no sample").to_string();
            assert!(error.contains("is no sample: expected a share"), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_seed_and_nothing_else_decides() {
        let all = versions();
        assert_eq!(chosen(Sample::All, 1, all.clone()).len(), 1000);
        assert_eq!(chosen(Sample::Share(1.0), 1, all.clone()).len(), 1000);
        let share = chosen(Sample::Share(0.1), 1, all.clone());
        assert!((60..140).contains(&share.len()), "{}", share.len());
        let count = chosen(Sample::Count(50), 1, all.clone());
        assert_eq!(count.len(), 50);
        let backwards = || all.iter().rev().cloned();
        assert_eq!(chosen(Sample::Share(0.1), 1, backwards()), share);
        assert_eq!(chosen(Sample::Count(50), 1, backwards()), count);
        assert_ne!(chosen(Sample::Count(50), 2, all.clone()), count, "another seed chooses others");
        assert_eq!(chosen(Sample::Count(5000), 1, all).len(), 1000);
    }
}
