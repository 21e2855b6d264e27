use bytes::Bytes;

use crate::contract::types_v0_1::io;
use crate::instance::{Job, Stop};
use crate::limits::LimitKind;

/// Where a builder writes: bytes in memory, bounded. The handle's type; the bytes are kept by the job.
pub struct Sink;

/// What was written so far.
#[derive(Default)]
pub(crate) struct Written {
    bytes: Vec<u8>,
    bytes_max: u64,
}

impl Written {
    pub(crate) fn bounded(bytes_max: u64) -> Self {
        Self { bytes: Vec::new(), bytes_max }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        if (self.bytes.len() as u64).saturating_add(bytes.len() as u64) > self.bytes_max {
            return Err(Stop::Limit { which: LimitKind::OutputBytes, limit: self.bytes_max });
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn into_bytes(mut self) -> Bytes {
        self.bytes.shrink_to_fit();
        self.bytes.into()
    }
}

impl io::HostSink for Job {
    fn write(&mut self, _: io::Handle<Sink>, bytes: Vec<u8>) -> wasmtime::Result<()> {
        Ok(self.written.append(&bytes)?)
    }

    fn drop(&mut self, _: io::Handle<Sink>) -> wasmtime::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_stops_at_the_bound_and_keeps_what_fitted() {
        let mut written = Written::bounded(10);
        assert!(written.append(b"12345").is_ok());
        assert!(written.append(b"").is_ok());
        assert!(written.append(b"67890").is_ok());
        assert!(matches!(
            written.append(b"x"),
            Err(Stop::Limit { which: LimitKind::OutputBytes, limit: 10 })
        ));
        assert_eq!(written.into_bytes().as_ref(), b"1234567890");
    }
}
