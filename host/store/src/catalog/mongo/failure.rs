//! What the driver's errors become.

use mongodb::error::{Error as Driver, ErrorKind, WriteFailure};

use crate::Error;

/// Codes of the server: <https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml>.
pub(super) const DUPLICATE_KEY: i32 = 11000;
const UNAUTHORIZED: i32 = 13;
const AUTHENTICATION_FAILED: i32 = 18;
const NAMESPACE_EXISTS: i32 = 48;
pub(super) const WRITE_CONFLICT: i32 = 112;
const NO_SUCH_TRANSACTION: i32 = 251;
/// The write concern's time ran out before a majority had the write.
const MAJORITY_LATE: i32 = 64;
/// A server that is no longer the primary, or stops: InterruptedAtShutdown, InterruptedDueToReplStateChange,
/// NotWritablePrimary, NotPrimaryNoSecondaryOk, NotPrimaryOrSecondary, PrimarySteppedDown, ShutdownInProgress,
/// LegacyNotPrimary.
const STEPPED_DOWN: [i32; 8] = [11600, 11602, 10107, 13435, 13436, 189, 91, 10058];
/// The stream cannot go on from the token: CappedPositionLost, InvalidResumeToken, ChangeStreamFatalError,
/// ChangeStreamHistoryLost.
const STREAM_LOST: [i32; 4] = [136, 260, 280, 286];

const URI_FORM: &str = "write mongodb://USER:PASSWORD@HOST:PORT/DATABASE?replicaSet=NAME, and in user and password %40 for @, %3A for :, %2F for / and %25 for %";

/// The server's code, wherever the driver keeps it.
pub(super) fn code(error: &Driver) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => Some(concern.code),
        ErrorKind::InsertMany(many) => {
            many.write_errors.as_ref().and_then(|errors| errors.first()).map(|error| error.code)
        }
        _ => None,
    }
}

pub(super) fn is_duplicate(error: &Driver) -> bool {
    code(error) == Some(DUPLICATE_KEY)
}

pub(super) fn exists_already(error: &Driver) -> bool {
    code(error) == Some(NAMESPACE_EXISTS)
}

pub(super) fn is_stream_lost(error: &Driver) -> bool {
    code(error).is_some_and(|code| STREAM_LOST.contains(&code))
        || matches!(&*error.kind, ErrorKind::MissingResumeToken)
        || error.contains_label("NonResumableChangeStreamError")
}

/// Whether the whole transaction may be tried again: somebody else was first, or the server went away. A
/// duplicate key is the former: a version that was not there when we looked.
pub(super) fn is_transient(error: &Driver) -> bool {
    let labelled =
        [mongodb::error::TRANSIENT_TRANSACTION_ERROR, mongodb::error::UNKNOWN_TRANSACTION_COMMIT_RESULT];
    labelled.iter().any(|label| error.contains_label(label))
        || matches!(code(error), Some(DUPLICATE_KEY | WRITE_CONFLICT | NO_SUCH_TRANSACTION))
        || is_disconnected(error)
}

/// Whether a commit that ended so may have gone through, or may yet.
pub(super) fn is_commit_unknown(error: &Driver) -> bool {
    error.contains_label(mongodb::error::UNKNOWN_TRANSACTION_COMMIT_RESULT) || is_disconnected(error)
}

/// Whether the server went away, or never was there.
pub(super) fn is_disconnected(error: &Driver) -> bool {
    let stepped_down = code(error).is_some_and(|code| STEPPED_DOWN.contains(&code));
    stepped_down
        || matches!(
            &*error.kind,
            ErrorKind::Io(_)
                | ErrorKind::ConnectionPoolCleared { .. }
                | ErrorKind::ServerSelection { .. }
                | ErrorKind::DnsResolve { .. }
        )
}

/// What is wrong with a URI, in words of our own: the driver's may hold what the URI holds, a password too.
pub(super) fn told_of_uri(catalog: &str, error: &Driver) -> Error {
    match &*error.kind {
        ErrorKind::DnsResolve { .. } => Error::Unavailable {
            service: catalog.to_owned(),
            problem: "the host that its URI names is not known to the name server".to_owned(),
            remedy: "look at the host behind mongodb+srv://, and see that the name server can be reached"
                .to_owned(),
        },
        ErrorKind::InvalidTlsConfig { .. } => told(catalog, error),
        _ => Error::Invalid {
            what: "the catalog's URI".to_owned(),
            problem: format!("it cannot be read; {URI_FORM}"),
        },
    }
}

/// The error as the store tells it. `catalog` names the server, without secrets.
pub(super) fn told(catalog: &str, error: &Driver) -> Error {
    let service = catalog.to_owned();
    let problem = plain(error);
    let refused = |remedy: &str| Error::Refused {
        service: service.clone(),
        problem: problem.clone(),
        remedy: remedy.to_owned(),
    };
    match (&*error.kind, code(error)) {
        (ErrorKind::Authentication { .. }, _) | (_, Some(AUTHENTICATION_FAILED)) => {
            refused("check user, password and authSource in the catalog's URI")
        }
        (_, Some(UNAUTHORIZED)) => {
            refused("give a user in the catalog's URI, with the role readWrite on its database")
        }
        (ErrorKind::InvalidTlsConfig { .. }, _) => refused("check the tls options in the catalog's URI"),
        (ErrorKind::InvalidArgument { .. }, _) => Error::Invalid { what: "a record".to_owned(), problem },
        (ErrorKind::SessionsNotSupported | ErrorKind::IncompatibleServer { .. }, _) => {
            refused("Floret needs a replica set of MongoDB 5.0 or later")
        }
        _ if authentication_refused(&problem) => {
            refused("check user, password and authSource in the catalog's URI")
        }
        (_, Some(MAJORITY_LATE)) => Error::Unavailable {
            service,
            problem,
            remedy: "see that most members of the replica set run, then try again".to_owned(),
        },
        // Another's transaction holds the record, perhaps one whose host has died: the server ends it in its time.
        (_, Some(WRITE_CONFLICT)) => {
            Error::Unavailable { service, problem, remedy: "try again".to_owned() }
        }
        _ if is_disconnected(error) => Error::Unavailable {
            service,
            problem,
            remedy: "see that it runs, that the URI names host, port and replica set rightly, and whether it wants TLS"
                .to_owned(),
        },
        _ => Error::Backend { catalog: service, problem },
    }
}

/// A server that cannot be selected because its handshake was refused says so only in words.
fn authentication_refused(problem: &str) -> bool {
    let problem = problem.to_ascii_lowercase();
    problem.contains("authentication failed") || problem.contains("scram failure")
}

/// The driver's words, without the topology that it dumps.
fn plain(error: &Driver) -> String {
    let text = match &*error.kind {
        ErrorKind::Command(command) => format!("{} ({})", command.message, command.code_name),
        ErrorKind::Io(io) => io.to_string(),
        kind => kind.to_string(),
    };
    text.chars().take(400).collect()
}
