//! What differs between the jobs of one component: their randomness and what they print.

use std::borrow::Cow;

use floret_model::{Digest, DigestHasher};

use crate::error::Site;
use crate::guest_log::LogLevel;
use crate::input::Input;
use crate::instance::{Job, LOG_LINE_BYTES_MAX};

/// Bytes of one block of the random stream.
const BLOCK_BYTES: u64 = 32;

/// The world of one job.
///
/// Its random bytes are SHA-256 in counter mode: block *n* of the stream is the digest of the 32 bytes of the seed
/// followed by *n* (u64, little-endian). The seed is the digest of everything that the job's result may depend on,
/// so that equal jobs draw equal bytes on every machine, at all times, and other jobs draw others. Not from a
/// generator of some crate, whose next version may draw differently: what a builder drew is in its output.
#[derive(Default)]
pub(crate) struct World {
    seed: Digest32,
    /// Bytes drawn so far.
    drawn: u64,
    output: Vec<u8>,
    error: Vec<u8>,
}

type Digest32 = [u8; 32];

/// Where something is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stream {
    Output,
    Error,
}

impl World {
    /// A world whose randomness follows from a component and its job.
    pub(crate) fn seeded(component: &[u8], site: &Site, config: &str, inputs: &[Input]) -> Self {
        let contract = site.contract.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut hasher = DigestHasher::default();
        for field in [b"floret random 1", component, contract.as_bytes(), site.stage.as_bytes()] {
            hasher.field(field);
        }
        hasher.field(config.as_bytes());
        for input in inputs {
            hasher.field(input.role.as_bytes());
            hasher.field(input.media_type.as_bytes());
            hasher.field(input.digest.as_bytes());
        }
        Self { seed: *hasher.finish().as_bytes(), ..Self::default() }
    }

    /// Draw from the beginning again, for the next call of an instance that serves many: which calls it served
    /// before must not show.
    pub(crate) fn restart(&mut self) {
        self.drawn = 0;
    }

    /// The next random bytes.
    pub(crate) fn random(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let mut block = [0; 40];
            block[..32].copy_from_slice(&self.seed);
            block[32..].copy_from_slice(&(self.drawn / BLOCK_BYTES).to_le_bytes());
            let digest = Digest::of(&block);
            let rest = &digest.as_bytes()[(self.drawn % BLOCK_BYTES) as usize..];
            let (now, later) = bytes.split_at_mut(rest.len().min(bytes.len()));
            now.copy_from_slice(&rest[..now.len()]);
            self.drawn += now.len() as u64;
            bytes = later;
        }
    }

    /// Eight random bytes as a number.
    pub(crate) fn random_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.random(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn line(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Output => &mut self.output,
            Stream::Error => &mut self.error,
        }
    }
}

impl Job {
    /// Log what a guest prints, line by line: output as information, errors as warnings. A line beyond what the log
    /// keeps of one goes on in the next.
    pub(crate) fn print(&mut self, stream: Stream, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            for piece in piece.chunks(LOG_LINE_BYTES_MAX) {
                let line = self.wasi.line(stream);
                if line.len() + piece.len() > LOG_LINE_BYTES_MAX {
                    self.end_line(stream);
                }
                self.wasi.line(stream).extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") {
                self.end_line(stream);
            }
        }
    }

    /// Log what was printed without an end of line.
    pub(crate) fn end_lines(&mut self) {
        self.end_line(Stream::Output);
        self.end_line(Stream::Error);
    }

    fn end_line(&mut self, stream: Stream) {
        let line = std::mem::take(self.wasi.line(stream));
        let line: Cow<'_, str> = String::from_utf8_lossy(&line);
        let line = line.trim_end();
        let level = if stream == Stream::Error { LogLevel::Warn } else { LogLevel::Info };
        if !line.is_empty() {
            self.log_line(level, line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(stage: &'static str) -> Site {
        Site { component: "x@0.1.0".into(), contract: None, stage: stage.into() }
    }

    fn drawn(world: &mut World, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        world.random(&mut bytes);
        bytes
    }

    #[test]
    fn the_random_stream_follows_from_the_job_and_from_nothing_else() {
        let input = |text: &str| Input::new("corpus", "text/plain", text.as_bytes().to_vec());
        let world = |component: &[u8], stage, config: &str, text: &str| {
            drawn(&mut World::seeded(component, &site(stage), config, &[input(text)]), 100)
        };
        let first = world(b"one", "build", "{}", "a");
        assert_eq!(first, world(b"one", "build", "{}", "a"));
        for other in [
            world(b"two", "build", "{}", "a"),
            world(b"one", "open", "{}", "a"),
            world(b"one", "build", r#"{"a":1}"#, "a"),
            world(b"one", "build", "{}", "b"),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn the_stream_is_the_same_in_whatever_pieces_it_is_drawn() {
        let mut whole = World::default();
        let mut pieces = World::default();
        let expected = drawn(&mut whole, 200);
        let got: Vec<u8> = [1, 31, 0, 33, 64, 71].iter().flat_map(|len| drawn(&mut pieces, *len)).collect();
        assert_eq!(got, expected);
        whole.restart();
        assert_eq!(drawn(&mut whole, 200), expected);
        // SHA-256 of 40 zero bytes, by other tools: the stream is part of what builders write.
        assert_eq!(expected[..4], [0x2c, 0x34, 0xce, 0x1d]);
    }
}
