use floret_model::Digest;
use serde::Deserialize;

use super::Problem;
use crate::failure::SourceKind;

/// Of a manifest: what the OCI distribution specification has registries take at least.
pub(super) const MANIFEST_BYTES_MAX: u64 = 4 << 20;
/// What a registry is asked for.
pub(super) const ACCEPTED: &str =
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json";

const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const LAYER: &str = "application/wasm";
/// Names that a message lists.
const NAMED_MAX: usize = 5;

/// A manifest, as far as anybody needs it: of an image or artifact, or of several of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u64,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

/// What names a blob.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

/// Where the component itself is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Layer {
    pub digest: Digest,
    pub size_bytes: u64,
}

/// One of the manifests that an index lists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    pub digest: Digest,
    pub tag: Option<String>,
}

/// What a manifest turned out to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Read {
    Component(Layer),
    Index(Vec<Entry>),
}

fn other(text: String) -> Problem {
    Problem::new(SourceKind::NotAComponent, text)
}

/// Read a manifest or an index of them.
pub(super) fn read(bytes: &[u8], component_bytes_max: u64) -> Result<Read, Problem> {
    let manifest: Manifest = serde_json::from_slice(bytes)
        .map_err(|error| other(format!("what is there is no OCI manifest: {error}")))?;
    if manifest.schema_version != 2 {
        let version = manifest.schema_version;
        return Err(other(format!("its manifest is of schema version {version}: expected 2")));
    }
    if let Some(manifests) = &manifest.manifests {
        let entry = |it: &Descriptor| {
            let tag = it.annotations.get("org.opencontainers.image.ref.name").cloned();
            Ok(Entry { digest: sha256(it)?, tag })
        };
        return manifests.iter().map(entry).collect::<Result<_, _>>().map(Read::Index);
    }
    let config = manifest.config.as_ref().map_or("", |config| &config.media_type);
    if config != CONFIG {
        return Err(other(format!(
            "what is there is no WebAssembly component: its configuration is of the type {config:?}, and {CONFIG:?} was expected"
        )));
    }
    let [layer] = manifest.layers.as_deref().unwrap_or_default() else {
        let count = manifest.layers.as_ref().map_or(0, Vec::len);
        return Err(other(format!("its manifest has {count} layers: expected one, {LAYER}")));
    };
    if layer.media_type != LAYER {
        return Err(other(format!("its layer is of the type {:?}: expected {LAYER:?}", layer.media_type)));
    }
    if layer.size > component_bytes_max {
        return Err(Problem::too_large("the component", layer.size, component_bytes_max));
    }
    Ok(Read::Component(Layer { digest: sha256(layer)?, size_bytes: layer.size }))
}

fn sha256(descriptor: &Descriptor) -> Result<Digest, Problem> {
    let digits = descriptor.digest.strip_prefix("sha256:").and_then(|digits| digits.parse().ok());
    digits.ok_or_else(|| other(format!("it names {:?}: expected a digest by sha256", descriptor.digest)))
}

/// The one manifest that an index lists, or the one with a tag.
pub(super) fn pick(entries: &[Entry], tag: Option<&str>) -> Result<Digest, Problem> {
    let fitting: Vec<&Entry> =
        entries.iter().filter(|entry| tag.is_none_or(|tag| entry.tag.as_deref() == Some(tag))).collect();
    let named = |entry: &Entry| match &entry.tag {
        Some(tag) => format!("{tag} (sha256:{})", entry.digest),
        None => format!("sha256:{}", entry.digest),
    };
    let listed = entries.iter().take(NAMED_MAX).map(named).collect::<Vec<_>>().join(", ");
    match (fitting.as_slice(), tag) {
        ([entry], _) => Ok(entry.digest),
        ([], Some(tag)) => {
            Err(Problem::new(SourceKind::NotFound, format!("there is no tag {tag:?}: there are {listed}")))
        }
        ([], None) => Err(Problem::new(SourceKind::NotFound, "its index lists nothing")),
        (several, _) => Err(other(format!(
            "its index lists {} manifests: name one by @sha256:DIGEST; there are {listed}",
            several.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn artifact() -> Value {
        let digest = format!("sha256:{}", Digest::of(b"component"));
        json!({
            "schemaVersion": 2,
            "config": {"mediaType": CONFIG, "digest": digest, "size": 2},
            "layers": [{"mediaType": LAYER, "digest": digest, "size": 9}],
        })
    }

    #[test]
    fn a_manifest_of_a_component_names_its_layer() {
        let found = read(artifact().to_string().as_bytes(), 9).expect("a component");
        assert_eq!(found, Read::Component(Layer { digest: Digest::of(b"component"), size_bytes: 9 }));
    }

    #[test]
    fn whatever_else_is_there_is_named() {
        let with = |change: &dyn Fn(&mut Value)| {
            let mut manifest = artifact();
            change(&mut manifest);
            manifest.to_string()
        };
        for (manifest, words) in [
            (String::new(), "no OCI manifest"),
            ("<html>".to_owned(), "no OCI manifest"),
            ("[]".to_owned(), "no OCI manifest"),
            (with(&|it| it["schemaVersion"] = json!(1)), "schema version 1: expected 2"),
            (
                with(&|it| it["config"]["mediaType"] = json!("application/vnd.oci.image.config.v1+json")),
                "its configuration is of the type \"application/vnd.oci.image.config.v1+json\"",
            ),
            (with(&|it| it["config"] = Value::Null), "is of the type \"\""),
            (with(&|it| it["layers"] = json!([])), "0 layers: expected one"),
            (
                with(&|it| it["layers"][0]["mediaType"] = json!("application/tar")),
                "\"application/tar\": expected",
            ),
            (
                with(&|it| it["layers"][0]["digest"] = json!("md5:00")),
                "\"md5:00\": expected a digest by sha256",
            ),
            (with(&|it| it["layers"][0]["digest"] = json!("sha256:../../x")), "expected a digest by sha256"),
            (with(&|it| it["layers"][0]["size"] = json!(10)), "has 10 bytes, and at most 9"),
            (with(&|it| it["layers"][0]["size"] = json!(-1)), "no OCI manifest"),
        ] {
            let problem = read(manifest.as_bytes(), 9).expect_err(words);
            assert!(problem.text.contains(words), "no {words:?} in {}", problem.text);
        }
    }

    #[test]
    fn one_manifest_is_picked_from_an_index_or_none() {
        let entry = |text: &str, tag: Option<&str>| Entry {
            digest: Digest::of(text.as_bytes()),
            tag: tag.map(str::to_owned),
        };
        let (one, two) = (entry("1", Some("a")), entry("2", Some("b")));
        assert_eq!(pick(std::slice::from_ref(&one), None).expect("the only one"), one.digest);
        let both = [one, two.clone()];
        assert_eq!(pick(&both, Some("b")).expect("by its tag"), two.digest);
        for (entries, tag, words) in [
            (&both[..], None, "lists 2 manifests"),
            (&both, Some("c"), "no tag \"c\": there are a (sha256:"),
            (&[], None, "lists nothing"),
        ] {
            let problem = pick(entries, tag).expect_err(words);
            assert!(problem.text.contains(words), "no {words:?} in {}", problem.text);
        }
    }
}
