//! What handlers are given of the server: each takes what it needs, as its state.

use std::sync::Arc;

use axum::extract::FromRef;
use floret_pipeline::Floret;

use crate::console::Console;
use crate::jobs::Jobs;
use crate::meters::Exposition;
use crate::upkeep::Retention;

/// Cheap to clone, which is done for every request.
#[derive(Clone)]
pub(crate) struct AppState(Arc<Parts>);

/// All that there is to be given.
pub(crate) struct Parts {
    pub host: Arc<Floret>,
    pub jobs: Arc<Jobs>,
    pub console: Arc<Console>,
    pub retention: Arc<Retention>,
    pub metrics: Option<Exposition>,
}

impl From<Parts> for AppState {
    fn from(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

macro_rules! given {
    ($($part:ident: $type:ty),*) => {
        $(impl FromRef<AppState> for $type {
            fn from_ref(state: &AppState) -> Self {
                state.0.$part.clone()
            }
        })*
    };
}

given!(
    host: Arc<Floret>,
    jobs: Arc<Jobs>,
    console: Arc<Console>,
    retention: Arc<Retention>,
    metrics: Option<Exposition>
);
