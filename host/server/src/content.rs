//! Bytes from and to the wire: small contents in memory, large ones by way of temporary files.

use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use floret_pipeline::{Content, Floret, LARGE_BYTES};
use futures::{StreamExt, stream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use crate::fairness::may_take_long;
use crate::gate::Turn;
use crate::given::header_text;
use crate::problem::Problem;

/// Longest content that is taken: a bound on the temporary files, not on memory.
pub(crate) const CONTENT_BYTES_MAX: u64 = 4 << 30;
/// A body of which nothing comes for so long is given up.
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);
/// A whole body must be here within this: 4 GiB at 7 MB a second.
const BODY_TIMEOUT: Duration = Duration::from_secs(600);
/// Large contents taken at once, since each keeps a thread of the blocking pool until it is here; others wait.
static LARGE_AT_ONCE: Semaphore = Semaphore::const_new(16);
/// Pieces of a large content on their way to its file.
const PIECES_MAX: usize = 4;
/// Bytes of a file that are read at once.
const PIECE_BYTES: usize = 256 << 10;

/// The body of a request as a content to save.
pub(crate) async fn taken(host: &Floret, headers: &HeaderMap, body: Body) -> Result<Content, Problem> {
    let mut pieces = pieces(headers, body, CONTENT_BYTES_MAX)?;
    let mut held = Vec::new();
    while let Some(piece) = pieces.next().await? {
        held.extend_from_slice(&piece);
        if held.len() as u64 > LARGE_BYTES {
            return spooled(host, held.into(), pieces).await;
        }
    }
    Ok(Content::Bytes(held.into()))
}

/// A body that is taken whole.
pub(crate) async fn whole(headers: &HeaderMap, body: Body, bytes_max: u64) -> Result<Bytes, Problem> {
    let mut pieces = pieces(headers, body, bytes_max)?;
    let mut held = Vec::new();
    while let Some(piece) = pieces.next().await? {
        held.extend_from_slice(&piece);
    }
    Ok(held.into())
}

/// The pieces of a body, for which there is time of its own. One that says that it is too long need not be read to be refused.
fn pieces(headers: &HeaderMap, body: Body, bytes_max: u64) -> Result<Pieces, Problem> {
    may_take_long();
    let announced = header_text(headers, &CONTENT_LENGTH)?.and_then(|length| length.parse().ok());
    match announced.is_some_and(|bytes: u64| bytes > bytes_max) {
        true => Err(Problem::too_large(bytes_max)),
        false => Ok(Pieces::of(body, bytes_max, BODY_TIMEOUT)),
    }
}

async fn spooled(host: &Floret, begun: Bytes, mut pieces: Pieces) -> Result<Content, Problem> {
    let _turn = LARGE_AT_ONCE.acquire().await.expect("the semaphore is never closed");
    let (sender, receiver) = mpsc::channel(PIECES_MAX);
    let sending = async move {
        let mut next = Some(begun);
        while let Some(piece) = next {
            // Who no longer listens has failed, and says why.
            if sender.send(Ok(piece)).await.is_err() {
                return Ok(());
            }
            next = match pieces.next().await {
                Ok(next) => next,
                Err(problem) => {
                    // Or a part would pass for the whole. Who no longer listens needs no telling.
                    let _ = sender.send(Err(io::ErrorKind::ConnectionAborted.into())).await;
                    return Err(problem);
                }
            };
        }
        Ok(())
    };
    let reader = Pipe { receiver, piece: Bytes::new() };
    let (sent, spooled) = tokio::join!(sending, host.spool(Path::new("the body of a request"), reader));
    sent?;
    Ok(Content::File(spooled?))
}

/// What a file holds, as the body of an answer, which keeps the request's turn until it is sent. Its bytes were verified
/// when the file was written.
pub(crate) fn body_of(reader: impl Read + Send + 'static, turn: Turn) -> Body {
    let pieces = stream::try_unfold((reader, turn), |(mut reader, turn)| async move {
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; PIECE_BYTES];
            let length = reader.read(&mut piece)?;
            piece.truncate(length);
            Ok::<_, io::Error>((!piece.is_empty()).then_some((Bytes::from(piece), (reader, turn))))
        });
        read.await.map_err(io::Error::other)?
    });
    Body::from_stream(pieces)
}

/// A body as it comes, up to a bound.
struct Pieces {
    body: axum::body::BodyDataStream,
    bytes: u64,
    bytes_max: u64,
    /// When it is given up, however it comes.
    deadline: Instant,
}

impl Pieces {
    fn of(body: Body, bytes_max: u64, within: Duration) -> Self {
        Self { body: body.into_data_stream(), bytes: 0, bytes_max, deadline: Instant::now() + within }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        // The one that comes first. A body that drips would hold its connection and its file for days.
        let until = self.deadline.min(Instant::now() + PIECE_TIMEOUT);
        let Ok(next) = tokio::time::timeout_at(until, self.body.next()).await else {
            if until == self.deadline {
                return Err(Problem::slow(BODY_TIMEOUT));
            }
            return Err(Problem::silent(PIECE_TIMEOUT));
        };
        let Some(piece) =
            next.transpose().map_err(|error| Problem::invalid(format!("the body broke off: {error}")))?
        else {
            return Ok(None);
        };
        self.bytes += piece.len() as u64;
        match self.bytes > self.bytes_max {
            true => Err(Problem::too_large(self.bytes_max)),
            false => Ok(Some(piece)),
        }
    }
}

/// Pieces that a task sends, for a thread to read.
struct Pipe {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let length = into.len().min(self.piece.len());
        into[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_bounded_also_where_it_does_not_say_how_long_it_is() {
        for (bytes_max, expected) in [(7, true), (6, false)] {
            let pieces = ["abc", "def", "g"].map(|piece| Ok::<_, io::Error>(Bytes::from(piece)));
            let body = Body::from_stream(stream::iter(pieces));
            let mut pieces = Pieces::of(body, bytes_max, BODY_TIMEOUT);
            let mut length = 0;
            let ended = loop {
                match pieces.next().await {
                    Ok(Some(piece)) => length += piece.len(),
                    Ok(None) => break true,
                    Err(_) => break false,
                }
            };
            assert_eq!((ended, length), (expected, if expected { 7 } else { 6 }));
        }
    }

    #[tokio::test]
    async fn a_body_that_does_not_end_in_time_is_given_up() {
        let body = Body::from_stream(stream::pending::<io::Result<Bytes>>());
        let next = Pieces::of(body, 1, Duration::ZERO).next().await;
        assert!(next.is_err_and(|problem| format!("{problem:?}").contains("not here within")));
    }

    #[tokio::test]
    async fn what_is_sent_in_pieces_is_read_as_one() {
        let (sender, receiver) = mpsc::channel(PIECES_MAX);
        let reading = tokio::task::spawn_blocking(|| {
            let mut text = String::new();
            let read = Pipe { receiver, piece: Bytes::new() }.read_to_string(&mut text);
            (text, read.map_err(|error| error.kind()))
        });
        for piece in ["a small ", "", "flower"] {
            sender.send(Ok(Bytes::from(piece))).await.expect("it listens");
        }
        sender.send(Err(io::ErrorKind::ConnectionAborted.into())).await.expect("it listens");
        let (text, read) = reading.await.expect("it does not panic");
        assert_eq!((text.as_str(), read), ("a small flower", Err(io::ErrorKind::ConnectionAborted)));
    }
}
