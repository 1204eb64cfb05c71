//! What it runs on.

use std::{fs, path::Path, process::Command, thread};

use procfs::{CpuInfo, Current as _, Meminfo};
use xtask::server_programs;

use super::rows::grouped;

/// Names and values; nothing of it tells whose machine it is.
pub(crate) fn machine() -> Vec<(&'static str, String)> {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let processors = CpuInfo::current().ok();
    let processor = processors.as_ref().and_then(|all| all.model_name(0));
    let memory = Meminfo::current().map_or("unknown".into(), |memory| {
        format!("{} GB", grouped(memory.mem_total as f64 / 1e9))
    });
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let postgres = server_programs::postgres_binaries().map_or("missing".into(), |binaries| {
        output(binaries.join("postgres"), &["--version"])
    });
    vec![
        ("commit", commit()),
        ("build", build().into()),
        ("cores", cores.to_string()),
        ("processor", processor.unwrap_or("unknown").into()),
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
