//! Taking a binding into use: the newest that works. One that does not load, e.g. because a newer host installed it,
//! leaves the one before it in place, with a warning.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, SeqCst};

use floret_model::{ResourceKey, ResourceType, TimestampMs, Version, VersionRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::stored::is_damage;
use super::{Binding, Bound, check_config, check_contract, is_removed, parse_binding, plugin_key};
use crate::lease::milliseconds;
use crate::{Error, Floret, Freshness, Selector};

/// How far back is looked for a binding, and for a version of its component, that works: by then somebody has seen
/// the warning.
const VERSIONS_TRIED_MAX: usize = 16;

/// A binding as it is in use.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BindingState {
    /// What is bound to it.
    #[serde(rename = "type")]
    pub id: String,
    /// The binding that is in use.
    pub binding: Option<VersionRef>,
    /// The version of the component that is in use.
    pub component: Option<VersionRef>,
    /// Why the newest versions are not, or none is.
    pub problem: Option<String>,
}

impl Floret {
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
        let bound = Arc::new(self.take(id).await?);
        let mut in_use = self.bindings_in_use.bound.lock();
        if self.bindings_in_use.generation.load(SeqCst) == generation {
            in_use.insert(id.to_owned(), (Arc::clone(&bound), now));
        }
        Ok(bound)
    }

    /// Every binding, and which versions are in use for it. Loads their components.
    ///
    /// # Errors
    /// A store that fails.
    pub async fn binding_states(&self) -> Result<Vec<BindingState>, Error> {
        let mut states = Vec::new();
        for version in self.binding_versions().await? {
            let id = version.key.resource_id.to_string();
            states.push(match self.bound(&id).await {
                Ok(bound) => BindingState {
                    id,
                    binding: Some(bound.binding.reference()),
                    component: Some(bound.plugin.reference()),
                    problem: bound.fallback.clone(),
                },
                Err(error @ Error::Store(_)) if !is_damage(&error) => return Err(error),
                Err(error) => {
                    BindingState { id, binding: None, component: None, problem: Some(error.to_string()) }
                }
            });
        }
        Ok(states)
    }

    async fn take(&self, id: &str) -> Result<Bound, Error> {
        let key = plugin_key(ResourceType::binding(), id)?;
        let missing = || Error::NotFound {
            what: format!("a binding for {id}"),
            hint: Some(format!("`floret plugin bind {id} COMPONENT` makes one")),
        };
        let newest = match self.get(&key, &Selector::Latest, Freshness::Cached).await {
            Ok(binding) if is_removed(&binding.version) => return Err(missing()),
            Err(Error::NotFound { .. }) => return Err(missing()),
            other => other?,
        };
        let error = match parse_binding(&newest.content, &newest.version) {
            Ok(binding) => match self.take_newest(id, &newest.version, binding).await {
                Err(error) if is_unfit(&error) => error,
                other => return other,
            },
            Err(error) => error,
        };
        match self.take_older(id, &key, &error).await? {
            Some(bound) => {
                tracing::warn!(
                    binding = id,
                    component = %bound.plugin.reference(),
                    %error,
                    "the newest version cannot be used; the last one that can be stays in place"
                );
                Ok(bound)
            }
            None => Err(error),
        }
    }

    async fn take_newest(&self, id: &str, version: &Arc<Version>, binding: Binding) -> Result<Bound, Error> {
        let plugin = self.plugin_version(&binding.component).await?;
        self.fit(id, version, binding, plugin).await
    }

    /// The newest of the older versions that can be used; newer components before older bindings.
    async fn take_older(&self, id: &str, key: &ResourceKey, why: &Error) -> Result<Option<Bound>, Error> {
        for version in self.catalog.log(key, None, VERSIONS_TRIED_MAX).await? {
            if is_removed(&version) || version.dropped_at.is_some() {
                continue;
            }
            // What another program wrote and this one cannot read is passed over, as the newest was.
            let Ok(binding) = parse_binding(&self.content(&version).await?, &version) else { continue };
            let plugin = plugin_key(ResourceType::plugin(), &binding.component)?;
            for plugin in self.catalog.log(&plugin, None, VERSIONS_TRIED_MAX).await? {
                if is_removed(&plugin) || plugin.dropped_at.is_some() {
                    continue;
                }
                match self.fit(id, &version, binding.clone(), plugin).await {
                    Ok(bound) => return Ok(Some(Bound { fallback: Some(why.to_string()), ..bound })),
                    Err(error) if is_unfit(&error) || matches!(error, Error::Quarantined(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(None)
    }

    async fn fit(
        &self,
        id: &str,
        binding: &Arc<Version>,
        Binding { component: name, config, limits }: Binding,
        plugin: Arc<Version>,
    ) -> Result<Bound, Error> {
        self.check_not_quarantined(&plugin).await?;
        let component = limits.apply(self.component(&plugin).await?);
        check_contract(id, &name, &component)?;
        check_config(&component, &Value::Object(config.clone()))?;
        let gate = self.gate(binding, component.digest()).await?;
        Ok(Bound { component, plugin, binding: Arc::clone(binding), config, gate, fallback: None })
    }
}

/// Whether an older version may do what this one cannot. A store that fails is no reason to go back, nor is a content
/// that is damaged.
fn is_unfit(error: &Error) -> bool {
    matches!(
        error,
        Error::Plugin(_)
            | Error::InvalidConfig { .. }
            | Error::InvalidRequest(_)
            | Error::UnknownComponent { .. }
    )
}
