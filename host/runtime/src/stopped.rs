//! What the engine's errors mean to a caller.

use wasmtime::{Trap, WasmBacktrace};

use crate::contract::Said;
use crate::error::{Error, Site, Traces, TrapKind};
use crate::instance::{Job, Stop, cut};
use crate::limits::{LimitKind, Limits};
use crate::wasi::Unavailable;

/// Bytes of a guest's error text that are kept, by the contract.
const TEXT_BYTES_MAX: usize = 4_096;

/// A failure that the guest told.
pub(crate) fn said(said: Said, at: &Site) -> Error {
    let at = Box::new(at.clone());
    let kept = |text: String| cut(&text, TEXT_BYTES_MAX).to_owned();
    match said {
        Said::InvalidInput(text) => Error::InvalidInput { at, text: kept(text) },
        Said::InvalidConfig(text) => Error::InvalidConfig { at, text: kept(text) },
        Said::Unsupported(text) => Error::Unsupported { at, text: kept(text) },
        Said::Failed(text) => Error::Failed { at, text: kept(text) },
    }
}

/// A failure that stopped the guest: a limit, a trap, a broken ABI.
pub(crate) fn stopped(error: &wasmtime::Error, at: &Site, limits: &Limits, job: &mut Job) -> Error {
    let at = Box::new(at.clone());
    let (panic, log, log_bytes_dropped) = job.take_log();
    let traces = Box::new(Traces { panic, backtrace: backtrace(error), log, log_bytes_dropped });
    let limit = |which, limit, traces| Error::Limit { at: at.clone(), which, limit, traces };
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return match *stop {
            Stop::Limit { which, limit: amount } => limit(which, amount, traces),
            Stop::OutOfHostMemory | Stop::InputUnreadable(_) => {
                Error::Trap { at, kind: TrapKind::Other(stop.to_string()), traces }
            }
            Stop::Cancelled => Error::Cancelled { at },
        };
    }
    let cause = error.root_cause().to_string();
    if error.is::<Unavailable>() {
        return Error::Trap { at, kind: TrapKind::Other(cause), traces };
    }
    // The engine keeps these two errors' types to itself; tests hold their texts.
    if cause.contains("fuel allocated for hostcalls has been exhausted") {
        return limit(LimitKind::CallBytes, limits.call_bytes_max, traces);
    }
    if cause.starts_with("resource limit exceeded: ") {
        return limit(LimitKind::CoreInstances, limits.core_instances_max, traces);
    }
    let kind = match error.downcast_ref::<Trap>() {
        Some(trap) => trap_kind(*trap),
        None => TrapKind::Abi(cause),
    };
    Error::Trap { at, kind, traces }
}

fn trap_kind(trap: Trap) -> TrapKind {
    match trap {
        Trap::UnreachableCodeReached => TrapKind::Unreachable,
        Trap::StackOverflow => TrapKind::StackOverflow,
        Trap::MemoryOutOfBounds | Trap::TableOutOfBounds | Trap::ArrayOutOfBounds => TrapKind::OutOfBounds,
        Trap::IntegerOverflow | Trap::IntegerDivisionByZero | Trap::BadConversionToInteger => {
            TrapKind::Arithmetic
        }
        Trap::IndirectCallToNull | Trap::BadSignature | Trap::NullReference => TrapKind::BadCall,
        other => TrapKind::Other(other.to_string()),
    }
}

fn backtrace(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return Vec::new();
    };
    let frame = |frame: &wasmtime::FrameInfo| {
        let name = frame.symbols().first().and_then(|symbol| symbol.name());
        let place = frame.symbols().first().and_then(|symbol| {
            let file = symbol.file()?;
            Some(format!(" at {file}:{}", symbol.line().unwrap_or(0)))
        });
        let name = name.or_else(|| frame.func_name());
        match name {
            Some(name) => format!("{name}{}", place.unwrap_or_default()),
            None => format!("function {}", frame.func_index()),
        }
    };
    backtrace.frames().iter().map(frame).collect()
}
