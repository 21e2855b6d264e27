//! Words of texts: UAX #29 segmentation, canonical caseless folding, counts.
//!
//! A word is a UAX #29 segment with at least one letter or digit, folded by
//! [`floret_sdk::text::fold`] (full case folding and NFC) and at most 1,024 bytes long. Then, on the distinct
//! words: stop words out, stems if asked, `min_count` last.

mod analyze;
mod config;
mod count;
mod stem;
mod words;

use floret_sdk::corpus::{self, CorpusBuilder, CorpusStatistics, CorpusWriter, TextStatistics};
use floret_sdk::{Description, Error, Input, Output, log};

use config::Config;
use count::Counts;

/// The component.
pub struct CorpusText;

impl CorpusBuilder for CorpusText {
    fn describe() -> Description {
        Description {
            name: "corpus-text".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Counts the words of texts (UAX #29), case folded; stop words and stemming on request"
                .into(),
            output_media_type: corpus::MEDIA_TYPE.into(),
            config_schema: config::SCHEMA.into(),
        }
    }

    fn build(documents: &[Input], config: &str, out: &mut Output) -> Result<CorpusStatistics, Error> {
        let config: Config = floret_sdk::config::parse(config)?;
        let stemmer = config.stemmer()?;
        let mut counts = Counts::default();
        for (index, document) in documents.iter().enumerate() {
            words::each_text(document, index, words::is_space, |text| {
                words::each_word(text, |word| counts.add(word))
            })?;
        }
        if counts.too_long > 0 {
            log!(Warn, "left out {} words of more than {} bytes", counts.too_long, corpus::WORD_BYTES_MAX);
        }
        let counts = stem::reduce(counts, &config.stop_words, stemmer.as_ref());
        let mut corpus = CorpusWriter::new(out);
        for (word, count) in counts.sorted() {
            if count >= config.min_count {
                corpus.write(word, count)?;
            }
        }
        Ok(corpus.statistics())
    }

    fn analyze(document: &Input, config: &str) -> Result<TextStatistics, Error> {
        let config: Config = floret_sdk::config::parse(config)?;
        analyze::analyze(document, &config)
    }
}

floret_sdk::export_corpus!(CorpusText);

#[cfg(test)]
mod tests;
