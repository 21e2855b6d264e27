//! {{name}}: counts the words of texts.

mod corpus_format;

wit_bindgen::generate!({ path: "wit", generate_all });

use corpus_format::{Counts, WORD_BYTES_MAX};
use exports::floret::corpus::builder::{CorpusStatistics, Guest, TextStatistics};
use floret::types::io::{Input, Sink};
use floret::types::types::{Description, Error};

struct Component;

impl Guest for Component {
    fn describe() -> Description {
        Description {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "Counts the words of texts".to_owned(),
            output_media_type: "text/vnd.floret.corpus; version=1".to_owned(),
            config_schema: r#"{"type":"object","additionalProperties":false}"#.to_owned(),
        }
    }

    fn build(documents: Vec<Input>, _config: String, out: Sink) -> Result<CorpusStatistics, Error> {
        let mut counts = Counts::new();
        for (index, document) in documents.iter().enumerate() {
            let mut text = corpus_format::read_all(document);
            corpus_format::check_utf8(&text, &format!("document {index}"))
                .map_err(Error::InvalidInput)?;
            text.make_ascii_lowercase();
            count_words(&text, &mut counts);
        }
        Ok(write(&counts, &out))
    }

    fn merge(corpora: Vec<Input>, out: Sink) -> Result<CorpusStatistics, Error> {
        let counts = corpus_format::union(&corpora).map_err(Error::InvalidInput)?;
        Ok(write(&counts, &out))
    }

    fn analyze(_document: Input, _config: String) -> Result<TextStatistics, Error> {
        Err(Error::Unsupported(
            "{{name}} does not judge texts".to_owned(),
        ))
    }
}

export!(Component);

/// Add the words of a text: runs of ASCII letters and digits and of whatever is beyond ASCII. Words too long for a
/// corpus are passed over.
fn count_words(text: &[u8], counts: &mut Counts) {
    let in_word = |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
    for word in text.split(|byte| !in_word(byte)) {
        if (1..=WORD_BYTES_MAX).contains(&word.len()) {
            corpus_format::add(counts, word, 1);
        }
    }
}

fn write(counts: &Counts, out: &Sink) -> CorpusStatistics {
    out.write(&corpus_format::encode(counts));
    let total_tokens = counts
        .values()
        .fold(0_u64, |total, count| total.saturating_add(*count));
    CorpusStatistics {
        vocabulary_size: counts.len() as u64,
        total_tokens,
    }
}
