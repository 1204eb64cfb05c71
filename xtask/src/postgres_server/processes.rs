//! The processes of a PostgreSQL.

use std::{path::Path, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use procfs::process::all_processes;

use crate::wait::block_until;

/// SIGKILL to all that work in `folder`, until they are gone or `deadline` has passed.
pub(super) fn kill_all_in(folder: &Path, deadline: Duration) {
    let _ = block_until("PostgreSQL's processes are gone", deadline, || {
        let left = processes_in(folder);
        for &pid in &left {
            let _ = kill(pid, Signal::SIGKILL);
        }
        left.is_empty()
    });
}

/// The processes that work in `folder`. PostgreSQL's all work in its data folder; once the
/// postmaster is dead nothing else tells that they belong together. Zombies work nowhere.
fn processes_in(folder: &Path) -> Vec<Pid> {
    let processes = all_processes().into_iter().flatten().flatten();
    processes
        .filter(|process| process.cwd().is_ok_and(|cwd| cwd == folder))
        .map(|process| Pid::from_raw(process.pid))
        .collect()
}
