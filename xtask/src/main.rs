//! Chores of this repository: `cargo xtask <verb>`.

mod apt;
mod bench;
mod plugins;
mod promises;
mod test;

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
    /// Build the guest components into plugins/dist and tests/guests/dist, or check them.
    Plugins(plugins::Options),
    /// Map each promise to the tests that show it kept.
    Promises(promises::Options),
    /// Everything that is checked before a change lands.
    Test,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().verb {
        Verb::Bench(options) => bench::run(&options),
        Verb::Plugins(options) => plugins::run(&options),
        Verb::Promises(options) => promises::run(&options),
        Verb::Test => test::run(),
    }
}
