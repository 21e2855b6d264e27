//! Building the index.

use floret_sdk::corpus::CorpusMerge;
use floret_sdk::{Error, Input, Output, Statistic, StatisticValue};
use fst::raw::{Builder, Fst};

use crate::{format, frequency};

/// Merge the corpora into one transducer. Streams over the corpora; memory is the transducer's, which has to be
/// counted before its end is known.
pub fn build(corpora: &[Input], fold_queries: bool, out: &mut Output) -> Result<Vec<Statistic>, Error> {
    let fault = |error: fst::Error| Error::Failed(format!("the transducer cannot be built: {error}"));
    let mut merged = CorpusMerge::new(corpora)?;
    let mut builder = Builder::new(Vec::new()).map_err(fault)?;
    let (mut word_count, mut max_depth) = (0u64, 0);
    while let Some((word, count)) = merged.next()? {
        builder.insert(word, frequency(count)).map_err(fault)?;
        word_count += 1;
        max_depth = max_depth.max(word.len());
    }
    let fst = Fst::new(builder.into_inner().map_err(fault)?).map_err(fault)?;
    let node_count = node_count(&fst);
    format::write(fst.as_bytes(), word_count, fold_queries, out);
    let count = |name: &str, value| Statistic { name: name.into(), value: StatisticValue::Count(value) };
    Ok(vec![
        count("word_count", word_count),
        count("node_count", node_count),
        count("max_depth", max_depth as u64),
        Statistic { name: "supports_fuzzy".into(), value: StatisticValue::Flag(true) },
    ])
}

/// States of the transducer. They stand in the file back to back and end at the root, so that they are counted
/// by walking backwards over their sizes: no stack and no set of visited addresses.
pub fn node_count(fst: &Fst<Vec<u8>>) -> u64 {
    /// The `fst` format: two 64-bit words before the first state.
    const FIRST_ADDRESS: usize = 16;
    let mut address = fst.root().addr();
    // The one state that has no address of its own is the end of most words.
    let mut count = u64::from(!fst.is_empty());
    while address >= FIRST_ADDRESS {
        count += 1;
        address -= fst.node(address).as_slice().len();
    }
    count
}
