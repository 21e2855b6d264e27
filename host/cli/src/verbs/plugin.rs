//! Components: installing them, binding them to what they build, looking at them. One file for each verb.

mod bind;
mod build;
mod inspect;
mod install;
mod limit;
mod list;
mod new;
mod project;
mod release;
mod remove;
mod reset;
mod rollback;
mod swap;
mod templates;
mod test;
mod toolchain;
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
    Reset(reset::Reset),
    Release(release::Args),
    New(new::Args),
    Build(build::Args),
    Test(test::Args),
}

impl Verb {
    /// Whether it is about components of a home, and not about a project.
    pub(crate) fn is_of_a_home(&self) -> bool {
        !matches!(self, Self::New(_) | Self::Build(_) | Self::Test(_))
    }
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
        Verb::Reset(args) => reset::run(args, context).await,
        Verb::Release(args) => release::run(args, context).await,
        Verb::New(args) => new::run(args, context),
        Verb::Build(args) => build::run(args, context).await,
        Verb::Test(args) => test::run(args, context).await,
    }
}
