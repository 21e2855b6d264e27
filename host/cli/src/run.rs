//! From the command line to an exit code.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use clap::error::ErrorKind;
use floret_pipeline::Floret;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::{Cli, Global, Verb};
use crate::config::{Flags, Settings, load, process_env};
use crate::failure::{Exit, classify, is_broken_pipe};
use crate::out::{ColorChoice, Out, print_error};
use crate::remote::{Client, Home};
use crate::traces::Traces;
use crate::verbs::{self, cache};
use crate::work::Bars;

/// What a verb works with.
pub(crate) struct Context {
    pub settings: Settings,
    pub out: Out,
    pub bars: Bars,
    pub global: Global,
    /// Where spans go, of a server that has them collected.
    pub traces: Option<Traces>,
}

impl Context {
    /// Do the work at the server that was named, or else with the host of the data folder.
    pub(crate) async fn with_home<T>(
        &mut self,
        work: impl AsyncFnOnce(Home<'_>, &mut Out, Bars) -> Result<T>,
    ) -> Result<T> {
        match Client::of_named(&self.global.remote)? {
            Some(client) => work(Home::There(&client), &mut self.out, self.bars).await,
            None => self.with_host(async |host, out, bars| work(Home::Here(host), out, bars).await).await,
        }
    }

    /// Open the host, do the work, and close the host whatever came of it.
    pub(crate) async fn with_host<T>(
        &mut self,
        work: impl AsyncFnOnce(&Floret, &mut Out, Bars) -> Result<T>,
    ) -> Result<T> {
        if !self.settings.data.exists() {
            self.out.note(&format!("a new data folder is made: {}", self.settings.data.display()));
        }
        let bar = self.bars.bar(None, "opening");
        let opened = crate::open::open(&self.settings).await;
        bar.finish_and_clear();
        let host = opened?;
        let done = work(&host, &mut self.out, self.bars).await;
        let closed = host.close().await;
        let done = done?;
        closed?;
        Ok(done)
    }
}

/// Verbs that a server can be asked for; every other one works on a data folder, on projects, or on nothing.
fn is_remote(verb: &Verb) -> bool {
    matches!(
        verb,
        Verb::Save(_)
            | Verb::Get(_)
            | Verb::Log(_)
            | Verb::List(_)
            | Verb::Corpus(_)
            | Verb::Build(_)
            | Verb::Plan(_)
            | Verb::Cascade(_)
            | Verb::Why(_)
            | Verb::Search(_)
            | Verb::Policy(_)
            | Verb::Cache(_)
            | Verb::Cleanup(_)
            | Verb::Verify(_)
            | Verb::Completions(_)
    ) || matches!(verb, Verb::Plugin(verb) if verb.is_of_a_home())
}

/// Everything.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misunderstood(&error),
    };
    let (json, color) = (cli.global.json, cli.global.color);
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => failed(&error, json, color),
    }
}

fn run(cli: Cli) -> Result<()> {
    let log = match cli.global.verbose {
        0 => None,
        // The engines below say much at these levels that is of use only to those who mend them.
        1 => Some("info,fjall=warn,lsm_tree=warn"),
        2 => Some("debug,fjall=info,lsm_tree=info,cranelift_codegen=info,wasmtime_internal_cranelift=info"),
        _ => Some("trace"),
    };
    let flags = Flags {
        data: cli.global.data.clone(),
        config: cli.global.config.clone(),
        catalog: cli.global.catalog.clone(),
        blobs: cli.global.blobs.clone(),
        log: log.map(str::to_owned),
    };
    let mut out = Out::new(cli.global.json, cli.global.color, cli.global.quiet);
    // Needs no configuration, so that what is wrong with one can be explained.
    if let Verb::Explain(args) = &cli.verb {
        return verbs::explain::run(args, &mut out);
    }
    if cli.global.remote.is_named() && !is_remote(&cli.verb) {
        let message = "this verb works on a data folder and cannot be asked of a server: leave out --server (or the variable FLORET_SERVER), or run it where the folder is";
        return Err(crate::given::usage(message));
    }
    let settings = match load(&flags, &process_env()) {
        Ok(settings) => settings,
        Err(error) if matches!(cli.verb, Verb::Doctor(_)) => {
            return verbs::doctor::unconfigured(&error, &mut out);
        }
        Err(error) => return Err(error),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let traces = match &cli.verb {
        Verb::Serve(_) => Traces::start(&settings.config.serve, runtime.handle())?,
        _ => None,
    };
    start_log(&settings.config.log, traces.as_ref())?;
    let bars = Bars { quiet: cli.global.quiet || cli.global.json };
    let mut context = Context { settings, out, bars, global: cli.global, traces };
    let done = runtime.block_on(dispatch(cli.verb, &mut context));
    if let Some(traces) = context.traces {
        traces.end();
    }
    done
}

async fn dispatch(verb: Verb, context: &mut Context) -> Result<()> {
    match verb {
        Verb::Demo(args) => verbs::demo::run(args, context).await,
        Verb::Save(args) => verbs::save::run(*args, context).await,
        Verb::Get(args) => verbs::get::run(args, context).await,
        Verb::Serve(args) => verbs::serve::run(args, context).await,
        Verb::Token(verb) => verbs::token::run(verb, context),
        Verb::Log(args) => verbs::log::run(args, context).await,
        Verb::List(args) => verbs::list::run(args, context).await,
        Verb::Corpus(verb) => verbs::corpus::run(verb, context).await,
        Verb::Build(args) => verbs::build::run(args, context).await,
        Verb::Plan(args) => verbs::plan::run(args, context).await,
        Verb::Cascade(args) => verbs::cascade::run(args, context).await,
        Verb::Why(args) => verbs::why::run(args, context).await,
        Verb::Search(args) => verbs::search::run(args, context).await,
        Verb::Plugin(verb) => verbs::plugin::run(verb, context).await,
        Verb::Policy(verb) => verbs::policy::run(verb, context).await,
        Verb::Cache(verb) => cache::run(verb, context).await,
        Verb::Cleanup(args) => verbs::cleanup::run(args, context).await,
        Verb::Copy(args) => verbs::copy::run(args, context).await,
        Verb::Verify(args) => verbs::verify::run(args, context).await,
        Verb::Doctor(args) => verbs::doctor::run(args, context).await,
        Verb::Explain(args) => verbs::explain::run(&args, &mut context.out),
        Verb::Health(args) => verbs::health::run(&args, context).await,
        Verb::Config(verb) => verbs::config::run(&verb, context),
        Verb::Completions(args) => verbs::completions::run(&args, context),
    }
}

/// Logs go to standard error, for people as lines; spans to who collects them, if somebody does.
fn start_log(filter: &str, traces: Option<&Traces>) -> Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter).map_err(|error| {
        anyhow::anyhow!(crate::failure::Failure::Configuration(format!(
            "log: {filter:?} is not a filter: {error}"
        )))
    })?;
    // Only a second subscriber would fail, and there is none.
    let _ = match traces {
        None => tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init(),
        Some(traces) => {
            let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(filter);
            tracing_subscriber::registry().with(lines).with(traces.layer()).try_init().map_err(Into::into)
        }
    };
    Ok(())
}

/// A command line that clap refuses, or a request for help.
fn misunderstood(error: &clap::Error) -> ExitCode {
    let help = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let json = std::env::args_os().any(|arg| arg == "--json");
    if json && !help {
        let message = error.render().to_string();
        let message = message.trim().trim_start_matches("error: ");
        print_error("usage", message, true, ColorChoice::Never);
        return ExitCode::from(Exit::Invalid as u8);
    }
    // Help that cannot be written is lost on nobody.
    let _ = error.print();
    ExitCode::from(if help { 0 } else { Exit::Invalid as u8 })
}

fn failed(error: &anyhow::Error, json: bool, color: ColorChoice) -> ExitCode {
    let (code, exit) = classify(error);
    print_error(code, &error.to_string(), json, color);
    ExitCode::from(exit as u8)
}
