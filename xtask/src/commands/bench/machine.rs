//! What it runs on.

use std::{fs, path::Path, process::Command, thread};

use xtask::server_programs;

use super::rows::grouped;

/// Names and values; nothing of it tells whose machine it is.
pub(crate) fn machine() -> Vec<(&'static str, String)> {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let processor = line("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into());
    let memory = line("/proc/meminfo", "MemTotal")
        .and_then(|memory| memory.trim_end_matches(" kB").parse::<f64>().ok())
        .map_or("unknown".into(), |kilobytes| {
            format!("{} GB", grouped(kilobytes * 1024.0 / 1e9))
        });
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let postgres = server_programs::postgres_binaries().map_or("missing".into(), |binaries| {
        output(binaries.join("postgres"), &["--version"])
    });
    vec![
        ("commit", commit()),
        ("build", build().into()),
        ("cores", cores.to_string()),
        ("processor", processor),
        ("memory", memory),
        ("kernel", kernel.trim().into()),
        (
            "Redis",
            output(server_programs::redis_server(), &["--version"]),
        ),
        ("PostgreSQL", postgres),
        ("Node", output("node", &["--version"])),
    ]
}

const fn build() -> &'static str {
    if cfg!(debug_assertions) {
        "development: its numbers tell nothing of speed"
    } else {
        "release"
    }
}

fn commit() -> String {
    let commit = output("git", &["rev-parse", "--short", "HEAD"]);
    let status = output("git", &["status", "--porcelain"]);
    if status == MISSING || status.is_empty() {
        commit
    } else {
        format!("{commit}, modified")
    }
}

const MISSING: &str = "missing";

/// The first line of what a program prints.
fn output(program: impl AsRef<Path>, arguments: &[&str]) -> String {
    let output = Command::new(program.as_ref())
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    match output {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.lines().next().unwrap_or_default().trim().into()
        }
        _ => MISSING.into(),
    }
}

/// The value of a line `NAME : VALUE`.
fn line(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let (_, value) = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)?;
    Some(value.trim().into())
}
