//! What a process has used so far, by /proc.

use std::fs;

use anyhow::Context as _;

/// `USER_HZ`, the unit of times in /proc: 100 on every architecture that Redis and PostgreSQL have
/// packages for (`man 5 proc_pid_stat`, `man 7 time`).
const TICKS_PER_SECOND: f64 = 100.0;

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
    let ticks = Ticks::of(pid)?;
    Ok(Usage {
        cpu_seconds: (ticks.user + ticks.kernel) / TICKS_PER_SECOND,
        peak_memory_bytes: status_bytes(pid, "VmHWM")?,
    })
}

/// The memory that is resident at present (`VmRSS`), in bytes.
pub(crate) fn resident_memory(pid: u32) -> anyhow::Result<u64> {
    status_bytes(pid, "VmRSS")
}

/// Processor time of a process and all its children, those that have ended included, as of
/// PostgreSQL's postmaster; in seconds.
pub(crate) fn cpu_seconds_of_family(pid: u32) -> anyhow::Result<f64> {
    let parent = Ticks::of(pid)?;
    let mut ticks = parent.user + parent.kernel + parent.of_ended_children;
    let entries = fs::read_dir("/proc")?.flatten();
    for child in entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        // It may have ended since the folder was read; then it is among the parent's ended children.
        if let Ok(child) = Ticks::of(child)
            && child.parent == pid
        {
            ticks += child.user + child.kernel;
        }
    }
    Ok(ticks / TICKS_PER_SECOND)
}

/// Of `/proc/PID/stat`.
struct Ticks {
    parent: u32,
    user: f64,
    kernel: f64,
    of_ended_children: f64,
}

impl Ticks {
    fn of(pid: u32) -> anyhow::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name before these may hold spaces and parentheses.
        let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        // Counted from the third one, `state`.
        let number = |index: usize| -> anyhow::Result<f64> {
            Ok(fields.get(index).context("/proc/PID/stat")?.parse()?)
        };
        Ok(Self {
            parent: fields.get(1).context("/proc/PID/stat")?.parse()?,
            user: number(11)?,
            kernel: number(12)?,
            of_ended_children: number(13)? + number(14)?,
        })
    }
}

fn status_bytes(pid: u32, name: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kilobytes: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .and_then(|value| value.trim().strip_suffix(" kB")?.parse().ok())
        .with_context(|| format!("/proc/{pid}/status has no {name}"))?;
    Ok(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{process::Command, time::Instant};

    #[test]
    fn a_process_has_used_memory_and_time() {
        let begin = Instant::now();
        while begin.elapsed().as_millis() < 50 {}
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.cpu_seconds >= 0.03, "{usage:?}");
        assert!(usage.peak_memory_bytes > 500_000, "{usage:?}");
        let resident = resident_memory(std::process::id()).unwrap();
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
