//! The console: pages for people, made here, that need no script and fetch nothing from elsewhere.
//!
//! `layout` has what all pages share, `session` who is looking at them, `history` what happened a while ago, `graph` and
//! `charts` the pictures; each other module is one page. A page asks the host as the API does, under the same scopes, and
//! shows a problem as a page.

mod cache;
mod charts;
mod cleanup;
mod diff;
mod graph;
mod history;
mod layout;
mod lineage;
mod overview;
mod plugins;
mod policies;
mod resource;
mod resources;
mod search;
mod session;
mod work;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use floret_model::ResourceKey;
use floret_pipeline::Floret;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use self::history::History;
use crate::access::{Access, Scope};
use crate::audit::X_REQUEST_ID;
use crate::gate::Gate;
use crate::problem::Problem;
use crate::state::AppState;

/// What the pages know beside the host.
#[derive(Debug)]
pub(crate) struct Console {
    history: History,
    access: Arc<Access>,
    /// Whether its cookie is only for encrypted connections.
    is_secure: bool,
}

impl Console {
    pub(crate) fn new(access: Arc<Access>, is_secure: bool) -> Arc<Self> {
        Arc::new(Self { history: History::default(), access, is_secure })
    }

    /// Keep the history, for as long as it is polled.
    pub(crate) async fn watch(&self, host: &Floret) {
        self.history.watch(host).await;
    }
}

/// All pages. Components may be sent to them, so long ones as the host takes.
pub(crate) fn routes(console: Arc<Console>, gate: &Arc<Gate>, component_bytes_max: u64) -> Router<AppState> {
    let open = |route| gate.guarding(None, true, route);
    let read = |route| gate.guarding(Some(Scope::Read), true, route);
    let write = |route| gate.guarding(Some(Scope::Write), true, route);
    let plug = |route| gate.guarding(Some(Scope::Plugins), true, route);
    let administer = |route| gate.guarding(Some(Scope::Admin), true, route);
    let upload_bytes_max = usize::try_from(component_bytes_max).unwrap_or(usize::MAX);
    let upload = post(plugins::install).layer(DefaultBodyLimit::max(upload_bytes_max));
    let resource = "/console/resources/{namespace}/{type}/{id}";
    Router::new()
        .route("/", read(get(overview::page)))
        .route("/console/resources", read(get(resources::page)))
        .route(resource, read(get(resource::page)))
        .route(&format!("{resource}/diff"), read(get(diff::page)))
        .route(&format!("{resource}/lineage"), read(get(lineage::page)))
        .route(&format!("{resource}/cascade"), write(post(work::cascade)))
        .route("/console/search", read(get(search::page)))
        .route("/console/jobs", read(get(work::list)))
        .route("/console/jobs/{id}", read(get(work::page)).merge(write(post(work::cancel))))
        .route("/console/jobs/{id}/picture.svg", read(get(work::picture)))
        .route("/console/plugins", read(get(plugins::list)).merge(plug(upload)))
        .route("/console/plugins/{name}", read(get(plugins::component)).merge(plug(post(plugins::change))))
        .route("/console/bindings", read(get(plugins::another)))
        .route("/console/bindings/{type}", read(get(plugins::binding)).merge(plug(post(plugins::swap))))
        .route("/console/policies", read(get(policies::page)).merge(plug(post(policies::compare))))
        .route("/console/cache", read(get(cache::page)).merge(administer(post(cache::change))))
        .route("/console/cleanup", administer(get(cleanup::page).post(cleanup::run)))
        .route("/console/login", open(get(session::page).post(session::begin)))
        .route("/console/logout", open(post(session::end)))
        .route("/console/assets/{name}", open(get(asset)))
        .route("/console/{*path}", open(get(no_such_page)))
        .layer(from_fn_with_state(console, problems_as_pages))
}

/// The place of a resource among the pages.
fn at(key: &ResourceKey) -> String {
    let part = |text: &str| percent_encoded(text);
    format!("/console/resources/{}/{}/{}", key.namespace, key.resource_type, part(key.resource_id.as_str()))
}

/// What is not encoded: letters, digits and these.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text as one segment of a path, or as a value of a query.
fn percent_encoded(text: &str) -> String {
    let encoded = utf8_percent_encode(text, KEPT).to_string();
    // A segment of dots alone would be taken for a step up.
    if encoded.bytes().all(|byte| byte == b'.') { encoded.replace('.', "%2E") } else { encoded }
}

/// Go on to another page, by GET.
fn see(location: &str) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, location.to_owned())]).into_response()
}

async fn asset(Path(name): Path<String>) -> Result<Response, Problem> {
    let (media_type, text) = match name.as_str() {
        "console.css" => ("text/css; charset=utf-8", include_str!("console/assets/console.css")),
        "console.js" => ("text/javascript; charset=utf-8", include_str!("console/assets/console.js")),
        "icon.svg" => ("image/svg+xml", include_str!("console/assets/icon.svg")),
        _ => return Err(Problem::not_found(format!("the console has no file {name:?}"))),
    };
    Ok(([(CONTENT_TYPE, media_type), (CACHE_CONTROL, "max-age=300")], text).into_response())
}

async fn no_such_page(uri: Uri) -> Problem {
    Problem::not_found(format!("the console has no page {}", uri.path()))
}

/// Answer with a page where the API would answer with a problem; who has to say who he is gets to the page for that.
async fn problems_as_pages(State(console): State<Arc<Console>>, request: Request, next: Next) -> Response {
    let wanted = request.uri().clone();
    let is_shown = request.method() == Method::GET;
    let response = next.run(request).await;
    let Some(problem) = response.extensions().get::<Problem>().cloned() else {
        return response;
    };
    if response.status() == StatusCode::UNAUTHORIZED && is_shown {
        let target = wanted.path_and_query().map_or("/", |wanted| wanted.as_str());
        let mut answer = see(&format!("/console/login?next={}", percent_encoded(target)));
        answer
            .headers_mut()
            .extend(response.headers().get(X_REQUEST_ID).map(|id| (X_REQUEST_ID, id.clone())));
        return answer;
    }
    let page = layout::problem(&console, &problem);
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_TYPE);
    parts.headers.remove(axum::http::header::CONTENT_LENGTH);
    let mut answer = (parts.status, page).into_response();
    for (name, value) in &parts.headers {
        answer.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    answer.extensions_mut().extend(parts.extensions);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_one_segment_of_a_path() {
        for (text, expected) in
            [("lincoln", "lincoln"), ("a/b c", "a%2Fb%20c"), ("..", "%2E%2E"), ("<é>", "%3C%C3%A9%3E")]
        {
            assert_eq!(percent_encoded(text), expected);
        }
        let key = ResourceKey::parse("default", "corpus", "a/b").expect("a key");
        assert_eq!(at(&key), "/console/resources/default/corpus/a%2Fb");
    }
}
