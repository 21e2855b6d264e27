//! Jobs: cascades as graphs and time lines, live while they run, and whatever else takes long.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use floret_model::{Fate, Plan, PlannedStep, ResourceKey, StepReason, StepReport};
use floret_pipeline::{Floret, LogLine, PolicyComparison};
use floret_show::{bytes, count, milliseconds, svg};
use maud::{Markup, html};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::charts::{self, Stretch};
use super::graph::{Graph, Node};
use super::layout::{self, Section, badge, empty, moment, notice, scroll};
use super::{Console, at, cleanup, policies, see};
use crate::given::{Named, Parameters};
use crate::jobs::{JobDocument, Jobs, Kind, Told};
use crate::problem::Problem;
use crate::versions::Nothing;

/// Steps of the graph: of more, the first.
const DRAWN_MAX: usize = 1_000;
/// Steps of the time line: of more, the longest.
const STRETCHES_MAX: usize = 40;

pub(super) async fn list(
    State(console): State<Arc<Console>>,
    State(jobs): State<Arc<Jobs>>,
    _: Parameters<Nothing>,
) -> Response {
    let body = html! {
        p class="faint" { "Cascades, builds and other long work since this host began, the newest first." }
        div data-live data-every="3" { (table(&jobs.documents(), usize::MAX)) }
    };
    layout::page(&console, Section::Work, "Work", body)
}

/// Jobs, the newest first.
pub(super) fn table(documents: &[JobDocument], rows_max: usize) -> Markup {
    let documents: Vec<Value> = documents.iter().take(rows_max).map(|job| json!(job)).collect();
    if documents.is_empty() {
        return empty("Nothing is at work, and nothing was since this host began.");
    }
    scroll(
        "Jobs",
        html! {
            table {
                thead { tr { th { "job" } th { "of" } th { "state" } th { "began" } th class="number" { "steps" } } }
                tbody {
                    @for job in &documents {
                        tr {
                            td { a href={ "/console/jobs/" (text(job, "id")) } { (text(job, "kind")) } }
                            td class="wide" { (text(job, "subject")) }
                            td { (state(text(job, "state"))) }
                            td { (moment(text(job, "started_at"))) }
                            td class="number" { (steps(job)) }
                        }
                    }
                }
            }
        },
    )
}

fn text<'a>(job: &'a Value, member: &str) -> &'a str {
    job[member].as_str().unwrap_or_default()
}

fn steps(job: &Value) -> String {
    match (job["steps_done"].as_u64(), job["steps_planned"].as_u64()) {
        (Some(done), Some(planned)) => format!("{} of {}", count(done), count(planned)),
        _ => "–".to_owned(),
    }
}

fn state(word: &str) -> Markup {
    let class = match word {
        "running" => "run",
        "done" => "good",
        "cancelled" => "warn",
        _ => "bad",
    };
    badge(class, word)
}

/// A stretch of time, or a dash where there was nothing to do.
pub(super) fn duration(ms: f64) -> String {
    if ms > 0.0 { milliseconds(ms) } else { "–".to_owned() }
}

/// What became of a step.
pub(super) fn fate(fate: &Fate) -> Markup {
    match fate {
        Fate::Built { changed: true } => badge("good", "built"),
        Fate::Built { changed: false } => badge("", "built, unchanged"),
        Fate::MemoHit { .. } => badge("", "remembered"),
        Fate::CutOff => badge("", "cut off"),
        Fate::Failed { error } => html! { (badge("bad", "failed")) " " (error) },
        Fate::Skipped { reason } => html! { (badge("warn", "skipped")) " " (reason) },
    }
}

/// Why a step was looked at.
pub(super) fn reason(reason: &StepReason) -> Markup {
    match reason {
        StepReason::Requested => html! { "asked for" },
        StepReason::InputChanged { inputs } => html! {
            "changed: "
            @for (place, input) in inputs.iter().take(5).enumerate() { @if place > 0 { ", " } a href=(at(input)) { (input) } }
            @if inputs.len() > 5 { " and " (inputs.len() - 5) " more" }
        },
    }
}

/// A step as far as it is known.
struct Step {
    planned: PlannedStep,
    began_ms: Option<u64>,
    report: Option<StepReport>,
    logs: Vec<LogLine>,
}

impl Step {
    fn class(&self) -> &'static str {
        match (&self.report, self.began_ms) {
            (Some(report), _) => match report.fate {
                Fate::Built { changed: true } => "good",
                Fate::Failed { .. } => "bad",
                Fate::Skipped { .. } => "warn",
                _ => "",
            },
            (None, Some(_)) => "run",
            (None, None) => "",
        }
    }

    fn about(&self) -> String {
        match (&self.report, self.began_ms) {
            (Some(report), _) => {
                format!("{} · {}", report.fate.name().replace('_', " "), milliseconds(report.elapsed_ms))
            }
            (None, Some(_)) => "running".to_owned(),
            (None, None) => "waiting".to_owned(),
        }
    }

    fn stretch(&self) -> Option<Stretch> {
        let report = self.report.as_ref()?;
        let phases = &report.phases;
        let known = [
            ("load", phases.load_ms),
            ("compile", phases.compile_ms),
            ("build", phases.build_ms),
            ("store", phases.store_ms),
        ];
        let rest = report.elapsed_ms - known.iter().map(|phase| phase.1).sum::<f64>();
        Some(Stretch {
            name: self.planned.key.to_string(),
            began_ms: self.began_ms? as f64,
            parts: known.into_iter().chain([("rest", rest.max(0.0))]).filter(|part| part.1 > 0.0).collect(),
        })
    }
}

fn read<T: DeserializeOwned>(told: &Told) -> Option<T> {
    T::deserialize(&*told.data).ok()
}

/// The steps of a job, put together from what it told.
fn steps_of(events: &[Told]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut places: HashMap<ResourceKey, usize> = HashMap::new();
    let key_of = |told: &Told| ResourceKey::deserialize(&told.data["key"]).ok();
    for told in events {
        match told.name {
            "planned" => {
                let plan: Plan = read(told).unwrap_or_default();
                for planned in plan.steps {
                    places.insert(planned.key.clone(), steps.len());
                    steps.push(Step { planned, began_ms: None, report: None, logs: Vec::new() });
                }
            }
            "step_started" | "step_finished" | "logged" => {
                let Some(step) =
                    key_of(told).and_then(|key| places.get(&key)).map(|place| &mut steps[*place])
                else {
                    continue;
                };
                match told.name {
                    "step_started" => step.began_ms = Some(told.at_ms),
                    "step_finished" => step.report = read(told),
                    _ => step.logs.extend(read(told)),
                }
            }
            _ => {}
        }
    }
    steps
}

pub(super) async fn page(
    State(console): State<Arc<Console>>,
    State(jobs): State<Arc<Jobs>>,
    Path(id): Path<String>,
    _: Parameters<Nothing>,
) -> Result<Response, Problem> {
    let (job, events) = jobs.told(&id)?;
    // Thousands of steps take their time: no other request waits for them.
    let written = tokio::task::spawn_blocking(move || {
        let job = json!(job);
        (title(text(&job, "kind")), body(&id, &job, &steps_of(&events)))
    });
    let (title, body) = written.await.map_err(|_| Problem::unexpected())?;
    Ok(layout::page(&console, Section::Work, &title, body))
}

fn title(kind: &str) -> String {
    let mut letters = kind.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn body(id: &str, job: &Value, steps: &[Step]) -> Markup {
    let is_running = job["state"] == "running";
    let events_at = is_running.then(|| format!("/v1/jobs/{id}/events"));
    html! {
        div data-live data-events=[events_at] {
            p { (state(text(job, "state"))) " " span class="faint" { "of " (text(job, "subject")) ", began " (moment(text(job, "started_at")))
                @if let Some(ended) = job["ended_at"].as_str() { ", ended " (moment(ended)) } } }
            @if let Some(detail) = job["problem"]["detail"].as_str() { (notice("bad", html! { (detail) })) }
            @if is_running { form method="post" { button class="danger" { "Cancel" } } }
            @if !steps.is_empty() {
                (tiles(steps))
                section aria-labelledby="graph" {
                    h2 id="graph" { "Graph" }
                    div class="graph" tabindex="0" role="region" aria-label="Steps" { (graph(steps).draw("Steps")) }
                    @if steps.len() > DRAWN_MAX { p class="small faint" { "The first " (DRAWN_MAX) " of " (count(steps.len() as u64)) " steps." } }
                }
                (time_line(steps))
                section aria-labelledby="steps" { h2 id="steps" { "Steps" } (rows(steps)) }
            } @else if is_running { (empty("It is under way, and tells more when it has planned its steps.")) }
            (result(job))
        }
    }
}

fn tiles(steps: &[Step]) -> Markup {
    let having = |class: &str| {
        count(steps.iter().filter(|step| step.report.is_some() && step.class() == class).count() as u64)
    };
    let remembered = steps
        .iter()
        .filter_map(|step| step.report.as_ref())
        .filter(|report| matches!(report.fate, Fate::MemoHit { .. }))
        .count();
    let cut_off = steps
        .iter()
        .filter_map(|step| step.report.as_ref())
        .filter(|report| report.fate == Fate::CutOff)
        .count();
    let done = steps.iter().filter(|step| step.report.is_some()).count();
    html! {
        div class="tiles" {
            (layout::tile(&format!("{} of {}", count(done as u64), count(steps.len() as u64)), "steps done"))
            (layout::tile(&having("good"), "built and changed"))
            (layout::tile(&count(remembered as u64), "remembered"))
            (layout::tile(&count(cut_off as u64), "cut off"))
            (layout::tile(&having("bad"), "failed"))
        }
    }
}

fn graph(steps: &[Step]) -> Graph {
    let drawn = &steps[..steps.len().min(DRAWN_MAX)];
    let nodes = drawn.iter().map(|step| Node {
        name: step.planned.key.to_string(),
        about: step.about(),
        href: at(&step.planned.key),
        class: step.class(),
    });
    let edges = drawn
        .iter()
        .enumerate()
        .flat_map(|(to, step)| step.planned.after.iter().map(move |from| (*from, to)));
    Graph { nodes: nodes.collect(), edges: edges.filter(|(from, _)| *from < drawn.len()).collect() }
}

fn time_line(steps: &[Step]) -> Markup {
    let mut stretches: Vec<Stretch> = steps.iter().filter_map(Step::stretch).collect();
    let all = stretches.len();
    stretches.sort_by(|a, b| b.length_ms().total_cmp(&a.length_ms()));
    stretches.truncate(STRETCHES_MAX);
    stretches.sort_by(|a, b| a.began_ms.total_cmp(&b.began_ms));
    html! {
        @if !stretches.is_empty() {
            section aria-labelledby="time" {
                h2 id="time" { "Time line" }
                p class="small" { @for phase in ["load", "compile", "build", "store"] { span class={ "key " (phase) } {} (phase) "  " } }
                div class="scroll" tabindex="0" role="region" aria-label="Time line" { (charts::schedule("Steps over time", &stretches)) }
                @if all > stretches.len() { p class="small faint" { "The longest " (stretches.len()) " of " (count(all as u64)) "." } }
            }
        }
    }
}

fn rows(steps: &[Step]) -> Markup {
    scroll(
        "Steps",
        html! {
            table {
                thead { tr {
                    th { "resource" } th { "outcome" } th { "why" } th class="number" { "load" } th class="number" { "compile" }
                    th class="number" { "build" } th class="number" { "store" } th class="number" { "all" } th class="number" { "output" }
                } }
                tbody {
                    @for (place, step) in steps.iter().enumerate() {
                        tr {
                            td class="wide" {
                                a href=(at(&step.planned.key)) { (step.planned.key) }
                                @if !step.logs.is_empty() {
                                    details id={ "log-" (place) } {
                                        summary { "Log of " (step.logs[0].component) " (" (step.logs.len()) ")" }
                                        pre tabindex="0" { @for line in &step.logs { (format!("{:?}", line.level).to_lowercase()) " " (line.stage) ": " (line.text) "\n" } }
                                    }
                                }
                            }
                            td { @match &step.report { Some(report) => (fate(&report.fate)), None => span class="faint" { (step.about()) } } }
                            td { (reason(&step.planned.reason)) }
                            @if let Some(report) = &step.report {
                                @for phase in [report.phases.load_ms, report.phases.compile_ms, report.phases.build_ms, report.phases.store_ms, report.elapsed_ms] {
                                    td class="number" { (duration(phase)) }
                                }
                                td class="number" { (bytes(report.output_bytes)) }
                            } @else { @for _ in 0..6 { td class="number" { "–" } } }
                        }
                    }
                }
            }
        },
    )
}

/// What came of other work: the picture of a comparison, what a cleanup did, or the document as it is.
fn result(job: &Value) -> Markup {
    let Some(result) = job.get("result").filter(|_| job["steps_planned"].is_null()) else { return html! {} };
    match text(job, "kind") {
        "comparison" => policies::shown(text(job, "id"), result),
        "cleanup" => cleanup::shown(result),
        _ => {
            html! { h2 { "Result" } pre tabindex="0" { (serde_json::to_string_pretty(result).unwrap_or_default()) } }
        }
    }
}

/// The picture of a comparison that has ended.
pub(super) async fn picture(
    State(jobs): State<Arc<Jobs>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let (job, _) = jobs.told(&id)?;
    let comparison: PolicyComparison = serde_json::from_value(job.result.unwrap_or_default())
        .map_err(|_| Problem::not_found(format!("the job {id} compared no policies, or has not ended")))?;
    Ok(([(CONTENT_TYPE, "image/svg+xml")], svg(&comparison)).into_response())
}

/// Rebuild what depends on a resource.
pub(super) async fn cascade(
    State(host): State<Arc<Floret>>,
    State(jobs): State<Arc<Jobs>>,
    Named(key): Named,
) -> Result<Response, Problem> {
    begin_cascade(host, &jobs, key)
}

/// Have a cascade begin, and look at it.
pub(super) fn begin_cascade(host: Arc<Floret>, jobs: &Jobs, root: ResourceKey) -> Result<Response, Problem> {
    let about = root.to_string();
    let work = |progress| async move { Ok(host.cascade(&[root], &progress).await?) };
    let id = jobs.start(Kind::Cascade, about, work)?;
    Ok(see(&format!("/console/jobs/{id}")))
}

pub(super) async fn cancel(
    State(jobs): State<Arc<Jobs>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    jobs.cancel(&id)?;
    Ok(see(&format!("/console/jobs/{id}")))
}
