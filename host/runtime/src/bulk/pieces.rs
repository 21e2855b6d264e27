//! The functions that do bulk instructions in pieces.
//!
//! ```text
//! function(to, what, len):
//!     if len > PIECE:
//!         trap unless all of both ranges is in bounds     ; before anything is written, as the instruction does
//!         do pieces of PIECE bytes while len > PIECE      ; each loop sees the deadline
//!     the instruction itself, for the rest
//! ```
//!
//! Whether a range is in bounds is asked by reading its last byte, or of a data segment by initialising nothing from
//! its end. A range that ends beyond what can be addressed is left to the instruction itself, which traps.

use wasm_encoder::{BlockType, Encode, Function as Body, InstructionSink, MemArg, ValType};
use wasmparser::MemoryType;

use super::{Bulk, Declared, Fault, PIECE_BYTES, number};

/// How long the addresses of a memory are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Width {
    Bits32,
    Bits64,
}

/// A function in binary form.
pub(super) struct Function {
    /// Its type, as the type section has it.
    pub(super) signature: Vec<u8>,
    /// Its locals and its code, as the code section has them, without their length.
    pub(super) body: Vec<u8>,
}

/// Parameters and locals of every such function.
const TO: u32 = 0;
const WHAT: u32 = 1;
const LEN: u32 = 2;
const LAST_TO: u32 = 3;
const LAST_FROM: u32 = 4;

/// What a function's type begins with.
const FUNCTION_TYPE: u8 = 0x60;
const CALL: u8 = 0x10;
const NOP: u8 = 0x01;

impl Width {
    pub(super) fn of(memory: MemoryType) -> Self {
        if memory.memory64 { Self::Bits64 } else { Self::Bits32 }
    }

    fn value_type(self) -> ValType {
        match self {
            Self::Bits32 => ValType::I32,
            Self::Bits64 => ValType::I64,
        }
    }
}

/// What is done with two addresses or lengths.
#[derive(Clone, Copy)]
enum Op {
    Add,
    Sub,
    Less,
    AtMost,
    Greater,
}

/// A call of a function in `len` bytes, or more if its number needs them.
pub(super) fn call(written: &mut Vec<u8>, function: u32, len: usize) {
    let before = written.len();
    written.push(CALL);
    number(written, u64::from(function), (len - 1).min(5));
    while written.len() - before < len {
        written.push(NOP);
    }
}

/// The function for an instruction.
pub(super) fn function(bulk: Bulk, declared: &Declared) -> Result<Function, Fault> {
    let (to, what, len) = match bulk {
        Bulk::Fill { memory } => {
            let width = declared.memory(memory)?;
            (width, Width::Bits32, width)
        }
        Bulk::Copy { to, from } => {
            let (to, from) = (declared.memory(to)?, declared.memory(from)?);
            let both = to == Width::Bits64 && from == Width::Bits64;
            (to, from, if both { Width::Bits64 } else { Width::Bits32 })
        }
        Bulk::Init { memory, .. } => (declared.memory(memory)?, Width::Bits32, Width::Bits32),
    };
    // One local of the kind of each address.
    let mut code = Code(Body::new([(1, to.value_type()), (1, what.value_type())]));
    code.sink().block(BlockType::Empty).local_get(LEN);
    code.piece(len).op(len, Op::AtMost).sink().br_if(0);
    match bulk {
        Bulk::Fill { memory } => {
            code.in_bounds(memory, to, (TO, LAST_TO), len);
            code.forward(bulk, &[(TO, to)], len);
        }
        Bulk::Copy { to: to_memory, from } => {
            code.in_bounds(to_memory, to, (TO, LAST_TO), len);
            code.in_bounds(from, what, (WHAT, LAST_FROM), len);
            if to_memory == from {
                code.backward_if_to_is_above(bulk, len);
            }
            code.forward(bulk, &[(TO, to), (WHAT, what)], len);
        }
        Bulk::Init { memory, .. } => {
            code.in_bounds(memory, to, (TO, LAST_TO), len);
            code.in_segment(bulk, to);
            code.forward(bulk, &[(TO, to), (WHAT, what)], len);
        }
    }
    code.sink().end().local_get(TO).local_get(WHAT).local_get(LEN);
    code.instruction(bulk).sink().end();
    let mut signature = vec![FUNCTION_TYPE];
    [to, what, len].map(Width::value_type).as_slice().encode(&mut signature);
    // No result.
    signature.push(0);
    Ok(Function { signature, body: code.0.into_raw_body() })
}

/// Code under construction.
struct Code(Body);

impl Code {
    fn sink(&mut self) -> InstructionSink<'_> {
        self.0.instructions()
    }

    fn constant(&mut self, width: Width, value: u32) -> &mut Self {
        match width {
            Width::Bits32 => self.sink().i32_const(value.cast_signed()),
            Width::Bits64 => self.sink().i64_const(value.into()),
        };
        self
    }

    fn piece(&mut self, width: Width) -> &mut Self {
        self.constant(width, PIECE_BYTES)
    }

    fn op(&mut self, width: Width, op: Op) -> &mut Self {
        let mut sink = self.0.instructions();
        match (width, op) {
            (Width::Bits32, Op::Add) => sink.i32_add(),
            (Width::Bits32, Op::Sub) => sink.i32_sub(),
            (Width::Bits32, Op::Less) => sink.i32_lt_u(),
            (Width::Bits32, Op::AtMost) => sink.i32_le_u(),
            (Width::Bits32, Op::Greater) => sink.i32_gt_u(),
            (Width::Bits64, Op::Add) => sink.i64_add(),
            (Width::Bits64, Op::Sub) => sink.i64_sub(),
            (Width::Bits64, Op::Less) => sink.i64_lt_u(),
            (Width::Bits64, Op::AtMost) => sink.i64_le_u(),
            (Width::Bits64, Op::Greater) => sink.i64_gt_u(),
        };
        self
    }

    /// Trap unless the range of `LEN` bytes (one or more) at `start` is in the memory; leave the block if its end
    /// cannot be addressed.
    fn in_bounds(&mut self, memory: u32, width: Width, (start, last): (u32, u32), len: Width) {
        self.sink().local_get(start).local_get(LEN);
        if width != len {
            self.sink().i64_extend_i32_u();
        }
        self.constant(width, 1).op(width, Op::Sub).op(width, Op::Add);
        self.sink().local_set(last).local_get(last).local_get(start);
        self.op(width, Op::Less).sink().br_if(0);
        let byte = MemArg { offset: 0, align: 0, memory_index: memory };
        self.sink().local_get(last).i32_load8_u(byte).drop();
    }

    /// Trap unless the range is in the segment; leave the block if its end has no number.
    fn in_segment(&mut self, bulk: Bulk, to: Width) {
        let mut sink = self.sink();
        sink.local_get(WHAT).local_get(LEN).i32_add().local_set(LAST_FROM);
        sink.local_get(LAST_FROM).local_get(WHAT).i32_lt_u().br_if(0);
        self.constant(to, 0).sink().local_get(LAST_FROM);
        self.constant(Width::Bits32, 0).instruction(bulk);
    }

    /// Pieces from the beginning; the addresses move on.
    fn forward(&mut self, bulk: Bulk, moving: &[(u32, Width)], len: Width) {
        self.sink().loop_(BlockType::Empty).local_get(TO).local_get(WHAT);
        self.piece(len).instruction(bulk);
        for (address, width) in moving {
            self.sink().local_get(*address);
            self.piece(*width).op(*width, Op::Add).sink().local_set(*address);
        }
        self.sink().local_get(LEN);
        self.piece(len).op(len, Op::Sub).sink().local_set(LEN);
        self.again(len);
    }

    /// Pieces from the end, where a copy within one memory goes up and could overwrite what it has yet to read.
    fn backward_if_to_is_above(&mut self, bulk: Bulk, width: Width) {
        self.sink().local_get(TO).local_get(WHAT);
        self.op(width, Op::Greater).sink().if_(BlockType::Empty).loop_(BlockType::Empty).local_get(LEN);
        self.piece(width).op(width, Op::Sub).sink().local_set(LEN);
        for address in [TO, WHAT] {
            self.sink().local_get(address).local_get(LEN);
            self.op(width, Op::Add);
        }
        self.piece(width).instruction(bulk);
        self.again(width);
        // Out of the block: the rest lies at the beginning.
        self.sink().br(1).end();
    }

    /// The end of a loop that runs while more than a piece is left.
    fn again(&mut self, len: Width) {
        self.sink().local_get(LEN);
        self.piece(len).op(len, Op::Greater).sink().br_if(0).end();
    }

    fn instruction(&mut self, bulk: Bulk) -> &mut Self {
        match bulk {
            Bulk::Init { data, memory } => self.sink().memory_init(memory, data),
            Bulk::Copy { to, from } => self.sink().memory_copy(to, from),
            Bulk::Fill { memory } => self.sink().memory_fill(memory),
        };
        self
    }
}
