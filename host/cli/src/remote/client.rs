//! Requests to a server, and what its answers mean.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use floret_model::{DigestHasher, ResourceKey, Version};
use floret_pipeline::{Freshness, Selector};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Certificate, RequestBuilder, Response, StatusCode, Url, redirect};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Server;
use crate::failure::{Exit, Failure, chain};
use crate::given::{self, usage};

/// Of what a server says of a failure.
const PROBLEM_BYTES_MAX: usize = 64 << 10;
/// Of a document.
const DOCUMENT_BYTES_MAX: usize = 256 << 20;
/// Of a token.
const TOKEN_BYTES_MAX: usize = 8 << 10;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const KEEPALIVE: Duration = Duration::from_secs(30);
const TOKEN_ENV: &str = "FLORET_TOKEN";

/// Asks one server.
pub(crate) struct Client {
    pub(super) http: reqwest::Client,
    base: Url,
    /// `Bearer TOKEN`; never shown.
    access: Option<HeaderValue>,
}

impl Client {
    /// A client for the server that was named; nothing if none was. Asks nothing yet.
    ///
    /// # Errors
    /// A URL, a token or certificates that cannot be used.
    pub fn of_named(named: &Server) -> Result<Option<Self>> {
        let Some(server) = named.server.as_deref().filter(|server| !server.is_empty()) else {
            return Ok(None);
        };
        let unusable = |problem: &str| {
            usage(format!(
                "{server:?} is no server's URL: {problem}; expected e.g. https://floret.example:8443"
            ))
        };
        let base = Url::parse(server).map_err(|error| unusable(&error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(unusable("it is neither http nor https"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(unusable("it has a password; a token is given by --token-file or FLORET_TOKEN"));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(unusable("it has a query or a fragment"));
        }
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("floret/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            // Long work is waited for; a server that is gone is not.
            .tcp_keepalive(KEEPALIVE)
            // A token goes to the server that was named, and to no other.
            .redirect(redirect::Policy::none());
        if is_local(&base) {
            http = http.no_proxy();
        }
        if let Some(file) = &named.ca_file {
            http = http.tls_certs_merge(certificates(file)?);
        }
        let http = http.build().map_err(|error| usage(format!("{server}: {}", chain(&error))))?;
        Ok(Some(Self { http, base, access: access(named.token_file.as_deref())? }))
    }

    /// The address of something below `/v1`.
    ///
    /// # Errors
    /// A part that is `.` or `..`: paths are put in order before they are sent.
    pub fn at(&self, parts: &[&str]) -> Result<Url> {
        if let Some(part) = parts.iter().find(|part| matches!(**part, "." | "..")) {
            return Err(usage(format!("{part:?} cannot be asked of a server: it has a meaning in URLs")));
        }
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("v1").extend(parts);
        }
        Ok(url)
    }

    /// The address of a resource, or of something below it.
    ///
    /// # Errors
    /// Those of [`at`](Self::at).
    pub fn of(&self, key: &ResourceKey, below: &[&str]) -> Result<Url> {
        let named = [key.namespace.as_str(), key.resource_type.as_str(), key.resource_id.as_str()];
        self.at(&[&named, below].concat())
    }

    /// The document at an address.
    ///
    /// # Errors
    /// What the server says; [`Failure::Server`] if it does not answer, or not as Floret does.
    pub async fn get<T: DeserializeOwned>(&self, url: &Url, query: &[(&str, &str)]) -> Result<T> {
        let answer = self.send(self.http.get(with(url, query))).await?;
        self.document(answer).await
    }

    /// What a document that is sent is answered by.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn post<T: DeserializeOwned>(&self, url: &Url, document: &Value) -> Result<T> {
        let answer = self.send(self.posted(url, document)).await?;
        self.document(answer).await
    }

    pub(super) fn posted(&self, url: &Url, document: &Value) -> RequestBuilder {
        self.with_json(self.http.post(url.clone()), document)
    }

    pub(super) fn with_json(&self, request: RequestBuilder, document: &Value) -> RequestBuilder {
        let json = HeaderValue::from_static("application/json");
        request.header(CONTENT_TYPE, json).body(document.to_string())
    }

    /// What is told of something that is taken away.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub(super) async fn delete<T: DeserializeOwned>(&self, url: &Url) -> Result<T> {
        let answer = self.send(self.http.delete(url.clone())).await?;
        self.document(answer).await
    }

    /// Everything that is recorded of a version.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn record(
        &self,
        key: &ResourceKey,
        selector: &Selector,
        freshness: Freshness,
    ) -> Result<Arc<Version>> {
        let mut query = Vec::new();
        query.extend(named(selector).map(|(_, which)| ("version", which)));
        match freshness {
            Freshness::Cached => {}
            Freshness::Strong => query.push(("consistency", "strong".to_owned())),
            Freshness::AtLeast(seq) => query.push(("at_least", seq.to_string())),
        }
        self.get(&self.of(key, &["record"])?, &super::texts(&query)).await
    }

    /// The content of a version, in a temporary file from its beginning on, held against its digest.
    ///
    /// # Errors
    /// As [`get`](Self::get); bytes that are others than those that were saved.
    pub async fn content(&self, version: &Version, is_fresh: bool) -> Result<File> {
        let seq = version.seq.to_string();
        let mut query = vec![("seq", seq.as_str())];
        if is_fresh {
            query.push(("consistency", "strong"));
        }
        let mut answer = self.send(self.http.get(with(&self.of(&version.key, &[])?, &query))).await?;
        let mut file = tempfile::tempfile()?;
        let mut hasher = DigestHasher::default();
        while let Some(piece) = answer.chunk().await.map_err(|error| self.silent(error))? {
            hasher.update(&piece);
            file.write_all(&piece)?;
        }
        let got = hasher.finish();
        let expected = version.content_location.checksum;
        if got != expected {
            let what = version.reference();
            return Err(anyhow!(Failure::Server {
                code: "integrity",
                exit: Exit::Integrity,
                message: format!("{what} came with the digest {got}, expected {expected}; ask again"),
            }));
        }
        file.rewind()?;
        Ok(file)
    }

    /// Send a request; an answer that is none of success is an error.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let request = match &self.access {
            Some(access) => request.header(reqwest::header::AUTHORIZATION, access.clone()),
            None => request,
        };
        let answer = request.send().await.map_err(|error| self.silent(error))?;
        if answer.status().is_success() { Ok(answer) } else { Err(self.refusal(answer).await) }
    }

    pub(super) async fn document<T: DeserializeOwned>(&self, answer: Response) -> Result<T> {
        let bytes = self.body(answer, DOCUMENT_BYTES_MAX).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| self.unavailable(&format!("its answer cannot be read: {error}")))
    }

    async fn body(&self, mut answer: Response, bytes_max: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| self.silent(error))? {
            if bytes.len() + piece.len() > bytes_max {
                return Err(self.unavailable(&format!("its answer is longer than {bytes_max} bytes")));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    async fn refusal(&self, answer: Response) -> anyhow::Error {
        let status = answer.status();
        let body = self.body(answer, PROBLEM_BYTES_MAX).await.unwrap_or_default();
        let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
        self.told(&problem, status)
    }

    /// The error that a problem document (RFC 9457) tells.
    pub(super) fn told(&self, problem: &Value, status: StatusCode) -> anyhow::Error {
        let (Some(code), Some(message)) = (problem["code"].as_str(), problem["detail"].as_str()) else {
            return self.unavailable(&format!("it answers {status}, and not as `floret serve` does"));
        };
        let known = floret_pipeline::explain(code);
        let exit = known.as_ref().and_then(|known| known.exit).and_then(Exit::of);
        anyhow!(Failure::Server {
            code: known.map_or("other", |known| known.code),
            exit: exit.unwrap_or_else(|| by_status(status)),
            message: message.to_owned(),
        })
    }

    pub(super) fn silent(&self, error: reqwest::Error) -> anyhow::Error {
        self.unavailable(&chain(&error.without_url()))
    }

    pub(super) fn unavailable(&self, problem: &str) -> anyhow::Error {
        anyhow!(floret_store::Error::Unavailable {
            service: format!("the server {}", self.base.as_str().trim_end_matches('/')),
            problem: problem.to_owned(),
            remedy: "start `floret serve` there, or see its log; --server says where".to_owned(),
        })
    }
}

/// Certificates that servers' may be signed by.
///
/// # Errors
/// A file that cannot be read, or holds none.
pub(crate) fn certificates(file: &Path) -> Result<Vec<Certificate>> {
    let unreadable = |error| usage(format!("{} holds no certificates: {error}", given::name(file)));
    Certificate::from_pem_bundle(&given::read(file)?).map_err(unreadable)
}

/// Which version, as parameters have it; nothing for the latest.
pub(super) fn named(selector: &Selector) -> Option<(&'static str, String)> {
    match selector {
        Selector::Latest => None,
        Selector::Seq(seq) => Some(("seq", seq.to_string())),
        Selector::Version(version) => Some(("version", version.to_string())),
    }
}

pub(super) fn with(url: &Url, query: &[(&str, &str)]) -> Url {
    let mut url = url.clone();
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url
}

fn access(token_file: Option<&Path>) -> Result<Option<HeaderValue>> {
    let (token, from) = match token_file {
        Some(file) => {
            let text = String::from_utf8_lossy(&given::read(file)?).into_owned();
            (text, given::name(file))
        }
        None => match std::env::var(TOKEN_ENV) {
            Ok(token) if !token.is_empty() => (token, TOKEN_ENV.to_owned()),
            _ => return Ok(None),
        },
    };
    let token = token.trim();
    let is_token =
        (1..=TOKEN_BYTES_MAX).contains(&token.len()) && token.bytes().all(|it| it.is_ascii_graphic());
    let value = HeaderValue::from_str(&format!("Bearer {token}")).ok().filter(|_| is_token);
    let Some(mut value) = value else {
        return Err(usage(format!("{from} holds no token: expected one line without spaces")));
    };
    value.set_sensitive(true);
    Ok(Some(value))
}

/// Whether an address is of this machine, which no proxy reaches.
pub(crate) fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// For codes that end with one of several exit codes, such as that of a cascade, whose first failed step says it.
fn by_status(status: StatusCode) -> Exit {
    match status.as_u16() {
        404 | 410 => Exit::NotFound,
        409 | 412 => Exit::Conflict,
        408 | 429 | 502..=504 => Exit::Unavailable,
        400..=499 => Exit::Invalid,
        500 => Exit::Plugin,
        _ => Exit::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::classify;

    fn server(url: &str) -> Server {
        Server { server: Some(url.to_owned()), token_file: None, ca_file: None }
    }

    fn client() -> Client {
        Client::of_named(&server("http://127.0.0.1:1/below/")).expect("a good URL").expect("a client")
    }

    #[test]
    fn a_url_that_is_none_is_a_mistake_of_the_command_line() {
        for url in [
            "floret.example",
            "ftp://host",
            "http://",
            "http://user:word@host",
            "http://host/?a=1",
            "http://host/#a",
        ] {
            let error = Client::of_named(&server(url)).err().expect(url);
            assert_eq!(classify(&error), ("usage", Exit::Invalid), "{url}: {error}");
        }
        assert!(Client::of_named(&server("")).expect("no server").is_none());
    }

    #[test]
    fn parts_of_paths_are_encoded_once() {
        let key = "papers:corpus/a/b c%2F?#ü".parse().expect("a key");
        let url = client().of(&key, &["log"]).expect("an address");
        assert_eq!(url.path(), "/below/v1/papers/corpus/a%2Fb%20c%252F%3F%23%C3%BC/log");
        let dots = "corpus/..".parse().expect("a key");
        assert_eq!(classify(&client().of(&dots, &[]).expect_err("dots")).1, Exit::Invalid);
        let asked = with(&url, &[("text", "a&b=c")]);
        assert_eq!(asked.query(), Some("text=a%26b%3Dc"));
    }

    #[test]
    fn problems_are_told_as_they_are_here() {
        let told = |code: &str, status| {
            let problem = serde_json::json!({"code": code, "detail": "why"});
            let error = client().told(&problem, StatusCode::from_u16(status).expect("a status"));
            let (code, exit) = classify(&error);
            (code, exit as u8, error.to_string())
        };
        assert_eq!(told("not_found", 404), ("not_found", 3, "why".to_owned()));
        assert_eq!(told("conflict", 412), ("conflict", 4, "why".to_owned()));
        assert_eq!(told("plugin_trap", 500), ("plugin_trap", 5, "why".to_owned()));
        assert_eq!(told("invalid_request", 400), ("invalid_request", 2, "why".to_owned()));
        assert_eq!(told("cascade_failed", 500), ("cascade_failed", 5, "why".to_owned()));
        assert_eq!(told("of_the_future", 404), ("other", 3, "why".to_owned()));
        let error = client().told(&Value::Null, StatusCode::NOT_FOUND);
        assert_eq!(classify(&error), ("unavailable", Exit::Unavailable));
        assert!(error.to_string().contains("not as `floret serve` does"), "{error}");
    }

    #[test]
    fn a_token_is_one_word_and_is_not_shown() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("token");
        for (text, is_good) in
            [("abc.def\n", true), ("", false), ("a b", false), ("a\nb", false), ("ä", false)]
        {
            std::fs::write(&file, text).expect("written");
            let access = access(Some(&file));
            assert_eq!(access.is_ok(), is_good, "{text:?}");
            if let Ok(Some(value)) = access {
                assert!(!format!("{value:?}").contains("abc"));
            }
        }
    }
}
