//! A registry of components, as an OCI registry answers (distribution specification 1.1), that can be made to misbehave;
//! and layout folders with the same content.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use floret_model::Digest;
use parking_lot::Mutex;
use serde_json::{Value, json};

/// Media type of a manifest.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an index of manifests.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// What the token server gives to whom it knows.
const TOKEN: &str = "a-token";
/// `ada:secret`, as `Authorization: Basic` has it.
const ADA: &str = "Basic YWRhOnNlY3JldA==";

/// How it answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mood {
    /// As it should.
    #[default]
    Good,
    /// So many times with this status, then as it should.
    Fails(usize, u16),
    /// Not at all.
    Silent,
    /// A page for people.
    Page,
    /// Blobs break off in the middle.
    Cut,
    /// Blobs have more bytes than they should, and it does not say how many.
    Endless,
    /// Blobs have another byte than they should.
    Damaged,
}

/// Whom it lets in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Door {
    /// Everybody.
    #[default]
    Open,
    /// Those with a token, which everybody is given.
    Token,
    /// Those with a token, which `ada` is given, whose password is `secret`.
    Ada,
    /// `ada` by her password, without a token.
    Password,
    /// Those with a token that is to be had at another server, without TLS.
    Elsewhere,
}

#[derive(Default)]
struct Shelf {
    /// By path below `/v2/REPOSITORY/`, with their media types.
    kept: HashMap<String, (&'static str, Bytes)>,
    mood: Mood,
    door: Door,
    requests: usize,
    address: String,
}

/// A running registry. Stopped when it is dropped.
pub struct Registry {
    address: SocketAddr,
    shelf: Arc<Mutex<Shelf>>,
    _runtime: tokio::runtime::Runtime,
}

impl Registry {
    /// Start it on a port that is free.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        shelf.lock().address = address.to_string();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shelf));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { address, shelf, _runtime: runtime }
    }

    /// `oci://ADDRESS/` and a repository with what follows it.
    pub fn source(&self, rest: &str) -> String {
        format!("oci://{}/{rest}", self.address)
    }

    /// `ADDRESS:PORT`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Answer so from now on.
    pub fn set(&self, mood: Mood, door: Door) {
        let mut shelf = self.shelf.lock();
        (shelf.mood, shelf.door) = (mood, door);
    }

    /// How often it was asked.
    pub fn requests(&self) -> usize {
        self.shelf.lock().requests
    }

    /// Keep a component under a tag; the answer is the digest of its manifest.
    pub fn push(&self, repository: &str, tag: &str, component: &Bytes) -> Digest {
        let layer = self.blob(repository, component);
        self.manifest(repository, tag, MANIFEST, &manifest(layer, component.len()))
    }

    /// Keep a manifest of any kind under a tag.
    pub fn push_manifest(&self, repository: &str, tag: &str, manifest: &Value) -> Digest {
        let kind = if manifest.get("manifests").is_some() { INDEX } else { MANIFEST };
        self.manifest(repository, tag, kind, manifest)
    }

    /// Keep a manifest under the name of another, as a registry would that lies.
    pub fn swap_manifest(&self, repository: &str, digest: Digest, by: Digest) {
        let mut shelf = self.shelf.lock();
        let other = shelf.kept[&format!("{repository}/manifests/sha256:{by}")].clone();
        shelf.kept.insert(format!("{repository}/manifests/sha256:{digest}"), other);
    }

    fn manifest(&self, repository: &str, tag: &str, kind: &'static str, manifest: &Value) -> Digest {
        let bytes = Bytes::from(manifest.to_string());
        let digest = Digest::of(&bytes);
        let mut shelf = self.shelf.lock();
        for reference in [tag.to_owned(), format!("sha256:{digest}")] {
            shelf.kept.insert(format!("{repository}/manifests/{reference}"), (kind, bytes.clone()));
        }
        digest
    }

    fn blob(&self, repository: &str, bytes: &Bytes) -> Digest {
        let digest = Digest::of(bytes);
        let path = format!("{repository}/blobs/sha256:{digest}");
        self.shelf.lock().kept.insert(path, ("application/octet-stream", bytes.clone()));
        digest
    }
}

/// The manifest of a component.
pub fn manifest(layer: Digest, size_bytes: usize) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.wasm.config.v0+json",
            "digest": format!("sha256:{}", Digest::of(b"{}")),
            "size": 2,
        },
        "layers": [{
            "mediaType": "application/wasm",
            "digest": format!("sha256:{layer}"),
            "size": size_bytes,
        }],
    })
}

/// Write a layout folder with components, each under a tag.
///
/// # Panics
/// If it cannot be written.
pub fn layout(folder: &Path, components: &[(&str, &Bytes)]) -> Vec<Digest> {
    let blobs = folder.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).expect("a folder");
    let put = |bytes: &[u8]| {
        let digest = Digest::of(bytes);
        std::fs::write(blobs.join(digest.to_string()), bytes).expect("written");
        digest
    };
    let mut digests = Vec::new();
    let mut entries = Vec::new();
    for (tag, component) in components {
        let manifest = manifest(put(component), component.len()).to_string();
        let digest = put(manifest.as_bytes());
        digests.push(digest);
        entries.push(json!({
            "mediaType": MANIFEST,
            "digest": format!("sha256:{digest}"),
            "size": manifest.len(),
            "annotations": {"org.opencontainers.image.ref.name": tag},
        }));
    }
    let index = json!({"schemaVersion": 2, "manifests": entries}).to_string();
    std::fs::write(folder.join("index.json"), index).expect("written");
    std::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("written");
    digests
}

async fn answer(State(shelf): State<Arc<Mutex<Shelf>>>, request: Request) -> Response {
    let (mood, door, address) = {
        let mut shelf = shelf.lock();
        shelf.requests += 1;
        let mood = shelf.mood;
        if let Mood::Fails(times, status) = mood {
            shelf.mood = if times > 1 { Mood::Fails(times - 1, status) } else { Mood::Good };
        }
        (mood, shelf.door, shelf.address.clone())
    };
    match mood {
        Mood::Silent => std::future::pending().await,
        Mood::Page => return ([(CONTENT_TYPE, "text/html")], "<html>welcome</html>").into_response(),
        Mood::Fails(_, status) => {
            let status = StatusCode::from_u16(status).expect("a status");
            let body = json!({"errors": [{"code": "DENIED", "message": "not now"}]});
            return (status, body.to_string()).into_response();
        }
        _ => {}
    }
    let path = request.uri().path();
    let given = header(request.headers());
    if path == "/token" {
        return match door {
            Door::Ada if given.as_deref() != Some(ADA) => StatusCode::UNAUTHORIZED.into_response(),
            _ => json!({"token": TOKEN}).to_string().into_response(),
        };
    }
    if let Some(challenge) = challenge(door, given.as_deref(), &address) {
        return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, challenge)]).into_response();
    }
    let kept = path.strip_prefix("/v2/").and_then(|path| shelf.lock().kept.get(path).cloned());
    match kept {
        None => {
            let body = json!({"errors": [{"code": "NAME_UNKNOWN", "message": "nothing of that name"}]});
            (StatusCode::NOT_FOUND, body.to_string()).into_response()
        }
        Some((kind, bytes)) if path.contains("/blobs/") => blob(kind, bytes, mood),
        Some((kind, bytes)) => ([(CONTENT_TYPE, kind)], bytes).into_response(),
    }
}

fn header(headers: &HeaderMap) -> Option<String> {
    headers.get(AUTHORIZATION)?.to_str().ok().map(str::to_owned)
}

/// What is asked of somebody who came with this, if it is not enough.
fn challenge(door: Door, given: Option<&str>, address: &str) -> Option<String> {
    let bearer =
        |realm: &str| format!("Bearer realm=\"{realm}\",service=\"registry\",scope=\"repository:trie:pull\"");
    let has_token = given == Some(&format!("Bearer {TOKEN}"));
    match door {
        Door::Open => None,
        Door::Password => (given != Some(ADA)).then(|| "Basic realm=\"registry\"".to_owned()),
        Door::Elsewhere => Some(bearer("http://tokens.example/token")),
        Door::Token | Door::Ada => (!has_token).then(|| bearer(&format!("http://{address}/token"))),
    }
}

fn blob(kind: &'static str, bytes: Bytes, mood: Mood) -> Response {
    let half = bytes.slice(..bytes.len() / 2);
    let rest = bytes.slice(bytes.len() / 2..);
    let body = match mood {
        Mood::Cut => {
            let parts = [Ok(half), Err(std::io::Error::other("the cable was cut"))];
            Body::from_stream(futures::stream::iter(parts))
        }
        Mood::Endless => {
            let more =
                futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[0; 4096])));
            let begin = futures::stream::iter([Ok(half), Ok(rest)]);
            Body::from_stream(futures::StreamExt::chain(begin, more))
        }
        Mood::Damaged => {
            let mut bytes = bytes.to_vec();
            bytes[100] ^= 1;
            Body::from(bytes)
        }
        _ => Body::from(bytes),
    };
    ([(CONTENT_TYPE, kind)], body).into_response()
}
