use std::collections::BTreeMap;

use super::{Finding, MALFORMED, Outcome, ensure, finding, good, refused};
use crate::{CORPUS_MEDIA_TYPE, Component, CorpusStatistics, Error, Input};

type Built = crate::Built<CorpusStatistics>;

/// Check a component of `floret:corpus`.
pub async fn corpus(component: &Component, config: &str) -> Vec<Finding> {
    let suite = Suite { component, config };
    vec![
        finding("a text makes a corpus in the format", suite.format()).await,
        finding("the same build twice writes the same bytes", suite.repeatable()).await,
        finding("an empty document adds nothing", suite.empty()).await,
        finding("a document of several reads is read to its end", suite.long()).await,
        finding("a document that is not UTF-8 is invalid-input", suite.not_utf8()).await,
        finding("a merge writes the union with the counts summed", suite.union()).await,
        finding("a merge of one corpus writes it as it is", suite.identity()).await,
        finding("merges give the same bytes in any grouping and order", suite.associative()).await,
        finding("counts that sum beyond 2^64 - 1 saturate", suite.saturates()).await,
        finding("a merge of a malformed corpus is invalid-input", suite.malformed()).await,
        finding("a text is judged, or judging is unsupported", suite.judged()).await,
    ]
}

const TEXT: &str = "The quick brown fox jumps over the lazy dog. The dog sleeps; foxes jump over dogs.\n";
const OTHER: &str = "Grüße aus Köln! Das naïve café in Kraków serves 7 kinds of crème brûlée.\n";

struct Suite<'a> {
    component: &'a Component,
    config: &'a str,
}

impl Suite<'_> {
    async fn build(&self, documents: &[&str]) -> Result<Built, String> {
        let input = |text: &&str| Input::new("document", "text/plain", text.as_bytes().to_vec());
        let documents = documents.iter().map(input).collect();
        good(self.component.build_corpus(documents, self.config).await)
    }

    async fn merge(&self, corpora: &[&[u8]]) -> Result<Built, Error> {
        let input = |bytes: &&[u8]| Input::new("corpus", CORPUS_MEDIA_TYPE, bytes.to_vec());
        self.component.merge_corpora(corpora.iter().map(input).collect()).await
    }

    /// Three corpora that share words.
    async fn three(&self) -> Result<[Built; 3], String> {
        let both = format!("{TEXT}{OTHER}");
        Ok([self.build(&[TEXT]).await?, self.build(&[OTHER]).await?, self.build(&[&both]).await?])
    }

    async fn format(&self) -> Outcome {
        self.build(&[TEXT, OTHER]).await.map(|_| ()) // every output is checked by the call itself
    }

    async fn repeatable(&self) -> Outcome {
        let documents = [TEXT, OTHER, TEXT];
        let (one, two) = (self.build(&documents).await?, self.build(&documents).await?);
        ensure(one.bytes == two.bytes, || differs(&one, &two))
    }

    async fn empty(&self) -> Outcome {
        let (with, without) = (self.build(&["", TEXT, ""]).await?, self.build(&[TEXT]).await?);
        ensure(with.bytes == without.bytes, || differs(&with, &without))?;
        let none = self.build(&[""]).await?;
        ensure(none.bytes.is_empty(), || {
            format!("nothing but an empty document made {} words", none.statistics.vocabulary_size)
        })
    }

    async fn long(&self) -> Outcome {
        // Both hold the same words, and the long one takes three reads of 1 MiB.
        let (short, long) = (TEXT.repeat(100), TEXT.repeat((5 << 19) / TEXT.len()));
        let (short, long) = (self.build(&[&short]).await?, self.build(&[&long]).await?);
        let same = short.statistics.vocabulary_hash == long.statistics.vocabulary_hash;
        ensure(same && long.statistics.total_tokens > short.statistics.total_tokens, || {
            differs(&short, &long)
        })
    }

    async fn not_utf8(&self) -> Outcome {
        for bytes in [&b"caf\xe9"[..], b"\xff\xfe", b"ok \xed\xa0\x80", b"cut \xc3"] {
            let document = Input::new("document", "text/plain", bytes.to_vec());
            let answer = self.component.build_corpus(vec![document], self.config).await;
            refused(&format!("{bytes:02x?}"), answer)?;
        }
        Ok(())
    }

    async fn union(&self) -> Outcome {
        let [one, two, three] = self.three().await?;
        let mut expected: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        for corpus in [&one, &two, &three] {
            for line in corpus.bytes.split_inclusive(|byte| *byte == b'\n') {
                let (word, count) = parts(line);
                *expected.entry(word).or_default() += count;
            }
        }
        let expected: Vec<u8> = expected
            .iter()
            .flat_map(|(word, count)| [&word[..], format!("\t{count}\n").as_bytes()].concat())
            .collect();
        let merged = good(self.merge(&[&one.bytes, &two.bytes, &three.bytes]).await)?;
        ensure(merged.bytes == expected, || {
            format!("expected {} bytes, got {}", expected.len(), merged.bytes.len())
        })
    }

    async fn identity(&self) -> Outcome {
        let one = self.build(&[TEXT]).await?;
        let merged = good(self.merge(&[&one.bytes]).await)?;
        ensure(merged.bytes == one.bytes, || differs(&one, &merged))?;
        let merged = good(self.merge(&[b"", &one.bytes, b""]).await)?;
        ensure(merged.bytes == one.bytes, || differs(&one, &merged))
    }

    async fn associative(&self) -> Outcome {
        let [a, b, c] = self.three().await?;
        let all = good(self.merge(&[&a.bytes, &b.bytes, &c.bytes]).await)?;
        let ab = good(self.merge(&[&a.bytes, &b.bytes]).await)?;
        let bc = good(self.merge(&[&b.bytes, &c.bytes]).await)?;
        for (how, corpora) in [
            ("(a b) c", vec![&ab.bytes, &c.bytes]),
            ("a (b c)", vec![&a.bytes, &bc.bytes]),
            ("c b a", vec![&c.bytes, &b.bytes, &a.bytes]),
        ] {
            let corpora: Vec<&[u8]> = corpora.iter().map(|bytes| &bytes[..]).collect();
            let merged = good(self.merge(&corpora).await)?;
            ensure(merged.bytes == all.bytes, || format!("{how}: {}", differs(&all, &merged)))?;
        }
        Ok(())
    }

    async fn saturates(&self) -> Outcome {
        let most = format!("a\t{}\n", u64::MAX);
        let merged = good(self.merge(&[most.as_bytes(), b"a\t1\nb\t2\n"]).await)?;
        let expected = format!("{most}b\t2\n");
        ensure(merged.bytes == expected.as_bytes(), || {
            format!("got {:?}", String::from_utf8_lossy(&merged.bytes))
        })
    }

    async fn malformed(&self) -> Outcome {
        for (what, bytes) in MALFORMED {
            refused(what, self.merge(&[b"a\t1\n", bytes]).await)?;
        }
        Ok(())
    }

    async fn judged(&self) -> Outcome {
        let analyze = async |text: &str| {
            let document = Input::new("document", "text/plain", text.as_bytes().to_vec());
            self.component.analyze(document, self.config).await
        };
        let text = match analyze(TEXT).await {
            Err(Error::Unsupported { .. }) => return Ok(()),
            text => good(text)?,
        };
        ensure(text.word_count > 0 && text.sentence_count > 0, || format!("{text:?}"))?;
        let again = good(analyze(TEXT).await)?;
        ensure(text == again, || format!("first {text:?}, then {again:?}"))?;
        let empty = good(analyze("").await)?;
        ensure(empty.word_count == 0 && empty.readability_score.is_none(), || {
            format!("of an empty text: {empty:?}")
        })
    }
}

/// Word and count of a line that the host has checked.
fn parts(line: &[u8]) -> (Vec<u8>, u64) {
    let tab = line.iter().position(|byte| *byte == b'\t').unwrap_or(line.len());
    let digits = line.get(tab + 1..line.len() - 1).unwrap_or_default();
    let count = digits.iter().fold(0, |count, digit| count * 10 + u64::from(digit - b'0'));
    (line[..tab].to_vec(), count)
}

fn differs(one: &Built, two: &Built) -> String {
    let told = |built: &Built| {
        let statistics = &built.statistics;
        let (words, tokens) = (statistics.vocabulary_size, statistics.total_tokens);
        format!("{words} words, {tokens} tokens ({})", built.digest.short())
    };
    format!("{} differ from {}", told(one), told(two))
}
