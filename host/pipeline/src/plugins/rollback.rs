//! Going back. An older version of a component or a binding is saved again, as the newest: nothing is rewritten.

use std::sync::Arc;

use floret_model::{
    Digest, PluginMetadata, ResourceKey, ResourceType, Seq, TypedMetadata, Version, VersionRef,
};

use super::{Checked, is_removed, parse_binding, plugin_key};
use crate::save::Saved;
use crate::{Error, Floret};

/// Versions that are looked through for the one to go back to, and for where the same bytes came from.
const VERSIONS_MAX: usize = 1_000;

impl Floret {
    /// The component or binding that a name stands for: a component's name, a type that is bound, or a whole key such
    /// as `plugins:binding/trie`.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::InvalidRequest`] for a name that is both.
    pub async fn plugin_named(&self, name: &str) -> Result<ResourceKey, Error> {
        let types = [ResourceType::plugin(), ResourceType::binding()];
        let keys: Vec<ResourceKey> = match name.parse::<ResourceKey>() {
            Ok(key) if types.contains(&key.resource_type) => vec![key],
            _ => types.into_iter().map(|it| plugin_key(it, name)).collect::<Result<_, _>>()?,
        };
        let heads = self.catalog.heads(&keys).await?;
        let mut there: Vec<ResourceKey> = heads.into_iter().flatten().map(|head| head.key.clone()).collect();
        match (there.pop(), there.pop()) {
            (Some(key), None) => Ok(key),
            (Some(one), Some(other)) => Err(Error::invalid(format!(
                "{name:?} is the name of a component and a type that is bound: say {other} or {one}"
            ))),
            (None, _) => Err(Error::NotFound {
                what: format!("a component or a binding {name:?}"),
                hint: Some("`floret plugin list --all` lists them".to_owned()),
            }),
        }
    }

    /// The version that a rollback would go back to: `to`, or the newest older one with another content.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Dropped`]; [`Error::InvalidRequest`] when there is none before it.
    pub async fn plugin_rollback_target(
        &self,
        key: &ResourceKey,
        to: Option<Seq>,
    ) -> Result<Arc<Version>, Error> {
        let log = self.log(key, None, VERSIONS_MAX).await?;
        let newest = &log[0];
        let target = match to {
            Some(seq) => {
                let reference = VersionRef { key: key.clone(), seq };
                let found = self.catalog.version(&reference).await?;
                let target = found.ok_or_else(|| Error::not_found(&reference))?;
                if is_removed(&target) {
                    return Err(Error::invalid(format!(
                        "{reference} is where it was removed: there is nothing to go back to"
                    )));
                }
                target
            }
            None => {
                let other = |it: &&Arc<Version>| !is_removed(it) && it.data_hash != newest.data_hash;
                let found = log.iter().skip(1).find(other).cloned();
                found.ok_or_else(|| {
                    let newest = newest.reference();
                    Error::invalid(format!("there is no other version before {newest} to go back to"))
                })?
            }
        };
        match target.dropped_at {
            Some(_) => Err(Error::Dropped(target.reference())),
            None => Ok(target),
        }
    }

    /// Save the version that [`plugin_rollback_target`](Self::plugin_rollback_target) answers with as the newest. What it
    /// builds is not rebuilt here: see [`cascade`](Self::cascade). A component that came with the host is one that
    /// somebody chose from here on, and the host replaces it no longer.
    ///
    /// # Errors
    /// Those of the target; those of installing and binding.
    pub async fn plugin_rollback(&self, key: &ResourceKey, to: Option<Seq>) -> Result<Saved, Error> {
        let target = self.plugin_rollback_target(key, to).await?;
        let content = self.content(&target).await?;
        if key.resource_type == ResourceType::binding() {
            let binding = parse_binding(&content, &target)?;
            return self.plugin_bind(key.resource_id.as_str(), binding).await;
        }
        let TypedMetadata::Plugin(plugin) = target.metadata.typed.clone() else {
            return Err(Error::invalid(format!("{} is recorded as something else", target.reference())));
        };
        let built_in = self.came_with_a_host(key, &target.data_hash).await?;
        self.check_trust_again(&content, plugin.signature.as_ref(), built_in)?;
        self.component(&target).await?;
        let checked = Checked {
            key: key.clone(),
            metadata: PluginMetadata { built_in: false, ..plugin },
            digest: target.data_hash,
            is_new: true,
        };
        self.put_component(checked, content).await
    }

    /// Whether a host ever installed these bytes by itself.
    async fn came_with_a_host(&self, key: &ResourceKey, digest: &Digest) -> Result<bool, Error> {
        let log = self.log(key, None, VERSIONS_MAX).await?;
        Ok(log.iter().any(|version| {
            let built_in = matches!(&version.metadata.typed, TypedMetadata::Plugin(it) if it.built_in);
            built_in && version.data_hash == *digest
        }))
    }
}
