//! Asking the policy component how to store contents.

use floret_model::{
    Codec, CompressionType, Metadata, Namespace, PolicyDecision, PolicyQuestion, ResourceKey,
};
use floret_runtime::{Choice, PolicyProfile};
use serde_json::Map;

use crate::plugins::POLICY_BINDING;
use crate::{Error, Floret};

/// Bytes of a content that its entropy is taken of.
pub(crate) const SAMPLE_BYTES: usize = 64 << 10;

/// What the policy is told of a content.
pub(crate) struct Facts<'a> {
    pub key: &'a ResourceKey,
    pub media_type: &'a str,
    pub metadata: &'a Metadata,
    pub size_bytes: u64,
    /// The first `SAMPLE_BYTES` of the content, or all of it.
    pub sample: &'a [u8],
}

/// How to store a content, and who says so.
pub(crate) type Decision = (Codec, Option<PolicyDecision>);

impl Floret {
    /// One decision for each content, in order, in one call of the component. Components and bindings are not
    /// asked about: a broken policy must not keep a better one from being installed.
    pub(crate) async fn decide(&self, facts: &[Facts<'_>]) -> Result<Vec<Decision>, Error> {
        let plugins = Namespace::plugins();
        let asked: Vec<&Facts<'_>> = facts.iter().filter(|fact| fact.key.namespace != plugins).collect();
        let answers = if asked.is_empty() { Vec::new() } else { self.ask(&asked).await? };
        let mut answers = answers.into_iter();
        let own = Codec { compression: CompressionType::Zstd, level: 3 };
        let decide = |fact: &Facts<'_>| match fact.key.namespace == plugins {
            true => (own, None),
            false => answers.next().expect("the component answered as many times as it was asked"),
        };
        Ok(facts.iter().map(decide).collect())
    }

    async fn ask(&self, facts: &[&Facts<'_>]) -> Result<Vec<Decision>, Error> {
        let bound = self.bound(POLICY_BINDING).await?;
        let config = bound.config_with(&Map::new())?.to_string();
        let profiles: Vec<PolicyProfile> = facts.iter().map(|fact| profile(fact)).collect();
        let choices = self.guarded(&bound, bound.component.choose(&profiles, &config)).await?;
        let policy = bound.component.label();
        let decide = |(choice, profile): (Choice, PolicyProfile)| {
            let decision = PolicyDecision {
                policy: policy.clone(),
                digest: bound.component.digest(),
                reason: choice.reason,
                entropy_bits_per_byte: profile.entropy_bits_per_byte,
                asked: Some(PolicyQuestion {
                    component: bound.plugin.reference(),
                    config: bound.config.clone(),
                    size_bytes: profile.size_bytes,
                    namespace: profile.namespace,
                    resource_type: profile.resource_type,
                    media_type: profile.media_type,
                    items: profile.items,
                    flags: profile.flags,
                    codec: choice.codec,
                    delta: choice.delta,
                }),
            };
            (choice.codec, Some(decision))
        };
        Ok(choices.into_iter().zip(profiles).map(decide).collect())
    }
}

fn profile(fact: &Facts<'_>) -> PolicyProfile {
    PolicyProfile {
        size_bytes: fact.size_bytes,
        namespace: fact.key.namespace.to_string(),
        resource_type: fact.key.resource_type.to_string(),
        media_type: fact.media_type.to_owned(),
        items: fact.metadata.items(),
        flags: fact.metadata.flags(),
        entropy_bits_per_byte: entropy_bits_per_byte(fact.sample),
    }
}

/// Shannon entropy of the bytes' frequencies, 0.0 to 8.0; 0.0 for no bytes.
pub fn entropy_bits_per_byte(sample: &[u8]) -> f32 {
    let mut counts = [0u32; 256];
    for byte in sample {
        counts[usize::from(*byte)] += 1;
    }
    let total = sample.len() as f32;
    let bits = |count: &u32| -(*count as f32 / total) * (*count as f32 / total).log2();
    counts.iter().filter(|count| **count > 0).map(bits).sum::<f32>().clamp(0.0, 8.0)
}

#[cfg(test)]
mod tests {
    use super::entropy_bits_per_byte;

    #[test]
    fn entropy_is_that_of_the_byte_frequencies() {
        assert_eq!(entropy_bits_per_byte(b""), 0.0);
        assert_eq!(entropy_bits_per_byte(b"aaaa"), 0.0);
        assert_eq!(entropy_bits_per_byte(b"abab"), 1.0);
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(entropy_bits_per_byte(&all), 8.0);
    }
}
