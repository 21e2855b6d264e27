//! Looking after a home, in this process or behind a server.

use anyhow::Result;
use floret_cache::{CacheStats, Warmed};
use floret_pipeline::{
    CleanupReport, Contender, ContenderSource, PolicyComparison, PolicyReplay, RetentionPolicy, Uncached,
    Uncaching,
};
use serde_json::{Value, json};

use super::Home;
use crate::given::usage;

impl Home<'_> {
    /// What the tiers of the cache hold, and how often they hit.
    pub async fn cache_stats(self) -> Result<CacheStats> {
        match self {
            Self::Here(host) => Ok(host.cache().stats()),
            Self::There(client) => client.get(&client.at(&["cache"])?, &[]).await,
        }
    }

    /// Fill the cache with what was asked for most.
    pub async fn warm(self, limit: usize) -> Result<Warmed> {
        match self {
            Self::Here(host) => Ok(host.warm(limit).await),
            Self::There(client) => {
                client.post(&client.at(&["cache", "warmings"])?, &json!({"limit": limit})).await
            }
        }
    }

    /// Drop what is old. What that is, a server knows by its own configuration.
    pub async fn cleanup(
        self,
        policy: &RetentionPolicy,
        grace_ms: u64,
        dry_run: bool,
    ) -> Result<CleanupReport> {
        match self {
            Self::Here(host) => Ok(host.cleanup(policy, grace_ms, dry_run).await?),
            Self::There(client) => {
                client.post(&client.at(&["cleanups"])?, &json!({"dry_run": dry_run})).await
            }
        }
    }

    /// Drop cached copies.
    pub async fn uncache(self, what: &Uncaching) -> Result<Uncached> {
        match self {
            Self::Here(host) => Ok(host.uncache_all(what).await?),
            Self::There(client) => {
                let asked = match what {
                    Uncaching::Matching(patterns) => json!({"patterns": patterns}),
                    Uncaching::Namespace(namespace) => json!({"namespace": namespace}),
                    Uncaching::All => json!({"all": true}),
                };
                client.post(&client.at(&["cache", "invalidations"])?, &asked).await
            }
        }
    }

    /// Let two policies decide anew. Here, `progress` is told how many of how many are done.
    pub async fn policy_compare(
        self,
        replay: &PolicyReplay,
        progress: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<PolicyComparison> {
        match self {
            Self::Here(host) => Ok(host.policy_compare(replay, progress).await?),
            Self::There(client) => {
                let asked = json!({
                    "a": side(&replay.a)?,
                    "b": side(&replay.b)?,
                    "last": replay.last,
                    "type": replay.resource_type,
                });
                client.post(&client.at(&["policies", "comparisons"])?, &asked).await
            }
        }
    }
}

fn side(contender: &Contender) -> Result<Value> {
    match &contender.source {
        ContenderSource::Installed(name) => Ok(json!({"component": name, "config": contender.config})),
        ContenderSource::Component(_) => Err(usage(
            "a server compares components that it has: give the name of one, after `floret plugin install FILE`",
        )),
    }
}
