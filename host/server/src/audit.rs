//! A line for every request that may change something: whose token it showed, from where it came, and what came of it.
//! Contents, queries and credentials are in none.

use std::net::SocketAddr;
use std::time::Instant;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;

use crate::access::Who;

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id of a request that is taken over from a client.
const ID_BYTES_MAX: usize = 64;

/// The other end of a connection, among a request's extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub SocketAddr);

/// A request that is answered with its id, and leaves a line if it is no mere reading (GET, HEAD, OPTIONS), also where the
/// client goes away before it is answered.
pub(crate) struct Audited {
    id: HeaderValue,
    line: Option<Line>,
}

impl Audited {
    pub fn begun(request: &Request) -> Self {
        let id = id(request.headers());
        let is_kept = !request.method().is_safe();
        let line = is_kept.then(|| Line {
            id: id.clone(),
            peer: request.extensions().get::<Peer>().map(|peer| peer.0.to_string()).unwrap_or_default(),
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            began: Instant::now(),
            status: None,
            who: None,
        });
        Self { id, line }
    }

    pub fn ended(mut self, response: &mut Response) {
        if let Some(line) = &mut self.line {
            line.status = Some(response.status().as_u16());
            line.who = response.extensions().get().cloned();
        }
        response.headers_mut().insert(X_REQUEST_ID, self.id);
    }
}

/// The client's own where it is short and plain, else a random one.
fn id(headers: &HeaderMap) -> HeaderValue {
    let is_plain = |id: &&HeaderValue| {
        (1..=ID_BYTES_MAX).contains(&id.len())
            && id.as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
    };
    headers.get(X_REQUEST_ID).filter(is_plain).cloned().unwrap_or_else(|| {
        let mut random = [0; 16];
        hex::encode_to_slice(rand::random::<[u8; 8]>(), &mut random).expect("16 digits hold 8 bytes");
        HeaderValue::from_bytes(&random).expect("digits are ASCII")
    })
}

/// Written when it is dropped; without a status where there was no answer.
struct Line {
    id: HeaderValue,
    peer: String,
    method: String,
    path: String,
    began: Instant,
    status: Option<u16>,
    who: Option<Who>,
}

impl Drop for Line {
    fn drop(&mut self) {
        let Self { id, peer, method, path, began, status, who } = self;
        let who = who.as_ref().map_or("anonymous", |who| &who.0);
        let id = id.to_str().unwrap_or_default();
        let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(target: "floret::audit", %id, who, %peer, %method, %path, status, elapsed_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_clients_are_taken_over_where_they_are_plain() {
        let long = "x".repeat(65);
        for (given, expected) in
            [("a-1_b.C", true), ("", false), ("a b", false), ("a\"b", false), (long.as_str(), false)]
        {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_ID, given.parse().expect("a value"));
            let id = id(&headers);
            assert_eq!(id == given, expected, "{given:?}");
            assert!(expected || id.len() == 16, "{id:?}");
        }
        assert_ne!(id(&HeaderMap::new()), id(&HeaderMap::new()));
    }
}
