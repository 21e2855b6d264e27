//! The empty world: what a component that was built for WASI 0.2 finds of the system, which is nothing.
//!
//! Compilers for Python, JavaScript and C bring a runtime that asks for a clock, randomness, files and the like
//! whether the plugin uses them or not. Each interface that a component imports is defined under the very name
//! that it imports, so that every 0.2.x works, and answers without looking at the machine:
//!
//! | asked for | answer |
//! |---|---|
//! | arguments, variables, working folder, preopened folders, terminals | none |
//! | time | the wall clock stands at the epoch, the monotonic clock at 0; both say a resolution of 1 ns |
//! | waiting | is over at once |
//! | random bytes, secure or not | a stream that follows from the job: see `wasi/world.rs` |
//! | standard input | is at its end |
//! | standard output and error | are the guest's log, line by line |
//! | leaving | a trap that says so |
//! | anything else | the interface's own `not-permitted`, `access-denied` or `closed`, else a trap |
//!
//! So a component remains a pure function on both engines. All of it is written here, over the engine's dynamic
//! types: the engine's own WASI would bring real files and sockets, to be switched off one by one.

mod functions;
mod remedy;
mod world;

use semver::Version;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, Linker, LinkerInstance, ResourceType, Type};

use crate::component::Loaded;
use crate::error::Site;
use crate::input::Input;
use crate::instance::Job;

pub(crate) use functions::Unavailable;
pub(crate) use remedy::remedy;
pub(crate) use world::World;

/// The packages of WASI 0.2 that are answered for. `wasi:http` is not among them: nothing in a language's runtime
/// needs it, so that a component that imports it means to use it.
const PACKAGES: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];

/// Whether an import is of the empty world.
pub(crate) fn offers(import: &str) -> bool {
    interface(import).is_some()
}

/// `package/interface` of an import such as `wasi:cli/environment@0.2.3`, if it is of the empty world.
fn interface(import: &str) -> Option<&str> {
    let (interface, version) = import.strip_prefix("wasi:")?.split_once('@')?;
    let (package, _) = interface.split_once('/')?;
    let version = Version::parse(version).ok()?;
    let known = PACKAGES.contains(&package) && (version.major, version.minor) == (0, 2);
    (known && version.pre.is_empty()).then_some(interface)
}

/// The world of one job. Its randomness follows from the component, the contract, the stage, the configuration and
/// the inputs; it is worked out only for a component that imports randomness, since that is a pass over all inputs.
pub(crate) fn world(loaded: &Loaded, site: &Site, config: &str, inputs: &[Input]) -> World {
    if loaded.imports.iter().any(|name| name.starts_with("wasi:random/")) {
        World::seeded(loaded.digest.as_bytes(), site, config, inputs)
    } else {
        World::default()
    }
}

/// Define what the component imports of WASI 0.2, and nothing that it does not import.
pub(crate) fn link(linker: &mut Linker<Job>, component: &Component) -> wasmtime::Result<()> {
    let engine = component.engine();
    let component = component.component_type();
    let mut resources = Resources::default();
    for (name, import) in component.imports(engine) {
        let (Some(interface), ComponentItem::ComponentInstance(instance)) = (interface(name), import.ty)
        else {
            continue;
        };
        let mut linked = linker.instance(name)?;
        for (item, export) in instance.exports(engine) {
            match export.ty {
                ComponentItem::Resource(ty) => {
                    let ty = ResourceType::host_dynamic(resources.number(ty));
                    // A handle stands for nothing that the host would have to give back.
                    linked.resource(item, ty, |_, _| Ok(()))?;
                }
                ComponentItem::ComponentFunc(ty) => {
                    let place = Place { import: name, interface, item };
                    define(&mut linked, &place, &ty, &mut resources)?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Numbers for the resource types that a component imports. One that an interface takes over from another keeps
/// its number, and the same one of two versions has two.
#[derive(Default)]
struct Resources(Vec<ResourceType>);

impl Resources {
    fn number(&mut self, ty: ResourceType) -> u32 {
        let known = self.0.iter().position(|known| *known == ty);
        let place = known.unwrap_or_else(|| {
            self.0.push(ty);
            self.0.len() - 1
        });
        u32::try_from(place).unwrap_or(u32::MAX)
    }
}

/// Which function is meant.
struct Place<'a> {
    /// The import's full name.
    import: &'a str,
    /// The name without namespace and version.
    interface: &'a str,
    /// The function.
    item: &'a str,
}

fn define(
    linked: &mut LinkerInstance<'_, Job>,
    place: &Place<'_>,
    ty: &ComponentFunc,
    resources: &mut Resources,
) -> wasmtime::Result<()> {
    let item = place.item;
    match (place.interface, item) {
        ("clocks/wall-clock", "now") => linked.func_wrap(item, functions::wall_now),
        ("clocks/wall-clock", "resolution") => linked.func_wrap(item, functions::wall_resolution),
        ("clocks/monotonic-clock", "now") => linked.func_wrap(item, functions::monotonic_now),
        ("clocks/monotonic-clock", "resolution") => linked.func_wrap(item, functions::monotonic_resolution),
        ("random/random", "get-random-bytes") | ("random/insecure", "get-insecure-random-bytes") => {
            linked.func_wrap(item, functions::random_bytes)
        }
        ("random/random", "get-random-u64") | ("random/insecure", "get-insecure-random-u64") => {
            linked.func_wrap(item, functions::random_u64)
        }
        ("random/insecure-seed", "insecure-seed") => linked.func_wrap(item, functions::random_pair),
        ("io/poll", "poll") => linked.func_wrap(item, functions::poll),
        ("io/poll", "[method]pollable.ready") => linked.func_wrap(item, functions::ready),
        ("io/poll", "[method]pollable.block") => linked.func_wrap(item, functions::block),
        ("io/streams", "[method]output-stream.check-write") => linked.func_wrap(item, functions::check_write),
        ("io/streams", "[method]output-stream.flush" | "[method]output-stream.blocking-flush") => {
            linked.func_wrap(item, functions::flush)
        }
        ("io/streams", "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush") => {
            linked.func_wrap(item, functions::write)
        }
        ("cli/exit", _) => functions::exit(linked, place.import, item),
        ("cli/environment", _)
        | ("filesystem/preopens", _)
        | ("filesystem/types", "filesystem-error-code") => functions::nothing(linked, place.import, item, ty),
        (interface, _) if interface.starts_with("cli/terminal-") => {
            functions::nothing(linked, place.import, item, ty)
        }
        _ => match (handle(place), only_result(ty)) {
            (Some(rep), Some(Type::Own(resource))) => {
                functions::handle(linked, item, rep, resources.number(resource))
            }
            _ => functions::refuse(linked, place.import, item, ty),
        },
    }
}

/// What stands for the handle that a function gives out, if it gives one.
fn handle(place: &Place<'_>) -> Option<u32> {
    match (place.interface, place.item) {
        ("cli/stdout", "get-stdout") => Some(functions::STDOUT),
        ("cli/stderr", "get-stderr") => Some(functions::STDERR),
        ("cli/stdin", "get-stdin") | ("sockets/instance-network", "instance-network") => Some(0),
        ("clocks/monotonic-clock", "subscribe-instant" | "subscribe-duration") => Some(0),
        (_, item) => item.ends_with(".subscribe").then_some(0),
    }
}

/// The type of what a function returns, if it returns something.
fn only_result(ty: &ComponentFunc) -> Option<Type> {
    let mut results = ty.results();
    results.next().filter(|_| results.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_world_is_wasi_0_2_without_http() {
        let check =
            |import: &str, expected: Option<&str>| assert_eq!(interface(import), expected, "{import}");
        check("wasi:cli/environment@0.2.0", Some("cli/environment"));
        check("wasi:io/poll@0.2.12", Some("io/poll"));
        check("wasi:sockets/tcp@0.2.3", Some("sockets/tcp"));
        check("wasi:http/types@0.2.0", None);
        check("wasi:cli/environment@0.3.0", None);
        check("wasi:cli/environment@0.2.0-rc-2023-11-10", None);
        check("wasi:cli/environment", None);
        check("wasi:cli@0.2.0", None);
        check("acme:cli/environment@0.2.0", None);
    }
}
