use anyhow::{Result, anyhow};
use floret_pipeline::{Error, Explanation, explain, explanations};
use serde_json::json;

use crate::out::Out;

/// Say what an error code means and what to do about it; without a code, list them all.
///
/// Every error has one: in brackets behind its message, `error.code` with --json, `code` over HTTP.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: floret explain plugin_limit")]
pub(crate) struct Args {
    /// The code, with or without its brackets.
    code: Option<String>,
}

pub(crate) fn run(args: &Args, out: &mut Out) -> Result<()> {
    let Some(code) = &args.code else {
        let all: Vec<_> = explanations().map(document).collect();
        let codes: Vec<_> = explanations().map(|entry| entry.code).collect();
        return out.show(&json!(all), |out| out.line(&codes.join("\n")));
    };
    let code = code.trim_matches(['[', ']']);
    let entry = explain(code).ok_or_else(|| {
        let hint = Some("`floret explain` lists them".to_owned());
        anyhow!(Error::NotFound { what: format!("an error with the code {code:?}"), hint })
    })?;
    out.show(&document(entry), |out| out.line(&format!("{}\n\n{}", entry.code, entry.text.replace("**", ""))))
}

fn document(entry: Explanation) -> serde_json::Value {
    json!({"code": entry.code, "exit": entry.exit, "status": entry.status, "text": entry.text})
}
