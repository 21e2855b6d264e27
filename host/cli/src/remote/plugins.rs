//! Components and bindings, in this process or behind a server.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use floret_model::{
    Namespace, Plan, PluginMetadata, ResourceKey, ResourceType, Seq, TypedMetadata, Version, VersionRef,
};
use floret_pipeline::{
    Binding, BindingDocument, Floret, Freshness, Inspected, InstallRequest, ListQuery, Quarantine, Saved,
    Selector, Users,
};
use reqwest::{RequestBuilder, Url};
use serde::Deserialize;
use serde_json::json;

use super::client::with;
use super::save::encoded;
use super::{Client, Home};

/// Components that a list has at most.
const PLUGINS_MAX: usize = 10_000;

/// What a change would save, and what would be rebuilt for it.
pub(crate) struct Foreseen {
    /// The component or binding.
    pub key: String,
    /// What would be saved, in words.
    pub what: String,
    /// Whether there is anything to change.
    pub would_change: bool,
    /// What would be rebuilt.
    pub plan: Plan,
}

/// A version of a component or binding that a server saved.
#[derive(Deserialize)]
struct Swapped {
    key: String,
    seq: Seq,
    is_new: bool,
}

/// What a server would save.
#[derive(Deserialize)]
struct ForeseenThere {
    resource: String,
    would_change: bool,
    component: Option<PluginMetadata>,
    target: Option<VersionRef>,
    plan: Plan,
}

/// A component that is installed at a server.
#[derive(Deserialize)]
struct Installed {
    #[serde(flatten)]
    inspected: Inspected,
    users: Users,
}

#[derive(Deserialize)]
struct Closed {
    was_open: bool,
}

impl Home<'_> {
    /// The components that are installed, by name; with those that were removed, if `all`.
    pub async fn plugins(self, all: bool) -> Result<Vec<Arc<Version>>> {
        match self {
            Self::Here(host) if all => Ok(host.plugins_with_removed().await?),
            Self::Here(host) => Ok(host.plugins().await?),
            Self::There(_) => {
                let query = ListQuery {
                    namespace: Some(Namespace::plugins()),
                    resource_type: Some(ResourceType::plugin()),
                    limit: PLUGINS_MAX,
                    ..ListQuery::default()
                };
                let is_removed = |version: &Version| matches!(&version.metadata.typed, TypedMetadata::Plugin(plugin) if plugin.removed);
                let mut plugins = self.list(&query).await?;
                plugins.retain(|version| all || !is_removed(version));
                Ok(plugins)
            }
        }
    }

    /// All bindings, by what is bound.
    pub async fn bindings(self) -> Result<BTreeMap<String, BindingDocument>> {
        match self {
            Self::Here(host) => Ok(host.binding_documents().await?),
            Self::There(client) => client.get(&client.at(&["bindings"])?, &[]).await,
        }
    }

    /// Components that are not to be used.
    pub async fn quarantines(self) -> Result<Vec<Quarantine>> {
        match self {
            Self::Here(host) => Ok(host.quarantines(false).await?),
            Self::There(client) => client.get(&client.at(&["quarantines"])?, &[]).await,
        }
    }

    /// Let a component in quarantine be used again.
    pub async fn plugin_release(self, what: &str) -> Result<Vec<Quarantine>> {
        match self {
            Self::Here(host) => Ok(host.plugin_release(what).await?),
            Self::There(client) => client.delete(&client.at(&["quarantines", what])?).await,
        }
    }

    /// Close the breaker of what is bound. Answers whether it was open.
    pub async fn reset_breaker(self, id: &str) -> Result<bool> {
        match self {
            Self::Here(host) => Ok(host.reset_breaker(id).await?),
            Self::There(client) => {
                let closed: Closed = client.delete(&client.at(&["breakers", id])?).await?;
                Ok(closed.was_open)
            }
        }
    }

    /// Look at a component that is not installed.
    pub async fn plugin_inspect(self, component: Bytes) -> Result<Inspected> {
        match self {
            Self::Here(host) => Ok(host.plugin_inspect(component).await?),
            Self::There(client) => {
                let request = client.http.post(client.at(&["inspections"])?).body(component);
                client.document(client.send(request).await?).await
            }
        }
    }

    /// Look at an installed component.
    pub async fn plugin_inspect_installed(self, name: &str) -> Result<(Inspected, Users)> {
        match self {
            Self::Here(host) => {
                let component = host.plugin_bytes(name).await?;
                let users = host.plugin_users(name).await?;
                Ok((host.plugin_inspect(component).await?, users))
            }
            Self::There(client) => {
                let Installed { inspected, users } = client.get(&client.at(&["plugins", name])?, &[]).await?;
                Ok((inspected, users))
            }
        }
    }

    /// Install a component.
    pub async fn plugin_install(self, request: InstallRequest) -> Result<Saved> {
        match self {
            Self::Here(host) => Ok(host.plugin_install_from(request).await?),
            Self::There(client) => client.swapped(client.installing(request, false)?).await,
        }
    }

    /// What installing a component would do.
    pub async fn foresee_install(self, request: InstallRequest) -> Result<Foreseen> {
        let named =
            |it: &PluginMetadata| format!("{} {}, {}", it.component_name, it.component_version, it.contract);
        match self {
            Self::Here(host) => {
                let checked = host.plugin_check(&request).await?;
                foreseen_here(host, &checked.key, named(&checked.metadata), checked.is_new).await
            }
            Self::There(client) => {
                let told = client.foreseen(client.installing(request, true)?).await?;
                let what = told.component.as_ref().map(named).unwrap_or_default();
                Ok(told.foreseen(what))
            }
        }
    }

    /// Bind a component.
    pub async fn plugin_bind(self, id: &str, binding: Binding) -> Result<Saved> {
        match self {
            Self::Here(host) => Ok(host.plugin_bind(id, binding).await?),
            Self::There(client) => client.swapped(client.binding(id, &binding, false)?).await,
        }
    }

    /// What binding a component would do.
    pub async fn foresee_bind(self, id: &str, binding: &Binding) -> Result<Foreseen> {
        let what = format!("{} bound to {id}", binding.component);
        match self {
            Self::Here(host) => {
                let key = host.plugin_check_binding(id, binding).await?;
                let is_bound =
                    host.bindings().await?.iter().any(|(bound, it, _)| bound == id && it == binding);
                foreseen_here(host, &key, what, !is_bound).await
            }
            Self::There(client) => {
                let told = client.foreseen(client.binding(id, binding, true)?).await?;
                Ok(told.foreseen(what))
            }
        }
    }

    /// Go back to an older version of a component or a binding.
    pub async fn plugin_rollback(self, name: &str, to: Option<Seq>) -> Result<Saved> {
        match self {
            Self::Here(host) => {
                let key = host.plugin_named(name).await?;
                Ok(host.plugin_rollback(&key, to).await?)
            }
            Self::There(client) => client.swapped(client.going_back(name, to, false)?).await,
        }
    }

    /// What going back would do.
    pub async fn foresee_rollback(self, name: &str, to: Option<Seq>) -> Result<Foreseen> {
        let content_of = |target: &VersionRef| format!("the content of {target}");
        match self {
            Self::Here(host) => {
                let key = host.plugin_named(name).await?;
                let target = host.plugin_rollback_target(&key, to).await?;
                let newest = host.log(&key, None, 1).await?;
                let is_new = newest.iter().any(|newest| newest.data_hash != target.data_hash);
                foreseen_here(host, &key, content_of(&target.reference()), is_new).await
            }
            Self::There(client) => {
                let told = client.foreseen(client.going_back(name, to, true)?).await?;
                let what = told.target.as_ref().map(content_of).unwrap_or_default();
                Ok(told.foreseen(what))
            }
        }
    }

    /// Take a binding away.
    pub async fn plugin_unbind(self, id: &str) -> Result<Saved> {
        match self {
            Self::Here(host) => Ok(host.plugin_unbind(id).await?),
            Self::There(client) => client.swapped(client.http.delete(client.at(&["bindings", id])?)).await,
        }
    }

    /// Remove a component.
    pub async fn plugin_remove(self, name: &str) -> Result<Saved> {
        match self {
            Self::Here(host) => Ok(host.plugin_remove(name).await?),
            Self::There(client) => client.swapped(client.http.delete(client.at(&["plugins", name])?)).await,
        }
    }
}

async fn foreseen_here(
    host: &Floret,
    key: &ResourceKey,
    what: String,
    would_change: bool,
) -> Result<Foreseen> {
    let plan = host.plan(std::slice::from_ref(key)).await?;
    Ok(Foreseen { key: key.to_string(), what, would_change, plan })
}

impl ForeseenThere {
    fn foreseen(self, what: String) -> Foreseen {
        Foreseen { key: self.resource, what, would_change: self.would_change, plan: self.plan }
    }
}

impl Client {
    fn installing(&self, request: InstallRequest, is_dry: bool) -> Result<RequestBuilder> {
        let mut query = vec![("dry_run", is_dry.to_string())];
        query.extend(request.digest.map(|digest| ("digest", digest.to_string())));
        query.extend(request.source.map(|source| ("source", source)));
        let at = |parts: &[&str]| -> Result<Url> { Ok(with(&self.at(parts)?, &super::texts(&query))) };
        let install = match &request.name {
            Some(name) => self.http.put(at(&["plugins", name])?),
            None => self.http.post(at(&["plugins"])?),
        };
        let install = match request.signature {
            Some(signature) => install.header("floret-signature", encoded(&signature)),
            None => install,
        };
        Ok(install.body(request.bytes))
    }

    fn binding(&self, id: &str, binding: &Binding, is_dry: bool) -> Result<RequestBuilder> {
        let url = with(&self.at(&["bindings", id])?, &[("dry_run", &is_dry.to_string())]);
        Ok(self.with_json(self.http.put(url), &serde_json::to_value(binding)?))
    }

    fn going_back(&self, name: &str, to: Option<Seq>, is_dry: bool) -> Result<RequestBuilder> {
        let asked = json!({"name": name, "to": to, "dry_run": is_dry});
        Ok(self.posted(&self.at(&["rollbacks"])?, &asked))
    }

    async fn foreseen(&self, request: RequestBuilder) -> Result<ForeseenThere> {
        self.document(self.send(request).await?).await
    }

    /// The version that a change made.
    async fn swapped(&self, request: RequestBuilder) -> Result<Saved> {
        let Swapped { key, seq, is_new } = self.document(self.send(request).await?).await?;
        let unreadable = |error| self.unavailable(&format!("it names what it saved {key:?}: {error}"));
        let key: ResourceKey = key.parse().map_err(unreadable)?;
        let version = self.record(&key, &Selector::Seq(seq), Freshness::Cached).await?;
        Ok(Saved { version, is_new })
    }
}
