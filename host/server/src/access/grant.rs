//! What a request may touch: everything, or the namespaces of its token. The names in a path are looked at before a handler is
//! reached; those that a request has elsewhere are looked at by its handler, and only routes whose handlers do are open to such
//! a token.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::RawPathParams;
use floret_model::{Namespace, ResourceKey};
use floret_pipeline::Floret;

use super::Token;
use crate::problem::Problem;

/// Routes without a namespace in their path whose handlers look at every name.
const CHECKED: [&str; 9] = [
    "/v1/resources",
    "/v1/records",
    "/v1/search",
    "/v1/plans",
    "/v1/cascades",
    "/v1/batches",
    "/v1/builds",
    "/v1/corpora",
    "/v1/corpora/add",
];
/// What a namespace in a path is looked at below: pages of the console show what others depend on.
const API: &str = "/v1/";
/// A job is found by whoever was told its name, which nobody guesses.
const JOB: &str = "/v1/jobs/";
/// Routes to what is kept in the namespace `plugins`, and what is below them.
const OF_PLUGINS: [&str; 6] =
    ["/v1/plugins", "/v1/inspections", "/v1/bindings", "/v1/rollbacks", "/v1/breakers", "/v1/quarantines"];

/// What the token of a request may touch.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    /// Of the token, where there are tokens.
    pub id: Option<String>,
    /// Everything if absent.
    namespaces: Option<Arc<BTreeSet<Namespace>>>,
}

impl Grant {
    /// To whoever comes, where there are no tokens.
    pub fn everything() -> Self {
        Self { id: None, namespaces: None }
    }

    pub fn of(token: &Token) -> Self {
        let namespaces = Some(&token.namespaces).filter(|namespaces| !namespaces.is_empty());
        Self { id: Some(token.id.clone()), namespaces: namespaces.cloned().map(Arc::new) }
    }

    /// Whether there is anything that it may not touch.
    pub(crate) fn is_limited(&self) -> bool {
        self.namespaces.is_some()
    }

    /// A route that was asked for, by its path and what that names.
    pub(crate) fn check_path(&self, path: &str, named: Option<&RawPathParams>) -> Result<(), Problem> {
        let Some(namespaces) = &self.namespaces else { return Ok(()) };
        let mut named = named.filter(|_| path.starts_with(API)).into_iter().flatten();
        let named = named.find(|(name, _)| *name == "namespace");
        if let Some((_, namespace)) = named {
            return match namespaces.iter().any(|it| it.as_str() == namespace) {
                true => Ok(()),
                false => Err(self.refused(namespaces, &format!("it is not for {namespace:?}"))),
            };
        }
        let is_below = |route: &str| {
            path.strip_prefix(route).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if OF_PLUGINS.into_iter().any(is_below) {
            return self.check_namespace(Some(&Namespace::plugins()));
        }
        match CHECKED.contains(&path) || path.starts_with(JOB) {
            true => Ok(()),
            false => Err(self.refused(namespaces, "this is about all namespaces")),
        }
    }

    /// A namespace that a list is of; of all, if it names none.
    pub fn check_namespace(&self, namespace: Option<&Namespace>) -> Result<(), Problem> {
        let Some(namespaces) = &self.namespaces else { return Ok(()) };
        match namespace {
            Some(namespace) if namespaces.contains(namespace) => Ok(()),
            Some(namespace) => Err(self.refused(namespaces, &format!("it is not for {namespace}"))),
            None => Err(self.refused(
                namespaces,
                "this is about all namespaces unless the parameter namespace names one",
            )),
        }
    }

    /// Resources that a request names.
    pub fn check<'a>(&self, keys: impl IntoIterator<Item = &'a ResourceKey>) -> Result<(), Problem> {
        keys.into_iter().try_for_each(|key| self.check_namespace(Some(&key.namespace)))
    }

    /// Resources that a request changes, and those that are rebuilt for it.
    pub async fn check_reach(&self, host: &Floret, roots: &[ResourceKey]) -> Result<(), Problem> {
        if self.namespaces.is_none() {
            return Ok(());
        }
        self.check(roots)?;
        let plan = host.plan(roots).await?;
        self.check(plan.steps.iter().map(|step| &step.key))
    }

    fn refused(&self, namespaces: &BTreeSet<Namespace>, why: &str) -> Problem {
        let names: Vec<&str> = namespaces.iter().map(Namespace::as_str).collect();
        let id = self.id.as_deref().unwrap_or_default();
        Problem::forbidden(&format!("the token {id} is for the namespaces {} only: {why}", names.join(", ")))
    }
}
