//! What is not in the version log: builds remembered, reports of cascades, access counts. Each page of the source is
//! compared with what the target has, so a second copy writes nothing.

use std::collections::BTreeMap;

use floret_model::{CascadeReport, Digest, Memo, ResourceKey};
use futures::{StreamExt, TryStreamExt};

use super::{AT_ONCE, Copy, PAGE_ROWS};
use crate::Error;
use crate::catalog::{Access, BlobState};

/// Small writes at once: so many share a sync of the embedded catalog.
const WRITES_AT_ONCE: usize = 64;

impl Copy<'_> {
    /// Builds that the target does not remember, with their outputs. What it remembers stays.
    pub(super) async fn memos(&mut self) -> Result<(), Error> {
        let mut after: Option<Digest> = None;
        loop {
            let page = self.source().scan_memos(after.as_ref(), PAGE_ROWS).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.recipe);
            let recipes: Vec<Digest> = page.iter().map(|memo| memo.recipe).collect();
            let there = self.target().memos(&recipes).await?;
            let missing = page.into_iter().zip(there).filter(|(_, there)| there.is_none());
            self.put_memos(missing.map(|(memo, _)| memo).collect()).await?;
        }
    }

    async fn put_memos(&mut self, memos: Vec<Memo>) -> Result<(), Error> {
        let source = self.source();
        let outputs: Vec<_> = futures::stream::iter(memos.iter().map(|memo| memo.output))
            .map(|output| async move { source.blob(&output).await })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let stored = outputs.into_iter().flatten();
        let stored = stored.filter(|record| matches!(record.state, BlobState::Stored { .. }));
        let (places, damaged) = self.bring(stored.map(|record| record.location).collect()).await?;
        let mut ready = Vec::new();
        for memo in memos {
            if places.contains_key(&memo.output) {
                ready.push(memo);
                continue;
            }
            // A build that the source has forgotten meanwhile may have lost its output.
            if let [Some(_)] = self.source().memos(&[memo.recipe]).await?[..] {
                let problem = damaged.get(&memo.output).cloned();
                return Err(Error::Integrity {
                    what: format!("the output {} of build {} in {}", memo.output, memo.recipe, self.source()),
                    problem: problem.unwrap_or_else(|| "it is not stored".to_owned()),
                });
            }
        }
        let target = self.target();
        let writes = ready.iter().map(|memo| target.put_memo(memo));
        let written: Vec<()> =
            futures::stream::iter(writes).buffer_unordered(WRITES_AT_ONCE).try_collect().await?;
        self.report.memos += written.len() as u64;
        Ok(())
    }

    /// Reports that the target does not have.
    pub(super) async fn reports(&mut self) -> Result<(), Error> {
        let mut there = Window::default();
        let mut after: Option<String> = None;
        loop {
            let page = self.source().scan_reports(after.as_deref(), PAGE_ROWS).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.id.clone());
            let target = self.target();
            let scan = async |after: Option<&String>| {
                let page = target.scan_reports(after.map(String::as_str), PAGE_ROWS).await?;
                Ok(page.into_iter().map(|report| (report.id, ())).collect())
            };
            there.cover(&page[0].id, &last.id, scan).await?;
            let missing: Vec<&CascadeReport> =
                page.iter().filter(|report| !there.rows.contains_key(&report.id)).collect();
            let writes = missing.into_iter().map(|report| target.put_report(report));
            let written: Vec<()> =
                futures::stream::iter(writes).buffer_unordered(WRITES_AT_ONCE).try_collect().await?;
            self.report.reports += written.len() as u64;
        }
    }

    /// Raise the target's access counts to the source's; none sinks.
    pub(super) async fn accesses(&mut self) -> Result<(), Error> {
        let mut there = Window::default();
        let mut after: Option<ResourceKey> = None;
        loop {
            let page = self.source().scan_accesses(after.as_ref(), PAGE_ROWS).await?;
            let (Some((first, _)), Some((last, _))) = (page.first(), page.last()) else {
                return Ok(());
            };
            after = Some(last.clone());
            let target = self.target();
            let scan = async |after: Option<&ResourceKey>| target.scan_accesses(after, PAGE_ROWS).await;
            there.cover(first, last, scan).await?;
            let more = page.iter().filter_map(|(key, here)| {
                let there = there.rows.get(key).copied().unwrap_or_default();
                let count = here.count.checked_sub(there.count).filter(|count| *count > 0)?;
                Some((key.clone(), Access { count, last_at: here.last_at }))
            });
            let more: Vec<_> = more.collect();
            if !more.is_empty() {
                target.add_accesses(&more).await?;
            }
            self.report.accesses += more.len() as u64;
        }
    }
}

/// The part of an ordered scan that goes with a page of another one.
pub(super) struct Window<K, T> {
    pub rows: BTreeMap<K, T>,
    after: Option<K>,
    ended: bool,
}

impl<K, T> Default for Window<K, T> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), after: None, ended: false }
    }
}

impl<K: Ord + Clone, T> Window<K, T> {
    /// Have all rows from `first` to `last`, and forget those before. Both grow from call to call.
    pub async fn cover(
        &mut self,
        first: &K,
        last: &K,
        scan: impl AsyncFn(Option<&K>) -> Result<Vec<(K, T)>, Error>,
    ) -> Result<(), Error> {
        self.rows = self.rows.split_off(first);
        while !self.ended && self.after.as_ref().is_none_or(|after| after < last) {
            let page = scan(self.after.as_ref()).await?;
            match page.last() {
                Some((key, _)) => self.after = Some(key.clone()),
                None => self.ended = true,
            }
            self.rows.extend(page.into_iter().filter(|(key, _)| key >= first));
        }
        Ok(())
    }
}
