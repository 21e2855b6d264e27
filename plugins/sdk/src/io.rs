//! Bulk data: what a component reads and writes, from the host or in memory.

use crate::bindings::io as host;
use crate::{Error, log};

/// The most that one [`Input::read`] answers: 1 MiB, the contract's bound.
pub const READ_BYTES_MAX: u32 = 1 << 20;

/// Pieces that [`Output`] sends to the host: a call costs well under a microsecond, so that 256 KiB amortise
/// it while the buffer stays in the processor's cache.
const WRITE_BYTES: usize = 256 << 10;

/// Something to read: a document, a corpus, an index. Immutable.
#[derive(Debug)]
pub struct Input(Source);

#[derive(Debug)]
enum Source {
    Host(host::Input),
    Memory { role: String, bytes: Vec<u8> },
}

impl Input {
    /// An input of the host.
    #[doc(hidden)]
    pub fn from_host(input: host::Input) -> Self {
        Self(Source::Host(input))
    }

    /// An input in memory, for tests. Its digest is not computed: 64 zeros.
    pub fn from_bytes(role: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self(Source::Memory { role: role.to_owned(), bytes: bytes.into() })
    }

    /// What it is for: `document`, `corpus`, `index` or what the recipe calls it.
    pub fn role(&self) -> String {
        match &self.0 {
            Source::Host(input) => input.role(),
            Source::Memory { role, .. } => role.clone(),
        }
    }

    /// SHA-256 of the bytes: 64 lower-case hexadecimal digits.
    pub fn digest(&self) -> String {
        match &self.0 {
            Source::Host(input) => input.digest(),
            Source::Memory { .. } => "0".repeat(64),
        }
    }

    /// Media type of the bytes.
    pub fn media_type(&self) -> String {
        match &self.0 {
            Source::Host(input) => input.media_type(),
            Source::Memory { .. } => "application/octet-stream".to_owned(),
        }
    }

    /// Length in bytes.
    pub fn size_bytes(&self) -> u64 {
        match &self.0 {
            Source::Host(input) => input.size(),
            Source::Memory { bytes, .. } => bytes.len() as u64,
        }
    }

    /// Bytes from `offset` on: at most `len_bytes`, at most [`READ_BYTES_MAX`]; empty at and beyond the end.
    pub fn read(&self, offset: u64, len_bytes: u32) -> Vec<u8> {
        match &self.0 {
            Source::Host(input) => input.read(offset, len_bytes),
            Source::Memory { bytes, .. } => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                let len = len_bytes.min(READ_BYTES_MAX) as usize;
                bytes[start..bytes.len().min(start.saturating_add(len))].to_vec()
            }
        }
    }

    /// All the bytes at once.
    pub fn read_to_end(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.size_bytes()).unwrap_or(0));
        loop {
            let piece = self.read(bytes.len() as u64, READ_BYTES_MAX);
            if piece.is_empty() {
                return bytes;
            }
            bytes.extend_from_slice(&piece);
        }
    }

    /// All of it as text. `index` is this input's place in its list, for the message.
    ///
    /// # Errors
    /// `invalid-input`, naming the input and the offset of the first byte that is not UTF-8.
    pub fn read_to_string(&self, index: usize) -> Result<String, Error> {
        String::from_utf8(self.read_to_end())
            .map_err(|error| self.not_utf8(index, error.utf8_error().valid_up_to() as u64))
    }

    /// The error for an input that is not UTF-8 from byte `offset` on.
    pub fn not_utf8(&self, index: usize, offset: u64) -> Error {
        Error::InvalidInput(format!("{} {index} is not UTF-8 at byte {offset}", self.role()))
    }
}

/// Something to write. Buffered; the export macros send the rest when the call succeeds.
#[derive(Debug)]
pub struct Output {
    sink: Option<host::Sink>,
    buffer: Vec<u8>,
}

impl Output {
    /// An output to the host.
    #[doc(hidden)]
    pub fn to_host(sink: host::Sink) -> Self {
        Self { sink: Some(sink), buffer: Vec::with_capacity(WRITE_BYTES) }
    }

    /// An output that collects in memory, for tests.
    pub fn memory() -> Self {
        Self { sink: None, buffer: Vec::new() }
    }

    /// Append bytes.
    #[inline]
    pub fn write(&mut self, bytes: &[u8]) {
        if self.sink.is_some() && self.buffer.len() + bytes.len() > WRITE_BYTES {
            return self.write_through(bytes);
        }
        self.buffer.extend_from_slice(bytes);
    }

    #[cold]
    fn write_through(&mut self, bytes: &[u8]) {
        self.flush_to_host();
        match &self.sink {
            Some(sink) if bytes.len() >= WRITE_BYTES => sink.write(bytes),
            _ => self.buffer.extend_from_slice(bytes),
        }
    }

    /// Send what is buffered to the host. In memory it stays where it is.
    #[doc(hidden)]
    pub fn flush_to_host(&mut self) {
        if let Some(sink) = &self.sink {
            sink.write(&self.buffer);
            self.buffer.clear();
        }
    }

    /// What was written, of an output in memory; of one to the host what is not sent yet.
    pub fn into_bytes(self) -> Vec<u8> {
        self.buffer
    }
}

impl std::io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Self::write(self, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What every exported build does around the component's own code: the panic hook before it, the last bytes
/// to the host after it.
pub(crate) fn job<T>(
    sink: host::Sink,
    build: impl FnOnce(&mut Output) -> Result<T, Error>,
) -> Result<T, Error> {
    log::install_panic_hook();
    let mut out = Output::to_host(sink);
    let result = build(&mut out)?;
    out.flush_to_host();
    Ok(result)
}

/// The host's handles as inputs.
pub(crate) fn inputs(handles: Vec<host::Input>) -> Vec<Input> {
    handles.into_iter().map(Input::from_host).collect()
}
