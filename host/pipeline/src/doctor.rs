//! Whether the installed components and their bindings are fit for use: what `floret doctor` asks without opening the
//! host, so that nothing is installed on the way and one broken component does not hide the others.

use std::collections::BTreeMap;
use std::sync::Arc;

use floret_model::{Digest, Namespace, ResourceType, TypedMetadata, Version};
use floret_runtime::{Component, Runtime};
use floret_store::{BlobStore, Finding, ListQuery};
use serde_json::Value;

use crate::host::BuiltIn;
use crate::plugins::{Binding, check_config, contract_for, is_removed, parse_binding};

const COMPONENTS: &str = "components";
const BINDINGS: &str = "bindings";
/// Components and bindings looked at; `Floret::plugins` lists as many.
const LISTED_MAX: usize = 10_000;

/// Read, hash and load the latest version of every installed component, compare those that come with the program with
/// what it brings, and see that every binding names a component that fits. Compiles what has not been compiled on this
/// machine, about a second for each.
pub async fn examine_components(
    blobs: &BlobStore,
    runtime: &Arc<Runtime>,
    built_ins: &[BuiltIn],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let installed = match latest(blobs, ResourceType::plugin()).await {
        Ok(installed) => installed,
        Err(error) => return vec![Finding::error(COMPONENTS, &error)],
    };
    let mut loaded = BTreeMap::new();
    for version in &installed {
        match load(blobs, runtime, version).await {
            Ok(component) => drop(loaded.insert(version.key.resource_id.to_string(), component)),
            Err(finding) => findings.push(finding),
        }
    }
    if !loaded.is_empty() {
        let names = loaded.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let found = format!("{} stored, whole and loaded: {names}", loaded.len());
        findings.push(Finding::ok(COMPONENTS, found));
    }
    findings.push(compare(built_ins, &installed));
    findings.extend(bindings(blobs, &installed, &loaded).await);
    findings
}

async fn latest(
    blobs: &BlobStore,
    resource_type: ResourceType,
) -> Result<Vec<Arc<Version>>, floret_store::Error> {
    let query = ListQuery {
        namespace: Some(Namespace::plugins()),
        resource_type: Some(resource_type),
        limit: LISTED_MAX,
        ..ListQuery::default()
    };
    let mut latest = blobs.catalog().list(&query).await?;
    latest.retain(|version| !is_removed(version));
    Ok(latest)
}

async fn load(
    blobs: &BlobStore,
    runtime: &Arc<Runtime>,
    version: &Version,
) -> Result<Arc<Component>, Finding> {
    let of = |found: &dyn std::fmt::Display| format!("{}: {found}", version.reference());
    let bytes = blobs.content(version).await.map_err(|error| {
        let finding = Finding::error(COMPONENTS, &error);
        Finding { found: of(&finding.found), ..finding }
    })?;
    let remedy = "install a version that loads: `floret plugin install FILE`, or go back: `floret plugin rollback NAME`; hosts use the last version that loads meanwhile";
    let component =
        runtime.load(bytes).await.map_err(|error| Finding::problem(COMPONENTS, of(&error), remedy))?;
    match &version.metadata.typed {
        TypedMetadata::Plugin(plugin) if plugin.contract == component.contract().to_string() => Ok(component),
        TypedMetadata::Plugin(plugin) => {
            let contract = component.contract();
            let found = format!("it is recorded with {} and has {contract}", plugin.contract);
            Err(Finding::problem(COMPONENTS, of(&found), remedy))
        }
        _ => Err(Finding::problem(COMPONENTS, of(&"it is recorded as something else"), remedy)),
    }
}

/// Opening a host replaces only what a host installed, so another component of the same name stays.
fn compare(built_ins: &[BuiltIn], installed: &[Arc<Version>]) -> Finding {
    let mut equal = Vec::new();
    let mut others = Vec::new();
    for built_in in built_ins {
        let name = &built_in.name;
        let Some(version) = installed.iter().find(|version| version.key.resource_id.as_str() == name) else {
            others.push(format!("{name} is not installed, and will be when the store is opened next"));
            continue;
        };
        let ours = matches!(&version.metadata.typed, TypedMetadata::Plugin(plugin) if plugin.built_in);
        let reference = format!("{name}@{}", version.seq);
        match (version.data_hash == Digest::of(&built_in.bytes), ours) {
            (true, _) => equal.push(reference),
            (false, true) => others.push(format!(
                "{reference} came with another floret, and is replaced when the store is opened next, unless it is newer"
            )),
            (false, false) => {
                others.push(format!("{reference} was installed in the place of this program's"))
            }
        }
    }
    if !equal.is_empty() {
        others.insert(0, format!("as in this program: {}", equal.join(", ")));
    }
    Finding::ok("built-in components", others.join("; "))
}

async fn bindings(
    blobs: &BlobStore,
    installed: &[Arc<Version>],
    loaded: &BTreeMap<String, Arc<Component>>,
) -> Vec<Finding> {
    let versions = match latest(blobs, ResourceType::binding()).await {
        Ok(versions) => versions,
        Err(error) => return vec![Finding::error(BINDINGS, &error)],
    };
    let mut findings = Vec::new();
    let mut good = Vec::new();
    for version in &versions {
        let id = version.key.resource_id.as_str();
        match binding(blobs, version).await {
            Err(finding) => findings.push(finding),
            Ok(binding) => match fits(id, &binding, installed, loaded) {
                Ok(()) => good.push(format!("{id} to {}", binding.component)),
                Err(found) => {
                    let remedy = format!("`floret plugin bind {id} COMPONENT` binds one that fits");
                    findings.push(Finding::problem(
                        BINDINGS,
                        format!("{}: {found}", version.reference()),
                        remedy,
                    ));
                }
            },
        }
    }
    if !good.is_empty() {
        findings.push(Finding::ok(BINDINGS, good.join(", ")));
    }
    findings
}

async fn binding(blobs: &BlobStore, version: &Version) -> Result<Binding, Finding> {
    let content = blobs.content(version).await.map_err(|error| {
        let finding = Finding::error(BINDINGS, &error);
        Finding { found: format!("{}: {}", version.reference(), finding.found), ..finding }
    })?;
    parse_binding(&content, version).map_err(|error| {
        Finding::problem(
            BINDINGS,
            error.to_string(),
            "hosts use the last version that works, if there is one",
        )
    })
}

/// Whether what is bound can be used; if not, why.
fn fits(
    id: &str,
    binding: &Binding,
    installed: &[Arc<Version>],
    loaded: &BTreeMap<String, Arc<Component>>,
) -> Result<(), String> {
    let name = &binding.component;
    if !installed.iter().any(|version| version.key.resource_id.as_str() == name) {
        return Err(format!("{name} is not installed"));
    }
    let component = loaded.get(name).ok_or_else(|| format!("{name} cannot be loaded, see above"))?;
    let wanted = contract_for(id).map_err(|error| error.to_string())?;
    let contract = component.contract();
    if contract.kind != wanted {
        let (interface, package) = (wanted.interface(), wanted.package());
        return Err(format!(
            "{name} has the contract {contract}, and {package} is needed, with the interface {interface}"
        ));
    }
    check_config(component, &Value::Object(binding.config.clone())).map_err(|error| error.to_string())
}
