//! What a resource is made from and what is made from it, as a graph.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use floret_model::{ResourceKey, Version};
use floret_pipeline::{Error, Floret, Selector};
use floret_show::count;
use maud::{Markup, html};
use serde::Deserialize;

use super::graph::{Graph, Node};
use super::layout::{self, Section};
use super::{Console, at};
use crate::given::{Named, Parameters, limit};
use crate::problem::Problem;

/// Nodes unless more are asked for, and at most.
const NODES: usize = 60;
const NODES_MAX: usize = 1_000;

/// Resources around one, the nearest first; components and bindings are left out, since they are behind everything.
pub(super) struct Lineage {
    /// The first is the one in the middle.
    versions: Vec<Arc<Version>>,
    /// How many neighbours there is no room for: more may be behind them.
    pub more: u64,
}

impl Lineage {
    /// The nearest `nodes_max` resources, by the number of steps.
    ///
    /// # Errors
    /// A resource that is not there; a store that fails.
    pub async fn of(host: &Floret, key: &ResourceKey, nodes_max: usize) -> Result<Self, Error> {
        // Says so, where it is not there or has outlived its time.
        host.resolve(key, &Selector::Latest).await?;
        let catalog = host.catalog();
        let mut versions: Vec<Arc<Version>> = Vec::new();
        let mut places: HashMap<ResourceKey, usize> = HashMap::new();
        let mut ring = vec![key.clone()];
        let mut more = 0;
        while !ring.is_empty() {
            let heads: Vec<Arc<Version>> = catalog.heads(&ring).await?.into_iter().flatten().collect();
            let below = catalog.dependents(&ring).await?;
            let mut next = Vec::new();
            for head in heads {
                next.extend(head.dependencies.iter().map(|dependency| dependency.on.key.clone()));
                places.insert(head.key.clone(), versions.len());
                versions.push(head);
            }
            next.extend(below.into_iter().flatten());
            next.sort();
            next.dedup();
            next.retain(|key| !places.contains_key(key) && !is_behind_everything(key));
            let room = nodes_max.saturating_sub(versions.len());
            more = next.len().saturating_sub(room) as u64;
            next.truncate(room);
            ring = next;
        }
        Ok(Self { versions, more })
    }

    /// Whether nothing is around it.
    pub fn is_alone(&self) -> bool {
        self.versions.len() == 1
    }

    /// The resources with what leads to what.
    pub fn graph(&self) -> Graph {
        let places: HashMap<&ResourceKey, usize> =
            self.versions.iter().enumerate().map(|(place, version)| (&version.key, place)).collect();
        let nodes = self.versions.iter().enumerate().map(|(place, version)| Node {
            name: version.key.to_string(),
            about: format!("{} · {}", version.version, built_by(version)),
            href: at(&version.key),
            class: if place == 0 { "here" } else { "" },
        });
        let mut edges: Vec<(usize, usize)> = Vec::new();
        for (to, version) in self.versions.iter().enumerate() {
            let from = version.dependencies.iter().filter_map(|dependency| places.get(&dependency.on.key));
            edges.extend(from.map(|from| (*from, to)));
        }
        edges.sort_unstable();
        edges.dedup();
        Graph { nodes: nodes.collect(), edges }
    }
}

fn is_behind_everything(key: &ResourceKey) -> bool {
    key.namespace == floret_model::Namespace::plugins()
}

fn built_by(version: &Version) -> String {
    match (&version.build, version.spec.is_some()) {
        (Some(build), _) => build.component.as_ref().map_or_else(
            || "by the host".to_owned(),
            |component| component.plugin.key.resource_id.to_string(),
        ),
        (None, true) => "built".to_owned(),
        (None, false) => "saved".to_owned(),
    }
}

/// A picture takes its time: no other request waits for it.
pub(super) async fn drawn(graph: Graph, title: String) -> Result<Markup, Problem> {
    tokio::task::spawn_blocking(move || graph.draw(&title)).await.map_err(|_| Problem::unexpected())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    nodes: Option<usize>,
}

pub(super) async fn page(
    State(host): State<Arc<Floret>>,
    State(console): State<Arc<Console>>,
    Named(key): Named,
    Parameters(asked): Parameters<Asked>,
) -> Result<Response, Problem> {
    let nodes_max = limit(asked.nodes.unwrap_or(NODES), NODES_MAX)?;
    let lineage = Lineage::of(&host, &key, nodes_max).await?;
    let shown = lineage.versions.len() as u64;
    let picture = drawn(lineage.graph(), format!("Lineage of {key}")).await?;
    let wider = (nodes_max * 4).min(NODES_MAX);
    let body = html! {
        p { "What stands to the left of something is what it is made from. " a href=(at(&key)) { "Back to the resource" } }
        p class="faint" {
            (count(shown)) " resources, the nearest ones."
            @if lineage.more > 0 {
                " At least " (count(lineage.more)) " more are around them."
                @if wider > nodes_max { " " a href={ "?nodes=" (wider) } { "Show up to " (count(wider as u64)) } }
            }
        }
        div class="graph" tabindex="0" role="region" aria-label="Lineage" { (picture) }
    };
    Ok(layout::page(&console, Section::Resources, &format!("Lineage of {key}"), body))
}
