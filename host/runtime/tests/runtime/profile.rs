//! The two engines: results of the build engine do not depend on the machine.

use floret_runtime::Limits;

use crate::guests::{component, runtime, text};

/// A corpus builder that writes the word `n0` or `n1`: the sign of 0/0, which differs between processors unless
/// it is made canonical.
const SIGN_OF_NAN: &str = r#"(module
    (import "floret:types/io@0.1.0" "[method]sink.write" (func $write (param i32 i32 i32)))
    (memory (export "memory") 1)
    (global $zero (mut f32) (f32.const 0))
    (data (i32.const 0)
        "\40\00\00\00\03\00\00\00" "\48\00\00\00\05\00\00\00" "\50\00\00\00\01\00\00\00"
        "\80\00\00\00\22\00\00\00" "\58\00\00\00\02\00\00\00")
    (data (i32.const 64) "nan")
    (data (i32.const 72) "0.1.0")
    (data (i32.const 80) "A")
    (data (i32.const 88) "{}")
    (data (i32.const 128) "text/vnd.floret.corpus; version=1 ")
    (data (i32.const 200) "n0\091\0a")
    (data (i32.const 256) "\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00")
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
    (func (export "floret:corpus/builder@0.1.0#describe") (result i32)
        (i32.store (i32.const 28) (i32.const 33))
        i32.const 0)
    (func (export "floret:corpus/builder@0.1.0#build") (param i32 i32 i32 i32 i32) (result i32)
        (i32.store8 (i32.const 201)
            (i32.add (i32.const 48)
                (i32.shr_u (i32.reinterpret_f32 (f32.div (global.get $zero) (global.get $zero))) (i32.const 31))))
        (call $write (local.get 4) (i32.const 200) (i32.const 5))
        i32.const 256)
    (func (export "floret:corpus/builder@0.1.0#merge") (param i32 i32 i32) (result i32) unreachable)
    (func (export "floret:corpus/builder@0.1.0#analyze") (param i32 i32 i32) (result i32) unreachable))"#;

#[tokio::test]
async fn not_a_number_has_one_form() {
    let guest = component("corpus", SIGN_OF_NAN);
    let guest = runtime(Limits::default()).load(guest).await.expect("a component");
    let built = guest.build_corpus(vec![text("x")], "{}").await.expect("a corpus");
    assert_eq!(built.bytes.as_ref(), b"n0\t1\n");
}

#[test]
fn the_profile_names_what_can_change_a_result() {
    let profile = runtime(Limits::default()).profile().to_owned();
    let expected =
        "wasmtime=48.0.8;nan=canonical;relaxed-simd=deterministic;threads=off;memory-bytes-max=1073741824";
    assert_eq!(profile, expected);
}
