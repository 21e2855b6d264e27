//! The configuration: what can be set, and what it is unless it is set.

pub(crate) mod amount;
#[cfg(test)]
mod example;
mod layers;
mod plugins;
mod secret;
mod serve;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use floret_cache::{CacheConfig, Compression, NamespaceConfig};
use floret_model::{Namespace, ResourceType};
use floret_runtime::Limits;
use floret_store::RetentionPolicy;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

pub(crate) use amount::{ByteSize, Lifetime, Span};
pub(crate) use layers::{CONFIG_FILE, DOCUMENTED_ENV, Flags, Settings, cloud_env, load, process_env};
pub(crate) use plugins::PluginsSection;
pub(crate) use secret::Secret;
pub(crate) use serve::ServeSection;

/// Everything that can be configured.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The data folder.
    pub data: Option<PathBuf>,
    /// What is logged to stderr, as `tracing-subscriber` reads it: `warn`, `info,floret_runtime=debug` …
    pub log: String,
    /// Types that people may save beside `dictionary` and `literature`.
    pub types: BTreeSet<ResourceType>,
    /// Namespaces of resources, and how each is cached.
    pub namespaces: BTreeMap<Namespace, NamespaceSection>,
    /// The cache as a whole.
    pub cache: CacheSection,
    /// What a component may use.
    pub limits: LimitsSection,
    /// Where versions are kept.
    pub catalog: CatalogSection,
    /// Where large contents are kept.
    pub blobs: BlobsSection,
    /// How hosts that share a catalog work together.
    pub cluster: ClusterSection,
    /// How contents are stored and built.
    pub store: StoreSection,
    /// What cleanup keeps.
    pub cleanup: CleanupSection,
    /// Where components come from, and who vouches for them.
    pub plugins: PluginsSection,
    /// How `floret serve` is reached.
    pub serve: ServeSection,
}

impl Default for Config {
    fn default() -> Self {
        let cached = NamespaceSection { memory_items_max: 10_000, ..NamespaceSection::default() };
        let names = [Namespace::default_namespace(), Namespace::plugins()];
        Self {
            data: None,
            log: "warn".to_owned(),
            types: BTreeSet::new(),
            namespaces: names.into_iter().map(|name| (name, cached.clone())).collect(),
            cache: CacheSection::default(),
            limits: LimitsSection::default(),
            catalog: CatalogSection::default(),
            blobs: BlobsSection::default(),
            cluster: ClusterSection::default(),
            store: StoreSection::default(),
            cleanup: CleanupSection::default(),
            plugins: PluginsSection::default(),
            serve: ServeSection::default(),
        }
    }
}

/// `[namespaces.NAME]`: a bound of 0 turns that tier off.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NamespaceSection {
    pub memory_items_max: u64,
    pub memory_bytes_max: ByteSize,
    pub memory_ttl: Lifetime,
    pub disk_bytes_max: ByteSize,
    pub disk_ttl: Lifetime,
    /// Of the disk tier: `none`, `lz4`, `zstd` or `zstd-1` to `zstd-22`, `gzip` or `gzip-0` to `gzip-9`.
    pub compression: CacheCompression,
}

impl Default for NamespaceSection {
    /// A namespace that is named and nothing more has the 100 entries of promise C1.
    fn default() -> Self {
        Self {
            memory_items_max: 100,
            memory_bytes_max: ByteSize::mib(128),
            memory_ttl: Lifetime::NEVER,
            disk_bytes_max: ByteSize::gib(2),
            disk_ttl: Lifetime::NEVER,
            compression: CacheCompression(Compression::None),
        }
    }
}

/// How the disk tier compresses, as text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct CacheCompression(pub Compression);

impl From<CacheCompression> for String {
    fn from(compression: CacheCompression) -> Self {
        match compression.0 {
            Compression::None => "none".to_owned(),
            Compression::Lz4 => "lz4".to_owned(),
            Compression::Zstd { level } => format!("zstd-{level}"),
            Compression::Gzip { level } => format!("gzip-{level}"),
        }
    }
}

impl TryFrom<String> for CacheCompression {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (name, level) =
            text.split_once('-').map_or((text.as_str(), None), |(name, level)| (name, Some(level)));
        let number = |or: u32| level.map_or(Ok(or), str::parse);
        let parsed = match (name, number(3)) {
            ("none", Ok(_)) if level.is_none() => Compression::None,
            ("lz4", Ok(_)) if level.is_none() => Compression::Lz4,
            ("zstd", Ok(level @ 1..=22)) => Compression::Zstd { level: level.cast_signed() },
            ("gzip", Ok(_)) => match number(6) {
                Ok(level @ 0..=9) => Compression::Gzip { level },
                _ => return Err(expected_compression(&text)),
            },
            _ => return Err(expected_compression(&text)),
        };
        Ok(Self(parsed))
    }
}

fn expected_compression(text: &str) -> String {
    format!(
        "unknown compression {text:?}: expected none, lz4, zstd (zstd-1 to zstd-22) or gzip (gzip-0 to gzip-9)"
    )
}

/// `[cache]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CacheSection {
    /// Where the disk tier is; `DATA/cache` unless set.
    pub directory: Option<PathBuf>,
    pub memory_bytes_max: ByteSize,
    pub disk_bytes_max: ByteSize,
    /// Keys of each namespace that warming remembers.
    pub access_log_keys_max: usize,
}

impl Default for CacheSection {
    fn default() -> Self {
        let cache = CacheConfig::default();
        Self {
            directory: None,
            memory_bytes_max: ByteSize(cache.memory_bytes_max),
            disk_bytes_max: ByteSize(cache.disk_bytes_max),
            access_log_keys_max: cache.access_log_keys_max,
        }
    }
}

/// `[limits]`: the runtime's, see `floret_runtime::Limits`, and those of the host's own work.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LimitsSection {
    pub call_timeout: Span,
    pub query_timeout: Span,
    pub inline_timeout: Span,
    pub compile_timeout: Span,
    pub memory_bytes_max: ByteSize,
    pub table_elements_max: u64,
    pub core_instances_max: u64,
    pub stack_bytes_max: ByteSize,
    pub output_bytes_max: ByteSize,
    pub call_bytes_max: ByteSize,
    pub log_bytes_max: ByteSize,
    pub component_bytes_max: ByteSize,
    pub compiled_bytes_max: ByteSize,
    pub inputs_max: u64,
    pub instances_max: usize,
    pub searchers_max: usize,
    pub queries_max: usize,
    /// Steps of a cascade at once.
    pub parallel_steps_max: usize,
    /// Opened search indexes kept in memory.
    pub open_indexes_max: usize,
    /// How often a cascade that lost a race is planned again.
    pub conflict_retries_max: u32,
    /// Failures on end after which a bound component is not asked for a while.
    pub breaker_failures_max: u32,
    /// How long that is.
    pub breaker_cooldown: Span,
}

impl Default for LimitsSection {
    fn default() -> Self {
        let limits = Limits::default();
        let options = floret_pipeline::Options::default();
        Self {
            call_timeout: Span(limits.call_timeout),
            query_timeout: Span(limits.query_timeout),
            inline_timeout: Span(limits.inline_timeout),
            compile_timeout: Span(limits.compile_timeout),
            memory_bytes_max: ByteSize(limits.memory_bytes_max),
            table_elements_max: limits.table_elements_max,
            core_instances_max: limits.core_instances_max,
            stack_bytes_max: ByteSize(limits.stack_bytes_max),
            output_bytes_max: ByteSize(limits.output_bytes_max),
            call_bytes_max: ByteSize(limits.call_bytes_max),
            log_bytes_max: ByteSize(limits.log_bytes_max),
            component_bytes_max: ByteSize(limits.component_bytes_max),
            compiled_bytes_max: ByteSize(limits.compiled_bytes_max),
            inputs_max: limits.inputs_max,
            instances_max: limits.instances_max,
            searchers_max: limits.searchers_max,
            queries_max: limits.queries_max,
            parallel_steps_max: options.parallel_steps_max,
            open_indexes_max: options.open_indexes_max,
            conflict_retries_max: options.conflict_retries_max,
            breaker_failures_max: options.breaker_failures_max,
            breaker_cooldown: Span(options.breaker_cooldown),
        }
    }
}

/// `[store]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StoreSection {
    /// Contents up to so many bytes stay inline in the catalog.
    pub inline_bytes_max: ByteSize,
    /// Corpora merged at once in a node of a merge tree.
    pub merge_fan_in: usize,
}

impl Default for StoreSection {
    fn default() -> Self {
        let options = floret_pipeline::Options::default();
        Self {
            inline_bytes_max: ByteSize(options.inline_bytes_max as u64),
            merge_fan_in: options.merge_fan_in,
        }
    }
}

/// `[catalog]`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CatalogSection {
    /// A MongoDB URI; embedded in the data folder unless set.
    pub url: Option<Secret>,
}

/// `[blobs]`. Credentials that are not set are taken from `AWS_ACCESS_KEY_ID` and the like.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct BlobsSection {
    /// `s3://BUCKET/PREFIX`, `file:///FOLDER`; `DATA/blobs` unless set.
    pub url: Option<String>,
    /// Of a server that speaks S3 and is not Amazon's, e.g. `http://127.0.0.1:9000`.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    pub access_key_id: Option<Secret>,
    pub secret_access_key: Option<Secret>,
    pub session_token: Option<Secret>,
    /// Of one request, the body included.
    pub timeout: Span,
    /// Until a connection stands.
    pub connect_timeout: Span,
    /// How often a request that failed is made again.
    pub retries_max: usize,
    /// How long a request and its repetitions may take together.
    pub retry_timeout: Span,
}

impl Default for BlobsSection {
    fn default() -> Self {
        Self {
            url: None,
            endpoint: None,
            region: None,
            access_key_id: None,
            secret_access_key: None,
            session_token: None,
            timeout: Span(Duration::from_secs(30)),
            connect_timeout: Span(Duration::from_secs(5)),
            retries_max: 5,
            retry_timeout: Span(Duration::from_secs(60)),
        }
    }
}

/// A lease shorter than this would be lost whenever a server takes a breath.
const LEASE_MIN: Duration = Duration::from_secs(1);

/// Cleanup looks at every version: hosts that do it more often do little else.
const CLEANUP_EVERY_MIN: Duration = Duration::from_secs(60);

/// `[cluster]`: of use only with a catalog that hosts share.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ClusterSection {
    /// Longest that a latest version stays cached, should the stream of changes have lost something.
    pub head_ttl: Span,
    /// How long a build's lease holds without a heartbeat; three of them fit in.
    pub lease: Span,
    /// How often one of the hosts cleans up: at least every minute, or never.
    pub cleanup_every: Lifetime,
}

impl Default for ClusterSection {
    fn default() -> Self {
        Self {
            head_ttl: Span(Duration::from_secs(30)),
            lease: Span(Duration::from_secs(10)),
            cleanup_every: Lifetime(Some(Duration::from_secs(24 * 3600))),
        }
    }
}

/// `[cleanup]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CleanupSection {
    /// Versions kept of each type, the latest included.
    pub keep: BTreeMap<ResourceType, usize>,
    /// Of types that `keep` does not name.
    pub keep_of_others: usize,
    /// How long condemned bytes stay before they are removed.
    pub grace: Span,
    /// How long builds are remembered that no version refers to.
    pub memo_ttl: Span,
}

impl Default for CleanupSection {
    fn default() -> Self {
        let policy = RetentionPolicy::default();
        let keep =
            policy.newest.iter().filter_map(|(name, newest)| Some((ResourceType::new(name).ok()?, *newest)));
        Self {
            keep: keep.collect(),
            keep_of_others: policy.newest_of_others,
            grace: Span(Duration::from_secs(3600)),
            memo_ttl: Span(Duration::from_millis(policy.memo_ms)),
        }
    }
}

impl Config {
    /// What the cache is opened with.
    pub(crate) fn cache(&self, directory: PathBuf) -> CacheConfig {
        let namespace = |section: &NamespaceSection| NamespaceConfig {
            memory_items_max: section.memory_items_max,
            memory_bytes_max: section.memory_bytes_max.0,
            memory_ttl: section.memory_ttl.0,
            disk_bytes_max: section.disk_bytes_max.0,
            disk_ttl: section.disk_ttl.0,
            compression: section.compression.0,
            ..NamespaceConfig::default()
        };
        let namespaces = self.namespaces.iter();
        CacheConfig {
            namespaces: namespaces.map(|(name, section)| (name.to_string(), namespace(section))).collect(),
            directory: Some(self.cache.directory.clone().unwrap_or(directory)),
            memory_bytes_max: self.cache.memory_bytes_max.0,
            disk_bytes_max: self.cache.disk_bytes_max.0,
            access_log_keys_max: self.cache.access_log_keys_max,
        }
    }

    /// What components may use.
    pub(crate) fn limits(&self) -> Limits {
        let limits = &self.limits;
        Limits {
            call_timeout: limits.call_timeout.0,
            query_timeout: limits.query_timeout.0,
            inline_timeout: limits.inline_timeout.0,
            compile_timeout: limits.compile_timeout.0,
            memory_bytes_max: limits.memory_bytes_max.0,
            table_elements_max: limits.table_elements_max,
            core_instances_max: limits.core_instances_max,
            stack_bytes_max: limits.stack_bytes_max.0,
            output_bytes_max: limits.output_bytes_max.0,
            call_bytes_max: limits.call_bytes_max.0,
            log_bytes_max: limits.log_bytes_max.0,
            component_bytes_max: limits.component_bytes_max.0,
            compiled_bytes_max: limits.compiled_bytes_max.0,
            inputs_max: limits.inputs_max,
            instances_max: limits.instances_max,
            searchers_max: limits.searchers_max,
            queries_max: limits.queries_max,
        }
    }

    /// What the host may do.
    pub(crate) fn options(&self) -> anyhow::Result<floret_pipeline::Options> {
        let inline_bytes_max = usize::try_from(self.store.inline_bytes_max.0)?;
        if self.store.merge_fan_in < 2 {
            let message = format!("store.merge_fan_in is {}: expected at least 2", self.store.merge_fan_in);
            return Err(anyhow!(Failure::Configuration(message)));
        }
        if self.cluster.lease.0 < LEASE_MIN {
            let message = format!(
                "cluster.lease is {}: expected at least 1s, which leaves time for heartbeats",
                humantime::format_duration(self.cluster.lease.0)
            );
            return Err(anyhow!(Failure::Configuration(message)));
        }
        if let Some(every) = self.cluster.cleanup_every.0.filter(|every| *every < CLEANUP_EVERY_MIN) {
            let message = format!(
                "cluster.cleanup_every is {}: expected at least 1m, or \"never\"",
                humantime::format_duration(every)
            );
            return Err(anyhow!(Failure::Configuration(message)));
        }
        Ok(floret_pipeline::Options {
            inline_bytes_max,
            extra_types: self.types.clone(),
            parallel_steps_max: self.limits.parallel_steps_max,
            merge_fan_in: self.store.merge_fan_in,
            open_indexes_max: self.limits.open_indexes_max,
            conflict_retries_max: self.limits.conflict_retries_max,
            head_ttl: self.cluster.head_ttl.0,
            lease: self.cluster.lease.0,
            breaker_failures_max: self.limits.breaker_failures_max.max(1),
            breaker_cooldown: self.limits.breaker_cooldown.0,
            trusted_keys: self.plugins.trusted_keys()?,
        })
    }

    /// What cleanup keeps, and how long condemned bytes stay, in milliseconds.
    pub(crate) fn retention(&self) -> (RetentionPolicy, u64) {
        let milliseconds = |span: Span| u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX);
        let keep = self.cleanup.keep.iter().map(|(name, newest)| (name.to_string(), *newest));
        let policy = RetentionPolicy {
            newest: keep.collect(),
            newest_of_others: self.cleanup.keep_of_others,
            memo_ms: milliseconds(self.cleanup.memo_ttl),
        };
        (policy, milliseconds(self.cleanup.grace))
    }

    /// When and how a host that runs on cleans up, if it does.
    pub(crate) fn schedule(&self) -> Option<floret_pipeline::Schedule> {
        let (policy, grace_ms) = self.retention();
        let every = self.cluster.cleanup_every.0?;
        Some(floret_pipeline::Schedule { every, policy, grace_ms })
    }
}
