use std::sync::Arc;

use floret_model::{ResourceKey, Seq, VersionRef};

use super::{depending, draft, key, on, publish, read, save, seqs};
use crate::Error;
use crate::catalog::Catalog;

async fn dependents(catalog: &dyn Catalog, keys: &[&ResourceKey]) -> Vec<Vec<String>> {
    let keys: Vec<_> = keys.iter().map(|key| (*key).clone()).collect();
    let found = read(catalog.dependents(&keys).await);
    let ids = |keys: Vec<ResourceKey>| {
        let ids = keys.into_iter().map(|key| key.resource_id.as_str().to_owned());
        ids.collect()
    };
    found.into_iter().map(ids).collect()
}

/// K1: who is built from a resource, by latest versions, sorted, in the order asked.
pub async fn k1_dependents_are_those_of_latest_versions(catalog: Arc<dyn Catalog>) {
    let [a, b, one, two] = ["a", "b", "one", "two"].map(|id| key("k1-edges", id));
    let drafts = vec![
        draft(&a, "A"),
        draft(&b, "B"),
        depending(draft(&two, "2"), &[on(&a, 1), on(&b, 1)]),
        depending(draft(&one, "1"), &[on(&a, 1)]),
    ];
    read(publish(&*catalog, drafts).await);
    let seen = dependents(&*catalog, &[&b, &a, &b, &one]).await;
    assert_eq!(seen, [vec!["two"], vec!["one", "two"], vec!["two"], vec![]]);
    // A new version of `a` changes nothing: `one` still depends on a version of it.
    save(&*catalog, draft(&a, "A2")).await;
    assert_eq!(dependents(&*catalog, &[&a]).await, [["one", "two"]]);
    // A new version of `two` without `a` does.
    save(&*catalog, depending(draft(&two, "2b"), &[on(&b, 1)])).await;
    assert_eq!(dependents(&*catalog, &[&a, &b]).await, [["one"], ["two"]]);
    let reference = |key: &ResourceKey, seq| VersionRef { key: key.clone(), seq: Seq(seq) };
    let referrers = read(catalog.referrers(&reference(&a, 1)).await);
    assert_eq!(referrers, [reference(&one, 1), reference(&two, 1)], "older versions count here");
    assert_eq!(read(catalog.referrers(&reference(&a, 2)).await), []);

    // Many keys at once, most without dependents, as a plan asks.
    let ids: Vec<_> = (0..300).map(|id| key("k1-many", &format!("{id:04}"))).collect();
    let drafts = ids.iter().map(|key| draft(key, "x")).collect();
    read(publish(&*catalog, drafts).await);
    let last = on(&ids[299], 1);
    let drafts = (0..299).step_by(37).map(|index| {
        let part = &ids[index];
        depending(draft(&key("k1-top", part.resource_id.as_str()), "y"), &[on(part, 1), last.clone()])
    });
    read(publish(&*catalog, drafts.collect()).await);
    let found = read(catalog.dependents(&ids).await);
    for (index, found) in found.iter().enumerate() {
        let expected = match index {
            299 => 9,
            index if index % 37 == 0 => 1,
            _ => 0,
        };
        assert_eq!(found.len(), expected, "dependents of {}", ids[index]);
    }
}

/// K3: a resource never comes to depend on itself, and the error shows the way around.
pub async fn k3_cycles_are_refused_when_the_edge_is_written(catalog: Arc<dyn Catalog>) {
    let [a, b, c] = ["a", "b", "c"].map(|id| key("k3-cycles", id));
    let drafts = vec![
        draft(&a, "A"),
        depending(draft(&b, "B"), &[on(&a, 1)]),
        depending(draft(&c, "C"), &[on(&b, 1)]),
    ];
    read(publish(&*catalog, drafts).await);
    let closing = depending(draft(&a, "A2"), &[on(&c, 1)]);
    match publish(&*catalog, vec![closing.clone()]).await {
        Err(Error::Cycle { key, on, path }) => {
            assert_eq!((&key, &*on), (&a, &c));
            assert_eq!(path, [c.clone(), b.clone(), a.clone()], "from `on` back to `key`");
        }
        other => panic!("expected a cycle, got {other:?}"),
    }
    let itself = publish(&*catalog, vec![depending(draft(&a, "A2"), &[on(&a, 1)])]).await;
    assert!(matches!(itself, Err(Error::Cycle { .. })), "{itself:?}");
    // Within one publish, too.
    let [d, e] = ["d", "e"].map(|id| key("k3-cycles", id));
    let drafts = vec![
        draft(&d, "D"),
        depending(draft(&e, "E"), &[on(&d, 1)]),
        depending(draft(&d, "D2"), &[on(&e, 1)]),
    ];
    let within = publish(&*catalog, drafts).await;
    assert!(matches!(within, Err(Error::Cycle { .. })), "{within:?}");
    assert_eq!(seqs(&*catalog, &a).await, [1], "nothing was written");
    // Once `b` no longer depends on `a`, `a` may depend on `c`.
    save(&*catalog, draft(&b, "B2")).await;
    save(&*catalog, closing).await;
    let back = publish(&*catalog, vec![depending(draft(&b, "B3"), &[on(&a, 2)])]).await;
    assert!(matches!(back, Err(Error::Cycle { .. })), "{back:?}");
}

/// K3: dependencies are committed, or drafted earlier in the same publish.
pub async fn k3_a_dependency_must_be_there(catalog: Arc<dyn Catalog>) {
    let [a, b] = ["a", "b"].map(|id| key("k3-missing", id));
    save(&*catalog, draft(&a, "A")).await;
    for (dependency, what) in [
        (on(&b, 1), "a resource that is not there"),
        (on(&a, 2), "a version that is not there yet"),
        (on(&a, 0), "no version"),
    ] {
        let draft = depending(draft(&key("k3-missing", "x"), "X"), &[dependency]);
        let missing = publish(&*catalog, vec![draft]).await;
        let refused = matches!(missing, Err(Error::MissingDependency { reason: "never committed", .. }));
        assert!(refused, "{what}: {missing:?}");
    }
    let itself = depending(draft(&b, "B"), &[on(&b, 1)]);
    let refused = publish(&*catalog, vec![itself]).await;
    let missing = matches!(refused, Err(Error::MissingDependency { .. }));
    assert!(missing, "the draft itself: {refused:?}");
    let too_early = vec![depending(draft(&b, "B"), &[on(&a, 2)]), draft(&a, "A2")];
    let refused = publish(&*catalog, too_early).await;
    let missing = matches!(refused, Err(Error::MissingDependency { .. }));
    assert!(missing, "drafted later: {refused:?}");
}
