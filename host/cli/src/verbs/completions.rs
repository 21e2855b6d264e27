use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::run::Context;

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: floret completions bash > ~/.local/share/bash-completion/completions/floret"
)]
pub(crate) struct Args {
    /// For which shell.
    shell: Shell,
}

pub(crate) fn run(args: &Args, context: &mut Context) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::cli::Cli::command(), "floret", &mut script);
    context.out.raw(script.as_slice())
}
