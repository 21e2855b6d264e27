//! The command line: global options and the list of verbs.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::failure::EXIT_CODES;
use crate::out::ColorChoice;
use crate::remote::Server;
use crate::verbs::{
    build, cache, cascade, cleanup, completions, config, copy, corpus, demo, doctor, explain, get, health,
    list, log, plan, plugin, policy, save, search, serve, token, verify, why,
};

const AFTER_HELP: &str = "Resources are named TYPE/ID or NAMESPACE:TYPE/ID, e.g. literature/walden, corpus/thoreau.
Configuration: flags over FLORET_* variables (FLORET_CACHE__MEMORY_BYTES_MAX) over DATA/config.toml over defaults;
`floret config show` prints what is in force, and why. Start with `floret demo`.";

/// Keeps language data and search indexes as versioned, content-addressed data, built by WebAssembly plugins.
#[derive(Debug, Parser)]
#[command(name = "floret", version, after_help = AFTER_HELP, after_long_help = format!("{AFTER_HELP}\n\n{EXIT_CODES}"))]
#[command(max_term_width = 110, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Options that every verb takes.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Global {
    /// Data folder [default: the platform's folder for application data].
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub data: Option<PathBuf>,
    /// Configuration file [default: DATA/config.toml].
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// Where versions are kept: a MongoDB URI, e.g. mongodb://host/floret?replicaSet=rs0 [default: embedded in DATA].
    #[arg(long, global = true, value_name = "URI", help_heading = "Global options")]
    pub catalog: Option<String>,
    /// Where large contents are kept: s3://BUCKET/PREFIX or file:///FOLDER [default: DATA/blobs].
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    pub blobs: Option<String>,
    #[command(flatten)]
    pub remote: Server,
    /// Write one JSON document (errors too, on standard error).
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// When to colour.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Global options")]
    pub color: ColorChoice,
    /// Say nothing but results and errors.
    #[arg(long, short, global = true, conflicts_with = "verbose", help_heading = "Global options")]
    pub quiet: bool,
    /// Log more: -v info, -vv debug, -vvv trace.
    #[arg(long, short, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Demo(demo::Args),
    Save(Box<save::Args>),
    Get(get::Args),
    Log(log::Args),
    List(list::Args),
    #[command(subcommand)]
    Corpus(corpus::Verb),
    Build(build::Args),
    Plan(plan::Args),
    Cascade(cascade::Args),
    Why(why::Args),
    Search(search::Args),
    #[command(subcommand)]
    Plugin(plugin::Verb),
    #[command(subcommand)]
    Policy(policy::Verb),
    Serve(serve::Args),
    #[command(subcommand)]
    Token(token::Verb),
    #[command(subcommand)]
    Cache(cache::Verb),
    Cleanup(cleanup::Args),
    Verify(verify::Args),
    Copy(copy::Args),
    Doctor(doctor::Args),
    Health(health::Args),
    Explain(explain::Args),
    #[command(subcommand)]
    Config(config::Verb),
    Completions(completions::Args),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Every verb's help, in one text, as `help.txt` keeps it. What every verb repeats is left out but at the top.
    fn help(command: &mut clap::Command, path: &str, into: &mut String) {
        let top = path.is_empty();
        let path = format!("{path} {}", command.get_name()).trim().to_owned();
        let rendered = command.clone().term_width(100).render_long_help().to_string();
        let rule = "=".repeat(path.len());
        into.push_str(&format!("{path}\n{rule}\n"));
        let mut repeated = false;
        for line in rendered.lines().map(str::trim_end) {
            if !line.is_empty() && !line.starts_with(' ') {
                repeated = line == "Global options:" && !top;
            }
            if !repeated {
                into.push_str(line);
                into.push('\n');
            }
        }
        into.push('\n');
        for verb in command.get_subcommands_mut() {
            help(verb, &path, into);
        }
    }

    #[test]
    fn the_help_is_as_it_was() {
        let mut command = Cli::command();
        command.build();
        let mut text = String::new();
        help(&mut command, "", &mut text);
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/help.txt");
        if std::env::var_os("FLORET_TEST_UPDATE").is_some() {
            std::fs::write(golden, &text).expect("help.txt can be written");
        }
        let kept = std::fs::read_to_string(golden).unwrap_or_default();
        assert!(
            kept == text,
            "the help differs from host/cli/help.txt; FLORET_TEST_UPDATE=1 writes it anew:\n{text}"
        );
    }
}
