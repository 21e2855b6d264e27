use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use floret_runtime::{CORPUS_MEDIA_TYPE, Component, Error, Input, Limits, Runtime, RuntimeConfig};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A component of `plugins/dist`, or of `tests/guests/dist`.
pub fn dist(name: &str) -> Bytes {
    let places = ["plugins/dist", "tests/guests/dist"];
    let paths = places.map(|place| root().join(place).join(format!("{name}.wasm")));
    let bytes = paths.iter().find_map(|path| std::fs::read(path).ok());
    bytes.unwrap_or_else(|| panic!("{name}.wasm is missing; run `cargo xtask plugins`")).into()
}

/// Small bounds, so that reaching them takes no time.
pub fn small_limits() -> Limits {
    Limits {
        call_timeout: Duration::from_secs(20),
        query_timeout: Duration::from_millis(300),
        memory_bytes_max: 32 << 20,
        output_bytes_max: 4 << 20,
        log_bytes_max: 64 << 10,
        ..Limits::default()
    }
}

/// A runtime that shares compiled code with the other tests.
pub fn runtime(limits: Limits) -> Arc<Runtime> {
    let compiled_dir = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled"));
    Runtime::new(RuntimeConfig { compiled_dir, limits }).expect("a runtime")
}

pub async fn load(limits: Limits, name: &str) -> Arc<Component> {
    runtime(limits).load(dist(name)).await.expect("a good component")
}

pub fn text(text: &str) -> Input {
    Input::new("document", "text/plain", text.as_bytes().to_vec())
}

pub fn corpus(lines: &str) -> Input {
    Input::new("corpus", CORPUS_MEDIA_TYPE, lines.as_bytes().to_vec())
}

/// The error that a misbehaving corpus builder ends with in a mode.
pub async fn deed(limits: Limits, mode: &str) -> Error {
    let guest = load(limits, "misbehave").await;
    let config = format!(r#"{{"mode":"{mode}"}}"#);
    guest.build_corpus(vec![text("x")], &config).await.expect_err("it misbehaves")
}

/// A component of a core module in text form, by the contract in `wit/<contract>`.
pub fn component(contract: &str, core: &str) -> Bytes {
    component_of(&root().join("wit").join(contract), None, core)
}

/// A component of a core module in text form, by the contract in a folder, and its world where it has several.
pub fn component_of(contract: &Path, world: Option<&str>, core: &str) -> Bytes {
    let mut resolve = Resolve::default();
    resolve.push_path(root().join("wit/types")).expect("wit/types");
    let (package, _) = resolve.push_path(contract).expect("a contract");
    let world = resolve.select_world(&[package], world).expect("the world");
    let mut module = wat::parse_str(core).expect("a module in text form");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).expect("metadata");
    let mut encoder = ComponentEncoder::default();
    encoder.module(&module).expect("a module").validate(true);
    encoder.encode().expect("a component").into()
}

/// A policy in text form whose `describe` runs `body`, which leaves the address of a description; there is a good
/// one at 0.
pub fn policy_describing(declarations: &str, body: &str) -> Bytes {
    policy(declarations, body, "unreachable")
}

/// A policy whose `choose` runs a body, which leaves the address of an answer; there is a good one at 256.
pub fn policy_choosing(declarations: &str, body: &str) -> Bytes {
    policy(declarations, "i32.const 0", body)
}

/// A policy of 0.2.0 that chooses as [`policy_choosing`] does.
pub fn newer_policy_choosing(body: &str) -> Bytes {
    let core = policy_core("", "i32.const 0", body).replace("compression@0.1.0#", "compression@0.2.0#");
    component_of(&root().join("wit/policy-0.2"), Some("policy-component"), &core)
}

fn policy(declarations: &str, describe: &str, choose: &str) -> Bytes {
    component("policy", &policy_core(declarations, describe, choose))
}

fn policy_core(declarations: &str, describe: &str, choose: &str) -> String {
    format!(
        r#"(module
            {declarations}
            (memory (export "memory") 1)
            (data (i32.const 0)
                "\40\00\00\00\04\00\00\00" "\48\00\00\00\05\00\00\00" "\50\00\00\00\01\00\00\00"
                "\00\00\00\00\00\00\00\00" "\58\00\00\00\02\00\00\00")
            (data (i32.const 64) "wat-")
            (data (i32.const 72) "0.1.0")
            (data (i32.const 80) "A")
            (data (i32.const 88) "{{}}")
            (data (i32.const 272) "\40\00\00\00\04\00\00\00")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
            (func (export "floret:policy/compression@0.1.0#describe") (result i32) {describe})
            (func (export "floret:policy/compression@0.1.0#choose")
                (param i64 i32 i32 i32 i32 i32 i32 i32 i64 i32 i32 f32 i32 i32) (result i32) {choose})
            (func (export "floret:policy/compression@0.1.0#choose-many")
                (param i32 i32 i32 i32) (result i32) unreachable))"#
    )
}
