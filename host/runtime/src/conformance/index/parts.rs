use std::fmt::Write;

use super::{Finding, Outcome, ensure, finding, good, refused};
use crate::component::Loaded;
use crate::parts;
use crate::{CORPUS_MEDIA_TYPE, Component, Error, Input};

/// Lines of the large corpus: some 750 kB, enough for a component that splits at all to split it.
const LINES: u32 = 50_000;

/// Check how an index component splits its builds. One whose version of the contract has no parts has nothing to check
/// here, and one that does not split even the large corpus only that it says so alike.
pub(super) async fn parts(component: &Component, config: &str) -> Vec<Finding> {
    if component.loaded().index().is_ok_and(|(build, _)| build.splitting().is_none()) {
        return Vec::new();
    }
    let suite = Suite { component, config };
    let mut findings = vec![
        finding("the number of parts is the same every time", suite.counted()).await,
        finding("parts merged are the whole build", suite.equal()).await,
    ];
    if parts::count(component.loaded(), &large(), config).await.is_ok_and(|parts| parts > 1) {
        findings.extend([
            finding("the same part twice is the same bytes", suite.repeatable()).await,
            finding("parts of another build are invalid-input", suite.foreign()).await,
        ]);
    }
    findings
}

/// Two corpora, one of them large.
fn large() -> Vec<Input> {
    let mut words: Vec<u32> = (0..LINES).map(|n| n.wrapping_mul(2_654_435_761)).collect();
    words.sort_unstable();
    let mut lines = String::new();
    for (at, word) in words.iter().enumerate() {
        writeln!(lines, "w{word:08x}é\t{}", at % 97 + 1).expect("a string takes everything");
    }
    vec![corpus(lines), corpus("bear\t1\nw00000000é\t7\n".to_owned())]
}

fn corpus(lines: String) -> Input {
    Input::new("corpus", CORPUS_MEDIA_TYPE, lines.into_bytes())
}

struct Suite<'a> {
    component: &'a Component,
    config: &'a str,
}

impl Suite<'_> {
    fn loaded(&self) -> &std::sync::Arc<Loaded> {
        self.component.loaded()
    }

    async fn count(&self, corpora: &[Input]) -> Result<u32, String> {
        good(parts::count(self.loaded(), corpora, self.config).await)
    }

    async fn every(&self, corpora: &[Input]) -> Result<Vec<Input>, String> {
        let count = self.count(corpora).await?;
        let mut every = Vec::new();
        // The last first: a part must not count on those before it.
        for part in (0..count).rev() {
            let built = parts::part(self.loaded(), corpora.to_vec(), self.config, part, count).await;
            every.push(parts::as_input(good(built)?));
        }
        every.reverse();
        Ok(every)
    }

    async fn merge(&self, parts: Vec<Input>, corpora: &[Input]) -> Result<(), Error> {
        parts::merge(self.loaded(), parts, corpora.to_vec(), self.config).await.map(drop)
    }

    async fn counted(&self) -> Outcome {
        for corpora in [large(), vec![corpus(String::new())]] {
            let (one, two) = (self.count(&corpora).await?, self.count(&corpora).await?);
            ensure(one == two, || format!("{one} parts, then {two}"))?;
        }
        Ok(())
    }

    async fn equal(&self) -> Outcome {
        for corpora in [large(), vec![corpus("act\t3\n".to_owned())], vec![corpus(String::new())]] {
            let whole = good(parts::whole(self.loaded(), corpora.clone(), self.config).await)?;
            let built = good(self.component.build_index(corpora, self.config).await)?;
            ensure(whole.bytes == built.bytes, || {
                format!("{} bytes as a whole, {} others in parts", whole.bytes.len(), built.bytes.len())
            })?;
            ensure(whole.statistics == built.statistics, || {
                format!("{:?} as a whole, {:?} in parts", whole.statistics, built.statistics)
            })?;
        }
        Ok(())
    }

    async fn repeatable(&self) -> Outcome {
        let corpora = large();
        let (one, two) = (self.every(&corpora).await?, self.every(&corpora).await?);
        let differs = one.iter().zip(&two).position(|(one, two)| one.digest != two.digest);
        ensure(differs.is_none(), || format!("part {} is not what it was", differs.unwrap_or_default()))
    }

    async fn foreign(&self) -> Outcome {
        let corpora = large();
        let ours = self.every(&corpora).await?;
        let mut others = corpora.clone();
        others[1] = corpus("bear\t2\n".to_owned());
        let foreign = self.every(&others).await?;
        let changed = |change: &dyn Fn(&mut Vec<Input>)| {
            let mut parts = ours.clone();
            change(&mut parts);
            parts
        };
        for (what, parts) in [
            ("no part at all", Vec::new()),
            ("all but the last", changed(&|parts| drop(parts.pop()))),
            ("the first twice", changed(&|parts| parts[1] = parts[0].clone())),
            ("out of order", changed(&|parts| parts.swap(0, 1))),
            ("one of other corpora", changed(&|parts| parts[0] = foreign[0].clone())),
            ("all of other corpora", foreign.clone()),
            ("an empty one", changed(&|parts| parts[0] = Input::new("part", "", ""))),
            ("a corpus", changed(&|parts| parts[0] = corpora[1].clone())),
        ] {
            refused(what, self.merge(parts, &corpora).await)?;
        }
        good(self.merge(ours, &corpora).await)
    }
}
