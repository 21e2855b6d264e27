//! Two compression policies beside each other: both decide anew about what was decided before, and the stored contents
//! are encoded as each of them says. Changes nothing, and passes the caches by.

mod measure;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use bytes::Bytes;
use floret_model::{Digest, Namespace, ResourceType, TimestampMs, Version, VersionRef};
use floret_runtime::{Choice, Component, PolicyProfile};
use futures::{StreamExt, TryStreamExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::plugins::check_config;
use crate::{Error, Floret};

use measure::{Content, Measured};

/// Versions read at once when all of them are looked at.
const PAGE: usize = 256;
/// Decisions that a policy is asked for at once.
const BATCH: usize = 256;

/// Which component is asked.
#[derive(Clone, Debug)]
pub enum ContenderSource {
    /// An installed one, by its name.
    Installed(String),
    /// One that need not be installed.
    Component(Bytes),
}

/// A policy that is compared.
#[derive(Clone, Debug)]
pub struct Contender {
    /// Which component.
    pub source: ContenderSource,
    /// Its configuration.
    pub config: Map<String, Value>,
}

/// What to compare.
#[derive(Clone, Debug)]
pub struct PolicyReplay {
    /// The one policy.
    pub a: Contender,
    /// The other.
    pub b: Contender,
    /// So many decisions, the latest ones.
    pub last: usize,
    /// Only contents of this type.
    pub resource_type: Option<ResourceType>,
}

/// A policy that was compared.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Compared {
    /// `name@version`, as it calls itself.
    pub component: String,
    /// SHA-256 of it.
    pub digest: Digest,
    /// Its configuration.
    pub config: Map<String, Value>,
}

/// What contents take under a policy.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// Bytes as they would be stored.
    pub bytes: u64,
    /// Time of encoding them, in milliseconds of one thread, others being busy beside it.
    pub encode_ms: f64,
    /// Time of decoding what was encoded.
    pub decode_ms: f64,
}

/// What contents take under both.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Costs {
    /// Contents.
    pub count: u64,
    /// Their raw bytes.
    pub raw_bytes: u64,
    /// Contents about which the policies differ in codec, level or whether to try a difference.
    pub differing: u64,
    /// Under the one.
    pub a: Cost,
    /// Under the other.
    pub b: Cost,
}

/// What the comparison showed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PolicyComparison {
    /// The one policy.
    pub a: Compared,
    /// The other.
    pub b: Compared,
    /// Decisions that were found in the log, up to those asked for.
    pub decisions: u64,
    /// Of them, those whose content cleanup has dropped: not replayed.
    pub gone: u64,
    /// Of them, those that an older program logged without the whole question: asked about what the version says now.
    pub incomplete: u64,
    /// By type of the resource.
    pub by_type: BTreeMap<String, Costs>,
    /// All together.
    pub total: Costs,
}

impl Costs {
    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.raw_bytes += other.raw_bytes;
        self.differing += other.differing;
        for (mine, theirs) in [(&mut self.a, &other.a), (&mut self.b, &other.b)] {
            mine.bytes += theirs.bytes;
            mine.encode_ms += theirs.encode_ms;
            mine.decode_ms += theirs.decode_ms;
        }
    }
}

/// A policy that is ready to be asked.
struct Ready {
    component: Arc<Component>,
    config: Map<String, Value>,
}

impl Ready {
    async fn choose(&self, profiles: &[PolicyProfile]) -> Result<Vec<Choice>, Error> {
        let config = Value::Object(self.config.clone()).to_string();
        Ok(self.component.choose(profiles, &config).await?)
    }

    fn compared(&self) -> Compared {
        Compared {
            component: self.component.label(),
            digest: self.component.digest(),
            config: self.config.clone(),
        }
    }
}

impl Floret {
    /// Replay the latest decisions under two policies. Each content is encoded and decoded as each of them says, once if
    /// they agree, as many contents at once as there are processors. Memory is bounded by those contents: above 8 MiB
    /// they go through temporary files. `progress` is told how many decisions of how many are done.
    ///
    /// # Errors
    /// A component that is not installed, does not load, is no policy, has another configuration or fails; a store that
    /// fails.
    pub async fn policy_compare(
        &self,
        replay: &PolicyReplay,
        progress: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<PolicyComparison, Error> {
        let (a, b) = (self.ready(&replay.a).await?, self.ready(&replay.b).await?);
        let decisions = self.decisions(replay).await?;
        let mut comparison = PolicyComparison {
            a: a.compared(),
            b: b.compared(),
            decisions: decisions.len() as u64,
            gone: 0,
            incomplete: 0,
            by_type: BTreeMap::new(),
            total: Costs::default(),
        };
        // Asked even if there is nothing to replay, so that a component that is no policy is refused.
        a.choose(&[]).await?;
        b.choose(&[]).await?;
        for (done, batch) in (0..).step_by(BATCH).zip(decisions.chunks(BATCH)) {
            let versions = self.there(batch, &mut comparison).await?;
            let profiles: Vec<PolicyProfile> = versions.iter().map(|version| profile(version)).collect();
            let choices = a.choose(&profiles).await?.into_iter().zip(b.choose(&profiles).await?);
            let mut measured = futures::stream::iter(versions.into_iter().zip(choices))
                .map(|(version, (a, b))| self.replayed(version, a, b))
                .buffer_unordered(self.options.parallel_steps_max.max(1));
            let mut ended = done;
            while let Some(replayed) = measured.try_next().await? {
                ended += 1;
                progress(ended, decisions.len() as u64);
                let Some((resource_type, costs)) = replayed else {
                    comparison.gone += 1;
                    continue;
                };
                comparison.total.add(&costs);
                comparison.by_type.entry(resource_type).or_default().add(&costs);
            }
        }
        Ok(comparison)
    }

    async fn ready(&self, contender: &Contender) -> Result<Ready, Error> {
        let component = match &contender.source {
            ContenderSource::Installed(name) => {
                let plugin = self.plugin_version(name).await?;
                self.component(&plugin).await?
            }
            ContenderSource::Component(bytes) => self.runtime.load(bytes.clone()).await?,
        };
        check_config(&component, &Value::Object(contender.config.clone()))?;
        Ok(Ready { component, config: contender.config.clone() })
    }

    /// The latest versions whose codec a policy chose, newest first. Goes through the whole catalog.
    async fn decisions(&self, replay: &PolicyReplay) -> Result<Vec<VersionRef>, Error> {
        let mut latest: BinaryHeap<Reverse<(TimestampMs, VersionRef)>> = BinaryHeap::new();
        let mut after: Option<VersionRef> = None;
        loop {
            let page = self.catalog.scan(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.reference());
            let wanted = |version: &&Arc<Version>| {
                version.policy.is_some()
                    && version.key.namespace != Namespace::plugins()
                    && replay.resource_type.as_ref().is_none_or(|wanted| version.key.resource_type == *wanted)
            };
            for version in page.iter().filter(wanted) {
                latest.push(Reverse((version.created_at, version.reference())));
                if latest.len() > replay.last {
                    latest.pop();
                }
            }
        }
        // Sorted by `Reverse`, the latest come first.
        Ok(latest.into_sorted_vec().into_iter().map(|Reverse((_, version))| version).collect())
    }

    /// Those of the versions whose contents are there; the others are counted.
    async fn there(
        &self,
        batch: &[VersionRef],
        comparison: &mut PolicyComparison,
    ) -> Result<Vec<Arc<Version>>, Error> {
        let mut there = Vec::with_capacity(batch.len());
        for reference in batch {
            match self.catalog.version(reference).await? {
                Some(version) if version.dropped_at.is_none() => {
                    let asked = version.policy.as_ref().and_then(|policy| policy.asked.as_ref());
                    comparison.incomplete += u64::from(asked.is_none());
                    there.push(version);
                }
                _ => comparison.gone += 1,
            }
        }
        Ok(there)
    }

    /// Type and costs of a content; nothing if cleanup took it meanwhile.
    async fn replayed(
        &self,
        version: Arc<Version>,
        a: Choice,
        b: Choice,
    ) -> Result<Option<(String, Costs)>, Error> {
        let content = match self.content_to_measure(&version).await {
            Ok(content) => content,
            Err(error) => {
                let now = self.catalog.version(&version.reference()).await?;
                let gone = now.is_none_or(|now| now.dropped_at.is_some());
                return if gone { Ok(None) } else { Err(error) };
            }
        };
        let inline = version.content_inline.is_some();
        let codecs = [a.codec, b.codec].map(|codec| match inline {
            true => crate::save::inline_codec(codec),
            false => codec,
        });
        let measured = tokio::task::spawn_blocking(move || measure::both(&content, codecs)).await;
        let [for_a, for_b] =
            measured.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
        let cost = |Measured { bytes, encode_ms, decode_ms }| Cost { bytes, encode_ms, decode_ms };
        let costs = Costs {
            count: 1,
            raw_bytes: version.content_location.size_bytes,
            differing: u64::from((a.codec, a.delta) != (b.codec, b.delta)),
            a: cost(for_a),
            b: cost(for_b),
        };
        Ok(Some((version.key.resource_type.to_string(), costs)))
    }

    async fn content_to_measure(&self, version: &Version) -> Result<Content, Error> {
        let location = &version.content_location;
        Ok(match version.content_inline {
            Some(_) => Content::Memory(floret_store::read_inline(version)?),
            None if location.size_bytes > crate::LARGE_BYTES => {
                Content::File(self.blobs.get_file(location).await?)
            }
            None => Content::Memory(self.blobs.get(location).await?),
        })
    }
}

/// What the policy was asked; of an older record as much as the version tells.
fn profile(version: &Version) -> PolicyProfile {
    let policy = version.policy.as_ref().expect("only versions about which a policy decided are replayed");
    match &policy.asked {
        Some(asked) => PolicyProfile {
            size_bytes: asked.size_bytes,
            namespace: asked.namespace.clone(),
            resource_type: asked.resource_type.clone(),
            media_type: asked.media_type.clone(),
            items: asked.items,
            flags: asked.flags.clone(),
            entropy_bits_per_byte: policy.entropy_bits_per_byte,
        },
        None => PolicyProfile {
            size_bytes: version.content_location.size_bytes,
            namespace: version.key.namespace.to_string(),
            resource_type: version.key.resource_type.to_string(),
            // Of what a builder made, a policy is not told the media type.
            media_type: version.build.as_ref().map_or_else(|| version.media_type.clone(), |_| String::new()),
            items: version.metadata.items(),
            flags: version.metadata.flags(),
            entropy_bits_per_byte: policy.entropy_bits_per_byte,
        },
    }
}
