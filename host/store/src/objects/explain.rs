//! What an object store's failures mean, and what to do about them.

use std::error::Error as _;

use object_store::client::{HttpError, HttpErrorKind};

use crate::Error;

/// Longest text of a failure that is told, in bytes.
const TEXT_BYTES_MAX: usize = 400;

/// A failure of a request, told by what the caller should do: [`Error::Unavailable`] when the server does not answer or
/// fails, [`Error::Refused`] when it answers and will never do better, else [`Error::Object`].
pub(crate) fn explain(place: &str, action: &'static str, path: &str, source: object_store::Error) -> Error {
    let said = Said::by(&source);
    let service = || format!("the object store {place}");
    if let Some((problem, remedy)) = said.refusal(&source) {
        let problem = format!("cannot {action} {path}: {problem}");
        return Error::Refused { service: service(), problem, remedy: remedy.to_owned() };
    }
    if said.is_unavailable() {
        let problem = format!("cannot {action} {path}: {}", said.short());
        let remedy = "see that it runs and can be reached from here, then try again".to_owned();
        return Error::Unavailable { service: service(), problem, remedy };
    }
    Error::Object { action, path: path.to_owned(), store: place.to_owned(), source: Box::new(source) }
}

/// The texts of a failure and of its causes.
struct Said {
    text: String,
    http: Option<HttpErrorKind>,
}

impl Said {
    fn by(error: &object_store::Error) -> Self {
        let mut said = Self { text: error.to_string(), http: None };
        let mut cause = error.source();
        while let Some(error) = cause {
            said.http = said.http.or_else(|| error.downcast_ref::<HttpError>().map(HttpError::kind));
            let text = error.to_string();
            if !said.text.contains(&text) {
                said.text.push_str(": ");
                said.text.push_str(&text);
            }
            cause = error.source();
        }
        said
    }

    fn has(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.text.contains(word))
    }

    /// What S3 calls it.
    fn code(&self) -> Option<&str> {
        let (_, rest) = self.text.split_once("<Code>")?;
        rest.split_once("</Code>").map(|(code, _)| code)
    }

    fn short(&self) -> String {
        match self.code() {
            Some(code) => format!("it answers {code}"),
            None => self.text[..self.text.floor_char_boundary(TEXT_BYTES_MAX)].replace('\n', " "),
        }
    }

    fn refusal(&self, error: &object_store::Error) -> Option<(String, &'static str)> {
        use object_store::Error::{PermissionDenied, Unauthenticated};
        // A local folder that may not be used is none of a server's business.
        let denied =
            matches!(error, PermissionDenied { .. } | Unauthenticated { .. }) && self.has(&["status code"]);
        let code = self.code().unwrap_or_default();
        let credentials = "look at access_key_id and secret_access_key under [blobs], or at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
        Some(match code {
            "NoSuchBucket" => {
                ("there is no such bucket".to_owned(), "make the bucket, or name another in the URL")
            }
            "InvalidAccessKeyId"
            | "NotSignedUp"
            | "SignatureDoesNotMatch"
            | "ExpiredToken"
            | "InvalidToken" => (format!("the credentials are not accepted ({code})"), credentials),
            "RequestTimeTooSkewed" => {
                ("this machine's clock and the server's are too far apart".to_owned(), "set the clock")
            }
            "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => (
                format!("the region is not right ({code})"),
                "look at region under [blobs], or at AWS_REGION",
            ),
            _ if denied || code == "AccessDenied" => {
                let named = if code.is_empty() { String::new() } else { format!(" ({code})") };
                (format!("the credentials do not allow it{named}"), credentials)
            }
            _ => return self.refused_connection(),
        })
    }

    /// What goes wrong before S3 is spoken.
    fn refused_connection(&self) -> Option<(String, &'static str)> {
        Some(if self.has(&["InvalidContentType", "invalid HTTP version", "HTTPS port", "HTTPS server"]) {
            (
                "one side speaks TLS and the other does not".to_owned(),
                "write the endpoint with http:// if the server speaks plain HTTP, with https:// if it speaks TLS",
            )
        } else if self.has(&["invalid peer certificate", "certificate verify failed"]) {
            (
                format!("its certificate is not accepted: {}", self.short()),
                "write the host's name in the endpoint as the certificate has it, or have the system trust its issuer",
            )
        } else if self.has(&["169.254.169.254"]) {
            (
                "no credentials were given, and this machine has none of its own".to_owned(),
                "set access_key_id and secret_access_key under [blobs], or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            )
        } else if self.has(&["Received redirect without LOCATION"]) {
            ("the region is not right".to_owned(), "look at region under [blobs], or at AWS_REGION")
        } else {
            return None;
        })
    }

    fn is_unavailable(&self) -> bool {
        self.http.is_some() || self.has(&["status code: 5", "status code: 429", "SlowDown", "InternalError"])
    }
}
