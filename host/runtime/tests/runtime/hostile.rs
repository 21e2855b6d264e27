//! Guests that are written against the host, in text form: each ends in one error that names it, while another
//! component builds at the same time, and the runtime serves on.
//!
//! What a compiled guest can do is in `stopping.rs` and `searching.rs`: loops, floods of memory, output and log
//! lines, deep recursion, panics, malformed corpora and answers. Here is what takes hand-written code: start
//! functions, destructors, handles that are none, and results whose pointers and texts are not what they say.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use floret_runtime::{Component, Error, Input, Limits, Query, Runtime};

use crate::guests::{component, corpus, dist, runtime, small_limits, text};

fn limits() -> Limits {
    Limits {
        call_timeout: Duration::from_secs(2),
        query_timeout: Duration::from_secs(1),
        call_bytes_max: 1 << 20,
        ..small_limits()
    }
}

/// What a module in text form does, beyond what it needs to be a component. Strings lie at 64 (`hostile`), 72
/// (`0.1.0`), 80 (`A`), 88 (`{}`), 128 (the media type), 200 (`a TAB 1 LF`), 240 (bytes that are not UTF-8); the
/// description at 0, a good answer at 256, and 320 on is free.
#[derive(Clone, Copy)]
struct Hostile {
    declarations: &'static str,
    /// Leaves the address of the description.
    describe: &'static str,
    /// Leaves the address of the answer; `$list` and `$len` are the inputs, `$out` is the sink.
    build: &'static str,
    /// `cabi_realloc`: leaves the address of `$size` bytes.
    realloc: &'static str,
    pages: u32,
}

const GOOD: Hostile = Hostile {
    declarations: "",
    describe: "i32.const 0",
    build: "(call $write (local.get $out) (i32.const 200) (i32.const 4)) i32.const 256",
    realloc: "(global.set $top (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
        (global.get $top)
        (global.set $top (i32.add (global.get $top) (local.get $size)))",
    pages: 2,
};

impl Hostile {
    fn corpus(&self) -> Bytes {
        let text = self.module(
            "floret:corpus/builder@0.1.0",
            "text/vnd.floret.corpus; version=1",
            r#"(func (export "floret:corpus/builder@0.1.0#merge") (param i32 i32 i32) (result i32) unreachable)
               (func (export "floret:corpus/builder@0.1.0#analyze") (param i32 i32 i32) (result i32) unreachable)"#,
        );
        component("corpus", &text)
    }

    /// An index builder; `searcher` declares the functions of its searcher.
    fn index(&self, searcher: &str) -> Bytes {
        let rest = format!(
            r#"(import "[export]floret:index/builder@0.1.0" "[resource-new]searcher" (func $new (param i32) (result i32)))
               (import "[export]floret:index/builder@0.1.0" "[resource-drop]searcher" (func $drop (param i32)))
               {searcher}"#
        );
        let text = self.module("floret:index/builder@0.1.0", "a/hostile", &rest);
        component("index", &text)
    }

    fn module(&self, interface: &str, media_type: &str, rest: &str) -> String {
        let Self { declarations, describe, build, realloc, pages } = self;
        let media_type_len = format!("\\{:02x}\\00\\00\\00", media_type.len());
        // Imports come first in a module.
        let (imports, rest): (Vec<_>, Vec<_>) =
            rest.lines().partition(|line| line.trim_start().starts_with("(import"));
        let (imports, rest) = (imports.join("\n"), rest.join("\n"));
        format!(
            r#"(module
                (import "floret:types/io@0.1.0" "[method]sink.write" (func $write (param i32 i32 i32)))
                (import "floret:types/io@0.1.0" "[method]input.read" (func $read (param i32 i64 i32 i32)))
                (import "floret:types/io@0.1.0" "[method]input.size" (func $size (param i32) (result i64)))
                (import "floret:types/io@0.1.0" "[resource-drop]input" (func $drop-input (param i32)))
                (import "floret:types/io@0.1.0" "[resource-drop]sink" (func $drop-sink (param i32)))
                (import "floret:types/log@0.1.0" "log" (func $log (param i32 i32 i32)))
                {imports}
                (memory (export "memory") {pages})
                (global $top (mut i32) (i32.const 4096))
                (data (i32.const 0)
                    "\40\00\00\00\07\00\00\00" "\48\00\00\00\05\00\00\00" "\50\00\00\00\01\00\00\00"
                    "\80\00\00\00{media_type_len}" "\58\00\00\00\02\00\00\00")
                (data (i32.const 64) "hostile")
                (data (i32.const 72) "0.1.0")
                (data (i32.const 80) "A")
                (data (i32.const 88) "{{}}")
                (data (i32.const 128) "{media_type}")
                (data (i32.const 200) "a\091\0a")
                (data (i32.const 240) "\c3\28\ff\fe")
                (data (i32.const 256)
                    "\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00")
                {declarations}
                {rest}
                (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32) {realloc})
                (func (export "{interface}#describe") (result i32) {describe})
                (func (export "{interface}#build")
                    (param $list i32) (param $len i32) (param i32 i32) (param $out i32) (result i32)
                    {build}))"#
        )
    }
}

/// Its neighbour builds while `hostile` runs and after it.
async fn beside<T>(runtime: &Arc<Runtime>, hostile: impl Future<Output = T>) -> T {
    let neighbour = runtime.load(dist("corpus-text")).await.expect("a good component");
    let honest = async || {
        let built = neighbour.build_corpus(vec![text("good words")], "{}").await.expect("honest work");
        assert_eq!(built.statistics.total_tokens, 2);
    };
    let ((), ended) = tokio::join!(honest(), hostile);
    honest().await;
    ended
}

fn check(what: &str, error: &Error, place: &str, expected: &str) {
    let text = error.to_string();
    assert!(text.starts_with(place), "{what}: {text:?} does not begin with {place:?}");
    assert!(text.contains(expected), "{what}: {text:?} does not tell {expected:?}");
    assert!(text.len() < 4_500, "{what}: {} bytes", text.len());
}

/// Each loads, and fails in `build` with these words.
async fn check_builds(deeds: &[(&str, Hostile, &str)]) {
    let runtime = runtime(limits());
    for (what, hostile, expected) in deeds {
        let guest = runtime.load(hostile.corpus()).await;
        let guest = guest.unwrap_or_else(|error| panic!("{what}: {error}"));
        let build = guest.build_corpus(vec![text("x")], "{}");
        let error = beside(&runtime, build).await.expect_err(what);
        check(what, &error, "hostile@0.1.0 (floret:corpus@0.1.0) in build: ", expected);
    }
}

/// None loads, and each is named by its digest.
async fn check_loads(deeds: &[(&str, Hostile, &str)]) {
    check_loads_as("sha256:", deeds).await;
}

/// None loads, and each is named like this.
async fn check_loads_as(name: &str, deeds: &[(&str, Hostile, &str)]) {
    let runtime = runtime(limits());
    for (what, hostile, expected) in deeds {
        let error = beside(&runtime, runtime.load(hostile.corpus())).await.err().expect(what);
        check(what, &error, name, "(floret:corpus@0.1.0) in describe: ");
        check(what, &error, name, expected);
    }
}

fn building(build: &'static str) -> Hostile {
    Hostile { build, ..GOOD }
}

fn describing(describe: &'static str) -> Hostile {
    Hostile { describe, ..GOOD }
}

fn declaring(declarations: &'static str) -> Hostile {
    Hostile { declarations, ..GOOD }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_good_one_builds() {
    let guest = runtime(limits()).load(GOOD.corpus()).await.expect("a component");
    let built = guest.build_corpus(vec![text("x")], "{}").await.expect("a corpus");
    assert_eq!(built.bytes.as_ref(), b"a\t1\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loops_outside_of_the_functions_are_stopped() {
    const STOPPED: &str = "stopped at the limit query_timeout = 1000 ms";
    let deeds = [
        ("start", declaring("(func $forever (loop (br 0))) (start $forever)"), STOPPED),
        (
            "post-return",
            declaring(
                r#"(func (export "cabi_post_floret:corpus/builder@0.1.0#describe") (param i32) (loop (br 0)))"#,
            ),
            STOPPED,
        ),
    ];
    check_loads(&deeds).await;
    let realloc = Hostile { realloc: "(loop (br 0)) unreachable", ..GOOD };
    check_builds(&[("realloc", realloc, "stopped at the limit call_timeout = 2000 ms")]).await;
}

/// A searcher is a resource of the guest's own: its destructor runs when the guest drops it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destructor_without_end_is_stopped() {
    let searcher = r#"
        (func (export "floret:index/builder@0.1.0#modes") (result i32) i32.const 312)
        (func (export "floret:index/builder@0.1.0#[dtor]searcher") (param i32) (loop (br 0)))
        (func (export "floret:index/builder@0.1.0#[static]searcher.open") (param i32) (result i32)
            (i32.store (i32.const 324) (call $new (i32.const 7)))
            i32.const 320)
        (func (export "floret:index/builder@0.1.0#[method]searcher.search")
            (param i32 i32 i32 i32 i32 i32) (result i32)
            (call $drop (call $new (i32.const 9)))
            i32.const 256)"#;
    let hostile = Hostile {
        // One mode, `exact`, at 336.
        declarations: r#"(data (i32.const 312) "\50\01\00\00\01\00\00\00")"#,
        build: "(call $drop (call $new (i32.const 8))) i32.const 256",
        ..GOOD
    };
    let runtime = runtime(limits());
    let guest = runtime.load(hostile.index(searcher)).await.expect("an index component");
    let build = guest.build_index(vec![corpus("a\t1\n")], "{}");
    let error = beside(&runtime, build).await.expect_err("a loop");
    check("build", &error, "hostile@0.1.0 (floret:index@0.1.0) in build: ", "call_timeout = 2000 ms");
    let searcher = guest.open_index(Input::new("index", "a/hostile", "x")).await.expect("it opens");
    let search = searcher.search(Query::Exact("a".to_owned()), 1);
    let error = beside(&runtime, search).await.expect_err("a loop");
    check("search", &error, "hostile@0.1.0 (floret:index@0.1.0) in search: ", "query_timeout = 1000 ms");
    // The destructor of the searcher that the host holds is never run: the store goes as a whole.
    drop(searcher);
    beside(&runtime, std::future::ready(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bombs_go_off_alone() {
    let deeds = [
        ("memory", Hostile { pages: 65_536, ..GOOD }, "stopped at the limit memory_bytes_max"),
        ("table", declaring("(table 10000000 funcref)"), "stopped at the limit table_elements_max"),
        (
            "stack in start",
            declaring("(func $deep (call $deep) (call $deep)) (start $deep)"),
            "trapped: stack overflow",
        ),
        ("trap in start", declaring("(func $stop unreachable) (start $stop)"), "trapped: it gave up"),
    ];
    check_loads(&deeds).await;
    let grown = building(
        "(loop (drop (memory.grow (i32.const 16))) (br_if 0 (i32.ne (memory.size) (i32.const 0))))
         i32.const 256",
    );
    check_builds(&[("memory", grown, "stopped at the limit memory_bytes_max")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handles_are_only_what_the_host_gave() {
    const BROKE: &str = "trapped: it broke the component ABI";
    let deeds = [
        (
            "used after drop",
            building(
                "(call $drop-input (i32.load (local.get $list)))
                 (drop (call $size (i32.load (local.get $list)))) i32.const 256",
            ),
            BROKE,
        ),
        (
            "dropped twice",
            building("(call $drop-sink (local.get $out)) (call $drop-sink (local.get $out)) i32.const 256"),
            BROKE,
        ),
        ("forged", building("(drop (call $size (i32.const 77777))) i32.const 256"), BROKE),
        ("zero", building("(drop (call $size (i32.const 0))) i32.const 256"), BROKE),
        ("negative", building("(drop (call $size (i32.const -1))) i32.const 256"), BROKE),
        ("of another type", building("(drop (call $size (local.get $out))) i32.const 256"), BROKE),
        (
            "of the host's kind",
            building("(call $write (i32.load (local.get $list)) (i32.const 0) (i32.const 1)) i32.const 256"),
            BROKE,
        ),
    ];
    check_builds(&deeds).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pointers_out_of_range_stay_without_effect() {
    const TRAPPED: &str = "trapped: ";
    let deeds = [
        (
            "written from beyond",
            building("(call $write (local.get $out) (i32.const 0x7fffffff) (i32.const 100)) i32.const 256"),
            TRAPPED,
        ),
        (
            "written across the end",
            building("(call $write (local.get $out) (i32.const 131070) (i32.const 4)) i32.const 256"),
            TRAPPED,
        ),
        (
            "an enormous write",
            building("(call $write (local.get $out) (i32.const 0) (i32.const -1)) i32.const 256"),
            TRAPPED,
        ),
        (
            "read to beyond",
            building(
                "(call $read (i32.load (local.get $list)) (i64.const 0) (i32.const 1) (i32.const -8))
                 i32.const 256",
            ),
            TRAPPED,
        ),
        (
            "logged from beyond",
            building("(call $log (i32.const 0) (i32.const -16) (i32.const 8)) i32.const 256"),
            TRAPPED,
        ),
        ("an answer beyond", building("i32.const -8"), TRAPPED),
        ("an answer across the end", building("i32.const 131064"), TRAPPED),
        ("an answer askew", building("i32.const 257"), TRAPPED),
        ("memory given beyond", Hostile { realloc: "i32.const 0x7ffffff0", ..GOOD }, TRAPPED),
        ("memory given askew", Hostile { realloc: "i32.const 4097", ..GOOD }, TRAPPED),
        (
            "a call from where none may be made",
            Hostile { realloc: "(call $drop-sink (i32.const 1)) i32.const 4096", ..GOOD },
            TRAPPED,
        ),
    ];
    check_builds(&deeds).await;
}

/// Reading beyond the end is ordinary, whatever the offset.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_beyond_the_end_are_empty() {
    let hostile = building(
        "(call $read (i32.load (local.get $list)) (i64.const -1) (i32.const -1) (i32.const 320))
         (if (i32.load (i32.const 324)) (then unreachable))
         (call $write (local.get $out) (i32.const 200) (i32.const 4)) i32.const 256",
    );
    let guest = runtime(limits()).load(hostile.corpus()).await.expect("a component");
    assert!(guest.build_corpus(vec![text("x")], "{}").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_with_wrong_ends_are_refused() {
    // An error of the guest: the answer's case at 320, the error's at 328, its text's address and length after.
    const ERROR: &str = "(i32.store (i32.const 320) (i32.const 1)) (i32.store (i32.const 328) (i32.const 3))";
    let error =
        |rest: &'static str| building(Box::leak(format!("{ERROR} {rest} i32.const 320").into_boxed_str()));
    let deeds = [
        (
            "a text that is not UTF-8",
            error("(i32.store (i32.const 332) (i32.const 240)) (i32.store (i32.const 336) (i32.const 4))"),
            "trapped: it broke the component ABI",
        ),
        (
            "a text without end",
            error("(i32.store (i32.const 332) (i32.const 64)) (i32.store (i32.const 336) (i32.const -1))"),
            "trapped: ",
        ),
        (
            "a text beyond",
            error("(i32.store (i32.const 332) (i32.const -64)) (i32.store (i32.const 336) (i32.const 8))"),
            "trapped: ",
        ),
        (
            "a case that is none",
            building("(i32.store (i32.const 320) (i32.const 7)) i32.const 320"),
            "trapped: ",
        ),
        (
            "an error that is none",
            building(
                "(i32.store (i32.const 320) (i32.const 1)) (i32.store (i32.const 328) (i32.const 200)) i32.const 320",
            ),
            "trapped: ",
        ),
        (
            "a log line that is not UTF-8",
            building("(call $log (i32.const 0) (i32.const 240) (i32.const 4)) i32.const 256"),
            "trapped: it broke the component ABI",
        ),
        (
            "a level that is none",
            building("(call $log (i32.const 9) (i32.const 64) (i32.const 4)) i32.const 256"),
            "trapped: ",
        ),
        ("figures of nothing", building("i32.const 256"), "it says 1 words and 1 tokens, but wrote 0 and 0"),
    ];
    check_builds(&deeds).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enormous_list_is_stopped_before_it_is_taken() {
    // As many modes as the memory has bytes, all of them `exact`.
    let searcher = r#"
        (func (export "floret:index/builder@0.1.0#modes") (result i32) i32.const 312)
        (func (export "floret:index/builder@0.1.0#[static]searcher.open") (param i32) (result i32) unreachable)
        (func (export "floret:index/builder@0.1.0#[method]searcher.search")
            (param i32 i32 i32 i32 i32 i32) (result i32) unreachable)"#;
    let list = |len: &'static str| Hostile { declarations: len, pages: 256, ..GOOD };
    let runtime = runtime(limits());
    for (what, hostile, expected) in [
        (
            "within memory",
            list(r#"(data (i32.const 312) "\00\10\00\00\00\00\f0\00")"#),
            "stopped at the limit call_bytes_max",
        ),
        ("beyond memory", list(r#"(data (i32.const 312) "\00\10\00\00\ff\ff\ff\ff")"#), "trapped: "),
    ] {
        let error = beside(&runtime, runtime.load(hostile.index(searcher))).await.err().expect(what);
        check(what, &error, "sha256:", expected);
        check(what, &error, "sha256:", "(floret:index@0.1.0) in describe: ");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_and_schemas_that_lie_are_refused() {
    // The description begins with the name's address and length; the schema's are at 32 and 36.
    let deeds = [
        (
            "not lower-case",
            describing("(i32.store (i32.const 0) (i32.const 80)) (i32.store (i32.const 4) (i32.const 1)) i32.const 0"),
            "malformed answer: the name is \"A\": expected 1 to 64 lower-case letters",
        ),
        (
            "too long",
            describing("(memory.fill (i32.const 1024) (i32.const 97) (i32.const 60000))
                 (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 60000)) i32.const 0"),
            "malformed answer: the name is \"aaaa",
        ),
        (
            "no text",
            describing("(i32.store (i32.const 0) (i32.const 240)) (i32.store (i32.const 4) (i32.const 4)) i32.const 0"),
            "trapped: it broke the component ABI",
        ),
        (
            "no version",
            describing("(i32.store (i32.const 8) (i32.const 64)) i32.const 0"),
            "malformed answer: the version is \"hosti\"",
        ),
    ];
    check_loads(&deeds).await;
    let schemas = [
        (
            "a schema that is no JSON",
            describing("(i32.store (i32.const 36) (i32.const 1)) i32.const 0"),
            "its configuration is invalid: it is not JSON",
        ),
        (
            "a schema that is no object",
            describing("(i32.store8 (i32.const 88) (i32.const 91)) (i32.store8 (i32.const 89) (i32.const 93)) i32.const 0"),
            "its configuration is invalid: it is not a JSON object",
        ),
        (
            "a huge schema",
            describing("(memory.fill (i32.const 1024) (i32.const 32) (i32.const 70000))
                 (i32.store (i32.const 32) (i32.const 1024)) (i32.store (i32.const 36) (i32.const 70000)) i32.const 0"),
            "its configuration is invalid: the schema has 70000 bytes: at most 65536 are allowed",
        ),
        (
            "a deep schema",
            describing("(memory.fill (i32.const 1024) (i32.const 91) (i32.const 60000))
                 (i32.store (i32.const 32) (i32.const 1024)) (i32.store (i32.const 36) (i32.const 60000)) i32.const 0"),
            "its configuration is invalid: it is not JSON: recursion limit exceeded",
        ),
    ];
    check_loads_as("hostile@0.1.0 ", &schemas).await;
}

/// It calls itself `hostila`, `hostilb` … by turns. It is asked once, and always in a fresh store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_changes_is_asked_for_once() {
    let changes = Hostile {
        declarations: "(global $turn (mut i32) (i32.const 97))",
        describe: "(i32.store8 (i32.const 70) (global.get $turn))
            (global.set $turn (i32.add (global.get $turn) (i32.const 1)))
            i32.const 0",
        ..GOOD
    };
    let runtime = runtime(limits());
    for _ in 0..2 {
        let guest: Arc<Component> = runtime.load(changes.corpus()).await.expect("a component");
        assert_eq!(guest.label(), "hostila@0.1.0");
        assert!(beside(&runtime, guest.build_corpus(vec![text("x")], "{}")).await.is_ok());
        assert_eq!(guest.label(), "hostila@0.1.0");
    }
}
