//! The first pass: what the target lacks, and in which order it goes there.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use floret_model::{ResourceKey, Seq, StorageType, TimestampMs, Version, VersionRef};

use super::{CopyEvent, PAGE_ROWS};
use crate::Error;
use crate::catalog::{Catalog, is_copy};

/// Most that one import takes, unless one version alone is more. A publish within these bounds is never split.
const BATCH_MAX: Load = Load {
    // A batch of promise B1.
    rows: 1024,
    // Half of what MongoDB takes for one message.
    record_bytes: 24 * 1024 * 1024,
    // So that a copy that is cut off has not brought over much more for nothing.
    blob_bytes: 1024 * 1024 * 1024,
};
/// What a record takes beside its inline content: some 600 bytes of fields and 400 of metadata.
const RECORD_BYTES: u64 = 1000;

/// What an import takes.
#[derive(Clone, Copy, Default, Debug)]
struct Load {
    rows: u64,
    record_bytes: u64,
    blob_bytes: u64,
}

impl Load {
    fn plus(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            record_bytes: self.record_bytes + other.record_bytes,
            blob_bytes: self.blob_bytes + other.blob_bytes,
        }
    }

    fn fits(self, most: Self) -> bool {
        self.rows <= most.rows && self.record_bytes <= most.record_bytes && self.blob_bytes <= most.blob_bytes
    }
}

/// A resource of the source, or one that a version of it depends on.
struct Resource {
    key: ResourceKey,
    /// Its last version in the source; none was looked at if 0.
    last: u64,
    /// The first that the target lacks, and its number in the plan.
    first_missing: Option<(u64, u32)>,
}

/// A version that the target lacks.
struct Missing {
    resource: u32,
    /// Its publish, by number.
    publish: u32,
    record_bytes: u64,
    blob_bytes: u64,
    /// Resource and seq of what it was made from.
    dependencies: Box<[(u32, u64)]>,
}

/// What a copy is to do.
#[derive(Default)]
pub(super) struct Plan {
    /// Versions of the source.
    pub examined: u64,
    /// Raw bytes of the missing versions.
    pub raw_bytes: u64,
    resources: Vec<Resource>,
    numbers: HashMap<ResourceKey, u32>,
    /// By key and seq.
    missing: Vec<Missing>,
    /// When each publish was.
    publishes: Vec<TimestampMs>,
}

/// The resource that is being read.
struct Reading {
    /// Its last version so far.
    last: Arc<Version>,
    /// Its latest version in the target.
    head: Option<Arc<Version>>,
}

impl Plan {
    /// Look at every version of the source.
    ///
    /// # Errors
    /// [`Error::Diverged`] when the target has another version where its log ends, or where the source's does. That is
    /// enough, as logs are never written anew; the comparison at the end looks at every place.
    pub async fn make(
        source: &dyn Catalog,
        target: &dyn Catalog,
        progress: &(dyn Fn(CopyEvent) + Send + Sync),
    ) -> Result<Self, Error> {
        let mut plan = Self::default();
        let mut publishes = HashMap::new();
        let mut reading: Option<Reading> = None;
        let mut after: Option<VersionRef> = None;
        loop {
            let page = source.scan(after.as_ref(), PAGE_ROWS).await?;
            let Some(last) = page.last() else {
                break;
            };
            after = Some(last.reference());
            let mut keys: Vec<ResourceKey> = page.iter().map(|version| version.key.clone()).collect();
            keys.dedup();
            // Of a log that goes over pages the head is that of its first page.
            keys.retain(|key| reading.as_ref().is_none_or(|reading| reading.last.key != *key));
            let mut heads = target.heads(&keys).await?.into_iter();
            for version in page {
                let head = match reading.take() {
                    Some(reading) if reading.last.key == version.key => reading.head,
                    done => {
                        finish(source, target, done).await?;
                        heads.next().flatten()
                    }
                };
                if let Some(head) = head.as_ref().filter(|head| head.seq == version.seq) {
                    compare(source, target, &version, head)?;
                }
                plan.add(&version, head.as_deref(), &mut publishes);
                reading = Some(Reading { last: version, head });
            }
            progress(CopyEvent::Examined(plan.examined));
        }
        finish(source, target, reading).await?;
        Ok(plan)
    }

    /// Missing versions.
    pub fn len(&self) -> usize {
        self.missing.len()
    }

    /// Whether a version was there when the source was looked at.
    pub fn has_seen(&self, version: &VersionRef) -> bool {
        let resource = self.numbers.get(&version.key).map(|number| &self.resources[*number as usize]);
        resource.is_some_and(|resource| version.seq.0 <= resource.last)
    }

    /// Which version has a number.
    pub fn reference(&self, number: u32) -> VersionRef {
        let resource = &self.resources[self.missing[number as usize].resource as usize];
        let (first, base) = resource.first_missing.unwrap_or((1, number));
        VersionRef { key: resource.key.clone(), seq: Seq(first + u64::from(number - base)) }
    }

    fn resource(&mut self, key: &ResourceKey) -> u32 {
        if let Some(number) = self.numbers.get(key) {
            return *number;
        }
        let next = number(self.resources.len());
        self.resources.push(Resource { key: key.clone(), last: 0, first_missing: None });
        self.numbers.insert(key.clone(), next);
        next
    }

    fn add(
        &mut self,
        version: &Version,
        head: Option<&Version>,
        publishes: &mut HashMap<(TimestampMs, String), u32>,
    ) {
        self.examined += 1;
        let resource = self.resource(&version.key);
        self.resources[resource as usize].last = version.seq.0;
        if head.is_some_and(|head| version.seq <= head.seq) {
            return;
        }
        let next = number(self.missing.len());
        self.resources[resource as usize].first_missing.get_or_insert((version.seq.0, next));
        let publish =
            *publishes.entry((version.created_at, version.publish_id.clone())).or_insert_with(|| {
                self.publishes.push(version.created_at);
                number(self.publishes.len()) - 1
            });
        let location = &version.content_location;
        let outside = version.dropped_at.is_none() && location.storage_type != StorageType::Database;
        if version.dropped_at.is_none() {
            self.raw_bytes += location.size_bytes;
        }
        let dependencies = version.dependencies.iter();
        let dependencies =
            dependencies.map(|dependency| (self.resource(&dependency.on.key), dependency.on.seq.0)).collect();
        self.missing.push(Missing {
            resource,
            publish,
            record_bytes: RECORD_BYTES
                + version.content_inline.as_ref().map_or(0, |bytes| bytes.len() as u64),
            blob_bytes: if outside { location.size_bytes } else { 0 },
            dependencies,
        });
    }

    /// Pairs of missing versions of which the first goes first.
    fn orders(&self) -> Vec<(u32, u32)> {
        let mut orders = Vec::new();
        for (number, version) in (0..).zip(&self.missing) {
            if number > 0 && self.missing[number as usize - 1].resource == version.resource {
                orders.push((number - 1, number));
            }
            for (on, seq) in &version.dependencies {
                let on = &self.resources[*on as usize];
                if let Some((first, base)) = on.first_missing
                    && (first..=on.last).contains(seq)
                {
                    orders.push((base + (seq - first) as u32, number));
                }
            }
        }
        orders
    }

    /// The missing versions, in imports: by time, but for what must go first; each publish in one if it is not too large.
    ///
    /// # Errors
    /// [`Error::Integrity`] when versions of the source were made from each other.
    pub fn batches(&self) -> Result<Vec<Vec<u32>>, Error> {
        let orders = self.orders();
        let publish = |number: u32| self.missing[number as usize].publish;
        let time = |publish: u32| self.publishes[publish as usize];
        let apart = orders.iter().map(|(one, other)| (publish(*one), publish(*other)));
        let apart: Vec<_> = apart.filter(|(one, other)| one != other).collect();
        let ordered = topological(self.publishes.len(), apart, |publish| (time(publish), publish));
        let ranks = match ordered {
            Some(ordered) => ranks(&ordered),
            // Two publishes with one name and one time, between which lies a third: they go as they can.
            None => (0..number(self.publishes.len())).collect(),
        };
        let rank = |number: u32| (ranks[publish(number) as usize], number);
        let ordered = topological(self.missing.len(), orders, rank).ok_or_else(|| Error::Integrity {
            what: "the version log of the source".to_owned(),
            problem: "versions were made from each other; `floret verify` there says more".to_owned(),
        })?;
        Ok(self.pack(&ordered, BATCH_MAX))
    }

    fn load(&self, number: u32) -> Load {
        let version = &self.missing[number as usize];
        Load { rows: 1, record_bytes: version.record_bytes, blob_bytes: version.blob_bytes }
    }

    fn pack(&self, ordered: &[u32], most: Load) -> Vec<Vec<u32>> {
        let publish = |number: &u32| self.missing[*number as usize].publish;
        let mut batches = Vec::new();
        let (mut batch, mut load) = (Vec::new(), Load::default());
        for together in ordered.chunk_by(|one, other| publish(one) == publish(other)) {
            let all = together.iter().fold(Load::default(), |sum, number| sum.plus(self.load(*number)));
            // What is too large as a whole goes piece by piece.
            let pieces = if all.fits(most) { together.len() } else { 1 };
            for piece in together.chunks(pieces) {
                let more = piece.iter().fold(Load::default(), |sum, number| sum.plus(self.load(*number)));
                if !batch.is_empty() && !load.plus(more).fits(most) {
                    batches.push(std::mem::take(&mut batch));
                    load = Load::default();
                }
                batch.extend_from_slice(piece);
                load = load.plus(more);
            }
        }
        if !batch.is_empty() {
            batches.push(batch);
        }
        batches
    }
}

/// Compare where the source's log ends, if the target's goes on.
async fn finish(source: &dyn Catalog, target: &dyn Catalog, reading: Option<Reading>) -> Result<(), Error> {
    let Some(Reading { last, head: Some(head) }) = reading else {
        return Ok(());
    };
    if head.seq <= last.seq {
        return Ok(());
    }
    match target.version(&last.reference()).await? {
        Some(there) => compare(source, target, &last, &there),
        None => Ok(()),
    }
}

/// Whether the versions that both have at a place are one.
///
/// # Errors
/// [`Error::Diverged`] says what each has.
pub(super) fn compare(
    source: &dyn Catalog,
    target: &dyn Catalog,
    one: &Version,
    other: &Version,
) -> Result<(), Error> {
    if is_copy(one, other) {
        return Ok(());
    }
    let text = |version: &Version| {
        let digest = version.data_hash.to_string();
        format!("{} of {}, sha256 {}", version.version, version.created_at, &digest[..12])
    };
    Err(Error::Diverged {
        what: one.reference().to_string().into(),
        source_home: source.to_string().into(),
        target_home: target.to_string().into(),
        problem: format!("there it is {}, here {}", text(other), text(one)).into(),
    })
}

/// Numbers below `count`, so that the first of each pair comes first, and else by priority, lowest first. `None` if they
/// cannot be ordered so.
fn topological<P: Ord>(
    count: usize,
    mut pairs: Vec<(u32, u32)>,
    priority: impl Fn(u32) -> P,
) -> Option<Vec<u32>> {
    pairs.sort_unstable();
    let mut waits = vec![0_u32; count];
    for (_, after) in &pairs {
        waits[*after as usize] += 1;
    }
    let ready = (0..number(count)).filter(|number| waits[*number as usize] == 0);
    let mut ready: BinaryHeap<_> = ready.map(|number| Reverse((priority(number), number))).collect();
    let mut ordered = Vec::with_capacity(count);
    while let Some(Reverse((_, number))) = ready.pop() {
        ordered.push(number);
        let begin = pairs.partition_point(|(before, _)| *before < number);
        for (_, after) in pairs[begin..].iter().take_while(|(before, _)| *before == number) {
            waits[*after as usize] -= 1;
            if waits[*after as usize] == 0 {
                ready.push(Reverse((priority(*after), *after)));
            }
        }
    }
    (ordered.len() == count).then_some(ordered)
}

/// A count as a number in the plan.
fn number(count: usize) -> u32 {
    u32::try_from(count).expect("2^32 missing versions would have taken 400 GB of memory before")
}

/// The place of each number in an order.
fn ranks(ordered: &[u32]) -> Vec<u32> {
    let mut ranks = vec![0; ordered.len()];
    for (rank, number) in (0..).zip(ordered) {
        ranks[*number as usize] = rank;
    }
    ranks
}
