//! What a process has taken of the machine, from /proc.

use std::fs;

use anyhow::Context as _;
use nix::unistd::{SysconfVar, sysconf};

/// Since the process began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// In user mode and in the kernel, of all threads.
    pub(crate) cpu_seconds: f64,
    /// The most resident memory that it has had.
    pub(crate) peak_memory_bytes: u64,
}

/// Of a process that runs.
///
/// # Errors
/// When there is none of that id, or it has ended.
pub(crate) fn usage(pid: u32) -> anyhow::Result<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name before it may hold spaces and parentheses.
    let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat")?;
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    let ticks_a_second = sysconf(SysconfVar::CLK_TCK)?.context("no clock ticks")?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kilobytes: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|value| value.split_whitespace().next())
        .context("VmHWM is missing: the process has ended")?
        .parse()?;
    Ok(Usage {
        cpu_seconds: ticks as f64 / ticks_a_second as f64,
        peak_memory_bytes: kilobytes * 1024,
    })
}
