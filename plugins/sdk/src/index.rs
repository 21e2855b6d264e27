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

    /// Write the index of all corpora. See `wit/index-0.2/index.wit`.
    ///
    /// # Errors
    /// `invalid-input` naming the corpus and the line; `invalid-config`.
    fn build(corpora: &[Input], config: &str, out: &mut Output) -> Result<Vec<Statistic>, Error>;

    /// Into how many parts this build is split, 1 to 1,024: the host builds them at the same time. By default 1,
    /// which is [`build`](Self::build). A component that answers more has the next two functions as well.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    fn parts(_corpora: &[Input], _config: &str) -> Result<u32, Error> {
        Ok(1)
    }

    /// Write part `part` (0 to `parts - 1`) of `parts`, in a format that [`merge_parts`](Self::merge_parts) reads.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    fn build_part(
        _corpora: &[Input],
        _config: &str,
        _part: u32,
        _parts: u32,
        _out: &mut Output,
    ) -> Result<(), Error> {
        Err(never_splits())
    }

    /// Write the index of all parts, given in their order: the bytes and the statistics of [`build`](Self::build).
    ///
    /// # Errors
    /// `invalid-input` for anything but all parts of this very build; as [`build`](Self::build).
    fn merge_parts(
        _parts: &[Input],
        _corpora: &[Input],
        _config: &str,
        _out: &mut Output,
    ) -> Result<Vec<Statistic>, Error> {
        Err(never_splits())
    }
}

fn never_splits() -> Error {
    Error::Unsupported("this index is built as a whole: its number of parts is always 1".into())
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

    fn parts(corpora: Vec<host::Input>, config: String) -> Result<u32, Error> {
        crate::install_panic_hook();
        T::parts(&io::inputs(corpora), &config)
    }

    fn build_part(
        corpora: Vec<host::Input>,
        config: String,
        part: u32,
        parts: u32,
        out: host::Sink,
    ) -> Result<(), Error> {
        io::job(out, |out| T::build_part(&io::inputs(corpora), &config, part, parts, out))
    }

    fn merge_parts(
        parts: Vec<host::Input>,
        corpora: Vec<host::Input>,
        config: String,
        out: host::Sink,
    ) -> Result<Vec<Statistic>, Error> {
        io::job(out, |out| T::merge_parts(&io::inputs(parts), &io::inputs(corpora), &config, out))
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
