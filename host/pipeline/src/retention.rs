//! Asking the retention policy, where one is bound, which versions stay.

use std::sync::Arc;

use floret_model::ResourceKey;
use floret_runtime::{RetentionSubject, RetentionVerdict, VersionFacts};
use floret_store::{
    CleanupReport, Judgement, KnownVersion, RetentionPolicy, Unjudged, cleanup, cleanup_judged,
};
use futures::FutureExt;
use serde_json::Map;

use crate::plugins::Bound;
use crate::{Error, Floret};

/// The binding whose component says which versions cleanup keeps. There is none unless somebody makes one.
pub const RETENTION_BINDING: &str = "retention";

impl Floret {
    /// Drop what retention does not keep and what has outlived its time to live, forget old memos, and free the
    /// storage of what was condemned long enough ago. What retention keeps is said by the component that is bound to
    /// `retention`; where none is, by `policy`. A component that fails keeps everything of the resource that it was asked
    /// about, and one whose breaker is open everything; the report says so. Its failures count for its breaker also in a
    /// dry run.
    ///
    /// # Errors
    /// A store that cannot be read at all, and a retention component that cannot be had; errors on the way are in the
    /// report and do not end the pass.
    pub async fn cleanup(
        &self,
        policy: &RetentionPolicy,
        grace_ms: u64,
        dry_run: bool,
    ) -> Result<CleanupReport, Error> {
        let now = self.now();
        let Some(bound) = self.retention().await? else {
            return Ok(cleanup(&*self.catalog, &self.blobs, policy, now, grace_ms, dry_run).await?);
        };
        let config = bound.config_with(&Map::new())?.to_string();
        let judge = |key: ResourceKey, versions: Vec<KnownVersion>| {
            let (bound, config) = (Arc::clone(&bound), config.clone());
            async move { self.judge(&bound, &config, key, versions).await.map_err(unjudged) }.boxed()
        };
        let (catalog, blobs) = (&*self.catalog, &self.blobs);
        let mut report = cleanup_judged(catalog, blobs, policy, Some(&judge), now, grace_ms, dry_run).await?;
        report.policy = Some(bound.component.label());
        Ok(report)
    }

    async fn retention(&self) -> Result<Option<Arc<Bound>>, Error> {
        match self.bound(RETENTION_BINDING).await {
            Ok(bound) => Ok(Some(bound)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn judge(
        &self,
        bound: &Bound,
        config: &str,
        key: ResourceKey,
        versions: Vec<KnownVersion>,
    ) -> Result<Vec<Judgement>, Error> {
        let access = self.catalog.access(&key).await?;
        let since_ms = u64::try_from(self.now().0.saturating_sub(access.last_at.0)).unwrap_or(0);
        let subject = RetentionSubject {
            namespace: key.namespace.to_string(),
            resource_type: key.resource_type.to_string(),
            id: key.resource_id.to_string(),
            access_count: access.count,
            last_access_age_ms: (access.count > 0).then_some(since_ms),
        };
        let versions = versions.into_iter().map(facts).collect();
        let verdicts = self.guarded(bound, bound.component.keep(subject, versions, config)).await?;
        let judgement = |RetentionVerdict { keep, reason }| Judgement { keep, reason };
        Ok(verdicts.into_iter().map(judgement).collect())
    }
}

/// An open breaker says the same of every resource; anything else is of the one that was asked about.
fn unjudged(error: Error) -> Unjudged {
    match error {
        Error::BreakerOpen { .. } => Unjudged::NotAsked(error.to_string()),
        error => Unjudged::Failed(error.to_string()),
    }
}

fn facts(known: KnownVersion) -> VersionFacts {
    VersionFacts {
        seq: known.seq.0,
        semantic_version: known.semantic_version.to_string(),
        age_ms: known.age_ms,
        size_bytes: known.size_bytes,
        stored_bytes: known.stored_bytes,
        tags: known.tags.into_iter().collect(),
        latest: known.latest,
        referenced: known.referenced,
    }
}
