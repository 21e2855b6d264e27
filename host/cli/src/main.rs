//! The `floret` binary: verbs, configuration and wiring. Everything that Floret does is in `floret-pipeline`.

mod cli;
mod config;
mod demo;
mod failure;
mod given;
mod open;
mod out;
mod recorder;
mod remote;
mod report;
mod run;
mod source;
mod traces;
mod verbs;
mod work;

/// Answers to requests are made of many small pieces, freed on other threads than those that asked for them: the system's
/// allocator takes a fifth of such a request's time. Without huge pages, which take memory that nobody asked for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    run::main()
}
