//! Contracts of the embedding program: the same bounds and the same errors as for Floret's own.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use floret_runtime::wasmtime;
use floret_runtime::wasmtime::component::HasSelf;
use floret_runtime::{CustomComponent, CustomContract, Error, LimitKind, Limits, TrapKind};

use crate::guests::{component_of, runtime, small_limits};

mod bindings {
    #![allow(missing_docs, unused_qualifications, clippy::all, reason = "generated")]
    floret_runtime::wasmtime::component::bindgen!({
        path: "../../examples/custom-contract/wit",
        world: "acme:spell/component@0.1.0",
        imports: { default: trappable },
        wasmtime_crate: floret_runtime::wasmtime,
    });
}
use bindings::ComponentPre;
use bindings::acme::spell::dictionary;

type Pre = ComponentPre<floret_runtime::Hosted<Asked>>;
type Checker = CustomComponent<Asked, Pre>;

/// A host side that knows short words, fails at one, and counts.
#[derive(Default, Debug)]
struct Asked(u32);

impl dictionary::Host for Asked {
    fn contains(&mut self, word: String) -> wasmtime::Result<bool> {
        self.0 += 1;
        match word.as_str() {
            "fail" => Err(wasmtime::format_err!("the dictionary is burning")),
            _ => Ok(word.len() < 4),
        }
    }
}

fn contract() -> CustomContract<Asked, Pre> {
    let contract = CustomContract::new("acme:spell/checker@0.1.0", ComponentPre::new).expect("a name");
    contract
        .offering("acme:spell/dictionary@0.1.0", |linker| {
            dictionary::add_to_linker::<_, HasSelf<Asked>>(linker, |hosted| hosted.state())
        })
        .expect("a name")
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/custom-contract")
}

/// A checker whose `check` runs a body, which leaves the address of an answer; there is an empty one at 0.
fn checker(declarations: &str, body: &str) -> Bytes {
    let core = format!(
        r#"(module
            (import "acme:spell/dictionary@0.1.0" "contains" (func $contains (param i32 i32) (result i32)))
            {declarations}
            (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
            (func (export "acme:spell/checker@0.1.0#check") (param i32 i32) (result i32) {body}))"#
    );
    component_of(&folder().join("wit"), None, &core)
}

async fn load(limits: Limits, bytes: Bytes) -> Result<Checker, Error> {
    runtime(limits).load_custom("speller", bytes, &contract()).await
}

async fn check(checker: &Checker, text: &'static str) -> Result<(Vec<String>, u32), Error> {
    let called = checker.call("check", Asked::default(), move |component, store| {
        component.instantiate(&mut *store)?.acme_spell_checker().call_check(store, text)
    });
    called.await.map(|called| (called.answer, called.state.0))
}

/// What a body does to a call.
async fn deed(limits: Limits, body: &str) -> Error {
    let checker = load(limits, checker("", body)).await.expect("a good component");
    check(&checker, "x").await.expect_err("it misbehaves")
}

fn check_limit(error: &Error, expected: LimitKind) {
    assert!(error.is_limit(expected), "{error}");
    assert!(error.to_string().starts_with("speller (acme:spell/checker@0.1.0) in check: stopped"), "{error}");
    assert!(!error.is_deterministic());
}

#[tokio::test]
async fn the_components_file_is_made_of_its_source() {
    let core = std::fs::read_to_string(folder().join("checker.wat")).expect("its source");
    let built = component_of(&folder().join("wit"), None, &core);
    let file = folder().join("checker.wasm");
    if std::env::var_os("FLORET_TEST_UPDATE").is_some() {
        std::fs::write(&file, &built).expect("written");
    }
    let kept = std::fs::read(&file).unwrap_or_default();
    assert!(kept == built, "checker.wasm is not what checker.wat makes; FLORET_TEST_UPDATE=1 writes it anew");
    let checker = load(small_limits(), built).await.expect("a good component");
    for (text, unknown, asked) in [
        ("", &[][..], 0),
        ("   ", &[], 0),
        ("a", &[], 1),
        ("flower", &["flower"], 1),
        (" a small  flower is ", &["small", "flower"], 4),
    ] {
        assert_eq!(
            check(&checker, text).await.expect("an answer"),
            (unknown.iter().map(|word| (*word).to_owned()).collect(), asked),
            "{text:?}"
        );
    }
}

#[tokio::test]
async fn limits_bound_it() {
    let limits = Limits { call_timeout: Duration::from_millis(200), ..small_limits() };
    check_limit(&deed(limits, "(loop $on (br $on)) unreachable").await, LimitKind::CallTime);
    let grows = "(drop (memory.grow (i32.const 600))) i32.const 0";
    check_limit(&deed(small_limits(), grows).await, LimitKind::Memory);
    let limits = Limits { component_bytes_max: 10, ..small_limits() };
    let error = load(limits, checker("", "i32.const 0")).await.err().expect("too large");
    assert!(matches!(error, Error::TooLarge { limit: 10, .. }), "{error}");
    let limits = Limits { call_bytes_max: 1 << 10, ..small_limits() };
    let asks = "(drop (call $contains (i32.const 0) (i32.const 60000))) i32.const 0";
    check_limit(&deed(limits, asks).await, LimitKind::CallBytes);
}

#[tokio::test]
async fn a_trap_names_the_component_and_the_stage() {
    let error = deed(small_limits(), "unreachable").await;
    assert!(matches!(&error, Error::Trap { kind: TrapKind::Unreachable, .. }), "{error}");
    let text = error.to_string();
    assert!(text.starts_with("speller (acme:spell/checker@0.1.0) in check: trapped: it gave up"), "{text}");
    assert!(!error.traces().expect("traces").backtrace.is_empty());
    assert_eq!(error.code(), "plugin_trap");
}

#[tokio::test]
async fn a_failing_host_side_ends_the_call_in_its_words() {
    let bytes = std::fs::read(folder().join("checker.wasm")).expect("built").into();
    let checker = load(small_limits(), bytes).await.expect("a good component");
    let error = check(&checker, "so we fail here").await.expect_err("the host side fails");
    assert!(error.to_string().contains("the dictionary is burning"), "{error}");
    assert!(check(&checker, "and").await.is_ok(), "it serves on");
}

#[tokio::test]
async fn forbidden_imports_are_refused_by_name() {
    let bytes = checker("", "i32.const 0");
    let bare =
        CustomContract::<Asked, Pre>::new("acme:spell/checker@0.1.0", ComponentPre::new).expect("a name");
    let error = runtime(small_limits()).load_custom("speller", bytes, &bare).await.err().expect("a refusal");
    let text = error.to_string();
    assert!(
        text.contains("imports acme:spell/dictionary@0.1.0, but acme:spell/checker@0.1.0 offers nothing"),
        "{text}"
    );
    assert!(error.is_deterministic());
    assert_eq!(error.code(), "plugin_forbidden_import");
}

#[tokio::test]
async fn what_is_no_component_of_the_contract_is_refused() {
    let refusal =
        async |bytes: Bytes| load(small_limits(), bytes).await.err().expect("a refusal").to_string();
    let text = refusal(Bytes::new()).await;
    assert!(text.contains("the file is empty"), "{text}");
    let text = refusal(crate::guests::dist("trie-fst")).await;
    assert!(text.contains("does not export acme:spell/checker@0.1.0; it exports floret:index"), "{text}");
    // The same names, with another type.
    let other = tempfile::tempdir().expect("a folder");
    let wit = std::fs::read_to_string(folder().join("wit/spell.wit")).expect("the contract");
    let rewrite = |from: &str, to: &str| {
        std::fs::write(other.path().join("spell.wit"), wit.replace(from, to)).expect("written");
        let core = checker_core(to);
        component_of(other.path(), None, &core)
    };
    let differs = load(small_limits(), rewrite("-> list<string>", "-> string")).await.expect("the names fit");
    let text = check(&differs, "and").await.expect_err("the types do not").to_string();
    assert!(
        text.contains("acme:spell/checker@0.1.0") && text.contains("expected `list` found `string`"),
        "{text}"
    );
    let text = refusal(rewrite("acme:spell@0.1.0", "acme:spell@0.2.0")).await;
    assert!(
        text.contains("exports acme:spell/checker@0.2.0, but this host speaks acme:spell/checker@0.1.0"),
        "{text}"
    );
}

/// A checker without imports, for a contract in which something is written otherwise.
fn checker_core(changed: &str) -> String {
    let version = if changed.ends_with("0.2.0") { "0.2.0" } else { "0.1.0" };
    format!(
        r#"(module
            (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
            (func (export "acme:spell/checker@{version}#check") (param i32 i32) (result i32) i32.const 0))"#
    )
}

#[tokio::test]
async fn the_fast_engine_has_the_timeout_of_queries_and_a_component_may_log() {
    let contract = contract().fast().offering_log();
    let bytes = checker("", "(loop $on (br $on)) unreachable");
    let checker = runtime(small_limits()).load_custom("speller", bytes, &contract).await.expect("good");
    check_limit(&check(&checker, "x").await.expect_err("it loops"), LimitKind::QueryTime);
}
