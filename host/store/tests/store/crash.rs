use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use floret_model::{Digest, Seq, VersionRef};
use floret_store::Catalog;

use crate::support::{Store, key, open, part};

/// Tells a child which folder to save to.
const FOLDER: &str = "FLORET_STORE_CRASH_FOLDER";
const ROUNDS: u64 = 30;

/// Saves for ever and tells what was acknowledged, one line each: id, seq and digest.
async fn save_for_ever(store: Arc<Store>, writer: u64, round: String) {
    for number in 0_u64.. {
        let (one, two) = (key("corpus", "shared"), key("corpus", &format!("of-{writer}")));
        let text = format!("round {round} writer {writer} save {number}");
        let draft = match number % 3 {
            0 => store.stored(&one, text.repeat(100)).await,
            _ => store.inline(&one, text.clone()),
        };
        let first = store.publish(vec![draft]).await.expect("published");
        let seen = first[0].version();
        // Together: a version, and another made from it.
        let mut made = store.inline(&key("corpus", "made"), text.clone());
        let seq = next_seq(&store, &two).await;
        made.dependencies = vec![part(&two, seq)];
        let both = store.publish(vec![store.inline(&two, text), made]).await.expect("published");
        let mut lines = String::new();
        for version in [seen, both[0].version(), both[1].version()] {
            let id = version.key.resource_id.as_str();
            lines += &format!("ack {id} {} {}\n", version.seq, version.data_hash);
        }
        let mut out = std::io::stdout().lock();
        // When the parent is gone, so are we.
        if out.write_all(lines.as_bytes()).and_then(|()| out.flush()).is_err() {
            std::process::exit(0);
        }
    }
}

async fn next_seq(store: &Store, key: &floret_model::ResourceKey) -> u64 {
    let head = store.catalog.heads(std::slice::from_ref(key)).await.expect("read");
    head[0].as_ref().map_or(1, |head| head.seq.0 + 1)
}

fn child(folder: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let (folder, round) = folder.rsplit_once('#').expect("folder and round");
    runtime.block_on(async {
        let store = Arc::new(open(folder.as_ref()));
        let writers =
            (0..4).map(|writer| tokio::spawn(save_for_ever(Arc::clone(&store), writer, round.to_owned())));
        for writer in writers.collect::<Vec<_>>() {
            writer.await.expect("a writer");
        }
    });
}

#[test]
fn v8_kill_nine_loses_no_acknowledged_version() {
    if let Ok(folder) = std::env::var(FOLDER) {
        return child(&folder);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut acknowledged: BTreeMap<(String, u64), String> = BTreeMap::new();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for round in 0..ROUNDS {
        let mut process = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "crash::v8_kill_nine_loses_no_acknowledged_version", "--nocapture"])
            .env(FOLDER, format!("{}#{round}", folder.path().display()))
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        // Killed in the middle of what follows so many acknowledgements: as good as any moment.
        let moment = (round * 7919) % 97 + 1;
        let mut seen = 0;
        for line in lines.by_ref() {
            seen += u64::from(note(&line.expect("UTF-8"), &mut acknowledged));
            if seen == moment {
                break;
            }
        }
        assert_eq!(seen, moment, "the child saves until it is killed");
        process.kill().expect("killed");
        for line in lines.map_while(Result::ok) {
            note(&line, &mut acknowledged);
        }
        process.wait().expect("ended");
        runtime.block_on(check(folder.path(), &acknowledged, round));
    }
    assert!(acknowledged.len() > ROUNDS as usize);
}

/// Takes a whole line of an acknowledgement.
fn note(line: &str, acknowledged: &mut BTreeMap<(String, u64), String>) -> bool {
    let parts: Vec<_> = line.split_whitespace().collect();
    let ["ack", id, seq, digest] = parts[..] else {
        return false;
    };
    // The last line may be torn.
    if digest.len() == 64 {
        let seq = seq.parse().expect("a seq");
        acknowledged.insert((id.to_owned(), seq), digest.to_owned());
    }
    true
}

async fn check(folder: &std::path::Path, acknowledged: &BTreeMap<(String, u64), String>, round: u64) {
    let store = open(folder);
    for ((id, seq), digest) in acknowledged {
        let reference = VersionRef { key: key("corpus", id), seq: Seq(*seq) };
        let version = store.catalog.version(&reference).await.expect("read");
        let version = version.unwrap_or_else(|| panic!("round {round}: {reference} is lost"));
        assert_eq!(version.data_hash.to_string(), *digest, "round {round}: {reference}");
        let content: Bytes = store.blobs.content(&version).await.expect("read");
        assert_eq!(Digest::of(&content), version.data_hash, "round {round}: {reference}");
    }
    let report = store.verify().await;
    assert!(report.is_clean(), "round {round}: {:?}", report.problems);
}
