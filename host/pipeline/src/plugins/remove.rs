//! Taking components and bindings away. The log of a resource is never cut: a removal is a version of its own, that says
//! so, and cleanup drops the bytes before it when nothing refers to them.

use bytes::Bytes;
use floret_model::{
    BindingMetadata, Metadata, PluginMetadata, ResourceKey, ResourceType, Seq, TypedMetadata, VersionRef,
};
use serde_json::Value;

use super::{POLICY_BINDING, is_removed, plugin_key};
use crate::save::{IfLatest, SaveRequest, Saved};
use crate::{Content, Error, Floret};

/// Bindings without which nothing can be saved.
const NEEDED: [&str; 3] = [POLICY_BINDING, "literature", "corpus"];
/// Versions of a log that are read at once.
const PAGE: usize = 256;
/// Users that a refusal names.
const NAMED_MAX: usize = 3;

impl Floret {
    /// Remove a component: it is no longer installed, and can be installed again.
    ///
    /// # Errors
    /// [`Error::UnknownComponent`]; [`Error::Needed`] while it is bound, or while a version that is kept was built by it,
    /// which is rebuilt and searched by the very same component; [`Error::Conflict`] when it is installed anew meanwhile.
    pub async fn plugin_remove(&self, name: &str) -> Result<Saved, Error> {
        let version = self.plugin_version(name).await?;
        let bound = self.bound_to(name).await?;
        if !bound.is_empty() {
            return Err(Error::Needed {
                what: name.to_owned(),
                needed_by: format!("it is bound to {}", bound.join(", ")),
                remedy: "bind another component there first, with `floret plugin bind`".to_owned(),
            });
        }
        let (count, needed) = self.built_by(&version.key).await?;
        if count > 0 {
            let named: Vec<String> = needed.iter().map(ToString::to_string).collect();
            let more = if count > named.len() { ", …" } else { "" };
            return Err(Error::Needed {
                what: name.to_owned(),
                needed_by: format!(
                    "it built {count} of the versions that are kept, which are rebuilt or searched by it: {}{more}",
                    named.join(", ")
                ),
                remedy: "`floret cascade` rebuilds latest versions by what is bound now, and `floret cleanup` drops old ones".to_owned(),
            });
        }
        let TypedMetadata::Plugin(plugin) = version.metadata.typed.clone() else {
            return Err(Error::invalid(format!("{} is recorded as something else", version.reference())));
        };
        let plugin =
            PluginMetadata { built_in: false, source: None, signature: None, removed: true, ..plugin };
        let metadata = Metadata::typed(TypedMetadata::Plugin(plugin));
        let request = SaveRequest::new(version.key.clone(), Content::Bytes(Bytes::new()));
        let if_latest = Some(IfLatest::Seq(version.seq));
        self.save_any(SaveRequest { metadata, if_latest, ..request }).await
    }

    /// Take a binding away: nothing builds the type any longer.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Needed`] while latest versions were built by it, which a cascade could not rebuild,
    /// and for what the host cannot do without; [`Error::Conflict`] when something is bound anew meanwhile.
    pub async fn plugin_unbind(&self, id: &str) -> Result<Saved, Error> {
        let key = plugin_key(ResourceType::binding(), id)?;
        let head = self.head(&key).await?.filter(|head| !is_removed(head));
        let Some(head) = head else {
            return Err(Error::not_found(format!("a binding for {id}")));
        };
        let TypedMetadata::Binding(binding) = head.metadata.typed.clone() else {
            return Err(Error::invalid(format!("{} is recorded as something else", head.reference())));
        };
        let remedy = format!("bind another component to it with `floret plugin bind {id} COMPONENT`");
        if NEEDED.contains(&id) {
            let needed_by = "no text could be saved without it".to_owned();
            return Err(Error::Needed { what: key.to_string(), needed_by, remedy });
        }
        let built = self.dependents(&key, None).await?;
        if !built.is_empty() {
            let named: Vec<String> = built.iter().take(NAMED_MAX).map(ToString::to_string).collect();
            let more = if built.len() > named.len() { ", …" } else { "" };
            let needed_by = format!(
                "{}{more} ({} in all) could not be rebuilt without it",
                named.join(", "),
                built.len()
            );
            return Err(Error::Needed { what: key.to_string(), needed_by, remedy });
        }
        let metadata = Metadata::typed(TypedMetadata::Binding(BindingMetadata { removed: true, ..binding }));
        let request = SaveRequest::new(key, Content::Json(Value::Null));
        let if_latest = Some(IfLatest::Seq(head.seq));
        self.save_any(SaveRequest { metadata, if_latest, ..request }).await
    }

    /// How many kept versions were built by any version of a component, and the first few of them.
    async fn built_by(&self, plugin: &ResourceKey) -> Result<(usize, Vec<VersionRef>), Error> {
        let (mut count, mut first) = (0, Vec::new());
        let mut before: Option<Seq> = None;
        loop {
            let page = self.catalog.log(plugin, before, PAGE).await?;
            let Some(last) = page.last() else { return Ok((count, first)) };
            before = Some(last.seq);
            for version in page {
                let referrers = self.catalog.referrers(&version.reference()).await?;
                count += referrers.len();
                let room = NAMED_MAX - first.len().min(NAMED_MAX);
                first.extend(referrers.into_iter().take(room));
            }
        }
    }
}
