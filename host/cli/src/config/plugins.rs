use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::anyhow;
use floret_pipeline::TrustedKeys;
use serde::{Deserialize, Serialize};

use super::{Secret, Span};
use crate::failure::Failure;

/// `[plugins]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PluginsSection {
    /// Public keys of minisign, `RW…`. With any, every component that is installed must be signed by one of them.
    pub trusted_keys: Vec<String>,
    /// Of one request to a registry, the body included.
    pub timeout: Span,
    /// Until a connection to a registry stands.
    pub connect_timeout: Span,
    /// How often a request to a registry that failed is made again.
    pub retries_max: usize,
    /// Registries that need something else than to be asked, by `HOST` or `HOST:PORT`.
    pub registries: BTreeMap<String, RegistrySection>,
}

/// `[plugins.registries."HOST"]`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RegistrySection {
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// Without TLS: whoever is on the way can read the password. This machine is always asked so.
    pub plain_http: bool,
}

impl Default for PluginsSection {
    fn default() -> Self {
        Self {
            trusted_keys: Vec::new(),
            timeout: Span(Duration::from_secs(60)),
            connect_timeout: Span(Duration::from_secs(5)),
            retries_max: 3,
            registries: BTreeMap::new(),
        }
    }
}

impl PluginsSection {
    /// The keys, each looked at; and that registries are given a password along with a name.
    pub(super) fn trusted_keys(&self) -> anyhow::Result<TrustedKeys> {
        let invalid = |message: String| anyhow!(Failure::Configuration(message));
        for (host, registry) in &self.registries {
            if registry.username.is_some() != registry.password.is_some() {
                let message = format!(
                    "plugins.registries.{host:?} has a user name or a password: expected both, or neither"
                );
                return Err(invalid(message));
            }
        }
        TrustedKeys::parse(self.trusted_keys.iter().map(String::as_str))
            .map_err(|error| invalid(format!("plugins.trusted_keys: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_credentials_are_looked_at_when_the_program_starts() {
        let told =
            |section: PluginsSection| section.trusted_keys().map(drop).map_err(|error| error.to_string());
        assert_eq!(told(PluginsSection::default()), Ok(()));
        let section =
            PluginsSection { trusted_keys: vec!["RWnothing".to_owned()], ..PluginsSection::default() };
        let error = told(section).expect_err("no key");
        assert!(
            error.starts_with("configuration: plugins.trusted_keys: \"RWnothing\" is no public key"),
            "{error}"
        );
        let registry = RegistrySection { username: Some("ada".to_owned()), ..RegistrySection::default() };
        let registries = BTreeMap::from([("registry.example:5000".to_owned(), registry)]);
        let error =
            told(PluginsSection { registries, ..PluginsSection::default() }).expect_err("half of them");
        assert!(error.contains("\"registry.example:5000\"") && error.contains("both, or neither"), "{error}");
    }
}
