//! What browsers send for pages of others: DNS rebinding (a name of theirs that leads here) and cross-site requests.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::{HOST, HeaderName, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, Uri};

use crate::problem::Problem;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether the names that requests are sent to are looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Names {
    /// Only those of this machine, and these: who listens there trusts what is on it, and pages of others are not.
    Loopback(Arc<[String]>),
    /// Any: the network decides who comes in.
    Any,
}

impl Names {
    /// Refuse what a page of somebody else made a browser send.
    pub fn check(&self, request: &Request) -> Result<(), Problem> {
        checked(self, request.method(), request.uri(), request.headers())
    }
}

fn checked(names: &Names, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    if method.is_safe() && (*names == Names::Any || is_plainly_here(uri, headers)) {
        return Ok(());
    }
    let hosts: Vec<Option<Authority>> = headers
        .get_all(HOST)
        .iter()
        .map(|host| host.to_str().ok().and_then(|host| host.parse().ok()))
        .chain(uri.authority().cloned().map(Some))
        .collect();
    if let Names::Loopback(others) = names {
        let is_known =
            |host: &str| is_loopback(host) || others.iter().any(|other| other.eq_ignore_ascii_case(host));
        let is_ours = |host: &Option<Authority>| host.as_ref().is_some_and(|host| is_known(host.host()));
        if hosts.is_empty() || !hosts.iter().all(is_ours) {
            return Err(Problem::misdirected());
        }
    }
    if method.is_safe() {
        return Ok(());
    }
    let is_own = match (headers.get(SEC_FETCH_SITE), headers.get(ORIGIN)) {
        (Some(site), _) => site == "same-origin" || site == "none",
        (None, Some(origin)) => {
            let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
            let origin = origin.as_ref().and_then(Uri::authority);
            origin.is_some() && hosts.iter().all(|host| host.as_ref() == origin)
        }
        (None, None) => true,
    };
    if is_own { Ok(()) } else { Err(Problem::cross_site()) }
}

/// Whether one header names this machine and nothing else is said, as almost always: that needs no parsing.
fn is_plainly_here(uri: &Uri, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None, None) = (hosts.next(), hosts.next(), uri.authority()) else { return false };
    let Ok(host) = host.to_str() else { return false };
    is_loopback(match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    })
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host == "127.0.0.1" || host == "[::1]"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> Names {
        Names::Loopback(Arc::new(["floret.example".to_owned()]))
    }

    fn fate(
        names: Names,
        method: Method,
        uri: &'static str,
        headers: &[(&'static str, &'static str)],
    ) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("a value"));
        }
        checked(&names, &method, &Uri::from_static(uri), &map).is_ok()
    }

    #[test]
    fn names_that_are_not_of_this_machine_are_refused_on_it() {
        for (host, expected) in [
            ("localhost", true),
            ("LOCALHOST:8080", true),
            ("127.0.0.1:8080", true),
            ("[::1]:8080", true),
            ("Floret.example:443", true),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example:8080", false),
            ("localhost@evil.example", false),
            ("", false),
        ] {
            let headers = [("host", host)];
            assert_eq!(fate(here(), Method::GET, "/", &headers), expected, "{host}");
            assert!(fate(Names::Any, Method::GET, "/", &headers), "{host}");
        }
        assert!(!fate(here(), Method::GET, "/", &[]));
        assert!(!fate(here(), Method::GET, "http://evil.example/", &[("host", "localhost")]));
        assert!(!fate(here(), Method::GET, "/", &[("host", "localhost"), ("host", "evil.example")]));
    }

    #[test]
    fn pages_of_others_change_nothing() {
        for (name, value, expected) in [
            ("sec-fetch-site", "same-origin", true),
            ("sec-fetch-site", "none", true),
            ("sec-fetch-site", "same-site", false),
            ("sec-fetch-site", "cross-site", false),
            ("origin", "http://localhost:8080", true),
            ("origin", "http://localhost:9090", false),
            ("origin", "https://evil.example", false),
            ("origin", "null", false),
        ] {
            let headers = [("host", "localhost:8080"), (name, value)];
            for names in [here(), Names::Any] {
                assert_eq!(fate(names.clone(), Method::PUT, "/", &headers), expected, "{name}: {value}");
                assert!(fate(names, Method::GET, "/", &headers), "{name}: {value}");
            }
        }
    }
}
