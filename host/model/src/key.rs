use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Longest namespace and resource type, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 64;
/// Longest resource id, in bytes.
pub(crate) const ID_BYTES_MAX: usize = 512;

/// A name that cannot be used, and what is expected instead.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum KeyError {
    /// A namespace or type outside its alphabet or length.
    #[error(
        "{what} {got:?} is not valid: expected 1 to 64 lower-case letters, digits, '-', '_' or '.', beginning with a letter or digit"
    )]
    Name {
        /// `namespace` or `resource type`.
        what: &'static str,
        /// What came, cut to 80 characters.
        got: String,
    },
    /// An id that is empty, too long or holds a control character.
    #[error(
        "resource id {got:?} is not valid: {problem}; expected 1 to 512 bytes of UTF-8 without control characters"
    )]
    Id {
        /// What came, cut to 80 characters.
        got: String,
        /// Which rule it breaks.
        problem: &'static str,
    },
    /// A text that does not have the three parts of a key.
    #[error("{got:?} does not name a resource: expected TYPE/ID or NAMESPACE:TYPE/ID, e.g. corpus/lincoln")]
    Key {
        /// What came, cut to 80 characters.
        got: String,
    },
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

fn check_name(what: &'static str, text: &str) -> Result<(), KeyError> {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    let good = (1..=NAME_BYTES_MAX).contains(&text.len())
        && allowed(text.as_bytes()[0])
        && text.bytes().all(|byte| allowed(byte) || matches!(byte, b'-' | b'_' | b'.'));
    if good { Ok(()) } else { Err(KeyError::Name { what, got: cut(text) }) }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:expr, $schema:tt) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name, if it is valid.
            ///
            /// # Errors
            /// [`KeyError`] says which rule the text breaks.
            pub fn new(text: impl AsRef<str>) -> Result<Self, KeyError> {
                let text = text.as_ref();
                $check(text)?;
                Ok(Self(text.into()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl TryFrom<String> for $name {
            type Error = KeyError;
            fn try_from(text: String) -> Result<Self, KeyError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl FromStr for $name {
            type Err = KeyError;
            fn from_str(text: &str) -> Result<Self, KeyError> {
                Self::new(text)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

name!(
    /// A space of resources: the same id in two namespaces names two resources.
    Namespace,
    |text: &str| check_name("namespace", text),
    {
        "description": "A space of resources: the same id in two namespaces names two resources.",
        "type": "string",
        "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$",
        "examples": ["default"],
    }
);
name!(
    /// What kind of thing a resource is: `literature`, `corpus`, `trie` …, or a type that a binding makes known.
    ResourceType,
    |text: &str| check_name("resource type", text),
    {
        "description": "What kind of thing a resource is: a built-in type, or one that a binding makes known.",
        "type": "string",
        "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$",
        "examples": ["corpus"],
    }
);
name!(
    /// Which resource of its type: any UTF-8 of 1 to 512 bytes without control characters. `/`, spaces, `..`
    /// and emoji are ordinary: no path is ever made of an id.
    ResourceId,
    |text: &str| {
        let problem = match text.len() {
            0 => "it is empty",
            1..=ID_BYTES_MAX if text.chars().any(char::is_control) => "it holds a control character",
            1..=ID_BYTES_MAX => return Ok(()),
            _ => "it is too long",
        };
        Err(KeyError::Id { got: cut(text), problem })
    },
    {
        "description": "Which resource of its type: 1 to 512 bytes of UTF-8 without control characters.",
        "type": "string",
        "minLength": 1,
        "maxLength": 512,
        "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]+$",
        "examples": ["lincoln"],
    }
);

impl Namespace {
    /// `default`: where resources live that name no other namespace.
    pub fn default_namespace() -> Self {
        Self("default".into())
    }

    /// `plugins`: where components and bindings live.
    pub fn plugins() -> Self {
        Self("plugins".into())
    }
}

macro_rules! types {
    ($($(#[$doc:meta])* $constructor:ident = $text:literal),* $(,)?) => {
        impl ResourceType {
            $($(#[$doc])* pub fn $constructor() -> Self { Self($text.into()) })*
            /// The types that need no binding to be known.
            pub const BUILT_IN: &[&str] = &[$($text),*];
        }
    };
}
types!(
    /// A dictionary entry (M9).
    dictionary = "dictionary",
    /// A text (M15).
    literature = "literature",
    /// A corpus (M10).
    corpus = "corpus",
    /// A trie index (M16).
    trie = "trie",
    /// A semantic index (M14).
    semantic = "semantic",
    /// A composite search index (M17).
    search = "search",
    /// A component.
    plugin = "plugin",
    /// Which component builds a type, and how it is configured.
    binding = "binding",
);

/// Names a resource.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceKey {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its type.
    pub resource_type: ResourceType,
    /// Its id.
    pub resource_id: ResourceId,
}

impl ResourceKey {
    /// A key from its parts.
    pub fn new(namespace: Namespace, resource_type: ResourceType, resource_id: ResourceId) -> Self {
        Self { namespace, resource_type, resource_id }
    }

    /// A key from texts.
    ///
    /// # Errors
    /// [`KeyError`] names the first part that is not valid.
    pub fn parse(namespace: &str, resource_type: &str, resource_id: &str) -> Result<Self, KeyError> {
        Ok(Self::new(
            Namespace::new(namespace)?,
            ResourceType::new(resource_type)?,
            ResourceId::new(resource_id)?,
        ))
    }

    /// Unambiguous bytes: `namespace NUL type NUL id`; sorts by namespace, type, id. No part holds a NUL.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_after(None)
    }

    /// The bytes of [`encode`](Self::encode) behind a prefix, in one allocation.
    pub fn encode_after(&self, prefix: impl IntoIterator<Item = u8>) -> Vec<u8> {
        let pieces = self.pieces();
        let mut bytes = Vec::with_capacity(2 + pieces.iter().map(|piece| piece.len()).sum::<usize>());
        bytes.extend(prefix);
        pieces.iter().for_each(|piece| bytes.extend_from_slice(piece));
        bytes
    }

    /// What [`encode`](Self::encode) puts together, for those who need no memory of their own for it.
    pub fn pieces(&self) -> [&[u8]; 5] {
        let Self { namespace, resource_type, resource_id } = self;
        let [namespace, resource_type] = [namespace.as_str(), resource_type.as_str()];
        [namespace.as_bytes(), &[0], resource_type.as_bytes(), &[0], resource_id.as_str().as_bytes()]
    }

    /// The key that [`encode`](Self::encode) wrote; `None` for other bytes.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(bytes).ok()?.splitn(3, '\0');
        Self::parse(parts.next()?, parts.next()?, parts.next()?).ok()
    }
}

/// `NAMESPACE:TYPE/ID`, without the namespace where it is `default`.
impl fmt::Display for ResourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.as_str() != "default" {
            write!(f, "{}:", self.namespace)?;
        }
        write!(f, "{}/{}", self.resource_type, self.resource_id)
    }
}

/// Reads `TYPE/ID` or `NAMESPACE:TYPE/ID`. The id is everything after the first `/`, whatever it holds.
impl FromStr for ResourceKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (place, id) = text.split_once('/').ok_or_else(|| KeyError::Key { got: cut(text) })?;
        let (namespace, resource_type) = place.split_once(':').unwrap_or(("default", place));
        Self::parse(namespace, resource_type, id)
    }
}

/// Place of a version in its resource's log: 1, 2, 3 … without gaps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// The first.
    pub const FIRST: Self = Self(1);

    /// The one after.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The one before; `None` for the first.
    pub fn previous(self) -> Option<Self> {
        (self.0 > 1).then(|| Self(self.0 - 1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl JsonSchema for Seq {
    fn schema_name() -> Cow<'static, str> {
        "Seq".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Place of a version in its resource's log: 1, 2, 3 … without gaps.",
            "type": "integer",
            "format": "uint64",
            "minimum": 1,
            "examples": [1],
        })
    }
}

/// Names one version.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
pub struct VersionRef {
    /// Of which resource.
    #[serde(flatten)]
    pub key: ResourceKey,
    /// Which.
    pub seq: Seq,
}

impl fmt::Display for VersionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.key, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v4_keys_with_odd_ids_stay_apart() {
        let ids = ["a/b", "a b", "..", "../../etc/passwd", "😀", "a@1", "a:b", "ü"];
        for id in ids {
            let key = ResourceKey::parse("default", "corpus", id).expect("an ordinary id");
            assert_eq!(ResourceKey::decode(&key.encode()).as_ref(), Some(&key), "{id}");
            assert_eq!(key.to_string().parse::<ResourceKey>().as_ref(), Ok(&key), "{id}");
            let elsewhere = ResourceKey::parse("other", "corpus", id).expect("an ordinary id");
            assert_ne!(key.encode(), elsewhere.encode());
        }
    }

    #[test]
    fn bad_names_say_what_is_expected() {
        for (text, expected) in
            [("", "empty"), ("a\nb", "control character"), ("\u{7f}", "control character")]
        {
            let message = ResourceId::new(text).expect_err(text).to_string();
            assert!(message.contains(expected), "{message}");
        }
        assert!(ResourceId::new("x".repeat(513)).expect_err("long").to_string().contains("too long"));
        for text in ["", "A", "-a", "a b", "ä"] {
            assert!(Namespace::new(text).expect_err(text).to_string().contains("namespace"));
        }
        assert!("lincoln".parse::<ResourceKey>().expect_err("no type").to_string().contains("TYPE/ID"));
    }
}
