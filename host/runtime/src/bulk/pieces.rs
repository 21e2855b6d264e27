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
const TO: u8 = 0;
const WHAT: u8 = 1;
const LEN: u8 = 2;
const LAST_TO: u8 = 3;
const LAST_FROM: u8 = 4;

const BLOCK: [u8; 2] = [0x02, 0x40];
const LOOP: [u8; 2] = [0x03, 0x40];
const IF: [u8; 2] = [0x04, 0x40];
const END: u8 = 0x0B;
const DROP: u8 = 0x1A;
const LOAD_BYTE: u8 = 0x2D;
const EXTEND: u8 = 0xAD;
const CALL: u8 = 0x10;
const NOP: u8 = 0x01;

impl Width {
    pub(super) fn of(memory: MemoryType) -> Self {
        if memory.memory64 { Self::Bits64 } else { Self::Bits32 }
    }

    fn pick(self, bits32: u8, bits64: u8) -> u8 {
        match self {
            Self::Bits32 => bits32,
            Self::Bits64 => bits64,
        }
    }

    fn value_type(self) -> u8 {
        self.pick(0x7F, 0x7E)
    }

    fn less(self) -> u8 {
        self.pick(0x49, 0x54)
    }

    fn greater(self) -> u8 {
        self.pick(0x4B, 0x56)
    }

    fn at_most(self) -> u8 {
        self.pick(0x4D, 0x58)
    }

    fn add(self) -> u8 {
        self.pick(0x6A, 0x7C)
    }

    fn sub(self) -> u8 {
        self.pick(0x6B, 0x7D)
    }
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
    let mut code = Code::default();
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
    code.bytes.extend_from_slice(&BLOCK);
    code.get(LEN).piece(len).op(len.at_most()).branch_if(0);
    match bulk {
        Bulk::Fill { memory } => {
            code.in_bounds(memory, to, TO, LAST_TO, len);
            code.forward(bulk, &[(TO, to)], len);
        }
        Bulk::Copy { to: to_memory, from } => {
            code.in_bounds(to_memory, to, TO, LAST_TO, len);
            code.in_bounds(from, what, WHAT, LAST_FROM, len);
            if to_memory == from {
                code.backward_if_to_is_above(bulk, len);
            }
            code.forward(bulk, &[(TO, to), (WHAT, what)], len);
        }
        Bulk::Init { memory, .. } => {
            code.in_bounds(memory, to, TO, LAST_TO, len);
            code.in_segment(bulk, to);
            code.forward(bulk, &[(TO, to), (WHAT, what)], len);
        }
    }
    code.op(END).get(TO).get(WHAT).get(LEN).instruction(bulk).op(END);
    let types = [to, what, len].map(Width::value_type);
    let mut signature = vec![0x60, 3];
    signature.extend_from_slice(&types);
    signature.push(0);
    // Two groups of locals: one of the kind of each address.
    let mut body = vec![2, 1, to.value_type(), 1, what.value_type()];
    body.extend_from_slice(&code.bytes);
    Ok(Function { signature, body })
}

/// Code under construction.
#[derive(Default)]
struct Code {
    bytes: Vec<u8>,
}

impl Code {
    fn op(&mut self, op: u8) -> &mut Self {
        self.bytes.push(op);
        self
    }

    fn get(&mut self, local: u8) -> &mut Self {
        self.op(0x20).op(local)
    }

    fn set(&mut self, local: u8) -> &mut Self {
        self.op(0x21).op(local)
    }

    fn branch_if(&mut self, label: u8) -> &mut Self {
        self.op(0x0D).op(label)
    }

    fn constant(&mut self, width: Width, value: u64) -> &mut Self {
        self.op(width.pick(0x41, 0x42));
        // Signed: one more bit, which is 0.
        let bytes = (u64::BITS - value.leading_zeros() + 1).div_ceil(7);
        number(&mut self.bytes, value, bytes as usize);
        self
    }

    fn piece(&mut self, width: Width) -> &mut Self {
        self.constant(width, PIECE_BYTES)
    }

    /// The length as an address of a memory.
    fn len_as(&mut self, width: Width, len: Width) -> &mut Self {
        self.get(LEN);
        if width != len {
            self.op(EXTEND);
        }
        self
    }

    /// Trap unless the range of `LEN` bytes (one or more) at `start` is in the memory; leave the block if its end
    /// cannot be addressed.
    fn in_bounds(&mut self, memory: u32, width: Width, start: u8, last: u8, len: Width) {
        self.get(start).len_as(width, len).constant(width, 1).op(width.sub()).op(width.add()).set(last);
        self.get(last).get(start).op(width.less()).branch_if(0);
        self.get(last).op(LOAD_BYTE);
        if memory == 0 {
            self.op(0);
        } else {
            self.op(0x40);
            number(&mut self.bytes, u64::from(memory), 1);
        }
        self.op(0).op(DROP);
    }

    /// Trap unless the range is in the segment; leave the block if its end has no number.
    fn in_segment(&mut self, bulk: Bulk, to: Width) {
        let width = Width::Bits32;
        self.get(WHAT).get(LEN).op(width.add()).set(LAST_FROM);
        self.get(LAST_FROM).get(WHAT).op(width.less()).branch_if(0);
        self.constant(to, 0).get(LAST_FROM).constant(width, 0).instruction(bulk);
    }

    /// Pieces from the beginning; the addresses move on.
    fn forward(&mut self, bulk: Bulk, moving: &[(u8, Width)], len: Width) {
        self.bytes.extend_from_slice(&LOOP);
        self.get(TO).get(WHAT).piece(len).instruction(bulk);
        for (address, width) in moving {
            self.get(*address).piece(*width).op(width.add()).set(*address);
        }
        self.get(LEN).piece(len).op(len.sub()).set(LEN);
        self.again(len);
    }

    /// Pieces from the end, where a copy within one memory goes up and could overwrite what it has yet to read.
    fn backward_if_to_is_above(&mut self, bulk: Bulk, width: Width) {
        self.get(TO).get(WHAT).op(width.greater());
        self.bytes.extend_from_slice(&IF);
        self.bytes.extend_from_slice(&LOOP);
        self.get(LEN).piece(width).op(width.sub()).set(LEN);
        for address in [TO, WHAT] {
            self.get(address).get(LEN).op(width.add());
        }
        self.piece(width).instruction(bulk);
        self.again(width);
        // Out of the block: the rest lies at the beginning.
        self.op(0x0C).op(1).op(END);
    }

    /// The end of a loop that runs while more than a piece is left.
    fn again(&mut self, len: Width) {
        self.get(LEN).piece(len).op(len.greater()).branch_if(0).op(END);
    }

    fn instruction(&mut self, bulk: Bulk) -> &mut Self {
        let (op, first, second) = match bulk {
            Bulk::Init { data, memory } => (8, data, Some(memory)),
            Bulk::Copy { to, from } => (10, to, Some(from)),
            Bulk::Fill { memory } => (11, memory, None),
        };
        self.op(0xFC).op(op);
        for place in [Some(first), second].into_iter().flatten() {
            number(&mut self.bytes, u64::from(place), 1);
        }
        self
    }
}
