//! `cargo xtask test`: everything that is checked before a change lands.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::{apt, cargo, deploy, plugins, promises, reference, servers, toolchains, wit};

/// Tests that ran, over all test binaries.
#[derive(Default)]
struct Tally {
    passed: u64,
    failed: u64,
}

/// Run all checks, cheapest first; stop at the first that fails.
pub fn run() -> Result<()> {
    let started = Instant::now();
    let mut tally = Tally::default();
    step("formatting", || {
        run_cargo(&["fmt", "--all", "--check"])?;
        run_cargo(&["fmt", "--all", "--check", "--manifest-path", "plugins/Cargo.toml"])
    })?;
    step("promises", || promises::run(&promises::Options { check: true }))?;
    step("contracts", || wit::run(&wit::Options { publish: false }))?;
    step("reference of the contracts", || reference::run(&reference::Options { check: true }))?;
    step("lints", || {
        run_cargo(&[
            "clippy",
            "--release",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ])?;
        let plugins = ["clippy", "--release", "--workspace", "--all-targets", "--locked"];
        run_cargo(
            &[&plugins[..], &["--manifest-path", "plugins/Cargo.toml", "--", "-D", "warnings"]].concat(),
        )
    })?;
    step("documentation", || run_cargo(&["doc", "--release", "--workspace", "--no-deps", "--locked"]))?;
    step("components, built again", || plugins::run(&plugins::Options { check: true, rebuild: true }))?;
    step("tools that the tests ask", || apt::require(&["gzip", "lz4", "zstd"]))?;
    step("deployment files", deploy::run)?;
    step("servers that the tests ask", servers::run)?;
    step("toolchains of the templates", toolchains::run)?;
    step("tests of the components' logic", || {
        let arguments =
            ["test", "--release", "--workspace", "--locked", "--manifest-path", "plugins/Cargo.toml"];
        tests(&arguments, &mut tally)
    })?;
    step("tests", || tests(&["test", "--release", "--workspace", "--locked", "--no-fail-fast"], &mut tally))?;
    println!("\nall checks passed in {:.1} minutes", started.elapsed().as_secs_f64() / 60.0);
    println!("{} passed, {} failed", tally.passed, tally.failed);
    Ok(())
}

fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("\n== {name}");
    let started = Instant::now();
    work().with_context(|| format!("{name}: failed"))?;
    println!("== {name}: {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

fn command(arguments: &[&str]) -> Command {
    let mut command = cargo::command(arguments);
    command.env("RUSTDOCFLAGS", "-D warnings").env("CARGO_TERM_COLOR", "never");
    command
}

fn run_cargo(arguments: &[&str]) -> Result<()> {
    let status = command(arguments).status().context("cargo does not start")?;
    if !status.success() {
        bail!("`cargo {}` failed", arguments.join(" "));
    }
    Ok(())
}

/// Run tests, pass on what they print, and add up their summary lines.
fn tests(arguments: &[&str], tally: &mut Tally) -> Result<()> {
    let mut child = command(arguments).stdout(Stdio::piped()).spawn().context("cargo does not start")?;
    let output = child.stdout.take().expect("standard output is piped");
    let mut shown = std::io::stdout().lock();
    for line in BufReader::new(output).lines() {
        let line = line.context("cannot read what the tests print")?;
        writeln!(shown, "{line}")?;
        if let Some((passed, failed)) = summary(&line) {
            tally.passed += passed;
            tally.failed += failed;
        }
    }
    drop(shown);
    if !child.wait()?.success() {
        println!("{} passed, {} failed", tally.passed, tally.failed);
        bail!("`cargo {}` failed", arguments.join(" "));
    }
    Ok(())
}

/// Passed and failed of a line such as `test result: ok. 3 passed; 0 failed; …`. An ignored test counts as
/// failed: no test skips.
fn summary(line: &str) -> Option<(u64, u64)> {
    let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let count = |wanted: &str| {
        let part = counts.split("; ").find(|part| part.ends_with(wanted))?;
        part.split(' ').next()?.parse::<u64>().ok()
    };
    Some((count("passed")?, count("failed")? + count("ignored")?))
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn summary_lines_are_read_and_ignored_tests_are_failures() {
        let line =
            "test result: ok. 14 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(summary(line), Some((14, 2)));
        assert_eq!(summary("test a ... ok"), None);
    }
}
