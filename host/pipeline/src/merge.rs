//! Building corpora: texts by the component's `build`, child corpora by a tree of its `merge`.
//!
//! The pieces (the corpus of the texts, then each child, in order) are merged in groups of `merge_fan_in`, the
//! results again, until one is left. Every node is a build with a name of its own, so that one changed child
//! costs the nodes on its path: O(log n) merges. Nodes are stored as soon as they are made, while others are merged,
//! and each by the first of those who want it at once (lease.rs).

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use floret_model::{Codec, CompressionType, ContentLocation, Digest, PolicyDecision, Recipe, Version};
use floret_runtime::{Built, CorpusStatistics, Input};
use futures::future::{join, try_join_all};
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::derive::{Job, Output, Resolved, corpus_metadata};
use crate::figures::Figures;
use crate::lease::{Held, Turn};
use crate::observe::{Phase, timed};
use crate::plugins::Bound;
use crate::{Error, Floret};

/// Nodes below the root are no version's content, and read again only when a neighbour changes: they are stored
/// quickly rather than small, and no policy is asked.
const NODE_CODEC: Codec = Codec { compression: CompressionType::Zstd, level: 1 };

/// Nodes stored at once: enough to hide the round trips of a distant object store.
const NODES_STORED_MAX: usize = 16;

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
    /// Until others can find it.
    held: Held,
}

/// Where a node stands in its tree.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Below,
}

/// A merge tree under way.
struct Tree<'a> {
    job: &'a Job<'a>,
    bound: &'a Bound,
    /// Of the whole derivation, which has its turn already.
    recipe: Digest,
    /// Whether nothing is read from memos, and nothing written.
    afresh: bool,
    /// Nodes below the root, on their way to be stored.
    made: mpsc::UnboundedSender<Unkept>,
    root: Mutex<Option<Unkept>>,
}

/// What to do about a node.
enum NodeTurn {
    Ours(Held),
    Made(Piece),
}

impl Floret {
    /// The corpus of a job's texts and children, by the name of the whole.
    pub(crate) async fn build_corpus(
        &self,
        job: &Job<'_>,
        recipe: Digest,
        afresh: bool,
    ) -> Result<(Bytes, Digest, Figures), Error> {
        let bound = job.bound.as_ref().expect("a corpus has a component");
        let (made, unkept) = mpsc::unbounded_channel();
        let tree = Tree { job, bound, recipe, afresh, made, root: Mutex::default() };
        // What was made beside a node that failed is stored all the same: it need not be made again.
        let (merged, kept) = join(self.merge_tree(tree), self.keep_nodes(job, unkept)).await;
        kept?;
        let root = merged?;
        let bytes = self.bytes(job, &root).await?;
        let figures = match &root.source {
            Source::Version(child) => Figures::of_corpus(&child.metadata.typed)
                .ok_or_else(|| Error::invalid(format!("{} has no statistics; build it again", child.key)))?,
            Source::Made(_, figures) | Source::Remembered(figures) => Figures::clone(figures),
        };
        Ok((bytes, root.digest, figures))
    }

    /// All of the tree; its root is stored. The tree ends here, and with it what comes to be stored.
    async fn merge_tree(&self, tree: Tree<'_>) -> Result<Piece, Error> {
        let job = tree.job;
        let (documents, children): (Vec<_>, Vec<_>) =
            job.inputs.iter().partition(|input| input.role == "document");
        let mut pieces = Vec::with_capacity(children.len() + 1);
        if !documents.is_empty() {
            let place = if children.is_empty() { Place::Root } else { Place::Below };
            pieces.push(self.texts(&tree, &documents, place).await?);
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
            let place = if pieces.len() <= fan_in { Place::Root } else { Place::Below };
            let groups = pieces.chunks(fan_in).map(|group| self.group(&tree, group, place));
            pieces = try_join_all(groups).await?;
        }
        // What the whole is called its derivation remembers.
        let root = tree.root.lock().take().filter(|root| root.recipe != tree.recipe);
        if let Some(root) = root {
            let (bytes, figures) = (root.bytes.clone(), Arc::clone(&root.figures));
            let (location, policy) = self.put_output(job.key, bytes, root.digest, &figures).await?;
            self.remember_node(root, location, policy).await?;
        }
        Ok(pieces.pop().expect("there is at least one piece"))
    }

    /// The corpus of the job's texts.
    async fn texts(&self, tree: &Tree<'_>, documents: &[&Resolved], place: Place) -> Result<Piece, Error> {
        let named = documents.iter().map(|document| ("document", document.version.data_hash));
        let recipe = call_recipe(tree.job, tree.bound, "build", named);
        let held = match self.node_turn(tree, &recipe).await? {
            NodeTurn::Made(piece) => return Ok(piece),
            NodeTurn::Ours(held) => held,
        };
        let mut inputs = Vec::with_capacity(documents.len());
        for document in documents {
            inputs.push(self.input("document", &document.version).await?);
        }
        let started = Instant::now();
        let config = tree.job.config.to_string();
        let call = timed(Phase::Build, tree.bound.component.build_corpus(inputs, &config));
        let built = self.guarded(tree.bound, call).await?;
        Ok(tree.made(recipe, built, started, held, place))
    }

    /// The corpus of some pieces.
    async fn group(&self, tree: &Tree<'_>, group: &[Piece], place: Place) -> Result<Piece, Error> {
        if let [only] = group {
            return Ok(only.clone());
        }
        let named = group.iter().map(|piece| ("corpus", piece.digest));
        let recipe = call_recipe(tree.job, tree.bound, "merge", named);
        let held = match self.node_turn(tree, &recipe).await? {
            NodeTurn::Made(piece) => return Ok(piece),
            NodeTurn::Ours(held) => held,
        };
        let mut inputs = Vec::with_capacity(group.len());
        for piece in group {
            inputs.push(Input {
                role: "corpus".to_owned(),
                digest: piece.digest,
                media_type: tree.bound.component.description().output_media_type.clone(),
                bytes: self.bytes(tree.job, piece).await?.into(),
            });
        }
        let started = Instant::now();
        let call = timed(Phase::Build, tree.bound.component.merge_corpora(inputs));
        let built = self.guarded(tree.bound, call).await?;
        Ok(tree.made(recipe, built, started, held, place))
    }

    async fn node_turn(&self, tree: &Tree<'_>, recipe: &Digest) -> Result<NodeTurn, Error> {
        if tree.afresh || *recipe == tree.recipe {
            return Ok(NodeTurn::Ours(Held::nothing()));
        }
        Ok(match self.turn(recipe).await? {
            Turn::Ours(held) => NodeTurn::Ours(held),
            Turn::Made(output) => {
                let source = Source::Remembered(Arc::new(output.figures));
                NodeTurn::Made(Piece { digest: output.digest, source })
            }
        })
    }

    /// Store nodes below the root as they are made, until no more come.
    async fn keep_nodes(&self, job: &Job<'_>, nodes: mpsc::UnboundedReceiver<Unkept>) -> Result<(), Error> {
        let nodes = stream::unfold(nodes, |mut nodes| async move { Some((nodes.recv().await?, nodes)) });
        let keep = |node: Unkept| async move {
            let put = self.blobs.put(node.bytes.clone(), node.digest, NODE_CODEC);
            let location = timed(Phase::Store, put).await?;
            self.keep_at_hand(&job.key.namespace, &node.digest, node.bytes.clone()).await?;
            self.remember_node(node, location, None).await
        };
        nodes.map(keep).buffer_unordered(NODES_STORED_MAX).try_collect().await
    }

    async fn remember_node(
        &self,
        node: Unkept,
        location: ContentLocation,
        policy: Option<PolicyDecision>,
    ) -> Result<(), Error> {
        let output = Output {
            digest: node.digest,
            location,
            inline: None,
            policy,
            figures: Figures::clone(&node.figures),
            from_memo: false,
            build_time_ms: node.build_time_ms,
        };
        let remembered = self.remember(node.recipe, &output).await;
        node.held.end().await;
        remembered
    }

    async fn bytes(&self, job: &Job<'_>, piece: &Piece) -> Result<Bytes, Error> {
        match &piece.source {
            Source::Version(version) => timed(Phase::Load, self.content(version)).await,
            Source::Made(bytes, _) => Ok(bytes.clone()),
            Source::Remembered(_) => {
                timed(Phase::Load, self.content_of_digest(&job.key.namespace, &piece.digest)).await
            }
        }
    }
}

impl Tree<'_> {
    fn made(
        &self,
        recipe: Digest,
        built: Built<CorpusStatistics>,
        started: Instant,
        held: Held,
        place: Place,
    ) -> Piece {
        let build_time_ms = started.elapsed().as_secs_f64() * 1e3;
        let figures = Arc::new(Figures::of_built_corpus(built.statistics));
        let Built { bytes, digest, .. } = built;
        let source = Source::Made(bytes.clone(), Arc::clone(&figures));
        let node = Unkept { recipe, bytes, digest, figures, build_time_ms, held };
        match place {
            _ if self.afresh => {}
            Place::Root => *self.root.lock() = Some(node),
            // Nobody is left to store it when storing another failed, which fails the whole.
            Place::Below => drop(self.made.send(node)),
        }
        Piece { digest, source }
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
        profile: &job.profile,
    };
    recipe.digest()
}
