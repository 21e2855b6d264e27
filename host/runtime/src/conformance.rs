//! Does a component keep its contract? Plain functions over a loaded [`Component`], for its author (`floret
//! plugin test`) and for our own tests. They call it as the host does, with small inputs made here.

mod author;
mod corpus;
mod index;
mod policy;
mod retention;

use std::fmt;
use std::time::{Duration, Instant};

pub use author::{Given, Measure, author};
pub use corpus::corpus;
pub use index::index;
pub use policy::policy;
pub use retention::retention;

use crate::{Component, ContractKind, Error};

/// What one check found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What was checked, as a sentence that holds for a good component.
    pub check: &'static str,
    /// Nothing if it holds, else what happened instead.
    pub fault: Option<String>,
    /// How long it took, by the wall clock.
    pub took: Duration,
}

impl Finding {
    /// Whether the component passed.
    pub fn passed(&self) -> bool {
        self.fault.is_none()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            None => write!(f, "ok: {}", self.check),
            Some(fault) => write!(f, "FAILED: {}: {fault}", self.check),
        }
    }
}

/// Run the suite of the component's contract with a configuration (`{}` means all defaults). Takes about a
/// second; the findings come in a fixed order.
pub async fn check(component: &Component, config: &str) -> Vec<Finding> {
    match component.contract().kind {
        ContractKind::Corpus => corpus(component, config).await,
        ContractKind::Index => index(component, config).await,
        ContractKind::Policy => policy(component, config).await,
        ContractKind::Retention => retention(component, config).await,
    }
}

/// What a check returns: nothing, or what went wrong.
type Outcome = Result<(), String>;

async fn finding(check: &'static str, work: impl Future<Output = Outcome>) -> Finding {
    let started = Instant::now();
    let fault = work.await.err();
    Finding { check, fault, took: started.elapsed() }
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// A call that must succeed.
fn good<T>(answer: Result<T, Error>) -> Result<T, String> {
    answer.map_err(|error| error.to_string())
}

/// A call whose input must be refused as invalid.
fn refused<T>(what: &str, answer: Result<T, Error>) -> Outcome {
    match answer {
        Err(Error::InvalidInput { .. }) => Ok(()),
        Err(error) => Err(format!("{what}: expected invalid-input, got: {error}")),
        Ok(_) => Err(format!("{what}: expected invalid-input, but it was accepted")),
    }
}

/// Corpora that break the format, each with what is wrong.
const MALFORMED: [(&str, &[u8]); 6] = [
    ("lines out of order", b"b\t1\na\t1\n"),
    ("a word twice", b"a\t1\na\t1\n"),
    ("a line without a count", b"a\n"),
    ("a count of zero", b"a\t0\n"),
    ("a last line without a line feed", b"a\t1"),
    ("bytes that are not UTF-8", b"a\xff\t1\n"),
];
