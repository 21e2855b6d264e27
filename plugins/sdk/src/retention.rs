//! The interface `retention` of `floret:policy@0.2.0`: which versions of a resource stay.

pub use crate::bindings::retention::exports::floret::policy::retention::{
    Fate, Subject, Verdict, VersionFacts,
};

use serde::de::DeserializeOwned;

use crate::bindings::retention::exports::floret::policy::retention as contract;
use crate::{Description, Error, config};

/// A retention policy.
pub trait RetentionPolicy {
    /// Its configuration, read once for a resource.
    type Config: DeserializeOwned;

    /// What this component is. Equal on every call.
    fn describe() -> Description;

    /// Judge the versions of one resource, newest first: one verdict for each, in the same order.
    ///
    /// # Errors
    /// `invalid-config` for numbers that contradict each other.
    fn keep(of: &Subject, versions: &[VersionFacts], config: &Self::Config) -> Result<Vec<Verdict>, Error>;
}

/// Carries a [`RetentionPolicy`] over the component boundary. Used by
/// [`export_retention!`](crate::export_retention).
#[doc(hidden)]
pub struct Adapter<T>(std::marker::PhantomData<T>);

impl<T: RetentionPolicy> contract::Guest for Adapter<T> {
    fn describe() -> Description {
        crate::install_panic_hook();
        T::describe()
    }

    fn keep(of: Subject, versions: Vec<VersionFacts>, config: String) -> Result<Vec<Verdict>, Error> {
        crate::install_panic_hook();
        T::keep(&of, &versions, &config::parse(&config)?)
    }
}

/// Export a type that implements [`RetentionPolicy`] as the component. Does nothing on other targets than wasm.
#[macro_export]
macro_rules! export_retention {
    ($component:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type FloretComponent = $crate::retention::Adapter<$component>;
    $crate::bindings::retention::export!(FloretComponent with_types_in $crate::bindings::retention);
        };
    };
}
