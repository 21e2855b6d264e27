use super::{Finding, Outcome, ensure, finding, good};
use crate::{Choice, Component, PolicyProfile};

/// Check a component of `floret:policy`.
pub async fn policy(component: &Component, config: &str) -> Vec<Finding> {
    let suite = Suite { component, config };
    vec![
        finding("every content gets a choice with a valid level and reason", suite.chooses()).await,
        finding("the same question twice gets the same choice", suite.repeatable()).await,
        finding("choose-many answers as choose does", suite.many()).await,
        finding("extreme profiles are decided too", suite.extremes()).await,
    ]
}

struct Suite<'a> {
    component: &'a Component,
    config: &'a str,
}

impl Suite<'_> {
    async fn choose(&self, profiles: &[PolicyProfile]) -> Result<Vec<Choice>, String> {
        good(self.component.choose(profiles, self.config).await)
    }

    async fn one(&self, profile: &PolicyProfile) -> Result<Choice, String> {
        let mut choices = self.choose(std::slice::from_ref(profile)).await?;
        choices.pop().ok_or_else(|| "no choice".to_owned())
    }

    async fn chooses(&self) -> Outcome {
        for profile in profiles() {
            let choice = self.one(&profile).await?; // the call itself checks the level and the reason's length
            ensure(!choice.reason.is_empty(), || format!("no reason for {profile:?}"))?;
        }
        Ok(())
    }

    async fn repeatable(&self) -> Outcome {
        for profile in profiles() {
            let (one, two) = (self.one(&profile).await?, self.one(&profile).await?);
            ensure(one == two, || format!("{profile:?}: {one:?}, then {two:?}"))?;
        }
        Ok(())
    }

    async fn many(&self) -> Outcome {
        let profiles = profiles();
        let many = self.choose(&profiles).await?;
        for (profile, many) in profiles.iter().zip(many) {
            let one = self.one(profile).await?;
            ensure(one == many, || format!("{profile:?}: alone {one:?}, among many {many:?}"))?;
        }
        Ok(())
    }

    async fn extremes(&self) -> Outcome {
        let base = &profiles()[0];
        let long = PolicyProfile {
            namespace: "n".repeat(1_024),
            resource_type: "t".repeat(1_024),
            media_type: "m".repeat(1_024),
            flags: (0..1_000).map(|n| format!("flag_{n:04}")).collect(),
            ..base.clone()
        };
        let most = PolicyProfile { size_bytes: u64::MAX, items: Some(u64::MAX), ..base.clone() };
        let empty = PolicyProfile {
            size_bytes: 0,
            namespace: String::new(),
            resource_type: String::new(),
            media_type: String::new(),
            items: Some(0),
            flags: Vec::new(),
            entropy_bits_per_byte: 0.0,
        };
        self.choose(&[long, most, empty]).await.map(|_| ())
    }
}

/// Every mix of a few types, sizes, flags and entropies.
fn profiles() -> Vec<PolicyProfile> {
    let types = ["corpus", "trie", "semantic", "literature", "dictionary", "search", "unheard-of"];
    let sizes = [0, 100, 1 << 10, 100 << 10, 10 << 20, 1 << 40];
    let mut profiles = Vec::new();
    for resource_type in types {
        for size_bytes in sizes {
            for (flags, entropy) in
                [(&[][..], 4.5), (&["real_time"], 4.5), (&["archived", "real_time"], 7.99)]
            {
                profiles.push(PolicyProfile {
                    size_bytes,
                    namespace: "conformance".to_owned(),
                    resource_type: resource_type.to_owned(),
                    media_type: "application/octet-stream".to_owned(),
                    items: Some(size_bytes / 12),
                    flags: flags.iter().map(|flag: &&str| (*flag).to_owned()).collect(),
                    entropy_bits_per_byte: entropy,
                });
            }
        }
    }
    profiles
}
