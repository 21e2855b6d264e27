//! The contract `floret:policy`: small decisions of the host, swapped without recompiling it.

pub use crate::bindings::policy::exports::floret::policy::compression::{Choice, Codec, Profile};

use serde::de::DeserializeOwned;

use crate::bindings::policy::exports::floret::policy::compression as contract;
use crate::{Description, Error, config};

/// A compression policy.
pub trait CompressionPolicy {
    /// Its configuration, read once for a batch.
    type Config: DeserializeOwned;

    /// What this component is. Equal on every call.
    fn describe() -> Description;

    /// Decide for one content.
    ///
    /// # Errors
    /// `invalid-config` for thresholds that contradict each other.
    fn choose(profile: &Profile, config: &Self::Config) -> Result<Choice, Error>;
}

/// Carries a [`CompressionPolicy`] over the component boundary. Used by
/// [`export_policy!`](crate::export_policy).
#[doc(hidden)]
pub struct Adapter<T>(std::marker::PhantomData<T>);

impl<T: CompressionPolicy> contract::Guest for Adapter<T> {
    fn describe() -> Description {
        crate::install_panic_hook();
        T::describe()
    }

    fn choose(profile: Profile, config: String) -> Result<Choice, Error> {
        crate::install_panic_hook();
        T::choose(&profile, &config::parse(&config)?)
    }

    fn choose_many(profiles: Vec<Profile>, config: String) -> Result<Vec<Choice>, Error> {
        crate::install_panic_hook();
        let config = config::parse(&config)?;
        profiles.iter().map(|profile| T::choose(profile, &config)).collect()
    }
}

/// Export a type that implements [`CompressionPolicy`] as the component. Does nothing on other targets than
/// wasm.
#[macro_export]
macro_rules! export_policy {
    ($component:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type FloretComponent = $crate::policy::Adapter<$component>;
    $crate::bindings::policy::export!(FloretComponent with_types_in $crate::bindings::policy);
        };
    };
}
