//! Components and bindings are resources too: installing one is a save, swapping one is a cascade.

mod inspect;
mod install;
mod remove;
mod rollback;
mod sections;
mod signature;
mod stored;
mod take;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use floret_model::{
    BindingMetadata, ComponentRef, Digest, Metadata, Namespace, ResourceId, ResourceKey, ResourceType,
    TimestampMs, TypedMetadata, Version,
};
use floret_runtime::{Component, ContractKind, Site};
use floret_store::ListQuery;
use jsonschema::Validator;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::HashMap;

use crate::bounds::BindingLimits;
use crate::breaker::{BREAKER_TYPE, Gate};
use crate::observe::{Phase, timed};
use crate::retention::RETENTION_BINDING;
use crate::save::{SaveRequest, Saved};
use crate::search::OpenIndex;
use crate::{Content, Error, Floret};

pub use inspect::{Inspected, Users};
pub use install::{Checked, InstallRequest};
pub use sections::ComponentMetadata;
pub use signature::TrustedKeys;
pub(crate) use stored::parse_binding;
pub use stored::{BindingDocument, UnreadableBinding};
pub use take::BindingState;

/// The binding whose component chooses how contents are stored.
pub const POLICY_BINDING: &str = "policy";

/// Longest text of a schema's fault that is told: it may hold all of the schema.
const SCHEMA_ERROR_CHARS_MAX: usize = 500;

/// Which component does something, and how it is configured: the content of a binding.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// Name of an installed component; its latest version is used.
    pub component: String,
    /// Its configuration.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// What it may use, where that is less than the host allows.
    #[serde(default, skip_serializing_if = "BindingLimits::is_empty")]
    pub limits: BindingLimits,
}

impl Binding {
    /// A component with the defaults of its configuration, within the limits of the host.
    pub fn new(component: impl Into<String>) -> Self {
        Self::configured(component, Map::new())
    }

    /// A component with its configuration, within the limits of the host.
    pub fn configured(component: impl Into<String>, config: Map<String, Value>) -> Self {
        Self { component: component.into(), config, limits: BindingLimits::default() }
    }
}

/// A binding with everything that it stands for, ready to be used.
pub(crate) struct Bound {
    pub component: Arc<Component>,
    /// Why it is not the newest version that is used, if it is not.
    pub fallback: Option<String>,
    pub plugin: Arc<Version>,
    pub binding: Arc<Version>,
    pub config: Map<String, Value>,
    pub gate: Arc<Gate>,
}

impl Bound {
    /// What it is bound to.
    pub fn id(&self) -> &str {
        self.binding.key.resource_id.as_str()
    }

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
    /// Indexes that are open, the one that was asked last at the end.
    pub searchers: Mutex<Vec<(Digest, Arc<OpenIndex>)>>,
}

impl Bindings {
    /// Something in the namespace `plugins` was published: look again at what is bound, and open indexes by it.
    pub fn forget(&self) {
        // The generation moves first, so that a reader who began before cannot put back what it read.
        self.generation.fetch_add(1, SeqCst);
        self.bound.lock().clear();
        self.searchers.lock().clear();
    }
}

impl Floret {
    /// Longest component that is taken, in bytes.
    pub fn component_bytes_max(&self) -> u64 {
        self.runtime.limits().component_bytes_max
    }

    /// Bind a component to a resource type, to `literature` (its statistics), to `policy` or to `retention`. The same binding
    /// again is no new version. What it builds is not rebuilt here: see [`cascade`](Self::cascade).
    ///
    /// # Errors
    /// [`Error::UnknownComponent`], [`Error::Quarantined`], [`Error::InvalidConfig`], or a contract that does not fit.
    pub async fn plugin_bind(&self, id: &str, binding: Binding) -> Result<Saved, Error> {
        let key = self.plugin_check_binding(id, &binding).await?;
        let metadata = BindingMetadata { component: binding.component.clone(), removed: false };
        let metadata = Metadata::typed(TypedMetadata::Binding(metadata));
        let content = serde_json::to_value(&binding).expect("a binding has string keys");
        self.save_any(SaveRequest { metadata, ..SaveRequest::new(key, Content::Json(content)) }).await
    }

    /// Whether a binding could be made; the answer is its key. Nothing is saved.
    ///
    /// # Errors
    /// As [`plugin_bind`](Self::plugin_bind).
    pub async fn plugin_check_binding(&self, id: &str, binding: &Binding) -> Result<ResourceKey, Error> {
        contract_for(id)?;
        let plugin = self.plugin_version(&binding.component).await?;
        self.check_not_quarantined(&plugin).await?;
        let component = self.component(&plugin).await?;
        check_contract(id, &binding.component, &component)?;
        check_config(&component, &Value::Object(binding.config.clone()))?;
        binding.limits.check(self.runtime.limits()).map_err(Error::invalid)?;
        plugin_key(ResourceType::binding(), id)
    }

    /// Latest versions of all installed components, by name.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn plugins(&self) -> Result<Vec<Arc<Version>>, Error> {
        let mut plugins = self.plugins_with_removed().await?;
        plugins.retain(|version| !is_removed(version));
        Ok(plugins)
    }

    /// The same, with those that were removed: their latest version says so.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn plugins_with_removed(&self) -> Result<Vec<Arc<Version>>, Error> {
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

    /// A version of a plugin, loaded once for each digest.
    pub(crate) async fn component(&self, plugin: &Version) -> Result<Arc<Component>, Error> {
        if let Some(component) = self.components.lock().get(&plugin.data_hash) {
            return Ok(Arc::clone(component));
        }
        let loading = async { Ok::<_, Error>(self.runtime.load(self.content(plugin).await?).await?) };
        let component = timed(Phase::Compile, loading).await?;
        self.components.lock().insert(plugin.data_hash, Arc::clone(&component));
        Ok(component)
    }

    pub(crate) async fn plugin_version(&self, name: &str) -> Result<Arc<Version>, Error> {
        let key = plugin_key(ResourceType::plugin(), name)?;
        match self.latest(&key).await {
            Ok(version) if !is_removed(&version) => Ok(version),
            Ok(_) | Err(Error::NotFound { .. }) => {
                let installed = self.plugins().await?;
                let known = installed.iter().map(|version| version.key.resource_id.to_string()).collect();
                Err(Error::UnknownComponent { got: name.to_owned(), known })
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether this version of a component or a binding says that there is none any longer.
pub(crate) fn is_removed(version: &Version) -> bool {
    match &version.metadata.typed {
        TypedMetadata::Plugin(plugin) => plugin.removed,
        TypedMetadata::Binding(binding) => binding.removed,
        _ => false,
    }
}

/// Types that the host itself makes, so that nothing can be bound to them.
const NOT_BOUND: [&str; 6] = ["dictionary", "search", "plugin", "binding", "quarantine", BREAKER_TYPE];

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

/// What is bound to `id` has the contract for it.
pub(crate) fn check_contract(id: &str, name: &str, component: &Component) -> Result<(), Error> {
    let wanted = contract_for(id)?;
    let contract = component.contract();
    if contract.kind == wanted {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{name} has the contract {contract}, and a binding for {id} needs {}/{}",
        wanted.package(),
        wanted.interface()
    )))
}

pub(crate) fn plugin_key(resource_type: ResourceType, name: &str) -> Result<ResourceKey, Error> {
    Ok(ResourceKey::new(Namespace::plugins(), resource_type, ResourceId::new(name)?))
}

/// The schema of a component's configuration, ready to be asked.
///
/// # Errors
/// [`InvalidSchema`](floret_runtime::Error::InvalidSchema) if it is not a valid JSON Schema, or refers to one elsewhere.
pub(crate) fn config_schema(component: &Component) -> Result<Validator, Error> {
    jsonschema::validator_for(&component.description().config_schema).map_err(|error| {
        let contract = Some(component.contract().clone());
        let at = Box::new(Site { component: component.label(), contract, stage: "describe".into() });
        let told: String = error.to_string().chars().take(SCHEMA_ERROR_CHARS_MAX).collect();
        floret_runtime::Error::InvalidSchema { at, text: format!("it is not a valid JSON Schema: {told}") }
            .into()
    })
}

/// Whether a component takes a configuration, by its own schema.
///
/// # Errors
/// [`Error::InvalidConfig`] with every problem; [`InvalidSchema`](floret_runtime::Error::InvalidSchema) of a component
/// that an older host installed.
pub fn check_config(component: &Component, config: &Value) -> Result<(), Error> {
    let validator = config_schema(component)?;
    let problem = |error: jsonschema::ValidationError<'_>| match error.instance_path().as_str() {
        "" => error.to_string(),
        path => format!("{path}: {error}"),
    };
    let problems: Vec<String> = validator.iter_errors(config).map(problem).collect();
    if problems.is_empty() {
        return Ok(());
    }
    let description = component.description();
    let component = format!("{} {}", description.name, description.version);
    Err(Error::InvalidConfig { component, problems })
}
