//! Building corpora: texts by the component's `build`, child corpora by a tree of its `merge`.
//!
//! The pieces (the corpus of the texts, then each child, in order) are merged in groups of `merge_fan_in`, the
//! results again, until one is left. Every node is a build with a name of its own, so that one changed child
//! costs the nodes on its path: O(log n) merges. Nodes are stored while those above them are merged.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use floret_model::{Codec, CompressionType, ContentLocation, Digest, PolicyDecision, Recipe, Version};
use floret_runtime::{Built, CorpusStatistics, Input};
use futures::future::{join, try_join_all};
use parking_lot::Mutex;
use serde_json::Value;

use crate::derive::{Job, Output, Resolved, corpus_metadata};
use crate::figures::Figures;
use crate::plugins::Bound;
use crate::{Error, Floret};

/// Nodes below the root are no version's content, and read again only when a neighbour changes: they are stored
/// quickly rather than small, and no policy is asked.
const NODE_CODEC: Codec = Codec { compression: CompressionType::Zstd, level: 1 };

/// A corpus that is a piece of a larger one.
#[derive(Clone)]
struct Piece {
    digest: Digest,
    source: Source,
}

#[derive(Clone)]
enum Source {
    /// A child.
    Version(Arc<Version>),
    /// A node whose bytes are at hand.
    Made(Bytes, Arc<Figures>),
    /// A node that was remembered: its bytes are stored.
    Remembered(Arc<Figures>),
}

/// What the component made, not stored yet.
struct Unkept {
    recipe: Digest,
    bytes: Bytes,
    digest: Digest,
    figures: Arc<Figures>,
    build_time_ms: f64,
}

/// A merge tree under way.
struct Tree<'a> {
    job: &'a Job<'a>,
    bound: &'a Bound,
    /// Whether nothing is read from memos, and nothing written.
    afresh: bool,
    unkept: Mutex<Vec<Unkept>>,
}

impl Floret {
    /// The corpus of a job's texts and children.
    pub(crate) async fn build_corpus(
        &self,
        job: &Job<'_>,
        afresh: bool,
    ) -> Result<(Bytes, Digest, Figures), Error> {
        let bound = job.bound.as_ref().expect("a corpus has a component");
        let (documents, children): (Vec<_>, Vec<_>) =
            job.inputs.iter().partition(|input| input.role == "document");
        let mut pieces = Vec::with_capacity(children.len() + 1);
        let tree = Tree { job, bound, afresh, unkept: Mutex::default() };
        if !documents.is_empty() {
            pieces.push(self.texts(&tree, &documents).await?);
        }
        for child in children {
            if corpus_metadata(&child.version).is_none() {
                let what = &child.version.key;
                return Err(Error::invalid(format!(
                    "{} cannot have {what} as a child: it is not a corpus",
                    job.key
                )));
            }
            let source = Source::Version(Arc::clone(&child.version));
            pieces.push(Piece { digest: child.version.data_hash, source });
        }
        if pieces.is_empty() {
            return Err(Error::invalid(format!(
                "{} has neither texts nor child corpora; name at least one",
                job.key
            )));
        }
        let fan_in = self.options.merge_fan_in.max(2);
        while pieces.len() > 1 {
            let below = std::mem::take(&mut *tree.unkept.lock());
            let groups = pieces.chunks(fan_in).map(|group| self.group(&tree, group));
            let (made, kept) = join(try_join_all(groups), self.keep_nodes(job, below)).await;
            if made.is_err() {
                // What was made beside the node that failed need not be made again.
                let beside = std::mem::take(&mut *tree.unkept.lock());
                self.keep_nodes(job, beside).await?;
            }
            kept?;
            pieces = made?;
        }
        let root = pieces.pop().expect("there is at least one piece");
        for root in tree.unkept.into_inner() {
            let (bytes, figures) = (root.bytes.clone(), Arc::clone(&root.figures));
            let (location, policy) = self.put_output(job.key, bytes, root.digest, &figures).await?;
            self.remember(root.recipe, &root.output(location, policy)).await?;
        }
        let bytes = self.bytes(job, &root).await?;
        let figures = match &root.source {
            Source::Version(child) => Figures::of_corpus(&child.metadata.typed)
                .ok_or_else(|| Error::invalid(format!("{} has no statistics; build it again", child.key)))?,
            Source::Made(_, figures) | Source::Remembered(figures) => Figures::clone(figures),
        };
        Ok((bytes, root.digest, figures))
    }

    /// The corpus of the job's texts.
    async fn texts(&self, tree: &Tree<'_>, documents: &[&Resolved]) -> Result<Piece, Error> {
        let named = documents.iter().map(|document| ("document", document.version.data_hash));
        let recipe = call_recipe(tree.job, tree.bound, "build", named);
        if let Some(piece) = self.remembered_piece(tree, &recipe).await? {
            return Ok(piece);
        }
        let mut inputs = Vec::with_capacity(documents.len());
        for document in documents {
            inputs.push(self.input("document", &document.version).await?);
        }
        let started = Instant::now();
        let built = tree.bound.component.build_corpus(inputs, &tree.job.config.to_string()).await?;
        Ok(tree.made(recipe, built, started))
    }

    /// The corpus of some pieces.
    async fn group(&self, tree: &Tree<'_>, group: &[Piece]) -> Result<Piece, Error> {
        if let [only] = group {
            return Ok(only.clone());
        }
        let named = group.iter().map(|piece| ("corpus", piece.digest));
        let recipe = call_recipe(tree.job, tree.bound, "merge", named);
        if let Some(piece) = self.remembered_piece(tree, &recipe).await? {
            return Ok(piece);
        }
        let mut inputs = Vec::with_capacity(group.len());
        for piece in group {
            inputs.push(Input {
                role: "corpus".to_owned(),
                digest: piece.digest,
                media_type: tree.bound.component.description().output_media_type.clone(),
                bytes: self.bytes(tree.job, piece).await?,
            });
        }
        let started = Instant::now();
        let built = tree.bound.component.merge_corpora(inputs).await?;
        Ok(tree.made(recipe, built, started))
    }

    async fn remembered_piece(&self, tree: &Tree<'_>, recipe: &Digest) -> Result<Option<Piece>, Error> {
        if tree.afresh {
            return Ok(None);
        }
        let output = self.remembered(recipe).await?;
        Ok(output.map(|output| {
            let source = Source::Remembered(Arc::new(output.figures));
            Piece { digest: output.digest, source }
        }))
    }

    /// Store nodes below the root, and remember their names.
    async fn keep_nodes(&self, job: &Job<'_>, nodes: Vec<Unkept>) -> Result<(), Error> {
        let keep = |node: Unkept| async move {
            let location = self.blobs.put(node.bytes.clone(), node.digest, NODE_CODEC).await?;
            self.keep_at_hand(&job.key.namespace, &node.digest, node.bytes.clone()).await?;
            self.remember(node.recipe, &node.output(location, None)).await
        };
        try_join_all(nodes.into_iter().map(keep)).await.map(drop)
    }

    async fn bytes(&self, job: &Job<'_>, piece: &Piece) -> Result<Bytes, Error> {
        match &piece.source {
            Source::Version(version) => self.content(version).await,
            Source::Made(bytes, _) => Ok(bytes.clone()),
            Source::Remembered(_) => self.content_of_digest(&job.key.namespace, &piece.digest).await,
        }
    }
}

impl Tree<'_> {
    fn made(&self, recipe: Digest, built: Built<CorpusStatistics>, started: Instant) -> Piece {
        let build_time_ms = started.elapsed().as_secs_f64() * 1e3;
        let figures = Arc::new(Figures::of_built_corpus(built.statistics));
        let Built { bytes, digest, .. } = built;
        let source = Source::Made(bytes.clone(), Arc::clone(&figures));
        if !self.afresh {
            self.unkept.lock().push(Unkept { recipe, bytes, digest, figures, build_time_ms });
        }
        Piece { digest, source }
    }
}

impl Unkept {
    fn output(self, location: ContentLocation, policy: Option<PolicyDecision>) -> Output {
        Output {
            digest: self.digest,
            location,
            inline: None,
            policy,
            figures: Figures::clone(&self.figures),
            from_memo: false,
            build_time_ms: self.build_time_ms,
        }
    }
}

/// `merge` takes no configuration, so none is in its name.
fn call_recipe<'a>(
    job: &Job<'_>,
    bound: &Bound,
    function: &str,
    inputs: impl Iterator<Item = (&'a str, Digest)>,
) -> Digest {
    let inputs: Vec<(&str, Digest)> = inputs.collect();
    let recipe = Recipe {
        contract: &bound.component.contract().to_string(),
        function,
        component: bound.component.digest(),
        config: if function == "merge" { &Value::Null } else { &job.config },
        inputs: &inputs,
        profile: job.profile,
    };
    recipe.digest()
}
