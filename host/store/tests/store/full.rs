use std::process::Command;

use floret_store::{Catalog, EmbeddedCatalog, Error};

use crate::support::{files, key, open};

const FOLDER: &str = "FLORET_STORE_FULL_FOLDER";

/// Runs this test again in a process that may write files of at most so many blocks of 512 bytes: then writing
/// fails as it does on a full disk, for every user and without mounting anything.
fn limited(test: &str, blocks: u32, folder: &std::path::Path) {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" --exact {test} --nocapture");
    let status = Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().expect("this test"))
        .env(FOLDER, folder)
        .status()
        .expect("a shell");
    assert!(status.success(), "the limited process failed; its message stands above");
}

#[test]
fn a_full_disk_at_the_opening_is_named() {
    if let Ok(folder) = std::env::var(FOLDER) {
        let error = EmbeddedCatalog::open(&folder).expect_err("the journal takes 64 MB at once");
        let message = error.to_string();
        assert!(matches!(error, Error::Io { .. }), "{message}");
        assert!(message.starts_with(&format!("cannot open the catalog in {folder}")), "{message}");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    limited("full::a_full_disk_at_the_opening_is_named", 1000, folder.path());
}

#[test]
fn b2_a_full_disk_loses_nothing_acknowledged_and_shows_nothing_failed() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    if let Ok(folder) = std::env::var(FOLDER) {
        return runtime.block_on(fill(folder.as_ref()));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    // 4 KB more than the 64 MiB with which a journal begins; the sixteenth content passes them, and only after them
    // would another journal be begun.
    let test = "full::b2_a_full_disk_loses_nothing_acknowledged_and_shows_nothing_failed";
    limited(test, 131_080, folder.path());
    runtime.block_on(async {
        let saved = std::fs::read_to_string(folder.path().join("acknowledged")).expect("written");
        let saved: u64 = saved.parse().expect("a count");
        let store = open(folder.path());
        let log = store.catalog.log(&key("corpus", "c"), None, 1).await.expect("read");
        let found = log[0].seq.0;
        // What was told as failed may be there after a restart: whole, or not at all.
        assert!((saved..=saved + 1).contains(&found), "{saved} acknowledged, {found} found");
        let report = store.verify().await;
        assert!(report.is_clean(), "{:?}", report.problems);
        store.save(store.inline(&key("corpus", "c"), "room again")).await;
    });
    assert!(!files(folder.path()).is_empty());
}

async fn fill(folder: &std::path::Path) {
    let store = open(folder);
    let key = key("corpus", "c");
    let mut saved = 0_u64;
    let failed = loop {
        let content = noise(saved, 4_300_000);
        match store.publish(vec![store.inline(&key, content)]).await {
            Ok(_) => saved += 1,
            Err(error) => break error,
        }
        assert!(saved < 100, "the limit was never met");
    };
    let message = failed.to_string();
    let named = matches!(failed, Error::Io { .. } | Error::Backend { .. });
    assert!(named && message.contains(&folder.display().to_string()), "{message}");
    let log = store.catalog.log(&key, None, 1).await.expect("reads go on");
    assert_eq!(log[0].seq.0, saved, "nothing of what failed is visible");
    let later = store.publish(vec![store.inline(&key, "small")]).await;
    let message = later.expect_err("it takes no more writes").to_string();
    assert!(message.contains("open the store again"), "{message}");
    std::fs::write(folder.join("acknowledged"), saved.to_string()).expect("a small file");
}

/// Bytes that do not compress (xorshift): fjall compresses large values in its journal.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed + 0x9e37_79b9_7f4a_7c15;
    let words = (0..length / 8).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.collect()
}
