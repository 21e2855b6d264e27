//! One question, asked in every way beside each other.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::response::Response;
use floret_model::{ResourceKey, ResourceType};
use floret_pipeline::{Error, Floret, ListQuery, SearchAnswer, SearchMode};
use floret_show::{count, milliseconds};
use futures::future::join_all;
use maud::{Markup, html};
use serde::Deserialize;

use super::Console;
use super::layout::{self, Section, empty, notice};
use crate::given::Parameters;
use crate::problem::Problem;

const HITS: u32 = 15;
/// Indexes of each type that are offered.
const INDEXES_MAX: usize = 100;
const MODES: [SearchMode; 5] =
    [SearchMode::Exact, SearchMode::Prefix, SearchMode::Fuzzy, SearchMode::Semantic, SearchMode::Any];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    #[serde(default)]
    index: String,
    #[serde(default)]
    text: String,
}

/// What came of asking in one way, and how long it took.
struct Asked {
    mode: SearchMode,
    answer: Result<SearchAnswer, Error>,
    elapsed_ms: f64,
}

pub(super) async fn page(
    State(host): State<Arc<Floret>>,
    State(console): State<Arc<Console>>,
    Parameters(question): Parameters<Question>,
) -> Result<Response, Problem> {
    let indexes = indexes(&host).await?;
    let is_asked = !question.index.is_empty() && !question.text.is_empty();
    let asked = match is_asked {
        true => ask(&host, &question.index.parse()?, &question.text).await,
        false => Vec::new(),
    };
    let body = html! {
        form class="line" role="search" {
            label { "Index"
                input name="index" list="indexes" value=[(!question.index.is_empty()).then_some(&question.index).or(indexes.first())] required size="28";
            }
            datalist id="indexes" { @for index in &indexes { option value=(index) {} } }
            label { "Text" input type="search" name="text" value=(question.text) required autofocus size="24"; }
            button class="main" { "Search" }
        }
        @if indexes.is_empty() { (notice("", html! { "There is no index yet: " code { "floret build trie/NAME corpus/NAME" } " makes one." })) }
        @if asked.is_empty() { (empty("Exact, by prefix, fuzzily, semantically and in any way: all are asked at once.")) }
        @else { div class="columns" { @for asked in &asked { (column(asked)) } } }
    };
    Ok(layout::page(&console, Section::Search, "Search", body))
}

/// Indexes that can be asked, composite ones first.
async fn indexes(host: &Floret) -> Result<Vec<String>, Problem> {
    let mut names = Vec::new();
    for resource_type in [ResourceType::search(), ResourceType::trie(), ResourceType::semantic()] {
        let query =
            ListQuery { resource_type: Some(resource_type), limit: INDEXES_MAX, ..ListQuery::default() };
        names.extend(host.list(&query).await?.iter().map(|version| version.key.to_string()));
    }
    Ok(names)
}

async fn ask(host: &Floret, index: &ResourceKey, text: &str) -> Vec<Asked> {
    join_all(MODES.map(async |mode| {
        let began = Instant::now();
        let answer = match mode.queries(text, None) {
            Ok(queries) => host.search_any(index, &queries, HITS).await,
            Err(error) => Err(error),
        };
        Asked { mode, answer, elapsed_ms: began.elapsed().as_secs_f64() * 1e3 }
    }))
    .await
}

fn column(asked: &Asked) -> Markup {
    let name = asked.mode.to_string();
    html! {
        section class="panel" aria-labelledby=(name) {
            h2 id=(name) { (name) }
            @match &asked.answer {
                Err(error) => p class="faint" { (error) },
                Ok(answer) => {
                    p class="small faint" { (milliseconds(asked.elapsed_ms)) " · " (answer.parts.join(", ")) }
                    @if answer.hits.is_empty() { (empty("No word is like that.")) }
                    @else {
                        table {
                            thead { tr { th { "word" } th class="number" { "count" } th class="number" { "score" } } }
                            tbody {
                                @for hit in &answer.hits {
                                    tr {
                                        td class="wide" { (hit.word) @if let Some(distance) = hit.distance.filter(|distance| *distance > 0) { span class="faint small" { " ±" (distance) } } }
                                        td class="number" { (count(hit.frequency)) }
                                        td class="number" { (format!("{:.3}", hit.score)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
