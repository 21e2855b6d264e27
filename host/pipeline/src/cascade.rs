//! Cascades: plan → build → publish. Everything of one becomes visible in one commit, or nothing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use floret_model::{CascadeReport, Fate, ResourceKey, Seq, StepPhases, StepReport, TimestampMs, Version};
use floret_store::{Draft, IfUnchanged, Precondition, Publish};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::{Instrument, trace_span};

use crate::derive::{Derived, DerivedSpec};
use crate::error::FailedCascade;
use crate::meters;
use crate::observe::observed;
use crate::plan::{Graph, Requested};
use crate::progress::Event;
use crate::publish::NewHead;
use crate::save::{Hashed, SaveRequest};
use crate::{Error, Floret, Progress};

/// Several operations as one: saves, builds by name, and whatever depends on either. Published once.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// What people save.
    pub saves: Vec<SaveRequest>,
    /// What is to be built, with these inputs from now on.
    pub builds: Vec<DerivedSpec>,
    /// Inputs that existing corpora get beside those they have when the change is published.
    pub additions: Vec<Addition>,
    /// What changed already, so that its dependents are looked at.
    pub roots: Vec<ResourceKey>,
}

/// Texts and children for a corpus that is there. Those that it has are passed over.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Addition {
    /// The corpus.
    pub corpus: ResourceKey,
    /// Texts.
    pub documents: Vec<ResourceKey>,
    /// Child corpora.
    pub children: Vec<ResourceKey>,
}

/// Versions that are not committed yet, but will be, as the steps of a cascade see them.
pub(crate) type Overlay = Mutex<HashMap<ResourceKey, Arc<Version>>>;

/// What one attempt has decided on.
struct Attempt {
    id: String,
    at: TimestampMs,
    drafts: Vec<Draft>,
    overlay: Arc<Overlay>,
}

impl Floret {
    /// Rebuild what depends on these resources and really changed. A dependent whose recipe is as before, or
    /// whose inputs came out as they were, is cut off; a build that was made before is a memo hit.
    ///
    /// # Errors
    /// [`Error::Cascade`] when steps failed, [`Error::Interrupted`]; nothing is visible then.
    pub async fn cascade(&self, roots: &[ResourceKey], progress: &Progress) -> Result<CascadeReport, Error> {
        self.apply(Change { roots: roots.to_vec(), ..Change::default() }, progress).await
    }

    /// Build resources from inputs that they keep from now on, with whatever depends on them, as one publish: an index
    /// of a corpus, a composite search index over both.
    ///
    /// # Errors
    /// As [`cascade`](Self::cascade); a missing input, inputs that do not fit together.
    pub async fn build_all(
        &self,
        builds: Vec<DerivedSpec>,
        progress: &Progress,
    ) -> Result<CascadeReport, Error> {
        self.apply(Change { builds, ..Change::default() }, progress).await
    }

    /// Carry out a change as one publish, planning again when somebody else was first.
    ///
    /// # Errors
    /// As [`cascade`](Self::cascade), and those of its saves and builds.
    pub async fn apply(&self, change: Change, progress: &Progress) -> Result<CascadeReport, Error> {
        let began = Instant::now();
        let span = trace_span!(
            target: "floret::span", "cascade", floret.roots = change.roots.len() as i64, floret.saves = change.saves.len() as i64,
            floret.builds = change.builds.len() as i64, floret.additions = change.additions.len() as i64,
        );
        let ended = self.apply_until_settled(change, progress).instrument(span).await;
        meters::changed(&ended, began.elapsed());
        ended
    }

    async fn apply_until_settled(
        &self,
        mut change: Change,
        progress: &Progress,
    ) -> Result<CascadeReport, Error> {
        let mut attempt = 0;
        // Once, however often the change is planned.
        let saves = self.hash_change(std::mem::take(&mut change.saves)).await?;
        loop {
            match self.attempt(&change, saves.clone(), progress).await {
                Err(error) if error.is_conflict() && attempt < self.options.conflict_retries_max => {
                    attempt += 1;
                    tracing::debug!(attempt, %error, "the cascade lost a race and is planned again");
                }
                Err(error) => return Err(error.told()),
                done => return done,
            }
        }
    }

    async fn attempt(
        &self,
        change: &Change,
        saves: Vec<Hashed>,
        progress: &Progress,
    ) -> Result<CascadeReport, Error> {
        let started = Instant::now();
        let mut attempt =
            Attempt { id: self.publish_id(), at: self.now(), drafts: Vec::new(), overlay: Arc::default() };
        let mut roots = change.roots.clone();
        roots.extend(self.stage_saves(saves, &mut attempt).await?);
        roots.sort();
        roots.dedup();
        // Inputs are added to what is there now, or a race with another addition would lose one.
        let mut builds = change.builds.clone();
        for addition in &change.additions {
            builds.push(self.with_inputs(addition).await?);
        }
        let requested: Vec<Requested<'_>> = builds
            .iter()
            .map(|build| Requested {
                key: &build.key,
                inputs: build.spec.inputs.iter().map(|input| &input.key).collect(),
            })
            .collect();
        for key in roots.iter().chain(requested.iter().map(|requested| requested.key)) {
            self.check_namespace(&key.namespace)?;
        }
        self.check_inputs_are_there(&builds, &attempt).await?;
        let graph = self.graph(&roots, &requested).await?;
        progress.tell(|| Event::Planned(Arc::new(graph.plan.clone())));
        let builds = builds.into_iter().map(|build| (build.key.clone(), build)).collect();
        let (steps, failure) = self.run(&graph, builds, &mut attempt, progress).await?;
        meters::stepped(&steps);
        let mut report = CascadeReport {
            id: attempt.id.clone(),
            started_at: attempt.at,
            elapsed_ms: milliseconds(started),
            roots,
            published: false,
            steps,
        };
        if let Some(first) = failure {
            self.catalog.put_report(&report).await?;
            return Err(Error::Cascade(Box::new(FailedCascade { report, first })));
        }
        if progress.is_stopped() {
            return Err(Error::Interrupted);
        }
        report.published = true;
        self.publish_attempt(attempt, &report).await?;
        report.elapsed_ms = milliseconds(started);
        progress.tell(|| Event::Published);
        Ok(report)
    }

    /// A build by name whose input is missing is the request's fault, not a step that fails.
    async fn check_inputs_are_there(&self, builds: &[DerivedSpec], attempt: &Attempt) -> Result<(), Error> {
        let mut coming: HashSet<ResourceKey> = builds.iter().map(|build| build.key.clone()).collect();
        coming.extend(attempt.overlay.lock().keys().cloned());
        for build in builds {
            let inputs = build.spec.inputs.iter().map(|input| input.key.clone());
            let needed: Vec<ResourceKey> = inputs.filter(|input| !coming.contains(input)).collect();
            for (input, head) in needed.iter().zip(self.catalog.heads(&needed).await?) {
                if head.is_none() {
                    let hint = Some(format!("{} is to be built from it; save or build it first", build.key));
                    return Err(Error::NotFound { what: input.to_string(), hint });
                }
            }
        }
        Ok(())
    }

    /// Put the change's saves into the attempt; answers the keys of those that say something new.
    async fn stage_saves(
        &self,
        saves: Vec<Hashed>,
        attempt: &mut Attempt,
    ) -> Result<Vec<ResourceKey>, Error> {
        let mut changed = Vec::new();
        let drafts = self.drafts(saves).await?;
        let keys: Vec<ResourceKey> = drafts.iter().map(|draft| draft.key.clone()).collect();
        for (draft, head) in drafts.into_iter().zip(self.catalog.heads(&keys).await?) {
            check_asked(&draft, head.as_deref())?;
            let version = predict(&draft, head.as_deref(), attempt);
            if head.as_ref().is_some_and(|head| head.fingerprint() == version.fingerprint()) {
                continue;
            }
            changed.push(draft.key.clone());
            self.stage(draft, version, head.as_deref(), attempt);
        }
        Ok(changed)
    }

    /// Add a draft whose version is known beforehand, because it holds only if the latest version stays.
    fn stage(&self, draft: Draft, version: Version, head: Option<&Version>, attempt: &mut Attempt) {
        let precondition = match draft.precondition {
            Precondition::Any => head.map_or(Precondition::Absent, |head| Precondition::Latest(head.seq)),
            asked => asked,
        };
        attempt.overlay.lock().insert(draft.key.clone(), Arc::new(version));
        attempt.drafts.push(Draft { precondition, if_unchanged: IfUnchanged::Append, ..draft });
    }

    /// Run every step, each when those before it are done, at most so many at once. Answers with their reports, and
    /// why the first that failed did.
    async fn run(
        &self,
        graph: &Graph,
        builds: HashMap<ResourceKey, DerivedSpec>,
        attempt: &mut Attempt,
        progress: &Progress,
    ) -> Result<(Vec<StepReport>, Option<Error>), Error> {
        let steps = &graph.plan.steps;
        let mut failure = None;
        let mut waits: Vec<usize> = steps.iter().map(|step| step.after.len()).collect();
        let mut reports: Vec<Option<StepReport>> = vec![None; steps.len()];
        // Whether something that the step is made from changed, or may have.
        let mut touched: Vec<bool> = steps
            .iter()
            .zip(&graph.direct)
            .map(|(step, direct)| *direct || builds.contains_key(&step.key))
            .collect();
        let mut blocked: Vec<Option<ResourceKey>> = vec![None; steps.len()];
        let mut ready: std::collections::VecDeque<usize> =
            (0..steps.len()).filter(|step| waits[*step] == 0).collect();
        let mut running = futures::stream::FuturesUnordered::new();
        let mut staged: Vec<(usize, Draft)> = Vec::new();
        loop {
            while let Some(index) = ready.pop_front() {
                let settled = match (&blocked[index], progress.is_stopped()) {
                    (Some(on), _) => Some(Fate::Skipped { reason: format!("{on} failed") }),
                    (None, true) => Some(Fate::Skipped { reason: "stopped".to_owned() }),
                    (None, false) if !touched[index] => Some(Fate::CutOff),
                    (None, false) => None,
                };
                if let Some(fate) = settled {
                    reports[index] = Some(report(graph, index, fate));
                    let report = reports[index].as_ref().expect("just set");
                    progress.tell(|| Event::StepFinished(Arc::new(report.clone())));
                    release(graph, index, &reports, &mut waits, &mut touched, &mut blocked, &mut ready);
                    continue;
                }
                let build = builds.get(&steps[index].key).cloned();
                let overlay = Arc::clone(&attempt.overlay);
                running.push(async move {
                    let key = &steps[index].key;
                    let _turn = self.steps.take(&key.resource_type).await;
                    progress.tell(|| Event::StepStarted { key: key.clone() });
                    let started = Instant::now();
                    let span = trace_span!(target: "floret::span", "step", floret.resource = %key);
                    let work = self.derive(key, build, &overlay);
                    let (derived, seen) = observed(key, progress, work).instrument(span).await;
                    (index, derived, milliseconds(started), seen)
                });
            }
            use futures::StreamExt;
            let Some((index, derived, elapsed_ms, seen)) = running.next().await else { break };
            let mut done = report(graph, index, Fate::CutOff);
            done.elapsed_ms = elapsed_ms;
            (done.phases, done.log_lines) = (seen.phases, seen.log_lines);
            match derived {
                Ok(Derived::Unchanged { recipe }) => done.recipe = Some(recipe),
                Ok(Derived::Made(made)) => {
                    let version = predict(&made.draft, made.head.as_deref(), attempt);
                    done.recipe = version.build.as_ref().map(|build| build.recipe);
                    done.version = Some(version.reference());
                    done.output_bytes = version.content_location.size_bytes;
                    done.fate = match made.from_memo {
                        true => Fate::MemoHit { changed: made.changed },
                        false => Fate::Built { changed: made.changed },
                    };
                    let head = made.head;
                    self.stage(made.draft, version, head.as_deref(), attempt);
                    staged.push((index, attempt.drafts.pop().expect("just staged")));
                }
                Err(error) if error.is_conflict() => return Err(error),
                Err(error) => {
                    done.fate = Fate::Failed { error: error.to_string() };
                    failure.get_or_insert(error);
                }
            }
            progress.tell(|| Event::StepFinished(Arc::new(done.clone())));
            reports[index] = Some(done);
            release(graph, index, &reports, &mut waits, &mut touched, &mut blocked, &mut ready);
        }
        // Drafts in the plan's order, so that each follows those it depends on.
        staged.sort_by_key(|(index, _)| *index);
        attempt.drafts.extend(staged.into_iter().map(|(_, draft)| draft));
        let reports = reports.into_iter();
        let reports = reports.map(|report| report.expect("every step of an acyclic plan becomes ready"));
        Ok((reports.collect(), failure))
    }

    async fn publish_attempt(&self, attempt: Attempt, report: &CascadeReport) -> Result<(), Error> {
        if attempt.drafts.is_empty() {
            return Ok(self.catalog.put_report(report).await?);
        }
        let report = (!report.steps.is_empty()).then(|| report.clone());
        let head = |draft: &Draft| NewHead { content: None, ticket: self.head_ticket(&draft.key) };
        let heads = attempt.drafts.iter().map(head).collect();
        let publish = Publish { id: attempt.id, at: attempt.at, drafts: attempt.drafts, report };
        self.publish(publish, heads).await.map(drop)
    }
}

/// Let those that wait for a step know what became of it.
fn release(
    graph: &Graph,
    index: usize,
    reports: &[Option<StepReport>],
    waits: &mut [usize],
    touched: &mut [bool],
    blocked: &mut [Option<ResourceKey>],
    ready: &mut std::collections::VecDeque<usize>,
) {
    let report = reports[index].as_ref().expect("a step is released when its report is there");
    for next in &graph.before[index] {
        match &report.fate {
            Fate::Built { changed } | Fate::MemoHit { changed } => touched[*next] |= changed,
            Fate::CutOff => {}
            Fate::Failed { .. } | Fate::Skipped { .. } => blocked[*next] = Some(report.key.clone()),
        }
        waits[*next] -= 1;
        if waits[*next] == 0 {
            ready.push_back(*next);
        }
    }
}

/// What the caller asked of the latest version; another one is not a lost race but the answer.
fn check_asked(draft: &Draft, head: Option<&Version>) -> Result<(), Error> {
    let found = head.map(|head| head.seq);
    let expected = match draft.precondition {
        Precondition::Any => return Ok(()),
        Precondition::Absent => None,
        Precondition::Latest(seq) => Some(seq),
    };
    if expected == found {
        return Ok(());
    }
    Err(Error::from(floret_store::Error::Conflict { key: draft.key.clone(), expected, found }).told())
}

fn report(graph: &Graph, index: usize, fate: Fate) -> StepReport {
    let step = &graph.plan.steps[index];
    StepReport {
        key: step.key.clone(),
        direct: graph.direct[index],
        reason: step.reason.clone(),
        fate,
        version: None,
        recipe: None,
        elapsed_ms: 0.0,
        output_bytes: 0,
        phases: StepPhases::default(),
        log_lines: 0,
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// The version that a draft becomes if the latest version stays as it is.
fn predict(draft: &Draft, head: Option<&Version>, attempt: &Attempt) -> Version {
    Version {
        key: draft.key.clone(),
        seq: head.map_or(Seq::FIRST, |head| head.seq.next()),
        version: draft.bump.after(head.map(|head| &head.version)),
        created_at: attempt.at,
        data_hash: draft.data_hash,
        media_type: draft.media_type.clone(),
        content_location: draft.content_location.clone(),
        content_inline: draft.content_inline.clone(),
        dependencies: draft.dependencies.clone(),
        metadata: draft.metadata.clone(),
        tags: draft.tags.clone(),
        ttl_ms: draft.ttl_ms,
        spec: draft.spec.clone(),
        build: draft.build.clone(),
        policy: draft.policy.clone(),
        publish_id: attempt.id.clone(),
        dropped_at: None,
    }
}
