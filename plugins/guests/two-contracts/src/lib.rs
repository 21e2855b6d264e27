//! A guest with two contracts, which a host refuses to load: it could not tell what to use it for.

use floret_sdk::corpus::{CorpusBuilder, CorpusStatistics, TextStatistics};
use floret_sdk::policy::{Choice, Codec, CompressionPolicy, Profile};
use floret_sdk::{Description, Error, Input, Output};

/// The component, of both kinds.
pub struct Both;

/// No configuration.
#[derive(serde::Deserialize)]
pub struct Nothing {}

fn describe() -> Description {
    Description {
        name: "two-contracts".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        summary: "Exports two contracts".into(),
        output_media_type: String::new(),
        config_schema: r#"{"type":"object","additionalProperties":false}"#.into(),
    }
}

impl CorpusBuilder for Both {
    fn describe() -> Description {
        describe()
    }

    fn build(_: &[Input], _: &str, _: &mut Output) -> Result<CorpusStatistics, Error> {
        Ok(CorpusStatistics { vocabulary_size: 0, total_tokens: 0 })
    }

    fn analyze(_: &Input, _: &str) -> Result<TextStatistics, Error> {
        Err(Error::Unsupported("two-contracts judges nothing".into()))
    }
}

impl CompressionPolicy for Both {
    type Config = Nothing;

    fn describe() -> Description {
        describe()
    }

    fn choose(_: &Profile, _: &Nothing) -> Result<Choice, Error> {
        Ok(Choice { codec: Codec::None, level: 0, delta: false, reason: "two-contracts".into() })
    }
}

floret_sdk::export_corpus!(Both);
floret_sdk::export_policy!(Both);
