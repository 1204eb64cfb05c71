//! `cargo xtask test`

use std::process::ExitCode;

use anyhow::ensure;
use xtask::packages;

use super::cargo::cargo;

/// Runs all tests, and brings what they need: the programs, Redis, PostgreSQL, pgbouncer, HAProxy,
/// Prometheus, Node.js and Python.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Passed on to `cargo test --workspace`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let say = |what: &str| println!("{what}");
    packages::ensure_installed(say)?;
    packages::ensure_neighbours_installed(say)?;
    if let Err(error) = packages::ensure_languages_installed(say) {
        println!("The tests that need them will not run: {error:#}");
    }
    // The tests start both programs. `cargo test` builds them as tests need them, with fault points,
    // but only those of the crates that it tests, which the arguments may narrow down.
    let built = cargo(&["test", "--workspace", "--no-run"])?;
    ensure!(built.success(), "cargo test --no-run: {built}");
    let mut test = vec!["test", "--workspace"];
    test.extend(arguments.arguments.iter().map(String::as_str));
    let code = cargo(&test)?
        .code()
        .and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
