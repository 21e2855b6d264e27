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
mod verbs;
mod work;

fn main() -> std::process::ExitCode {
    run::main()
}
