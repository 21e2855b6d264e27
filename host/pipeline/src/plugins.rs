//! Components and bindings are resources too: installing one is a save, swapping one is a cascade.

use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, SeqCst},
};

use bytes::Bytes;
use floret_model::{
    BindingMetadata, ComponentRef, Metadata, Namespace, PluginMetadata, ResourceId, ResourceKey,
    ResourceType, TimestampMs, TypedMetadata, Version,
};
use floret_runtime::{Component, ContractKind};
use floret_store::ListQuery;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::HashMap;

use crate::host::BuiltIn;
use crate::lease::milliseconds;
use crate::retention::RETENTION_BINDING;
use crate::save::{SaveRequest, Saved};
use crate::{Content, Error, Floret, Freshness, Selector};

/// The binding whose component chooses how contents are stored.
pub const POLICY_BINDING: &str = "policy";

/// Which component does something, and how it is configured: the content of a binding.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// Name of an installed component; its latest version is used.
    pub component: String,
    /// Its configuration.
    #[serde(default)]
    pub config: Map<String, Value>,
}

/// A binding with everything that it stands for, ready to be used.
pub(crate) struct Bound {
    pub component: Arc<Component>,
    pub plugin: Arc<Version>,
    pub binding: Arc<Version>,
    pub config: Map<String, Value>,
}

impl Bound {
    /// The binding's configuration with `overrides` over it, checked by the component's schema.
    pub fn config_with(&self, overrides: &Map<String, Value>) -> Result<Value, Error> {
        let mut config = self.config.clone();
        config.extend(overrides.clone());
        let config = Value::Object(config);
        if !overrides.is_empty() {
            check_config(&self.component, &config)?;
        }
        Ok(config)
    }

    pub fn reference(&self) -> ComponentRef {
        ComponentRef {
            plugin: self.plugin.reference(),
            digest: self.component.digest(),
            contract: self.component.contract().to_string(),
        }
    }
}

/// Bindings in use, forgotten whenever something in the namespace `plugins` is published.
#[derive(Default)]
pub(crate) struct Bindings {
    generation: AtomicU64,
    /// With the time when each was read.
    bound: Mutex<HashMap<String, (Arc<Bound>, TimestampMs)>>,
}

impl Bindings {
    pub fn forget(&self) {
        // The generation moves first, so that a reader who began before cannot put back what it read.
        self.generation.fetch_add(1, SeqCst);
        self.bound.lock().clear();
    }
}

/// A component as `inspect` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Inspected {
    /// SHA-256 of its bytes.
    pub digest: floret_model::Digest,
    /// Length of its bytes.
    pub size_bytes: u64,
    /// Its contract.
    pub contract: String,
    /// Name that it gives itself.
    pub name: String,
    /// Version that it gives itself.
    pub version: String,
    /// What it says of itself.
    pub summary: String,
    /// What it makes.
    pub output_media_type: String,
    /// What it needs of the host.
    pub imports: Vec<String>,
    /// What it offers.
    pub exports: Vec<String>,
    /// JSON Schema of its configuration.
    pub config_schema: Value,
}

impl Floret {
    /// Install a component under `name`, or the name that it gives itself. The same bytes again are no new
    /// version. What is bound to it is not rebuilt here: see [`cascade`](Self::cascade).
    ///
    /// # Errors
    /// A component that does not load says why; nothing is saved then.
    pub async fn plugin_install(&self, name: Option<&str>, bytes: Bytes) -> Result<Saved, Error> {
        self.install(name, bytes, false).await
    }

    /// Look at a component without installing it.
    ///
    /// # Errors
    /// A component that does not load says why.
    pub async fn plugin_inspect(&self, bytes: Bytes) -> Result<Inspected, Error> {
        let component = self.runtime.load(bytes).await?;
        let description = component.description();
        Ok(Inspected {
            digest: component.digest(),
            size_bytes: component.size_bytes(),
            contract: component.contract().to_string(),
            name: description.name.clone(),
            version: description.version.to_string(),
            summary: description.summary.clone(),
            output_media_type: description.output_media_type.clone(),
            imports: component.imports().to_vec(),
            exports: component.exports().to_vec(),
            config_schema: description.config_schema.clone(),
        })
    }

    /// The bytes of an installed component.
    ///
    /// # Errors
    /// [`Error::UnknownComponent`].
    pub async fn plugin_bytes(&self, name: &str) -> Result<Bytes, Error> {
        let version = self.plugin_version(name).await?;
        self.content(&version).await
    }

    /// Bind a component to a resource type, to `literature` (its statistics), to `policy` or to `retention`. The same binding
    /// again is no new version. What it builds is not rebuilt here.
    ///
    /// # Errors
    /// [`Error::UnknownComponent`], [`Error::Quarantined`], [`Error::InvalidConfig`], or a contract that does not fit.
    pub async fn plugin_bind(&self, id: &str, binding: Binding) -> Result<Saved, Error> {
        let wanted = contract_for(id)?;
        let plugin = self.plugin_version(&binding.component).await?;
        self.check_not_quarantined(&plugin).await?;
        let component = self.component(&plugin).await?;
        if component.contract().kind != wanted {
            return Err(Error::invalid(format!(
                "{} has the contract {}, and a binding for {id} needs {}/{}",
                binding.component,
                component.contract(),
                wanted.package(),
                wanted.interface(),
            )));
        }
        check_config(&component, &Value::Object(binding.config.clone()))?;
        let key = plugin_key(ResourceType::binding(), id)?;
        let metadata = BindingMetadata { component: binding.component.clone() };
        let metadata = Metadata::typed(TypedMetadata::Binding(metadata));
        let content = serde_json::to_value(&binding).expect("a binding has string keys");
        self.save_any(SaveRequest { metadata, ..SaveRequest::new(key, Content::Json(content)) }).await
    }

    /// All bindings, by id.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn bindings(&self) -> Result<Vec<(String, Binding, Arc<Version>)>, Error> {
        let mut found = Vec::new();
        for version in self.all_of(ResourceType::binding()).await? {
            let content = self.content(&version).await?;
            let binding = parse_binding(&content, &version)?;
            found.push((version.key.resource_id.to_string(), binding, version));
        }
        Ok(found)
    }

    /// Latest versions of all installed components, by name.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn plugins(&self) -> Result<Vec<Arc<Version>>, Error> {
        self.all_of(ResourceType::plugin()).await
    }

    pub(crate) async fn all_of(&self, resource_type: ResourceType) -> Result<Vec<Arc<Version>>, Error> {
        let query = ListQuery {
            namespace: Some(Namespace::plugins()),
            resource_type: Some(resource_type),
            limit: 10_000,
            ..ListQuery::default()
        };
        Ok(self.catalog.list(&query).await?)
    }

    /// What is bound to `id`, loaded.
    pub(crate) async fn bound(&self, id: &str) -> Result<Arc<Bound>, Error> {
        let now = self.now();
        // Other hosts bind, too: as with latest versions, only who hears of it may go by what it has.
        let hears = !self.shared || self.hears.load(Acquire);
        let is_fresh = |read_at: TimestampMs| {
            hears && (!self.shared || now < read_at.plus_ms(milliseconds(self.options.head_ttl)))
        };
        if let Some((bound, read_at)) = self.bindings_in_use.bound.lock().get(id)
            && is_fresh(*read_at)
        {
            return Ok(Arc::clone(bound));
        }
        let generation = self.bindings_in_use.generation.load(SeqCst);
        let key = plugin_key(ResourceType::binding(), id)?;
        let binding = match self.get(&key, &Selector::Latest, Freshness::Cached).await {
            Err(Error::NotFound { .. }) => {
                let hint = format!("`floret plugin bind {id} COMPONENT` makes one");
                return Err(Error::NotFound { what: format!("a binding for {id}"), hint: Some(hint) });
            }
            other => other?,
        };
        let Binding { component, config } = parse_binding(&binding.content, &binding.version)?;
        let plugin = self.plugin_version(&component).await?;
        self.check_not_quarantined(&plugin).await?;
        let component = self.component(&plugin).await?;
        check_config(&component, &Value::Object(config.clone()))?;
        let bound = Arc::new(Bound { component, plugin, binding: Arc::clone(&binding.version), config });
        let mut in_use = self.bindings_in_use.bound.lock();
        if self.bindings_in_use.generation.load(SeqCst) == generation {
            in_use.insert(id.to_owned(), (Arc::clone(&bound), now));
        }
        Ok(bound)
    }

    /// A version of a plugin, loaded once for each digest.
    pub(crate) async fn component(&self, plugin: &Version) -> Result<Arc<Component>, Error> {
        if let Some(component) = self.components.lock().get(&plugin.data_hash) {
            return Ok(Arc::clone(component));
        }
        let component = self.runtime.load(self.content(plugin).await?).await?;
        self.components.lock().insert(plugin.data_hash, Arc::clone(&component));
        Ok(component)
    }

    pub(crate) async fn plugin_version(&self, name: &str) -> Result<Arc<Version>, Error> {
        let key = plugin_key(ResourceType::plugin(), name)?;
        match self.latest(&key).await {
            Err(Error::NotFound { .. }) => {
                let installed = self.plugins().await?;
                let known = installed.iter().map(|version| version.key.resource_id.to_string()).collect();
                Err(Error::UnknownComponent { got: name.to_owned(), known })
            }
            other => other,
        }
    }

    async fn install(&self, name: Option<&str>, bytes: Bytes, built_in: bool) -> Result<Saved, Error> {
        let component = self.runtime.load(bytes.clone()).await?;
        let description = component.description();
        let key = plugin_key(ResourceType::plugin(), name.unwrap_or(&description.name))?;
        let head = self.head(&key).await?.filter(|head| head.data_hash == component.digest());
        if let Some(version) = head {
            return Ok(Saved { version, is_new: false });
        }
        let metadata = Metadata::typed(TypedMetadata::Plugin(PluginMetadata {
            contract: component.contract().to_string(),
            component_name: description.name.clone(),
            component_version: description.version.to_string(),
            summary: description.summary.clone(),
            built_in,
        }));
        let content = Content::Bytes(bytes);
        let media_type = Some("application/wasm".to_owned());
        self.save_any(SaveRequest { metadata, media_type, ..SaveRequest::new(key, content) }).await
    }

    /// Install what comes with the host where it is missing, or where an older program installed an older one.
    pub(crate) async fn install_built_ins(&self, built_ins: &[BuiltIn]) -> Result<(), Error> {
        for built_in in built_ins {
            let key = plugin_key(ResourceType::plugin(), &built_in.name)?;
            let replaceable = match self.head(&key).await? {
                None => true,
                Some(head) => self.replaces(built_in, &head).await?,
            };
            if replaceable {
                self.install(Some(&built_in.name), built_in.bytes.clone(), true).await?;
            }
            for (id, config) in &built_in.bindings {
                if self.head(&plugin_key(ResourceType::binding(), id)?).await?.is_none() {
                    let binding = Binding { component: built_in.name.clone(), config: config.clone() };
                    self.plugin_bind(id, binding).await?;
                }
            }
        }
        Ok(())
    }

    /// Whether a built-in component is to take the place of what is installed under its name: only of one that came with
    /// a program too, and never of a higher version. Where hosts share a catalog not of an equal one either: while the
    /// programs are replaced host by host, two builds would put theirs back at each start.
    async fn replaces(&self, built_in: &BuiltIn, head: &Version) -> Result<bool, Error> {
        let TypedMetadata::Plugin(PluginMetadata { built_in: true, component_version, .. }) =
            &head.metadata.typed
        else {
            return Ok(false);
        };
        if head.data_hash == floret_model::Digest::of(&built_in.bytes) {
            return Ok(false);
        }
        let component = self.runtime.load(built_in.bytes.clone()).await?;
        let ours = &component.description().version;
        Ok(is_replaced(component_version, ours, self.shared))
    }
}

/// Whether a built-in component of the version `ours` takes the place of another of the version `installed`.
fn is_replaced(installed: &str, ours: &semver::Version, shared: bool) -> bool {
    match installed.parse::<semver::Version>() {
        Ok(installed) => match ours.cmp_precedence(&installed) {
            Ordering::Greater => true,
            Ordering::Equal => !shared,
            Ordering::Less => false,
        },
        // Nobody can tell which of them is older.
        Err(_) => !shared,
    }
}

/// Types that the host itself makes, so that nothing can be bound to them.
const NOT_BOUND: [&str; 5] = ["dictionary", "search", "plugin", "binding", "quarantine"];

pub(crate) fn contract_for(id: &str) -> Result<ContractKind, Error> {
    match id {
        POLICY_BINDING => Ok(ContractKind::Policy),
        RETENTION_BINDING => Ok(ContractKind::Retention),
        "literature" | "corpus" => Ok(ContractKind::Corpus),
        _ if NOT_BOUND.contains(&id) => {
            let message = "the host itself makes that type; bind literature, corpus, policy, retention or a type of index";
            Err(Error::invalid(format!("nothing can be bound to {id:?}: {message}")))
        }
        _ => {
            ResourceType::new(id)?;
            Ok(ContractKind::Index)
        }
    }
}

pub(crate) fn plugin_key(resource_type: ResourceType, name: &str) -> Result<ResourceKey, Error> {
    Ok(ResourceKey::new(Namespace::plugins(), resource_type, ResourceId::new(name)?))
}

pub(crate) fn parse_binding(content: &[u8], version: &Version) -> Result<Binding, Error> {
    serde_json::from_slice(content).map_err(|error| {
        let what = version.reference().to_string();
        floret_store::Error::Integrity { what, problem: format!("not a binding: {error}") }.into()
    })
}

pub(crate) fn check_config(component: &Component, config: &Value) -> Result<(), Error> {
    let description = component.description();
    let name = || format!("{} {}", description.name, description.version);
    let validator = jsonschema::validator_for(&description.config_schema).map_err(|error| {
        let problems = vec![format!("its own schema is not a valid JSON Schema: {error}")];
        Error::InvalidConfig { component: name(), problems }
    })?;
    let problem = |error: jsonschema::ValidationError<'_>| match error.instance_path().as_str() {
        "" => error.to_string(),
        path => format!("{path}: {error}"),
    };
    let problems: Vec<String> = validator.iter_errors(config).map(problem).collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::InvalidConfig { component: name(), problems }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_in_component_never_goes_back() {
        for (installed, ours, alone, shared) in [
            ("0.1.0", "0.2.0", true, true),
            ("0.2.0", "0.1.0", false, false),
            ("0.10.0", "0.9.0", false, false),
            ("0.2.0", "0.2.0-rc.1", false, false),
            ("0.2.0", "0.2.0", true, false),
            ("0.2.0+one", "0.2.0+two", true, false),
            ("", "0.2.0", true, false),
        ] {
            let ours = ours.parse().expect("a version");
            let replaced = [false, true].map(|shared| is_replaced(installed, &ours, shared));
            assert_eq!(replaced, [alone, shared], "{installed} is installed, {ours} comes");
        }
    }
}
