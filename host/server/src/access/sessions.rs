//! Sessions of the console: a random id in a cookie stands for a token, which is looked at anew with every request, so that
//! one that is revoked or has expired is good for nothing any more. They are of this process, and end with it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::COOKIE;

pub(crate) const SESSION_COOKIE: &str = "floret_session";
/// How long a session is good for: a working day.
pub(crate) const SESSION_SECONDS: u64 = 12 * 3600;
/// Sessions at once; of more, the oldest end.
const SESSIONS_MAX: usize = 1_000;

#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Session>>);

/// A session: the id of its token, and when it began.
type Session = (String, Instant);

fn is_over((_, began): &Session) -> bool {
    began.elapsed() >= Duration::from_secs(SESSION_SECONDS)
}

impl Sessions {
    fn held(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn begin(&self, token: &str) -> String {
        let id = hex::encode(rand::random::<[u8; 32]>());
        let mut held = self.held();
        held.retain(|_, session| !is_over(session));
        if held.len() >= SESSIONS_MAX {
            let oldest = held.iter().min_by_key(|(_, session)| session.1).map(|(id, _)| id.clone());
            oldest.and_then(|id| held.remove(&id));
        }
        held.insert(id.clone(), (token.to_owned(), Instant::now()));
        id
    }

    /// The id of the token that a request's session stands for.
    pub fn token(&self, headers: &HeaderMap) -> Option<String> {
        let id = id(headers)?;
        self.held().get(id).filter(|session| !is_over(session)).map(|session| session.0.clone())
    }

    pub fn end(&self, headers: &HeaderMap) {
        if let Some(id) = id(headers) {
            self.held().remove(id);
        }
    }
}

fn id(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        cookies.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    pairs.find(|(name, _)| *name == SESSION_COOKIE).map(|(_, id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(cookies: &str) -> HeaderMap {
        HeaderMap::from_iter([(COOKIE, cookies.parse().expect("a value"))])
    }

    #[test]
    fn a_session_stands_for_its_token_until_it_ends() {
        let sessions = Sessions::default();
        let id = sessions.begin("ada");
        let headers = shown(&format!("a=b; {SESSION_COOKIE}={id}"));
        assert_eq!(sessions.token(&headers).as_deref(), Some("ada"));
        for other in
            ["", "a=b", &format!("{SESSION_COOKIE}="), &format!("{SESSION_COOKIE}={}", "0".repeat(64))]
        {
            assert_eq!(sessions.token(&shown(other)), None, "{other}");
        }
        sessions.end(&headers);
        assert_eq!(sessions.token(&headers), None);
    }

    #[test]
    fn of_too_many_the_oldest_ends() {
        let sessions = Sessions::default();
        let ids: Vec<String> = (0..=SESSIONS_MAX).map(|_| sessions.begin("ada")).collect();
        let is_good = |id: &String| sessions.token(&shown(&format!("{SESSION_COOKIE}={id}"))).is_some();
        assert!(!is_good(&ids[0]) && is_good(&ids[1]) && is_good(&ids[SESSIONS_MAX]));
    }
}
