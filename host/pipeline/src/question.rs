use std::fmt;

use floret_model::{ResourceKey, ResourceType};
use floret_runtime::Query;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;

/// How people ask an index.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SearchMode {
    /// The word itself.
    Exact,
    /// Words that begin so.
    Prefix,
    /// Words within an edit distance.
    Fuzzy,
    /// Words nearest in meaning or shape.
    Semantic,
    /// Fuzzy and semantic, the answers merged by rank.
    Any,
}

impl fmt::Display for SearchMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "exact",
            Self::Prefix => "prefix",
            Self::Fuzzy => "fuzzy",
            Self::Semantic => "semantic",
            Self::Any => "any",
        })
    }
}

impl SearchMode {
    /// How an index is asked unless somebody says how: a composite one in any way, a semantic one semantically, others
    /// for the very word, or fuzzily where a distance is given.
    pub fn usual(key: &ResourceKey, distance: Option<u8>) -> Self {
        match key.resource_type.as_str() {
            _ if key.resource_type == ResourceType::search() => Self::Any,
            _ if distance.is_some() => Self::Fuzzy,
            "semantic" => Self::Semantic,
            _ => Self::Exact,
        }
    }

    /// The questions that it asks. Without a distance, words of up to five characters may differ by one, longer ones
    /// by two.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for a distance where none is looked at.
    pub fn queries(self, text: &str, distance: Option<u8>) -> Result<Vec<Query>, Error> {
        if distance.is_some() && !matches!(self, Self::Fuzzy | Self::Any) {
            return Err(Error::invalid(format!("a distance is for the modes fuzzy and any, not for {self}")));
        }
        let distance = distance.unwrap_or(if text.chars().count() <= 5 { 1 } else { 2 });
        let text = || text.to_owned();
        let fuzzy = || Query::Fuzzy { text: text(), distance };
        Ok(match self {
            Self::Exact => vec![Query::Exact(text())],
            Self::Prefix => vec![Query::Prefix(text())],
            Self::Fuzzy => vec![fuzzy()],
            Self::Semantic => vec![Query::Semantic(text())],
            Self::Any => vec![fuzzy(), Query::Semantic(text())],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m17_the_mode_follows_the_index() {
        let mode = |key: &str, distance| SearchMode::usual(&key.parse().expect("a key"), distance);
        assert_eq!(mode("search/x", None), SearchMode::Any);
        assert_eq!(mode("trie/x", None), SearchMode::Exact);
        assert_eq!(mode("trie/x", Some(1)), SearchMode::Fuzzy);
        assert_eq!(mode("semantic/x", None), SearchMode::Semantic);
    }

    #[test]
    fn longer_words_may_differ_more() {
        let fuzzy =
            |text: &str, distance| match SearchMode::Fuzzy.queries(text, distance).expect("a question")[..] {
                [Query::Fuzzy { distance, .. }] => distance,
                ref other => panic!("{other:?}"),
            };
        assert_eq!((fuzzy("union", None), fuzzy("liberty", None), fuzzy("union", Some(2))), (1, 2, 2));
        assert!(SearchMode::Exact.queries("union", Some(1)).is_err());
    }
}
