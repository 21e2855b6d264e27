use std::cmp::Ordering;
use std::sync::Arc;

use bytes::Bytes;
use floret_model::{
    Digest, Metadata, PluginMetadata, PluginSignature, ResourceKey, ResourceType, TypedMetadata, Version,
};
use floret_runtime::Component;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Binding, check_contract, config_schema, is_removed, plugin_key};
use crate::host::BuiltIn;
use crate::save::{SaveRequest, Saved};
use crate::{Content, Error, Floret};

/// A component to install, and what is asked of it.
#[derive(Clone, Debug, Default)]
pub struct InstallRequest {
    /// Under which name; the one that it gives itself if absent.
    pub name: Option<String>,
    /// The component.
    pub bytes: Bytes,
    /// SHA-256 that its bytes must have.
    pub digest: Option<Digest>,
    /// A minisign signature of its bytes, all four lines.
    pub signature: Option<String>,
    /// Where it comes from; recorded as it is.
    pub source: Option<String>,
}

/// A component that could be installed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Checked {
    /// As what.
    pub key: ResourceKey,
    /// What would be recorded.
    pub metadata: PluginMetadata,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Whether it would be a new version.
    pub is_new: bool,
}

impl Floret {
    /// Install a component under `name`, or the name that it gives itself, as
    /// [`plugin_install_from`](Self::plugin_install_from) does.
    ///
    /// # Errors
    /// The same.
    pub async fn plugin_install(&self, name: Option<&str>, bytes: Bytes) -> Result<Saved, Error> {
        let name = name.map(str::to_owned);
        self.plugin_install_from(InstallRequest { name, bytes, ..InstallRequest::default() }).await
    }

    /// Install a component. Its digest and its signature are looked at before it is compiled, and it is compiled
    /// before it is saved. The same bytes again are no new version. What is bound to it is not rebuilt here: see
    /// [`cascade`](Self::cascade).
    ///
    /// # Errors
    /// [`Error::DigestMismatch`], [`Error::Untrusted`]; [`Error::InvalidRequest`] when it is bound to what its
    /// contract does not fit. A component that does not load, or whose configuration's schema is none, says why. Nothing
    /// is saved then.
    pub async fn plugin_install_from(&self, request: InstallRequest) -> Result<Saved, Error> {
        let checked = self.plugin_check(&request).await?;
        self.put_component(checked, request.bytes).await
    }

    /// Whether a component could be installed, and as what. Compiles it; nothing is saved.
    ///
    /// # Errors
    /// As [`plugin_install_from`](Self::plugin_install_from).
    pub async fn plugin_check(&self, request: &InstallRequest) -> Result<Checked, Error> {
        let found = Digest::of(&request.bytes);
        if let Some(expected) = request.digest.filter(|expected| *expected != found) {
            return Err(Error::DigestMismatch { expected, found });
        }
        let signature = self.options.trusted_keys.check(&request.bytes, request.signature.as_deref())?;
        let name = request.name.as_deref();
        let (checked, component) = self.check_component(name, request.bytes.clone()).await?;
        self.check_bound_to(&checked.key, &component).await?;
        let metadata = PluginMetadata { source: request.source.clone(), signature, ..checked.metadata };
        Ok(Checked { metadata, ..checked })
    }

    async fn check_component(
        &self,
        name: Option<&str>,
        bytes: Bytes,
    ) -> Result<(Checked, Arc<Component>), Error> {
        let component = self.runtime.load(bytes).await?;
        config_schema(&component)?;
        let description = component.description();
        let key = plugin_key(ResourceType::plugin(), name.unwrap_or(&description.name))?;
        let digest = component.digest();
        let is_new = self.head(&key).await?.is_none_or(|head| head.data_hash != digest);
        let metadata = PluginMetadata {
            contract: component.contract().to_string(),
            component_name: description.name.clone(),
            component_version: description.version.to_string(),
            summary: description.summary.clone(),
            built_in: false,
            source: None,
            signature: None,
            removed: false,
        };
        Ok((Checked { key, metadata, digest, is_new }, component))
    }

    /// A component of another contract does not take the place of one that is bound.
    async fn check_bound_to(&self, key: &ResourceKey, component: &Component) -> Result<(), Error> {
        let name = key.resource_id.as_str();
        for (id, binding, _) in self.bindings().await? {
            if binding.component == name {
                check_contract(&id, name, component).map_err(|error| {
                    Error::invalid(format!(
                        "{error}; it is bound to {id}: install this one under another name, with --name"
                    ))
                })?;
            }
        }
        Ok(())
    }

    pub(super) async fn put_component(&self, checked: Checked, bytes: Bytes) -> Result<Saved, Error> {
        let head = self.head(&checked.key).await?.filter(|head| head.data_hash == checked.digest);
        if let Some(version) = head {
            return Ok(Saved { version, is_new: false });
        }
        let metadata = Metadata::typed(TypedMetadata::Plugin(checked.metadata));
        let media_type = Some("application/wasm".to_owned());
        let content = Content::Bytes(bytes);
        self.save_any(SaveRequest { metadata, media_type, ..SaveRequest::new(checked.key, content) }).await
    }

    /// Whether bytes that are in the store already may be installed again: when they came with a host once, or are
    /// signed as it is asked for today.
    pub(super) fn check_trust_again(
        &self,
        bytes: &Bytes,
        signature: Option<&PluginSignature>,
        built_in: bool,
    ) -> Result<(), Error> {
        let keys = &self.options.trusted_keys;
        if built_in || keys.is_empty() {
            return Ok(());
        }
        keys.check(bytes, signature.map(|signature| signature.text.as_str())).map(drop)
    }

    /// Install what comes with the host where it is missing, or where an older program installed an older one. What was
    /// removed stays so, and what nobody bound again is not bound.
    pub(crate) async fn install_built_ins(&self, built_ins: &[BuiltIn]) -> Result<(), Error> {
        for built_in in built_ins {
            let key = plugin_key(ResourceType::plugin(), &built_in.name)?;
            let head = self.head(&key).await?;
            if head.as_deref().is_some_and(is_removed) {
                continue;
            }
            let replaceable = match head {
                None => true,
                Some(head) => self.replaces(built_in, &head).await?,
            };
            if replaceable {
                let bytes = built_in.bytes.clone();
                let (checked, _) = self.check_component(Some(&built_in.name), bytes).await?;
                let metadata = PluginMetadata { built_in: true, ..checked.metadata };
                self.put_component(Checked { metadata, ..checked }, built_in.bytes.clone()).await?;
            }
            for (id, config) in &built_in.bindings {
                if self.head(&plugin_key(ResourceType::binding(), id)?).await?.is_none() {
                    let binding = Binding::configured(&*built_in.name, config.clone());
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
        if head.data_hash == Digest::of(&built_in.bytes) {
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
