//! Pulling from a registry: manifest, blob, and a token where one is asked for (OCI distribution specification 1.1).
//!
//! Written over the HTTP client that the object stores bring. The crate `oci-client` reads manifests and answers of token
//! servers without a bound, and has no retries.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use floret_model::Digest;
use reqwest::header::{ACCEPT, AUTHORIZATION, WWW_AUTHENTICATE};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url, redirect};
use serde_json::Value;

use super::challenge::Challenge;
use super::manifest::{self, ACCEPTED, MANIFEST_BYTES_MAX, pick};
use super::{Fetched, Problem, RegistryPlace, verify};
use crate::config::PluginsSection;
use crate::failure::{SourceKind, chain};

/// Of the answer of a token server, and of what a registry says of a failure.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
const REDIRECTS_MAX: usize = 5;
/// Pauses between two tries, with jitter.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Characters of what a registry says that a message repeats.
const SAID_MAX: usize = 200;

struct Registry<'a> {
    client: Client,
    place: &'a RegistryPlace,
    base: Url,
    credentials: Option<(&'a str, &'a str)>,
    /// The value of the header `Authorization`, once one was asked for.
    access: Option<Access>,
    retries_max: usize,
}

enum Access {
    Token(String),
    Password,
}

/// Fetch a component of at most `bytes_max` bytes.
pub(super) async fn fetch(
    place: &RegistryPlace,
    section: &PluginsSection,
    bytes_max: u64,
) -> Result<Fetched, Problem> {
    let mut registry = Registry::new(place, section)?;
    let mut manifest = registry.manifest(&place.reference()).await?;
    let mut digest = Digest::of(&manifest);
    if let Some(expected) = place.digest {
        verify(&manifest, expected, "the manifest")?;
    }
    let layer = match manifest::read(&manifest, bytes_max)? {
        manifest::Read::Component(layer) => layer,
        manifest::Read::Index(entries) => {
            digest = pick(&entries, None)?;
            manifest = registry.manifest(&format!("sha256:{digest}")).await?;
            verify(&manifest, digest, "the manifest")?;
            match manifest::read(&manifest, bytes_max)? {
                manifest::Read::Component(layer) => layer,
                manifest::Read::Index(_) => {
                    let text = "its index lists another index";
                    return Err(Problem::new(SourceKind::NotAComponent, text));
                }
            }
        }
    };
    let bytes = registry.blob(layer).await?;
    let source = RegistryPlace { digest: Some(digest), ..place.clone() }.to_string();
    Ok(Fetched { bytes: bytes.into(), source })
}

impl<'a> Registry<'a> {
    fn new(place: &'a RegistryPlace, section: &'a PluginsSection) -> Result<Self, Problem> {
        let configured = section.registries.get(&place.host);
        let is_plain = place.is_local() || configured.is_some_and(|registry| registry.plain_http);
        let scheme = if is_plain { "http" } else { "https" };
        let unusable = |problem: String| Problem::new(SourceKind::Unavailable, problem);
        let base = Url::parse(&format!("{scheme}://{}/v2/{}/", place.host, place.repository))
            .map_err(|error| unusable(format!("{} is no host: {error}", place.host)))?;
        let redirects = redirect::Policy::custom(|attempt| {
            let from_secure = attempt.previous().iter().any(|url| url.scheme() == "https");
            if attempt.previous().len() > REDIRECTS_MAX {
                attempt.error("it was sent on too often")
            } else if from_secure && attempt.url().scheme() != "https" {
                attempt.error("it was sent from https to http")
            } else {
                attempt.follow()
            }
        });
        let mut client = Client::builder()
            .user_agent(concat!("floret/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(section.connect_timeout.0)
            .timeout(section.timeout.0)
            .redirect(redirects);
        if place.is_local() {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| unusable(chain(&error)))?;
        let credentials = configured.and_then(|registry| {
            Some((registry.username.as_deref()?, registry.password.as_ref()?.0.as_str()))
        });
        Ok(Self { client, place, base, credentials, access: None, retries_max: section.retries_max })
    }

    async fn manifest(&mut self, reference: &str) -> Result<Vec<u8>, Problem> {
        self.get(&format!("manifests/{reference}"), "the manifest", MANIFEST_BYTES_MAX).await
    }

    async fn blob(&mut self, layer: manifest::Layer) -> Result<Vec<u8>, Problem> {
        let path = format!("blobs/sha256:{}", layer.digest);
        let bytes = self.get(&path, "the component", layer.size_bytes).await?;
        verify(&bytes, layer.digest, "the component")?;
        Ok(bytes)
    }

    /// Ask for something of at most `bytes_max` bytes, again after a pause where that may help.
    async fn get(&mut self, path: &str, what: &str, bytes_max: u64) -> Result<Vec<u8>, Problem> {
        let url =
            self.base.join(path).map_err(|error| Problem::new(SourceKind::NotFound, error.to_string()))?;
        let mut pauses = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(PAUSE_MIN)
            .with_max_delay(PAUSE_MAX)
            .with_max_times(self.retries_max)
            .build();
        loop {
            let problem = match self.get_once(&url, what, bytes_max).await {
                Err(problem) if problem.is_passing => problem,
                done => return done,
            };
            let Some(pause) = pauses.next() else { return Err(problem) };
            tracing::debug!(%url, problem = %problem.text, "the registry is asked again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn get_once(&mut self, url: &Url, what: &str, bytes_max: u64) -> Result<Vec<u8>, Problem> {
        let mut answer = send(self.ask(url)).await?;
        if answer.status() == StatusCode::UNAUTHORIZED && self.authorize(&answer).await? {
            answer = send(self.ask(url)).await?;
        }
        if answer.status() == StatusCode::OK {
            return body(answer, what, bytes_max).await;
        }
        Err(self.refusal(answer, what).await)
    }

    fn ask(&self, url: &Url) -> RequestBuilder {
        let request = self.client.get(url.clone()).header(ACCEPT, ACCEPTED);
        match (&self.access, self.credentials) {
            (Some(Access::Token(token)), _) => request.header(AUTHORIZATION, format!("Bearer {token}")),
            (Some(Access::Password), Some((name, password))) => request.basic_auth(name, Some(password)),
            _ => request,
        }
    }

    /// Get what the registry asks for; false if that is nothing that we have.
    async fn authorize(&mut self, answer: &Response) -> Result<bool, Problem> {
        let headers = answer.headers().get_all(WWW_AUTHENTICATE).iter();
        let challenge = headers.filter_map(|header| Challenge::read(header.to_str().ok()?)).next();
        match challenge {
            Some(Challenge::Basic) => {
                let is_new = self.credentials.is_some() && self.access.is_none();
                self.access = self.credentials.map(|_| Access::Password);
                Ok(is_new)
            }
            Some(Challenge::Bearer { realm, service, scope }) => {
                let token = self.token(&realm, service, scope).await?;
                self.access = Some(Access::Token(token));
                Ok(true)
            }
            None => Ok(false),
        }
    }

    async fn token(
        &self,
        realm: &str,
        service: Option<String>,
        scope: Option<String>,
    ) -> Result<String, Problem> {
        let refused = |text: String| Problem::new(SourceKind::Unavailable, text);
        let mut url = Url::parse(realm)
            .map_err(|error| refused(format!("it names {realm:?} for tokens, which is no URL: {error}")))?;
        // The password goes there: over TLS, or to the very host that is asked without it.
        let is_same = url.scheme() == self.base.scheme() && url.host() == self.base.host();
        if url.scheme() != "https" && !is_same {
            return Err(refused(format!("it names {realm} for tokens: expected https")));
        }
        let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", self.place.repository));
        url.query_pairs_mut()
            .extend_pairs(service.map(|service| ("service", service)))
            .append_pair("scope", &scope);
        let mut request = self.client.get(url);
        if let Some((name, password)) = self.credentials {
            request = request.basic_auth(name, Some(password));
        }
        let answer = send(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(self.refusal(answer, "a token").await);
        }
        let bytes = body(answer, "the token", ANSWER_BYTES_MAX).await?;
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let token = answer.get("token").or_else(|| answer.get("access_token")).and_then(Value::as_str);
        token
            .filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic()) && !token.is_empty())
            .map(str::to_owned)
            .ok_or_else(|| refused(format!("{realm} answers without a token")))
    }

    /// What an answer that is not 200 means.
    async fn refusal(&self, answer: Response, what: &str) -> Problem {
        let status = answer.status();
        let said = said(answer).await;
        match status {
            StatusCode::NOT_FOUND => {
                Problem::new(SourceKind::NotFound, format!("the registry has not got {what}{said}"))
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let host = &self.place.host;
                let text = match self.credentials {
                    None => format!(
                        "the registry refuses {what} ({status}){said}; add username and password to [plugins.registries.{host:?}]"
                    ),
                    Some((name, _)) => format!(
                        "the registry refuses {what} to {name} ({status}){said}; see [plugins.registries.{host:?}]"
                    ),
                };
                Problem::new(SourceKind::Unavailable, text)
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                Problem::passing(format!("the registry answers {status}{said}"))
            }
            _ if status.is_server_error() => Problem::passing(format!("the registry answers {status}{said}")),
            _ => {
                let text = format!("asked for {what}, the registry answers {status}{said}");
                Problem::new(SourceKind::Unavailable, text)
            }
        }
    }
}

async fn send(request: RequestBuilder) -> Result<Response, Problem> {
    request.send().await.map_err(|error| {
        let is_passing = !error.is_redirect() && !error.is_builder();
        let text = format!("the registry does not answer: {}", chain(&error.without_url()));
        Problem { is_passing, ..Problem::passing(text) }
    })
}

/// The body, if it has at most so many bytes: no more is read.
async fn body(mut answer: Response, what: &str, bytes_max: u64) -> Result<Vec<u8>, Problem> {
    let too_much = || {
        let text = format!("the registry sends more than the {bytes_max} bytes that {what} may have");
        Problem::new(SourceKind::TooLarge, text)
    };
    if answer.content_length().is_some_and(|length| length > bytes_max) {
        return Err(too_much());
    }
    let mut bytes = Vec::new();
    loop {
        let chunk = answer.chunk().await.map_err(|error| {
            let read = bytes.len();
            let cause = chain(&error.without_url());
            Problem::passing(format!("the registry breaks off {what} after {read} bytes: {cause}"))
        })?;
        let Some(chunk) = chunk else { return Ok(bytes) };
        if bytes.len() as u64 + chunk.len() as u64 > bytes_max {
            return Err(too_much());
        }
        bytes.extend_from_slice(&chunk);
    }
}

/// What a registry says of a failure, in brackets; nothing if it says nothing that can be read.
async fn said(answer: Response) -> String {
    let bytes = body(answer, "the answer", ANSWER_BYTES_MAX).await.unwrap_or_default();
    let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let error = &answer["errors"][0];
    let words = [&error["code"], &error["message"]].into_iter().filter_map(Value::as_str);
    let words = words.collect::<Vec<_>>().join(": ");
    let words: String = words.chars().filter(|it| !it.is_control()).take(SAID_MAX).collect();
    if words.is_empty() { String::new() } else { format!(" ({words})") }
}
