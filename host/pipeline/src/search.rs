//! Composite search: pins of one publish, and answers merged by reciprocal rank fusion.

use std::collections::BTreeMap;
use std::sync::Arc;

use floret_model::{Codec, Digest, ResourceKey, ResourceType, Version, VersionRef, canonical_json};
use floret_runtime::{Hit, Mode, Query, Searcher};
use futures::future::try_join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::derive::{Job, Output};
use crate::figures::Figures;
use crate::plugins::Bound;
use crate::{Error, Floret};

/// Most answers to one question; the index contract's own bound.
pub const HITS_MAX: u32 = 10_000;
/// The constant k of reciprocal rank fusion: 60, as in Cormack, Clarke and Büttcher (SIGIR 2009).
const FUSION_K: f64 = 60.0;
/// How many answers of each part are merged for one that is asked for.
const FUSION_DEPTH: u32 = 4;

/// The content of a composite search index.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pins {
    /// `floret.search/1`.
    format: String,
    parts: Vec<Pin>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pin {
    version: VersionRef,
    digest: Digest,
}

const FORMAT: &str = "floret.search/1";

/// One answer, merged over the parts that gave it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SearchHit {
    /// The word.
    pub word: String,
    /// Its count in the corpus, where an index knows it.
    pub frequency: u64,
    /// Edit distance, where a fuzzy question found it.
    pub distance: Option<u8>,
    /// Greater is better: the index's own score for one part, the sum of 1 / (60 + rank) for several.
    pub score: f64,
    /// Its rank in each part that gave it, from 1, by `TYPE/ID`.
    pub ranks: BTreeMap<String, u32>,
}

/// Answers to a question.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SearchAnswer {
    /// The version that was asked.
    #[schemars(regex(pattern = floret_model::VERSION_PATTERN))]
    pub index: String,
    /// The parts that could answer, as `TYPE/ID@SEQ`.
    #[schemars(inner(regex(pattern = floret_model::VERSION_PATTERN)))]
    pub parts: Vec<String>,
    /// Best first.
    pub hits: Vec<SearchHit>,
}

impl Floret {
    /// Ask an index: a composite one asks each of its parts that can answer and merges their answers. Text is
    /// compared as the corpus's builder folds it.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for a resource that is no index, a limit of 0 or over [`HITS_MAX`], or a
    /// question that no part can answer.
    pub async fn search(&self, key: &ResourceKey, query: &Query, limit: u32) -> Result<SearchAnswer, Error> {
        self.search_any(key, std::slice::from_ref(query), limit).await
    }

    /// Ask several questions at once, e.g. a fuzzy and a semantic one for the same text, and merge the answers.
    ///
    /// # Errors
    /// As [`search`](Self::search); a question that no part can answer is passed over if another has an answer.
    pub async fn search_any(
        &self,
        key: &ResourceKey,
        queries: &[Query],
        limit: u32,
    ) -> Result<SearchAnswer, Error> {
        if !(1..=HITS_MAX).contains(&limit) {
            return Err(Error::invalid(format!(
                "a limit of {limit} cannot be used: expected 1 to {HITS_MAX}"
            )));
        }
        let index = self.latest(key).await?;
        let parts = self.parts(&index).await?;
        let merged = parts.len() > 1 || queries.len() > 1;
        let depth = if merged { limit.saturating_mul(FUSION_DEPTH).min(HITS_MAX) } else { limit };
        let asked = parts.iter().flat_map(|part| queries.iter().map(move |query| (part, query)));
        let answers = asked.map(async |(part, query)| {
            let hits = self.ask_part(part, query, depth).await?;
            Ok::<_, Error>(hits.map(|hits| Answered { part: part.reference(), mode: query.mode(), hits }))
        });
        let answered: Vec<_> = try_join_all(answers).await?.into_iter().flatten().collect();
        if answered.is_empty() {
            let modes: Vec<&str> = queries.iter().map(|query| query.mode().name()).collect();
            return Err(Error::invalid(format!("no part of {key} answers {} queries", modes.join(" or "))));
        }
        let mut parts: Vec<String> = answered.iter().map(|answered| answered.part.to_string()).collect();
        parts.dedup();
        Ok(SearchAnswer { index: index.reference().to_string(), parts, hits: fuse(answered, limit as usize) })
    }

    /// The index versions behind a version that is asked.
    async fn parts(&self, index: &Arc<Version>) -> Result<Vec<Arc<Version>>, Error> {
        if index.key.resource_type != ResourceType::search() {
            return Ok(vec![Arc::clone(index)]);
        }
        let content = self.content(index).await?;
        let pins: Pins = serde_json::from_slice(&content).map_err(|error| {
            let what = index.reference().to_string();
            floret_store::Error::Integrity { what, problem: format!("not a search index: {error}") }
        })?;
        let mut parts = Vec::with_capacity(pins.parts.len());
        for pin in pins.parts {
            if pin.version.key.resource_type == ResourceType::corpus() {
                continue;
            }
            let part = self.catalog.version(&pin.version).await?;
            parts.push(part.ok_or_else(|| Error::not_found(&pin.version))?);
        }
        Ok(parts)
    }

    /// Answers of one part; `None` where it does not answer such questions.
    async fn ask_part(
        &self,
        part: &Arc<Version>,
        query: &Query,
        limit: u32,
    ) -> Result<Option<Vec<Hit>>, Error> {
        let open = self.searcher(part).await?;
        if !open.searcher.modes().contains(&query.mode()) {
            return Ok(None);
        }
        let hits = open.searcher.search(query.clone(), limit);
        let hits = match &open.bound {
            Some(bound) => self.guarded(bound, hits).await?,
            None => hits.await?,
        };
        Ok(Some(hits))
    }

    /// An index, opened by the very component that built it; the most recently used ones stay open.
    async fn searcher(&self, index: &Version) -> Result<Arc<OpenIndex>, Error> {
        let component = index.build.as_ref().and_then(|build| build.component.as_ref());
        let Some(component) = component.filter(|component| component.contract.starts_with("floret:index@"))
        else {
            let expected =
                "expected a trie, a semantic index, a search index or what another index component built";
            return Err(Error::invalid(format!("{} cannot be searched: {expected}", index.key)));
        };
        let name = Digest::of(&[index.data_hash.as_bytes().as_slice(), component.digest.as_bytes()].concat());
        {
            let mut open = self.bindings_in_use.searchers.lock();
            if let Some(place) = open.iter().position(|(digest, _)| *digest == name) {
                let found = open.remove(place);
                open.push(found.clone());
                return Ok(found.1);
            }
        }
        // Within the limits of what is bound, as long as that is what built it.
        let bound = self.bound(index.key.resource_type.as_str()).await.ok();
        let bound = bound.filter(|bound| bound.component.digest() == component.digest);
        let input = self.input("index", index).await?;
        let searcher = match &bound {
            Some(bound) => self.guarded(bound, bound.component.open_index(input)).await?,
            None => {
                let plugin = self.catalog.version(&component.plugin).await?;
                let plugin = plugin.ok_or_else(|| Error::not_found(&component.plugin))?;
                self.component(&plugin).await?.open_index(input).await?
            }
        };
        let opened = Arc::new(OpenIndex { searcher, bound });
        let mut open = self.bindings_in_use.searchers.lock();
        if open.len() >= self.options.open_indexes_max.max(1) {
            open.remove(0);
        }
        open.push((name, Arc::clone(&opened)));
        Ok(opened)
    }

    /// Put a composite search index together: no component, only pins, all built from one corpus content.
    pub(crate) fn compose(&self, job: &Job<'_>) -> Result<Output, Error> {
        check_one_corpus(job)?;
        let parts = job.inputs.iter();
        let pins = Pins {
            format: FORMAT.to_owned(),
            parts: parts
                .map(|part| Pin { version: part.version.reference(), digest: part.version.data_hash })
                .collect(),
        };
        let content = canonical_json(&serde_json::to_value(pins).expect("pins have string keys"));
        let digest = Digest::of(&content);
        let (location, inline) = self.blobs.inline(&content.into(), digest, Codec::NONE)?;
        Ok(Output {
            digest,
            location,
            inline: Some(inline),
            policy: None,
            figures: Figures::None,
            from_memo: false,
            build_time_ms: 0.0,
        })
    }
}

/// M17: parts that know different corpora must not answer together.
fn check_one_corpus(job: &Job<'_>) -> Result<(), Error> {
    let mut corpora: BTreeMap<Digest, String> = BTreeMap::new();
    for part in job.inputs {
        let version = &part.version;
        if version.key.resource_type == ResourceType::corpus() {
            corpora.insert(version.data_hash, version.reference().to_string());
            continue;
        }
        let Some(build) = &version.build else {
            return Err(Error::invalid(format!(
                "{} cannot be a part of {}: it is not an index",
                version.key, job.key
            )));
        };
        for input in build.inputs.iter().filter(|input| input.role == "corpus") {
            corpora.insert(input.digest, input.version.to_string());
        }
    }
    if corpora.len() > 1 {
        let named: Vec<String> = corpora.into_values().collect();
        return Err(Error::invalid(format!(
            "the parts of {} are built from different corpora ({}); run `floret cascade` on the corpus first",
            job.key,
            named.join(", "),
        )));
    }
    Ok(())
}

/// An index that waits for questions.
pub(crate) struct OpenIndex {
    searcher: Searcher,
    /// What its component is bound to, if it still is.
    bound: Option<Arc<Bound>>,
}

/// What one part answered to one question.
struct Answered {
    part: VersionRef,
    mode: Mode,
    hits: Vec<Hit>,
}

/// Reciprocal rank fusion. One part's answer stays as it is, with its own scores.
fn fuse(answered: Vec<Answered>, limit: usize) -> Vec<SearchHit> {
    let alone = answered.len() == 1;
    let mut merged: BTreeMap<String, SearchHit> = BTreeMap::new();
    for Answered { part, mode, hits } in answered {
        for (rank, hit) in (1u32..).zip(hits) {
            let gain = if alone { f64::from(hit.score) } else { 1.0 / (FUSION_K + f64::from(rank)) };
            let entry = merged.entry(hit.word.clone()).or_insert_with(|| SearchHit {
                word: hit.word,
                frequency: 0,
                distance: None,
                score: 0.0,
                ranks: BTreeMap::new(),
            });
            entry.frequency = entry.frequency.max(hit.frequency);
            if mode == Mode::Fuzzy {
                entry.distance = Some(hit.distance);
            }
            entry.score += gain;
            entry.ranks.insert(part.key.to_string(), rank);
        }
    }
    let mut hits: Vec<SearchHit> = merged.into_values().collect();
    if alone {
        hits.sort_by_key(|hit| hit.ranks.values().copied().min());
    } else {
        hits.sort_by(|one, two| two.score.total_cmp(&one.score).then_with(|| one.word.cmp(&two.word)));
    }
    hits.truncate(limit);
    hits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(word: &str, score: f32) -> Hit {
        Hit { word: word.to_owned(), frequency: 1, distance: 0, score }
    }

    fn part(text: &str, mode: Mode, hits: Vec<Hit>) -> Answered {
        let part = VersionRef { key: text.parse().expect("a key"), seq: floret_model::Seq::FIRST };
        Answered { part, mode, hits }
    }

    #[test]
    fn m17_answers_are_merged_by_reciprocal_rank() {
        let trie = vec![hit("union", 1.0), hit("unions", 0.5)];
        let semantic = vec![hit("unions", 0.9), hit("reunion", 0.8)];
        let hits =
            fuse(vec![part("trie/t", Mode::Fuzzy, trie), part("semantic/s", Mode::Semantic, semantic)], 2);
        let words: Vec<&str> = hits.iter().map(|hit| hit.word.as_str()).collect();
        assert_eq!(words, ["unions", "union"]);
        assert!((hits[0].score - (1.0 / 62.0 + 1.0 / 61.0)).abs() < 1e-12);
        assert_eq!((hits[0].ranks.len(), hits[0].distance), (2, Some(0)));
    }

    #[test]
    fn m17_one_part_keeps_its_own_order_and_scores() {
        let hits = fuse(vec![part("trie/t", Mode::Prefix, vec![hit("b", 0.1), hit("a", 0.1)])], 10);
        assert_eq!((hits[0].word.as_str(), hits[0].score), ("b", f64::from(0.1f32)));
    }
}
