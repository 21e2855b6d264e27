use super::{Finding, Outcome, ensure, finding, good};
use crate::{Component, RetentionSubject, RetentionVerdict, VersionFacts};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Check a component of `floret:policy` with the interface `retention`.
pub async fn retention(component: &Component, config: &str) -> Vec<Finding> {
    let suite = Suite { component, config };
    vec![
        finding("every version gets a verdict with a reason", suite.judges()).await,
        finding("the same question twice gets the same verdicts", suite.repeatable()).await,
        finding("the latest and tagged versions are not to be dropped", suite.protected()).await,
        finding("a resource without versions has no verdicts", suite.none()).await,
        finding("extreme facts are judged too", suite.extremes()).await,
    ]
}

struct Suite<'a> {
    component: &'a Component,
    config: &'a str,
}

impl Suite<'_> {
    async fn keep(
        &self,
        subject: &RetentionSubject,
        versions: &[VersionFacts],
    ) -> Result<Vec<RetentionVerdict>, String> {
        good(self.component.keep(subject.clone(), versions.to_vec(), self.config).await)
    }

    async fn judges(&self) -> Outcome {
        for (subject, versions) in questions() {
            self.keep(&subject, &versions).await?; // the call itself checks the number and the reasons
        }
        Ok(())
    }

    async fn repeatable(&self) -> Outcome {
        for (subject, versions) in questions() {
            let one = self.keep(&subject, &versions).await?;
            let two = self.keep(&subject, &versions).await?;
            ensure(one == two, || format!("{subject:?}: {one:?}, then {two:?}"))?;
        }
        Ok(())
    }

    async fn protected(&self) -> Outcome {
        for (subject, versions) in questions() {
            let verdicts = self.keep(&subject, &versions).await?;
            for (version, verdict) in versions.iter().zip(verdicts) {
                let protected = version.latest || !version.tags.is_empty();
                ensure(verdict.keep || !protected, || {
                    format!("it would drop {version:?} of {subject:?}: {}", verdict.reason)
                })?;
            }
        }
        Ok(())
    }

    async fn none(&self) -> Outcome {
        let (subject, _) = &questions()[0];
        self.keep(subject, &[]).await.map(drop)
    }

    async fn extremes(&self) -> Outcome {
        let long = RetentionSubject {
            namespace: "n".repeat(1_024),
            resource_type: "t".repeat(1_024),
            id: "i".repeat(1_024),
            access_count: u64::MAX,
            last_access_age_ms: Some(u64::MAX),
        };
        let most = VersionFacts {
            seq: u64::MAX,
            semantic_version: "18446744073709551615.0.0-x".to_owned(),
            age_ms: u64::MAX,
            size_bytes: u64::MAX,
            stored_bytes: u64::MAX,
            tags: (0..1_000).map(|n| format!("tag-{n:04}")).collect(),
            latest: true,
            referenced: true,
        };
        let least = VersionFacts {
            seq: 1,
            semantic_version: String::new(),
            age_ms: 0,
            size_bytes: 0,
            stored_bytes: 0,
            tags: Vec::new(),
            latest: false,
            referenced: false,
        };
        self.keep(&long, &[most, least]).await.map(drop)
    }
}

/// Logs of several types and lengths, with tags, gaps and equal ages.
fn questions() -> Vec<(RetentionSubject, Vec<VersionFacts>)> {
    let types = ["corpus", "trie", "semantic", "literature", "dictionary", "search", "unheard-of"];
    let mut questions = Vec::new();
    for resource_type in types {
        for (length, spacing_ms) in [(1, 0), (7, 0), (40, 7 * 60 * 60 * 1000), (400, DAY_MS)] {
            let subject = RetentionSubject {
                namespace: "conformance".to_owned(),
                resource_type: resource_type.to_owned(),
                id: format!("{length} versions"),
                access_count: length,
                last_access_age_ms: (length > 1).then_some(spacing_ms),
            };
            let facts = |place: u64| VersionFacts {
                seq: 2 * (length - place),
                semantic_version: format!("1.{}.0", length - place),
                age_ms: place * spacing_ms,
                size_bytes: place << 10,
                stored_bytes: place << 9,
                tags: if place % 11 == 9 { vec!["release".to_owned()] } else { Vec::new() },
                latest: place == 0,
                referenced: place % 5 == 3,
            };
            questions.push((subject, (0..length).map(facts).collect()));
        }
    }
    questions
}
