//! Floret inside another program: a home in a folder, texts, a corpus, indexes, questions, another policy.
//!
//! `cargo run --release --example embed [FOLDER]`; without a folder, in one that is removed at the end.

use std::error::Error;
use std::path::PathBuf;

use floret_embed::{
    Binding, CorpusRequest, DerivedSpec, Freshness, Home, POLICY_BINDING, Progress, Query, ResourceKey,
    SaveRequest, Selector,
};

const TEXTS: [(&str, &str); 3] = [
    (
        "walden",
        "I went to the woods because I wished to live deliberately, to front only the essential facts of life.",
    ),
    (
        "moby-dick",
        "Whenever it is a damp, drizzly November in my soul, I account it high time to get to sea.",
    ),
    (
        "middlemarch",
        "The growing good of the world is partly dependent on unhistoric acts, and on lives lived faithfully.",
    ),
];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (_removed_at_the_end, folder) = folder()?;
    // The store, the caches, the engine and the built-in components. The first time they are compiled, for some seconds.
    let floret = Home::at(&folder).open().await?;
    let progress = Progress::default();

    // Texts: versioned, deduplicated, and on disk when the save returns.
    let mut texts: Vec<ResourceKey> = Vec::new();
    for (id, text) in TEXTS {
        let saved = floret.save(SaveRequest::new(format!("literature/{id}").parse()?, text)).await?;
        println!("{} {}", if saved.is_new { "saved" } else { "kept" }, saved.version.reference());
        texts.push(saved.version.key.clone());
    }

    // A corpus of them, two indexes of it, and a composite index that pins one version of each.
    let corpus: ResourceKey = "corpus/novels".parse()?;
    let trie: ResourceKey = "trie/novels".parse()?;
    let semantic: ResourceKey = "semantic/novels".parse()?;
    let search: ResourceKey = "search/novels".parse()?;
    floret.corpus_create(vec![(corpus.clone(), CorpusRequest::of(texts))], &progress).await?;
    let builds = vec![
        DerivedSpec::index(trie.clone(), corpus.clone()),
        DerivedSpec::index(semantic.clone(), corpus.clone()),
        DerivedSpec::search(search.clone(), [corpus.clone(), trie, semantic]),
    ];
    let report = floret.build_all(builds, &progress).await?;
    println!("built {}, {} as before", report.count("built"), report.count("cut_off"));

    // Questions. Several at once are merged by rank.
    let questions = [
        Query::Fuzzy { text: "delibrately".to_owned(), distance: 1 },
        Query::Semantic("delibrately".to_owned()),
    ];
    let answer = floret.search_any(&search, &questions, 3).await?;
    for hit in &answer.hits {
        println!("{:<14} {:.4}", hit.word, hit.score);
    }

    // Another policy, while everything runs; then a change, and what depends on it.
    floret.plugin_bind(POLICY_BINDING, Binding::new("policy-archive")).await?;
    let walden: ResourceKey = "literature/walden".parse()?;
    let longer = format!("{} {}", TEXTS[0].1, "Simplify, simplify. ".repeat(200));
    let saved = floret.save(SaveRequest::new(walden.clone(), longer)).await?;
    let location = &saved.version.content_location;
    println!(
        "{} is stored as {}-{}",
        saved.version.reference(),
        location.compression,
        location.compression_level
    );
    let report = floret.cascade(std::slice::from_ref(&walden), &progress).await?;
    println!("rebuilt {}", report.count("built"));

    // Any version stays readable for as long as cleanup keeps it.
    let first = floret.get(&walden, &Selector::Seq(floret_embed::Seq(1)), Freshness::Cached).await?;
    println!("{} had {} bytes", first.version.reference(), first.content.len());
    floret.plugin_bind(POLICY_BINDING, Binding::new("policy-default")).await?;
    floret.close().await?;
    Ok(())
}

/// The folder that was named, or a temporary one with what removes it.
fn folder() -> std::io::Result<(Option<tempfile::TempDir>, PathBuf)> {
    match std::env::args_os().nth(1) {
        Some(folder) => Ok((None, folder.into())),
        None => {
            let temporary = tempfile::tempdir()?;
            let folder = temporary.path().to_owned();
            Ok((Some(temporary), folder))
        }
    }
}
