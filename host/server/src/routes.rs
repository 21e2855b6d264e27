//! All routes, each declared once: the router and the OpenAPI document are made of this table. A route is a row in its
//! group: method, path, scope and handler, then what the operation takes and answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, CONTENT_SECURITY_POLICY, ETAG, IF_MATCH, IF_NONE_MATCH,
    IF_RANGE, RANGE,
};
use floret_model::{CascadeReport, Plan, Version};
use floret_pipeline::{
    Binding, BindingDocument, Breaker, CacheStats, CleanupReport, CorpusTree, Inspected, Overview,
    PolicyComparison, Quarantine, SearchAnswer, Uncached, VersionDocument, VersionEntry, Warmed, Why,
};
use serde_json::Value;

use crate::access::Scope;
use crate::gate::Gate;
use crate::jobs::{self, JobDocument, LAST_EVENT_ID};
use crate::openapi::{self, Content, Route, delete, get, post, put};
use crate::options::{self, OPTIONS};
use crate::state::AppState;
use crate::swaps::{self, SIGNATURE};
use crate::versions::{self, FLORET_SEQ, FLORET_VERSION};
use crate::{
    batches, builds, cascades, events, health, meters, plugins, policies, problem, records, search, upkeep,
};

/// Nobody is asked for a token, nor refused because much else is asked at once.
const OPEN: Option<Scope> = None;
const READ: Option<Scope> = Some(Scope::Read);
const WRITE: Option<Scope> = Some(Scope::Write);
const PLUGINS: Option<Scope> = Some(Scope::Plugins);
const ADMIN: Option<Scope> = Some(Scope::Admin);

/// Groups of operations, and what they are about.
pub(crate) const TAGS: [(&str, &str); 7] = [
    ("versions", "Contents, saved and read, and all that is known of them."),
    ("search", "Asking indexes, and looking for resources."),
    ("builds", "What is made from other resources, and what follows from a change."),
    ("jobs", "Long work, followed and cancelled."),
    ("plugins", "Components and bindings, swapped while the host works."),
    ("upkeep", "Cache and store."),
    ("server", "The server itself."),
];

/// Every route.
pub(crate) fn routes() -> Vec<Route> {
    let [versions, search, builds, jobs, plugins, upkeep, server] = TAGS.map(|(name, _)| name);
    let groups = [
        (versions, saved()),
        (versions, recorded()),
        (search, searched()),
        (builds, built()),
        (jobs, followed()),
        (plugins, plugged()),
        (plugins, bound()),
        (upkeep, kept_up()),
        (server, served()),
    ];
    groups.into_iter().flat_map(|(tag, routes)| routes.into_iter().map(|route| route.tagged(tag))).collect()
}

/// The router of all of them.
pub(crate) fn router(gate: &Arc<Gate>) -> Router<AppState> {
    routes().into_iter().fold(Router::new(), |router, route| {
        router.route(route.path, gate.guarding(route.scope, route.is_counted, route.handler))
    })
}

fn saved() -> Vec<Route> {
    const ETAG_TOLD: &str = "Its digest, in quotes.";
    const SANDBOXED: &str = "No browser runs a content as a page of this host.";
    vec![
        get("/v1/{namespace}/{type}/{id}", READ, versions::get)
            .named("get_content", "Read the bytes of a version")
            .query::<versions::Which>()
            .reads(IF_NONE_MATCH, "Etags that the reader has already, or `*`.")
            .reads(RANGE, "`bytes=FIRST-LAST`, `bytes=FIRST-` or `bytes=-LENGTH`: a part of the bytes.")
            .reads(IF_RANGE, "The etag of which a part is wanted; of another content the whole is answered.")
            .answers_with(200, "The bytes, `content-type` as it was saved.", Content::Bytes)
            .with(ETAG, ETAG_TOLD)
            .with(FLORET_SEQ, "Its place in the log.")
            .with(FLORET_VERSION, "Its semantic version.")
            .with(CACHE_CONTROL, "`no-cache`: ask again, with the etag.")
            .with(ACCEPT_RANGES, "`bytes`.")
            .with(CONTENT_SECURITY_POLICY, SANDBOXED)
            .answers_with(206, "The part that `range` asks for.", Content::Bytes)
            .with(ETAG, ETAG_TOLD)
            .with(CONTENT_RANGE, "Which part of how many bytes.")
            .with(CONTENT_SECURITY_POLICY, SANDBOXED)
            .answers_with(304, "The reader has it already.", Content::Nothing)
            .with(ETAG, ETAG_TOLD)
            .fails(&[404, 410, 416]),
        put("/v1/{namespace}/{type}/{id}", WRITE, versions::put)
            .named("save_content", "Save the body as a new version")
            .about("A text must be UTF-8, a dictionary entry JSON; `content-type` is kept as the media type.")
            .takes_bytes("*/*", "The content, at most 4 GiB.")
            .reads(IF_MATCH, "What the latest version must be: its seq or its etag, in quotes.")
            .reads(IF_NONE_MATCH, "`*`: there must be no version.")
            .reads_json::<options::Line>(OPTIONS, "What is known of the content: a percent-encoded JSON object.")
            .answers::<versions::SavedContent>(200, "The latest version, which says the same.")
            .with(ETAG, ETAG_TOLD)
            .answers::<versions::SavedContent>(201, "The new version.")
            .with(ETAG, ETAG_TOLD)
            .fails(&[404, 409, 410, 412, 422]),
        post("/v1/batches", WRITE, batches::save)
            .named("save_batch", "Save many contents, all of them or none")
            .about("Each line is a JSON object as of `floret save --batch`: `key`, one of `text` and `json`, and if wanted `media_type`, `if_latest` and the members of SaveOptionsRequest but `parent`.")
            .takes_bytes("application/x-ndjson", "The lines, at most 64 MiB.")
            .answers::<batches::SavedBatch>(200, "What was saved, in the order of the lines.")
            .fails(&[404, 409, 422]),
    ]
}

fn recorded() -> Vec<Route> {
    vec![
        get("/v1/{namespace}/{type}/{id}/log", READ, versions::log)
            .named("get_log", "List versions of a resource, newest first")
            .query::<versions::Page>()
            .answers::<Vec<VersionEntry>>(200, "The versions.")
            .fails(&[404]),
        get("/v1/{namespace}/{type}/{id}/document", READ, versions::about)
            .named("get_document", "Read all that is known of a version beside its bytes")
            .query::<versions::Which>()
            .answers::<VersionDocument>(200, "The document.")
            .fails(&[404, 410]),
        get("/v1/{namespace}/{type}/{id}/record", READ, records::one)
            .named("get_record", "Read the record of a version, as the host keeps it")
            .query::<versions::Which>()
            .answers::<Version>(200, "The record, without bytes.")
            .fails(&[404, 410]),
        get("/v1/{namespace}/{type}/{id}/records", READ, records::log)
            .named("get_records", "List records of a resource's versions, newest first")
            .query::<records::Page>()
            .answers::<Vec<Version>>(200, "The records, without bytes.")
            .fails(&[404]),
        get("/v1/records", READ, records::list)
            .named("list_records", "List records of latest versions, sorted by key")
            .query::<search::Listing>()
            .answers::<Vec<Version>>(200, "The records, without bytes."),
    ]
}

fn searched() -> Vec<Route> {
    vec![
        get("/v1/resources", READ, search::list)
            .named("list_resources", "List latest versions, sorted by key")
            .query::<search::Listing>()
            .answers::<search::Listed>(200, "A page of them."),
        get("/v1/search", READ, search::search)
            .named("search", "Ask an index")
            .query::<search::Question>()
            .answers::<SearchAnswer>(200, "The best answers, best first.")
            .fails(&[404, 409, 410, 422]),
        get("/v1/{namespace}/{type}/{id}/why", READ, search::why)
            .named("get_why", "Say why a resource is as it is")
            .about("What built it, from what, and which of its inputs are newer by now.")
            .answers::<Why>(200, "The reasons.")
            .fails(&[404, 410]),
        get("/v1/{namespace}/{type}/{id}/tree", READ, builds::tree)
            .named("get_tree", "Show a corpus with its children, down to its texts")
            .query::<builds::AsOf>()
            .answers::<CorpusTree>(200, "The tree.")
            .fails(&[404, 410]),
    ]
}

fn built() -> Vec<Route> {
    vec![
        post("/v1/plans", READ, cascades::plan)
            .named("plan", "See what a cascade would do")
            .takes::<cascades::Roots>()
            .answers::<Plan>(200, "The steps.")
            .fails(&[404]),
        post("/v1/cascades", WRITE, cascades::cascade)
            .named("cascade", "Rebuild whatever depends on these, and really changed")
            .about("A client that waits and goes away stops it: nothing of it is visible then, and what was built is remembered.")
            .takes::<cascades::Roots>()
            .runs::<CascadeReport>("What was done."),
        post("/v1/builds", WRITE, builds::build)
            .named("build", "Build a resource, and whatever depends on it")
            .about("Without inputs and parts it is built from what its latest version was built from.")
            .takes::<builds::Asked>()
            .runs::<CascadeReport>("What was done."),
        post("/v1/corpora", WRITE, builds::create)
            .named("create_corpus", "Create a corpus, and build whatever depends on it")
            .takes::<builds::Created>()
            .runs::<CascadeReport>("What was done."),
        post("/v1/corpora/add", WRITE, builds::add)
            .named("add_to_corpus", "Add to a corpus, and build whatever depends on it")
            .takes::<builds::Added>()
            .runs::<CascadeReport>("What was done."),
    ]
}

fn followed() -> Vec<Route> {
    vec![
        get("/v1/jobs", READ, jobs::list)
            .named("list_jobs", "List the jobs of this host, newest first")
            .answers::<Vec<JobDocument>>(200, "The jobs, without their results."),
        get("/v1/jobs/{job}", READ, jobs::one)
            .named("get_job", "Look at a job")
            .answers::<JobDocument>(200, "The job, with its result or its problem when it has ended.")
            .fails(&[404]),
        delete("/v1/jobs/{job}", WRITE, jobs::cancel)
            .named("cancel_job", "Have a job end soon")
            .answers::<JobDocument>(202, "The job; one that has ended stays as it is.")
            .fails(&[404]),
        get("/v1/jobs/{job}/events", READ, jobs::events)
            .named("follow_job", "Follow what a job tells, until it has ended")
            .about("Server-sent events: `planned` (a plan), `step_started` (`{\"key\"}`), `logged` (a line of a component), `step_finished` (a step), `published`, `ended` (the job), and `missed` (`{\"count\"}`) where older ones are not kept.")
            .reads(LAST_EVENT_ID, "Only the events behind this one.")
            .answers_with(200, "The events.", Content::Events)
            .with(CACHE_CONTROL, "`no-cache`.")
            .fails(&[404]),
        get("/v1/events", READ, events::follow)
            .named("follow_publications", "Follow what is published, for 10 minutes at a time")
            .about("Server-sent events: `published` (`{\"id\", \"at\", \"is_own\", \"versions\", \"more\"}`), of this host at once and of others when it hears of them, and `missed` (`{\"count\"}`, or null) where older ones are not kept.")
            .reads(LAST_EVENT_ID, "Only what was published behind this.")
            .answers_with(200, "The events.", Content::Events)
            .with(CACHE_CONTROL, "`no-cache`."),
    ]
}

fn plugged() -> Vec<Route> {
    const SIGNED: &str =
        "All lines of its minisign signature, percent-encoded; needed where keys are trusted.";
    vec![
        get("/v1/plugins", READ, plugins::list)
            .named("list_plugins", "List the components that are installed, by name")
            .answers::<Vec<VersionEntry>>(200, "Their latest versions."),
        get("/v1/plugins/{name}", READ, plugins::inspect)
            .named("inspect_plugin", "See what an installed component needs and offers, and who uses it")
            .answers::<plugins::Installed>(200, "What was found in it.")
            .fails(&[404, 409, 410, 422]),
        post("/v1/inspections", PLUGINS, plugins::inspect_given)
            .named("inspect_component", "See what a component needs and offers, without installing it")
            .takes_bytes("application/wasm", "The component.")
            .answers::<Inspected>(200, "What was found in it.")
            .fails(&[404, 409, 422]),
        post("/v1/plugins", PLUGINS, swaps::install)
            .named("install_plugin", "Install a component under the name that it gives itself")
            .query::<swaps::Installing>()
            .takes_bytes("application/wasm", "The component.")
            .reads(SIGNATURE, SIGNED)
            .swaps(),
        put("/v1/plugins/{name}", PLUGINS, swaps::install_as)
            .named("install_plugin_as", "Install a component under a name")
            .query::<swaps::Installing>()
            .takes_bytes("application/wasm", "The component.")
            .reads(SIGNATURE, SIGNED)
            .swaps(),
        delete("/v1/plugins/{name}", PLUGINS, swaps::remove)
            .named("remove_plugin", "Remove a component; refused while it is bound or needed")
            .answers::<swaps::Swapped>(200, "The version that says that it is gone.")
            .fails(&[404, 409, 422]),
        post("/v1/rollbacks", PLUGINS, swaps::go_back)
            .named("roll_back", "Save an older version of a component or of a binding as the newest")
            .takes::<swaps::GoingBack>()
            .swaps()
            .fails(&[410]),
    ]
}

fn bound() -> Vec<Route> {
    vec![
        get("/v1/bindings", READ, plugins::bindings)
            .named("list_bindings", "Show what is bound, by type")
            .answers::<BTreeMap<String, BindingDocument>>(200, "The bindings."),
        put("/v1/bindings/{type}", PLUGINS, swaps::bind)
            .named("bind", "Bind a component")
            .about("Calls under way end on the one before.")
            .query::<swaps::Doing>()
            .takes::<Binding>()
            .swaps(),
        delete("/v1/bindings/{type}", PLUGINS, swaps::unbind)
            .named("unbind", "Take a binding away; refused while something could not be rebuilt without it")
            .answers::<swaps::Swapped>(200, "The version that says that it is gone.")
            .fails(&[404, 409, 422]),
        get("/v1/breakers", READ, plugins::breakers)
            .named("list_breakers", "Show which components are not asked, as they broke several times on end")
            .answers::<BTreeMap<String, Breaker>>(200, "The breakers that are open, by what is bound."),
        delete("/v1/breakers/{type}", PLUGINS, plugins::reset)
            .named("reset_breaker", "Have a component asked again")
            .answers::<plugins::Closed>(200, "The breaker is closed.")
            .fails(&[404, 409]),
        get("/v1/quarantines", READ, plugins::quarantines)
            .named(
                "list_quarantines",
                "Show which components are not used, as what they made could not be made again",
            )
            .query::<plugins::WhichQuarantines>()
            .answers::<Vec<Quarantine>>(200, "The quarantines."),
        delete("/v1/quarantines/{component}", PLUGINS, plugins::release)
            .named("release", "Let a component in quarantine be used again")
            .answers::<Vec<Quarantine>>(200, "What was lifted.")
            .fails(&[404, 409]),
        post("/v1/policies/comparisons", PLUGINS, policies::compare)
            .named("compare_policies", "Let two compression policies decide anew about the latest decisions")
            .about("What contents would take under each is measured; nothing is changed.")
            .takes::<policies::Comparison>()
            .runs::<PolicyComparison>("The figures of both."),
    ]
}

fn kept_up() -> Vec<Route> {
    vec![
        get("/v1/overview", READ, upkeep::overview)
            .named("get_overview", "See what the home holds, and what the cache does")
            .answers::<Overview>(200, "The figures; those of the home are counted now and then."),
        get("/v1/cache", READ, upkeep::cache)
            .named("get_cache", "See what the cache holds, and how often it hits")
            .answers::<CacheStats>(200, "Its figures since the host began."),
        post("/v1/cache/warmings", ADMIN, upkeep::warm)
            .named("warm_cache", "Fill the cache with what was asked for most")
            .takes::<upkeep::Warming>()
            .runs::<Warmed>("What was done."),
        post("/v1/cache/invalidations", ADMIN, upkeep::invalidate)
            .named("invalidate_cache", "Drop cached copies")
            .about("Exactly one of the members is given.")
            .takes::<upkeep::Invalidation>()
            .answers::<Uncached>(200, "How many were dropped."),
        post("/v1/cleanups", ADMIN, upkeep::clean_up)
            .named("clean_up", "Drop versions that are not kept, and free their storage")
            .takes::<upkeep::Cleanup>()
            .runs::<CleanupReport>("What was dropped, or would be."),
        post("/v1/verifications", ADMIN, upkeep::verify)
            .named("verify", "Check every invariant of the store")
            .about("That something is wrong is an answer, not a failure.")
            .takes::<upkeep::Verification>()
            .runs::<upkeep::Verified>("What was found."),
    ]
}

fn served() -> Vec<Route> {
    vec![
        get("/healthz", OPEN, health::lives)
            .named("is_alive", "See whether the process lives")
            .answers::<health::Health>(200, "It does."),
        get("/readyz", OPEN, health::is_ready)
            .named("is_ready", "See whether the host can do its work")
            .answers::<health::Health>(200, "Catalog and blob store answer."),
        get("/metrics", READ, meters::all)
            .uncounted()
            .named("get_metrics", "Read what is counted, as Prometheus does")
            .answers_with(200, "The metrics.", Content::Text("text/plain"))
            .fails(&[404]),
        get("/errors/{code}", OPEN, problem::explained)
            .named("explain_error", "Read what an error code means")
            .answers_with(200, "What happened, and what to do.", Content::Text("text/markdown"))
            .fails(&[404]),
        get("/openapi.json", OPEN, openapi::json)
            .named("get_openapi", "Read this document")
            .answers::<Value>(200, "The document.")
            .fails(&[500]),
        get("/docs", OPEN, openapi::page).named("get_docs", "Read this document as a page").answers_with(
            200,
            "The page.",
            Content::Text("text/html"),
        ),
        get("/docs/style.css", OPEN, openapi::style)
            .named("get_docs_style", "Read how the page looks")
            .answers_with(200, "The style sheet.", Content::Text("text/css")),
    ]
}
