//! {{name}}: a sorted list of words, searched by word and by prefix.
//!
//! ```text
//! index = "floret-sorted 1 " words " " bytes LF corpus    ; decimal: lines and bytes of the corpus
//! ```

mod corpus_format;

wit_bindgen::generate!({ path: "wit", generate_all });

use std::cmp::Reverse;

use exports::floret::index::builder::{Guest, GuestSearcher, Hit, Mode, Query, Searcher};
use floret::types::io::{Input, Sink};
use floret::types::types::{Description, Error, Statistic, StatisticValue};

struct Component;

impl Guest for Component {
    type Searcher = Opened;

    fn describe() -> Description {
        Description {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "A sorted list of words, searched by word and by prefix".to_owned(),
            output_media_type: "application/vnd.floret.sorted; version=1".to_owned(),
            config_schema: r#"{"type":"object","additionalProperties":false}"#.to_owned(),
        }
    }

    fn modes() -> Vec<Mode> {
        vec![Mode::Exact, Mode::Prefix]
    }

    fn build(corpora: Vec<Input>, _config: String, out: Sink) -> Result<Vec<Statistic>, Error> {
        let counts = corpus_format::union(&corpora).map_err(Error::InvalidInput)?;
        let corpus = corpus_format::encode(&counts);
        out.write(format!("floret-sorted 1 {} {}\n", counts.len(), corpus.len()).as_bytes());
        out.write(&corpus);
        let value = StatisticValue::Count(counts.len() as u64);
        Ok(vec![Statistic {
            name: "word_count".to_owned(),
            value,
        }])
    }
}

export!(Component);

/// An opened index: words in their order, with their counts.
struct Opened(Vec<(String, u64)>);

impl GuestSearcher for Opened {
    fn open(index: Input) -> Result<Searcher, Error> {
        let words = decode(&corpus_format::read_all(&index)).map_err(Error::InvalidInput)?;
        Ok(Searcher::new(Self(words)))
    }

    fn search(&self, query: Query, limit: u32) -> Result<Vec<Hit>, Error> {
        let mut found: Vec<&(String, u64)> = match &query {
            Query::Exact(text) => self
                .0
                .binary_search_by(|(word, _)| word.cmp(text))
                .map(|place| &self.0[place])
                .into_iter()
                .collect(),
            Query::Prefix(text) => {
                let begin = self.0.partition_point(|(word, _)| word < text);
                let end = begin
                    + self.0[begin..].partition_point(|(word, _)| word.starts_with(text.as_str()));
                self.0[begin..end].iter().collect()
            }
            _ => {
                return Err(Error::Unsupported(
                    "only exact and prefix are answered".to_owned(),
                ));
            }
        };
        found.sort_by_key(|(_, count)| Reverse(*count)); // stable: words of one count stay in their order
        let hit = |(word, count): &(String, u64)| Hit {
            word: word.clone(),
            frequency: *count,
            distance: 0,
            score: *count as f32,
        };
        Ok(found.into_iter().take(limit as usize).map(hit).collect())
    }
}

fn decode(bytes: &[u8]) -> Result<Vec<(String, u64)>, String> {
    let header = || "index 0: it does not begin with the header of floret-sorted 1".to_owned();
    let end = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .ok_or_else(header)?;
    let line = std::str::from_utf8(&bytes[..end])
        .ok()
        .and_then(|line| line.strip_prefix("floret-sorted 1 "));
    let (words, length) = line
        .and_then(|line| line.split_once(' '))
        .ok_or_else(header)?;
    let (words, length): (usize, usize) = words
        .parse()
        .ok()
        .zip(length.parse().ok())
        .ok_or_else(header)?;
    let corpus = &bytes[end + 1..];
    let entries = corpus_format::parse(corpus, "index 0")?;
    if entries.len() != words || corpus.len() != length {
        return Err(format!(
            "index 0: expected {length} bytes behind the header, got {}",
            corpus.len()
        ));
    }
    let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
    Ok(entries
        .into_iter()
        .map(|(word, count)| (text(word), count))
        .collect())
}
