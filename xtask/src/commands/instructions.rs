//! `cargo xtask instructions`

use std::{
    env,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, ensure};
use xtask::packages;

/// Cargo runs the benchmarks under Valgrind, which counts within one function of theirs.
const RUNNER: &str = "target.'cfg(all())'.runner = ['valgrind', '--tool=callgrind', \
    '--toggle-collect=*::counted_call*', '--callgrind-out-file=/dev/null']";

/// Counts the instructions of one call of each function that the benchmarks `hot_path` measure.
/// Unlike a time the count is the same again on a busy machine, so that a small difference between
/// two versions of the code shows. Valgrind has no SHA instructions: a signature is counted as a
/// processor without them computes it.
#[derive(clap::Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments) -> anyhow::Result<ExitCode> {
    packages::ensure_valgrind_installed(|what| eprintln!("{what}"))?;
    for package in ["ingest", "worker"] {
        let (names, _) = bench(package, &[], &["--list"])?;
        let names: Vec<_> = names
            .lines()
            .filter_map(|line| line.strip_suffix(": benchmark"))
            .collect();
        ensure!(!names.is_empty(), "{package} has no benchmarks");
        for name in names {
            // As a test a benchmark makes one call.
            let arguments = ["--test", "--exact", name];
            let (_, report) = bench(package, &["--config", RUNNER], &arguments)?;
            let count = collected(&report).with_context(|| report.clone())?;
            println!("{count:>9}  {package}: {name}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What the benchmarks of a package print, and what Cargo and Valgrind print.
fn bench(package: &str, options: &[&str], arguments: &[&str]) -> anyhow::Result<(String, String)> {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .arg("bench")
        .args(options)
        .args(["--package", package, "--bench", "hot_path", "--"])
        .args(arguments)
        .output()
        .context("cannot run cargo")?;
    let report = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "cargo bench: {report}");
    Ok((String::from_utf8(output.stdout)?, report))
}

/// Valgrind's line `==1== Collected : 42`. Nothing collected means that nothing was called so.
fn collected(report: &str) -> Option<u64> {
    let line = report.lines().find(|line| line.contains("Collected : "))?;
    let count = line.rsplit(' ').next()?.parse().ok()?;
    (count > 0).then_some(count)
}
