//! Tokens that `floret serve` asks for: `DATA/tokens.json`, or what `serve.tokens` names.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Subcommand;
use floret_model::{Namespace, TimestampMs};
use floret_server::{NewToken, Scope, Token, TokenFile};
use serde_json::{Value, json};

use crate::config::Settings;
use crate::failure::Failure;
use crate::given;
use crate::out::{Cell, Table};
use crate::run::Context;

/// Make, list and revoke the tokens that `floret serve` asks for.
///
/// As soon as there is one, nobody comes in without. A server that runs follows within a second.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Create(Create),
    List(List),
    Revoke(Revoke),
}

/// Make a token. It is printed once, and kept as a digest only.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  floret token create ada --scope write --expires 30days
  floret token create reader --scope read --namespace papers")]
pub(crate) struct Create {
    /// Whose it is, or what for.
    name: String,
    /// What it is good for; each includes read, admin includes all.
    #[arg(long = "scope", value_name = "read|write|plugins|admin", required = true)]
    scopes: Vec<Scope>,
    /// What it is good in; again for more than one [default: all namespaces].
    #[arg(long = "namespace", value_name = "NAMESPACE")]
    namespaces: Vec<Namespace>,
    /// How long it is good, e.g. 30days [default: until it is revoked].
    #[arg(long, value_name = "DURATION", value_parser = given::duration_ms)]
    expires: Option<u64>,
}

/// List the tokens, those that are not good any more too.
#[derive(Debug, clap::Args)]
pub(crate) struct List {}

/// Revoke a token.
#[derive(Debug, clap::Args)]
pub(crate) struct Revoke {
    /// Its id, as `token list` shows it.
    id: String,
}

pub(crate) fn run(verb: Verb, context: &mut Context) -> Result<()> {
    let file = TokenFile::at(path(&context.settings));
    let refused = |problem: String| anyhow!(Failure::Configuration(problem));
    match verb {
        Verb::Create(args) => {
            let new = NewToken {
                name: args.name,
                scopes: args.scopes.into_iter().collect(),
                namespaces: args.namespaces.into_iter().collect(),
                expires_at: args.expires.map(|ms| now().plus_ms(ms)),
            };
            crate::open::make_private(&context.settings.data)?;
            let (text, token) = file.create(new).map_err(refused)?;
            context.out.note("this is the only time that the token is shown");
            let mut document = document(&token);
            document["token"] = json!(text);
            context.out.show(&document, |out| out.line(&text))
        }
        Verb::List(_) => {
            let tokens = file.read().map_err(refused)?.unwrap_or_default();
            let documents: Vec<Value> = tokens.iter().map(document).collect();
            context.out.show(&documents, |out| out.table(&table(&tokens)))
        }
        Verb::Revoke(args) => {
            let token = file.revoke(&args.id).map_err(refused)?;
            context.out.show(&document(&token), |out| {
                out.fact(&format!("revoked {} ({})", token.id, token.name), &["revoked", &token.id])
            })
        }
    }
}

/// Where the tokens of an installation are.
pub(super) fn path(settings: &Settings) -> PathBuf {
    settings.config.serve.tokens.clone().unwrap_or_else(|| settings.data.join("tokens.json"))
}

fn now() -> TimestampMs {
    TimestampMs(jiff::Timestamp::now().as_millisecond())
}

fn scopes(token: &Token) -> String {
    token.scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn namespaces(token: &Token) -> Cell {
    let names: Vec<&str> = token.namespaces.iter().map(Namespace::as_str).collect();
    if names.is_empty() { Cell::text("all") } else { Cell::text(names.join(",")) }
}

fn document(token: &Token) -> Value {
    let text = |at: Option<TimestampMs>| at.map(|at| at.to_string());
    json!({
        "id": token.id,
        "name": token.name,
        "scopes": token.scopes,
        "namespaces": token.namespaces,
        "created_at": token.created_at.to_string(),
        "expires_at": text(token.expires_at),
        "revoked_at": text(token.revoked_at),
    })
}

fn table(tokens: &[Token]) -> Table {
    let mut table = Table::new(&["id", "name", "scopes", "namespaces", "created", "expires", "revoked"]);
    let at = |at: Option<TimestampMs>| at.map_or_else(Cell::none, Cell::text);
    for token in tokens {
        table.row(vec![
            Cell::text(&token.id),
            Cell::text(&token.name),
            Cell::text(scopes(token)),
            namespaces(token),
            Cell::text(token.created_at),
            at(token.expires_at),
            at(token.revoked_at),
        ]);
    }
    table
}
