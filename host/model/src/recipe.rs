use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Digest, DigestHasher, TimestampMs, canonical_json};

/// Everything that a build's result depends on. Its digest names the result before it is made.
#[derive(Clone, PartialEq, Debug)]
pub struct Recipe<'a> {
    /// The contract, e.g. `floret:corpus@0.1.0`.
    pub contract: &'a str,
    /// The function called, e.g. `build`.
    pub function: &'a str,
    /// SHA-256 of the component.
    pub component: Digest,
    /// The configuration that it sees.
    pub config: &'a Value,
    /// Role and content digest of each input, in order.
    pub inputs: &'a [(&'a str, Digest)],
    /// The engine profile.
    pub profile: &'a str,
}

impl Recipe<'_> {
    /// SHA-256 over all fields, each with its length before it; the configuration in canonical JSON.
    pub fn digest(&self) -> Digest {
        let mut hasher = DigestHasher::default();
        hasher.field(b"floret recipe 1");
        hasher.field(self.contract.as_bytes());
        hasher.field(self.function.as_bytes());
        hasher.field(self.component.as_bytes());
        hasher.field(&canonical_json(self.config));
        hasher.field(self.profile.as_bytes());
        for (role, digest) in self.inputs {
            hasher.field(role.as_bytes());
            hasher.field(digest.as_bytes());
        }
        hasher.finish()
    }
}

/// A build remembered.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Memo {
    /// Digest of the recipe.
    pub recipe: Digest,
    /// Digest of the output.
    pub output: Digest,
    /// Length of the output.
    pub output_bytes: u64,
    /// What the builder said of it.
    pub statistics: Value,
    /// How long it took, in milliseconds.
    pub build_time_ms: f64,
    /// When it was made.
    pub created_at: TimestampMs,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_field_of_a_recipe_changes_its_digest() {
        let config = json!({"a": 1});
        let inputs = [("document", Digest::of(b"x"))];
        let base = Recipe {
            contract: "floret:corpus@0.1.0",
            function: "build",
            component: Digest::of(b"component"),
            config: &config,
            inputs: &inputs,
            profile: "p",
        };
        let other_config = json!({"a": 2});
        let other_inputs = [("corpus", Digest::of(b"x"))];
        let twice = [inputs[0], inputs[0]];
        let mut digests = vec![
            base.digest(),
            Recipe { contract: "floret:corpus@0.2.0", ..base.clone() }.digest(),
            Recipe { function: "merge", ..base.clone() }.digest(),
            Recipe { component: Digest::of(b"other"), ..base.clone() }.digest(),
            Recipe { config: &other_config, ..base.clone() }.digest(),
            Recipe { inputs: &other_inputs, ..base.clone() }.digest(),
            Recipe { inputs: &twice, ..base.clone() }.digest(),
            Recipe { profile: "q", ..base.clone() }.digest(),
        ];
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), 8);
    }
}
