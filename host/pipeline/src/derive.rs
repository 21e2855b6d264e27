//! Deriving one resource from its inputs: recipe, memo, component, metadata.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use floret_model::{
    BuildRecord, BuildSpec, Bump, Codec, ComponentRef, ContentLocation, CorpusType, Dependency, Digest, Memo,
    Metadata, Namespace, PolicyDecision, Recipe, RecordedInput, ResourceKey, ResourceType, Seq, SpecInput,
    TypedMetadata, Version,
};
use floret_runtime::{ContractKind, Input};
use floret_store::{Claim, Draft, IfUnchanged, Precondition};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cascade::Overlay;
use crate::figures::Figures;
use crate::lease::Turn;
use crate::observe::{Phase, timed};
use crate::plugins::Bound;
use crate::policy::{Facts, SAMPLE_BYTES};
use crate::{Error, Floret, describe};

/// How long a writer may take from storing a blob to publishing what refers to it.
const BLOB_LEASE_MS: u64 = 60 * 60 * 1000;

/// What is to be derived.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DerivedSpec {
    /// As which resource.
    pub key: ResourceKey,
    /// From what, and how.
    pub spec: BuildSpec,
    /// For a corpus: what sort; as before, or base, if absent.
    #[serde(default)]
    pub corpus_type: Option<CorpusType>,
    /// For a corpus: its dialect; as before if absent.
    #[serde(default)]
    pub dialect: Option<String>,
    /// How its semantic version grows.
    #[serde(default)]
    pub bump: Bump,
    /// The latest version that the inputs were worked out from, where they were: another one is a lost race.
    #[serde(skip)]
    pub(crate) follows: Option<Seq>,
}

impl DerivedSpec {
    /// A build from inputs of one role (`corpus` for an index, `part` for a composite search index), with the
    /// binding's configuration as it is.
    pub fn new(key: ResourceKey, role: &str, inputs: impl IntoIterator<Item = ResourceKey>) -> Self {
        let inputs = inputs.into_iter().map(|key| SpecInput { role: role.to_owned(), key }).collect();
        let spec = BuildSpec { inputs, config: serde_json::Map::new() };
        Self { key, spec, corpus_type: None, dialect: None, bump: Bump::Patch, follows: None }
    }

    /// An index of a corpus: a trie, a semantic index, or whatever a component is bound to.
    pub fn index(key: ResourceKey, corpus: ResourceKey) -> Self {
        Self::new(key, "corpus", [corpus])
    }

    /// A composite search index over a corpus and indexes of it.
    pub fn search(key: ResourceKey, parts: impl IntoIterator<Item = ResourceKey>) -> Self {
        Self::new(key, "part", parts)
    }

    /// The same with members over those of the binding's configuration.
    #[must_use]
    pub fn with_config(mut self, config: serde_json::Map<String, Value>) -> Self {
        self.spec.config = config;
        self
    }
}

/// What came of deriving a resource.
pub(crate) enum Derived {
    /// It is up to date: its recipe is that of its latest version.
    Unchanged { recipe: Digest },
    /// There is a new version to publish.
    Made(Box<Made>),
}

pub(crate) struct Made {
    pub draft: Draft,
    /// The latest version that it follows.
    pub head: Option<Arc<Version>>,
    pub from_memo: bool,
    /// Whether anything that readers see differs from the version before.
    pub changed: bool,
}

/// An input with the version that it stands for now.
pub(crate) struct Resolved {
    pub role: String,
    pub version: Arc<Version>,
}

/// A build's result, made or remembered.
pub(crate) struct Output {
    pub digest: Digest,
    pub location: ContentLocation,
    pub inline: Option<Bytes>,
    pub policy: Option<PolicyDecision>,
    pub figures: Figures,
    pub from_memo: bool,
    pub build_time_ms: f64,
}

/// Everything that a derivation knows before it runs.
pub(crate) struct Job<'a> {
    pub key: &'a ResourceKey,
    pub inputs: &'a [Resolved],
    pub config: Value,
    /// `None` for what the host itself puts together.
    pub bound: Option<Arc<Bound>>,
    pub profile: String,
}

impl Job<'_> {
    /// The name of the whole derivation. A corpus of corpora is named as a whole, too: its merge tree's nodes
    /// have names of their own.
    pub fn recipe(&self) -> Digest {
        let inputs: Vec<(&str, Digest)> =
            self.inputs.iter().map(|input| (input.role.as_str(), input.version.data_hash)).collect();
        let (contract, component) = match &self.bound {
            Some(bound) => (bound.component.contract().to_string(), bound.component.digest()),
            None => ("floret:search@0.1.0".to_owned(), Digest::of(b"")),
        };
        let function = match self.inputs.iter().any(|input| input.role == "corpus") {
            true if self.key.resource_type == ResourceType::corpus() => "aggregate",
            _ => "build",
        };
        let recipe = Recipe {
            contract: &contract,
            function,
            component,
            config: &self.config,
            inputs: &inputs,
            profile: &self.profile,
        };
        recipe.digest()
    }
}

impl Floret {
    /// Bring one derived resource up to date, with the versions in `overlay` before those that are committed.
    pub(crate) async fn derive(
        &self,
        key: &ResourceKey,
        asked: Option<DerivedSpec>,
        overlay: &Overlay,
    ) -> Result<Derived, Error> {
        let head = self.head(key).await?;
        check_follows(key, asked.as_ref(), head.as_deref())?;
        let spec = match (&asked, &head) {
            (Some(asked), _) => asked.spec.clone(),
            (None, Some(head)) => head
                .spec
                .clone()
                .ok_or_else(|| Error::invalid(format!("{key} is not built from anything")))?,
            (None, None) => return Err(Error::not_found(key)),
        };
        let inputs = timed(Phase::Load, self.resolve_inputs(key, &spec, overlay)).await?;
        let bound = match key.resource_type == ResourceType::search() {
            true => None,
            false => Some(self.bound(key.resource_type.as_str()).await?),
        };
        let config = match &bound {
            Some(bound) => bound.config_with(&spec.config)?,
            None => Value::Object(spec.config.clone()),
        };
        let profile = match &bound {
            Some(bound) => bound.component.profile(),
            None => self.runtime.profile().to_owned(),
        };
        let job = Job { key, inputs: &inputs, config, bound, profile };
        let recipe = job.recipe();
        let asked = asked.unwrap_or_else(|| DerivedSpec {
            key: key.clone(),
            spec: spec.clone(),
            corpus_type: None,
            dialect: None,
            bump: Bump::Patch,
            follows: None,
        });
        if let Some(head) = &head
            && self.is_current(head, &asked, &job, recipe)
        {
            return Ok(Derived::Unchanged { recipe });
        }
        let output = self.output(&job, recipe, false).await?;
        self.made(asked, job, recipe, output, head).await
    }

    /// Whether the latest version is what this derivation would make, but for its inputs' version numbers.
    fn is_current(&self, head: &Version, asked: &DerivedSpec, job: &Job<'_>, recipe: Digest) -> bool {
        let same_build = head.build.as_ref().is_some_and(|build| build.recipe == recipe);
        if !same_build || head.spec.as_ref() != Some(&asked.spec) || head.dropped_at.is_some() {
            return false;
        }
        // A corpus aggregates what its texts and children say of themselves, which is not in the recipe.
        match Figures::of_corpus(&head.metadata.typed) {
            Some(figures) => describe::corpus(asked, job, &figures, Some(head)) == head.metadata.typed,
            None => true,
        }
    }

    async fn resolve_inputs(
        &self,
        key: &ResourceKey,
        spec: &BuildSpec,
        overlay: &Overlay,
    ) -> Result<Vec<Resolved>, Error> {
        let keys: Vec<ResourceKey> = spec.inputs.iter().map(|input| input.key.clone()).collect();
        let heads = self.catalog.heads(&keys).await?;
        let now = self.now();
        let overlay = overlay.lock();
        let mut resolved = Vec::with_capacity(keys.len());
        for (input, head) in spec.inputs.iter().zip(heads) {
            let version =
                overlay.get(&input.key).cloned().or(head).filter(|version| !version.is_expired(now));
            let Some(version) = version else {
                let hint = Some(format!("{key} is built from it; save or build it first"));
                return Err(Error::NotFound { what: input.key.to_string(), hint });
            };
            resolved.push(Resolved { role: input.role.clone(), version });
        }
        Ok(resolved)
    }

    /// The result of a job: remembered, or made and remembered, by whoever is first to want it. With `afresh` nothing
    /// is read from memos, and nothing is written.
    pub(crate) async fn output(&self, job: &Job<'_>, recipe: Digest, afresh: bool) -> Result<Output, Error> {
        if job.bound.is_none() {
            return self.compose(job);
        }
        if afresh {
            return self.output_afresh(job, recipe).await;
        }
        let held = match self.turn(&recipe).await? {
            Turn::Made(output) => return Ok(*output),
            Turn::Ours(held) => held,
        };
        let output = self.build_and_remember(job, recipe).await;
        held.end().await;
        output
    }

    async fn build_and_remember(&self, job: &Job<'_>, recipe: Digest) -> Result<Output, Error> {
        let started = Instant::now();
        let (bytes, digest, figures) = self.build(job, recipe, false).await?;
        let build_time_ms = started.elapsed().as_secs_f64() * 1e3;
        let (location, policy) = self.put_output(job.key, bytes, digest, &figures).await?;
        let output =
            Output { digest, location, inline: None, policy, figures, from_memo: false, build_time_ms };
        self.remember(recipe, &output).await?;
        Ok(output)
    }

    async fn output_afresh(&self, job: &Job<'_>, recipe: Digest) -> Result<Output, Error> {
        let started = Instant::now();
        let (_, digest, figures) = self.build(job, recipe, true).await?;
        let build_time_ms = started.elapsed().as_secs_f64() * 1e3;
        let (location, inline) = self.blobs.inline(&Bytes::new(), Digest::of(b""), Codec::NONE)?;
        Ok(Output {
            digest,
            location,
            inline: Some(inline),
            policy: None,
            figures,
            from_memo: false,
            build_time_ms,
        })
    }

    async fn build(
        &self,
        job: &Job<'_>,
        recipe: Digest,
        afresh: bool,
    ) -> Result<(Bytes, Digest, Figures), Error> {
        match job.key.resource_type == ResourceType::corpus() {
            true => self.build_corpus(job, recipe, afresh).await,
            false => self.build_index(job).await,
        }
    }

    async fn build_index(&self, job: &Job<'_>) -> Result<(Bytes, Digest, Figures), Error> {
        let bound = job.bound.as_ref().expect("an index has a component");
        debug_assert_eq!(bound.component.contract().kind, ContractKind::Index);
        let mut inputs = Vec::with_capacity(job.inputs.len());
        for input in job.inputs {
            inputs.push(self.input(&input.role, &input.version).await?);
        }
        let config = job.config.to_string();
        let call = timed(Phase::Build, bound.component.build_index(inputs, &config));
        let built = self.guarded(bound, call).await?;
        let figures = Figures::of_index(built.statistics);
        Ok((built.bytes, built.digest, figures))
    }

    /// A version as an input of a component.
    pub(crate) async fn input(&self, role: &str, version: &Version) -> Result<Input, Error> {
        Ok(Input {
            role: role.to_owned(),
            digest: version.data_hash,
            media_type: version.media_type.clone(),
            bytes: timed(Phase::Load, self.input_bytes(role, version)).await?,
        })
    }

    /// The output of this recipe, if it was made before and is still stored.
    pub(crate) async fn remembered(&self, recipe: &Digest) -> Result<Option<Output>, Error> {
        let Some(memo) = self.catalog.memos(std::slice::from_ref(recipe)).await?.pop().flatten() else {
            return Ok(None);
        };
        let lease_until = self.now().plus_ms(BLOB_LEASE_MS);
        let Claim::Present(record) = self.catalog.claim_blob(&memo.output, lease_until).await? else {
            return Ok(None);
        };
        let Ok(figures) = serde_json::from_value(memo.statistics) else { return Ok(None) };
        Ok(Some(Output {
            digest: memo.output,
            location: record.location,
            inline: None,
            policy: None,
            figures,
            from_memo: true,
            build_time_ms: memo.build_time_ms,
        }))
    }

    pub(crate) async fn remember(&self, recipe: Digest, output: &Output) -> Result<(), Error> {
        let memo = Memo {
            recipe,
            output: output.digest,
            output_bytes: output.location.size_bytes,
            statistics: serde_json::to_value(&output.figures)
                .expect("figures have string keys and finite numbers"),
            build_time_ms: output.build_time_ms,
            created_at: self.now(),
        };
        Ok(timed(Phase::Store, self.catalog.put_memo(&memo)).await?)
    }

    /// Store what a component wrote, as the policy says, and keep it at hand for what is built from it.
    pub(crate) async fn put_output(
        &self,
        key: &ResourceKey,
        bytes: Bytes,
        digest: Digest,
        figures: &Figures,
    ) -> Result<(ContentLocation, Option<PolicyDecision>), Error> {
        let metadata = figures.as_policy_sees_them();
        let facts = Facts {
            key,
            media_type: "",
            metadata: &metadata,
            size_bytes: bytes.len() as u64,
            sample: &bytes[..bytes.len().min(SAMPLE_BYTES)],
        };
        let (codec, policy) = self.decide(&[facts]).await?.pop().expect("one answer for one content");
        let location = timed(Phase::Store, self.blobs.put(bytes.clone(), digest, codec)).await?;
        self.keep_at_hand(&key.namespace, &digest, bytes).await?;
        Ok((location, policy))
    }

    pub(crate) async fn keep_at_hand(
        &self,
        namespace: &Namespace,
        digest: &Digest,
        bytes: Bytes,
    ) -> Result<(), Error> {
        let cache = self.cache.namespace(namespace.as_str())?;
        let key = crate::read::content_key(digest);
        cache.put(&key, crate::Cached::Content(bytes), floret_cache::PutOptions::default()).await;
        Ok(())
    }

    async fn made(
        &self,
        asked: DerivedSpec,
        job: Job<'_>,
        recipe: Digest,
        output: Output,
        head: Option<Arc<Version>>,
    ) -> Result<Derived, Error> {
        let typed = describe::describe(&asked, &job, &output.figures, head.as_deref())?;
        let custom = head.as_ref().map(|head| head.metadata.custom.clone()).unwrap_or_default();
        let metadata = Metadata { typed, custom: output.figures.extra(custom) };
        let changed =
            head.as_ref().is_none_or(|head| head.data_hash != output.digest || head.metadata != metadata);
        let media_type = match &job.bound {
            Some(bound) => bound.component.description().output_media_type.clone(),
            None => "application/json".to_owned(),
        };
        let draft = Draft {
            key: asked.key,
            bump: asked.bump,
            precondition: Precondition::Any,
            if_unchanged: IfUnchanged::Append,
            data_hash: output.digest,
            media_type,
            dependencies: dependencies(&job),
            metadata,
            tags: head.as_ref().map(|head| head.tags.clone()).unwrap_or_default(),
            ttl_ms: None,
            spec: Some(asked.spec),
            build: Some(record(&job, recipe, &output)),
            policy: output.policy,
            content_location: output.location,
            content_inline: output.inline,
        };
        Ok(Derived::Made(Box::new(Made { draft, head, from_memo: output.from_memo, changed })))
    }
}

fn check_follows(
    key: &ResourceKey,
    asked: Option<&DerivedSpec>,
    head: Option<&Version>,
) -> Result<(), Error> {
    let expected = asked.and_then(|asked| asked.follows);
    let found = head.map(|head| head.seq);
    if expected.is_none() || expected == found {
        return Ok(());
    }
    Err(floret_store::Error::Conflict { key: key.clone(), expected, found }.into())
}

fn record(job: &Job<'_>, recipe: Digest, output: &Output) -> BuildRecord {
    let inputs = job.inputs.iter().map(|input| RecordedInput {
        role: input.role.clone(),
        version: input.version.reference(),
        digest: input.version.data_hash,
    });
    BuildRecord {
        component: job.bound.as_ref().map(|bound| -> ComponentRef { bound.reference() }),
        config: job.config.clone(),
        inputs: inputs.collect(),
        recipe,
        profile: job.profile.clone(),
        from_memo: output.from_memo,
        build_time_ms: output.build_time_ms,
        input_bytes: job.inputs.iter().map(|input| input.version.content_location.size_bytes).sum(),
        output_bytes: output.location.size_bytes,
    }
}

/// Inputs, component and binding: whatever the version would be rebuilt for.
fn dependencies(job: &Job<'_>) -> Vec<Dependency> {
    let on = |role: &str, version: &Version| Dependency { role: role.to_owned(), on: version.reference() };
    let mut dependencies: Vec<Dependency> =
        job.inputs.iter().map(|input| on(&input.role, &input.version)).collect();
    if let Some(bound) = &job.bound {
        dependencies.push(on("component", &bound.plugin));
        dependencies.push(on("binding", &bound.binding));
    }
    dependencies.sort();
    dependencies.dedup();
    dependencies
}

/// Version of each input, by `TYPE/ID`.
pub(crate) fn input_versions(inputs: &[Resolved]) -> BTreeMap<String, String> {
    inputs.iter().map(|input| (input.version.key.to_string(), input.version.version.to_string())).collect()
}

/// What a corpus among the inputs says of itself.
pub(crate) fn corpus_metadata(version: &Version) -> Option<&floret_model::CorpusMetadata> {
    match &version.metadata.typed {
        TypedMetadata::Corpus(corpus) => Some(corpus),
        _ => None,
    }
}
