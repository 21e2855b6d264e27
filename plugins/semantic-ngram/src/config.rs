//! The configuration. What its parts mean stands in `schema.json`.

use floret_sdk::Error;
use serde::Deserialize;

/// JSON Schema of [`Config`].
pub const SCHEMA: &str = include_str!("schema.json");

/// How to build.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub dimension: u32,
    pub ngram_min: u8,
    pub ngram_max: u8,
    pub quantization: Quantization,
    pub words_max: u32,
    pub fold_queries: bool,
}

/// How the components of vectors are kept. The numbers stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quantization {
    None = 0,
    Float16 = 1,
    Int8 = 2,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            dimension: 256,
            ngram_min: 3,
            ngram_max: 5,
            quantization: Quantization::Int8,
            words_max: 100_000,
            fold_queries: true,
        }
    }
}

impl Config {
    /// Read and check it.
    ///
    /// # Errors
    /// `invalid-config`.
    pub fn read(text: &str) -> Result<Self, Error> {
        let config: Self = floret_sdk::config::parse(text)?;
        config.check()?;
        Ok(config)
    }

    /// What a schema cannot say.
    fn check(&self) -> Result<(), Error> {
        if self.ngram_min > self.ngram_max {
            return Err(Error::InvalidConfig(format!(
                "ngram_min ({}) must not be above ngram_max ({})",
                self.ngram_min, self.ngram_max
            )));
        }
        Ok(())
    }
}

impl Quantization {
    /// Its name in the configuration and the statistics.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Float16 => "float16",
            Self::Int8 => "int8",
        }
    }

    /// Bytes of one component.
    pub fn component_bytes(self) -> usize {
        match self {
            Self::None => 4,
            Self::Float16 => 2,
            Self::Int8 => 1,
        }
    }

    /// By its number in the file.
    pub fn numbered(number: u8) -> Option<Self> {
        [Self::None, Self::Float16, Self::Int8].into_iter().find(|quantization| *quantization as u8 == number)
    }
}
