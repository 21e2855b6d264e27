//! The configuration. What its parts mean stands in `schema.json`.

use floret_sdk::Error;
use rust_stemmers::{Algorithm, Stemmer};
use serde::Deserialize;

/// JSON Schema of [`Config`].
pub const SCHEMA: &str = include_str!("schema.json");

/// How to build.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub language: String,
    pub min_count: u64,
    pub stop_words: Vec<String>,
    pub stemming: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { language: "en".to_owned(), min_count: 1, stop_words: Vec::new(), stemming: false }
    }
}

impl Config {
    /// The language's stemmer, if stemming is asked for.
    ///
    /// # Errors
    /// `invalid-config` for a language without one.
    pub fn stemmer(&self) -> Result<Option<Stemmer>, Error> {
        if !self.stemming {
            return Ok(None);
        }
        let algorithm = match self.primary_language().as_str() {
            "ar" => Algorithm::Arabic,
            "da" => Algorithm::Danish,
            "nl" => Algorithm::Dutch,
            "en" => Algorithm::English,
            "fi" => Algorithm::Finnish,
            "fr" => Algorithm::French,
            "de" => Algorithm::German,
            "el" => Algorithm::Greek,
            "hu" => Algorithm::Hungarian,
            "it" => Algorithm::Italian,
            "nb" | "nn" | "no" => Algorithm::Norwegian,
            "pt" => Algorithm::Portuguese,
            "ro" => Algorithm::Romanian,
            "ru" => Algorithm::Russian,
            "es" => Algorithm::Spanish,
            "sv" => Algorithm::Swedish,
            "ta" => Algorithm::Tamil,
            "tr" => Algorithm::Turkish,
            other => {
                return Err(Error::InvalidConfig(format!(
                    "there is no stemmer for language {other:?}; use one of ar da de el en es fi fr hu it nb nl nn \
                     no pt ro ru sv ta tr, or set stemming to false"
                )));
            }
        };
        Ok(Some(Stemmer::create(algorithm)))
    }

    /// `en` of `en-GB`.
    pub fn primary_language(&self) -> String {
        self.language.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase()
    }
}
