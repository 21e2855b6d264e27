//! One task commits for all writers of this process: it takes every publish that waits, decides each in its order, and
//! writes those that hold in one transaction. So tasks of one process never lose a race against each other, and a
//! hundred saves that wait cost as many round trips as one. Between processes the server decides.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use floret_model::{Version, VersionRef};
use mongodb::ClientSession;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::draft::ReadyPublish;
use super::home::Home;
use super::ids;
use super::staged::{Decision, Staged};
use super::transaction::{Attempted, Failure, Work};
use crate::Error;
use crate::catalog::Outcome;

/// Publishes that may wait; then callers wait to be allowed to wait.
const QUEUE_MAX: usize = 1024;
/// A group takes no more drafts behind these, some 10 MB: a transaction should end within a second or so.
const GROUP_DRAFTS_MAX: usize = 2000;
const GROUP_BYTES_MAX: usize = 10 << 20;

type Answer = Result<Vec<Outcome>, Error>;

struct Waiting {
    publish: ReadyPublish,
    answer: oneshot::Sender<Answer>,
}

/// The queue, and the task behind it, which ends with it.
pub(super) struct Committer {
    queue: mpsc::Sender<Waiting>,
    task: JoinHandle<()>,
    catalog: String,
}

impl Committer {
    pub fn start(home: Home) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let catalog = home.name.clone();
        Self { queue, task: tokio::spawn(run(home, waiting)), catalog }
    }

    pub async fn publish(&self, publish: ReadyPublish) -> Answer {
        let (answer, answered) = oneshot::channel();
        let gone = || Error::Backend { catalog: self.catalog.clone(), problem: "it was closed".to_owned() };
        self.queue.send(Waiting { publish, answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(home: Home, mut waiting: mpsc::Receiver<Waiting>) {
    while let Some(first) = waiting.recv().await {
        let mut group = vec![first];
        let (mut drafts, mut bytes) = (group[0].publish.drafts.len(), group[0].publish.bytes());
        while drafts < GROUP_DRAFTS_MAX
            && bytes < GROUP_BYTES_MAX
            && let Ok(next) = waiting.try_recv()
        {
            drafts += next.publish.drafts.len();
            bytes += next.publish.bytes();
            group.push(next);
        }
        commit(&home, group).await;
    }
}

async fn commit(home: &Home, waiting: Vec<Waiting>) {
    let (publishes, answers): (Vec<_>, Vec<_>) =
        waiting.into_iter().map(|waiting| (waiting.publish, waiting.answer)).unzip();
    let mut group = Group { publishes };
    let committed = home.transact(&mut group).await;
    match committed {
        Ok(outcomes) => {
            // Whoever no longer waits has lost interest, not the version.
            for (outcome, answer) in outcomes.into_iter().zip(answers) {
                let _ = answer.send(outcome);
            }
        }
        // One publish that the server does not take, e.g. for its length, must not fail its neighbours.
        Err(error) if answers.len() > 1 && !fails_all(&error) => {
            for (publish, answer) in group.publishes.into_iter().zip(answers) {
                let mut alone = Group { publishes: vec![publish] };
                let done = home.transact(&mut alone).await;
                let one = |mut outcomes: Vec<Answer>| outcomes.pop().expect("each publish has its answer");
                let _ = answer.send(done.and_then(one));
            }
        }
        Err(error) => answers.into_iter().for_each(|answer| drop(answer.send(Err(shared(&error))))),
    }
}

/// Whether it is the server that fails, and not one of the publishes.
fn fails_all(error: &Error) -> bool {
    matches!(error, Error::Unavailable { .. } | Error::Refused { .. })
}

/// A failure of the whole group, for each that waited: what a transaction fails with beside its publishes' own errors.
fn shared(error: &Error) -> Error {
    match error {
        Error::Unavailable { service, problem, remedy } => {
            Error::Unavailable { service: service.clone(), problem: problem.clone(), remedy: remedy.clone() }
        }
        Error::Refused { service, problem, remedy } => {
            Error::Refused { service: service.clone(), problem: problem.clone(), remedy: remedy.clone() }
        }
        Error::Backend { catalog, problem } => {
            Error::Backend { catalog: catalog.clone(), problem: problem.clone() }
        }
        Error::Integrity { what, problem } => {
            Error::Integrity { what: what.clone(), problem: problem.clone() }
        }
        other => Error::Backend { catalog: "the MongoDB catalog".to_owned(), problem: other.to_string() },
    }
}

/// Publishes that are committed together.
struct Group {
    publishes: Vec<ReadyPublish>,
}

#[async_trait]
impl Work for Group {
    type Done = Vec<Answer>;

    async fn attempt(
        &mut self,
        home: &Home,
        session: &mut ClientSession,
    ) -> Result<Attempted<Self::Done>, Failure> {
        let drafts = self.publishes.iter().flat_map(|publish| &publish.drafts);
        let mut staged = Staged::load(home, session, drafts).await?;
        let mut decided = Vec::with_capacity(self.publishes.len());
        for publish in &self.publishes {
            decided.push(match staged.publish(home, session, publish).await {
                Ok(decisions) => Ok(decisions),
                Err(Failure::Final(error)) => Err(*error),
                Err(failure) => return Err(failure),
            });
        }
        let (mut mark, mut wrote) = (None, false);
        for (publish, decisions) in self.publishes.iter().zip(&decided) {
            let Ok(decisions) = decisions else { continue };
            let heads = appended(decisions);
            if !heads.is_empty() {
                let told = home.tell_publish(session, &publish.id, publish.at, &heads).await?;
                mark.get_or_insert(told);
                wrote = true;
            }
            if let Some(report) = &publish.report {
                home.put_report_document(Some(session), report).await?;
                wrote = true;
            }
        }
        let unchanged = decided.iter().flatten().flatten().filter_map(|decision| match decision {
            Decision::Unchanged(reference) => Some(reference),
            Decision::Appended(_) => None,
        });
        // One that equals what this very group appends is at hand; the others are read.
        let (new, new_edge) = staged.into_appended();
        let mut at_hand: HashMap<VersionRef, Arc<Version>> =
            new.iter().map(|new| (new.version.reference(), Arc::clone(&new.version))).collect();
        let wanted: BTreeSet<String> =
            unchanged.filter(|reference| !at_hand.contains_key(reference)).map(ids::version).collect();
        home.read_versions(session, wanted, &mut at_hand).await?;
        home.write_versions(session, new, new_edge).await?;
        let answers = decided.into_iter().map(|decisions| outcomes(decisions?, &at_hand));
        Ok(Attempted { done: answers.collect(), wrote, mark })
    }
}

/// The versions that a publish makes the latest: of each resource the last.
fn appended(decisions: &[Decision]) -> Vec<VersionRef> {
    let mut heads: HashMap<_, VersionRef> = HashMap::new();
    for decision in decisions {
        if let Decision::Appended(version) = decision {
            heads.insert(&version.key, version.reference());
        }
    }
    let mut heads: Vec<VersionRef> = heads.into_values().collect();
    heads.sort();
    heads
}

fn outcomes(decisions: Vec<Decision>, at_hand: &HashMap<VersionRef, Arc<Version>>) -> Answer {
    let outcome = |decision| match decision {
        Decision::Appended(version) => Ok(Outcome::Appended(version)),
        Decision::Unchanged(reference) => match at_hand.get(&reference) {
            Some(version) => Ok(Outcome::Unchanged(Arc::clone(version))),
            None => Err(Error::Integrity {
                what: reference.to_string(),
                problem: "it is the latest version, and has no record".to_owned(),
            }),
        },
    };
    decisions.into_iter().map(outcome).collect()
}
