//! Bindings as they are stored. One that cannot be read is told, and keeps nobody from the others.

use std::collections::BTreeMap;
use std::sync::Arc;

use floret_model::{Digest, ResourceType, Seq, TypedMetadata, Version, VersionRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Binding, BindingState, is_removed};
use crate::{BindingLimits, Breaker, Error, Floret, Kind};

/// The newest version of a binding that cannot be read: what was bound is not known by it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct UnreadableBinding {
    /// What something is bound to.
    #[serde(rename = "type")]
    pub id: String,
    /// The version.
    pub binding: VersionRef,
    /// SHA-256 of its content.
    pub data_hash: Digest,
    /// The component that its metadata name, if they do.
    pub component: Option<String>,
    /// What is wrong with it.
    pub problem: String,
}

/// A binding as it stands.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BindingDocument {
    /// Name of the component; of a binding that cannot be read, as its metadata have it.
    pub component: Option<String>,
    /// Its configuration; null where the binding cannot be read.
    pub config: Option<Map<String, Value>>,
    /// What it may use, where that is less than the host allows.
    #[serde(default, skip_serializing_if = "BindingLimits::is_empty")]
    pub limits: BindingLimits,
    /// Of its newest version.
    pub seq: Seq,
    /// The version of the component that is in use; null where none can be.
    pub in_use: Option<VersionRef>,
    /// Why the newest versions are not in use, or none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The breaker of its component, if it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<Breaker>,
}

impl Floret {
    /// All bindings as they stand, by what is bound. Loads their components.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn binding_documents(&self) -> Result<BTreeMap<String, BindingDocument>, Error> {
        let states = self.binding_states().await?.into_iter();
        let mut states: BTreeMap<String, BindingState> =
            states.map(|state| (state.id.clone(), state)).collect();
        let mut breakers: BTreeMap<String, Breaker> = self.open_breakers().await?.into_iter().collect();
        let document = |(version, binding): (Arc<Version>, Result<Binding, Error>)| {
            let id = version.key.resource_id.to_string();
            let (in_use, problem) =
                states.remove(&id).map_or((None, None), |state| (state.component, state.problem));
            let breaker = breakers.remove(&id);
            let (component, config, limits) = match binding {
                Ok(binding) => (Some(binding.component), Some(binding.config), binding.limits),
                Err(_) => (named_component(&version), None, BindingLimits::default()),
            };
            (id, BindingDocument { component, config, limits, seq: version.seq, in_use, problem, breaker })
        };
        Ok(self.stored_bindings().await?.into_iter().map(document).collect())
    }

    /// All bindings that can be read, by id; not those that were removed. The others are in
    /// [`unreadable_bindings`](Self::unreadable_bindings), and in the log.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn bindings(&self) -> Result<Vec<(String, Binding, Arc<Version>)>, Error> {
        let mut found = Vec::new();
        for (version, binding) in self.stored_bindings().await? {
            match binding {
                Ok(binding) => found.push((version.key.resource_id.to_string(), binding, version)),
                Err(error) => {
                    tracing::warn!(binding = %version.reference(), %error, "a binding cannot be read and is left out");
                }
            }
        }
        Ok(found)
    }

    /// The bindings that cannot be read, by id.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn unreadable_bindings(&self) -> Result<Vec<UnreadableBinding>, Error> {
        let unreadable = |(version, binding): (Arc<Version>, Result<Binding, Error>)| {
            Some(UnreadableBinding {
                id: version.key.resource_id.to_string(),
                binding: version.reference(),
                data_hash: version.data_hash,
                component: named_component(&version),
                problem: binding.err()?.to_string(),
            })
        };
        Ok(self.stored_bindings().await?.into_iter().filter_map(unreadable).collect())
    }

    /// What a component is bound to; of a binding that cannot be read its metadata tell.
    pub(crate) async fn bound_to(&self, name: &str) -> Result<Vec<String>, Error> {
        let of_it = |(version, binding): (Arc<Version>, Result<Binding, Error>)| {
            let component =
                binding.map_or_else(|_| named_component(&version), |binding| Some(binding.component));
            (component.as_deref() == Some(name)).then(|| version.key.resource_id.to_string())
        };
        Ok(self.stored_bindings().await?.into_iter().filter_map(of_it).collect())
    }

    /// Latest versions of all bindings, by id; not those that were removed.
    pub(crate) async fn binding_versions(&self) -> Result<Vec<Arc<Version>>, Error> {
        let mut versions = self.all_of(ResourceType::binding()).await?;
        versions.retain(|version| !is_removed(version));
        Ok(versions)
    }

    async fn stored_bindings(&self) -> Result<Vec<(Arc<Version>, Result<Binding, Error>)>, Error> {
        let mut stored = Vec::new();
        for version in self.binding_versions().await? {
            let binding = match self.content(&version).await {
                Ok(content) => parse_binding(&content, &version),
                Err(error) if is_damage(&error) => Err(error),
                Err(error) => return Err(error),
            };
            stored.push((version, binding));
        }
        Ok(stored)
    }
}

/// The component that a binding's metadata name.
fn named_component(version: &Version) -> Option<String> {
    match &version.metadata.typed {
        TypedMetadata::Binding(binding) => Some(binding.component.clone()),
        _ => None,
    }
}

/// Whether what is stored of one resource is at fault, which says nothing of others.
pub(super) fn is_damage(error: &Error) -> bool {
    error.classify().kind == Kind::Integrity
}

pub(crate) fn parse_binding(content: &[u8], version: &Version) -> Result<Binding, Error> {
    serde_json::from_slice(content).map_err(|error| Error::InvalidBinding {
        binding: version.reference(),
        digest: version.data_hash,
        problem: error.to_string(),
    })
}
