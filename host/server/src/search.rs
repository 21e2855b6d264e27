//! Asking indexes, and looking for resources.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use floret_model::{Namespace, ResourceKey, ResourceType};
use floret_pipeline::{Floret, ListQuery, SearchAnswer, SearchMode, VersionEntry, Why};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::Grant;
use crate::given::{Named, Parameters, limit};
use crate::problem::Problem;
use crate::versions::Nothing;

/// Answers unless the request says how many.
const HITS: u32 = 10;
/// Resources on a page unless the request says how many, and at most.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1000;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// `TYPE/ID` or `NAMESPACE:TYPE/ID` of an index, or of a composite search index.
    #[schemars(regex(pattern = floret_model::RESOURCE_PATTERN), example = &"search/all")]
    index: String,
    /// What is looked for.
    #[schemars(example = &"liberty")]
    text: String,
    /// How; by default as is usual for the index.
    mode: Option<SearchMode>,
    /// How many letters a word may differ by, for `fuzzy` and `any`.
    distance: Option<u8>,
    /// How many answers; 10 unless it is given.
    #[schemars(range(min = 1, max = floret_pipeline::HITS_MAX))]
    limit: Option<u32>,
}

/// The best answers of an index.
pub(crate) async fn search(
    State(host): State<Arc<Floret>>,
    grant: Grant,
    Parameters(question): Parameters<Question>,
) -> Result<Json<SearchAnswer>, Problem> {
    let Question { index, text, mode, distance, limit } = question;
    let index: ResourceKey = index.parse()?;
    grant.check([&index])?;
    let mode = mode.unwrap_or_else(|| SearchMode::usual(&index, distance));
    let queries = mode.queries(&text, distance)?;
    Ok(Json(host.search_any(&index, &queries, limit.unwrap_or(HITS)).await?))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listing {
    /// Only those of this namespace.
    pub(crate) namespace: Option<Namespace>,
    /// Only those of this type.
    #[serde(rename = "type")]
    pub(crate) resource_type: Option<ResourceType>,
    /// Only ids that begin so; needs `type`.
    pub(crate) prefix: Option<String>,
    /// Only those behind this one, `TYPE/ID` or `NAMESPACE:TYPE/ID`: the last of the page before.
    pub(crate) after: Option<String>,
    /// How many; 100 unless it is given.
    #[schemars(range(min = 1))]
    pub(crate) limit: Option<usize>,
}

impl Listing {
    /// The query for so many of at most so many.
    pub(crate) fn query(self, asked: usize, max: usize) -> Result<ListQuery, Problem> {
        let Self { namespace, resource_type, prefix, after, limit: _ } = self;
        let limit = limit(asked, max)?;
        if prefix.is_some() && resource_type.is_none() {
            return Err(Problem::invalid("prefix is of the ids of one type: give type, too"));
        }
        let after = after.map(|after| after.parse::<ResourceKey>()).transpose()?;
        let id_prefix = prefix.filter(|prefix| !prefix.is_empty());
        Ok(ListQuery { namespace, resource_type, id_prefix, after, limit })
    }
}

/// A page of latest versions.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ResourcePage")]
pub(crate) struct Listed {
    resources: Vec<VersionEntry>,
    /// What to give as `after` for the next page; absent on the last.
    next_after: Option<String>,
}

/// Latest versions, sorted by key.
pub(crate) async fn list(
    State(host): State<Arc<Floret>>,
    grant: Grant,
    Parameters(listing): Parameters<Listing>,
) -> Result<Json<Listed>, Problem> {
    let asked = listing.limit.unwrap_or(PAGE);
    let query = listing.query(asked, PAGE_MAX)?;
    grant.check_namespace(query.namespace.as_ref())?;
    let limit = query.limit;
    let found = host.list(&query).await?;
    let next_after = found.last().filter(|_| found.len() == limit).map(|last| last.key.to_string());
    let resources = found.iter().map(|version| VersionEntry::of(version)).collect();
    Ok(Json(Listed { resources, next_after }))
}

/// Why a resource is as it is: what built it, from what, and which of its inputs are newer by now.
pub(crate) async fn why(
    State(host): State<Arc<Floret>>,
    Named(key): Named,
    _: Parameters<Nothing>,
) -> Result<Json<Why>, Problem> {
    Ok(Json(host.why(&key).await?))
}
