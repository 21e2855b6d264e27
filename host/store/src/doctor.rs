//! What `floret doctor` asks of a catalog and of an object store. Whatever it writes it takes away again.

use std::time::Instant;

use floret_model::{Namespace, ResourceKey, ResourceType, TimestampMs};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Lease, Leased};
use crate::objects::explain;
use crate::{Clock, Error};

/// Where objects are that are written to see whether that works, below the root of the object store.
pub const PROBE_ROOT: &str = "doctor";
/// Clocks that differ by more than this are remarked upon: a lease is held for 10 s unless it is set otherwise.
const SKEW_NOTABLE_MS: u64 = 1_000;
/// Clocks that differ by more make leases end before they begin, or long after their holder is gone.
const SKEW_MAX_MS: u64 = 30_000;
/// Reads that take longer are remarked upon: a save makes three or four, one after the other.
const ROUND_TRIP_NOTABLE_MS: f64 = 50.0;
/// For how long the lease is taken that shows that leases can be; it is given back at once.
const LEASE_MS: u64 = 10_000;

/// How grave a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Works, and could be better or safer.
    Warning,
    /// Does not work, or will not for long.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// What was looked at, e.g. `catalog`.
    pub check: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do, unless it is as it should be.
    pub remedy: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn ok(check: &str, found: impl Into<String>) -> Self {
        Self { check: check.to_owned(), verdict: Verdict::Ok, found: found.into(), remedy: None }
    }

    /// Works, and could be better or safer.
    pub fn warning(check: &str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into());
        Self { check: check.to_owned(), verdict: Verdict::Warning, found: found.into(), remedy }
    }

    /// Does not work.
    pub fn problem(check: &str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into());
        Self { check: check.to_owned(), verdict: Verdict::Problem, found: found.into(), remedy }
    }

    /// An error of the store, with what it says should be done.
    pub fn error(check: &str, error: &Error) -> Self {
        let (found, remedy) = match error {
            Error::Unavailable { service, problem, remedy } => {
                (format!("{service} is unavailable: {problem}"), remedy.clone())
            }
            Error::Refused { service, problem, remedy } => {
                (format!("{service} refuses: {problem}"), remedy.clone())
            }
            Error::InUse { path, holder } => {
                let holder = holder.as_ref().map(|holder| format!(" by {holder}")).unwrap_or_default();
                let found = format!("{} is in use{holder}", path.display());
                (found, "stop that process to have this looked at; two cannot share an embedded store".into())
            }
            Error::NewerFormat { path, found, supported } => {
                let found = format!(
                    "{} has format {found}, and this program reads up to {supported}",
                    path.display()
                );
                (found, "use the newer floret that wrote it".to_owned())
            }
            Error::Io { .. } => {
                let remedy = "see that the folder is there, and that this user may read and write it";
                (error.to_string(), remedy.to_owned())
            }
            Error::Object { .. } => {
                let remedy = "see that the store is there, and that its address, region and keys are right";
                (error.to_string(), remedy.to_owned())
            }
            Error::Integrity { .. } | Error::TooLarge { .. } => {
                let remedy = "restore it from a copy, or save or build it again; `floret verify` names all that is damaged";
                (error.to_string(), remedy.to_owned())
            }
            _ => (error.to_string(), "try again with -v, which logs more".to_owned()),
        };
        Self::problem(check, found, remedy)
    }
}

/// Ask the catalog how it is, how far away it is and what its clock says; take a lease and give it back. `holder` is a
/// name that nobody else has.
pub async fn examine_catalog(catalog: &dyn Catalog, clock: &dyn Clock, holder: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let asked_at = clock.now();
    let probe = match catalog.probe().await {
        Ok(probe) => probe,
        Err(error) => return vec![Finding::error("catalog", &error)],
    };
    let answered_at = clock.now();
    let found = format!("{catalog}: {}, format {}", probe.engine, probe.format);
    findings.push(Finding::ok("catalog", found));
    for problem in probe.problems {
        findings.push(Finding::problem("catalog", problem.problem, problem.remedy));
    }
    findings.push(round_trip(catalog).await);
    if let Some(server) = probe.server_time {
        findings.push(skew(asked_at, answered_at, server));
    }
    findings.push(lease(catalog, clock, holder).await);
    findings
}

/// How long one read of one row takes.
async fn round_trip(catalog: &dyn Catalog) -> Finding {
    const CHECK: &str = "round trip";
    let id = "policy".parse().expect("a good id");
    let key = ResourceKey::new(Namespace::plugins(), ResourceType::binding(), id);
    let started = Instant::now();
    if let Err(error) = catalog.heads(&[key]).await {
        return Finding::error(CHECK, &error);
    }
    let took_ms = started.elapsed().as_secs_f64() * 1e3;
    let found = format!("a latest version is read in {took_ms:.2} ms");
    if took_ms <= ROUND_TRIP_NOTABLE_MS {
        return Finding::ok(CHECK, found);
    }
    Finding::warning(
        CHECK,
        found,
        "put host and catalog into one data centre, or see what else keeps it busy",
    )
}

/// The server's clock against ours, which was read before and after: the truth is no further off than half the time
/// between.
fn skew(asked_at: TimestampMs, answered_at: TimestampMs, server: TimestampMs) -> Finding {
    const CHECK: &str = "clock";
    let (asked_at, answered_at) = (asked_at.0, answered_at.0);
    let between = asked_at + (answered_at - asked_at) / 2;
    let skew_ms = server.0.abs_diff(between);
    let certain_ms = skew_ms.saturating_sub((answered_at - asked_at).unsigned_abs() / 2);
    let side = if server.0 < between { "behind" } else { "ahead of" };
    let found = format!("the catalog's clock is {:.3} s {side} ours", skew_ms as f64 / 1e3);
    let remedy = "let both machines keep their clocks by NTP: leases end by the clock of whoever takes them";
    match certain_ms {
        ms if ms > SKEW_MAX_MS => Finding::problem(CHECK, found, remedy),
        ms if ms > SKEW_NOTABLE_MS => Finding::warning(CHECK, found, remedy),
        _ => Finding::ok(CHECK, found),
    }
}

async fn lease(catalog: &dyn Catalog, clock: &dyn Clock, holder: &str) -> Finding {
    const CHECK: &str = "leases";
    let now = clock.now();
    let name = format!("{PROBE_ROOT}/{holder}");
    let lease = Lease { name, holder: holder.to_owned(), until: now.plus_ms(LEASE_MS) };
    let taken = catalog.acquire_lease(&lease, now).await;
    let released = catalog.release_lease(&lease).await;
    match (taken, released) {
        (Ok(Leased::Granted), Ok(())) => Finding::ok(CHECK, "one was taken and given back"),
        (Ok(Leased::Held(held)), _) => {
            let found = format!("one that nobody knows is held by {} until {}", held.holder, held.until);
            Finding::problem(CHECK, found, "try again; if it stays so, see what else writes to the catalog")
        }
        (Err(error), _) | (_, Err(error)) => Finding::error(CHECK, &error),
    }
}

/// Write, read, list and delete an object `doctor/NAME`, and see whether the store refuses to write one twice. `place` is
/// what the store is called, `name` one that nobody else has.
pub async fn examine_objects(objects: &dyn ObjectStore, place: &str, name: &str) -> Vec<Finding> {
    let path = Path::from(format!("{PROBE_ROOT}/{name}"));
    let probe = Probe { objects, place, path, content: format!("written by floret doctor as {name}") };
    let written = probe.write().await;
    let findings = match &written {
        Ok(()) => vec![probe.read().await, probe.list().await, probe.conditional().await],
        Err(_) => Vec::new(),
    };
    // Also when writing failed: an answer may be lost, and the object there.
    let deleted = probe.delete().await;
    match (written, deleted) {
        (Err(finding), _) | (Ok(()), Err(finding)) => [findings, vec![finding]].concat(),
        (Ok(()), Ok(())) => {
            let found = format!("{place}: an object can be written and deleted");
            [vec![Finding::ok(BLOBS, found)], findings].concat()
        }
    }
}

const BLOBS: &str = "blobs";

struct Probe<'a> {
    objects: &'a dyn ObjectStore,
    place: &'a str,
    path: Path,
    content: String,
}

impl Probe<'_> {
    fn payload(&self) -> PutPayload {
        PutPayload::from(self.content.clone())
    }

    fn error(&self, action: &'static str, source: object_store::Error) -> Finding {
        Finding::error(BLOBS, &explain(self.place, action, self.path.as_ref(), source))
    }

    async fn write(&self) -> Result<(), Finding> {
        let written = self.objects.put(&self.path, self.payload()).await;
        written.map(drop).map_err(|error| self.error("write", error))
    }

    async fn read(&self) -> Finding {
        let read = match self.objects.get(&self.path).await {
            Ok(object) => object.bytes().await,
            Err(error) => Err(error),
        };
        match read {
            Ok(bytes) if bytes == self.content.as_bytes() => {
                Finding::ok(BLOBS, "it is read as it was written")
            }
            Ok(bytes) => {
                let found =
                    format!("{} bytes were written, and {} others read", self.content.len(), bytes.len());
                Finding::problem(BLOBS, found, "do not use this store: it does not keep what it is given")
            }
            Err(error) => self.error("read", error),
        }
    }

    /// Only cleanup lists, so hosts work without.
    async fn list(&self) -> Finding {
        let listed = self.objects.list(Some(&PROBE_ROOT.into())).try_collect::<Vec<_>>().await;
        let remedy =
            "let these keys list the bucket: `floret cleanup` cannot find what was left over without";
        match listed {
            Ok(found) if found.iter().any(|object| object.location == self.path) => {
                Finding::ok(BLOBS, "it is listed")
            }
            Ok(_) => Finding::warning(BLOBS, "it is not listed, though it is there", remedy),
            Err(error) => {
                let error = explain(self.place, "list", PROBE_ROOT, error);
                Finding::warning(BLOBS, error.to_string(), remedy)
            }
        }
    }

    /// Of no consequence, as no two writers ever write one object; told, as it tells servers apart.
    async fn conditional(&self) -> Finding {
        let again = self.objects.put_opts(&self.path, self.payload(), PutMode::Create.into()).await;
        let needless = "nothing here needs it: every writer writes an object of its own";
        match again {
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Finding::ok(BLOBS, "conditional writes are supported: an object is not written twice")
            }
            Ok(_) => Finding::ok(BLOBS, format!("conditional writes are ignored; {needless}")),
            Err(error) => Finding::ok(BLOBS, format!("conditional writes are refused ({error}); {needless}")),
        }
    }

    async fn delete(&self) -> Result<(), Finding> {
        match self.objects.delete(&self.path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.error("delete", error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_compared_within_what_can_be_known() {
        let at = TimestampMs;
        for (asked, answered, server, verdict) in [
            (0, 0, 0, Verdict::Ok),
            (0, 2_000, 1_000, Verdict::Ok),
            (0, 0, 1_000, Verdict::Ok),
            (0, 0, -1_001, Verdict::Warning),
            (0, 4_000, 4_000, Verdict::Ok),
            (0, 4_000, 5_001, Verdict::Warning),
            (0, 0, 30_001, Verdict::Problem),
            (0, 0, -30_001, Verdict::Problem),
        ] {
            let finding = skew(at(asked), at(answered), at(server));
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            assert_eq!(finding.remedy.is_none(), verdict == Verdict::Ok);
        }
        assert_eq!(skew(at(0), at(0), at(-2_500)).found, "the catalog's clock is 2.500 s behind ours");
    }

    #[tokio::test]
    async fn a_good_object_store_is_left_as_it_was() {
        let objects = object_store::memory::InMemory::new();
        let findings = examine_objects(&objects, "here", "one").await;
        assert!(findings.iter().all(|finding| finding.verdict == Verdict::Ok), "{findings:?}");
        assert!(findings.iter().any(|finding| finding.found.contains("not written twice")), "{findings:?}");
        let left: Vec<_> = objects.list(None).try_collect().await.expect("listed");
        assert!(left.is_empty(), "{left:?}");
    }

    #[tokio::test]
    async fn a_store_that_cannot_be_written_is_one_problem() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join(PROBE_ROOT), "in the way").expect("written");
        let objects = object_store::local::LocalFileSystem::new_with_prefix(folder.path()).expect("a folder");
        let findings = examine_objects(&objects, "here", "one").await;
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((finding.verdict, finding.check.as_str()), (Verdict::Problem, "blobs"));
        assert!(finding.remedy.is_some() && finding.found.contains("doctor/one"), "{finding:?}");
    }
}
