//! Building corpora: texts by the component's `build`, child corpora by a tree of its `merge`.
//!
//! The pieces (the corpus of the texts, then each child, in order) are merged in groups of `merge_fan_in`, the
//! results again, until one is left. Every node is a build with a name of its own, so that one changed child
//! costs the nodes on its path: O(log n) merges.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use floret_model::{Digest, Recipe, Version};
use floret_runtime::{Built, CorpusStatistics, Input};
use futures::future::try_join_all;
use serde_json::Value;

use crate::derive::{Job, Output, corpus_metadata};
use crate::figures::Figures;
use crate::plugins::Bound;
use crate::{Error, Floret};

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
        if !documents.is_empty() {
            let mut inputs = Vec::with_capacity(documents.len());
            for document in documents {
                inputs.push(self.input("document", &document.version).await?);
            }
            pieces.push(self.node(job, bound, "build", inputs, afresh).await?);
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
            let groups = pieces.chunks(fan_in).map(|group| self.group(job, bound, group, afresh));
            pieces = try_join_all(groups).await?;
        }
        let root = pieces.pop().expect("there is at least one piece");
        let bytes = self.bytes(job, &root).await?;
        let figures = match &root.source {
            Source::Version(child) => Figures::of_corpus(&child.metadata.typed)
                .ok_or_else(|| Error::invalid(format!("{} has no statistics; build it again", child.key)))?,
            Source::Made(_, figures) | Source::Remembered(figures) => Figures::clone(figures),
        };
        Ok((bytes, root.digest, figures))
    }

    async fn group(
        &self,
        job: &Job<'_>,
        bound: &Bound,
        group: &[Piece],
        afresh: bool,
    ) -> Result<Piece, Error> {
        if let [only] = group {
            return Ok(only.clone());
        }
        let recipe = call_recipe(job, bound, "merge", group.iter().map(|piece| ("corpus", piece.digest)));
        if !afresh && let Some(output) = self.remembered(&recipe).await? {
            return Ok(piece_of(output));
        }
        let mut inputs = Vec::with_capacity(group.len());
        for piece in group {
            inputs.push(Input {
                role: "corpus".to_owned(),
                digest: piece.digest,
                media_type: bound.component.description().output_media_type.clone(),
                bytes: self.bytes(job, piece).await?,
            });
        }
        self.node(job, bound, "merge", inputs, afresh).await
    }

    /// One call of the component, remembered under its own name.
    async fn node(
        &self,
        job: &Job<'_>,
        bound: &Bound,
        function: &str,
        inputs: Vec<Input>,
        afresh: bool,
    ) -> Result<Piece, Error> {
        let recipe =
            call_recipe(job, bound, function, inputs.iter().map(|input| (input.role.as_str(), input.digest)));
        if !afresh && let Some(output) = self.remembered(&recipe).await? {
            return Ok(piece_of(output));
        }
        let started = Instant::now();
        let built: Built<CorpusStatistics> = match function {
            "build" => bound.component.build_corpus(inputs, &job.config.to_string()).await?,
            _ => bound.component.merge_corpora(inputs).await?,
        };
        let build_time_ms = started.elapsed().as_secs_f64() * 1e3;
        let figures = Figures::of_built_corpus(built.statistics);
        if !afresh {
            let (location, policy) =
                self.put_output(job.key, built.bytes.clone(), built.digest, &figures).await?;
            let digest = built.digest;
            let figures = figures.clone();
            let output =
                Output { digest, location, inline: None, policy, figures, from_memo: false, build_time_ms };
            self.remember(recipe, &output).await?;
        }
        Ok(Piece { digest: built.digest, source: Source::Made(built.bytes, Arc::new(figures)) })
    }

    async fn bytes(&self, job: &Job<'_>, piece: &Piece) -> Result<Bytes, Error> {
        match &piece.source {
            Source::Version(version) => self.content(version).await,
            Source::Made(bytes, _) => Ok(bytes.clone()),
            Source::Remembered(_) => self.content_of_digest(&job.key.namespace, &piece.digest).await,
        }
    }
}

fn piece_of(output: Output) -> Piece {
    Piece { digest: output.digest, source: Source::Remembered(Arc::new(output.figures)) }
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
