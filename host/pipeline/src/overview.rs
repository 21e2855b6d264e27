//! What a home holds, in a few numbers.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use floret_cache::CacheStats;
use floret_model::{Digest, Namespace, ResourceType, Seq, StorageType, TimestampMs, Version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Floret};

/// Versions that are counted: so many digests take 12 MiB while it counts.
const COUNTED_MAX: u64 = 250_000;
/// Versions read at once.
const PAGE: usize = 1_000;
/// A count is good for so long at least.
const KEPT_MIN: Duration = Duration::from_secs(5);
/// It is good for so many times as long as it took, so that counting is at most a twentieth of a host's work.
const KEPT_TIMES: u32 = 20;

/// What is stored, and what the cache does.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Overview {
    /// What is stored; counted some seconds ago at most, of a large home some minutes.
    pub stock: Stock,
    /// What the tiers of the cache hold now, and how often they hit since this host began.
    pub cache: CacheStats,
}

/// What is stored.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Stock {
    /// When it was counted, in milliseconds since 1970.
    pub counted_at: TimestampMs,
    /// Whether there are more than 250,000 versions, of which only the first by name are counted.
    pub is_partial: bool,
    /// Resources, those whose time to live has passed included.
    pub resources: u64,
    /// Versions, dropped ones included.
    pub versions: u64,
    /// By namespace and type, sorted.
    pub types: Vec<TypeStock>,
    /// Raw bytes of all versions that are not dropped: what keeping each by itself would take.
    pub raw_bytes: u64,
    /// What their contents take as they are stored. Intermediate results that builds keep are not among them.
    pub stored_bytes: u64,
    /// Raw bytes that are not stored again, because another version has the same content.
    pub deduplicated_bytes: u64,
    /// Bytes that compression saves of those that are stored; below 0 where it makes small contents longer.
    pub compressed_away_bytes: i64,
}

/// What is stored of one type.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TypeStock {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its name.
    pub resource_type: ResourceType,
    /// Resources.
    pub resources: u64,
    /// Versions, dropped ones included.
    pub versions: u64,
    /// Raw bytes of those that are not dropped.
    pub raw_bytes: u64,
}

/// The last count, and until when it is good.
#[derive(Default)]
pub(crate) struct LastCount(tokio::sync::Mutex<Option<(Stock, Instant)>>);

impl Floret {
    /// What the home holds and what the cache does, for people who look on. Reads every version of the catalog now and
    /// then, one caller for all who ask meanwhile.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn overview(&self) -> Result<Overview, Error> {
        let mut last = self.last_count.0.lock().await;
        let stock = match &*last {
            Some((stock, until)) if Instant::now() < *until => stock.clone(),
            _ => {
                let began = Instant::now();
                let stock = self.count_stock().await?;
                let kept = (began.elapsed() * KEPT_TIMES).max(KEPT_MIN);
                *last = Some((stock.clone(), Instant::now() + kept));
                stock
            }
        };
        Ok(Overview { stock, cache: self.cache.stats() })
    }

    async fn count_stock(&self) -> Result<Stock, Error> {
        let mut count =
            Count { stock: Stock { counted_at: self.now(), ..Stock::default() }, ..Count::default() };
        let mut after = None;
        loop {
            let page = self.catalog.scan(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.reference());
            if count.stock.versions + page.len() as u64 > COUNTED_MAX {
                count.stock.is_partial = true;
                break;
            }
            page.iter().for_each(|version| count.add(version));
        }
        let mut stock = count.stock;
        stock.types.sort_by(|a, b| (&a.namespace, &a.resource_type).cmp(&(&b.namespace, &b.resource_type)));
        Ok(stock)
    }
}

/// A count under way, over versions in the order of their keys and seqs.
#[derive(Default)]
struct Count {
    stock: Stock,
    blobs: HashSet<Digest>,
}

impl Count {
    fn add(&mut self, version: &Version) {
        let location = &version.content_location;
        let is_kept = version.dropped_at.is_none();
        let is_first = version.seq == Seq::FIRST;
        let raw_bytes = if is_kept { location.size_bytes } else { 0 };
        let stock = &mut self.stock;
        stock.resources += u64::from(is_first);
        stock.versions += 1;
        stock.raw_bytes += raw_bytes;
        let (namespace, resource_type) = (&version.key.namespace, &version.key.resource_type);
        let is_of = |of: &TypeStock| of.namespace == *namespace && of.resource_type == *resource_type;
        let place = stock.types.iter().rposition(is_of).unwrap_or_else(|| {
            let (namespace, resource_type) = (namespace.clone(), resource_type.clone());
            stock.types.push(TypeStock { namespace, resource_type, resources: 0, versions: 0, raw_bytes: 0 });
            stock.types.len() - 1
        });
        let of = &mut stock.types[place];
        of.resources += u64::from(is_first);
        of.versions += 1;
        of.raw_bytes += raw_bytes;
        if !is_kept {
            return;
        }
        // What is inline is stored with each version.
        if location.storage_type == StorageType::Database || self.blobs.insert(version.data_hash) {
            stock.stored_bytes += location.size_compressed;
            stock.compressed_away_bytes +=
                location.size_bytes.cast_signed() - location.size_compressed.cast_signed();
        } else {
            stock.deduplicated_bytes += location.size_bytes;
        }
    }
}
