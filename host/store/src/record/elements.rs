//! BSON written straight into one buffer: a record is some forty elements, and the crate's own builder copies
//! every nested document and moves the end for every element.
//!
//! ```text
//! document := length:int32 element* 0x00      element := type:u8 name 0x00 value      (little-endian)
//! ```

use floret_model::{Digest, TimestampMs};

/// Elements of a document, without its length and its end.
#[derive(Debug, Default)]
pub(super) struct Elements(pub Vec<u8>);

impl Elements {
    fn begin(&mut self, kind: u8, name: &str) {
        debug_assert!(!name.contains('\0'), "names are literals of this crate, or indexes");
        self.0.push(kind);
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(0);
    }

    fn length(&mut self, length: usize) -> Result<(), String> {
        let length = i32::try_from(length).map_err(|_| format!("{length} bytes in one field"))?;
        self.0.extend_from_slice(&length.to_le_bytes());
        Ok(())
    }

    pub fn string(&mut self, name: &str, value: &str) -> Result<(), String> {
        self.begin(0x02, name);
        self.length(value.len() + 1)?;
        self.0.extend_from_slice(value.as_bytes());
        self.0.push(0);
        Ok(())
    }

    /// As 64 hexadecimal digits.
    pub fn digest(&mut self, name: &str, value: &Digest) -> Result<(), String> {
        let mut digits = [0; 64];
        hex::encode_to_slice(value.as_bytes(), &mut digits).expect("64 digits hold 32 bytes");
        self.string(name, std::str::from_utf8(&digits).expect("hexadecimal digits are ASCII"))
    }

    pub fn int32(&mut self, name: &str, value: i32) {
        self.begin(0x10, name);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A count: BSON has no unsigned integers.
    pub fn int64(&mut self, name: &str, value: u64) -> Result<(), String> {
        let value = i64::try_from(value)
            .map_err(|_| format!("{name} is {value}, and records hold less than 2^63"))?;
        self.begin(0x12, name);
        self.0.extend_from_slice(&value.to_le_bytes());
        Ok(())
    }

    pub fn moment(&mut self, name: &str, at: TimestampMs) {
        self.begin(0x09, name);
        self.0.extend_from_slice(&at.0.to_le_bytes());
    }

    /// Of the generic subtype.
    pub fn binary(&mut self, name: &str, bytes: &[u8]) -> Result<(), String> {
        self.begin(0x05, name);
        self.length(bytes.len())?;
        self.0.push(0);
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    /// A document that is encoded already.
    pub fn encoded(&mut self, name: &str, document: &[u8]) {
        self.begin(0x03, name);
        self.0.extend_from_slice(document);
    }

    pub fn document(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        self.nested(0x03, name, write)
    }

    pub fn array<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, &str, T) -> Result<(), String>,
    ) -> Result<(), String> {
        self.nested(0x04, name, |array| {
            for (index, item) in items.into_iter().enumerate() {
                write(array, &index.to_string(), item)?;
            }
            Ok(())
        })
    }

    fn nested(
        &mut self,
        kind: u8,
        name: &str,
        write: impl FnOnce(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        self.begin(kind, name);
        let at = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        write(self)?;
        self.0.push(0);
        let length = self.0.len() - at;
        let length = i32::try_from(length).map_err(|_| format!("{name} takes {length} bytes"))?;
        self.0[at..at + 4].copy_from_slice(&length.to_le_bytes());
        Ok(())
    }

    /// The whole document.
    pub fn finish(parts: &[&[u8]]) -> Result<Vec<u8>, String> {
        let length = parts.iter().map(|part| part.len()).sum::<usize>() + 5;
        let mut document = Self(Vec::with_capacity(length));
        document.length(length)?;
        parts.iter().for_each(|part| document.0.extend_from_slice(part));
        document.0.push(0);
        Ok(document.0)
    }
}
