//! M7 and B1 on a server: every query that the catalog sends is bounded by an index, and a batch takes a fraction of the
//! round trips of its parts.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use bson::{Bson, Document, doc};
use floret_model::{Dependency, Digest, Memo, Seq, TimestampMs, VersionRef};
use floret_store::{Access, Catalog, Claim, CommandObserver, Draft, Lease, ListQuery, MongoCatalog, Publish};
use floret_tests::key;
use floret_tests::servers::Database;
use mongodb::Client;

const NOW: TimestampMs = TimestampMs(1_767_225_600_000);

/// The commands that a catalog sends.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<Document>>>);

impl Recorder {
    fn observer(&self) -> CommandObserver {
        let commands = Arc::clone(&self.0);
        Arc::new(move |command| commands.lock().unwrap().push(command.clone()))
    }

    fn take(&self) -> Vec<Document> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn draft(id: &str, text: &str) -> Draft {
    floret_tests::draft(&key(id), text, Vec::new())
}

fn on(id: &str, seq: u64) -> Dependency {
    Dependency { role: "part".to_owned(), on: VersionRef { key: key(id), seq: Seq(seq) } }
}

async fn publish(catalog: &dyn Catalog, drafts: Vec<Draft>) {
    catalog.publish(Publish { id: "p".to_owned(), at: NOW, drafts, report: None }).await.unwrap();
}

/// Whatever a host asks on the way of a save, a read, a cascade and a cleanup; whole passes are left out.
async fn everything(catalog: &dyn Catalog) {
    let text = |number: u32| format!("text {number}");
    let numbered = |number| draft(&format!("literature/{number}"), &text(number));
    publish(catalog, (0..20).map(numbered).collect()).await;
    publish(catalog, vec![draft("literature/1", "other")]).await;
    let corpus = |dependencies| Draft { dependencies, ..draft("corpus/all", &format!("{}", Seq(1))) };
    publish(catalog, vec![corpus(vec![on("literature/1", 1)])]).await;
    publish(catalog, vec![corpus(vec![on("literature/1", 2), on("literature/2", 1)])]).await;
    let keys: Vec<_> = (0..5).map(|number| key(&format!("literature/{number}"))).collect();
    catalog.heads(&keys).await.unwrap();
    catalog.heads(&keys[..1]).await.unwrap();
    catalog.log(&keys[1], Some(Seq(2)), 10).await.unwrap();
    catalog.version(&on("literature/1", 1).on).await.unwrap();
    catalog.dependents(&keys).await.unwrap();
    catalog.referrers(&on("literature/1", 1).on).await.unwrap();
    let (namespace, resource_type) = (keys[0].namespace.clone(), keys[0].resource_type.clone());
    let query = ListQuery {
        namespace: Some(namespace.clone()),
        resource_type: Some(resource_type.clone()),
        id_prefix: Some("1".to_owned()),
        after: Some(keys[0].clone()),
        limit: 5,
    };
    catalog.list(&query).await.unwrap();
    catalog.list(&ListQuery { resource_type: None, id_prefix: None, ..query.clone() }).await.unwrap();
    let later = TimestampMs(NOW.0 + 1);
    catalog.created_between(&namespace, &resource_type, NOW, later, 5).await.unwrap();
    catalog.scan(Some(&on("literature/1", 1).on), 3).await.unwrap();
    catalog.cascades_of(&keys[0], 3).await.unwrap();
    catalog.add_accesses(&[(keys[0].clone(), Access { count: 1, last_at: NOW })]).await.unwrap();
    catalog.access(&keys[0]).await.unwrap();
    blobs(catalog).await;
    catalog.drop_versions(&[on("literature/1", 1).on, on("corpus/all", 1).on], NOW).await.unwrap();
    let lease = Lease { name: "cleanup".to_owned(), holder: "me".to_owned(), until: later };
    catalog.acquire_lease(&lease, NOW).await.unwrap();
    catalog.acquire_lease(&Lease { holder: "you".to_owned(), ..lease.clone() }, NOW).await.unwrap();
    catalog.release_lease(&lease).await.unwrap();
}

async fn blobs(catalog: &dyn Catalog) {
    let digest = Digest::of(b"blob");
    let Claim::Put { generation } = catalog.claim_blob(&digest, NOW).await.unwrap() else {
        panic!("it is new")
    };
    let record = catalog.blob(&digest).await.unwrap().unwrap();
    assert_eq!(record.generation, generation);
    catalog.settle_blob(&record).await.unwrap();
    catalog.claim_blob(&digest, NOW).await.unwrap();
    catalog.blob_is_referenced(&digest).await.unwrap();
    let memo = Memo {
        recipe: Digest::of(b"recipe"),
        output: digest,
        output_bytes: 4,
        statistics: serde_json::Value::Null,
        build_time_ms: 1.0,
        created_at: NOW,
    };
    catalog.put_memo(&memo).await.unwrap();
    catalog.memos(&[memo.recipe]).await.unwrap();
    catalog.forget_memos(TimestampMs(NOW.0 + 1)).await.unwrap();
    catalog.blobs(Some(&digest), 3).await.unwrap();
    catalog.condemn_blob(&digest, NOW).await.unwrap();
    catalog.forget_blob(&digest, generation).await.unwrap();
}

/// The query of a command as a `find`, whose plan any server explains; `None` for those that have none.
fn query_of(command: &Document) -> Option<Document> {
    let text = |name: &str| command.get_str(name).map(str::to_owned);
    let first =
        |name: &str| command.get_array(name).ok()?.first()?.as_document()?.get_document("q").ok().cloned();
    let (collection, filter) = match command.keys().next()?.as_str() {
        "find" => (text("find").ok()?, command.get_document("filter").cloned().unwrap_or_default()),
        "update" => (text("update").ok()?, first("updates")?),
        "delete" => (text("delete").ok()?, first("deletes")?),
        "findAndModify" => (text("findAndModify").ok()?, command.get_document("query").ok()?.clone()),
        "distinct" => (text("distinct").ok()?, command.get_document("query").ok()?.clone()),
        _ => return None,
    };
    // Who names the `_id` looks at that document only, whatever else it asks; not every server's plan says so.
    let named = filter.get("_id").filter(|id| id.as_document().is_none_or(|id| id.contains_key("$in")));
    let filter = match named {
        Some(id) => doc! { "_id": id.clone() },
        None => filter,
    };
    let mut find = doc! { "find": collection, "filter": filter };
    for name in ["sort", "hint", "limit", "projection"] {
        if let Some(value) = command.get(name) {
            find.insert(name, value.clone());
        }
    }
    Some(find)
}

fn stages(plan: &Document, found: &mut Vec<String>) {
    for (name, value) in plan {
        match value {
            Bson::String(stage) if name == "stage" => found.push(stage.clone()),
            Bson::Document(inner) => stages(inner, found),
            Bson::Array(inner) => {
                inner.iter().filter_map(|value| value.as_document()).for_each(|inner| stages(inner, found));
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn m7_every_query_of_the_catalog_is_served_by_an_index() {
    let (database, recorder) = (Database::shared(), Recorder::default());
    let catalog = MongoCatalog::connect_observed(&database.uri, recorder.observer()).await.unwrap();
    recorder.take();
    everything(&*catalog).await;
    let client = Client::with_uri_str(&database.uri).await.unwrap();
    let server = client.default_database().unwrap();
    let (mut shapes, mut scans) = (BTreeSet::new(), Vec::new());
    for find in recorder.take().iter().filter_map(query_of) {
        let explained =
            server.run_command(doc! { "explain": find.clone(), "verbosity": "queryPlanner" }).await;
        let explained = explained.unwrap();
        let mut plan = Vec::new();
        let planner = explained.get_document("queryPlanner").unwrap();
        stages(planner.get_document("winningPlan").unwrap(), &mut plan);
        let by_index = ["IXSCAN", "IDHACK", "EXPRESS_IXSCAN", "EXPRESS_CLUSTERED_IXSCAN", "CLUSTERED_IXSCAN"];
        if plan.iter().any(|stage| stage == "COLLSCAN")
            || !plan.iter().any(|stage| by_index.contains(&&**stage))
        {
            scans.push(format!("{find}: {plan:?}"));
        }
        let fields = find.get_document("filter").unwrap().keys().cloned().collect::<Vec<_>>().join(",");
        shapes.insert(format!("{} by {fields}", find.get_str("find").unwrap()));
    }
    assert!(scans.is_empty(), "these look at every document:\n{}", scans.join("\n"));
    assert!(shapes.len() >= 14, "only {} shapes were seen: {shapes:#?}", shapes.len());
}

/// A publish of many resources is one transaction; who reads many latest versions must not see a part of it.
#[tokio::test(flavor = "multi_thread")]
async fn many_latest_versions_are_read_at_one_point_in_time() {
    let (database, recorder) = (Database::shared(), Recorder::default());
    let catalog = MongoCatalog::connect_observed(&database.uri, recorder.observer()).await.unwrap();
    recorder.take();
    everything(&*catalog).await;
    let level =
        |find: &Document| find.get_document("readConcern").ok()?.get_str("level").ok().map(str::to_owned);
    let finds: Vec<Document> = recorder
        .take()
        .into_iter()
        .filter(|command| command.get_str("find").is_ok_and(|of| of == "heads"))
        .collect();
    let outside: Vec<&Document> = finds.iter().filter(|find| !find.contains_key("autocommit")).collect();
    assert!(outside.len() >= 4, "only {} reads of heads were seen: {finds:#?}", outside.len());
    for find in outside {
        assert_eq!(level(find).as_deref(), Some("snapshot"), "{find}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b1_a_batch_takes_a_twentieth_of_the_round_trips_of_its_parts() {
    let (database, recorder) = (Database::shared(), Recorder::default());
    let catalog = MongoCatalog::connect_observed(&database.uri, recorder.observer()).await.unwrap();
    let entry = |of: &str, number: usize| draft(&format!("dictionary/{of}{number}"), &"x".repeat(1024));
    recorder.take();
    publish(&*catalog, (0..1000).map(|number| entry("batch", number)).collect()).await;
    let batch = recorder.take().len();
    for number in 0..50 {
        publish(&*catalog, vec![entry("single", number)]).await;
    }
    let singles = recorder.take().len() * 1000 / 50;
    assert!(batch * 20 <= singles, "{batch} round trips for the batch, {singles} one by one");
}
