//! `cargo xtask reference`: the contracts in `wit/`, as one document to read.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use wit_parser::{
    Docs, Function, FunctionKind, Handle, Interface, InterfaceId, PackageId, Resolve, Type, TypeDef,
    TypeDefKind, TypeId, TypeOwner, World, WorldItem,
};

use crate::plugins;

/// What to do.
#[derive(clap::Args)]
pub struct Options {
    /// Fail if the document is not up to date; change nothing.
    #[arg(long)]
    pub check: bool,
}

const DOCUMENT: &str = "docs/contracts.md";
const CONTRACTS: &str = "wit";
/// The name of the package that the others use; it stands first.
const SHARED: &str = "types";

/// Write the document, or check it.
pub fn run(options: &Options) -> Result<()> {
    let root = plugins::repository()?;
    let text = document(&root.join(CONTRACTS))?;
    let path = root.join(DOCUMENT);
    if !options.check {
        std::fs::write(&path, text).with_context(|| format!("cannot write {DOCUMENT}"))?;
        println!("wrote {DOCUMENT}");
    } else if std::fs::read_to_string(&path).unwrap_or_default() != text {
        bail!("{DOCUMENT} is not up to date; run `cargo xtask reference`");
    }
    Ok(())
}

/// The document of all packages below a folder, the shared one first, then by name and version.
fn document(folder: &Path) -> Result<String> {
    let (resolve, packages) = packages(folders(folder)?)?;
    let mut out = String::from(
        "# Contracts\n\n\
         What components export and what the host offers them, item by item. Generated from the comments in \
         [`wit/`](../wit) by `cargo xtask reference`; the WIT files are what counts.\n\n",
    );
    for package in &packages {
        let package = &resolve.packages[*package];
        writeln!(out, "- [`{}`](#{})", package.name, anchor(&package.name.to_string()))?;
        for (name, id) in &package.interfaces {
            let functions = resolve.interfaces[*id].functions.values();
            let functions: Vec<_> = functions.map(|function| full_name(&resolve, function)).collect();
            let functions =
                if functions.is_empty() { String::new() } else { format!(": {}", functions.join(", ")) };
            let heading = format!("interface {name} of {}", package.name);
            writeln!(out, "  - [`{name}`](#{}){functions}", anchor(&heading))?;
        }
    }
    for package in packages {
        of_package(&resolve, package, &mut out)?;
    }
    Ok(out)
}

/// All packages, each read after those that it uses.
fn packages(mut folders: Vec<PathBuf>) -> Result<(Resolve, Vec<PackageId>)> {
    let mut resolve = Resolve::default();
    let mut packages = Vec::new();
    while !folders.is_empty() {
        let tried_count = folders.len();
        let mut waiting = Vec::new();
        let mut fault = None;
        for folder in std::mem::take(&mut folders) {
            // A package that fails may have been taken in by half.
            let mut tried = resolve.clone();
            match tried.push_path(&folder) {
                Ok((package, _)) => {
                    resolve = tried;
                    packages.push(package);
                }
                Err(error) => {
                    fault = Some(error.context(format!("{} is no package", folder.display())));
                    waiting.push(folder);
                }
            }
        }
        match fault {
            Some(fault) if waiting.len() == tried_count => return Err(fault),
            _ => folders = waiting,
        }
    }
    let name = |id: &PackageId| resolve.packages[*id].name.clone();
    packages.sort_by_key(|id| (name(id).name != SHARED, name(id)));
    Ok((resolve, packages))
}

/// Every folder that holds WIT files, at any depth.
fn folders(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        let entries =
            std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        let mut has_files = false;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                has_files |= path.extension().is_some_and(|extension| extension == "wit");
            }
        }
        found.extend(has_files.then_some(folder));
    }
    found.sort();
    Ok(found)
}

fn of_package(resolve: &Resolve, id: PackageId, out: &mut String) -> Result<()> {
    let package = &resolve.packages[id];
    writeln!(out, "\n## `{}`\n", package.name)?;
    docs(&package.docs, out)?;
    for (name, interface) in &package.interfaces {
        writeln!(out, "### interface `{name}` of `{}`\n", package.name)?;
        of_interface(resolve, *interface, out)?;
    }
    for (name, world) in &package.worlds {
        of_world(resolve, name, &resolve.worlds[*world], out)?;
    }
    Ok(())
}

fn of_interface(resolve: &Resolve, id: InterfaceId, out: &mut String) -> Result<()> {
    let interface = &resolve.interfaces[id];
    docs(&interface.docs, out)?;
    for (name, id) in &interface.types {
        of_type(resolve, name, *id, out)?;
        methods(resolve, interface, *id, out)?;
    }
    for (_, function) in interface.functions.iter().filter(|(_, function)| function.kind.resource().is_none())
    {
        of_function(resolve, function, "####", out)?;
    }
    Ok(())
}

fn methods(resolve: &Resolve, interface: &Interface, resource: TypeId, out: &mut String) -> Result<()> {
    let is_its = |function: &&Function| function.kind.resource() == Some(resource);
    for function in interface.functions.values().filter(is_its) {
        of_function(resolve, function, "#####", out)?;
    }
    Ok(())
}

fn of_world(resolve: &Resolve, name: &str, world: &World, out: &mut String) -> Result<()> {
    writeln!(out, "### world `{name}`\n")?;
    docs(&world.docs, out)?;
    for (items, verb) in [(&world.imports, "imports"), (&world.exports, "exports")] {
        for (key, item) in items {
            if matches!(item, WorldItem::Interface { .. }) {
                writeln!(out, "- {verb} `{}`", resolve.name_world_key(key))?;
            }
        }
    }
    Ok(())
}

fn of_type(resolve: &Resolve, name: &str, id: TypeId, out: &mut String) -> Result<()> {
    let definition = &resolve.types[id];
    if let TypeDefKind::Type(Type::Id(used)) = definition.kind
        && let Some(from) = other_interface(resolve, definition, used)
    {
        return Ok(writeln!(out, "Uses `{}` of `{from}`.\n", spelled(resolve, &Type::Id(used)))?);
    }
    writeln!(out, "#### {} `{name}`\n", definition.kind.as_str())?;
    docs(&definition.docs, out)?;
    match &definition.kind {
        TypeDefKind::Record(record) => {
            for field in &record.fields {
                member(&field.name, Some(&spelled(resolve, &field.ty)), &field.docs, out)?;
            }
        }
        TypeDefKind::Variant(variant) => {
            for case in &variant.cases {
                let of = case.ty.as_ref().map(|of| spelled(resolve, of));
                member(&case.name, of.as_deref(), &case.docs, out)?;
            }
        }
        TypeDefKind::Enum(cases) => {
            for case in &cases.cases {
                member(&case.name, None, &case.docs, out)?;
            }
        }
        TypeDefKind::Flags(flags) => {
            for flag in &flags.flags {
                member(&flag.name, None, &flag.docs, out)?;
            }
        }
        TypeDefKind::Resource => return Ok(()),
        _ => writeln!(out, "`{}`", anonymous(resolve, &definition.kind))?,
    }
    Ok(writeln!(out)?)
}

/// The interface that a type comes from, where it is not this one's own.
fn other_interface(resolve: &Resolve, definition: &TypeDef, used: TypeId) -> Option<String> {
    let TypeOwner::Interface(from) = resolve.types[used].owner else { return None };
    if definition.owner == TypeOwner::Interface(from) {
        return None;
    }
    resolve.id_of(from)
}

fn member(name: &str, of: Option<&str>, about: &Docs, out: &mut String) -> Result<()> {
    let of = of.map(|of| format!(": `{of}`")).unwrap_or_default();
    let about = about.contents.as_deref().map(|text| format!(" — {}", text.trim().replace('\n', "\n  ")));
    Ok(writeln!(out, "- `{name}`{of}{}", about.unwrap_or_default())?)
}

fn of_function(resolve: &Resolve, function: &Function, heading: &str, out: &mut String) -> Result<()> {
    let is_method = matches!(function.kind, FunctionKind::Method(_) | FunctionKind::AsyncMethod(_));
    let parameters = function.params.iter().skip(usize::from(is_method));
    let parameters: Vec<_> = parameters
        .map(|parameter| format!("{}: {}", parameter.name, spelled(resolve, &parameter.ty)))
        .collect();
    let result = function.result.as_ref().map(|result| format!(" -> {}", spelled(resolve, result)));
    writeln!(out, "{heading} function `{}`\n", full_name(resolve, function))?;
    let signature = format!("({}){}", parameters.join(", "), result.unwrap_or_default());
    writeln!(out, "```wit\n{}: func{signature}\n```\n", function.item_name())?;
    docs(&function.docs, out)
}

/// `searcher.open` for a function of a resource.
fn full_name(resolve: &Resolve, function: &Function) -> String {
    match function.kind.resource().and_then(|resource| resolve.types[resource].name.as_deref()) {
        Some(resource) => format!("{resource}.{}", function.item_name()),
        None => function.item_name().to_owned(),
    }
}

/// A comment, its headings below ours.
fn docs(docs: &Docs, out: &mut String) -> Result<()> {
    let Some(text) = &docs.contents else { return Ok(()) };
    for line in text.trim().lines() {
        match line.strip_prefix("# ") {
            Some(heading) => writeln!(out, "**{heading}**")?,
            None => writeln!(out, "{line}")?,
        }
    }
    Ok(writeln!(out)?)
}

/// A type as WIT writes it.
fn spelled(resolve: &Resolve, of: &Type) -> String {
    match of {
        Type::Bool => "bool".to_owned(),
        Type::U8 => "u8".to_owned(),
        Type::U16 => "u16".to_owned(),
        Type::U32 => "u32".to_owned(),
        Type::U64 => "u64".to_owned(),
        Type::S8 => "s8".to_owned(),
        Type::S16 => "s16".to_owned(),
        Type::S32 => "s32".to_owned(),
        Type::S64 => "s64".to_owned(),
        Type::F32 => "f32".to_owned(),
        Type::F64 => "f64".to_owned(),
        Type::Char => "char".to_owned(),
        Type::String => "string".to_owned(),
        Type::ErrorContext => "error-context".to_owned(),
        Type::Id(id) => match &resolve.types[*id] {
            TypeDef { name: Some(name), .. } => name.clone(),
            TypeDef { kind, .. } => anonymous(resolve, kind),
        },
    }
}

fn anonymous(resolve: &Resolve, kind: &TypeDefKind) -> String {
    let one = |of: &Option<Type>| of.as_ref().map_or_else(|| "_".to_owned(), |of| spelled(resolve, of));
    match kind {
        TypeDefKind::List(of) => format!("list<{}>", spelled(resolve, of)),
        TypeDefKind::Option(of) => format!("option<{}>", spelled(resolve, of)),
        TypeDefKind::Result(result) => match (&result.ok, &result.err) {
            (None, None) => "result".to_owned(),
            (_, None) => format!("result<{}>", one(&result.ok)),
            _ => format!("result<{}, {}>", one(&result.ok), one(&result.err)),
        },
        TypeDefKind::Tuple(tuple) => {
            let types: Vec<_> = tuple.types.iter().map(|of| spelled(resolve, of)).collect();
            format!("tuple<{}>", types.join(", "))
        }
        TypeDefKind::Handle(Handle::Own(id)) => spelled(resolve, &Type::Id(*id)),
        TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", spelled(resolve, &Type::Id(*id))),
        TypeDefKind::Type(of) => spelled(resolve, of),
        other => other.as_str().to_owned(),
    }
}

/// The anchor that a heading gets: lower case, spaces as hyphens, without the punctuation.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_those_of_a_renderer() {
        assert_eq!(anchor("floret:types@0.1.0"), "florettypes010");
        assert_eq!(anchor("interface log of floret:types@0.1.0"), "interface-log-of-florettypes010");
    }

    #[test]
    fn every_item_is_in_the_document() {
        let text =
            document(&plugins::repository().expect("a repository").join(CONTRACTS)).expect("the contracts");
        for part in [
            "- [`floret:types@0.1.0`](#florettypes010)",
            "## `floret:index@0.1.0`",
            "#### variant `query`",
            "- `exact`: `string` — Words equal to the text: none or one.",
            "##### function `searcher.open`",
            "open: func(index: input) -> result<searcher, error>",
            "##### function `input.read`",
            "read: func(offset: u64, len: u32) -> list<u8>",
            "choose-many: func(profiles: list<profile>, config: string) -> result<list<choice>, error>",
            "- exports `floret:corpus/builder@0.1.0`",
            "corpus = *line",
        ] {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
    }
}
