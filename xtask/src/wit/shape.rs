//! The structure of a package, as text that can be compared: what each item is, without its documentation.

use std::collections::BTreeMap;

use wit_parser::{
    Function, Handle, Package, PackageId, Resolve, Type, TypeDefKind, TypeId, TypeOwner, World, WorldItem,
    WorldKey,
};

/// Every type and function by `interface.name`, every import and export by its world and name. What belongs to the
/// package is named without its version, so that versions can be compared.
pub fn items(resolve: &Resolve, package: &Package) -> BTreeMap<String, String> {
    let mut items = BTreeMap::new();
    for (name, interface) in &package.interfaces {
        let shapes = Shapes { resolve, own: resolve.interfaces[*interface].package };
        for (of, id) in &resolve.interfaces[*interface].types {
            items.insert(format!("{name}.{of}"), shapes.defined(*id));
        }
        for (of, function) in &resolve.interfaces[*interface].functions {
            items.insert(format!("{name}.{of}"), shapes.function(function));
        }
    }
    for (name, world) in &package.worlds {
        let world = &resolve.worlds[*world];
        Shapes { resolve, own: world.package }.world(name, world, &mut items);
    }
    items
}

/// Whether a type only gives another one a name, as `use` does.
pub fn is_alias(kind: &TypeDefKind) -> bool {
    matches!(kind, TypeDefKind::Type(Type::Id(_)))
}

struct Shapes<'a> {
    resolve: &'a Resolve,
    /// The package that is looked at.
    own: Option<PackageId>,
}

impl Shapes<'_> {
    fn world(&self, name: &str, world: &World, items: &mut BTreeMap<String, String>) {
        for (way, parts) in [("import", &world.imports), ("export", &world.exports)] {
            for (key, item) in parts {
                let what = match key {
                    WorldKey::Name(name) => name.clone(),
                    WorldKey::Interface(id) => self.interface(*id),
                };
                let shape = match item {
                    WorldItem::Interface { .. } => "interface".to_owned(),
                    WorldItem::Function(function) => self.function(function),
                    WorldItem::Type { id, .. } => self.defined(*id),
                };
                items.insert(format!("world {name} {way} {what}"), shape);
            }
        }
    }

    fn interface(&self, id: wit_parser::InterfaceId) -> String {
        let interface = &self.resolve.interfaces[id];
        let name = interface.name.as_deref().unwrap_or("of a world");
        match interface.package {
            Some(package) if interface.package != self.own => {
                self.resolve.packages[package].name.interface_id(name)
            }
            _ => name.to_owned(),
        }
    }

    fn function(&self, function: &Function) -> String {
        let params = function.params.iter().map(|param| format!("{}: {}", param.name, self.ty(&param.ty)));
        let params: Vec<_> = params.collect();
        let result = function.result.as_ref().map(|ty| format!(" -> {}", self.ty(ty)));
        format!("func({}){}", params.join(", "), result.unwrap_or_default())
    }

    /// A type where it is used: by its name if it has one.
    fn ty(&self, ty: &Type) -> String {
        let Type::Id(id) = ty else {
            return format!("{ty:?}").to_lowercase();
        };
        let ty = &self.resolve.types[*id];
        match (&ty.name, ty.owner) {
            (Some(name), TypeOwner::Interface(owner)) => format!("{}.{name}", self.interface(owner)),
            (Some(name), _) => name.clone(),
            (None, _) => self.defined(*id),
        }
    }

    fn maybe(&self, ty: &Option<Type>) -> String {
        ty.as_ref().map_or_else(|| "_".to_owned(), |ty| self.ty(ty))
    }

    /// A type where it is defined: what it is made of.
    fn defined(&self, id: TypeId) -> String {
        let named = |name: &str, parts: Vec<String>| format!("{name} {{ {} }}", parts.join(", "));
        match &self.resolve.types[id].kind {
            TypeDefKind::Record(record) => {
                let field = |field: &wit_parser::Field| format!("{}: {}", field.name, self.ty(&field.ty));
                named("record", record.fields.iter().map(field).collect())
            }
            TypeDefKind::Variant(variant) => {
                let case = |case: &wit_parser::Case| format!("{}({})", case.name, self.maybe(&case.ty));
                named("variant", variant.cases.iter().map(case).collect())
            }
            TypeDefKind::Enum(one_of) => {
                named("enum", one_of.cases.iter().map(|case| case.name.clone()).collect())
            }
            TypeDefKind::Flags(flags) => {
                named("flags", flags.flags.iter().map(|flag| flag.name.clone()).collect())
            }
            TypeDefKind::Tuple(tuple) => named("tuple", tuple.types.iter().map(|ty| self.ty(ty)).collect()),
            TypeDefKind::Resource => "resource".to_owned(),
            TypeDefKind::Handle(Handle::Own(id)) => self.ty(&Type::Id(*id)),
            TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", self.ty(&Type::Id(*id))),
            TypeDefKind::Option(ty) => format!("option<{}>", self.ty(ty)),
            TypeDefKind::List(ty) => format!("list<{}>", self.ty(ty)),
            TypeDefKind::Map(key, value) => format!("map<{}, {}>", self.ty(key), self.ty(value)),
            TypeDefKind::FixedLengthList(ty, len) => format!("list<{}, {len}>", self.ty(ty)),
            TypeDefKind::Result(result) => {
                format!("result<{}, {}>", self.maybe(&result.ok), self.maybe(&result.err))
            }
            TypeDefKind::Future(ty) => format!("future<{}>", self.maybe(ty)),
            TypeDefKind::Stream(ty) => format!("stream<{}>", self.maybe(ty)),
            TypeDefKind::Type(ty) => self.ty(ty),
            TypeDefKind::Unknown => "unknown".to_owned(),
        }
    }
}
