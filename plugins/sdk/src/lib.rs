//! Write Floret components in Rust.
//!
//! A component implements one contract: [`corpus::CorpusBuilder`], [`index::IndexBuilder`],
//! [`policy::CompressionPolicy`] or [`retention::RetentionPolicy`], and is exported with [`export_corpus!`],
//! [`export_index!`], [`export_policy!`] or [`export_retention!`]. What it reads and writes are [`Input`] and [`Output`]; both have a form in memory, so
//! that the whole of a component is tested natively with `cargo test`.
//!
//! A component is a pure function: the host links nothing but `floret:types`, so there is no clock, no
//! randomness and no file to depend on. What remains for its author is to keep the iteration order of hash
//! maps out of the output.
//!
//! ```
//! use floret_sdk::corpus::{self, CorpusBuilder, CorpusStatistics, CorpusWriter, TextStatistics};
//! use floret_sdk::{Description, Error, Input, Output};
//!
//! /// Counts the lines of its documents.
//! struct Lines;
//!
//! impl CorpusBuilder for Lines {
//!     fn describe() -> Description {
//!         Description {
//!             name: "corpus-lines".into(),
//!             version: env!("CARGO_PKG_VERSION").into(),
//!             summary: "Counts distinct lines".into(),
//!             output_media_type: corpus::MEDIA_TYPE.into(),
//!             config_schema: r#"{"type":"object","additionalProperties":false}"#.into(),
//!         }
//!     }
//!
//!     fn build(documents: &[Input], _: &str, out: &mut Output) -> Result<CorpusStatistics, Error> {
//!         let mut counts = std::collections::BTreeMap::<String, u64>::new(); // sorted, as the format asks
//!         for (index, document) in documents.iter().enumerate() {
//!             for line in document.read_to_string(index)?.lines().filter(|line| !line.contains('\t')) {
//!                 *counts.entry(line.to_owned()).or_default() += u64::from(!line.is_empty());
//!             }
//!         }
//!         let mut corpus = CorpusWriter::new(out);
//!         for (line, count) in counts.iter().filter(|(_, count)| **count > 0) {
//!             corpus.write(line, *count)?;
//!         }
//!         Ok(corpus.statistics())
//!     }
//!
//!     fn analyze(_: &Input, _: &str) -> Result<TextStatistics, Error> {
//!         Err(Error::Unsupported("corpus-lines does not judge texts".into()))
//!     }
//! }
//!
//! floret_sdk::export_corpus!(Lines);
//!
//! let mut out = Output::memory();
//! Lines::build(&[Input::from_bytes("document", "b\na\nb\n")], "{}", &mut out)?;
//! assert_eq!(out.into_bytes(), b"a\t1\nb\t2\n");
//! # Ok::<(), Error>(())
//! ```

#[doc(hidden)]
pub mod bindings;
pub mod config;
pub mod corpus;
pub mod index;
mod io;
pub mod log;
pub mod policy;
pub mod retention;
#[cfg(feature = "text")]
pub mod text;

pub use bindings::types::{Description, Error, Statistic, StatisticValue};
pub use io::{Input, Output, READ_BYTES_MAX};
pub use log::install_panic_hook;

/// The example in plugins/README.md compiles and runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
