//! Asking a component what it is, and not believing it.

use std::collections::BTreeSet;
use std::sync::Arc;

use semver::Version;

use crate::component::Bound;
use crate::contract::types_v0_1::types;
use crate::contract::{
    CORPUS_MEDIA_TYPE, ContractKind, Description, Mode, corpus_v0_1 as corpus, index, policy,
    retention_v0_2 as retention,
};
use crate::error::{Error, Site};
use crate::instance::{Deadline, Job, store};
use crate::limits::LimitKind;
use crate::runtime::Shared;
use crate::stopped::stopped;
use crate::wasi::World;

const NAME_BYTES_MAX: usize = 64;
const SUMMARY_BYTES_MAX: usize = 1_024;
const MEDIA_TYPE_BYTES_MAX: usize = 256;
const SCHEMA_BYTES_MAX: usize = 64 << 10;

/// Call `describe`, and `modes` of an index, once.
pub(crate) fn describe(
    shared: &Shared,
    bound: &Bound,
    site: &Site,
) -> Result<(Description, Vec<Mode>), Error> {
    let limits = &shared.limits;
    let deadline = Deadline::after(limits.query_timeout, LimitKind::QueryTime, None);
    // Its name is not known yet: the site has the beginning of its digest.
    let world = World::seeded(site.component.as_bytes(), site, "", &[]);
    let job = Job::new(Arc::new(site.clone()), Vec::new(), limits, deadline).in_world(world);
    let mut store = store(bound.engine(), limits, job);
    let _ticking = shared.engines.ticker.in_flight();
    let answer = match bound {
        Bound::Corpus(pre) => corpus::describe(pre, &mut store).map(|told| (told, Vec::new())),
        Bound::Index { build, .. } => index::describe(build, &mut store),
        Bound::Policy(pre) => policy::describe(pre, &mut store).map(|told| (told, Vec::new())),
        Bound::Retention(pre) => retention::describe(pre, &mut store).map(|told| (told, Vec::new())),
    };
    let (told, modes) = answer.map_err(|error| stopped(&error, site, limits, store.data_mut()))?;
    let malformed = |text| Error::Malformed { at: Box::new(site.clone()), text };
    let kind = bound.kind();
    if kind == ContractKind::Index {
        check_modes(&modes).map_err(malformed)?;
    }
    let version = check_description(&told, kind).map_err(malformed)?;
    let config_schema = parse_schema(&told.config_schema).map_err(|text| {
        let component = format!("{}@{version}", told.name);
        Error::InvalidSchema { at: Box::new(Site { component, ..site.clone() }), text }
    })?;
    let types::Description { name, summary, output_media_type, .. } = told;
    Ok((Description { name, version, summary, output_media_type, config_schema }, modes))
}

fn check_modes(modes: &[Mode]) -> Result<(), String> {
    let distinct: BTreeSet<_> = modes.iter().collect();
    if modes.is_empty() || distinct.len() != modes.len() {
        return Err(format!("the modes are {modes:?}: expected at least one, each once"));
    }
    Ok(())
}

/// What it says of itself but for the schema; the answer is its version.
fn check_description(told: &types::Description, kind: ContractKind) -> Result<Version, String> {
    let letters = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if told.name.is_empty() || told.name.len() > NAME_BYTES_MAX || !told.name.bytes().all(letters) {
        return Err(format!(
            "the name is {:?}: expected 1 to {NAME_BYTES_MAX} lower-case letters, digits and hyphens",
            crate::instance::cut(&told.name, 80)
        ));
    }
    let version = Version::parse(&told.version).map_err(|error| {
        let version = crate::instance::cut(&told.version, 80);
        format!("the version is {version:?}: {error}; expected a semantic version such as 0.1.0")
    })?;
    bounded("summary", &told.summary, SUMMARY_BYTES_MAX)?;
    bounded("output media type", &told.output_media_type, MEDIA_TYPE_BYTES_MAX)?;
    let media_type = told.output_media_type.as_str();
    let fits = match kind {
        ContractKind::Corpus => media_type == CORPUS_MEDIA_TYPE,
        ContractKind::Index => media_type.contains('/') && !media_type.contains(char::is_control),
        ContractKind::Policy | ContractKind::Retention => media_type.is_empty(),
    };
    if !fits {
        let expected = match kind {
            ContractKind::Corpus => CORPUS_MEDIA_TYPE,
            ContractKind::Index => "a media type with its version",
            ContractKind::Policy | ContractKind::Retention => "nothing, since a policy writes nothing",
        };
        return Err(format!("the output media type is {media_type:?}: expected {expected}"));
    }
    Ok(version)
}

fn parse_schema(text: &str) -> Result<serde_json::Value, String> {
    bounded("schema", text, SCHEMA_BYTES_MAX)?;
    let schema: serde_json::Value =
        serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    if !schema.is_object() {
        return Err("it is not a JSON object".to_owned());
    }
    Ok(schema)
}

fn bounded(what: &str, text: &str, bytes_max: usize) -> Result<(), String> {
    if text.len() > bytes_max {
        return Err(format!("the {what} has {} bytes: at most {bytes_max} are allowed", text.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> types::Description {
        types::Description {
            name: "trie-fst".into(),
            version: "0.1.0".into(),
            summary: "A trie".into(),
            output_media_type: "application/vnd.x; version=1".into(),
            config_schema: "{}".into(),
        }
    }

    fn check(change: impl FnOnce(&mut types::Description), kind: ContractKind, expected: &str) {
        let mut changed = told();
        change(&mut changed);
        let fault = check_description(&changed, kind).expect_err(expected);
        assert!(fault.contains(expected), "{fault:?} does not tell {expected:?}");
    }

    #[test]
    fn descriptions_are_checked() {
        let index = ContractKind::Index;
        assert!(check_description(&told(), index).is_ok());
        check(|told| told.name = "Trie".into(), index, "the name is \"Trie\"");
        check(|told| told.name = "x".repeat(65), index, "1 to 64");
        check(|told| told.version = "1".into(), index, "the version is \"1\"");
        check(|told| told.summary = "x".repeat(1_025), index, "the summary has 1025 bytes");
        check(|told| told.output_media_type = String::new(), index, "a media type");
        check(|_| {}, ContractKind::Corpus, "text/vnd.floret.corpus; version=1");
        check(|_| {}, ContractKind::Policy, "expected nothing");
    }

    #[test]
    fn schemas_are_bounded_and_are_json_objects() {
        for (schema, expected) in [
            ("{", "it is not JSON"),
            ("[]", "it is not a JSON object"),
            (&*" ".repeat(65_537), "the schema has 65537 bytes: at most 65536 are allowed"),
        ] {
            let fault = parse_schema(schema).expect_err(expected);
            assert!(fault.contains(expected), "{fault:?} does not tell {expected:?}");
        }
        assert!(parse_schema(&format!("{{}}{}", " ".repeat(65_534))).is_ok());
    }

    #[test]
    fn modes_stand_once_each() {
        assert!(check_modes(&[Mode::Exact, Mode::Fuzzy]).is_ok());
        assert!(check_modes(&[]).is_err());
        assert!(check_modes(&[Mode::Exact, Mode::Exact]).is_err());
    }
}
