use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::run::Context;

/// Tell the whole story on real texts, in less than a minute: build, search, change, rebuild, swap a policy, verify.
///
/// Without --data it uses a temporary folder, which is removed at the end. A second run on the same folder finds nearly
/// everything remembered.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn run(Args {}: Args, context: &mut Context) -> Result<()> {
    let mut temporary = None;
    if context.global.data.is_none() {
        let folder = tempfile::Builder::new().prefix("floret-demo-").tempdir();
        let folder = folder.context("no temporary folder can be made; give one with --data DIR")?;
        context.settings.data = folder.path().join("data");
        std::fs::create_dir(&context.settings.data)?;
        temporary = Some(folder);
    }
    context.out.tell();
    let place = crate::demo::Place { data: context.settings.data.clone(), temporary: temporary.is_some() };
    let started = Instant::now();
    context.with_host(async |host, out, bars| crate::demo::tell(host, out, bars, &place, started).await).await
}
