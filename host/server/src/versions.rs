//! Saving and reading versions.

use std::io::Read;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use floret_model::{CascadeReport, Digest, Namespace, ResourceId, ResourceKey, ResourceType, Seq, Version};
use floret_pipeline::{
    Error, Floret, Freshness, IfLatest, LARGE_BYTES, Progress, SaveRequest, Saved, Selector, Spooled,
    VersionDocument, VersionEntry,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::Grant;
use crate::content::{body_of, taken};
use crate::fairness::may_take_long;
use crate::gate::Turn;
use crate::given::{Condition, Named, Parameters, condition, header_text, is_known, limit, selector};
use crate::options;
use crate::problem::Problem;
use crate::ranges::{self, Asked, Part};

/// Contents of this length and above are read into a file.
const LARGE: u64 = LARGE_BYTES + 1;
/// Headers of a content, with room for those that are added on its way.
const HEADERS: usize = 12;
/// Versions of a log that are answered unless the request says how many.
const LOG_LIMIT: usize = 20;
/// A record may carry its content: an answer must not take much memory.
const LOG_LIMIT_MAX: usize = 100;
pub(crate) const FLORET_SEQ: HeaderName = HeaderName::from_static("floret-seq");
pub(crate) const FLORET_VERSION: HeaderName = HeaderName::from_static("floret-version");

/// No parameters.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// Save the body as a new version: 201 with what was saved, or 200 with the latest version, which says the same.
pub(crate) async fn put(
    State(host): State<Arc<Floret>>,
    grant: Grant,
    Named(key): Named,
    _: Parameters<Nothing>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let condition = condition(&headers)?;
    let media_type = header_text(&headers, &CONTENT_TYPE)?.map(str::to_owned);
    let options = options::given(&headers, &key)?;
    if let Some(parent) = &options.parent {
        grant.check_reach(&host, std::slice::from_ref(parent)).await?;
    }
    let content = taken(&host, &headers, body).await?;
    let if_latest = match condition {
        None => None,
        Some(condition) => Some(if_latest(&host, &key, condition).await?),
    };
    let parent = options.parent.clone();
    let request = SaveRequest { media_type, if_latest, ..options.on(key, content) };
    let saved = match parent {
        None => host.save(request).await.map(|saved| (saved, None)),
        Some(parent) => with_parent(&host, request, &parent).await.map(|(saved, made)| (saved, Some(made))),
    };
    let (saved, made) = saved.map_err(|error| match if_latest {
        Some(_) => Problem::from(error).with_precondition(),
        None => error.into(),
    })?;
    let status = if saved.is_new { StatusCode::CREATED } else { StatusCode::OK };
    let tag = [(ETAG, ascii(tag_of(&saved.version)))];
    let answer = SavedContent { saved: SavedVersion::of(&saved.version), cascade: made };
    Ok((status, tag, Json(answer)).into_response())
}

/// Save a text and give it to a corpus, in one commit with whatever depends on it. A client that goes away stops it.
async fn with_parent(
    host: &Floret,
    request: SaveRequest,
    parent: &ResourceKey,
) -> Result<(Saved, CascadeReport), Error> {
    let key = request.key.clone();
    let made = host.save_with_parent(request, parent, &Progress::default()).await?;
    let version = host.resolve(&key, &Selector::Latest).await?;
    Ok((Saved { is_new: version.publish_id == made.id, version }, made))
}

/// A condition by seq, as a save takes it. Between the look at the latest version and the save nothing is lost: the
/// seq that was seen is what the save expects.
async fn if_latest(host: &Floret, key: &ResourceKey, condition: Condition) -> Result<IfLatest, Problem> {
    let digest = match condition {
        Condition::Absent => return Ok(IfLatest::Absent),
        Condition::Seq(seq) => return Ok(IfLatest::Seq(seq)),
        Condition::Digest(digest) => digest,
    };
    match host.resolve(key, &Selector::Latest).await {
        Ok(latest) if latest.data_hash == digest => Ok(IfLatest::Seq(latest.seq)),
        Ok(latest) => {
            let found = format!("@{}, which has the digest {}", latest.seq, latest.data_hash);
            Err(Problem::not_as_expected(key, &digest.to_string(), &found))
        }
        Err(Error::NotFound { .. }) => Err(Problem::not_as_expected(key, &digest.to_string(), "no version")),
        Err(error) => Err(error.into()),
    }
}

/// The entity tag of a content: its digest, in quotes.
fn tag_of(version: &Version) -> String {
    format!("\"{}\"", version.data_hash)
}

fn ascii(value: String) -> HeaderValue {
    HeaderValue::try_from(value).expect("digits, letters and signs of ASCII")
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Consistency {
    Cached,
    Strong,
}

/// Which version is asked for, and how fresh.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Its place in the log.
    #[schemars(range(min = 1))]
    seq: Option<u64>,
    /// A semantic version such as `1.0.2`, a seq, or `latest`; not together with `seq`.
    version: Option<String>,
    /// `strong` reads past the cache.
    consistency: Option<Consistency>,
    /// The latest version, which must have this seq or a higher one; excludes `seq` and `consistency`.
    at_least: Option<u64>,
}

impl Which {
    pub(crate) fn selector(&self) -> Result<Selector, Problem> {
        selector(self.seq, self.version.as_deref())
    }

    pub(crate) fn freshness(&self) -> Result<Freshness, Problem> {
        match (&self.consistency, self.at_least, self.seq) {
            (_, Some(_), Some(_)) => {
                Err(Problem::invalid("at_least is for the latest version: leave it out, or seq"))
            }
            (Some(_), Some(_), None) => {
                Err(Problem::invalid("consistency and at_least exclude each other: give one of them"))
            }
            (None, Some(seq), None) => Ok(Freshness::AtLeast(Seq(seq))),
            (Some(Consistency::Strong), None, _) => Ok(Freshness::Strong),
            (Some(Consistency::Cached) | None, None, _) => Ok(Freshness::Cached),
        }
    }
}

/// The bytes of a version, or a range of them, with its digest as entity tag.
pub(crate) async fn get(
    State(host): State<Arc<Floret>>,
    Named(key): Named,
    Parameters(which): Parameters<Which>,
    Extension(turn): Extension<Turn>,
    request: Request,
) -> Result<Response, Problem> {
    let found = host.find(&key, &which.selector()?, which.freshness()?).await?;
    let version = Arc::clone(found.version());
    let tag = tag_of(&version);
    let mut response = Response::default();
    let headers = response.headers_mut();
    headers.reserve(HEADERS);
    headers.insert(FLORET_SEQ, version.seq.0.into());
    headers.insert(FLORET_VERSION, ascii(version.version.to_string()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let is_head = request.method() == Method::HEAD;
    let given = request.into_parts().0.headers;
    if is_known(&given, &tag) {
        headers.insert(ETAG, ascii(tag));
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let size_bytes = version.content_location.size_bytes;
    let part = match ranges::asked(&given, &tag, size_bytes) {
        _ if is_head => None,
        Asked::Whole => None,
        Asked::Part(part) => Some(part),
        Asked::Outside => return Ok(ranges::outside(size_bytes)),
    };
    let octets = HeaderValue::from_static("application/octet-stream");
    headers.insert(ETAG, ascii(tag));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_LENGTH, part.map_or(size_bytes, Part::len).into());
    headers.insert(CONTENT_TYPE, HeaderValue::from_str(&version.media_type).unwrap_or(octets));
    // Whoever saved it said what it is: a browser is not to guess otherwise, and not to run it as a page of this host, at
    // which somebody may be logged in.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    if let Some(part) = part {
        headers.insert(CONTENT_RANGE, part.content_range());
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    *response.body_mut() = match size_bytes {
        _ if is_head => Body::empty(),
        LARGE.. => {
            may_take_long();
            sent(&Box::pin(host.export(&version)).await?, part, turn)
        }
        _ => cut(&host.read(found).await?.content, part).into(),
    };
    Ok(response)
}

/// A large content, or a part of it, as it is read from its file.
fn sent(content: &Spooled, part: Option<Part>, turn: Turn) -> Body {
    match part {
        None => body_of(content.reader(), turn),
        Some(part) => body_of(content.reader_from(part.first).take(part.len()), turn),
    }
}

/// A content in memory, or a part of it.
fn cut(content: &Bytes, part: Option<Part>) -> Bytes {
    let place = |at: u64| usize::try_from(at).expect("a content in memory has so many bytes");
    part.map_or_else(|| content.clone(), |part| content.slice(place(part.first)..=place(part.last)))
}

/// All that is known of a version beside its bytes.
pub(crate) async fn about(
    State(host): State<Arc<Floret>>,
    Named(key): Named,
    Parameters(which): Parameters<Which>,
) -> Result<Json<VersionDocument>, Problem> {
    let found = host.find(&key, &which.selector()?, which.freshness()?).await?;
    Ok(Json(host.document(found.version()).await?))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    /// How many; 20 unless it is given.
    #[schemars(range(min = 1, max = LOG_LIMIT_MAX))]
    limit: Option<usize>,
    /// Only versions before this seq.
    before: Option<u64>,
}

/// Versions of a resource, newest first.
pub(crate) async fn log(
    State(host): State<Arc<Floret>>,
    Named(key): Named,
    Parameters(page): Parameters<Page>,
) -> Result<Json<Vec<VersionEntry>>, Problem> {
    let limit = limit(page.limit.unwrap_or(LOG_LIMIT), LOG_LIMIT_MAX)?;
    let log = host.log(&key, page.before.map(Seq), limit).await?;
    Ok(Json(log.iter().map(|version| VersionEntry::of(version)).collect()))
}

/// What a save tells of the version that is the latest now.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SavedVersion {
    namespace: Namespace,
    resource_type: ResourceType,
    resource_id: ResourceId,
    seq: Seq,
    /// Its semantic version.
    version: String,
    /// SHA-256 of its raw bytes.
    data_hash: Digest,
    /// `NAMESPACE:TYPE/ID@SEQ`.
    #[schemars(regex(pattern = floret_model::VERSION_PATTERN))]
    token: String,
}

impl SavedVersion {
    pub fn of(version: &Version) -> Self {
        Self {
            namespace: version.key.namespace.clone(),
            resource_type: version.key.resource_type.clone(),
            resource_id: version.key.resource_id.clone(),
            seq: version.seq,
            version: version.version.to_string(),
            data_hash: version.data_hash,
            token: version.reference().to_string(),
        }
    }
}

/// A content that was saved.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SavedContent {
    #[serde(flatten)]
    saved: SavedVersion,
    /// What was done in the same commit for the corpus that got the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    cascade: Option<CascadeReport>,
}
