//! A corpus builder that does what a component must not, as its configuration asks: `{"mode": "loop"}`.
//!
//! `merge` has no configuration: it takes the mode from the first corpus, if that begins with the line
//! `!mode=loop<tab>1`.

use floret_sdk::corpus::{self, CorpusBuilder, CorpusReader, CorpusStatistics, TextStatistics};
use floret_sdk::{Description, Error, Input, Output, config};
use guest_deeds::{Config, Mode, commit};

/// The component.
pub struct Misbehave;

impl CorpusBuilder for Misbehave {
    fn describe() -> Description {
        Description {
            name: "misbehave".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Does what a component must not, as its configuration asks".into(),
            output_media_type: corpus::MEDIA_TYPE.into(),
            config_schema: guest_deeds::SCHEMA.into(),
        }
    }

    fn build(_: &[Input], config: &str, out: &mut Output) -> Result<CorpusStatistics, Error> {
        misbehave(config::parse::<Config>(config)?.mode, out)
    }

    fn merge(corpora: &[Input], out: &mut Output) -> Result<CorpusStatistics, Error> {
        let mut mode = Mode::Ok;
        if let Some(first) = corpora.first() {
            let mut reader = CorpusReader::new(first, 0);
            if reader.advance()? {
                mode = reader.word().strip_prefix("!mode=").and_then(Mode::named).unwrap_or_default();
            }
        }
        misbehave(mode, out)
    }

    fn analyze(_: &Input, config: &str) -> Result<TextStatistics, Error> {
        commit(config::parse::<Config>(config)?.mode, &mut Output::memory())?;
        Ok(TextStatistics {
            word_count: 2,
            unique_words: 2,
            sentence_count: 1,
            readability_score: Some(f64::NAN),
            readability_formula: "none".into(),
        })
    }
}

fn misbehave(mode: Mode, out: &mut Output) -> Result<CorpusStatistics, Error> {
    commit(mode, out)?;
    let text: &[u8] = match mode {
        Mode::Unsorted => b"b\t1\na\t2\n",
        Mode::Duplicate => b"a\t1\na\t2\n",
        Mode::Malformed => b"a 1\nb\n",
        Mode::NotUtf8 => b"a\xff\t1\nb\xff\t2\n",
        Mode::Nothing => b"",
        _ => b"a\t1\nb\t2\n",
    };
    out.write(text);
    let (vocabulary_size, total_tokens) = if mode == Mode::WrongStatistics { (7, 7) } else { (2, 3) };
    Ok(CorpusStatistics { vocabulary_size, total_tokens })
}

floret_sdk::export_corpus!(Misbehave);
