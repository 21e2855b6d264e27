//! Google's and Microsoft's object stores: each in a build with its feature.

use std::sync::Arc;

use object_store::ObjectStore;

use super::ObjectsOptions;
use crate::Error;

macro_rules! cloud {
    ($function:ident, $name:literal, $feature:literal, $module:ident, $builder:ident, $bucket:ident, $key:ident, $variables:literal) => {
        #[cfg(feature = $feature)]
        pub(super) fn $function(
            url: &str,
            bucket: &str,
            prefix: &str,
            options: &ObjectsOptions,
        ) -> Result<Arc<dyn ObjectStore>, Error> {
            use object_store::$module::{$builder, $key};
            super::install_crypto();
            let mut builder = $builder::new();
            for (name, value) in &options.variables {
                let key = name.starts_with($variables).then(|| name.to_ascii_lowercase().parse().ok());
                if let Some(key) = key.flatten() {
                    builder = builder.with_config(key, value);
                }
            }
            for (key, value) in super::client_settings(options, false) {
                builder = builder.with_config($key::Client(key), value);
            }
            let built = builder.$bucket(bucket).with_retry(super::retry(options)).build();
            let remedy = concat!("look at the variables ", $variables, "…");
            let store = built.map_err(|error| super::refused(url, error.to_string(), remedy))?;
            Ok(super::below(store, prefix))
        }

        #[cfg(not(feature = $feature))]
        pub(super) fn $function(
            url: &str,
            _: &str,
            _: &str,
            _: &ObjectsOptions,
        ) -> Result<Arc<dyn ObjectStore>, Error> {
            let problem = concat!("this program was built without ", $name);
            let remedy = concat!("build it with `cargo build --release --features ", $feature, "`");
            Err(super::refused(url, problem, remedy))
        }
    };
}

cloud!(
    google,
    "Google Cloud Storage",
    "gcp",
    gcp,
    GoogleCloudStorageBuilder,
    with_bucket_name,
    GoogleConfigKey,
    "GOOGLE_"
);
cloud!(
    azure,
    "Azure Blob Storage",
    "azure",
    azure,
    MicrosoftAzureBuilder,
    with_container_name,
    AzureConfigKey,
    "AZURE_"
);
