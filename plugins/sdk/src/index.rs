//! The contract `floret:index`: corpora in, a search index out, and the searching of it.

pub use crate::bindings::index::exports::floret::index::builder::{FuzzyQuery, Hit, Mode, Query};

use crate::bindings::index::exports::floret::index::builder as contract;
use crate::bindings::io as host;
use crate::{Description, Error, Input, Output, Statistic, io};

/// An index builder.
pub trait IndexBuilder: 'static {
    /// What answers questions about an index that this builder wrote.
    type Searcher: Searcher;

    /// What this component is. Equal on every call.
    fn describe() -> Description;

    /// The modes that its searchers answer; at least one, each once.
    fn modes() -> Vec<Mode>;

    /// Write the index of all corpora. See `wit/index/index.wit`.
    ///
    /// # Errors
    /// `invalid-input` naming the corpus and the line; `invalid-config`.
    fn build(corpora: &[Input], config: &str, out: &mut Output) -> Result<Vec<Statistic>, Error>;
}

/// An opened index.
pub trait Searcher: Sized + 'static {
    /// Open an index.
    ///
    /// # Errors
    /// `invalid-input` for bytes that are not one; never a panic.
    fn open(index: &Input) -> Result<Self, Error>;

    /// The best answers, best first, at most `limit`.
    ///
    /// # Errors
    /// `unsupported` for a mode that [`IndexBuilder::modes`] does not list.
    fn search(&self, query: &Query, limit: u32) -> Result<Vec<Hit>, Error>;
}

/// Carries an [`IndexBuilder`] over the component boundary. Used by [`export_index!`](crate::export_index).
#[doc(hidden)]
pub struct Adapter<T>(std::marker::PhantomData<T>);

/// Carries a [`Searcher`] over the component boundary.
#[doc(hidden)]
pub struct SearcherAdapter<S>(S);

impl<T: IndexBuilder> contract::Guest for Adapter<T> {
    type Searcher = SearcherAdapter<T::Searcher>;

    fn describe() -> Description {
        crate::install_panic_hook();
        T::describe()
    }

    fn modes() -> Vec<Mode> {
        T::modes()
    }

    fn build(corpora: Vec<host::Input>, config: String, out: host::Sink) -> Result<Vec<Statistic>, Error> {
        io::job(out, |out| T::build(&io::inputs(corpora), &config, out))
    }
}

impl<S: Searcher> contract::GuestSearcher for SearcherAdapter<S> {
    fn open(index: host::Input) -> Result<contract::Searcher, Error> {
        crate::install_panic_hook();
        Ok(contract::Searcher::new(Self(S::open(&Input::from_host(index))?)))
    }

    fn search(&self, query: Query, limit: u32) -> Result<Vec<Hit>, Error> {
        self.0.search(&query, limit)
    }
}

/// Export a type that implements [`IndexBuilder`] as the component. Does nothing on other targets than wasm.
#[macro_export]
macro_rules! export_index {
    ($component:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type FloretComponent = $crate::index::Adapter<$component>;
    $crate::bindings::index::export!(FloretComponent with_types_in $crate::bindings::index);
        };
    };
}
