//! Loads WebAssembly components and runs them: sandboxed, bounded, repeatable.
//!
//! The only crate that names wasmtime. It knows the contracts in `wit/` and nothing of versions, stores, caches
//! or HTTP: bytes and plain values in, bytes and plain values out. Entry point: [`Runtime::load`] makes a
//! [`Component`], whose methods are the functions of its contract.
//!
//! There are two engines. Builders run on the deterministic one, whose [`Runtime::profile`] is part of every
//! recipe; searches and policies on a faster one, since they name nothing. Every job has a store of its own
//! with [`Limits`]; a guest that reaches one is stopped, and what was stopped is an [`Error`] and never a result.
//! Guests log to `tracing` with target `floret::guest`; what a builder logs is told to whoever is [`listening`], too.
//!
//! What is deliberately absent: async guests, threads, clocks, randomness, files and network for guests (a guest
//! that was built for WASI finds an empty world instead: `wasi.rs`); a store that outlives its job, except for
//! searchers, which stand for an opened index.

mod analyses;
mod answers;
mod bounds;
mod bulk;
mod compiled;
mod component;
pub mod conformance;
mod contract;
mod corpus_check;
mod custom;
mod decide;
mod describe;
mod engine;
mod error;
mod guest_log;
mod input;
mod instance;
mod job;
mod limits;
mod outline;
mod pace;
mod parts;
mod retain;
mod runtime;
mod searcher;
mod sink;
mod stopped;
mod turns;
mod wasi;

pub use bounds::Bounds;
pub use component::{Built, Component, IndexStatistics};
pub use contract::{
    CORPUS_MEDIA_TYPE, Choice, Contract, ContractKind, CorpusStatistics, Description, HITS_MAX, Hit, Mode,
    PARTS_MAX, PolicyProfile, Query, RetentionSubject, RetentionVerdict, StatisticValue, TextStatistics,
    VersionFacts, WORD_BYTES_MAX,
};
pub use corpus_check::check_corpus;
pub use custom::{Called, CustomComponent, CustomContract, Hosted};
pub use error::{Error, Site, Traces, TrapKind};
pub use guest_log::{LogLevel, LogListener, listening};
pub use input::{Input, InputBytes};
pub use limits::{LimitKind, Limits};
pub use runtime::{Runtime, RuntimeConfig, supported_contracts};
pub use searcher::Searcher;
pub use turns::{Turn, Turns};
/// The engine, for `bindgen!` over a contract of one's own: see [`CustomContract`]. Its version is part of the profile, and
/// changes with this crate's.
pub use wasmtime;
