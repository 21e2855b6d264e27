//! Building again what was built before, and comparing.

use std::collections::BTreeSet;
use std::sync::Arc;

use floret_model::{ComponentRef, Digest, Version, VersionRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::derive::{Job, Resolved};
use crate::plugins::parse_binding;
use crate::quarantine::Quarantine;
use crate::sample::{Chosen, Sampling};
use crate::{Error, Floret};

/// Versions read at once when all of them are looked at.
const PAGE: usize = 256;

/// What building versions again showed.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct RebuildReport {
    /// Which versions were chosen.
    #[serde(flatten)]
    pub sampling: Sampling,
    /// Versions that a component built and cleanup has not dropped: those that were chosen from.
    pub eligible: u64,
    /// Versions whose build was repeated, byte for byte as before or not.
    pub rebuilt: Vec<Rebuilt>,
    /// Versions that could not be built again, and why: inputs dropped by cleanup, a component that fails.
    pub skipped: Vec<(VersionRef, String)>,
    /// Components that are in quarantine now because of it.
    pub quarantined: Vec<Quarantine>,
}

/// One build repeated.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Rebuilt {
    /// The version.
    pub version: VersionRef,
    /// Digest of its content.
    pub expected: Digest,
    /// Digest of what its recipe makes now.
    pub got: Digest,
    /// Whether it was built by another engine then. A difference may be the engine's, and is not held against the
    /// component.
    pub engine_changed: bool,
}

impl RebuildReport {
    /// Builds that gave other bytes than before.
    pub fn mismatches(&self) -> impl Iterator<Item = &Rebuilt> {
        self.rebuilt.iter().filter(|rebuilt| rebuilt.expected != rebuilt.got)
    }
}

impl Floret {
    /// Build every version again that was built by a component, from its recorded inputs, and compare. A component that
    /// makes other bytes than are stored, on the same engine, is put into quarantine.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn verify_rebuild(&self) -> Result<RebuildReport, Error> {
        self.verify_rebuild_of(Sampling::default(), &|_, _| {}).await
    }

    /// As [`verify_rebuild`](Self::verify_rebuild), of a sample. `progress` is told how many of how many are done.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn verify_rebuild_of(
        &self,
        sampling: Sampling,
        progress: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<RebuildReport, Error> {
        let chosen = self.choose_built(sampling).await?;
        let mut report = RebuildReport { sampling, eligible: chosen.offered(), ..RebuildReport::default() };
        let chosen = chosen.sorted();
        let mut suspects = BTreeSet::new();
        for (done, reference) in (0..).zip(&chosen) {
            progress(done, chosen.len() as u64);
            let version = self.committed(reference).await?;
            let (rebuilt, component) = match self.rebuild(&version).await {
                Ok(rebuilt) => rebuilt,
                Err(error) => {
                    report.skipped.push((reference.clone(), error.to_string()));
                    continue;
                }
            };
            let differs = rebuilt.expected != rebuilt.got && !rebuilt.engine_changed;
            if differs && suspects.insert(component.digest) {
                let quarantine = Quarantine {
                    digest: component.digest,
                    plugin: component.plugin,
                    artefact: rebuilt.version.clone(),
                    expected: rebuilt.expected,
                    got: rebuilt.got,
                    released: false,
                };
                self.put_quarantine(&quarantine).await?;
                report.quarantined.push(quarantine);
            }
            report.rebuilt.push(rebuilt);
        }
        Ok(report)
    }

    /// Goes through the whole catalog.
    async fn choose_built(&self, sampling: Sampling) -> Result<Chosen, Error> {
        let mut chosen = Chosen::new(sampling);
        let mut after: Option<VersionRef> = None;
        loop {
            let page = self.catalog.scan(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(chosen) };
            after = Some(last.reference());
            for version in page.iter().filter(|version| version.dropped_at.is_none()) {
                if version.build.as_ref().is_some_and(|build| build.component.is_some()) {
                    chosen.offer(version.reference());
                }
            }
        }
    }

    async fn rebuild(&self, version: &Arc<Version>) -> Result<(Rebuilt, ComponentRef), Error> {
        let build = version.build.as_ref().expect("only versions with a build record are rebuilt");
        let reference = build.component.as_ref().expect("only versions that a component built are rebuilt");
        let plugin = self.committed(&reference.plugin).await?;
        let mut inputs = Vec::with_capacity(build.inputs.len());
        for input in &build.inputs {
            inputs
                .push(Resolved { role: input.role.clone(), version: self.committed(&input.version).await? });
        }
        let binding = version.dependencies.iter().find(|dependency| dependency.role == "binding");
        let binding = self.committed(&binding.ok_or_else(|| Error::not_found("its binding"))?.on).await?;
        // Within the limits that it was built with: they are a part of its profile.
        let limits = parse_binding(&self.content(&binding).await?, &binding)?.limits;
        let component = limits.apply(self.component(&plugin).await?);
        let profile = component.profile();
        let engine_changed = build.profile != profile;
        let bound = crate::plugins::Bound {
            component,
            plugin,
            binding,
            config: serde_json::Map::new(),
            gate: Arc::default(),
            fallback: None,
        };
        let job = Job {
            key: &version.key,
            inputs: &inputs,
            config: build.config.clone(),
            bound: Some(Arc::new(bound)),
            profile,
        };
        let got = self.output(&job, build.recipe, true).await?.digest;
        let rebuilt =
            Rebuilt { version: version.reference(), expected: version.data_hash, got, engine_changed };
        Ok((rebuilt, reference.clone()))
    }

    async fn committed(&self, reference: &VersionRef) -> Result<Arc<Version>, Error> {
        self.catalog.version(reference).await?.ok_or_else(|| Error::not_found(reference))
    }
}
