//! Building the index, as a whole or the words of one part.

use std::ops::Range;

use floret_sdk::corpus::CorpusMerge;
use floret_sdk::{Error, Input, Output, Statistic, StatisticValue};

use crate::config::{Config, Quantization};
use crate::format::Header;
use crate::quantize;
use crate::vector::Vectorizer;

/// The model's name in the statistics: the way vectors are made, with its version.
const MODEL: &str = "char-ngram-hash-1";

/// Words in the order of their bytes.
#[derive(Default)]
struct Words {
    text: String,
    ends: Vec<u32>,
    frequencies: Vec<u64>,
}

impl Words {
    fn push(&mut self, word: &str, frequency: u64) -> Result<(), Error> {
        self.text.push_str(word);
        let end = u32::try_from(self.text.len())
            .map_err(|_| Error::Failed("the words take more than 4 GiB".into()))?;
        self.ends.push(end);
        self.frequencies.push(frequency);
        Ok(())
    }

    fn word(&self, at: usize) -> &str {
        &self.text[self.start(at)..self.ends[at] as usize]
    }

    /// Where a word begins in the text; of the place behind the last, its end.
    fn start(&self, at: usize) -> usize {
        if at == 0 { 0 } else { self.ends[at - 1] as usize }
    }

    /// The `most` words with the greatest frequencies, ties by bytes; in the order of their bytes.
    fn most_frequent(self, most: usize) -> Result<Self, Error> {
        if self.ends.len() <= most {
            return Ok(self);
        }
        let mut places: Vec<_> = (0..self.ends.len()).collect();
        places.select_nth_unstable_by_key(most - 1, |at| (std::cmp::Reverse(self.frequencies[*at]), *at));
        places.truncate(most);
        places.sort_unstable();
        let mut kept = Self::default();
        for at in places {
            kept.push(self.word(at), self.frequencies[at])?;
        }
        Ok(kept)
    }
}

/// Merge the corpora, keep the most frequent words, write their vectors as they are made.
pub fn build(corpora: &[Input], config: &Config, out: &mut Output) -> Result<Vec<Statistic>, Error> {
    let words = words(corpora, config)?;
    let every = 0..words.ends.len();
    write_index(&words, every, config, out)
}

/// The same of the words of one part, an index by itself: part `part` of `parts`, by their places among the words of
/// the whole.
pub fn build_part(
    corpora: &[Input],
    config: &Config,
    part: u32,
    parts: u32,
    out: &mut Output,
) -> Result<(), Error> {
    let words = words(corpora, config)?;
    let place = |part: u32| (words.ends.len() as u64 * u64::from(part) / u64::from(parts)) as usize;
    let range = place(part)..place(part + 1);
    write_index(&words, range, config, out).map(drop)
}

fn words(corpora: &[Input], config: &Config) -> Result<Words, Error> {
    let mut words = Words::default();
    let mut merged = CorpusMerge::new(corpora)?;
    while let Some((word, count)) = merged.next()? {
        words.push(word, count)?;
    }
    words.most_frequent(config.words_max as usize)
}

fn write_index(
    words: &Words,
    range: Range<usize>,
    config: &Config,
    out: &mut Output,
) -> Result<Vec<Statistic>, Error> {
    let text_start = words.start(range.start);
    let text_end = words.start(range.end);
    let header = Header::new(config, range.len(), text_end - text_start);
    let layout = header.layout().ok_or_else(too_large)?;
    let mut file = Checked::new(out);
    file.write(&header.encode());
    words.frequencies[range.clone()].iter().for_each(|frequency| file.write(&frequency.to_le_bytes()));
    words.ends[range.clone()].iter().for_each(|end| file.write(&(end - text_start as u32).to_le_bytes()));
    file.write(&words.text.as_bytes()[text_start..text_end]);
    file.write(&[0; 16][..layout.padding.len()]);
    write_vectors(words, range, &header, &mut file);
    file.end();
    Ok(statistics(&header, layout.file_bytes()))
}

/// The error for an index beyond what memory addresses.
pub fn too_large() -> Error {
    Error::Failed("the index takes more than memory holds; set words_max".into())
}

fn write_vectors(words: &Words, range: Range<usize>, header: &Header, file: &mut Checked<'_>) {
    let mut vectorizer = Vectorizer::new(header.dimension, header.ngram_min, header.ngram_max);
    let mut row = Vec::with_capacity(header.vector_bytes());
    let mut scales = Vec::new();
    for at in range {
        let vector = vectorizer.vector(words.word(at));
        row.clear();
        match header.quantization {
            Quantization::None => row.extend(vector.iter().flat_map(|value| value.to_le_bytes())),
            Quantization::Float16 => {
                row.extend(vector.iter().flat_map(|value| quantize::to_half(*value).to_le_bytes()))
            }
            Quantization::Int8 => scales.push(quantize::to_int8(vector, &mut row)),
        }
        file.write(&row);
    }
    scales.iter().for_each(|scale| file.write(&scale.to_le_bytes()));
}

/// Writes a file and computes its checksum.
pub struct Checked<'a> {
    out: &'a mut Output,
    checksum: crc32fast::Hasher,
}

impl<'a> Checked<'a> {
    /// A file from its first byte on.
    pub fn new(out: &'a mut Output) -> Self {
        Self { out, checksum: crc32fast::Hasher::new() }
    }

    /// Append bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        self.checksum.update(bytes);
        self.out.write(bytes);
    }

    /// Append the checksum.
    pub fn end(self) {
        let checksum = self.checksum.finalize();
        self.out.write(&checksum.to_le_bytes());
    }
}

/// The figures of an index with this header.
pub fn statistics(header: &Header, file_bytes: usize) -> Vec<Statistic> {
    let count = |name: &str, value: usize| Statistic {
        name: name.into(),
        value: StatisticValue::Count(value as u64),
    };
    let text =
        |name: &str, value: &str| Statistic { name: name.into(), value: StatisticValue::Text(value.into()) };
    vec![
        count("word_count", header.words_len),
        count("embedding_dimension", header.dimension),
        text("model_name", MODEL),
        text("index_type", "flat"),
        text("quantization", header.quantization.name()),
        // The searcher keeps the file as it is.
        count("memory_usage_bytes", file_bytes),
    ]
}
