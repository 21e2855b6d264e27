//! Contents and names at the edges: empty, huge, not UTF-8, with odd characters, of types that nobody knows.

use bytes::Bytes;
use floret_model::{KeyError, ResourceKey, Seq};
use floret_pipeline::{Binding, Content, Error, Freshness, Options, Progress, SaveRequest, Selector};
use floret_runtime::Query;
use floret_store::ListQuery;
use floret_tests::{
    Setup, assert_sound, corpus, derived, key, literature, open, save_text, small_world, text,
};
use serde_json::json;
use tempfile::TempDir;

/// What a huge content has: well above every limit inside the host at which something else begins.
const HUGE_BYTES: usize = 200_000_000;

fn raw(name: &str, content: impl Into<Bytes>) -> SaveRequest {
    SaveRequest::new(key(name), Content::Bytes(content.into()))
}

fn assert_told(error: &Error, words: &[&str]) {
    for word in words {
        assert!(error.to_string().contains(word), "no {word:?} in {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn m15_a_text_that_is_not_utf8_is_refused_by_its_first_bad_byte() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    let latin1 = raw("literature/latin1", &b"caf\xe9 noir"[..]);
    let error = host.save(latin1.clone()).await.unwrap_err();
    assert!(matches!(error, Error::InvalidRequest(_)), "{error}");
    assert_told(&error, &["literature/latin1 is not UTF-8", "offset 3 is 0xe9", "convert the text first"]);
    let error = host.save(raw("literature/cut", &b"caf\xc3"[..])).await.unwrap_err();
    assert_told(&error, &["offset 3 is 0xc3"]);
    host.save_batch(vec![text("good", "good"), latin1]).await.unwrap_err();
    let error = host.resolve(&key("literature/good"), &Selector::Latest).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "nothing of the batch is visible: {error}");
    assert_sound(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn m10_an_empty_text_makes_empty_corpora_and_indexes_that_answer_nothing() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    save_text(&host, "empty", "").await.unwrap();
    let corpora = vec![corpus("empty", &["empty"], &[]), corpus("all", &[], &["empty"])];
    host.corpus_create(corpora, &Progress::default()).await.unwrap();
    let change = floret_pipeline::Change {
        builds: vec![
            derived("trie/all", "corpus", &["corpus/all"]),
            derived("semantic/all", "corpus", &["corpus/all"]),
            derived("search/all", "part", &["corpus/all", "trie/all", "semantic/all"]),
        ],
        ..floret_pipeline::Change::default()
    };
    host.apply(change, &Progress::default()).await.unwrap();
    for (index, query) in [
        ("trie/all", Query::Exact("word".into())),
        ("trie/all", Query::Prefix("w".into())),
        ("trie/all", Query::Fuzzy { text: "word".into(), distance: 2 }),
        ("semantic/all", Query::Semantic("word".into())),
        ("search/all", Query::Semantic("word".into())),
    ] {
        let answer = host.search(&key(index), &query, 10).await.unwrap();
        assert!(answer.hits.is_empty(), "{index}: {:?}", answer.hits);
    }
    let corpus = host.get(&key("corpus/all"), &Selector::Latest, Freshness::Strong).await.unwrap();
    assert_eq!(corpus.content, Bytes::new());
    assert_sound(&host).await;
    save_text(&host, "empty", "a word").await.unwrap();
    host.cascade(&[key("literature/empty")], &Progress::default()).await.unwrap();
    let answer = host.search(&key("trie/all"), &Query::Exact("word".into()), 10).await.unwrap();
    assert_eq!(answer.hits.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn v8_contents_of_no_byte_and_of_two_hundred_megabytes_come_back_as_they_were() {
    let folder = TempDir::new().unwrap();
    let options = Options { extra_types: ["raw".parse().unwrap()].into(), ..Options::default() };
    let host = open(folder.path(), Setup { options, ..Setup::default() }).await.unwrap();
    let huge: Bytes = b"two hundred megabytes ".repeat(HUGE_BYTES / 22 + 1).into();
    let huge = huge.slice(..HUGE_BYTES);
    for (name, content) in [("raw/nothing", Bytes::new()), ("raw/huge", huge.clone())] {
        let saved = host.save(raw(name, content.clone())).await.unwrap();
        assert_eq!(saved.version.content_location.size_bytes, content.len() as u64);
        let read = host.get(&key(name), &Selector::Latest, Freshness::Strong).await.unwrap();
        assert!(read.content == content, "{name} is another");
    }
    let again = host.save(raw("raw/huge", huge)).await.unwrap();
    assert_eq!((again.is_new, again.version.seq), (false, Seq(1)));
    let location = &again.version.content_location;
    assert!(location.size_compressed < location.size_bytes / 100, "the policy has it compressed");
    assert_sound(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v4_odd_ids_name_resources_of_their_own_and_no_files() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    let longest = "x".repeat(512);
    let ids = [
        "a/b",
        "a//b",
        "a",
        "..",
        "../../etc/passwd",
        "/",
        "C:\\x",
        "with space",
        " ",
        "😀",
        "a@1",
        "a:b",
        "*",
        "[x]",
        "ü",
        "u\u{308}",
        &longest,
    ];
    for id in ids {
        host.save(text(id, &format!("text of {id}. ").repeat(500))).await.unwrap();
    }
    for id in ids {
        let key = ResourceKey::parse("default", "literature", id).unwrap();
        let read = host.get(&key, &Selector::Latest, Freshness::Strong).await.unwrap();
        assert_eq!(read.content, format!("text of {id}. ").repeat(500), "{id}");
        assert_eq!(host.log(&key, None, 10).await.unwrap().len(), 1, "{id}");
    }
    let corpora = ids.map(|id| corpus(id, &[id], &[])).to_vec();
    host.corpus_create(corpora, &Progress::default()).await.unwrap();
    let query = ListQuery { namespace: Some("default".parse().unwrap()), limit: 100, ..ListQuery::default() };
    assert_eq!(host.list(&query).await.unwrap().len(), 2 * ids.len());
    let mut files = Vec::new();
    below(folder.path(), &mut files);
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        assert!(!name.contains("passwd") && !name.contains('😀') && !name.contains(' '), "{name}");
    }
    assert_sound(&host).await;
}

fn below(folder: &std::path::Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            below(&path, files);
        }
        files.push(path);
    }
}

#[test]
fn v4_ids_that_cannot_be_used_say_why_and_what_can() {
    let check = |text: &str, words: &[&str]| {
        let error = text.parse::<ResourceKey>().expect_err(text);
        for word in words {
            assert!(error.to_string().contains(word), "no {word:?} in {error}");
        }
        error
    };
    for control in ["a\nb", "a\0b", "\u{1b}[31m", "a\u{7f}", "\u{85}"] {
        let error =
            check(&format!("literature/{control}"), &["control character", "1 to 512 bytes of UTF-8"]);
        assert!(!error.to_string().contains(control), "it is shown escaped: {error:?}");
    }
    check("literature/", &["it is empty"]);
    check(&format!("literature/{}", "x".repeat(513)), &["it is too long", "1 to 512 bytes"]);
    check("Literature/x", &["resource type \"Literature\"", "lower-case letters"]);
    check("../x", &["resource type \"..\"", "beginning with a letter or digit"]);
    check("no type", &["expected TYPE/ID or NAMESPACE:TYPE/ID"]);
    let error = check("de fault:literature/x", &["namespace \"de fault\""]);
    assert!(matches!(error, KeyError::Name { what: "namespace", .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn c2_unknown_names_are_told_with_those_that_are_known() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    let error = host.save(raw("melody/x", "?")).await.unwrap_err();
    assert!(matches!(error, Error::UnknownType { .. }), "{error}");
    assert_told(
        &error,
        &["unknown resource type \"melody\"", "dictionary", "literature", "add it to `types`"],
    );
    for type_made in ["corpus/x", "trie/x", "search/x", "plugins:plugin/x", "plugins:binding/x"] {
        let error = host.save(raw(type_made, "?")).await.unwrap_err();
        assert_told(&error, &[type_made, "cannot be saved as it is", "use `floret "]);
    }
    let far = key("nowhere:literature/x");
    let errors = [
        host.save(raw("nowhere:literature/x", "?")).await.unwrap_err(),
        host.get(&far, &Selector::Latest, Freshness::Cached).await.unwrap_err(),
        host.resolve(&far, &Selector::Latest).await.unwrap_err(),
        host.log(&far, None, 1).await.unwrap_err(),
        host.cascade(std::slice::from_ref(&far), &Progress::default()).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::UnknownNamespace { .. }), "{error}");
        assert_told(&error, &["\"nowhere\"", "default, other, plugins", "[namespaces.nowhere]"]);
    }
    let nobody = Binding::new("nobody");
    let error = host.plugin_bind("trie", nobody).await.unwrap_err();
    assert!(matches!(error, Error::UnknownComponent { .. }), "{error}");
    assert_told(&error, &["\"nobody\"", "corpus-text", "trie-fst", "`floret plugin install FILE`"]);
    let error = "1.0".parse::<Selector>().unwrap_err();
    assert_told(&error, &["\"1.0\" names no version", "1.0.2"]);
    assert_sound(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn configurations_that_break_the_schema_are_refused_by_member() {
    let folder = TempDir::new().unwrap();
    let host = open(folder.path(), Setup::default()).await.unwrap();
    small_world(&host).await.unwrap();
    let config = |value: serde_json::Value| value.as_object().unwrap().clone();
    for (id, component, bad, words) in [
        ("corpus", "corpus-text", json!({"min_count": "many"}), &["/min_count", "many"][..]),
        ("corpus", "corpus-text", json!({"min_cuont": 2}), &["min_cuont"]),
        ("semantic", "semantic-ngram", json!({"quantization": "int3"}), &["/quantization", "int3", "int8"]),
        ("policy", "policy-default", json!({"levels": {"brotli": 3}}), &["policy-default"]),
    ] {
        let binding = Binding::configured(component, config(bad.clone()));
        let error = host.plugin_bind(id, binding).await.unwrap_err();
        assert!(matches!(error, Error::InvalidConfig { .. }), "{error}");
        assert_told(&error, &[component, "does not fit its schema"]);
        assert_told(&error, words);
    }
    let mut build = derived("semantic/all", "corpus", &["corpus/all"]);
    build.spec.config = config(json!({"dimension": -1}));
    let change = floret_pipeline::Change { builds: vec![build], ..floret_pipeline::Change::default() };
    let error = host.apply(change, &Progress::default()).await.unwrap_err();
    assert_told(&error, &["semantic/all", "semantic-ngram", "/dimension", "nothing was published"]);
    let error =
        host.plugin_bind("trie", Binding::configured("corpus-text", config(json!({})))).await.unwrap_err();
    assert_told(&error, &["corpus-text has the contract floret:corpus@0.1.0", "needs floret:index"]);
    host.save(literature("a", "Ada", 1843, "The bindings are as they were.")).await.unwrap();
    host.cascade(&[key("literature/a")], &Progress::default()).await.unwrap();
    assert_sound(&host).await;
}
