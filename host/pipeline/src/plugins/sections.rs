//! What the maker of a component wrote into it: the custom sections that `wasm-tools metadata` shows, read as they are.

use std::collections::BTreeMap;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wasmparser::{Parser, Payload, ProducersSectionReader};

/// A text longer than this is cut: it is for people.
const TEXT_BYTES_MAX: usize = 1_024;
/// Values of the producers section that are kept.
const PRODUCERS_MAX: usize = 64;

/// The metadata of a component, as far as it has any. Nothing of it is verified.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ComponentMetadata {
    /// Who made it.
    pub authors: Option<String>,
    /// What it is, in a sentence.
    pub description: Option<String>,
    /// An SPDX expression, as a rule.
    pub licenses: Option<String>,
    /// Where its source code is.
    pub source: Option<String>,
    /// Where to read about it.
    pub homepage: Option<String>,
    /// The commit that it was built from.
    pub revision: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// What it was made with: `language`, `processed-by`, `sdk`, each with names and versions.
    pub producers: BTreeMap<String, Vec<String>>,
}

/// Read the sections of the component itself; the producers also of the modules in it, where compilers leave them.
/// Sections that cannot be read are passed over.
pub(crate) fn read(component: &Bytes) -> ComponentMetadata {
    let mut found = ComponentMetadata::default();
    let mut depth = 0u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload {
            Ok(Payload::Version { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
            Ok(Payload::CustomSection(section)) if section.name() == "producers" => {
                if let wasmparser::KnownCustom::Producers(producers) = section.as_known() {
                    // A section that is cut is of no use to anybody.
                    let _ = add_producers(producers, &mut found.producers);
                }
            }
            Ok(Payload::CustomSection(section)) if depth == 1 => {
                let place = match section.name() {
                    "authors" => &mut found.authors,
                    "description" => &mut found.description,
                    "licenses" => &mut found.licenses,
                    "source" => &mut found.source,
                    "homepage" => &mut found.homepage,
                    "revision" => &mut found.revision,
                    "version" => &mut found.version,
                    _ => continue,
                };
                *place = text(section.data());
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    found
}

fn add_producers(
    section: ProducersSectionReader<'_>,
    into: &mut BTreeMap<String, Vec<String>>,
) -> wasmparser::Result<()> {
    for field in section {
        let field = field?;
        for value in field.values {
            let value = value?;
            let (Some(name), Some(version)) = (text(field.name.as_bytes()), text(value.name.as_bytes()))
            else {
                continue;
            };
            let said = [version.as_str(), value.version].join(" ");
            let values = into.entry(name).or_default();
            let said = said.trim().to_owned();
            if values.len() < PRODUCERS_MAX && !values.contains(&said) {
                values.push(said);
            }
        }
    }
    Ok(())
}

/// The text of a section, cut to its bound, without control characters: it goes to terminals.
fn text(bytes: &[u8]) -> Option<String> {
    let mut text = std::str::from_utf8(bytes).ok()?;
    if text.len() > TEXT_BYTES_MAX {
        let end = (0..=TEXT_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end))?;
        text = &text[..end];
    }
    let text: String = text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component with one custom section.
    fn with_section(name: &str, data: &[u8]) -> Bytes {
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        let length = u8::try_from(1 + name.len() + data.len()).expect("a short section");
        bytes.extend([0, length, u8::try_from(name.len()).expect("a short name")]);
        bytes.extend(name.as_bytes());
        bytes.extend(data);
        bytes.into()
    }

    #[test]
    fn sections_are_read_and_what_is_no_text_is_not() {
        assert_eq!(read(&Bytes::new()), ComponentMetadata::default());
        assert_eq!(read(&with_section("authors", &[0xff])), ComponentMetadata::default());
        assert_eq!(read(&with_section("other", b"text")), ComponentMetadata::default());
        assert_eq!(read(&with_section("producers", &[9, 9])), ComponentMetadata::default());
        let read = read(&with_section("authors", b"Ada\x1b[31m"));
        assert_eq!(read.authors.as_deref(), Some("Ada [31m"));
    }
}
