//! What an author wants to know beyond the contract's own suite: jobs that do not feel one another, inputs as large as
//! real ones, data of their own, and how long things take.

use std::time::Instant;

use bytes::Bytes;

use super::{Finding, Outcome, ensure, finding, good};
use crate::{
    CORPUS_MEDIA_TYPE, Component, ContractKind, HITS_MAX, Input, Mode, PolicyProfile, Query,
    RetentionSubject, RetentionVerdict, VersionFacts,
};

/// Words of the large corpus: at 11 bytes a line and more it takes two reads of 1 MiB.
const WORDS: usize = 100_000;

/// Decisions or searches that are timed, one after the other.
const CALLS: u32 = 2_000;

/// What the author brings along.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Documents for a corpus component, corpora for an index, in this order.
    pub inputs: Vec<Bytes>,
    /// Contents for a policy to decide about.
    pub profiles: Vec<PolicyProfile>,
    /// What must come of them: the bytes that a builder writes; for a policy a line for each choice, codec, tab and
    /// reason.
    pub expected: Option<Bytes>,
}

impl Given {
    fn is_empty(&self) -> bool {
        self.inputs.is_empty() && self.profiles.is_empty()
    }
}

/// How long something took.
#[derive(Clone, PartialEq, Debug)]
pub struct Measure {
    /// What was done.
    pub what: String,
    /// Milliseconds of the wall clock.
    pub took_ms: f64,
    /// Linear memory that it had at the end, in bytes; `None` where the instance is not the caller's.
    pub memory_bytes: Option<u64>,
}

/// Check what no single call shows, and measure. Takes some seconds for components in interpreted languages.
pub async fn author(component: &Component, config: &str, given: &Given) -> (Vec<Finding>, Vec<Measure>) {
    let mut suite = Suite { component, config, measures: Vec::new() };
    let mut findings = vec![
        finding("jobs in another order, or at once, give the same", suite.order()).await,
        finding("a job of real size is done, in memory that repeats", suite.large()).await,
    ];
    if component.contract().kind == ContractKind::Policy {
        findings.push(finding("the last of many decisions is as the first", suite.many()).await);
    }
    if !given.is_empty() {
        findings.push(finding("the data given are built alike twice", suite.given(given)).await);
    }
    if let Some(expected) = given.expected.as_ref().filter(|_| !given.is_empty()) {
        let work = suite.expected(given, expected);
        findings.push(finding("the data given make what is expected", work).await);
    }
    (findings, suite.measures)
}

/// The resource that versions are judged of.
fn subject() -> RetentionSubject {
    RetentionSubject {
        namespace: "default".to_owned(),
        resource_type: "literature".to_owned(),
        id: "walden".to_owned(),
        access_count: 3,
        last_access_age_ms: Some(60_000),
    }
}

/// A log of a version a day, newest first, of the sizes of these profiles.
fn log(profiles: &[PolicyProfile]) -> Vec<VersionFacts> {
    let count = profiles.len() as u64;
    let facts = |(seq, profile): (u64, &PolicyProfile)| VersionFacts {
        seq,
        semantic_version: format!("1.0.{}", seq - 1),
        age_ms: (count - seq) * 86_400_000,
        size_bytes: profile.size_bytes,
        stored_bytes: profile.size_bytes / 2,
        tags: Vec::new(),
        latest: seq == count,
        referenced: false,
    };
    (1..=count).rev().zip(profiles.iter().rev()).map(facts).collect()
}

struct Suite<'a> {
    component: &'a Component,
    config: &'a str,
    measures: Vec<Measure>,
}

/// What a job made.
struct Made {
    bytes: Bytes,
    call_ms: f64,
    memory_bytes: Option<u64>,
}

impl Suite<'_> {
    /// Whatever the component makes of inputs, or of profiles if it is a policy: for retention a version of each.
    async fn make(&self, inputs: &[Bytes], profiles: &[PolicyProfile]) -> Result<Made, String> {
        let input = |role, media_type: &str| {
            inputs.iter().map(|bytes| Input::new(role, media_type, bytes.clone())).collect::<Vec<_>>()
        };
        Ok(match self.component.contract().kind {
            ContractKind::Corpus => {
                let documents = input("document", "text/plain");
                let built = good(self.component.build_corpus(documents, self.config).await)?;
                Made { bytes: built.bytes, call_ms: built.call_ms, memory_bytes: Some(built.memory_bytes) }
            }
            ContractKind::Index => {
                let corpora = input("corpus", CORPUS_MEDIA_TYPE);
                let built = good(self.component.build_index(corpora, self.config).await)?;
                Made { bytes: built.bytes, call_ms: built.call_ms, memory_bytes: Some(built.memory_bytes) }
            }
            ContractKind::Policy => {
                let started = Instant::now();
                let choices = good(self.component.choose(profiles, self.config).await)?;
                let call_ms = started.elapsed().as_secs_f64() * 1e3;
                let line = |choice: &crate::Choice| format!("{}\t{}\n", choice.codec, choice.reason);
                let bytes = choices.iter().map(line).collect::<String>().into();
                Made { bytes, call_ms, memory_bytes: None }
            }
            ContractKind::Retention => {
                let started = Instant::now();
                let verdicts = good(self.component.keep(subject(), log(profiles), self.config).await)?;
                let call_ms = started.elapsed().as_secs_f64() * 1e3;
                let line = |verdict: &RetentionVerdict| format!("{}\t{}\n", verdict.keep, verdict.reason);
                let bytes = verdicts.iter().map(line).collect::<String>().into();
                Made { bytes, call_ms, memory_bytes: None }
            }
        })
    }

    /// Three small jobs that have nothing to do with one another.
    async fn order(&self) -> Outcome {
        let jobs: [&[u8]; 3] = [b"alpha\t3\nbeta\t1\n", b"beta\t2\ngamma\t9\n", "\u{e4}ther\t1\n".as_bytes()];
        let job = async |place: usize| {
            let profile = profile((place as u64 + 1) << 14);
            let made = self.make(&[Bytes::from_static(jobs[place])], &[profile]).await?;
            Ok::<_, String>(made.bytes)
        };
        let first = [job(0).await?, job(1).await?, job(2).await?];
        let mut second = [job(2).await?, job(0).await?, job(1).await?];
        second.rotate_left(1);
        let at_once = tokio::join!(job(0), job(1), job(2), job(1));
        let at_once = [at_once.0?, at_once.1?, at_once.2?, at_once.3?];
        for place in 0..3 {
            let one = &first[place];
            ensure(*one == second[place], || {
                format!("job {place} differs in another order: {}", difference(one, &second[place]))
            })?;
            ensure(*one == at_once[place], || {
                format!("job {place} differs beside others: {}", difference(one, &at_once[place]))
            })?;
        }
        ensure(at_once[1] == at_once[3], || "one job twice at once differs".to_owned())
    }

    /// A hundred thousand words, once for the bytes and once more for the memory; an index is searched, too.
    async fn large(&mut self) -> Outcome {
        let corpus: String =
            (0..WORDS).map(|number| format!("w{number:06}\t{}\n", 1 + number % 997)).collect();
        let size_bytes = corpus.len();
        let corpus = Bytes::from(corpus);
        let profiles: Vec<_> = (0..1_000).map(|number| profile(number * 1_003)).collect();
        let one = self.make(std::slice::from_ref(&corpus), &profiles).await?;
        let two = self.make(std::slice::from_ref(&corpus), &profiles).await?;
        ensure(one.bytes == two.bytes, || difference(&one.bytes, &two.bytes))?;
        ensure(one.memory_bytes == two.memory_bytes, || {
            let told = |made: &Made| made.memory_bytes.unwrap_or(0);
            format!("the same job took {} bytes of memory, then {}", told(&one), told(&two))
        })?;
        let what = match self.component.contract().kind {
            ContractKind::Corpus => format!("a corpus of {size_bytes} bytes of text"),
            ContractKind::Index => format!("an index of {WORDS} words ({} bytes)", one.bytes.len()),
            ContractKind::Policy => format!("{} decisions at once", profiles.len()),
            ContractKind::Retention => format!("verdicts of {} versions", profiles.len()),
        };
        let took_ms = one.call_ms.min(two.call_ms);
        self.measures.push(Measure { what, took_ms, memory_bytes: one.memory_bytes });
        match self.component.contract().kind {
            ContractKind::Index => self.searched(one.bytes).await,
            _ => Ok(()),
        }
    }

    /// The last word is found in every mode that finds a word by itself, so the corpus was read to its end.
    async fn searched(&mut self, index: Bytes) -> Outcome {
        let media_type = &self.component.description().output_media_type;
        let started = Instant::now();
        let searcher = good(self.component.open_index(Input::new("index", media_type, index)).await)?;
        self.measures.push(Measure {
            what: "opening it".to_owned(),
            took_ms: started.elapsed().as_secs_f64() * 1e3,
            memory_bytes: Some(searcher.memory_bytes()),
        });
        let last = format!("w{:06}", WORDS - 1);
        for mode in self.component.modes() {
            let query = |text: String| match mode {
                Mode::Exact => Query::Exact(text),
                Mode::Prefix => Query::Prefix(text),
                Mode::Fuzzy => Query::Fuzzy { text, distance: 1 },
                Mode::Semantic => Query::Semantic(text),
            };
            let hits = good(searcher.search(query(last.clone()), 10).await)?;
            ensure(hits.iter().any(|hit| hit.word == last), || {
                format!("{mode}: the last word of the corpus, {last:?}, is answered with {hits:?}")
            })?;
            let hits = good(searcher.search(query("w0".to_owned()), HITS_MAX).await)?;
            ensure(*mode != Mode::Prefix || hits.len() == HITS_MAX as usize, || {
                format!("prefix: \"w0\" begins {HITS_MAX} words and more, got {}", hits.len())
            })?;
            // Searches of a slow measure are timed less often.
            let calls = if matches!(mode, Mode::Exact | Mode::Prefix) { CALLS } else { CALLS / 100 };
            let started = Instant::now();
            for call in 0..calls {
                good(searcher.search(query(format!("w{:06}", call * 37)), 10).await)?;
            }
            self.measures.push(Measure {
                what: format!("one {mode} search"),
                took_ms: started.elapsed().as_secs_f64() * 1e3 / f64::from(calls),
                memory_bytes: Some(searcher.memory_bytes()),
            });
        }
        Ok(())
    }

    /// More single decisions than an instance is used for.
    async fn many(&mut self) -> Outcome {
        let asked = [profile(100 << 10)];
        let first = self.make(&[], &asked).await?.bytes;
        let started = Instant::now();
        for _ in 0..CALLS {
            let now = self.make(&[], &asked).await?.bytes;
            ensure(now == first, || difference(&first, &now))?;
        }
        self.measures.push(Measure {
            what: "one decision".to_owned(),
            took_ms: started.elapsed().as_secs_f64() * 1e3 / f64::from(CALLS),
            memory_bytes: None,
        });
        Ok(())
    }

    async fn given(&mut self, given: &Given) -> Outcome {
        let one = self.make(&given.inputs, &given.profiles).await?;
        let two = self.make(&given.inputs, &given.profiles).await?;
        let what = format!("the data given ({} bytes out)", one.bytes.len());
        self.measures.push(Measure {
            what,
            took_ms: one.call_ms.min(two.call_ms),
            memory_bytes: one.memory_bytes,
        });
        ensure(one.bytes == two.bytes, || difference(&one.bytes, &two.bytes))
    }

    async fn expected(&self, given: &Given, expected: &Bytes) -> Outcome {
        let made = self.make(&given.inputs, &given.profiles).await?;
        ensure(made.bytes == *expected, || difference(expected, &made.bytes))
    }
}

/// A content as a save would describe it.
fn profile(size_bytes: u64) -> PolicyProfile {
    PolicyProfile {
        size_bytes,
        namespace: "conformance".to_owned(),
        resource_type: "literature".to_owned(),
        media_type: "text/plain".to_owned(),
        items: None,
        flags: Vec::new(),
        entropy_bits_per_byte: 4.5,
    }
}

/// Where two outputs part, with a piece of each.
fn difference(expected: &[u8], got: &[u8]) -> String {
    let at = expected.iter().zip(got).take_while(|(one, two)| one == two).count();
    let line = expected[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
    let piece = |bytes: &[u8]| {
        let begin = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
        let begin = begin.max(at.saturating_sub(32));
        bytes[begin..bytes.len().min(at + 32)].escape_ascii().to_string()
    };
    format!(
        "from byte {at} (line {line}) on, expected \"{}\", got \"{}\" ({} and {} bytes in all)",
        piece(expected),
        piece(got),
        expected.len(),
        got.len()
    )
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn differences_name_the_place() {
        let told = difference(b"a\t1\nb\t2\n", b"a\t1\nb\t3\n");
        assert!(
            told.starts_with("from byte 6 (line 2) on, expected \"b\\t2\\n\", got \"b\\t3\\n\""),
            "{told}"
        );
        assert!(difference(b"", b"x").starts_with("from byte 0 (line 1) on, expected \"\", got \"x\""));
        assert!(difference(b"ab", b"a").contains("(2 and 1 bytes in all)"));
    }
}
