//! Chores of this repository: `cargo xtask <verb>`.

mod apt;
mod bench;
mod cargo;
mod deploy;
mod plugins;
mod promises;
mod servers;
mod test;
mod toolchains;
mod venv;

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
    /// Install the servers that the tests start, into target/venv.
    Servers,
    /// Everything that is checked before a change lands.
    Test,
    /// Install what the tests of plugins in other languages build with.
    Toolchains,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().verb {
        Verb::Bench(options) => bench::run(&options),
        Verb::Deploy => deploy::run(),
        Verb::Plugins(options) => plugins::run(&options),
        Verb::Promises(options) => promises::run(&options),
        Verb::Servers => servers::run(),
        Verb::Test => test::run(),
        Verb::Toolchains => toolchains::run(),
    }
}
