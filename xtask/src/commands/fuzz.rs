//! `cargo xtask fuzz`

use std::{
    env, fs,
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, ensure};

const TARGETS: [&str; 4] = ["body", "entry", "headers", "tables"];

/// Fuzzes whatever parses bytes from outside, each target for a while. It needs the nightly toolchain
/// and cargo-fuzz: `rustup toolchain install nightly`, `cargo install --locked cargo-fuzz`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    for target in TARGETS {
        fuzz(target, arguments.seconds)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn fuzz(target: &str, seconds: u32) -> anyhow::Result<()> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz");
    let output = output_folder();
    // What is found goes to the first corpus; the one in the project is read only.
    let found = output.join("corpus").join(target);
    fs::create_dir_all(&found)?;
    // The code has no `unsafe`, so a sanitizer would find nothing.
    let status = Command::new("rustup")
        .args(["run", "nightly", "cargo", "fuzz", "run", target])
        .args(["--dev", "--sanitizer", "none", "--fuzz-dir", folder])
        .arg("--target-dir")
        .arg(&output)
        .arg(found)
        .arg(format!("{folder}/corpus/{target}"))
        .arg("--")
        .args([&format!("-max_total_time={seconds}"), "-max_len=16384"])
        .arg("-timeout=10")
        .status()
        .context("cannot run rustup")?;
    ensure!(status.success(), "fuzzing {target}: {status}");
    Ok(())
}

/// Beside the output of everything else.
fn output_folder() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(
        || concat!(env!("CARGO_MANIFEST_DIR"), "/../target").into(),
        PathBuf::from,
    );
    target.join("fuzz")
}
