//! Components: installing them, binding them to what they build, looking at them. One file for each verb.

mod bind;
mod inspect;
mod install;
mod list;
mod remove;
mod rollback;
mod swap;
mod unbind;

use anyhow::Result;
use clap::Subcommand;

use crate::run::Context;

/// Install components, bind them to what they build, look at them.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Install(install::Install),
    List(list::List),
    Inspect(inspect::Inspect),
    Bind(bind::Bind),
    Unbind(unbind::Unbind),
    Rollback(rollback::Rollback),
    Remove(remove::Remove),
}

pub(crate) async fn run(verb: Verb, context: &mut Context) -> Result<()> {
    match verb {
        Verb::Install(args) => install::run(args, context).await,
        Verb::List(args) => list::run(args, context).await,
        Verb::Inspect(args) => inspect::run(args, context).await,
        Verb::Bind(args) => bind::run(args, context).await,
        Verb::Unbind(args) => unbind::run(args, context).await,
        Verb::Rollback(args) => rollback::run(args, context).await,
        Verb::Remove(args) => remove::run(args, context).await,
    }
}
