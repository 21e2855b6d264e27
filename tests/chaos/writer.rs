//! One writer: it does one thing after the other, drawn by chance, and writes down what was acknowledged.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use bytes::Bytes;
use floret_model::{Dependency, ResourceKey, Seq, Version};
use floret_pipeline::{Content, Error, Floret, Freshness, IfLatest, SaveRequest, Saved, Selector};
use floret_store::{Clock, Outcome, Publish, SystemClock};
use floret_tests::chaos::{Entry, SHARED_NUMBERS, kept, scrap};
use floret_tests::journal::{Random, content};
use floret_tests::{draft, key};

use crate::Journal;

const BATCH: u64 = 5;
/// Versions that it reads again now and then.
const REMEMBERED_MAX: usize = 64;

pub struct Writer {
    host: Arc<Floret>,
    journal: Arc<Journal>,
    random: Random,
    remembered: Vec<(ResourceKey, Seq, u64)>,
}

impl Writer {
    pub fn new(host: Arc<Floret>, journal: Arc<Journal>, random: Random) -> Self {
        Self { host, journal, random, remembered: Vec::new() }
    }

    /// Ends only with an error that must not be.
    pub async fn run(mut self) -> Result<()> {
        loop {
            let done = match self.random.below(12) {
                0..=2 => self.save(kept).await,
                3 => self.save(scrap).await,
                4 | 5 => self.batch().await,
                6 | 7 => self.compare_and_append().await,
                8 => self.save_what_others_save().await,
                9 | 10 => self.derive().await,
                _ => self.read_again().await,
            };
            if let Err(error) = done {
                let error = error.downcast::<Error>()?;
                self.journal.write(&[Entry::Failed { how: may_fail(&error)?.to_owned() }])?;
            }
        }
    }

    /// A number that nobody else has, but by a chance of one in a million.
    fn fresh(&mut self) -> u64 {
        SHARED_NUMBERS + self.random.below(1 << 40)
    }

    async fn save(&mut self, of: fn(u64) -> ResourceKey) -> Result<()> {
        let (key, number) = (of(self.random.below(u64::MAX)), self.fresh());
        let saved = self.host.save(request(key, number)).await?;
        self.acknowledge(&[(saved, number)])
    }

    async fn batch(&mut self) -> Result<()> {
        let (number, first) = (self.fresh(), self.random.below(u64::MAX / 2));
        let request = |offset| {
            let tags = BTreeSet::from(["batch".to_owned()]);
            SaveRequest { tags, ..request(kept(first + offset), number) }
        };
        let saved = self.host.save_batch((0..BATCH).map(request).collect()).await?;
        self.acknowledge(&saved.into_iter().map(|saved| (saved, number)).collect::<Vec<_>>())
    }

    async fn compare_and_append(&mut self) -> Result<()> {
        let (key, number) = (kept(self.random.below(u64::MAX)), self.fresh());
        let head = self.head(&key).await?;
        let if_latest = Some(head.as_ref().map_or(IfLatest::Absent, |head| IfLatest::Seq(head.seq)));
        let saved = self.host.save(SaveRequest { if_latest, ..request(key, number) }).await?;
        let (seq, expected) = (saved.version.seq.0, head.map_or(1, |head| head.seq.0 + 1));
        if seq != expected {
            bail!("{} was appended as {seq} though {expected} was asked for", saved.version.key);
        }
        self.acknowledge(&[(saved, number)])
    }

    /// A content that many resources have, on any of them: twice in a row it is one version.
    async fn save_what_others_save(&mut self) -> Result<()> {
        let number = self.random.below(SHARED_NUMBERS);
        let saved = self.host.save(request(kept(self.random.below(4)), number)).await?;
        self.acknowledge(&[(saved, number)])
    }

    /// A version that depends on others, as a cascade publishes them, on one of two levels.
    async fn derive(&mut self) -> Result<()> {
        let number = 3 * self.fresh() + 1;
        let (name, on) = match self.random.below(3) {
            0 => (
                format!("corpus/top-{}", number % 4),
                [key(&format!("corpus/derived-{}", number % 8)), kept(number)],
            ),
            _ => (format!("corpus/derived-{}", number % 8), [kept(number), scrap(number)]),
        };
        let mut dependencies = Vec::new();
        for one in &on {
            let head = self.head(one).await?;
            dependencies
                .extend(head.map(|head| Dependency { role: "part".to_owned(), on: head.reference() }));
        }
        let publish = Publish {
            id: format!("chaos {number}"),
            at: SystemClock.now(),
            drafts: vec![draft(&key(&name), &content(number), dependencies)],
            report: None,
        };
        let outcome = self.host.catalog().publish(publish).await.map_err(Error::from)?.remove(0);
        let is_new = matches!(outcome, Outcome::Appended(_));
        self.acknowledge(&[(Saved { version: Arc::clone(outcome.version()), is_new }, number)])
    }

    /// What was acknowledged once is there from then on.
    async fn read_again(&mut self) -> Result<()> {
        if self.remembered.is_empty() {
            return Ok(());
        }
        let which = self.random.below(self.remembered.len() as u64);
        let (key, seq, number) = &self.remembered[usize::try_from(which)?];
        match self.host.get(key, &Selector::Seq(*seq), Freshness::Strong).await {
            Ok(read) if read.content == content(*number) => {}
            Ok(_) => bail!("{key}@{seq} was acknowledged with another content"),
            Err(Error::Dropped(_)) if key.resource_type.as_str() == "scrap" => {}
            Err(error) => {
                may_fail(&error).map_err(|error| error.context(format!("{key}@{seq} was acknowledged")))?;
                return Err(error.into());
            }
        }
        if self.head(key).await?.is_none_or(|head| head.seq < *seq) {
            bail!("{key}@{seq} was acknowledged, and an older version is the latest");
        }
        self.journal.write(&[Entry::Done { what: "read".to_owned() }])
    }

    async fn head(&self, key: &ResourceKey) -> Result<Option<Arc<Version>>> {
        let mut heads = self.host.catalog().heads(std::slice::from_ref(key)).await.map_err(Error::from)?;
        Ok(heads.pop().flatten())
    }

    fn acknowledge(&mut self, saved: &[(Saved, u64)]) -> Result<()> {
        let mut entries = Vec::new();
        for (saved, number) in saved {
            let (key, seq, number) = (saved.version.key.clone(), saved.version.seq, *number);
            self.remembered.push((key.clone(), seq, number));
            entries.push(match saved.is_new {
                true => Entry::Appended { key, seq, number },
                false => Entry::Unchanged { key, seq, number },
            });
        }
        if self.remembered.len() > REMEMBERED_MAX {
            let which = self.random.below(self.remembered.len() as u64);
            self.remembered.swap_remove(usize::try_from(which)?);
        }
        self.journal.write(&entries)
    }
}

/// What a call may fail with while servers are killed; whatever else is an error of ours.
pub fn may_fail(error: &Error) -> Result<&'static str> {
    let known = match error {
        Error::Conflict { .. } => Some("conflict"),
        Error::Store(error) => match &**error {
            floret_store::Error::Unavailable { .. } => Some("unavailable"),
            // A cursor or a transaction that the killed server had.
            floret_store::Error::Backend { .. } => Some("backend"),
            floret_store::Error::LeaseLost { .. } => Some("lease lost"),
            // The lease ran out while the database was away, and a cleanup condemned the blob: refused, not dangling.
            floret_store::Error::MissingBlob { .. } => Some("blob condemned"),
            floret_store::Error::MissingDependency { reason: "dropped by cleanup", .. } => {
                Some("dependency dropped")
            }
            _ => None,
        },
        _ => None,
    };
    known.ok_or_else(|| anyhow!("not an error that may be: {error:?}"))
}

fn request(key: ResourceKey, number: u64) -> SaveRequest {
    SaveRequest::new(key, Content::Bytes(Bytes::from(content(number))))
}
