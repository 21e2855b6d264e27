//! Metadata of what is saved, from options or from a line of a batch.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use floret_model::{DictionaryMetadata, LiteratureMetadata, Metadata, ResourceKey, TypedMetadata};
use serde::Deserialize;
use serde_json::Value;

use crate::given::{pair, usage};

/// What is known of a content beside its bytes.
#[derive(Clone, Debug, Default, clap::Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Described {
    /// Title of a text.
    #[arg(long)]
    pub title: Option<String>,
    /// An author of a text.
    #[arg(long = "author", value_name = "NAME")]
    pub authors: Vec<String>,
    /// Year in which a text was published.
    #[arg(long, allow_negative_numbers = true)]
    pub year: Option<i32>,
    /// A genre of a text.
    #[arg(long = "genre")]
    pub genres: Vec<String>,
    /// Where a text comes from.
    #[arg(long)]
    pub source: Option<String>,
    /// The word that a dictionary entry explains.
    #[arg(long)]
    pub word: Option<String>,
    /// Who explains it.
    #[arg(long)]
    pub provider: Option<String>,
    /// Language of the word (BCP 47) [default: en].
    #[arg(long)]
    pub language: Option<String>,
    /// A field of your own; one that is true is a flag that policies see, e.g. real_time=true.
    #[arg(long = "meta", value_name = "NAME=JSON", value_parser = pair)]
    #[serde(skip)]
    pub meta: Vec<(String, Value)>,
}

impl Described {
    /// The metadata of a resource, whose type says which fields it may have.
    pub(crate) fn metadata(&self, key: &ResourceKey) -> Result<Metadata> {
        let text = self.title.is_some()
            || self.year.is_some()
            || self.source.is_some()
            || !self.authors.is_empty()
            || !self.genres.is_empty();
        let entry = self.word.is_some() || self.provider.is_some() || self.language.is_some();
        let typed = match key.resource_type.as_str() {
            "literature" if entry => {
                return Err(misplaced(key, "word, provider and language describe a dictionary entry"));
            }
            "literature" if text => TypedMetadata::Literature(LiteratureMetadata {
                title: self.title.clone().unwrap_or_else(|| key.resource_id.to_string()),
                authors: self.authors.clone(),
                publication_year: self.year,
                genres: self.genres.iter().cloned().collect::<BTreeSet<_>>(),
                source: self.source.clone(),
                text_hash: None,
                text_size_bytes: 0,
                statistics: None,
            }),
            "dictionary" if text => {
                return Err(misplaced(key, "title, author, year, genre and source describe a text"));
            }
            "dictionary" if entry => TypedMetadata::Dictionary(DictionaryMetadata {
                word: self.word.clone().unwrap_or_else(|| key.resource_id.to_string()),
                provider: self
                    .provider
                    .clone()
                    .ok_or_else(|| misplaced(key, "a dictionary entry needs a provider"))?,
                language: self.language.clone().unwrap_or_else(|| "en".to_owned()),
            }),
            _ if text || entry => {
                return Err(misplaced(key, "its type has no fields of its own; use --meta NAME=JSON"));
            }
            _ => TypedMetadata::None,
        };
        let custom: BTreeMap<String, Value> = self.meta.iter().cloned().collect();
        Ok(Metadata { typed, custom })
    }
}

fn misplaced(key: &ResourceKey, message: &str) -> anyhow::Error {
    usage(format!("{key}: {message}"))
}
