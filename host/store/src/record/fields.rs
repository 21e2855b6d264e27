//! The fields of a BSON document, read by name, each as the type that it must have.

use bson::RawBsonRef;
use bson::raw::RawDocument;
use bytes::Bytes;
use floret_model::{Digest, Namespace, ResourceId, ResourceKey, ResourceType, Seq, TimestampMs, VersionRef};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub(super) type Problem = String;
pub(super) type Read<T> = Result<T, Problem>;

/// One field of a document, with its name for messages.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub name: &'a str,
    value: RawBsonRef<'a>,
}

/// Goes through a document's fields.
pub(super) fn fields<'a>(document: &'a RawDocument, mut each: impl FnMut(Field<'a>) -> Read<()>) -> Read<()> {
    for element in document.iter() {
        let (name, value) = element.map_err(|error| error.to_string())?;
        let name = name.as_str();
        each(Field { name, value })?;
    }
    Ok(())
}

impl<'a> Field<'a> {
    fn wrong(&self, expected: &str) -> Problem {
        format!("{} is not {expected}", self.name)
    }

    pub fn text(&self) -> Read<&'a str> {
        match self.value {
            RawBsonRef::String(text) => Ok(text),
            _ => Err(self.wrong("a string")),
        }
    }

    pub fn count(&self) -> Read<u64> {
        let value = match self.value {
            RawBsonRef::Int64(value) => value,
            RawBsonRef::Int32(value) => value.into(),
            _ => return Err(self.wrong("an integer")),
        };
        u64::try_from(value).map_err(|_| self.wrong("positive"))
    }

    pub fn level(&self) -> Read<i32> {
        match self.value {
            RawBsonRef::Int32(value) => Ok(value),
            _ => Err(self.wrong("an int32")),
        }
    }

    pub fn moment(&self) -> Read<TimestampMs> {
        match self.value {
            RawBsonRef::DateTime(at) => Ok(TimestampMs(at.timestamp_millis())),
            _ => Err(self.wrong("a datetime")),
        }
    }

    pub fn digest(&self) -> Read<Digest> {
        self.text()?.parse().map_err(|error| format!("{}: {error}", self.name))
    }

    pub fn document(&self) -> Read<&'a RawDocument> {
        match self.value {
            RawBsonRef::Document(document) => Ok(document),
            _ => Err(self.wrong("a document")),
        }
    }

    pub fn items(&self, mut each: impl FnMut(Field<'a>) -> Read<()>) -> Read<()> {
        let RawBsonRef::Array(array) = self.value else {
            return Err(self.wrong("an array"));
        };
        for item in array {
            let value = item.map_err(|error| format!("{}: {error}", self.name))?;
            each(Field { value, ..*self })?;
        }
        Ok(())
    }

    pub fn bytes(&self) -> Read<Bytes> {
        match self.value {
            RawBsonRef::Binary(binary) => Ok(Bytes::copy_from_slice(binary.bytes)),
            _ => Err(self.wrong("binary")),
        }
    }

    pub fn flag(&self) -> Read<bool> {
        match self.value {
            RawBsonRef::Boolean(value) => Ok(value),
            _ => Err(self.wrong("a boolean")),
        }
    }

    pub fn double(&self) -> Read<f64> {
        match self.value {
            RawBsonRef::Double(value) => Ok(value),
            _ => Err(self.wrong("a double")),
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self.value, RawBsonRef::Null)
    }

    /// Any JSON value. Three times as fast as through serde.
    pub fn json(&self) -> Read<Value> {
        Ok(match self.value {
            RawBsonRef::Null => Value::Null,
            RawBsonRef::Boolean(value) => value.into(),
            RawBsonRef::Int32(value) => value.into(),
            RawBsonRef::Int64(value) => value.into(),
            RawBsonRef::Double(value) => value.into(),
            RawBsonRef::String(text) => text.into(),
            RawBsonRef::Document(document) => Value::Object(object(document)?),
            RawBsonRef::Array(_) => {
                let mut items = Vec::new();
                self.items(|item| {
                    items.push(item.json()?);
                    Ok(())
                })?;
                Value::Array(items)
            }
            _ => return Err(self.wrong("a JSON value")),
        })
    }

    pub fn value<T: DeserializeOwned>(&self) -> Read<T> {
        bson::deserialize_from_slice(self.document()?.as_bytes())
            .map_err(|error| format!("{}: {error}", self.name))
    }

    pub fn name_of<T>(&self, new: impl FnOnce(&'a str) -> Result<T, floret_model::KeyError>) -> Read<T> {
        new(self.text()?).map_err(|error| error.to_string())
    }
}

pub(super) fn needed<T>(value: Option<T>, name: &str) -> Read<T> {
    value.ok_or_else(|| format!("{name} is missing"))
}

#[derive(Default)]
pub(super) struct Reference {
    namespace: Option<Namespace>,
    resource_type: Option<ResourceType>,
    resource_id: Option<ResourceId>,
    seq: Option<Seq>,
}

impl Reference {
    /// Takes the field if it is one of a reference.
    pub fn take(&mut self, field: Field<'_>) -> Read<bool> {
        match field.name {
            "namespace" => self.namespace = Some(field.name_of(Namespace::new)?),
            "resource_type" => self.resource_type = Some(field.name_of(ResourceType::new)?),
            "resource_id" => self.resource_id = Some(field.name_of(ResourceId::new)?),
            "seq" => self.seq = Some(Seq(field.count()?)),
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub fn finish(self) -> Read<VersionRef> {
        Ok(VersionRef {
            key: ResourceKey {
                namespace: needed(self.namespace, "namespace")?,
                resource_type: needed(self.resource_type, "resource_type")?,
                resource_id: needed(self.resource_id, "resource_id")?,
            },
            seq: needed(self.seq, "seq")?,
        })
    }
}

/// A document of JSON values.
pub(super) fn object(document: &RawDocument) -> Read<Map<String, Value>> {
    let mut map = Map::new();
    fields(document, |field| {
        map.insert(field.name.to_owned(), field.json()?);
        Ok(())
    })?;
    Ok(map)
}

/// What names a version.
pub(super) fn reference(document: &RawDocument) -> Read<VersionRef> {
    let mut reference = Reference::default();
    fields(document, |field| reference.take(field).map(drop))?;
    reference.finish()
}
