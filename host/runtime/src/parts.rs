//! Builds of indexes, as a whole or in parts.
//!
//! The component says into how many parts a build is split, from its corpora and its configuration alone. So all
//! hosts split alike, whatever they run on, and a recipe's result does not depend on it. Each part is a builder's job
//! like any other: a store of its own, its turn among [`Limits::instances_max`](crate::Limits::instances_max), every
//! limit. A build has no more parts under way or waiting than there are turns, so that others get theirs in between;
//! what its parts wrote is kept in memory until they are merged, and is bounded like the output of one job. The first
//! part that fails ends the build, and the others are stopped.

use std::sync::Arc;

use tokio::task::JoinSet;
use tracing::Instrument;

use crate::answers;
use crate::component::{Built, IndexStatistics, Loaded};
use crate::contract::{PARTS_MAX, index, index_v0_2};
use crate::error::{Error, Traces};
use crate::guest_log::heard_here;
use crate::input::Input;
use crate::job::{BuilderJob, gone};
use crate::limits::LimitKind;

/// Build in as many parts as the component says.
pub(crate) async fn build(
    loaded: &Arc<Loaded>,
    corpora: Vec<Input>,
    config: &str,
) -> Result<Built<IndexStatistics>, Error> {
    match count(loaded, &corpora, config).await? {
        1 => whole(loaded, corpora, config).await,
        parts => {
            let made = every_part(loaded, &corpora, config, parts).await?;
            let figures = made.iter().fold((0.0, 0), |(call_ms, memory_bytes): (f64, u64), part| {
                (call_ms + part.call_ms, memory_bytes.max(part.memory_bytes))
            });
            let built = merge(loaded, made.into_iter().map(as_input).collect(), corpora, config).await?;
            Ok(Built {
                call_ms: built.call_ms + figures.0,
                memory_bytes: built.memory_bytes.max(figures.1),
                ..built
            })
        }
    }
}

/// Into how many parts a build is split: 1 to [`PARTS_MAX`].
pub(crate) async fn count(loaded: &Arc<Loaded>, corpora: &[Input], config: &str) -> Result<u32, Error> {
    if loaded.index()?.0.splitting().is_none() {
        return Ok(1);
    }
    let config = config.to_owned();
    let job = loaded.job("parts", corpora.to_vec(), &config)?;
    job.run(move |running| {
        let loaded = running.loaded.clone();
        let pre = loaded.splitting()?;
        let parts = running.call(|store| index_v0_2::parts(pre, store, &config))?;
        if !(1..=PARTS_MAX).contains(&parts) {
            let text = format!("it splits the build into {parts} parts: expected 1 to {PARTS_MAX}");
            return Err(running.malformed(text));
        }
        Ok(parts)
    })
    .await
}

/// Build as a whole, however many parts it could have.
pub(crate) async fn whole(
    loaded: &Arc<Loaded>,
    corpora: Vec<Input>,
    config: &str,
) -> Result<Built<IndexStatistics>, Error> {
    let config = config.to_owned();
    let job = loaded.job("build", corpora, &config)?;
    job.run(move |running| {
        let loaded = running.loaded.clone();
        let (pre, _) = loaded.index()?;
        let statistics = running.call(|store| index::build(pre, store, &config))?;
        answers::check_statistics(&statistics).map_err(|text| running.malformed(text))?;
        Ok(running.built(statistics))
    })
    .await
}

/// Build part `part`, counted from 0.
pub(crate) async fn part(
    loaded: &Arc<Loaded>,
    corpora: Vec<Input>,
    config: &str,
    part: u32,
    parts: u32,
) -> Result<Built<()>, Error> {
    let config = config.to_owned();
    let job = loaded.job(format!("part {} of {parts}", part + 1), corpora, &config)?;
    job.run(move |running| {
        let loaded = running.loaded.clone();
        let pre = loaded.splitting()?;
        running.call(|store| index_v0_2::build_part(pre, store, &config, part, parts))?;
        Ok(running.built(()))
    })
    .await
}

/// Make the index of all parts, given in their order.
pub(crate) async fn merge(
    loaded: &Arc<Loaded>,
    mut parts: Vec<Input>,
    corpora: Vec<Input>,
    config: &str,
) -> Result<Built<IndexStatistics>, Error> {
    let config = config.to_owned();
    let count = parts.len();
    let input_bytes = corpora.iter().map(|corpus| corpus.bytes.size_bytes()).sum();
    parts.extend(corpora);
    // The corpora were counted against the limit of inputs; the parts are ours, and few.
    let site = Arc::new(loaded.site("merge-parts"));
    let job = BuilderJob { loaded: loaded.clone(), site, inputs: parts, config: config.clone() };
    let built = job.run(move |running| {
        let loaded = running.loaded.clone();
        let pre = loaded.splitting()?;
        let statistics = running.call(|store| index_v0_2::merge_parts(pre, store, &config, count))?;
        answers::check_statistics(&statistics).map_err(|text| running.malformed(text))?;
        Ok(running.built(statistics))
    });
    Ok(Built { input_bytes, ..built.await? })
}

/// What a part wrote, as an input of their merging.
pub(crate) fn as_input(part: Built<()>) -> Input {
    Input {
        role: "part".to_owned(),
        digest: part.digest,
        media_type: "application/octet-stream".to_owned(),
        bytes: part.bytes.into(),
    }
}

/// All parts, in their order. Dropping the set of tasks stops those under way: so it is when one fails, and when
/// nobody waits any more.
async fn every_part(
    loaded: &Arc<Loaded>,
    corpora: &[Input],
    config: &str,
    parts: u32,
) -> Result<Vec<Built<()>>, Error> {
    let limits = &loaded.limits;
    let mut made = vec![None; parts as usize];
    let mut waiting = 0..parts;
    let mut under_way = JoinSet::new();
    let mut written_bytes = 0u64;
    loop {
        while under_way.len() < limits.instances_max
            && let Some(place) = waiting.next()
        {
            let (loaded, corpora, config) = (loaded.clone(), corpora.to_vec(), config.to_owned());
            let built = async move { (place, part(&loaded, corpora, &config, place, parts).await) };
            under_way.spawn(heard_here(built).in_current_span());
        }
        let Some(ended) = under_way.join_next().await else { break };
        let (place, built) = ended.map_err(|error| gone(error, &loaded.site("build")))?;
        let built = built?;
        written_bytes = written_bytes.saturating_add(built.bytes.len() as u64);
        if written_bytes > limits.output_bytes_max {
            return Err(Error::Limit {
                at: Box::new(loaded.site("build")),
                which: LimitKind::OutputBytes,
                limit: limits.output_bytes_max,
                traces: Box::new(Traces::default()),
            });
        }
        made[place as usize] = Some(built);
    }
    Ok(made.into_iter().flatten().collect())
}

impl Loaded {
    /// Its side that splits builds. Asked only after [`count`], which answers 1 for a component that has none.
    fn splitting(&self) -> Result<&index_v0_2::Pre<crate::instance::Job>, Error> {
        self.index()?.0.splitting().ok_or_else(|| Error::Malformed {
            at: Box::new(self.site("build")),
            text: format!("a component of {} never splits a build", self.contract),
        })
    }
}
