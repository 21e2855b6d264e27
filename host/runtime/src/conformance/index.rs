mod parts;

use std::cmp::Reverse;

use super::{Finding, MALFORMED, Outcome, ensure, finding, good, refused};
use crate::{CORPUS_MEDIA_TYPE, Component, Error, HITS_MAX, Hit, Input, Mode, Query, Searcher};

/// Check a component of `floret:index`.
pub async fn index(component: &Component, config: &str) -> Vec<Finding> {
    let suite = Suite { component, config, words: words() };
    let mut findings = vec![
        finding("the same build twice writes the same bytes", suite.repeatable()).await,
        finding("an empty corpus makes an index that finds nothing", suite.empty()).await,
        finding("a malformed corpus is invalid-input", suite.malformed()).await,
        finding("bytes that are no index are invalid-input", suite.garbage()).await,
        finding("a damaged index never traps", suite.damaged()).await,
        finding("searching does not take more and more memory", suite.steady()).await,
    ];
    findings.extend(parts::parts(component, config).await);
    for mode in component.modes() {
        findings.push(match mode {
            Mode::Exact => finding("exact finds each word and no other", suite.exact()).await,
            Mode::Prefix => finding("prefix finds all in order", suite.prefix()).await,
            Mode::Fuzzy => finding("fuzzy finds all in order of distance", suite.fuzzy()).await,
            Mode::Semantic => finding("semantic answers in order of score", suite.semantic()).await,
        });
    }
    findings
}

/// Words with counts: families of like words, some with characters of several bytes; sorted, case folded and
/// in Normalization Form C, as a corpus of ours has them.
fn words() -> Vec<(String, u64)> {
    let stems = ["act", "bear", "ber", "café", "calm", "naïve", "strasse", "zebra", "žena", "日本"];
    let endings = ["", "s", "ed", "er", "ers", "ing", "ly", "ness", "é", "本"];
    let mut words: Vec<_> =
        stems.iter().flat_map(|stem| endings.iter().map(move |ending| format!("{stem}{ending}"))).collect();
    words.sort();
    words.dedup();
    let counted = |(place, word)| (word, 1 + (place as u64 * 7) % 11);
    words.into_iter().enumerate().map(counted).collect()
}

struct Suite<'a> {
    component: &'a Component,
    config: &'a str,
    words: Vec<(String, u64)>,
}

impl Suite<'_> {
    async fn build(&self, corpora: &[&[u8]]) -> Result<bytes::Bytes, Error> {
        let input = |bytes: &&[u8]| Input::new("corpus", CORPUS_MEDIA_TYPE, bytes.to_vec());
        let corpora = corpora.iter().map(input).collect();
        Ok(self.component.build_index(corpora, self.config).await?.bytes)
    }

    async fn open(&self, bytes: impl Into<bytes::Bytes>) -> Result<Searcher, Error> {
        let media_type = &self.component.description().output_media_type;
        self.component.open_index(Input::new("index", media_type, bytes)).await
    }

    fn corpus(&self) -> Vec<u8> {
        let line = |(word, count): &(String, u64)| format!("{word}\t{count}\n");
        self.words.iter().map(line).collect::<String>().into_bytes()
    }

    /// An index of the words, their counts spread over two corpora.
    async fn opened(&self) -> Result<Searcher, String> {
        let shared = b"act\t1\ncaf\xc3\xa9\t1\n";
        let rest = self.words.iter().map(|(word, count)| {
            let count = if word == "act" || word == "café" { count - 1 } else { *count };
            if count == 0 { String::new() } else { format!("{word}\t{count}\n") }
        });
        let rest = rest.collect::<String>();
        let bytes = good(self.build(&[rest.as_bytes(), shared]).await)?;
        good(self.open(bytes).await)
    }

    async fn repeatable(&self) -> Outcome {
        let corpus = self.corpus();
        let (one, two) = (good(self.build(&[&corpus]).await)?, good(self.build(&[&corpus]).await)?);
        ensure(one == two, || format!("{} bytes, then {}", one.len(), two.len()))
    }

    async fn empty(&self) -> Outcome {
        let bytes = good(self.build(&[b""]).await)?;
        let searcher = good(self.open(bytes).await)?;
        for mode in self.component.modes() {
            let hits = good(searcher.search(query(*mode, "act", 1), 10).await)?;
            ensure(hits.is_empty(), || format!("{mode} found {:?}", hits[0].word))?;
        }
        Ok(())
    }

    async fn malformed(&self) -> Outcome {
        for (what, bytes) in MALFORMED {
            refused(what, self.build(&[b"a\t1\n", bytes]).await)?;
        }
        Ok(())
    }

    async fn garbage(&self) -> Outcome {
        let whole = good(self.build(&[&self.corpus()]).await)?;
        refused("no bytes at all", self.open("").await)?;
        refused("text", self.open("hello").await)?;
        refused("a corpus", self.open(self.corpus()).await)?;
        refused("zeros", self.open(vec![0; 4_096]).await)?;
        for part in 1..8 {
            let len = whole.len() * part / 8;
            refused(&format!("its first {len} bytes"), self.open(whole.slice(..len)).await)?;
        }
        refused("all but its last byte", self.open(whole.slice(..whole.len() - 1)).await)
    }

    async fn damaged(&self) -> Outcome {
        let whole = good(self.build(&[&self.corpus()]).await)?;
        for part in 0..16 {
            let mut bytes = whole.to_vec();
            let place = (bytes.len() - 1) * part / 15;
            bytes[place] ^= 0x55;
            let searcher = match self.open(bytes).await {
                Err(Error::InvalidInput { .. }) => continue,
                opened => good(opened).map_err(|text| format!("byte {place} changed: {text}"))?,
            };
            for mode in self.component.modes() {
                let answer = searcher.search(query(*mode, "bears", 1), 10).await;
                good(answer).map_err(|text| format!("byte {place} changed: {text}"))?;
            }
        }
        Ok(())
    }

    async fn steady(&self) -> Outcome {
        let searcher = self.opened().await?;
        let mut memory_bytes = 0;
        for round in 0..4 {
            for (word, _) in &self.words {
                for mode in self.component.modes() {
                    good(searcher.search(query(*mode, word, 2), 20).await)?;
                }
            }
            let now = searcher.memory_bytes();
            // The first round may take what every later one uses again.
            ensure(round < 2 || now <= memory_bytes, || {
                format!("{memory_bytes} bytes after {round} rounds, then {now}")
            })?;
            memory_bytes = now;
        }
        Ok(())
    }

    async fn exact(&self) -> Outcome {
        let searcher = self.opened().await?;
        for (word, count) in &self.words {
            let hits = good(searcher.search(Query::Exact(word.clone()), 10).await)?;
            let found =
                matches!(&hits[..], [hit] if hit.word == *word && [*count, 0].contains(&hit.frequency));
            ensure(found, || format!("{word:?} ({count}) is answered with {hits:?}"))?;
        }
        for absent in ["", "ac", "actsx", "日", "~"] {
            let hits = good(searcher.search(Query::Exact(absent.to_owned()), 10).await)?;
            ensure(hits.is_empty(), || format!("{absent:?} is answered with {hits:?}"))?;
        }
        Ok(())
    }

    async fn prefix(&self) -> Outcome {
        let searcher = self.opened().await?;
        for prefix in ["", "a", "act", "be", "caf", "日", "日本本", "zz", "bearness"] {
            let mut expected: Vec<_> =
                self.words.iter().filter(|(word, _)| word.starts_with(prefix)).collect();
            expected.sort_by_key(|(word, count)| (Reverse(*count), word));
            for limit in [HITS_MAX, 3] {
                let hits = good(searcher.search(Query::Prefix(prefix.to_owned()), limit).await)?;
                let expected = expected.iter().take(limit as usize).map(|(word, _)| word.as_str());
                same_words(&format!("{prefix:?}, limit {limit}"), &hits, expected)?;
            }
        }
        Ok(())
    }

    async fn fuzzy(&self) -> Outcome {
        let searcher = self.opened().await?;
        for text in ["act", "bears", "cafe", "naive", "strase", "日本", "qqqqqq", "b"] {
            for distance in [1, 2] {
                let near = |(word, count): &(String, u64)| {
                    let far = levenshtein(text, word);
                    (far <= usize::from(distance)).then(|| (far, Reverse(*count), word.clone()))
                };
                let mut expected: Vec<_> = self.words.iter().filter_map(near).collect();
                expected.sort();
                for limit in [HITS_MAX, 2] {
                    let query = query(Mode::Fuzzy, text, distance);
                    let hits = good(searcher.search(query, limit).await)?;
                    let what = format!("{text:?} within {distance}, limit {limit}");
                    let expected = expected.iter().take(limit as usize);
                    for (hit, (far, ..)) in hits.iter().zip(expected.clone()) {
                        ensure(usize::from(hit.distance) == *far, || {
                            format!("{what}: {:?} is {far} away, not {}", hit.word, hit.distance)
                        })?;
                    }
                    same_words(&what, &hits, expected.map(|(.., word)| word.as_str()))?;
                }
            }
        }
        Ok(())
    }

    async fn semantic(&self) -> Outcome {
        let searcher = self.opened().await?;
        for (word, _) in self.words.iter().step_by(7) {
            let hits = good(searcher.search(Query::Semantic(word.clone()), 10).await)?;
            let bounded = hits.iter().all(|hit| (-1.001..=1.001).contains(&hit.score));
            ensure(bounded, || format!("{word:?}: a score beyond -1 to 1: {hits:?}"))?;
            let in_order = hits.windows(2).all(|pair| {
                pair[0].score > pair[1].score
                    || (pair[0].score == pair[1].score && pair[0].word < pair[1].word)
            });
            ensure(in_order, || format!("{word:?}: out of order: {hits:?}"))?;
            let known = hits.iter().all(|hit| self.words.iter().any(|(word, _)| *word == hit.word));
            ensure(known, || format!("{word:?}: a word that the corpus has not: {hits:?}"))?;
            ensure(hits.iter().any(|hit| hit.word == *word), || {
                format!("{word:?} is not among its own ten nearest: {hits:?}")
            })?;
            let best = good(searcher.search(Query::Semantic(word.clone()), 1).await)?;
            ensure(best[..] == hits[..1], || format!("{word:?}: limit 1 gives {best:?}"))?;
        }
        Ok(())
    }
}

fn query(mode: Mode, text: &str, distance: u8) -> Query {
    let text = text.to_owned();
    match mode {
        Mode::Exact => Query::Exact(text),
        Mode::Prefix => Query::Prefix(text),
        Mode::Fuzzy => Query::Fuzzy { text, distance },
        Mode::Semantic => Query::Semantic(text),
    }
}

fn same_words<'a>(what: &str, hits: &[Hit], expected: impl Iterator<Item = &'a str>) -> Outcome {
    let expected: Vec<_> = expected.collect();
    let got: Vec<_> = hits.iter().map(|hit| hit.word.as_str()).collect();
    ensure(got == expected, || format!("{what}: expected {expected:?}, got {got:?}"))
}

/// Insertions, deletions and substitutions of Unicode scalar values (Levenshtein 1965), by the usual table.
fn levenshtein(one: &str, two: &str) -> usize {
    let two: Vec<_> = two.chars().collect();
    let mut row: Vec<_> = (0..=two.len()).collect();
    for (line, from) in one.chars().enumerate() {
        let mut corner = row[0];
        row[0] = line + 1;
        for (column, to) in two.iter().enumerate() {
            let substituted = corner + usize::from(from != *to);
            corner = row[column + 1];
            row[column + 1] = substituted.min(corner + 1).min(row[column] + 1);
        }
    }
    row[two.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let cases =
            [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("café", "cafe", 1), ("ab", "ba", 2)];
        for (one, two, expected) in cases {
            assert_eq!(levenshtein(one, two), expected, "{one} {two}");
            assert_eq!(levenshtein(two, one), expected, "{two} {one}");
        }
    }
}
