use std::path::PathBuf;

use anyhow::Result;
use floret_model::Digest;
use floret_pipeline::InstallRequest;

use super::swap::{Swap, plan, tell};
use crate::run::Context;
use crate::source::{self, Source};

/// Install a component, or a new version of one, and rebuild what it builds.
///
/// It is compiled and checked first: nothing is installed that does not load. Where plugins.trusted_keys are configured,
/// it needs a signature by one of them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  floret plugin install trie.wasm
  floret plugin install oci://ghcr.io/acme/trie:1.2.0 --digest sha256:9f86d0…
  floret plugin install oci://ghcr.io/acme/trie@sha256:2c26b4… --signature trie.wasm.minisig
  floret plugin install oci-layout:downloads/trie:1.2.0 --plan")]
pub(crate) struct Install {
    /// A .wasm file, - for standard input, `oci://HOST/REPOSITORY[:TAG][@sha256:MANIFEST]`, or
    /// `oci-layout:FOLDER[:TAG][@sha256:MANIFEST]`.
    #[arg(value_name = "SOURCE", value_parser = source::parse)]
    source: Source,
    /// Install it under another name than it gives itself.
    #[arg(long)]
    name: Option<String>,
    /// What its bytes must have, sha256:HEX; of a manifest in a registry, write @sha256:HEX behind the source.
    #[arg(long, value_name = "DIGEST", value_parser = source::digest)]
    digest: Option<Digest>,
    /// A minisign signature of its bytes; SOURCE.minisig beside a file, unless named.
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    #[command(flatten)]
    swap: Swap,
}

pub(super) async fn run(args: Install, context: &mut Context) -> Result<()> {
    let config = &context.settings.config;
    // Nobody needs a signature that nothing is held against, unless it was named. What a server holds it against is not known.
    let is_needed = context.global.remote.is_named() || !config.plugins.trusted_keys.is_empty();
    let signature = match is_needed || args.signature.is_some() {
        true => args.source.signature(args.signature.as_deref())?,
        false => None,
    };
    let bar = context.bars.bar(None, "fetching");
    let fetched = args.source.fetch(&config.plugins, config.limits.component_bytes_max.0).await;
    bar.finish_and_clear();
    let fetched = fetched?;
    let request = InstallRequest {
        name: args.name,
        bytes: fetched.bytes,
        digest: args.digest,
        signature,
        source: Some(fetched.source),
    };
    context
        .with_home(async |home, out, bars| {
            let bar = bars.bar(None, "compiling");
            if args.swap.plan {
                let foreseen = home.foresee_install(request).await;
                bar.finish_and_clear();
                return plan(&foreseen?, out);
            }
            let saved = home.plugin_install(request).await;
            bar.finish_and_clear();
            tell(home, &saved?, args.swap, out, bars).await
        })
        .await
}
