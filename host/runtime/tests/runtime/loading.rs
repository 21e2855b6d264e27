//! What is loaded, and what is refused, by name.

use bytes::Bytes;
use floret_runtime::{ContractKind, Error, Limits, Mode, Runtime, RuntimeConfig};

use crate::guests::{dist, load, policy_describing, runtime, small_limits, text};

async fn refusal(bytes: impl Into<Bytes>) -> String {
    let error = runtime(small_limits()).load(bytes.into()).await.err().expect("a refusal");
    assert!(error.is_deterministic(), "{error}");
    error.to_string()
}

fn check(text: &str, expected: &str) {
    assert!(text.contains(expected), "{text:?} does not tell {expected:?}");
}

#[tokio::test]
async fn components_tell_what_they_are() {
    let trie = load(Limits::default(), "trie-fst").await;
    assert_eq!(trie.contract().to_string(), "floret:index@0.2.0");
    assert_eq!(trie.contract().kind, ContractKind::Index);
    assert_eq!(trie.description().name, "trie-fst");
    assert!(trie.description().config_schema.is_object());
    assert!(trie.modes().contains(&Mode::Prefix));
    assert_eq!(trie.size_bytes(), dist("trie-fst").len() as u64);
    assert!(trie.exports().iter().any(|name| name == "floret:index/builder@0.2.0"));
    assert!(trie.imports().iter().all(|name| name.starts_with("floret:types/")));
    let error = trie.build_corpus(vec![text("x")], "{}").await.expect_err("no corpus builder");
    check(&error.to_string(), "a component of floret:corpus is needed here");
}

#[tokio::test]
async fn what_is_no_component_is_refused() {
    check(&refusal("").await, "is not a WebAssembly component: the file is empty");
    check(&refusal("hello, this is text").await, "it begins with 68 65 6c 6c 6f 2c 20 74");
    let core = wat::parse_str("(module)").expect("a module");
    check(&refusal(core).await, "it is a core module");
    let whole = dist("misbehave");
    for part in [9, 100, whole.len() / 2, whole.len() - 1] {
        check(&refusal(whole.slice(..part)).await, "not a WebAssembly component");
    }
    let mut damaged = whole.to_vec();
    let middle = damaged.len() / 3;
    damaged[middle..middle + 64].fill(0xff);
    let text = refusal(damaged).await;
    assert!(text.contains("cannot be compiled") || text.contains("not a WebAssembly"), "{text}");
}

#[tokio::test]
async fn contracts_none_two_and_of_another_version_are_refused() {
    let none = wat::parse_str("(component)").expect("a component");
    check(&refusal(none).await, "exports no Floret contract");
    check(&refusal(dist("two-contracts")).await, "exports several contracts");
    let newer =
        wat::parse_str(r#"(component (instance $i) (export "floret:index/builder@0.9.0" (instance $i)))"#);
    check(
        &refusal(newer.expect("a component")).await,
        "but this host speaks floret:index@0.1.0, floret:index@0.2.0",
    );
}

#[tokio::test]
async fn imports_beyond_the_contract_are_refused_by_name() {
    let wasi = wat::parse_str(
        r#"(component
            (import "wasi:clocks/wall-clock@0.2.0" (instance))
            (import "wasi:http/types@0.2.0" (instance))
            (import "wasi:clocks/wall-clock@0.3.0" (instance))
            (import "floret:types/log@0.1.0" (instance))
            (import "acme:secret/door@1.0.0" (instance))
            (instance $i)
            (export "floret:corpus/builder@0.1.0" (instance $i)))"#,
    );
    let text = refusal(wasi.expect("a component")).await;
    let expected = "imports wasi:http/types@0.2.0, wasi:clocks/wall-clock@0.3.0, acme:secret/door@1.0.0, which \
                    floret:corpus@0.1.0 does not offer";
    check(&text, expected);
    // Nothing says what it was built from: the remedy of every language is told.
    check(&text, "in Python, componentize with `-s`");
}

#[tokio::test]
async fn a_contract_with_other_types_is_refused() {
    let empty =
        wat::parse_str(r#"(component (instance $i) (export "floret:corpus/builder@0.1.0" (instance $i)))"#);
    check(&refusal(empty.expect("a component")).await, "does not fit floret:corpus@0.1.0");
}

#[tokio::test]
async fn descriptions_are_checked_and_describe_is_bounded() {
    assert!(runtime(small_limits()).load(policy_describing("", "i32.const 0")).await.is_ok());
    // At 40 lies a part of the good description that reads as an empty name.
    let error = runtime(small_limits()).load(policy_describing("", "i32.const 1024")).await;
    check(&error.err().expect("an empty description").to_string(), "malformed answer: the name is");
    let error = runtime(small_limits()).load(policy_describing("", "(loop (br 0)) i32.const 0")).await;
    let text = error.err().expect("an endless description").to_string();
    check(&text, "(floret:policy@0.1.0) in describe: stopped at the limit query_timeout = 300 ms");
    let error = runtime(small_limits()).load(policy_describing("", "i32.const -8")).await;
    check(&error.err().expect("a wild address").to_string(), "in describe: trapped");
}

#[tokio::test]
async fn too_large_files_are_refused_before_they_are_read() {
    let limits = Limits { component_bytes_max: 1_000, ..Limits::default() };
    let error = runtime(limits).load(dist("misbehave")).await.err().expect("too large");
    check(&error.to_string(), "at most 1000 are taken (component_bytes_max)");
}

#[tokio::test]
async fn compiling_is_bounded_in_time() {
    let limits = Limits { compile_timeout: std::time::Duration::from_nanos(1), ..Limits::default() };
    let runtime = Runtime::new(RuntimeConfig { compiled_dir: None, limits }).expect("a runtime");
    let error = runtime.load(dist("trie-fst")).await.err().expect("no time");
    check(&error.to_string(), "compile_timeout");
}

#[test]
fn contradictory_limits_are_refused() {
    let limits = Limits { instances_max: 0, ..Limits::default() };
    let error = Runtime::new(RuntimeConfig { compiled_dir: None, limits }).err().expect("no limits");
    assert!(matches!(error, Error::InvalidLimits { .. }), "{error}");
}
