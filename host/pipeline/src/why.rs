//! Why a resource was rebuilt, or was not, and whether it would be now.

use floret_model::{
    BuildRecord, CascadeReport, Codec, Digest, PolicyDecision, ResourceKey, StepReport, VersionRef,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, Floret, Selector};

/// Cascades that `why` looks back on.
const LOOK_BACK: usize = 10;

/// An account of a resource's latest build.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Why {
    /// The latest version.
    pub version: VersionRef,
    /// How it was built; absent for what people save.
    pub build: Option<BuildRecord>,
    /// How its bytes are stored.
    pub stored_as: Codec,
    /// Which policy chose that, what it was asked and what it said; absent for what was stored before, and for components
    /// and bindings.
    pub policy: Option<PolicyDecision>,
    /// Its step in the last cascades that had one, newest first, each with the cascade's id.
    pub steps: Vec<(String, StepReport)>,
    /// Inputs whose latest version is not the one that it was built from.
    pub newer_inputs: Vec<NewerInput>,
}

/// An input that has moved on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct NewerInput {
    /// What it is to the build.
    pub role: String,
    /// The version that was used.
    pub built_from: VersionRef,
    /// The latest version.
    pub latest: VersionRef,
    /// Whether their contents differ: if not, a cascade would cut it off.
    pub content_differs: bool,
}

impl Floret {
    /// Explain a resource's latest version.
    ///
    /// # Errors
    /// A resource that is not there.
    pub async fn why(&self, key: &ResourceKey) -> Result<Why, Error> {
        let version = self.resolve(key, &Selector::Latest).await?;
        let reports = self.catalog.cascades_of(key, LOOK_BACK).await?;
        let step = |report: CascadeReport| {
            let step = report.steps.into_iter().find(|step| step.key == *key);
            step.map(|step| (report.id, step))
        };
        let mut newer_inputs = Vec::new();
        for dependency in &version.dependencies {
            let Some(latest) = self.head(&dependency.on.key).await? else { continue };
            if latest.seq == dependency.on.seq {
                continue;
            }
            let used = self.catalog.version(&dependency.on).await?;
            let used: Option<Digest> = used.map(|used| used.data_hash);
            newer_inputs.push(NewerInput {
                role: dependency.role.clone(),
                built_from: dependency.on.clone(),
                latest: latest.reference(),
                content_differs: used != Some(latest.data_hash),
            });
        }
        let location = &version.content_location;
        Ok(Why {
            version: version.reference(),
            build: version.build.clone(),
            stored_as: Codec { compression: location.compression, level: location.compression_level },
            policy: version.policy.clone(),
            steps: reports.into_iter().filter_map(step).collect(),
            newer_inputs,
        })
    }
}
