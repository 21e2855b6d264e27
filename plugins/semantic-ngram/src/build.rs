//! Building the index.

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
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.text[start as usize..self.ends[at] as usize]
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
    let mut words = Words::default();
    let mut merged = CorpusMerge::new(corpora)?;
    while let Some((word, count)) = merged.next()? {
        words.push(word, count)?;
    }
    let words = words.most_frequent(config.words_max as usize)?;
    let header = Header {
        fold_queries: config.fold_queries,
        dimension: config.dimension as usize,
        ngram_min: config.ngram_min,
        ngram_max: config.ngram_max,
        quantization: config.quantization,
        words_len: words.ends.len(),
        text_len: words.text.len(),
    };
    let layout = header
        .layout()
        .ok_or_else(|| Error::Failed("the index takes more than memory holds; set words_max".into()))?;
    let mut file = Checked { out, checksum: crc32fast::Hasher::new() };
    file.write(&header.encode());
    words.frequencies.iter().for_each(|frequency| file.write(&frequency.to_le_bytes()));
    words.ends.iter().for_each(|end| file.write(&end.to_le_bytes()));
    file.write(words.text.as_bytes());
    file.write(&[0; 16][..layout.padding.len()]);
    write_vectors(&words, &header, &mut file);
    let checksum = file.checksum.finalize();
    file.out.write(&checksum.to_le_bytes());
    Ok(statistics(&header, layout.file_bytes()))
}

fn write_vectors(words: &Words, header: &Header, file: &mut Checked<'_>) {
    let mut vectorizer = Vectorizer::new(header.dimension, header.ngram_min, header.ngram_max);
    let mut row = Vec::with_capacity(header.vector_bytes());
    let mut scales = Vec::new();
    for at in 0..words.ends.len() {
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

/// Writes and computes the checksum.
struct Checked<'a> {
    out: &'a mut Output,
    checksum: crc32fast::Hasher,
}

impl Checked<'_> {
    fn write(&mut self, bytes: &[u8]) {
        self.checksum.update(bytes);
        self.out.write(bytes);
    }
}

fn statistics(header: &Header, file_bytes: usize) -> Vec<Statistic> {
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
