//! Signatures of components, as minisign makes them (<https://jedisct1.github.io/minisign/>): Ed25519 over BLAKE2b-512
//! of the file, with a comment that is signed along.

use floret_model::PluginSignature;
use minisign_verify::{PublicKey, Signature};

use crate::Error;

/// Public keys whose owners may sign components. Without any, nothing has to be signed.
#[derive(Clone, Debug, Default)]
pub struct TrustedKeys(Vec<Key>);

#[derive(Clone, Debug)]
struct Key {
    id: String,
    key: PublicKey,
}

impl TrustedKeys {
    /// Keys as minisign prints them, `RW…`, 56 characters each.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] names the one that is none.
    pub fn parse<'a>(keys: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let key = |text: &str| {
            let text = text.trim();
            let expected = "expected the second line of a minisign.pub, RW and 54 more characters of base64";
            let invalid = |problem: &str| {
                Error::invalid(format!("{text:?} is no public key of minisign: {problem}; {expected}"))
            };
            let key = PublicKey::from_base64(text).map_err(|error| invalid(&error.to_string()))?;
            let id = key_id(text).ok_or_else(|| invalid("it has no key id"))?;
            Ok(Key { id, key })
        };
        keys.into_iter().map(key).collect::<Result<_, _>>().map(Self)
    }

    /// Whether nothing has to be signed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Verify a signature of `bytes`, if one is needed. Without keys the answer is `None`.
    ///
    /// # Errors
    /// [`Error::Untrusted`] when keys are trusted and the signature is missing, malformed or of none of them, and when
    /// a signature was given that nothing can be held against.
    pub(crate) fn check(
        &self,
        bytes: &[u8],
        signature: Option<&str>,
    ) -> Result<Option<PluginSignature>, Error> {
        let Some(text) = signature else {
            return match self.is_empty() {
                true => Ok(None),
                false => Err(self.untrusted("it has no signature")),
            };
        };
        if self.is_empty() {
            let problem = "its signature cannot be verified: no keys are trusted".to_owned();
            let remedy = "add the signer's public key to plugins.trusted_keys in the configuration, or install it without a signature";
            return Err(Error::Untrusted { problem, remedy: remedy.to_owned() });
        }
        let signature = Signature::decode(text)
            .map_err(|error| self.untrusted(&format!("its signature is malformed ({error})")))?;
        let id = text.lines().nth(1).and_then(key_id).unwrap_or_default();
        let Some(key) = self.0.iter().find(|key| key.id == id) else {
            return Err(self.untrusted(&format!("its signature is of another key, {id}")));
        };
        // Signatures of the file itself, not of its hash, are what minisign made before 0.10.
        key.key.verify(bytes, &signature, true).map_err(|error| {
            self.untrusted(&format!("its signature by the key {id} does not hold for these bytes ({error})"))
        })?;
        let trusted_comment = signature.trusted_comment().to_owned();
        Ok(Some(PluginSignature { key_id: id, trusted_comment, text: text.to_owned() }))
    }

    fn untrusted(&self, problem: &str) -> Error {
        let ids: Vec<&str> = self.0.iter().map(|key| key.id.as_str()).collect();
        Error::Untrusted {
            problem: format!("{problem}; trusted are {}", ids.join(", ")),
            remedy: "have it signed by one of them (`minisign -Sm FILE`) and name the signature with --signature, or add its key to plugins.trusted_keys".to_owned(),
        }
    }
}

/// Key id of a key or a signature in base64: bytes 2 to 9, a little-endian number, as 16 hexadecimal digits.
fn key_id(base64: &str) -> Option<String> {
    // Sixteen characters hold twelve bytes.
    let mut bits = 0u128;
    let head = base64.trim().as_bytes().get(..16)?;
    for character in head {
        bits = bits << 6 | u128::from(digit(*character)?);
    }
    let bytes = bits.to_be_bytes();
    let id: [u8; 8] = bytes[6..14].try_into().expect("eight of sixteen bytes");
    Some(format!("{:016X}", u64::from_le_bytes(id)))
}

/// Value of a character of base64.
fn digit(character: u8) -> Option<u8> {
    match character {
        b'A'..=b'Z' => Some(character - b'A'),
        b'a'..=b'z' => Some(character - b'a' + 26),
        b'0'..=b'9' => Some(character - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key and signature of the four bytes `test`, from minisign's own documentation.
    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    const SIGNATURE: &str = "untrusted comment: signature from minisign secret key\nRUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\ntrusted comment: timestamp:1556193335\tfile:test\ny/rUw2y8/hOUYjZU71eHp/Wo1KZ40fGy2VJEDl34XMJM+TX48Ss/17u3IvIfbVR1FkZZSNCisQbuQY+bHwhEBg==\n";

    #[test]
    fn a_signature_is_taken_from_a_trusted_key_only() {
        let keys = TrustedKeys::parse([KEY]).expect("a key");
        let signature = keys.check(b"test", Some(SIGNATURE)).expect("good").expect("verified");
        assert_eq!(signature.key_id, "E7620F1842B4E81F");
        assert_eq!(signature.trusted_comment, "timestamp:1556193335\tfile:test");
        let other = SIGNATURE.replace("RUQf6LRCGA9i5", "RUQf6LRCGA9i6");
        let comment = SIGNATURE.replace("file:test", "file:best");
        for (bytes, signature, words) in [
            (&b"Test"[..], Some(SIGNATURE), "does not hold for these bytes"),
            (b"test", None, "it has no signature; trusted are E7620F1842B4E81F"),
            (b"test", Some("signed, sealed"), "malformed"),
            (b"test", Some(&other), "of another key"),
            (b"test", Some(&comment), "does not hold"),
        ] {
            let error = keys.check(bytes, signature).expect_err(words);
            assert!(error.to_string().contains(words), "no {words:?} in {error}");
        }
        let none = TrustedKeys::default();
        assert_eq!(none.check(b"test", None).expect("none is needed"), None);
        let error = none.check(b"test", Some(SIGNATURE)).expect_err("nobody is trusted");
        assert!(error.to_string().contains("no keys are trusted"), "{error}");
    }

    #[test]
    fn what_is_no_key_is_named() {
        for text in
            ["", "RWQf", "untrusted comment: minisign public key", &KEY[..55], &KEY.replace("RW", "XX")]
        {
            let error = TrustedKeys::parse([KEY, text]).expect_err(text).to_string();
            assert!(error.contains(&format!("{text:?} is no public key")), "{error}");
        }
    }
}
