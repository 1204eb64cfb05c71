//! `cargo xtask instructions`

use std::{
    env,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, ensure};
use xtask::packages;

/// Cargo runs the benchmarks under Valgrind, which counts within one function of theirs. Without an
/// environment: its size decides where the stack lies, and the C library looks whether what it
/// compares ends near the end of a page.
const RUNNER: &str = "target.'cfg(all())'.runner = ['env', '--ignore-environment', \
    'valgrind', '--tool=callgrind', '--toggle-collect=*::counted_call*', \
    '--callgrind-out-file=/dev/null']";

/// Counts the instructions of one call of each function that `cargo bench --workspace --bench
/// hot_path` times. Unlike a time the count comes out the same on a busy machine, so it shows what a
/// change to the code saves. Of what allocates much, though, a thousandth depends on what the heap looks
/// like. Valgrind has no SHA instructions: a signature is counted as a processor without them computes
/// it.
#[derive(clap::Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments) -> anyhow::Result<ExitCode> {
    packages::ensure_valgrind_installed(|what| eprintln!("{what}"))?;
    eprintln!("Building the benchmarks ...");
    let (names, _) = bench(&[], &["--list"])?;
    let names: Vec<_> = names
        .lines()
        .filter_map(|line| line.strip_suffix(": benchmark"))
        .collect();
    ensure!(!names.is_empty(), "there are no benchmarks");
    println!("instructions");
    for name in names {
        // As a test a benchmark makes one call.
        let (_, report) = bench(&["--config", RUNNER], &["--test", "--exact", name])?;
        let count = collected(&report);
        ensure!(count > 0, "nothing was counted of {name:?}: {report}");
        println!("{count:>12}  {name}");
    }
    Ok(ExitCode::SUCCESS)
}

/// What the benchmarks print, and what Cargo and Valgrind print.
fn bench(options: &[&str], arguments: &[&str]) -> anyhow::Result<(String, String)> {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .arg("bench")
        .args(options)
        .args(["--workspace", "--bench", "hot_path", "--"])
        .args(arguments)
        .output()
        .context("cannot run cargo")?;
    let report = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "cargo bench: {report}");
    Ok((String::from_utf8(output.stdout)?, report))
}

/// Adds up Valgrind's lines `==1== Collected : 42`. There is one for each process: only one of them
/// has the benchmark.
fn collected(report: &str) -> u64 {
    report
        .lines()
        .filter_map(|line| line.split_once("Collected : ")?.1.parse::<u64>().ok())
        .sum()
}
