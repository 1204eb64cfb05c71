//! What a process has used so far, by /proc.

use anyhow::Context as _;
use procfs::{
    process::{Process, Stat, all_processes},
    ticks_per_second,
};

/// What a process has used since it was started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Seconds of processor time, of user and kernel.
    pub(crate) cpu_seconds: f64,
    /// The most memory that was resident at any time (`VmHWM`).
    pub(crate) peak_memory_bytes: u64,
}

/// Of one process, without its children.
pub(crate) fn usage(pid: u32) -> anyhow::Result<Usage> {
    let process = process(pid)?;
    let peak = process.status()?.vmhwm.context("no VmHWM")?;
    Ok(Usage {
        cpu_seconds: seconds(own_ticks(&process.stat()?)),
        peak_memory_bytes: peak * 1024,
    })
}

/// The memory that is resident at present (`VmRSS`), in bytes.
pub(crate) fn resident_memory(pid: u32) -> anyhow::Result<u64> {
    Ok(process(pid)?.status()?.vmrss.context("no VmRSS")? * 1024)
}

/// Processor time of a process and all its children, those that have ended included, as of
/// PostgreSQL's postmaster; in seconds.
pub(crate) fn cpu_seconds_of_family(pid: u32) -> anyhow::Result<f64> {
    let parent = process(pid)?.stat()?;
    let of_ended_children = u64::try_from(parent.cutime + parent.cstime)?;
    // One that has ended since the folder was read is among the parent's ended children.
    let children = all_processes()?
        .filter_map(|process| process.ok()?.stat().ok())
        .filter(|child| child.ppid == parent.pid);
    let of_children: u64 = children.map(|child| own_ticks(&child)).sum();
    Ok(seconds(
        own_ticks(&parent) + of_ended_children + of_children,
    ))
}

fn process(pid: u32) -> anyhow::Result<Process> {
    Ok(Process::new(pid.cast_signed())?)
}

fn own_ticks(stat: &Stat) -> u64 {
    stat.utime + stat.stime
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / ticks_per_second() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{process::Command, time::Instant};

    #[test]
    fn a_process_has_used_memory_and_time() {
        let begin = Instant::now();
        while begin.elapsed().as_millis() < 50 {}
        // First: what other tests allocate in between raises the peak.
        let resident = resident_memory(std::process::id()).unwrap();
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.cpu_seconds >= 0.03, "{usage:?}");
        assert!(usage.peak_memory_bytes > 500_000, "{usage:?}");
        assert!(resident > 500_000 && resident <= usage.peak_memory_bytes);
    }

    #[test]
    fn a_family_includes_children_that_have_ended() {
        let before = cpu_seconds_of_family(std::process::id()).unwrap();
        let busy = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
        let ended = Command::new("sh").args(["-c", busy]).status().unwrap();
        assert!(ended.success());
        let child = Command::new("sh").args(["-c", "exit 0"]).status().unwrap();
        assert!(child.success());
        let after = cpu_seconds_of_family(std::process::id()).unwrap();
        assert!(after - before >= 0.02, "{before} {after}");
    }
}
