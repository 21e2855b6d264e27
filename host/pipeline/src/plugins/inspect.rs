use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use floret_model::{Digest, ResourceType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sections::{self, ComponentMetadata};
use crate::bounds::{LimitInForce, in_force};
use crate::{Error, Floret};

/// A component as `inspect` shows it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Inspected {
    /// SHA-256 of its bytes.
    pub digest: Digest,
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
    /// What its maker wrote into it.
    pub metadata: ComponentMetadata,
    /// What it may use here, by the names of `[limits]`: bytes, milliseconds and counts.
    pub limits: BTreeMap<String, u64>,
}

/// Who uses an installed component.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Users {
    /// What it is bound to.
    pub bindings: Vec<String>,
    /// Its limits by what it is bound to, by the names of a binding's limits; nothing of a binding that is not in use.
    pub limits: BTreeMap<String, BTreeMap<String, LimitInForce>>,
    /// How many latest versions of each type were built by it, by any of its versions.
    pub latest_versions: BTreeMap<ResourceType, u64>,
}

impl Users {
    /// Latest versions of all types together.
    pub fn latest_versions_count(&self) -> u64 {
        self.latest_versions.values().sum()
    }
}

impl Floret {
    /// Look at a component without installing it.
    ///
    /// # Errors
    /// A component that does not load says why.
    pub async fn plugin_inspect(&self, bytes: Bytes) -> Result<Inspected, Error> {
        let component = self.runtime.load(bytes.clone()).await?;
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
            metadata: sections::read(&bytes),
            limits: self
                .component_limits()
                .into_iter()
                .map(|(name, limit)| (name.to_owned(), limit))
                .collect(),
        })
    }

    /// Who uses the component that is installed under a name.
    ///
    /// # Errors
    /// [`Error::UnknownComponent`]; a store that fails.
    pub async fn plugin_users(&self, name: &str) -> Result<Users, Error> {
        let version = self.plugin_version(name).await?;
        let mut users = Users { bindings: self.bound_to(name).await?, ..Users::default() };
        for id in &users.bindings {
            // Another version of the binding may be in use, of another component.
            let bound = self.bound(id).await.ok();
            if let Some(bound) = bound.filter(|bound| bound.plugin.key == version.key) {
                let limits = in_force(bound.component.limits(), self.runtime.limits());
                users.limits.insert(id.clone(), limits);
            }
        }
        for dependent in self.dependents(&version.key, None).await? {
            *users.latest_versions.entry(dependent.resource_type).or_default() += 1;
        }
        Ok(users)
    }

    /// The bytes of an installed component.
    ///
    /// # Errors
    /// [`Error::UnknownComponent`].
    pub async fn plugin_bytes(&self, name: &str) -> Result<Bytes, Error> {
        let version = self.plugin_version(name).await?;
        self.content(&version).await
    }

    fn component_limits(&self) -> BTreeMap<&'static str, u64> {
        let limits = self.runtime.limits();
        let milliseconds = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        BTreeMap::from([
            ("call_timeout_ms", milliseconds(limits.call_timeout)),
            ("query_timeout_ms", milliseconds(limits.query_timeout)),
            ("inline_timeout_ms", milliseconds(limits.inline_timeout)),
            ("compile_timeout_ms", milliseconds(limits.compile_timeout)),
            ("memory_bytes_max", limits.memory_bytes_max),
            ("table_elements_max", limits.table_elements_max),
            ("core_instances_max", limits.core_instances_max),
            ("stack_bytes_max", limits.stack_bytes_max),
            ("output_bytes_max", limits.output_bytes_max),
            ("call_bytes_max", limits.call_bytes_max),
            ("log_bytes_max", limits.log_bytes_max),
            ("component_bytes_max", limits.component_bytes_max),
            ("inputs_max", limits.inputs_max),
        ])
    }
}
