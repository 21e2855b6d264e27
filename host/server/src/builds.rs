//! What is made from other resources: indexes, composite search indexes, corpora.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use floret_model::{Bump, CorpusType, KeyError, ResourceKey};
use floret_pipeline::{Change, CorpusRequest, CorpusTree, DerivedSpec, Error, Floret, Selector};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::access::Grant;
use crate::given::{Named, Parameters, Posted, selector};
use crate::jobs::{Jobs, Kind, Wants};
use crate::problem::Problem;
use crate::versions::Nothing;

fn keys(texts: &[String]) -> Result<Vec<ResourceKey>, KeyError> {
    texts.iter().map(|text| text.parse()).collect()
}

/// A resource to build. Without inputs and parts it is built from what its latest version was built from.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Build")]
pub(crate) struct Asked {
    /// `TYPE/ID` or `NAMESPACE:TYPE/ID`, as all names here.
    key: String,
    /// Corpora that an index is built from.
    #[serde(default)]
    inputs: Vec<String>,
    /// Parts of a composite search index.
    #[serde(default)]
    parts: Vec<String>,
    /// Members over those of the binding's configuration.
    #[serde(default)]
    config: Map<String, Value>,
    #[serde(default)]
    bump: Bump,
}

/// Build one resource, and whatever depends on it. A client that waits and goes away stops it.
pub(crate) async fn build(
    State(host): State<Arc<Floret>>,
    grant: Grant,
    State(jobs): State<Arc<Jobs>>,
    wants: Wants,
    _: Parameters<Nothing>,
    Posted(asked): Posted<Asked>,
) -> Result<Response, Problem> {
    let key: ResourceKey = asked.key.parse()?;
    let about = key.to_string();
    grant.check(&[keys(&asked.inputs)?, keys(&asked.parts)?].concat())?;
    grant.check_reach(&host, std::slice::from_ref(&key)).await?;
    let mut build = match (asked.inputs.as_slice(), asked.parts.as_slice()) {
        ([], []) => {
            let head = host.resolve(&key, &Selector::Latest).await?;
            let saved = || Error::InvalidRequest(format!("{key} is saved by people, not built"));
            let spec = head.spec.clone().ok_or_else(saved)?;
            let mut build = DerivedSpec::new(key, "corpus", []);
            build.spec = spec;
            build
        }
        (inputs, []) => DerivedSpec::new(key, "corpus", keys(inputs)?),
        ([], parts) => DerivedSpec::new(key, "part", keys(parts)?),
        _ => return Err(Problem::invalid("inputs and parts exclude each other: give one of them")),
    };
    build.spec.config.extend(asked.config);
    build.bump = asked.bump;
    let change = Change { builds: vec![build], ..Change::default() };
    let work = |progress| async move { Ok(host.apply(change, &progress).await?) };
    jobs.answer(wants, Kind::Build, about, work).await
}

/// A corpus to create, or to give other inputs.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Corpus")]
pub(crate) struct Created {
    /// `TYPE/ID` or `NAMESPACE:TYPE/ID`, as all names here.
    key: String,
    /// Texts and dictionary entries.
    #[serde(default)]
    documents: Vec<String>,
    /// Corpora.
    #[serde(default)]
    children: Vec<String>,
    #[serde(default)]
    corpus_type: CorpusType,
    /// Of its language.
    dialect: Option<String>,
    /// Members over those of the binding's configuration.
    #[serde(default)]
    config: Map<String, Value>,
}

/// Create a corpus, and build whatever depends on it. A client that waits and goes away stops it.
pub(crate) async fn create(
    State(host): State<Arc<Floret>>,
    grant: Grant,
    State(jobs): State<Arc<Jobs>>,
    wants: Wants,
    _: Parameters<Nothing>,
    Posted(asked): Posted<Created>,
) -> Result<Response, Problem> {
    let request = CorpusRequest {
        documents: keys(&asked.documents)?,
        children: keys(&asked.children)?,
        corpus_type: asked.corpus_type,
        dialect: asked.dialect,
        config: asked.config,
    };
    let corpus: ResourceKey = asked.key.parse()?;
    let about = corpus.to_string();
    grant.check(request.documents.iter().chain(&request.children))?;
    grant.check_reach(&host, std::slice::from_ref(&corpus)).await?;
    let corpora = vec![(corpus, request)];
    let work = |progress| async move { Ok(host.corpus_create(corpora, &progress).await?) };
    jobs.answer(wants, Kind::Corpus, about, work).await
}

/// What a corpus is to have, too.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Addition")]
pub(crate) struct Added {
    /// `TYPE/ID` or `NAMESPACE:TYPE/ID`, as all names here.
    key: String,
    /// Texts and dictionary entries.
    #[serde(default)]
    documents: Vec<String>,
    /// Corpora.
    #[serde(default)]
    children: Vec<String>,
}

/// Add to a corpus, and build whatever depends on it. A client that waits and goes away stops it.
pub(crate) async fn add(
    State(host): State<Arc<Floret>>,
    grant: Grant,
    State(jobs): State<Arc<Jobs>>,
    wants: Wants,
    _: Parameters<Nothing>,
    Posted(asked): Posted<Added>,
) -> Result<Response, Problem> {
    let (documents, children) = (keys(&asked.documents)?, keys(&asked.children)?);
    let corpus: ResourceKey = asked.key.parse()?;
    let about = corpus.to_string();
    grant.check(documents.iter().chain(&children))?;
    grant.check_reach(&host, std::slice::from_ref(&corpus)).await?;
    let work =
        |progress| async move { Ok(host.corpus_add(&corpus, &documents, &children, &progress).await?) };
    jobs.answer(wants, Kind::Corpus, about, work).await
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AsOf {
    /// Its place in the log.
    #[schemars(range(min = 1))]
    seq: Option<u64>,
    /// A semantic version such as `1.0.2`, a seq, or `latest`; not together with `seq`.
    version: Option<String>,
}

/// A corpus with its children, down to its texts.
pub(crate) async fn tree(
    State(host): State<Arc<Floret>>,
    Named(key): Named,
    Parameters(as_of): Parameters<AsOf>,
) -> Result<Json<CorpusTree>, Problem> {
    let selector = selector(as_of.seq, as_of.version.as_deref())?;
    Ok(Json(host.corpus_tree(&key, &selector).await?))
}
