//! Who may do what: every route has a scope, and a request shows a token that has it, and that is for the namespaces it touches.

mod grant;
mod sessions;
mod tokens;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use floret_model::TimestampMs;

pub(crate) use self::grant::Grant;
use self::sessions::Sessions;
pub(crate) use self::sessions::{SESSION_COOKIE, SESSION_SECONDS};
use self::tokens::Stamp;
pub use self::tokens::{NewToken, Scope, Token, TokenFile};
use crate::given::header_text;
use crate::problem::Problem;

/// How often the file of tokens is looked at: so long a revoked one may still be good.
const EVERY: Duration = Duration::from_secs(1);

/// Which token a request showed, for the line that is left of it.
#[derive(Clone, Debug)]
pub(crate) struct Who(pub String);

/// The tokens of a server, read anew when their file changes. Without such a file everything is allowed to everybody; once
/// there was one, nothing is without a token, also when the file is gone or damaged later.
pub struct Access {
    file: TokenFile,
    current: Mutex<Current>,
    sessions: Sessions,
}

struct Current {
    looked_at: Instant,
    stamp: Option<Stamp>,
    /// None: nobody is asked.
    tokens: Option<Arc<[Token]>>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Access {
    /// Read the file of tokens, if it is there.
    ///
    /// # Errors
    /// In words, if it is there and cannot be used.
    pub fn open(path: PathBuf) -> Result<Arc<Self>, String> {
        let file = TokenFile::at(path);
        let (stamp, tokens) = (file.stamp(), file.read()?);
        let current = Current { looked_at: Instant::now(), stamp, tokens: tokens.map(Into::into) };
        Ok(Arc::new(Self { file, current: Mutex::new(current), sessions: Sessions::default() }))
    }

    /// Whether requests have to show a token.
    pub fn asks(&self) -> bool {
        self.tokens().is_some()
    }

    fn tokens(&self) -> Option<Arc<[Token]>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.looked_at.elapsed() >= EVERY {
            current.looked_at = Instant::now();
            let stamp = self.file.stamp();
            if stamp != current.stamp {
                current.stamp = stamp;
                match self.file.read() {
                    Ok(Some(tokens)) => current.tokens = Some(tokens.into()),
                    Ok(None) if current.tokens.is_none() => {}
                    Ok(None) => {
                        tracing::warn!(file = %self.file, "the file of tokens is gone: no token is good until it is back");
                        current.tokens = Some(Arc::new([]));
                    }
                    Err(problem) => {
                        tracing::warn!("{problem}; no token is good until it is mended");
                        current.tokens = Some(Arc::new([]));
                    }
                }
            }
        }
        current.tokens.clone()
    }

    /// The token that a request shows, if it has to show one; it is good for the scope.
    pub(crate) fn admit(&self, headers: &HeaderMap, scope: Scope) -> Result<Option<Token>, Problem> {
        let Some(tokens) = self.tokens() else { return Ok(None) };
        let token = match header_text(headers, &AUTHORIZATION)? {
            Some(shown) => match shown.split_once(' ') {
                Some((scheme, text)) if scheme.eq_ignore_ascii_case("bearer") => {
                    tokens::find(&tokens, text.trim())
                }
                _ => None,
            },
            None => match self.sessions.token(headers) {
                Some(id) => tokens.iter().find(|token| token.id == id),
                None => {
                    return Err(Problem::unauthenticated("a token is needed: `authorization: Bearer TOKEN`"));
                }
            },
        };
        good(token, scope).map(|token| Some(token.clone()))
    }

    /// Begin a session of the console for a token; answers its id, which stands for the token from here on.
    pub(crate) fn begin_session(&self, secret: &str) -> Result<String, Problem> {
        let tokens = self.tokens().unwrap_or_default();
        let token = good(tokens::find(&tokens, secret), Scope::Read)?;
        Ok(self.sessions.begin(&token.id))
    }

    /// End the session that a request shows, if it shows one.
    pub(crate) fn end_session(&self, headers: &HeaderMap) {
        self.sessions.end(headers);
    }
}

/// A token that was found, if it is good for a scope now.
fn good(token: Option<&Token>, scope: Scope) -> Result<&Token, Problem> {
    let token = token.ok_or_else(|| Problem::unauthenticated("this token is not known here"))?;
    if token.revoked_at.is_some() {
        return Err(Problem::unauthenticated("this token was revoked"));
    }
    if token.expires_at.is_some_and(|until| until <= now()) {
        return Err(Problem::unauthenticated("this token has expired"));
    }
    if !token.allows(scope) {
        return Err(Problem::forbidden(&format!("the token {} has not the scope {scope}", token.id)));
    }
    Ok(token)
}

fn now() -> TimestampMs {
    TimestampMs(jiff::Timestamp::now().as_millisecond())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn shown(text: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, text.parse().expect("a value"));
        headers
    }

    fn fate(access: &Access, text: &str, scope: Scope) -> Result<(), (&'static str, String)> {
        access.current.lock().expect("nobody panics").looked_at -= EVERY;
        access.admit(&shown(text), scope).map(drop).map_err(Problem::parts)
    }

    #[test]
    fn a_token_is_good_for_its_scopes_until_it_expires_or_is_revoked() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokens.json");
        let access = Access::open(path.clone()).expect("no file is as good as any");
        assert!(!access.asks());
        assert_eq!(fate(&access, "Basic x", Scope::Admin), Ok(()));
        let file = TokenFile::at(path.clone());
        let (secret, token) = file.create(NewToken::of("ada", Scope::Write)).expect("a token");
        let bearer = format!("Bearer {secret}");
        assert_eq!(fate(&access, &bearer, Scope::Read), Ok(()));
        assert_eq!(fate(&access, &bearer, Scope::Write), Ok(()));
        for scope in [Scope::Plugins, Scope::Admin] {
            assert_eq!(fate(&access, &bearer, scope).map_err(|it| it.0), Err("forbidden"));
        }
        let other = format!("Bearer floret_{}_{}", token.id, "0".repeat(64));
        for unknown in ["Bearer", "Bearer x", "Bearer floret__", "Basic x", other.as_str()] {
            assert_eq!(fate(&access, unknown, Scope::Read).map_err(|it| it.0), Err("unauthenticated"));
        }
        let expired = NewToken { expires_at: Some(TimestampMs(1)), ..NewToken::of("old", Scope::Admin) };
        let (old, _) = file.create(expired).expect("a token");
        let (code, text) = fate(&access, &format!("Bearer {old}"), Scope::Read).expect_err("it is old");
        assert!(code == "unauthenticated" && text.contains("expired"), "{text}");
        file.revoke(&token.id).expect("it is there");
        let (code, text) = fate(&access, &bearer, Scope::Read).expect_err("it is revoked");
        assert!(code == "unauthenticated" && text.contains("revoked"), "{text}");
    }

    #[test]
    fn a_file_that_is_gone_or_damaged_opens_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokens.json");
        let file = TokenFile::at(path.clone());
        let (secret, _) = file.create(NewToken::of("ada", Scope::Admin)).expect("a token");
        let bearer = format!("Bearer {secret}");
        let access = Access::open(path.clone()).expect("a file");
        assert_eq!(fate(&access, &bearer, Scope::Admin), Ok(()));
        let kept = std::fs::read(&path).expect("a file");
        std::fs::write(&path, "{").expect("written");
        assert!(Access::open(path.clone()).is_err());
        assert!(fate(&access, &bearer, Scope::Read).is_err());
        std::fs::remove_file(&path).expect("removed");
        assert!(fate(&access, &bearer, Scope::Read).is_err());
        assert!(access.asks());
        std::fs::write(&path, kept).expect("written");
        let allow = |mode| std::fs::set_permissions(&path, Permissions::from_mode(mode)).expect("changed");
        for mode in [0o644, 0o604, 0o620, 0o777] {
            allow(mode);
            assert!(fate(&access, &bearer, Scope::Admin).is_err(), "{mode:o}");
            let told = Access::open(path.clone()).expect_err("others read it");
            assert!(told.contains("chmod 600"), "{told}");
        }
        allow(0o600);
        assert_eq!(fate(&access, &bearer, Scope::Admin), Ok(()));
    }
}
