//! Policies beside each other.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use floret_model::ResourceType;
use floret_pipeline::{Contender, ContenderSource, Floret, PolicyReplay};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::given::{Parameters, Posted};
use crate::jobs::{Jobs, Kind, Wants};
use crate::problem::Problem;
use crate::versions::Nothing;

/// Decisions that are replayed unless the request says how many, and at most.
const LAST: usize = 10_000;
const LAST_MAX: usize = 1_000_000;

/// A policy to compare.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Side {
    /// Name of an installed component.
    component: String,
    /// Its configuration; what is not set has its default.
    #[serde(default)]
    config: Map<String, Value>,
}

impl Side {
    fn contender(self) -> Contender {
        Contender { source: ContenderSource::Installed(self.component), config: self.config }
    }
}

/// Two compression policies to compare on what is stored.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Comparison {
    /// The one policy.
    a: Side,
    /// The other.
    b: Side,
    /// So many decisions, the latest ones; 10,000 if absent.
    #[schemars(range(min = 1, max = LAST_MAX))]
    last: Option<usize>,
    /// Only contents of this type.
    #[serde(rename = "type")]
    resource_type: Option<ResourceType>,
}

/// Let two compression policies decide anew about the latest decisions, and measure what contents would take under each.
pub(crate) async fn compare(
    State(host): State<Arc<Floret>>,
    State(jobs): State<Arc<Jobs>>,
    wants: Wants,
    _: Parameters<Nothing>,
    Posted(asked): Posted<Comparison>,
) -> Result<Response, Problem> {
    let last = asked.last.unwrap_or(LAST);
    if !(1..=LAST_MAX).contains(&last) {
        return Err(Problem::invalid(format!("last={last} cannot be used: expected 1 to {LAST_MAX}")));
    }
    let about = format!("{} and {}", asked.a.component, asked.b.component);
    let (a, b) = (asked.a.contender(), asked.b.contender());
    let replay = PolicyReplay { a, b, last, resource_type: asked.resource_type };
    let work = |_| async move { Ok(host.policy_compare(&replay, &|_, _| {}).await?) };
    jobs.answer(wants, Kind::Comparison, about, work).await
}
