//! The contract `floret:corpus`: its trait, and the reader, merger and writer of the corpus format.
//!
//! ```text
//! corpus = *line
//! line   = word %x09 count %x0A        ; tab, line feed
//! word   = 1*char                      ; UTF-8 without tab, line feed, carriage return; 1 to 1,024 bytes
//! count  = %x31-39 *%x30-39            ; decimal, at least 1, below 2^64, no leading zero
//! ```
//!
//! Lines are sorted by the bytes of their words; each word stands once.

mod merge;
mod reader;
mod writer;

pub use merge::CorpusMerge;
pub use reader::CorpusReader;
pub use writer::CorpusWriter;

pub use crate::bindings::corpus::exports::floret::corpus::builder::{CorpusStatistics, TextStatistics};

use crate::bindings::corpus::exports::floret::corpus::builder as contract;
use crate::bindings::io as host;
use crate::{Description, Error, Input, Output, io};

/// Media type of the corpus format.
pub const MEDIA_TYPE: &str = "text/vnd.floret.corpus; version=1";

/// Longest word of a corpus, in bytes.
pub const WORD_BYTES_MAX: usize = 1024;

/// A corpus builder: documents in, a sorted list of words with their counts out.
pub trait CorpusBuilder {
    /// What this component is. Equal on every call.
    fn describe() -> Description;

    /// Write the corpus of all documents. See `wit/corpus/corpus.wit`.
    ///
    /// # Errors
    /// `invalid-input` for bytes that are not what the builder reads; `invalid-config`.
    fn build(documents: &[Input], config: &str, out: &mut Output) -> Result<CorpusStatistics, Error>;

    /// Write the union of corpora, counts summed. The default streams, in memory that does not grow with the
    /// corpora.
    ///
    /// # Errors
    /// `invalid-input` naming the corpus and the line.
    fn merge(corpora: &[Input], out: &mut Output) -> Result<CorpusStatistics, Error> {
        let mut merged = CorpusMerge::new(corpora)?;
        let mut corpus = CorpusWriter::new(out);
        while let Some((word, count)) = merged.next()? {
            corpus.write_sorted(word, count);
        }
        Ok(corpus.statistics())
    }

    /// The figures of one text.
    ///
    /// # Errors
    /// As `build`.
    fn analyze(document: &Input, config: &str) -> Result<TextStatistics, Error>;
}

/// Carries a [`CorpusBuilder`] over the component boundary. Used by [`export_corpus!`](crate::export_corpus).
#[doc(hidden)]
pub struct Adapter<T>(std::marker::PhantomData<T>);

impl<T: CorpusBuilder> contract::Guest for Adapter<T> {
    fn describe() -> Description {
        crate::install_panic_hook();
        T::describe()
    }

    fn build(
        documents: Vec<host::Input>,
        config: String,
        out: host::Sink,
    ) -> Result<CorpusStatistics, Error> {
        io::job(out, |out| T::build(&io::inputs(documents), &config, out))
    }

    fn merge(corpora: Vec<host::Input>, out: host::Sink) -> Result<CorpusStatistics, Error> {
        io::job(out, |out| T::merge(&io::inputs(corpora), out))
    }

    fn analyze(document: host::Input, config: String) -> Result<TextStatistics, Error> {
        crate::install_panic_hook();
        T::analyze(&Input::from_host(document), &config)
    }
}

/// Export a type that implements [`CorpusBuilder`] as the component. Does nothing on other targets than wasm.
#[macro_export]
macro_rules! export_corpus {
    ($component:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type FloretComponent = $crate::corpus::Adapter<$component>;
    $crate::bindings::corpus::export!(FloretComponent with_types_in $crate::bindings::corpus);
        };
    };
}
