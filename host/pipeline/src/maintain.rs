//! Seeing that an installation answers and is sound.

use floret_model::ResourceType;
use floret_store::{VerifyOptions, VerifyReport, check_objects};

use crate::plugins::{POLICY_BINDING, plugin_key};
use crate::{Error, Floret};

impl Floret {
    /// See that catalog and object store answer. Only the latter is given up, after 10 s.
    ///
    /// # Errors
    /// The first that does not.
    pub async fn check_ready(&self) -> Result<(), Error> {
        self.head(&plugin_key(ResourceType::binding(), POLICY_BINDING)?).await?;
        let objects = self.blobs.objects();
        Ok(check_objects(&**objects, &objects.to_string()).await?)
    }

    /// Check every invariant of the store.
    ///
    /// # Errors
    /// A store that cannot be read at all; what is wrong with it is in the report.
    pub async fn verify(&self, options: VerifyOptions) -> Result<VerifyReport, Error> {
        Ok(floret_store::verify(&*self.catalog, &self.blobs, options).await?)
    }
}
