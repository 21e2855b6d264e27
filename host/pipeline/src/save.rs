//! Saving: content → digest → equal to the latest? → policy → blob → publish → cache.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use floret_model::{
    Bump, Codec, Digest, LiteratureMetadata, LiteratureStatistics, Metadata, ResourceKey, ResourceType, Seq,
    TypedMetadata, Version,
};
use floret_runtime::Input;
use floret_store::{Draft, IfUnchanged, Outcome, Precondition, Publish};
use futures::future::try_join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Map;
use tracing::{Instrument, trace_span};

use crate::content::{Held, is_short};
use crate::meters;
use crate::plugins::POLICY_BINDING;
use crate::policy::{Decision, Facts, SAMPLE_BYTES};
use crate::publish::NewHead;
use crate::retention::RETENTION_BINDING;
use crate::{Content, Error, Floret};

/// Dictionary entries stay inline (M9) up to this; larger ones are stored as blobs.
const DICTIONARY_INLINE_BYTES_MAX: usize = 1 << 20;

/// What must be true of the latest version for a save to go through.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IfLatest {
    /// There is none.
    Absent,
    /// It has this seq.
    Seq(Seq),
}

/// One thing to save.
#[derive(Clone, Debug)]
pub struct SaveRequest {
    /// As which resource.
    pub key: ResourceKey,
    /// Its content.
    pub content: Content,
    /// Media type of bytes; by default `text/plain` for literature, else `application/octet-stream`. JSON is
    /// `application/json`.
    pub media_type: Option<String>,
    /// Typed metadata must be that of the resource's type, or none.
    pub metadata: Metadata,
    /// Tags keep the version from cleanup.
    pub tags: BTreeSet<String>,
    /// How long it is visible, in milliseconds.
    pub ttl_ms: Option<u64>,
    /// How the semantic version grows.
    pub bump: Bump,
    /// A conflict is an error then; without it, the save follows whatever is there.
    pub if_latest: Option<IfLatest>,
}

impl SaveRequest {
    /// A save with nothing but a content.
    pub fn new(key: ResourceKey, content: impl Into<Content>) -> Self {
        Self {
            key,
            content: content.into(),
            media_type: None,
            metadata: Metadata::default(),
            tags: BTreeSet::new(),
            ttl_ms: None,
            bump: Bump::default(),
            if_latest: None,
        }
    }
}

/// What became of a save.
#[derive(Clone, Debug)]
pub struct Saved {
    /// The version, new or old.
    pub version: Arc<Version>,
    /// Whether it is new. If not, content, metadata and the rest equal the latest version's.
    pub is_new: bool,
}

fn saved(outcome: &Outcome) -> Saved {
    let is_new = matches!(outcome, Outcome::Appended(_));
    Saved { version: Arc::clone(outcome.version()), is_new }
}

/// A save with its content in its final form. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Hashed {
    request: SaveRequest,
    content: Held,
    /// Its first bytes, for the policy.
    sample: Bytes,
    digest: Digest,
    media_type: String,
}

impl Floret {
    /// Save one version, durably. Cascades are the caller's next step, so that no plugin can lose a save.
    ///
    /// # Errors
    /// [`Error::Conflict`] only with `if_latest`; [`Error::InvalidRequest`] for types that are built, content
    /// that its type does not allow, or metadata of another type.
    pub async fn save(&self, request: SaveRequest) -> Result<Saved, Error> {
        self.check_saved_by_people(&request.key).await?;
        self.save_any(request).await
    }

    pub(crate) async fn save_any(&self, request: SaveRequest) -> Result<Saved, Error> {
        let began = Instant::now();
        let span = trace_span!(target: "floret::span", "save", floret.resource = %request.key);
        let saved = self.save_one(request).instrument(span).await;
        meters::saved(saved.as_ref().map(std::iter::once).map_err(|_| 1), began.elapsed());
        saved
    }

    async fn save_one(&self, request: SaveRequest) -> Result<Saved, Error> {
        let hashed = self.hash(request).await?;
        if let Some(version) = self.unchanged(&hashed).await? {
            return Ok(Saved { version, is_new: false });
        }
        let head = self.new_head(&hashed);
        let draft = self.drafts(vec![hashed]).await?.remove(0);
        let publish = Publish { id: self.publish_id(), at: self.now(), drafts: vec![draft], report: None };
        let outcome = self.publish(publish, vec![head]).await.map_err(Error::told)?.remove(0);
        Ok(saved(&outcome))
    }

    /// Save several versions at once: all of them, or none.
    ///
    /// # Errors
    /// The first that fails, as for [`save`](Self::save); nothing of the batch is visible then.
    pub async fn save_batch(&self, requests: Vec<SaveRequest>) -> Result<Vec<Saved>, Error> {
        let (began, count) = (Instant::now(), requests.len() as u64);
        let span = trace_span!(target: "floret::span", "save batch", floret.versions = count.cast_signed());
        let saved = self.save_together(requests).instrument(span).await;
        meters::saved(saved.as_ref().map(|saved| saved.iter()).map_err(|_| count), began.elapsed());
        saved
    }

    async fn save_together(&self, requests: Vec<SaveRequest>) -> Result<Vec<Saved>, Error> {
        for request in &requests {
            self.check_saved_by_people(&request.key).await?;
        }
        let hashed = self.hash_all(requests).await?;
        let heads = hashed.iter().map(|hashed| self.new_head(hashed)).collect();
        let drafts = self.drafts(hashed).await?;
        let publish = Publish { id: self.publish_id(), at: self.now(), drafts, report: None };
        let outcomes = self.publish(publish, heads).await.map_err(Error::told)?;
        Ok(outcomes.iter().map(saved).collect())
    }

    /// Save several versions, each by itself: a result for each, in order, at most `concurrency_max` at once.
    pub async fn save_each(
        &self,
        requests: Vec<SaveRequest>,
        concurrency_max: usize,
    ) -> Vec<Result<Saved, Error>> {
        use futures::StreamExt;
        let saves = requests.into_iter().map(|request| self.save(request));
        futures::stream::iter(saves).buffered(concurrency_max.max(1)).collect().await
    }

    /// Requests of a [`Change`](crate::Change), checked and in their final form, for [`drafts`](Self::drafts).
    pub(crate) async fn hash_change(&self, requests: Vec<SaveRequest>) -> Result<Vec<Hashed>, Error> {
        for request in &requests {
            self.check_saved_by_people(&request.key).await?;
        }
        self.hash_all(requests).await
    }

    /// What the cache is told of a save, with a ticket of now.
    fn new_head(&self, hashed: &Hashed) -> NewHead {
        let content = match &hashed.content {
            Held::Memory(bytes) => Some(bytes.clone()),
            Held::File(_) => None,
        };
        NewHead { content, ticket: self.head_ticket(&hashed.request.key) }
    }

    /// Types that a component or the host makes are not saved by people.
    async fn check_saved_by_people(&self, key: &ResourceKey) -> Result<(), Error> {
        self.check_namespace(&key.namespace)?;
        let name = key.resource_type.as_str();
        if name == "dictionary"
            || name == "literature"
            || self.options.extra_types.contains(&key.resource_type)
        {
            return Ok(());
        }
        let remedy = match name {
            "corpus" => "a corpus is built from texts: use `floret corpus create`",
            "plugin" => "use `floret plugin install`",
            "binding" => "use `floret plugin bind`",
            "breaker" => "use `floret plugin reset`",
            "search" => "use `floret build`",
            _ => {
                let bindings = self.binding_versions().await?;
                let ids = bindings.iter().map(|version| version.key.resource_id.to_string());
                let bound: Vec<String> =
                    ids.filter(|id| ![POLICY_BINDING, RETENTION_BINDING].contains(&id.as_str())).collect();
                if !bound.iter().any(|id| id == name) {
                    let extra = self.options.extra_types.iter().map(ToString::to_string);
                    let known = ResourceType::BUILT_IN.iter().map(ToString::to_string).chain(extra);
                    let known = known.chain(bound).collect::<BTreeSet<_>>().into_iter().collect();
                    return Err(Error::UnknownType { got: name.to_owned(), known });
                }
                "a component makes it: use `floret build`"
            }
        };
        Err(Error::invalid(format!("{key} cannot be saved as it is; {remedy}")))
    }

    /// Bring a content into its final form: here if it is short, else away from the async worker threads.
    async fn hash(&self, request: SaveRequest) -> Result<Hashed, Error> {
        if is_short([&request.content]) {
            return hash(request).map(|(hashed, _)| hashed);
        }
        let (hashed, given) = blocking(move || hash(request)).await?;
        // Freeing a large JSON value takes as long as writing it, and nobody needs to wait for that.
        drop(tokio::task::spawn_blocking(move || drop(given)));
        Ok(hashed)
    }

    async fn hash_all(&self, requests: Vec<SaveRequest>) -> Result<Vec<Hashed>, Error> {
        let all =
            |requests: Vec<SaveRequest>| requests.into_iter().map(|request| Ok(hash(request)?.0)).collect();
        if is_short(requests.iter().map(|request| &request.content)) {
            return all(requests);
        }
        blocking(move || all(requests)).await
    }

    /// The latest version, if the request says nothing new. What a component derives is not compared: it
    /// follows from the content.
    async fn unchanged(&self, hashed: &Hashed) -> Result<Option<Arc<Version>>, Error> {
        let request = &hashed.request;
        if request.if_latest.is_some() {
            return Ok(None);
        }
        let head = match self.latest(&request.key).await {
            Ok(head) => head,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        if !says_nothing_new(hashed, &head) {
            return Ok(None);
        }
        if !self.shared {
            return Ok(Some(head));
        }
        // The answer is that this is the latest version: on the word of the catalog, not of the cache.
        let head = self.head(&request.key).await?;
        Ok(head.filter(|head| !head.is_expired(self.now()) && says_nothing_new(hashed, head)))
    }

    pub(crate) async fn drafts(&self, hashed: Vec<Hashed>) -> Result<Vec<Draft>, Error> {
        let mut complete = Vec::with_capacity(hashed.len());
        for hashed in hashed {
            let mut metadata = hashed.request.metadata.clone();
            if hashed.request.key.resource_type == ResourceType::literature() {
                let statistics = self.analyze(&hashed).await?;
                metadata.typed = TypedMetadata::Literature(literature(&hashed, Some(statistics)));
            }
            complete.push((hashed, metadata));
        }
        let facts: Vec<Facts<'_>> = complete
            .iter()
            .map(|(hashed, metadata)| Facts {
                key: &hashed.request.key,
                media_type: &hashed.media_type,
                metadata,
                size_bytes: hashed.content.size_bytes(),
                sample: &hashed.sample,
            })
            .collect();
        let decisions = self.decide(&facts).await?;
        let drafts = complete.into_iter().zip(decisions);
        try_join_all(drafts.map(|((hashed, metadata), decision)| self.draft(hashed, metadata, decision)))
            .await
    }

    async fn draft(&self, hashed: Hashed, metadata: Metadata, decision: Decision) -> Result<Draft, Error> {
        let Hashed { request, content, digest, media_type, .. } = hashed;
        let (codec, policy) = decision;
        let inline_bytes_max = match request.key.resource_type.as_str() {
            "dictionary" => DICTIONARY_INLINE_BYTES_MAX.max(self.options.inline_bytes_max),
            _ => self.options.inline_bytes_max,
        };
        let (content_location, content_inline) = match content {
            Held::Memory(bytes) if bytes.len() <= inline_bytes_max => {
                let (location, stored) = self.blobs.inline(&bytes, digest, inline_codec(codec))?;
                (location, Some(stored))
            }
            Held::Memory(bytes) => (self.blobs.put(bytes, digest, codec).await?, None),
            Held::File(file) => (self.blobs.put_file(&file, codec).await?, None),
        };
        let precondition = match request.if_latest {
            None => Precondition::Any,
            Some(IfLatest::Absent) => Precondition::Absent,
            Some(IfLatest::Seq(seq)) => Precondition::Latest(seq),
        };
        Ok(Draft {
            key: request.key,
            bump: request.bump,
            precondition,
            if_unchanged: IfUnchanged::Deduplicate,
            data_hash: digest,
            media_type,
            content_location,
            content_inline,
            dependencies: Vec::new(),
            metadata,
            tags: request.tags,
            ttl_ms: request.ttl_ms,
            spec: None,
            build: None,
            policy,
        })
    }

    async fn analyze(&self, hashed: &Hashed) -> Result<LiteratureStatistics, Error> {
        let bound = self.bound("literature").await?;
        let config = bound.config_with(&Map::new())?.to_string();
        let document = Input {
            role: "document".to_owned(),
            digest: hashed.digest,
            media_type: hashed.media_type.clone(),
            bytes: hashed.content.input_bytes(),
        };
        let figures = self.guarded(&bound, bound.component.analyze(document, &config)).await?;
        Ok(LiteratureStatistics {
            word_count: figures.word_count,
            unique_words: figures.unique_words,
            sentence_count: figures.sentence_count,
            readability_score: figures.readability_score,
            readability_formula: figures.readability_formula,
        })
    }
}

/// The content in its final form, and as it was given.
fn hash(mut request: SaveRequest) -> Result<(Hashed, Content), Error> {
    let is_json = matches!(request.content, Content::Json(_));
    let text = request.key.resource_type == ResourceType::literature();
    let media_type = match (&request.media_type, is_json) {
        (Some(media_type), false) => media_type.clone(),
        (None, false) if text => "text/plain; charset=utf-8".to_owned(),
        (None, false) => "application/octet-stream".to_owned(),
        (_, true) => "application/json".to_owned(),
    };
    let typed = request.metadata.typed.resource_type();
    if let Some(typed) = typed.filter(|typed| *typed != request.key.resource_type) {
        return Err(Error::invalid(format!("{} was given metadata of a {typed}", request.key)));
    }
    let given = std::mem::replace(&mut request.content, Content::Bytes(Bytes::new()));
    let content = Held::of(&given);
    if text {
        content.check_utf8(&request.key)?;
    }
    let (digest, sample) = (content.digest(), content.sample(SAMPLE_BYTES)?);
    Ok((Hashed { request, content, sample, digest, media_type }, given))
}

/// The finest compressions are too slow for an async worker thread; small contents gain nothing by them.
pub(crate) fn inline_codec(codec: Codec) -> Codec {
    Codec { level: codec.level.min(3), ..codec }
}

/// The literature fields of a request, completed by what follows from the text.
fn literature(hashed: &Hashed, statistics: Option<LiteratureStatistics>) -> LiteratureMetadata {
    let given = match &hashed.request.metadata.typed {
        TypedMetadata::Literature(given) => given.clone(),
        _ => LiteratureMetadata {
            title: hashed.request.key.resource_id.to_string(),
            authors: Vec::new(),
            publication_year: None,
            genres: BTreeSet::new(),
            source: None,
            text_hash: None,
            text_size_bytes: 0,
            statistics: None,
        },
    };
    let text_size_bytes = hashed.content.size_bytes();
    LiteratureMetadata { text_hash: Some(hashed.digest), text_size_bytes, statistics, ..given }
}

fn says_nothing_new(hashed: &Hashed, head: &Version) -> bool {
    let request = &hashed.request;
    head.data_hash == hashed.digest
        && head.media_type == hashed.media_type
        && head.dropped_at.is_none()
        && head.tags == request.tags
        && head.ttl_ms == request.ttl_ms
        && head.metadata.custom == request.metadata.custom
        && head.metadata.typed == with_statistics_of(hashed, &head.metadata.typed)
}

/// The typed metadata that a request would get, its statistics taken from the version before.
fn with_statistics_of(hashed: &Hashed, head: &TypedMetadata) -> TypedMetadata {
    match head {
        TypedMetadata::Literature(head) => {
            TypedMetadata::Literature(literature(hashed, head.statistics.clone()))
        }
        _ => hashed.request.metadata.typed.clone(),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
