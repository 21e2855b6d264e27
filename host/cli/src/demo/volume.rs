//! Many saves, many reads.

use std::time::Instant;

use anyhow::Result;
use floret_model::{DictionaryMetadata, Metadata, TypedMetadata};
use floret_pipeline::{Content, Freshness, SaveRequest, Selector};
use serde_json::json;

use super::build::text_key;
use super::texts::Text;
use super::{MASTER, Story, key, since};
use crate::out::{count, milliseconds, percent};

/// Entries saved one by one, and then at once.
const SINGLE: usize = 100;
const BATCH: usize = 1_000;
/// How often every text is read.
const ROUNDS: usize = 20;

/// Dictionary entries, one by one and as a batch. Each acknowledged save is on disk.
pub(super) async fn batch(story: &mut Story<'_>) -> Result<()> {
    story.chapter(
        "Many small saves",
        "dictionary entries for words of the master corpus, each save on disk before it is acknowledged",
    )?;
    let corpus = story.host.get(&key(MASTER)?, &Selector::Latest, Freshness::Cached).await?;
    let text = String::from_utf8_lossy(&corpus.content);
    let words = text
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .filter(|(word, _)| word.len() > 3 && word.chars().all(char::is_alphabetic));
    let mut requests =
        words.take(SINGLE + BATCH).map(|(word, times)| entry(word, times)).collect::<Result<Vec<_>>>()?;
    let rest = requests.split_off(SINGLE.min(requests.len()));
    let singles = requests.len();
    let started = Instant::now();
    let mut new = 0;
    for request in requests {
        new += usize::from(story.host.save(request).await?.is_new);
    }
    let single_ms = since(started) / singles.max(1) as f64;
    let batched = rest.len();
    let started = Instant::now();
    let saved = story.host.save_batch(rest).await?;
    let batch_ms = since(started) / batched.max(1) as f64;
    new += saved.iter().filter(|saved| saved.is_new).count();
    story.figures(&format!("{} one by one: {} each", count(singles as u64), milliseconds(single_ms)))?;
    let times = format!("{:.1} × faster", single_ms / batch_ms.max(f64::MIN_POSITIVE));
    let times = if new == singles + batched { times } else { "compared with what is there".to_owned() };
    story.figures(&format!(
        "{} in one atomic batch: {} each, {times}",
        count(batched as u64),
        milliseconds(batch_ms)
    ))?;
    if new < singles + batched {
        let known = (singles + batched - new) as u64;
        story.figures(&format!(
            "{} of them were there already: no new version, nothing written",
            count(known)
        ))?;
    }
    story.keep(
        "batch",
        json!({
            "singles": singles, "single_ms": single_ms, "batched": batched, "batch_ms": batch_ms, "new": new,
        }),
    );
    Ok(())
}

fn entry(word: &str, times: &str) -> Result<SaveRequest> {
    let metadata = DictionaryMetadata {
        word: word.to_owned(),
        provider: "floret demo".to_owned(),
        language: "en".to_owned(),
    };
    let content = json!({"word": word, "times": times.parse::<u64>()?, "in": MASTER});
    Ok(SaveRequest {
        metadata: Metadata::typed(TypedMetadata::Dictionary(metadata)),
        ..SaveRequest::new(key(&format!("dictionary/{word}"))?, Content::Json(content))
    })
}

/// Every text, over and over.
pub(super) async fn reads(story: &mut Story<'_>, texts: &[Text]) -> Result<()> {
    story.chapter("Reads", "every text, twenty times over: memory first, then disk, then the store")?;
    let before = story.host.cache().stats().total;
    let started = Instant::now();
    let mut bytes_read = 0;
    for _ in 0..ROUNDS {
        for text in texts {
            let snapshot = story.host.get(&text_key(text)?, &Selector::Latest, Freshness::Cached).await?;
            bytes_read += snapshot.content.len() as u64;
        }
    }
    let elapsed_ms = since(started);
    let after = story.host.cache().stats().total;
    let reads = (ROUNDS * texts.len()) as u64;
    let hits = [
        after.memory_hits - before.memory_hits,
        after.disk_hits - before.disk_hits,
        after.misses - before.misses,
    ];
    story.figures(&format!(
        "{} reads, {} each; cache: {} memory hits, {} disk hits, {} misses",
        count(reads),
        milliseconds(elapsed_ms / reads.max(1) as f64),
        count(hits[0]),
        count(hits[1]),
        count(hits[2]),
    ))?;
    if let Some(rate) = after.hit_rate() {
        story.figures(&format!("hit rate over the whole story: {}", percent(rate)))?;
    }
    story.keep("reads", json!({
        "reads": reads, "bytes": bytes_read, "elapsed_ms": elapsed_ms,
        "memory_hits": hits[0], "disk_hits": hits[1], "misses": hits[2], "hit_rate_total": after.hit_rate(),
    }));
    Ok(())
}
