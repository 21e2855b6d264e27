//! Counters that cost a hit one uncontended add, and what they add up to.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

/// Threads are spread over this many counters, each on its own cache line. A power of two.
pub(crate) const SHARDS: usize = 16;

/// Keeps what two threads write on different cache lines (128: processors fetch lines in pairs).
#[repr(align(128))]
#[derive(Debug, Default)]
pub(crate) struct Padded<T>(pub(crate) T);

/// The shard of the calling thread: threads get them in turn.
#[inline]
pub(crate) fn thread_shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    const UNSET: usize = usize::MAX;
    thread_local! { static SHARD: Cell<usize> = const { Cell::new(UNSET) } }
    // A thread that is being torn down has no shard any more and shares the first.
    SHARD
        .try_with(|shard| {
            if shard.get() == UNSET {
                shard.set(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
            }
            shard.get()
        })
        .unwrap_or(0)
}

/// Latencies in buckets of a quarter of an octave, so that a quantile is right within 19 %.
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; Self::BUCKETS],
    total_ns: AtomicU64,
}

impl Histogram {
    /// 2^40 ns is 18 minutes; longer ones count as that.
    const BUCKETS: usize = 40 * 4;

    fn bucket(ns: u64) -> usize {
        let ns = ns.max(4);
        let octave = ns.ilog2();
        let quarter = (ns >> (octave - 2)) & 3;
        (octave as usize * 4 + quarter as usize).min(Self::BUCKETS - 1)
    }

    /// The upper edge of a bucket.
    fn edge_ns(bucket: usize) -> u64 {
        let (octave, quarter) = (bucket / 4, bucket as u64 % 4);
        (1_u64 << octave) + ((quarter + 1) << octave) / 4
    }

    pub(crate) fn record(&self, took: Duration) {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[Self::bucket(ns)].fetch_add(1, Ordering::Relaxed);
        self.total_ns.fetch_add(ns, Ordering::Relaxed);
    }

    pub(crate) fn summary(&self) -> Latency {
        let counts: Vec<u64> = (self.buckets.iter()).map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let count: u64 = counts.iter().sum();
        let quantile = |of_hundred: u64| {
            let rank = (count * of_hundred).div_ceil(100);
            let mut below = 0;
            let bucket = counts.iter().position(|bucket| {
                below += bucket;
                below >= rank && below > 0
            });
            bucket.map_or(0, Self::edge_ns)
        };
        Latency {
            count,
            mean_ns: self.total_ns.load(Ordering::Relaxed).checked_div(count).unwrap_or(0),
            p50_ns: quantile(50),
            p99_ns: quantile(99),
        }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: std::array::from_fn(|_| AtomicU64::new(0)), total_ns: AtomicU64::new(0) }
    }
}

/// How long something took, over all calls since the cache was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// How many calls were timed.
    pub count: u64,
    /// Arithmetic mean, nanoseconds.
    pub mean_ns: u64,
    /// Half of the calls took at most this, nanoseconds, at most 19 % too high.
    pub p50_ns: u64,
    /// 99 of 100 calls took at most this, nanoseconds, at most 19 % too high.
    pub p99_ns: u64,
}

/// What the slow paths of one namespace count.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) disk_hits: AtomicU64,
    pub(crate) misses: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) load_failures: AtomicU64,
    pub(crate) load_waits: AtomicU64,
    pub(crate) puts: AtomicU64,
    pub(crate) puts_refused: AtomicU64,
    pub(crate) memory_evictions: AtomicU64,
    pub(crate) disk_evictions: AtomicU64,
    pub(crate) invalidated_memory: AtomicU64,
    pub(crate) invalidated_disk: AtomicU64,
    pub(crate) damaged: AtomicU64,
    pub(crate) disk_errors: AtomicU64,
    pub(crate) ghost_hits: AtomicU64,
    pub(crate) disk_read: Histogram,
    pub(crate) load: Histogram,
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn count_many(counter: &AtomicU64, many: u64) {
    counter.fetch_add(many, Ordering::Relaxed);
}

/// What one namespace did since the cache was opened, and what it holds now. Read counter by counter, so a sum may
/// be off by the calls that run meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[non_exhaustive]
#[schemars(transform = with_hit_rate)]
pub struct NamespaceStats {
    /// Reads answered from memory. Not timed: the call is as short as two clock reads; see the benchmark.
    pub memory_hits: u64,
    /// Reads answered from disk.
    pub disk_hits: u64,
    /// Reads that neither tier could answer. A `get_memory` that finds nothing counts nowhere: its caller goes on.
    pub misses: u64,
    /// Loader calls begun.
    pub loads: u64,
    /// Loader calls that failed, panicked or were dropped.
    pub load_failures: u64,
    /// Calls that waited for the loader call of another.
    pub load_waits: u64,
    /// Values written by `put`, `put_if_newer` and loads.
    pub puts: u64,
    /// Writes turned away: overtaken, older than what is there, or too large for every tier.
    pub puts_refused: u64,
    /// Entries that left memory for want of room.
    pub memory_evictions: u64,
    /// Entries that left the disk for want of room.
    pub disk_evictions: u64,
    /// Entries invalidated in memory and on disk.
    pub invalidated: crate::Invalidated,
    /// Entries on disk that were torn or damaged: each was a miss and is deleted.
    pub damaged: u64,
    /// Disk operations that failed (full, read-only, broken): each was a miss or a write to memory only.
    pub disk_errors: u64,
    /// Misses of keys that were evicted from memory a short time ago: hits that more memory would have made.
    pub ghost_hits: u64,
    /// Entries in memory now.
    pub memory_entries: u64,
    /// Bytes in memory now, with keys and [`ENTRY_OVERHEAD_BYTES`](crate::ENTRY_OVERHEAD_BYTES) each.
    pub memory_bytes: u64,
    /// Bytes that it may hold in memory now.
    pub memory_budget_bytes: u64,
    /// Entries on disk now.
    pub disk_entries: u64,
    /// Bytes on disk now: keys and stored values with their headers.
    pub disk_bytes: u64,
    /// Bytes that it may hold on disk.
    pub disk_budget_bytes: u64,
    /// Reads from disk that hit.
    pub disk_read: Latency,
    /// Loader calls that succeeded.
    pub load: Latency,
}

impl NamespaceStats {
    /// Reads answered from a tier, of all reads; `None` before the first.
    #[must_use]
    pub fn hit_rate(&self) -> Option<f64> {
        let hits = self.memory_hits + self.disk_hits;
        let all = hits + self.misses;
        (all > 0).then(|| hits as f64 / all as f64)
    }

    fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.memory_hits, other.memory_hits),
            (&mut self.disk_hits, other.disk_hits),
            (&mut self.misses, other.misses),
            (&mut self.loads, other.loads),
            (&mut self.load_failures, other.load_failures),
            (&mut self.load_waits, other.load_waits),
            (&mut self.puts, other.puts),
            (&mut self.puts_refused, other.puts_refused),
            (&mut self.memory_evictions, other.memory_evictions),
            (&mut self.disk_evictions, other.disk_evictions),
            (&mut self.invalidated.memory, other.invalidated.memory),
            (&mut self.invalidated.disk, other.invalidated.disk),
            (&mut self.damaged, other.damaged),
            (&mut self.disk_errors, other.disk_errors),
            (&mut self.ghost_hits, other.ghost_hits),
            (&mut self.memory_entries, other.memory_entries),
            (&mut self.memory_bytes, other.memory_bytes),
            (&mut self.memory_budget_bytes, other.memory_budget_bytes),
            (&mut self.disk_entries, other.disk_entries),
            (&mut self.disk_bytes, other.disk_bytes),
            (&mut self.disk_budget_bytes, other.disk_budget_bytes),
        ];
        for (sum, part) in pairs {
            *sum += part;
        }
        self.disk_read = self.disk_read.with(other.disk_read);
        self.load = self.load.with(other.load);
    }
}

impl Latency {
    /// Both together; of the quantiles the higher one, which is an upper bound.
    fn with(self, other: Self) -> Self {
        let count = self.count + other.count;
        let total = self.mean_ns * self.count + other.mean_ns * other.count;
        Self {
            count,
            mean_ns: total.checked_div(count).unwrap_or(0),
            p50_ns: self.p50_ns.max(other.p50_ns),
            p99_ns: self.p99_ns.max(other.p99_ns),
        }
    }
}

/// What is written is what is counted, and the hit rate.
impl Serialize for NamespaceStats {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const MEMBERS: usize = 24;
        let mut to = serializer.serialize_struct("NamespaceStats", MEMBERS)?;
        to.serialize_field("hit_rate", &self.hit_rate())?;
        let counters = [
            ("memory_hits", self.memory_hits),
            ("disk_hits", self.disk_hits),
            ("misses", self.misses),
            ("loads", self.loads),
            ("load_failures", self.load_failures),
            ("load_waits", self.load_waits),
            ("puts", self.puts),
            ("puts_refused", self.puts_refused),
            ("memory_evictions", self.memory_evictions),
            ("disk_evictions", self.disk_evictions),
            ("damaged", self.damaged),
            ("disk_errors", self.disk_errors),
            ("ghost_hits", self.ghost_hits),
            ("memory_entries", self.memory_entries),
            ("memory_bytes", self.memory_bytes),
            ("memory_budget_bytes", self.memory_budget_bytes),
            ("disk_entries", self.disk_entries),
            ("disk_bytes", self.disk_bytes),
            ("disk_budget_bytes", self.disk_budget_bytes),
        ];
        for (name, counter) in &counters {
            to.serialize_field(name, counter)?;
        }
        to.serialize_field("invalidated", &self.invalidated)?;
        to.serialize_field("disk_read", &self.disk_read)?;
        to.serialize_field("load", &self.load)?;
        to.end()
    }
}

fn with_hit_rate(schema: &mut Schema) {
    let described = schemars::json_schema!({
        "description": "Reads answered from a tier, of all reads; null before the first.",
        "type": ["number", "null"],
        "minimum": 0,
        "maximum": 1,
    });
    if let Some(members) = schema.get_mut("properties").and_then(|members| members.as_object_mut()) {
        members.insert("hit_rate".to_owned(), described.to_value());
    }
}

/// What the disk tier is doing. As a text: `off`, `ready` or `unavailable: WHY`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DiskState {
    /// No directory is configured, or no namespace has room on disk.
    Off,
    /// It reads and writes.
    Ready,
    /// The directory could not be used, so the cache works in memory only. Says why.
    Unavailable(String),
}

impl From<DiskState> for String {
    fn from(state: DiskState) -> Self {
        match state {
            DiskState::Off => "off".to_owned(),
            DiskState::Ready => "ready".to_owned(),
            DiskState::Unavailable(why) => format!("unavailable: {why}"),
        }
    }
}

impl TryFrom<String> for DiskState {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "off" => Ok(Self::Off),
            "ready" => Ok(Self::Ready),
            _ => match text.strip_prefix("unavailable: ") {
                Some(why) => Ok(Self::Unavailable(why.to_owned())),
                None => Err(format!(
                    "{text:?} is no state of a disk tier: expected off, ready or unavailable: WHY"
                )),
            },
        }
    }
}

impl JsonSchema for DiskState {
    fn schema_name() -> Cow<'static, str> {
        "DiskState".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "description": "What the disk tier is doing: off, ready, or why it cannot be used.",
            "type": "string",
            "pattern": "^(off|ready|unavailable: [\\s\\S]*)$",
            "examples": ["ready"],
        })
    }
}

/// The whole cache's statistics.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct CacheStats {
    /// By namespace.
    pub namespaces: BTreeMap<String, NamespaceStats>,
    /// All namespaces together. Its latency quantiles are the highest of any namespace: an upper bound.
    pub total: NamespaceStats,
    /// Hard cap on the bytes in memory.
    pub memory_bytes_max: u64,
    /// Whether there is a disk tier.
    pub disk: DiskState,
}

impl CacheStats {
    pub(crate) fn new(
        namespaces: BTreeMap<String, NamespaceStats>,
        memory_bytes_max: u64,
        disk: DiskState,
    ) -> Self {
        let mut total = NamespaceStats::default();
        for stats in namespaces.values() {
            total.add(stats);
        }
        Self { namespaces, total, memory_bytes_max, disk }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn c10_quantiles_are_within_a_quarter_octave() {
        let histogram = Histogram::default();
        assert_eq!(histogram.summary(), Latency::default());
        for us in 1..=1000 {
            histogram.record(Duration::from_micros(us));
        }
        let summary = histogram.summary();
        assert_eq!((summary.count, summary.mean_ns), (1000, 500_500));
        assert!((500_000..=620_000).contains(&summary.p50_ns), "{summary:?}");
        assert!((990_000..=1_230_000).contains(&summary.p99_ns), "{summary:?}");
    }

    #[test]
    fn c10_statistics_are_written_as_they_are_described() {
        let stats = NamespaceStats { memory_hits: 3, misses: 1, ..NamespaceStats::default() };
        for disk in [DiskState::Off, DiskState::Ready, DiskState::Unavailable("a\nb".to_owned())] {
            let namespaces = BTreeMap::from([("default".to_owned(), stats.clone())]);
            let written =
                serde_json::to_value(CacheStats::new(namespaces, 7, disk.clone())).expect("serialises");
            assert_eq!(written["namespaces"]["default"]["hit_rate"], 0.75);
            let schema = serde_json::to_value(schemars::schema_for!(CacheStats)).expect("JSON");
            assert!(jsonschema::validator_for(&schema).expect("a schema").is_valid(&written), "{written}");
            let members = |value: &serde_json::Value| {
                value.as_object().expect("an object").keys().cloned().collect::<BTreeSet<String>>()
            };
            let described = &schema["$defs"]["NamespaceStats"]["properties"];
            assert_eq!(members(&written["total"]), members(described));
            let again: CacheStats = serde_json::from_value(written).expect("reads back");
            assert_eq!((again.namespaces["default"].clone(), again.disk), (stats.clone(), disk));
        }
        assert!(DiskState::try_from("full".to_owned()).is_err());
    }

    #[test]
    fn c10_extreme_latencies_have_a_bucket() {
        let histogram = Histogram::default();
        histogram.record(Duration::ZERO);
        histogram.record(Duration::MAX);
        assert_eq!(histogram.summary().count, 2);
    }
}
