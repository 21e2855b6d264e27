use std::borrow::Cow;

use wasmtime::{Config, Engine, Instance, Memory, Module, Store, Trap, TypedFunc};

use super::{DEPTH_MAX, in_pieces, rewrite_component, rewrite_module, sections};

const PIECE: u32 = super::PIECE_BYTES;

/// 100 pages: more than six pieces.
const MEMORY: u32 = 100 * 65_536;

const SEGMENT: u32 = 2 * PIECE + 77;

fn module(address: &str) -> Vec<u8> {
    let segment: String = (0..SEGMENT).map(|byte| char::from(b'a' + (byte % 23) as u8)).collect();
    let function = |name: &str, instruction: &str, types: [&str; 3]| {
        let [to, what, len] = types;
        format!(
            r#"(func (export "{name}") (param {to} {what} {len})
                ({instruction} (local.get 0) (local.get 1) (local.get 2)))"#
        )
    };
    let text = [
        format!(r#"(module (memory (export "first") {address} 100) (memory $b (export "second") 100)"#),
        function("fill", "memory.fill", [address, "i32", address]),
        function("fill-second", "memory.fill $b", ["i32"; 3]),
        function("copy", "memory.copy", [address; 3]),
        function("copy-across", "memory.copy $b 0", ["i32", address, "i32"]),
        function("init", "memory.init $d", [address, "i32", "i32"]),
        function("init-second", "memory.init $b $d", ["i32"; 3]),
        format!(r#"(func (export "drop") (data.drop $d)) (data $d "{segment}"))"#),
    ];
    wat::parse_str(text.concat()).expect("a module in text form")
}

/// One of two machines that must do the same.
struct Machine {
    store: Store<()>,
    instance: Instance,
}

impl Machine {
    fn new(engine: &Engine, module: &[u8]) -> Self {
        let module = Module::from_binary(engine, module).expect("a valid module");
        let mut store = Store::new(engine, ());
        let instance = Instance::new(&mut store, &module, &[]).expect("an instance");
        let mut machine = Self { store, instance };
        for name in ["first", "second"] {
            let memory = machine.memory(name);
            for (place, byte) in memory.data_mut(&mut machine.store).iter_mut().enumerate() {
                *byte = (place % 251) as u8;
            }
        }
        machine
    }

    fn memory(&mut self, name: &str) -> Memory {
        self.instance.get_memory(&mut self.store, name).expect("a memory")
    }

    fn call(&mut self, name: &str, arguments: [u32; 3]) -> Result<(), Trap> {
        let function: TypedFunc<(u32, u32, u32), ()> =
            self.instance.get_typed_func(&mut self.store, name).expect("a function");
        let [to, what, len] = arguments;
        let done = function.call(&mut self.store, (to, what, len));
        done.map_err(|error| *error.downcast_ref::<Trap>().expect("a trap"))
    }
}

#[test]
fn pieces_do_and_trap_as_the_instructions_themselves() {
    let engine = Engine::default();
    let whole = module("i32");
    let pieces = rewrite_module(&whole).expect("well-formed");
    assert!(matches!(pieces, Cow::Owned(_)));
    let (mut whole, mut pieces) = (Machine::new(&engine, &whole), Machine::new(&engine, &pieces));
    let mut trapped = 0;
    let mut check = |name: &str, arguments: [u32; 3]| {
        let (one, other) = (whole.call(name, arguments), pieces.call(name, arguments));
        assert_eq!(one, other, "{name} {arguments:?}");
        trapped += u32::from(one.is_err());
        for memory in ["first", "second"] {
            let (one, other) = (whole.memory(memory), pieces.memory(memory));
            let same = one.data(&whole.store) == other.data(&pieces.store);
            assert!(same, "{memory} differs after {name} {arguments:?}");
        }
    };
    let lens = [0, 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 5, MEMORY - 1, MEMORY, MEMORY + 1, u32::MAX];
    for len in lens {
        for to in [0, 1, PIECE + 3, MEMORY - PIECE, MEMORY, u32::MAX - PIECE] {
            check("fill", [to, len ^ to, len]);
            check("fill-second", [to, 7, len]);
            // Overlapping upwards and downwards by less and by more than a piece, and not at all.
            for from in [0, 1, PIECE, 2 * PIECE + 9, u32::MAX] {
                check("copy", [to, from, len]);
                check("copy-across", [to, from, len]);
            }
        }
    }
    for len in [0, 1, PIECE + 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, u32::MAX] {
        for (to, from) in [(0, 0), (5, 1), (MEMORY - PIECE - 1, 0), (0, SEGMENT), (MEMORY, 0), (0, u32::MAX)]
        {
            check("init", [to, from, len]);
            check("init-second", [to, from, len]);
        }
    }
    assert!(trapped > 100, "{trapped} trapped");
}

#[test]
fn memories_of_either_width_are_valid_and_a_dropped_segment_traps() {
    let mut config = Config::new();
    config.wasm_memory64(true).wasm_multi_memory(true);
    let engine = Engine::new(&config).expect("an engine");
    let wide = module("i64");
    let pieces = rewrite_module(&wide).expect("well-formed");
    assert!(Module::from_binary(&engine, &pieces).is_ok());
    let narrow = module("i32");
    let mut machine = Machine::new(&engine, &rewrite_module(&narrow).expect("well-formed"));
    let drop: TypedFunc<(), ()> =
        machine.instance.get_typed_func(&mut machine.store, "drop").expect("a function");
    drop.call(&mut machine.store, ()).expect("dropped");
    assert_eq!(machine.call("init", [0, 0, PIECE + 1]), Err(Trap::MemoryOutOfBounds));
    assert_eq!(machine.call("init", [0, 0, 0]), Ok(()));
}

#[test]
fn what_has_no_bulk_instruction_stays_as_it_is_and_code_keeps_its_places() {
    let plain =
        wat::parse_str("(module (memory 1) (func (drop (memory.grow (i32.const 1)))))").expect("text");
    assert!(matches!(rewrite_module(&plain), Ok(Cow::Borrowed(_))));
    let fills = wat::parse_str(
        "(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 9)) (drop (i32.const 1))))",
    )
    .expect("text");
    let pieces = rewrite_module(&fills).expect("well-formed");
    let code = |module: &[u8]| {
        let sections = sections(module).expect("sections");
        sections.iter().find(|(id, _)| *id == super::CODE).expect("code").1.to_vec()
    };
    let (before, after) = (code(&fills), code(&pieces));
    // One function more; of the first only the instruction differs, and where it ends the new one begins.
    assert_eq!((before[0], after[0]), (1, 2));
    let differing = (1..before.len()).filter(|place| before[*place] != after[*place]).count();
    assert!((1..=3).contains(&differing), "{differing} octets differ");
}

#[test]
fn what_is_malformed_or_nested_too_deep_is_refused() {
    assert!(in_pieces(b"").is_err());
    assert!(in_pieces(b"\0asm\x0d\0\x01\0\x01\x7f").is_err(), "a section that ends beyond the file");
    let header = b"\0asm\x0d\0\x01\0".to_vec();
    let nested = |depth: u32| {
        (0..depth).fold(header.clone(), |inner, _| {
            let mut outer = header.clone();
            outer.push(super::NESTED_COMPONENT);
            super::number(&mut outer, inner.len() as u64, 1);
            outer.extend_from_slice(&inner);
            outer
        })
    };
    assert!(rewrite_component(&nested(DEPTH_MAX), 0).is_ok());
    let told = rewrite_component(&nested(DEPTH_MAX + 1), 0).expect_err("refused");
    assert!(told.contains("nested more than 32 deep"), "{told}");
}
