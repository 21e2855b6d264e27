//! The functions of the empty world.

use std::fmt;

use wasmtime::StoreContextMut;
use wasmtime::component::types::ComponentFunc;
use wasmtime::component::{ComponentType, LinkerInstance, Lower, ResourceDynamic, Type, Val};

use super::only_result;
use super::world::Stream;
use crate::instance::Job;

/// What stands for the stream of standard output.
pub(crate) const STDOUT: u32 = 1;

/// What stands for the stream of standard error.
pub(crate) const STDERR: u32 = 2;

/// Bytes that may be written at once: what `check-write` permits.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// Random bytes that are given at once. Far more than any seed or key has, and nothing that the host would notice.
const RANDOM_BYTES_MAX: u64 = 1 << 20;

/// A guest asked for something that no plugin gets. Travels through the engine as the cause of its error.
#[derive(Debug)]
pub(crate) struct Unavailable(String);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unavailable {}

/// A moment, as `wasi:clocks/wall-clock` tells it.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub(crate) struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

/// How an operation on a stream fails, as `wasi:io/streams` tells it.
#[derive(ComponentType, Lower)]
#[component(variant)]
#[expect(dead_code, reason = "a part of the interface's type: writing to the log does not fail")]
pub(crate) enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(ResourceDynamic),
    #[component(name = "closed")]
    Closed,
}

type Context<'a> = StoreContextMut<'a, Job>;
type Answer<T> = wasmtime::Result<T>;

pub(crate) fn wall_now(_: Context<'_>, (): ()) -> Answer<(Datetime,)> {
    Ok((Datetime { seconds: 0, nanoseconds: 0 },))
}

pub(crate) fn wall_resolution(_: Context<'_>, (): ()) -> Answer<(Datetime,)> {
    Ok((Datetime { seconds: 0, nanoseconds: 1 },))
}

pub(crate) fn monotonic_now(_: Context<'_>, (): ()) -> Answer<(u64,)> {
    Ok((0,))
}

pub(crate) fn monotonic_resolution(_: Context<'_>, (): ()) -> Answer<(u64,)> {
    Ok((1,))
}

pub(crate) fn random_bytes(mut context: Context<'_>, (len,): (u64,)) -> Answer<(Vec<u8>,)> {
    if len > RANDOM_BYTES_MAX {
        let text = format!("it asked for {len} random bytes at once: at most {RANDOM_BYTES_MAX} are given");
        return Err(Unavailable(text).into());
    }
    let mut bytes = vec![0; len as usize]; // at most RANDOM_BYTES_MAX
    context.data_mut().wasi.random(&mut bytes);
    Ok((bytes,))
}

pub(crate) fn random_u64(mut context: Context<'_>, (): ()) -> Answer<(u64,)> {
    Ok((context.data_mut().wasi.random_u64(),))
}

pub(crate) fn random_pair(mut context: Context<'_>, (): ()) -> Answer<((u64, u64),)> {
    let world = &mut context.data_mut().wasi;
    Ok(((world.random_u64(), world.random_u64()),))
}

/// Everything waited for has happened.
pub(crate) fn poll(_: Context<'_>, (pollables,): (Vec<ResourceDynamic>,)) -> Answer<(Vec<u32>,)> {
    if pollables.is_empty() {
        return Err(Unavailable("it waited for nothing: poll needs at least one pollable".to_owned()).into());
    }
    Ok(((0..).zip(&pollables).map(|(place, _)| place).collect(),))
}

pub(crate) fn ready(_: Context<'_>, (_,): (ResourceDynamic,)) -> Answer<(bool,)> {
    Ok((true,))
}

pub(crate) fn block(_: Context<'_>, (_,): (ResourceDynamic,)) -> Answer<()> {
    Ok(())
}

pub(crate) fn check_write(_: Context<'_>, (_,): (ResourceDynamic,)) -> Answer<(Result<u64, StreamError>,)> {
    Ok((Ok(WRITE_BYTES_MAX as u64),))
}

pub(crate) fn flush(_: Context<'_>, (_,): (ResourceDynamic,)) -> Answer<(Result<(), StreamError>,)> {
    Ok((Ok(()),))
}

pub(crate) fn write(
    mut context: Context<'_>,
    (stream, bytes): (ResourceDynamic, Vec<u8>),
) -> Answer<(Result<(), StreamError>,)> {
    if bytes.len() > WRITE_BYTES_MAX {
        let len = bytes.len();
        let text = format!("it wrote {len} bytes at once to a stream that permits {WRITE_BYTES_MAX}");
        return Err(Unavailable(text).into());
    }
    let stream = if stream.rep() == STDERR { Stream::Error } else { Stream::Output };
    context.data_mut().print(stream, &bytes);
    Ok((Ok(()),))
}

/// Define a function that ends the job.
pub(crate) fn exit(linked: &mut LinkerInstance<'_, Job>, import: &str, item: &str) -> wasmtime::Result<()> {
    let text = format!("it called {import}#{item}: a plugin returns an answer or an error and never exits");
    linked.func_new(item, move |_, _, _, _| Err(Unavailable(text.clone()).into()))
}

/// Define a function that answers with an empty list, or with none.
pub(crate) fn nothing(
    linked: &mut LinkerInstance<'_, Job>,
    import: &str,
    item: &str,
    ty: &ComponentFunc,
) -> wasmtime::Result<()> {
    let empty: fn() -> Val = match only_result(ty) {
        Some(Type::List(_)) => || Val::List(Vec::new()),
        Some(Type::Option(_)) => || Val::Option(None),
        _ => return refuse(linked, import, item, ty),
    };
    answer(linked, item, move |_| Ok(empty()))
}

/// Define a function that gives out a handle of the resource type `number`, for which `rep` stands.
pub(crate) fn handle(
    linked: &mut LinkerInstance<'_, Job>,
    item: &str,
    rep: u32,
    number: u32,
) -> wasmtime::Result<()> {
    answer(linked, item, move |context| {
        Ok(Val::Resource(ResourceDynamic::new_own(rep, number).try_into_resource_any(context)?))
    })
}

/// Define a function that is not permitted, in the words of its interface if it has some, else by a trap.
pub(crate) fn refuse(
    linked: &mut LinkerInstance<'_, Job>,
    import: &str,
    item: &str,
    ty: &ComponentFunc,
) -> wasmtime::Result<()> {
    match denial(ty) {
        Some(denial) => answer(linked, item, move |_| {
            let value = match denial {
                Denial::Enum(name) => Val::Enum(name.to_owned()),
                Denial::Variant(name) => Val::Variant(name.to_owned(), None),
            };
            Ok(Val::Result(Err(Some(Box::new(value)))))
        }),
        None => {
            let text = format!("it called {import}#{item}, which is not available to a plugin");
            linked.func_new(item, move |_, _, _, _| Err(Unavailable(text.clone()).into()))
        }
    }
}

/// How an interface says no.
#[derive(Clone, Copy)]
enum Denial {
    Enum(&'static str),
    Variant(&'static str),
}

fn denial(ty: &ComponentFunc) -> Option<Denial> {
    let Some(Type::Result(result)) = only_result(ty) else {
        return None;
    };
    match result.err()? {
        Type::Enum(codes) => ["not-permitted", "access-denied"]
            .into_iter()
            .find(|denial| codes.names().any(|name| name == *denial))
            .map(Denial::Enum),
        // A stream: the end of what can be read or written.
        Type::Variant(cases) => {
            let closed = cases.cases().any(|case| case.name == "closed" && case.ty.is_none());
            closed.then_some(Denial::Variant("closed"))
        }
        _ => None,
    }
}

/// Define a function whose answer does not depend on its parameters.
fn answer(
    linked: &mut LinkerInstance<'_, Job>,
    item: &str,
    make: impl Fn(&mut Context<'_>) -> wasmtime::Result<Val> + Send + Sync + 'static,
) -> wasmtime::Result<()> {
    linked.func_new(item, move |mut context, _, parameters, results| {
        parameters.iter().try_for_each(|value| release(&mut context, value))?;
        results[0] = make(&mut context)?;
        Ok(())
    })
}

/// Give handles among the parameters back, as the engine demands of whoever takes them.
fn release(context: &mut Context<'_>, value: &Val) -> wasmtime::Result<()> {
    match value {
        Val::Resource(handle) => handle.resource_drop(context),
        Val::List(values) | Val::Tuple(values) | Val::FixedLengthList(values) => {
            values.iter().try_for_each(|value| release(context, value))
        }
        Val::Record(fields) => fields.iter().try_for_each(|(_, value)| release(context, value)),
        Val::Variant(_, Some(value))
        | Val::Option(Some(value))
        | Val::Result(Ok(Some(value)) | Err(Some(value))) => release(context, value),
        _ => Ok(()),
    }
}
