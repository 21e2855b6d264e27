//! The corpus tree: creating it, adding to it, reading it.

use std::collections::BTreeSet;
use std::sync::Arc;

use floret_model::{
    BuildSpec, Bump, CascadeReport, CorpusType, ResourceKey, ResourceType, Seq, SpecInput, Version,
    VersionRef,
};
use futures::future::{BoxFuture, FutureExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cascade::{Addition, Change};
use crate::derive::DerivedSpec;
use crate::save::SaveRequest;
use crate::{Error, Floret, Progress, Selector};

/// Deepest tree that is read: no real one comes near, and a damaged one must end.
const DEPTH_MAX: usize = 1_000;

/// A corpus to create.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CorpusRequest {
    /// Texts, in order.
    pub documents: Vec<ResourceKey>,
    /// Child corpora, in order; those created in the same change count.
    pub children: Vec<ResourceKey>,
    /// What sort.
    pub corpus_type: CorpusType,
    /// Its dialect or region.
    pub dialect: Option<String>,
    /// Members over those of the binding's configuration, e.g. `language`.
    pub config: Map<String, Value>,
}

impl CorpusRequest {
    /// A corpus of texts, configured as its binding is.
    pub fn of(documents: impl IntoIterator<Item = ResourceKey>) -> Self {
        Self { documents: documents.into_iter().collect(), ..Self::default() }
    }
}

/// A corpus with its children, as of one moment.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CorpusTree {
    /// The corpus.
    pub version: VersionRef,
    /// What sort.
    pub corpus_type: CorpusType,
    /// Distinct words.
    pub vocabulary_size: u64,
    /// Words with repetition.
    pub total_tokens: u64,
    /// Its own texts.
    pub documents: Vec<VersionRef>,
    /// Its children, in order.
    pub children: Vec<CorpusTree>,
}

impl Floret {
    /// Create corpora, or give existing ones other inputs, all in one commit, with whatever depends on them: a
    /// master knows its children, and a child's parents are those who name it. One that exists keeps nothing of
    /// its old inputs.
    ///
    /// # Errors
    /// A missing text or child, a child named twice, a cycle, a component that fails; nothing is visible then.
    pub async fn corpus_create(
        &self,
        corpora: Vec<(ResourceKey, CorpusRequest)>,
        progress: &Progress,
    ) -> Result<CascadeReport, Error> {
        let mut builds = Vec::with_capacity(corpora.len());
        for (key, request) in corpora {
            builds.push(derived(key, request)?);
        }
        self.apply(Change { builds, ..Change::default() }, progress).await
    }

    /// Add texts and children to a corpus; those that it has are passed over. Grandparents follow.
    ///
    /// # Errors
    /// As [`corpus_create`](Self::corpus_create), and a corpus that is not there.
    pub async fn corpus_add(
        &self,
        corpus: &ResourceKey,
        documents: &[ResourceKey],
        children: &[ResourceKey],
        progress: &Progress,
    ) -> Result<CascadeReport, Error> {
        let (documents, children) = (documents.to_vec(), children.to_vec());
        let additions = vec![Addition { corpus: corpus.clone(), documents, children }];
        self.apply(Change { additions, ..Change::default() }, progress).await
    }

    /// Save a text as a text of a corpus: text, corpus and whatever depends on it are published in one commit.
    ///
    /// # Errors
    /// As [`save`](Self::save) and [`corpus_add`](Self::corpus_add).
    pub async fn save_with_parent(
        &self,
        request: SaveRequest,
        parent: &ResourceKey,
        progress: &Progress,
    ) -> Result<CascadeReport, Error> {
        let documents = vec![request.key.clone()];
        let additions = vec![Addition { corpus: parent.clone(), documents, children: Vec::new() }];
        self.apply(Change { saves: vec![request], additions, ..Change::default() }, progress).await
    }

    /// The build of a corpus with texts and children added to those of its latest version.
    pub(crate) async fn with_inputs(&self, addition: &Addition) -> Result<DerivedSpec, Error> {
        let Addition { corpus, documents, children } = addition;
        let head = self.resolve(corpus, &Selector::Latest).await?;
        let spec = spec_of(&head)?;
        let mut inputs = spec.inputs.clone();
        let added =
            documents.iter().map(|key| ("document", key)).chain(children.iter().map(|key| ("corpus", key)));
        for (role, key) in added {
            let input = SpecInput { role: role.to_owned(), key: key.clone() };
            if !inputs.contains(&input) {
                inputs.push(input);
            }
        }
        // Texts stand before children, so that the merge tree's groups move only when a first text comes.
        inputs.sort_by_key(|input| input.role != "document");
        check_inputs(corpus, &inputs)?;
        let spec = BuildSpec { inputs, config: spec.config.clone() };
        Ok(DerivedSpec {
            key: corpus.clone(),
            spec,
            corpus_type: None,
            dialect: None,
            bump: Bump::Patch,
            follows: Some(head.seq),
        })
    }

    /// A corpus with its children, all of them as its version was built: a past version shows a past tree.
    ///
    /// # Errors
    /// A corpus or version that is not there.
    pub async fn corpus_tree(&self, corpus: &ResourceKey, selector: &Selector) -> Result<CorpusTree, Error> {
        let version = self.resolve(corpus, selector).await?;
        self.subtree(version, 0).await
    }

    /// Corpora that name this one as a child.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn corpus_parents(&self, corpus: &ResourceKey) -> Result<Vec<ResourceKey>, Error> {
        self.dependents(corpus, Some(&ResourceType::corpus())).await
    }

    fn subtree(&self, version: Arc<Version>, depth: usize) -> BoxFuture<'_, Result<CorpusTree, Error>> {
        async move {
            let spec = spec_of(&version)?;
            let Some(corpus) = crate::derive::corpus_metadata(&version) else {
                return Err(Error::invalid(format!("{} is not a corpus", version.key)));
            };
            if depth > DEPTH_MAX {
                return Err(Error::invalid(format!(
                    "the tree above {} is deeper than {DEPTH_MAX}",
                    version.key
                )));
            }
            let mut tree = CorpusTree {
                version: version.reference(),
                corpus_type: corpus.corpus_type,
                vocabulary_size: corpus.vocabulary_size,
                total_tokens: corpus.total_tokens,
                documents: Vec::new(),
                children: Vec::new(),
            };
            for input in &spec.inputs {
                let built_from =
                    version.dependencies.iter().find(|dependency| dependency.on.key == input.key);
                let Some(built_from) = built_from else { continue };
                if input.role == "document" {
                    tree.documents.push(built_from.on.clone());
                    continue;
                }
                let child = self.catalog.version(&built_from.on).await?;
                let child = child.ok_or_else(|| Error::not_found(&built_from.on))?;
                tree.children.push(self.subtree(child, depth + 1).await?);
            }
            Ok(tree)
        }
        .boxed()
    }
}

/// The build that a request for a corpus asks for.
///
/// # Errors
/// A key that names no corpus, or inputs named twice.
pub(crate) fn derived(key: ResourceKey, request: CorpusRequest) -> Result<DerivedSpec, Error> {
    if key.resource_type != ResourceType::corpus() {
        return Err(Error::invalid(format!("{key} is not a corpus: expected corpus/ID")));
    }
    let input = |role: &str, key| SpecInput { role: role.to_owned(), key };
    let documents = request.documents.into_iter().map(|key| input("document", key));
    let inputs: Vec<SpecInput> =
        documents.chain(request.children.into_iter().map(|key| input("corpus", key))).collect();
    check_inputs(&key, &inputs)?;
    let spec = BuildSpec { inputs, config: request.config };
    let corpus_type = Some(request.corpus_type);
    Ok(DerivedSpec { key, spec, corpus_type, dialect: request.dialect, bump: Bump::Patch, follows: None })
}

fn check_inputs(corpus: &ResourceKey, inputs: &[SpecInput]) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for input in inputs {
        let wanted =
            if input.role == "document" { ResourceType::literature() } else { ResourceType::corpus() };
        if input.key.resource_type != wanted {
            let role = if input.role == "document" { "a text" } else { "a child" };
            return Err(Error::invalid(format!(
                "{} cannot be {role} of {corpus}: expected {wanted}/ID",
                input.key
            )));
        }
        if input.key == *corpus {
            return Err(Error::invalid(format!("{corpus} cannot be its own child")));
        }
        if !seen.insert(&input.key) {
            return Err(Error::invalid(format!(
                "{} is named twice as an input of {corpus}; once is enough",
                input.key
            )));
        }
    }
    Ok(())
}

fn spec_of(version: &Version) -> Result<&BuildSpec, Error> {
    version.spec.as_ref().ok_or_else(|| Error::invalid(format!("{} is not built from anything", version.key)))
}

/// The seq of a reference, for selectors.
impl From<&VersionRef> for Selector {
    fn from(reference: &VersionRef) -> Self {
        Self::Seq(Seq(reference.seq.0))
    }
}
