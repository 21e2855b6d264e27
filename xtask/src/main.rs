//! Chores of this repository: `cargo xtask <verb>`.

mod plugins;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of this repository")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Build the guest components into plugins/dist and tests/guests/dist, or check them.
    Plugins(plugins::Options),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().verb {
        Verb::Plugins(options) => plugins::run(&options),
    }
}
