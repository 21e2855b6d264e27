//! Bulk memory instructions cut into pieces, so that a deadline is seen within them.
//!
//! The engine looks at the clock at every loop and call of a guest, but not within one instruction, and one
//! `memory.fill` over 1 GiB takes up to a second, most of it for pages touched for the first time. So before a
//! component is compiled, each `memory.fill`, `memory.copy` and `memory.init` of its core modules becomes a call of a
//! function put at the module's end, which does the same in pieces of [`PIECE_BYTES`], in a loop (`bulk/pieces.rs`).
//! What it computes and when it traps stay the same. Only compiled code is made of the rewritten binary: digests,
//! recipes and what is told of a component are those of the bytes that were installed.
//!
//! Everything else is copied byte by byte, and a call is as long as the instruction in whose place it stands (but for
//! modules of more than 16,383 functions), so that names and debugging information still point where they did.
//! Instructions for tables stay: `Limits::table_elements_max` bounds them.

mod pieces;

use std::borrow::Cow;
use std::collections::BTreeMap;

use wasmparser::{
    BinaryReader, CodeSectionReader, FunctionBody, FunctionSectionReader, ImportSectionReader,
    MemorySectionReader, Operator, TypeRef, TypeSectionReader,
};

use pieces::Width;

/// Changes when the same component is rewritten otherwise: a part of what names compiled code.
pub(crate) const REVISION: &str = "bulk instructions in pieces, 1";

/// Bytes that one instruction may write: about 1 ms when all its pages are touched for the first time.
const PIECE_BYTES: u32 = 1 << 20;

/// How deep components may be nested. Compositions have two or three levels.
const DEPTH_MAX: u32 = 32;

/// Bytes of a binary's magic and version.
const HEADER_BYTES: usize = 8;

/// Sections of a core module, and the two of a component that hold binaries.
const TYPES: u8 = 1;
const IMPORTS: u8 = 2;
const FUNCTIONS: u8 = 3;
const MEMORIES: u8 = 5;
const CODE: u8 = 10;
const NESTED_MODULE: u8 = 1;
const NESTED_COMPONENT: u8 = 4;

/// What is wrong with a binary. Whatever this reads, the engine reads and validates once more.
type Fault = String;

/// A bulk instruction with what stands in it: all that its function depends on, but for the kinds of memories.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Bulk {
    Fill { memory: u32 },
    Copy { to: u32, from: u32 },
    Init { data: u32, memory: u32 },
}

/// The component with its bulk instructions cut into pieces; the same bytes if it has none.
///
/// # Errors
/// It is no well-formed component, or nested more than 32 deep.
pub(crate) fn in_pieces(component: &[u8]) -> wasmtime::Result<Cow<'_, [u8]>> {
    rewrite_component(component, 0).map_err(wasmtime::Error::msg)
}

fn rewrite_component(bytes: &[u8], depth: u32) -> Result<Cow<'_, [u8]>, Fault> {
    if depth > DEPTH_MAX {
        return Err(format!("its components are nested more than {DEPTH_MAX} deep"));
    }
    let mut parts = Vec::new();
    for (id, data) in sections(bytes)? {
        let data = match id {
            NESTED_MODULE => rewrite_module(data)?,
            NESTED_COMPONENT => rewrite_component(data, depth + 1)?,
            _ => Cow::Borrowed(data),
        };
        parts.push((id, data));
    }
    Ok(joined(bytes, parts))
}

/// The binary of other sections, or the same bytes if none differs.
fn joined<'a>(bytes: &'a [u8], parts: Vec<(u8, Cow<'a, [u8]>)>) -> Cow<'a, [u8]> {
    if parts.iter().all(|(_, data)| matches!(data, Cow::Borrowed(_))) {
        return Cow::Borrowed(bytes);
    }
    let mut written = bytes[..HEADER_BYTES].to_vec();
    for (id, data) in parts {
        written.push(id);
        number(&mut written, data.len() as u64, 1);
        written.extend_from_slice(&data);
    }
    Cow::Owned(written)
}

/// Number and content of every section, in order; modules and components are framed alike.
fn sections(bytes: &[u8]) -> Result<Vec<(u8, &[u8])>, Fault> {
    let rest = bytes.get(HEADER_BYTES..).ok_or("a nested binary is shorter than its header")?;
    let mut reader = BinaryReader::new(rest, 0);
    let mut sections = Vec::new();
    while !reader.eof() {
        let id = reader.read_u8().map_err(told)?;
        let range = reader.read_reader().map_err(told)?.range();
        sections.push((id, &rest[range]));
    }
    Ok(sections)
}

/// What a module declares, as far as new functions depend on it.
#[derive(Default)]
struct Declared {
    types: u32,
    /// Imported ones among them.
    functions: u32,
    memories: Vec<Width>,
}

impl Declared {
    fn read(&mut self, id: u8, data: &[u8]) -> wasmparser::Result<()> {
        let reader = BinaryReader::new(data, 0);
        match id {
            TYPES => {
                for group in TypeSectionReader::new(reader)? {
                    self.types += group?.types().len() as u32;
                }
            }
            IMPORTS => {
                for import in ImportSectionReader::new(reader)?.into_imports() {
                    match import?.ty {
                        TypeRef::Func(_) | TypeRef::FuncExact(_) => self.functions += 1,
                        TypeRef::Memory(memory) => self.memories.push(Width::of(memory)),
                        TypeRef::Table(_) | TypeRef::Global(_) | TypeRef::Tag(_) => {}
                    }
                }
            }
            FUNCTIONS => self.functions += FunctionSectionReader::new(reader)?.count(),
            MEMORIES => {
                for memory in MemorySectionReader::new(reader)? {
                    self.memories.push(Width::of(memory?));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn memory(&self, place: u32) -> Result<Width, Fault> {
        let memory = self.memories.get(place as usize).copied();
        memory.ok_or_else(|| format!("a core module names memory {place}, and has {}", self.memories.len()))
    }
}

/// The functions to put at a module's end, in order.
struct Added {
    first: u32,
    kinds: Vec<Bulk>,
    places: BTreeMap<Bulk, u32>,
}

impl Added {
    /// The function that does what an instruction does.
    fn function(&mut self, bulk: Bulk) -> u32 {
        *self.places.entry(bulk).or_insert_with(|| {
            self.kinds.push(bulk);
            self.first + (self.kinds.len() - 1) as u32
        })
    }
}

fn rewrite_module(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Fault> {
    let sections = sections(bytes)?;
    let mut declared = Declared::default();
    for (id, data) in &sections {
        declared.read(*id, data).map_err(told)?;
    }
    let mut added = Added { first: declared.functions, kinds: Vec::new(), places: BTreeMap::new() };
    let mut parts = Vec::new();
    for (id, data) in sections {
        let data = match id {
            CODE => rewrite_code(data, &mut added)?,
            _ => Cow::Borrowed(data),
        };
        parts.push((id, data));
    }
    if added.kinds.is_empty() {
        return Ok(Cow::Borrowed(bytes));
    }
    let (mut types, mut functions, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
    for (place, bulk) in added.kinds.iter().enumerate() {
        let piecewise = pieces::function(*bulk, &declared)?;
        types.extend_from_slice(&piecewise.signature);
        number(&mut functions, u64::from(declared.types) + place as u64, 1);
        number(&mut bodies, piecewise.body.len() as u64, 1);
        bodies.extend_from_slice(&piecewise.body);
    }
    for (id, data) in &mut parts {
        let more = match *id {
            TYPES => &types,
            FUNCTIONS => &functions,
            CODE => &bodies,
            _ => continue,
        };
        *data = Cow::Owned(longer(data, added.kinds.len(), more)?);
    }
    Ok(joined(bytes, parts))
}

/// A section's content with more entries at its end.
fn longer(data: &[u8], entries: usize, more: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut reader = BinaryReader::new(data, 0);
    let count = reader.read_var_u32().map_err(told)?;
    let counted = reader.current_position();
    let mut written = Vec::with_capacity(data.len() + more.len() + 1);
    number(&mut written, u64::from(count) + entries as u64, counted);
    written.extend_from_slice(&data[counted..]);
    written.extend_from_slice(more);
    Ok(written)
}

/// A code section with calls in the place of bulk instructions; the same bytes if it has none.
fn rewrite_code<'a>(data: &'a [u8], added: &mut Added) -> Result<Cow<'a, [u8]>, Fault> {
    let mut counted = BinaryReader::new(data, 0);
    counted.read_var_u32().map_err(told)?;
    // Where the length of the next body stands, and how much of `data` is written.
    let (mut next, mut done) = (counted.current_position(), 0);
    let mut written = Vec::new();
    for body in CodeSectionReader::new(BinaryReader::new(data, 0)).map_err(told)? {
        let body = body.map_err(told)?;
        let (range, len_at) = (body.range(), next);
        next = range.end;
        let Some(other) = rewrite_body(data, &body, added)? else {
            continue;
        };
        written.extend_from_slice(&data[done..len_at]);
        number(&mut written, other.len() as u64, range.start - len_at);
        written.extend_from_slice(&other);
        done = range.end;
    }
    if done == 0 {
        return Ok(Cow::Borrowed(data));
    }
    written.extend_from_slice(&data[done..]);
    Ok(Cow::Owned(written))
}

/// A function's body with calls in the place of bulk instructions, if it has any.
fn rewrite_body(data: &[u8], body: &FunctionBody<'_>, added: &mut Added) -> Result<Option<Vec<u8>>, Fault> {
    let range = body.range();
    let mut written = Vec::new();
    let mut done = range.start;
    let mut operators = body.get_operators_reader().map_err(told)?;
    while !operators.eof() {
        let (operator, start) = operators.read_with_offset().map_err(told)?;
        let bulk = match operator {
            Operator::MemoryFill { mem } => Bulk::Fill { memory: mem },
            Operator::MemoryCopy { dst_mem, src_mem } => Bulk::Copy { to: dst_mem, from: src_mem },
            Operator::MemoryInit { data_index, mem } => Bulk::Init { data: data_index, memory: mem },
            _ => continue,
        };
        let end = operators.original_position();
        written.extend_from_slice(&data[done..start]);
        pieces::call(&mut written, added.function(bulk), end - start);
        done = end;
    }
    if done == range.start {
        return Ok(None);
    }
    written.extend_from_slice(&data[done..range.end]);
    Ok(Some(written))
}

/// Write an unsigned number in LEB128, in `bytes_min` bytes or more.
fn number(written: &mut Vec<u8>, mut number: u64, bytes_min: usize) {
    let mut bytes = 1;
    while number >= 0x80 || bytes < bytes_min {
        written.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
        bytes += 1;
    }
    written.push(number as u8);
}

fn told(error: wasmparser::BinaryReaderError) -> Fault {
    error.to_string()
}

#[cfg(test)]
mod tests;
