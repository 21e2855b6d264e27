//! The process that the crash test kills: it saves versions and runs cascades until it is dead, and writes to its
//! standard output what was acknowledged.
//!
//! `crash-writer FOLDER SEED`

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use bytes::Bytes;
use floret_model::CascadeReport;
use floret_pipeline::{Change, Content, Floret, Progress, SaveRequest, Saved};
use floret_tests::journal::{Line, Random, TEXTS, TRIPLE, content};
use floret_tests::{Setup, corpus, derived, key, open};

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1);
    let folder = PathBuf::from(args.next().context("expected FOLDER SEED")?);
    let seed = args.next().and_then(|seed| seed.into_string().ok()).context("expected FOLDER SEED")?;
    let mut random = Random(seed.parse()?);
    let host = open(&folder, Setup::default()).await?;
    acknowledge(&[Line::Open])?;
    if host.log(&key("search/all"), None, 1).await.is_err() {
        world(&host, &mut random).await?;
    }
    loop {
        let number = random.below(1 << 40);
        match random.below(4) {
            0 => {
                let request = entry("dictionary/single", number);
                acknowledge(&[saved(&host.save(request).await?, number)])?;
            }
            1 => {
                let batch = TRIPLE.map(|name| entry(name, number)).to_vec();
                let versions = host.save_batch(batch).await?;
                let lines: Vec<Line> = versions.iter().map(|version| saved(version, number)).collect();
                acknowledge(&lines)?;
            }
            _ => {
                let text = TEXTS[random.below(TEXTS.len() as u64) as usize];
                let request = entry(&format!("literature/{text}"), number);
                let root = request.key.clone();
                acknowledge(&[saved(&host.save(request).await?, number)])?;
                let report = host.cascade(&[root], &Progress::default()).await?;
                acknowledge(&built(&report))?;
            }
        }
    }
}

/// Texts in corpora under a master, with a trie and a composite search index, in one commit; a kill may come
/// before that, and then the next process makes it.
async fn world(host: &Floret, random: &mut Random) -> Result<()> {
    for text in TEXTS {
        let number = random.below(1 << 40);
        let version = host.save(entry(&format!("literature/{text}"), number)).await?;
        acknowledge(&[saved(&version, number)])?;
    }
    let mut corpora: Vec<_> = TEXTS.iter().map(|text| corpus(text, &[text], &[])).collect();
    corpora.push(corpus("all", &[], &TEXTS));
    acknowledge(&built(&host.corpus_create(corpora, &Progress::default()).await?))?;
    let change = Change {
        builds: vec![
            derived("trie/all", "corpus", &["corpus/all"]),
            derived("search/all", "part", &["corpus/all", "trie/all"]),
        ],
        ..Change::default()
    };
    acknowledge(&built(&host.apply(change, &Progress::default()).await?))
}

fn entry(name: &str, number: u64) -> SaveRequest {
    SaveRequest::new(key(name), Content::Bytes(Bytes::from(content(number))))
}

fn saved(saved: &Saved, number: u64) -> Line {
    let version = &saved.version;
    Line::Saved { key: version.key.clone(), seq: version.seq, number }
}

fn built(report: &CascadeReport) -> Vec<Line> {
    let versions = report.steps.iter().filter_map(|step| step.version.clone());
    versions.map(|version| Line::Built { key: version.key, seq: version.seq }).collect()
}

/// In one write, so that no half of a line is ever seen.
fn acknowledge(lines: &[Line]) -> Result<()> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
