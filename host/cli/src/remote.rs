//! Where the work is done: by a host in this process, or by a `floret serve` that is asked over HTTP. Verbs that take a
//! [`Home`] say the same of both.

mod client;
mod events;
mod long;
mod plugins;
mod save;
mod upkeep;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use floret_model::{CascadeReport, Plan, ResourceKey, Seq, Version};
use floret_pipeline::{
    Change, CorpusRequest, CorpusTree, DerivedSpec, Floret, Freshness, ListQuery, RebuildReport, Sampling,
    SaveRequest, Saved, SearchAnswer, SearchMode, Selector, VersionDocument, Why,
};
use floret_store::{Spooled, VerifyOptions, VerifyReport};
use serde_json::json;

pub(crate) use client::{Client, certificates, is_local};
pub(crate) use plugins::Foreseen;

use crate::work::Work;

/// Records asked for at once: as many as a server answers.
const PAGE: usize = 100;

/// Which server is asked, and how.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Server {
    /// Ask a running `floret serve`, e.g. `https://floret.example:8443`, instead of opening a data folder.
    #[arg(long, global = true, value_name = "URL", env = "FLORET_SERVER", help_heading = "Global options")]
    pub server: Option<String>,
    /// File with the token that the server asks for [default: the variable FLORET_TOKEN].
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub token_file: Option<PathBuf>,
    /// File with certificates, in PEM, that the server's may be signed by beside those that the system trusts.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub ca_file: Option<PathBuf>,
}

impl Server {
    /// Whether one was named.
    pub(crate) fn is_named(&self) -> bool {
        self.server.as_deref().is_some_and(|server| !server.is_empty())
    }
}

/// A host, here or elsewhere.
#[derive(Clone, Copy)]
pub(crate) enum Home<'a> {
    /// In this process.
    Here(&'a Floret),
    /// Behind a server.
    There(&'a Client),
}

impl Home<'_> {
    /// What is known of a version.
    pub async fn resolve(self, key: &ResourceKey, selector: &Selector) -> Result<Arc<Version>> {
        match self {
            Self::Here(host) => Ok(host.resolve(key, selector).await?),
            Self::There(client) => client.record(key, selector, Freshness::Strong).await,
        }
    }

    /// Every resource is there, so that a slip of the pen is not taken for a resource on which nothing depends.
    pub async fn check_there(self, keys: &[ResourceKey]) -> Result<()> {
        for key in keys {
            self.resolve(key, &Selector::Latest).await?;
        }
        Ok(())
    }

    /// The document of a version.
    pub async fn document(self, version: &Version) -> Result<VersionDocument> {
        match self {
            Self::Here(host) => Ok(host.document(version).await?),
            Self::There(client) => {
                let seq = version.seq.to_string();
                client.get(&client.of(&version.key, &["document"])?, &[("seq", &seq)]).await
            }
        }
    }

    /// Versions of a resource, newest first.
    pub async fn log(
        self,
        key: &ResourceKey,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<Arc<Version>>> {
        let client = match self {
            Self::Here(host) => return Ok(host.log(key, before, limit).await?),
            Self::There(client) => client,
        };
        let url = client.of(key, &["records"])?;
        let (mut log, mut before) = (Vec::new(), before);
        while log.len() < limit {
            let wanted = (limit - log.len()).min(PAGE);
            let mut query = vec![("limit", wanted.to_string())];
            query.extend(before.map(|seq| ("before", seq.to_string())));
            let page: Vec<Arc<Version>> = client.get(&url, &texts(&query)).await?;
            let is_last = page.len() < wanted || page.last().is_some_and(|last| last.seq <= Seq::FIRST);
            before = page.last().map(|last| last.seq);
            log.extend(page);
            if is_last {
                break;
            }
        }
        Ok(log)
    }

    /// Latest versions, sorted by key.
    pub async fn list(self, query: &ListQuery) -> Result<Vec<Arc<Version>>> {
        let client = match self {
            Self::Here(host) => return Ok(host.list(query).await?),
            Self::There(client) => client,
        };
        let url = client.at(&["records"])?;
        let (mut found, mut after) = (Vec::new(), query.after.clone());
        while found.len() < query.limit {
            let wanted = (query.limit - found.len()).min(PAGE);
            let mut given = vec![("limit", wanted.to_string())];
            given.extend(query.namespace.as_ref().map(|namespace| ("namespace", namespace.to_string())));
            given.extend(query.resource_type.as_ref().map(|it| ("type", it.to_string())));
            given.extend(query.id_prefix.as_ref().map(|prefix| ("prefix", prefix.clone())));
            given.extend(after.take().map(|after| ("after", after.to_string())));
            let page: Vec<Arc<Version>> = client.get(&url, &texts(&given)).await?;
            let is_last = page.len() < wanted;
            after = page.last().map(|last| last.key.clone());
            found.extend(page);
            if is_last {
                break;
            }
        }
        Ok(found)
    }

    /// Why a resource is as it is.
    pub async fn why(self, key: &ResourceKey) -> Result<Why> {
        match self {
            Self::Here(host) => Ok(host.why(key).await?),
            Self::There(client) => client.get(&client.of(key, &["why"])?, &[]).await,
        }
    }

    /// The best answers of an index.
    pub async fn search(
        self,
        key: &ResourceKey,
        text: &str,
        mode: SearchMode,
        distance: Option<u8>,
        limit: u32,
    ) -> Result<SearchAnswer> {
        // Refused here as there, before anything is asked.
        let queries = mode.queries(text, distance)?;
        let client = match self {
            Self::Here(host) => return Ok(host.search_any(key, &queries, limit).await?),
            Self::There(client) => client,
        };
        let mut given = vec![
            ("index", key.to_string()),
            ("text", text.to_owned()),
            ("mode", mode.to_string()),
            ("limit", limit.to_string()),
        ];
        given.extend(distance.map(|distance| ("distance", distance.to_string())));
        client.get(&client.at(&["search"])?, &texts(&given)).await
    }

    /// A corpus with its children.
    pub async fn corpus_tree(self, key: &ResourceKey, selector: &Selector) -> Result<CorpusTree> {
        match self {
            Self::Here(host) => Ok(host.corpus_tree(key, selector).await?),
            Self::There(client) => {
                let url = client.of(key, &["tree"])?;
                match client::named(selector) {
                    Some((name, which)) => client.get(&url, &[(name, &which)]).await,
                    None => client.get(&url, &[]).await,
                }
            }
        }
    }

    /// What would be looked at if these changed.
    pub async fn plan(self, keys: &[ResourceKey]) -> Result<Plan> {
        match self {
            Self::Here(host) => Ok(host.plan(keys).await?),
            Self::There(client) => {
                client.post(&client.at(&["plans"])?, &json!({"keys": named_all(keys)})).await
            }
        }
    }

    /// Rebuild what depends on these and really changed.
    pub async fn cascade(self, keys: &[ResourceKey], work: &Work) -> Result<CascadeReport> {
        match self {
            Self::Here(host) => Ok(host.cascade(keys, work).await?),
            Self::There(client) => {
                let asked = json!({"keys": named_all(keys)});
                client.long(&client.at(&["cascades"])?, &asked, work).await
            }
        }
    }

    /// Build one resource, and whatever depends on it.
    pub async fn build(self, build: DerivedSpec, work: &Work) -> Result<CascadeReport> {
        match self {
            Self::Here(host) => {
                let change = Change { builds: vec![build], ..Change::default() };
                Ok(host.apply(change, work).await?)
            }
            Self::There(client) => {
                let inputs = build.spec.inputs.iter();
                let (parts, inputs): (Vec<_>, Vec<_>) = inputs.partition(|input| input.role == "part");
                let texts = |inputs: Vec<&floret_model::SpecInput>| -> Vec<String> {
                    inputs.into_iter().map(|input| input.key.to_string()).collect()
                };
                let mut asked = json!({
                    "key": build.key.to_string(),
                    "config": build.spec.config,
                    "bump": build.bump,
                });
                let (role, keys) = if parts.is_empty() { ("inputs", inputs) } else { ("parts", parts) };
                asked[role] = json!(texts(keys));
                client.long(&client.at(&["builds"])?, &asked, work).await
            }
        }
    }

    /// Create a corpus, or give one other inputs.
    pub async fn corpus_create(
        self,
        key: &ResourceKey,
        request: CorpusRequest,
        work: &Work,
    ) -> Result<CascadeReport> {
        match self {
            Self::Here(host) => Ok(host.corpus_create(vec![(key.clone(), request)], work).await?),
            Self::There(client) => {
                let asked = json!({
                    "key": key.to_string(),
                    "documents": named_all(&request.documents),
                    "children": named_all(&request.children),
                    "corpus_type": request.corpus_type,
                    "dialect": request.dialect,
                    "config": request.config,
                });
                client.long(&client.at(&["corpora"])?, &asked, work).await
            }
        }
    }

    /// Add texts and children to a corpus.
    pub async fn corpus_add(
        self,
        key: &ResourceKey,
        documents: &[ResourceKey],
        children: &[ResourceKey],
        work: &Work,
    ) -> Result<CascadeReport> {
        match self {
            Self::Here(host) => Ok(host.corpus_add(key, documents, children, work).await?),
            Self::There(client) => {
                let asked = json!({
                    "key": key.to_string(),
                    "documents": named_all(documents),
                    "children": named_all(children),
                });
                client.long(&client.at(&["corpora", "add"])?, &asked, work).await
            }
        }
    }

    /// Check the store.
    pub async fn verify(self, rehash: bool) -> Result<VerifyReport> {
        match self {
            Self::Here(host) => Ok(host.verify(VerifyOptions { rehash }).await?),
            Self::There(client) => Ok(client.verified(&json!({"rehash": rehash})).await?.verify),
        }
    }

    /// Build versions again and compare. Here, `progress` is told how many of how many are done.
    pub async fn verify_rebuild_of(
        self,
        sampling: Sampling,
        progress: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<RebuildReport> {
        match self {
            Self::Here(host) => Ok(host.verify_rebuild_of(sampling, progress).await?),
            Self::There(client) => {
                // The contents were read just now.
                let asked = json!({"rehash": false, "rebuild": sampling});
                let rebuilt = client.verified(&asked).await?.rebuild;
                rebuilt.ok_or_else(|| client.unavailable("it does not say what was built again"))
            }
        }
    }

    /// A content that is too large for memory, in a temporary file.
    pub async fn spool(self, what: &Path, from: impl Read + Send + 'static) -> Result<Spooled> {
        match self {
            Self::Here(host) => Ok(host.spool(what, from).await?),
            Self::There(_) => {
                let what = what.to_owned();
                Ok(tokio::task::spawn_blocking(move || floret_store::spool(&what, from)).await??)
            }
        }
    }

    /// Save each by itself, at most so many at once; over a server one after the other.
    pub async fn save_each(self, requests: Vec<SaveRequest>, at_once: usize) -> Vec<Result<Saved>> {
        let client = match self {
            Self::Here(host) => {
                let results = host.save_each(requests, at_once).await;
                return results.into_iter().map(|result| result.map_err(Into::into)).collect();
            }
            Self::There(client) => client,
        };
        let mut results = Vec::with_capacity(requests.len());
        for request in requests {
            results.push(client.save(request).await);
        }
        results
    }

    /// Save a text and give it to a corpus, in one commit.
    pub async fn save_with_parent(
        self,
        request: SaveRequest,
        parent: &ResourceKey,
        work: &Work,
    ) -> Result<CascadeReport> {
        match self {
            Self::Here(host) => Ok(host.save_with_parent(request, parent, work).await?),
            Self::There(client) => client.save_with_parent(request, parent, work).await,
        }
    }

    /// Save several versions at once: all of them, or none.
    pub async fn save_batch(self, requests: Vec<SaveRequest>) -> Result<Vec<Saved>> {
        match self {
            Self::Here(host) => Ok(host.save_batch(requests).await?),
            Self::There(client) => client.save_batch(requests).await,
        }
    }

    /// Save one version.
    pub async fn save(self, request: SaveRequest) -> Result<Saved> {
        match self {
            Self::Here(host) => Ok(host.save(request).await?),
            Self::There(client) => client.save(request).await,
        }
    }
}

/// What a server found in its store.
#[derive(serde::Deserialize)]
struct Verified {
    verify: VerifyReport,
    rebuild: Option<RebuildReport>,
}

impl Client {
    async fn verified(&self, asked: &serde_json::Value) -> Result<Verified> {
        self.post(&self.at(&["verifications"])?, asked).await
    }
}

fn texts<'a>(query: &'a [(&'a str, String)]) -> Vec<(&'a str, &'a str)> {
    query.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

fn named_all(keys: &[ResourceKey]) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}
