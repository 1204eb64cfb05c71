//! Cargo, called from a program that Cargo runs.

use std::{
    env,
    path::PathBuf,
    process::{Command, ExitStatus},
};

use anyhow::{Context as _, ensure};

/// Builds ingest and worker, and all other programs, as the tests do: so neither builds again what the other
/// has built.
pub(crate) fn build_programs() -> anyhow::Result<()> {
    eprintln!("Building ingest and worker ...");
    let built = cargo(&["build", "--workspace", "--bins"])?;
    ensure!(built.success(), "cargo build: {built}");
    Ok(())
}

/// Runs `cargo ARGUMENTS` on the terminal, with the profile that this program was built with, so
/// that what it builds lands beside it.
pub(crate) fn cargo(arguments: &[&str]) -> anyhow::Result<ExitStatus> {
    cargo_with(arguments, &[])
}

/// The same with variables of the environment.
pub(crate) fn cargo_with(
    arguments: &[&str],
    environment: &[(&str, PathBuf)],
) -> anyhow::Result<ExitStatus> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let (subcommand, arguments) = arguments.split_first().context("which cargo command?")?;
    let profile: &[&str] = if cfg!(debug_assertions) {
        &[]
    } else {
        &["--release"]
    };
    Command::new(cargo)
        .arg(subcommand)
        .args(profile)
        .args(arguments)
        .envs(environment.iter().cloned())
        .status()
        .context("cannot run cargo")
}
