//! Keeping an installation sound: verify, rebuild and compare, cleanup.

use std::sync::Arc;

use floret_model::{Digest, ResourceType, Version, VersionRef};
use floret_store::{CleanupReport, RetentionPolicy, VerifyOptions, VerifyReport, check_objects};
use serde::Serialize;

use crate::derive::{Job, Resolved};
use crate::plugins::{POLICY_BINDING, plugin_key};
use crate::{Error, Floret};

/// Versions read at once when all of them are looked at.
const PAGE: usize = 256;

/// What building versions again showed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RebuildReport {
    /// Versions whose build was repeated, byte for byte as before or not.
    pub rebuilt: Vec<Rebuilt>,
    /// Versions that could not be built again, and why: inputs dropped by cleanup, a component that fails.
    pub skipped: Vec<(VersionRef, String)>,
}

/// One build repeated.
#[derive(Clone, Debug, Serialize)]
pub struct Rebuilt {
    /// The version.
    pub version: VersionRef,
    /// Digest of its content.
    pub expected: Digest,
    /// Digest of what its recipe makes now.
    pub got: Digest,
}

impl RebuildReport {
    /// Builds that gave other bytes than before.
    pub fn mismatches(&self) -> impl Iterator<Item = &Rebuilt> {
        self.rebuilt.iter().filter(|rebuilt| rebuilt.expected != rebuilt.got)
    }
}

impl Floret {
    /// See that catalog and object store answer. Only the latter is given up, after 10 s.
    ///
    /// # Errors
    /// The first that does not.
    pub async fn check_ready(&self) -> Result<(), Error> {
        self.head(&plugin_key(ResourceType::binding(), POLICY_BINDING)?).await?;
        let objects = self.blobs.objects();
        Ok(check_objects(&**objects, &objects.to_string()).await?)
    }

    /// Check every invariant of the store.
    ///
    /// # Errors
    /// A store that cannot be read at all; what is wrong with it is in the report.
    pub async fn verify(&self, options: VerifyOptions) -> Result<VerifyReport, Error> {
        Ok(floret_store::verify(&*self.catalog, &self.blobs, options).await?)
    }

    /// Build every version again that was built by a component, from its recorded inputs, and compare.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn verify_rebuild(&self) -> Result<RebuildReport, Error> {
        let mut report = RebuildReport::default();
        let mut after: Option<VersionRef> = None;
        loop {
            let page = self.catalog.scan(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(report) };
            after = Some(last.reference());
            for version in page {
                if version.dropped_at.is_some()
                    || version.build.as_ref().is_none_or(|build| build.component.is_none())
                {
                    continue;
                }
                match self.rebuild(&version).await {
                    Ok(got) => {
                        let version_ref = version.reference();
                        report.rebuilt.push(Rebuilt {
                            version: version_ref,
                            expected: version.data_hash,
                            got,
                        });
                    }
                    Err(error) => report.skipped.push((version.reference(), error.to_string())),
                }
            }
        }
    }

    /// Drop what retention does not keep and what has outlived its time to live, forget old memos, and free the
    /// storage of what was condemned long enough ago.
    ///
    /// # Errors
    /// A store that cannot be read at all; errors on the way are in the report and do not end the pass.
    pub async fn cleanup(
        &self,
        policy: &RetentionPolicy,
        grace_ms: u64,
        dry_run: bool,
    ) -> Result<CleanupReport, Error> {
        let now = self.now();
        Ok(floret_store::cleanup(&*self.catalog, &self.blobs, policy, now, grace_ms, dry_run).await?)
    }

    async fn rebuild(&self, version: &Arc<Version>) -> Result<Digest, Error> {
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
        let component = self.component(&plugin).await?;
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
            profile: self.runtime.profile().to_owned(),
        };
        Ok(self.output(&job, build.recipe, true).await?.digest)
    }

    async fn committed(&self, reference: &VersionRef) -> Result<Arc<Version>, Error> {
        self.catalog.version(reference).await?.ok_or_else(|| Error::not_found(reference))
    }
}
