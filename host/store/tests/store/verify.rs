use floret_model::Digest;
use floret_store::{Catalog, VerifyOptions, verify};

use crate::support::{fresh, key, part};

#[tokio::test]
async fn o3_a_sound_store_is_clean_and_counted() {
    let (store, _folder) = fresh();
    let (text, corpus) = (key("literature", "t"), key("corpus", "c"));
    store.save(store.stored(&text, "a text ".repeat(1000)).await).await;
    let mut built = store.inline(&corpus, "corpus");
    built.dependencies = vec![part(&text, 1)];
    store.save(built).await;
    store.save(store.inline(&corpus, "corpus 2")).await;
    let report = store.verify().await;
    assert!(report.is_clean(), "{:?}", report.problems);
    let counted = (report.resources, report.versions, report.dependencies);
    assert_eq!(counted, (2, 3, 1));
    let counted = (report.inline_contents, report.blobs, report.rehashed_bytes);
    assert_eq!(counted, (2, 1, 7000));
}

#[tokio::test]
async fn o3_damage_is_found_and_named() {
    let (store, folder) = fresh();
    let text = key("literature", "t");
    let draft = store.stored(&text, "a text ".repeat(1000)).await;
    let path = draft.content_location.path.clone().expect("a path");
    let object = folder.path().join("objects").join(&path);
    store.save(draft).await;
    let sound = std::fs::read(&object).expect("the object");
    let found = async |rehash: bool| {
        let options = VerifyOptions { rehash };
        let report = verify(&*store.catalog, &store.blobs, options).await.expect("read");
        let problems = report.problems.into_iter();
        problems
            .map(|problem| format!("{} {}: {}", problem.invariant, problem.what, problem.problem))
            .collect::<Vec<_>>()
    };
    assert_eq!(found(true).await, [""; 0]);
    let digest = Digest::of("a text ".repeat(1000).as_bytes());
    let mut flipped = sound.clone();
    *flipped.last_mut().expect("not empty") ^= 1;
    std::fs::write(&object, &flipped).expect("written");
    assert_eq!(found(false).await, [""; 0], "the length is right");
    let problems = found(true).await;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with(&format!("I5 blob {digest}: ")), "{problems:?}");
    std::fs::write(&object, &sound[1..]).expect("written");
    assert_eq!(found(false).await.len(), 1, "a wrong length is seen without hashing");
    std::fs::remove_file(&object).expect("removed");
    let problems = found(false).await;
    assert!(problems[0].contains("its object is not there"), "{problems:?}");
    std::fs::write(&object, &sound).expect("written");
    assert_eq!(found(true).await, [""; 0], "restored");
    let stats = store.catalog.statistics().await.expect("read");
    assert_eq!(stats.blobs, 1);
}
