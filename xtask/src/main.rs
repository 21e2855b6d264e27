//! Chores of this repository: `cargo xtask <verb>`.

mod apt;
mod bench;
mod browser;
mod cargo;
mod deploy;
mod plugins;
mod promises;
mod reference;
mod servers;
mod test;
mod toolchains;
mod venv;
mod wit;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of this repository")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the benchmarks and print their tables.
    Bench(bench::Options),
    /// Check the deployment files with the programs that read them.
    Deploy,
    /// Build the guest components into plugins/dist and tests/guests/dist, or check them.
    Plugins(plugins::Options),
    /// Map each promise to the tests that show it kept.
    Promises(promises::Options),
    /// Write docs/contracts.md from the comments in wit/, or check it.
    Reference(reference::Options),
    /// Install the servers that the tests start, into target/venv.
    Servers,
    /// Everything that is checked before a change lands.
    Test,
    /// Install what the tests of plugins in other languages build with.
    Toolchains,
    /// Check that published contracts stay as they are and new ones only add.
    Wit(wit::Options),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().verb {
        Verb::Bench(options) => bench::run(&options),
        Verb::Deploy => deploy::run(),
        Verb::Plugins(options) => plugins::run(&options),
        Verb::Promises(options) => promises::run(&options),
        Verb::Reference(options) => reference::run(&options),
        Verb::Servers => servers::run(),
        Verb::Test => test::run(),
        Verb::Toolchains => toolchains::run(),
        Verb::Wit(options) => wit::run(&options),
    }
}
