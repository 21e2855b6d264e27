//! The logs of all resources, one after the other.

use std::collections::VecDeque;
use std::sync::Arc;

use floret_model::{ResourceKey, TimestampMs, Version, VersionRef};

use super::LogEntry;
use super::judge::KnownVersion;
use crate::{Catalog, Error};

/// Versions read at once.
const PAGE_ROWS: usize = 512;

/// A version of a log.
pub(super) struct Known {
    pub entry: LogEntry,
    /// What a judge is told of it; absent where there is none.
    pub told: Option<KnownVersion>,
}

/// Goes through a catalog in pages. Holds one log at a time, without contents.
pub(super) struct Logs<'a> {
    catalog: &'a dyn Catalog,
    now: TimestampMs,
    judged: bool,
    after: Option<VersionRef>,
    page: VecDeque<Arc<Version>>,
}

impl<'a> Logs<'a> {
    pub fn new(catalog: &'a dyn Catalog, now: TimestampMs, judged: bool) -> Self {
        Self { catalog, now, judged, after: None, page: VecDeque::new() }
    }

    /// The next resource and its versions, oldest first.
    pub async fn next(&mut self) -> Result<Option<(ResourceKey, Vec<Known>)>, Error> {
        let mut log: Option<(ResourceKey, Vec<Known>)> = None;
        loop {
            while let Some(version) = self.page.front() {
                let known = self.known(version);
                match &mut log {
                    Some((key, entries)) if *key == version.key => entries.push(known),
                    Some(_) => return Ok(log),
                    None => log = Some((version.key.clone(), vec![known])),
                }
                self.page.pop_front();
            }
            self.page = self.catalog.scan(self.after.as_ref(), PAGE_ROWS).await?.into();
            match self.page.back() {
                Some(last) => self.after = Some(last.reference()),
                None => return Ok(log),
            }
        }
    }

    fn known(&self, version: &Version) -> Known {
        let entry = LogEntry::of(version, self.now, false);
        Known { entry, told: self.judged.then(|| KnownVersion::of(version, self.now)) }
    }
}
