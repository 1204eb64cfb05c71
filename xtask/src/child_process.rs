//! A process that ends no later than the one that started it.
//!
//! `setpriv --pdeathsig` asks the kernel to signal the process when its parent is gone. To the
//! kernel the parent is the *thread* that started it, and a test's thread ends with the test while
//! a server may be shared with the next one. So each process has a thread of its own, which starts
//! it and then only waits for its end.

use std::{
    ffi::OsStr,
    io,
    os::unix::process::CommandExt as _,
    process::{Command, ExitStatus},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};
use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, kill},
        wait::{Id, WaitPidFlag, waitid},
    },
    unistd::{Pid, User},
};

/// A command that runs `program` (as `user`, if given) and gets `death_signal` when its parent dies.
/// It is a process group of its own: Ctrl-C in the terminal is for the parent alone to act on.
pub(crate) fn command(
    program: impl AsRef<OsStr>,
    death_signal: &str,
    user: Option<&User>,
) -> Command {
    let mut command = Command::new("setpriv");
    if let Some(user) = user {
        command
            .arg(format!("--reuid={}", user.uid))
            .arg(format!("--regid={}", user.gid))
            .arg("--init-groups");
    }
    command
        .args(["--pdeathsig", death_signal, "--"])
        .arg(program)
        .process_group(0);
    command
}

/// A running process; dropping it kills it.
#[derive(Debug)]
pub(crate) struct ChildProcess {
    pid: Pid,
    end: Arc<End>,
}

#[derive(Debug, Default)]
struct End {
    /// `None` while the process runs. The process is reaped while this is locked, so whoever holds
    /// the lock and sees `None` knows that the pid is still the process's own.
    status: Mutex<Option<ExitStatus>>,
    happened: Condvar,
}

impl End {
    fn status(&self) -> MutexGuard<'_, Option<ExitStatus>> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ChildProcess {
    /// Starts `command`, made by [`command`].
    pub(crate) fn spawn(mut command: Command) -> anyhow::Result<Self> {
        let end = Arc::new(End::default());
        let end_of_thread = Arc::clone(&end);
        let (started, start) = mpsc::channel::<io::Result<Pid>>();
        thread::Builder::new()
            .name("child-process".into())
            .spawn(move || {
                let mut child = match command.spawn() {
                    Ok(child) => child,
                    Err(error) => {
                        let _ = started.send(Err(error));
                        return;
                    }
                };
                let pid = Pid::from_raw(child.id().cast_signed());
                let _ = started.send(Ok(pid));
                let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
                while waitid(Id::Pid(pid), ended) == Err(Errno::EINTR) {}
                let mut status = end_of_thread.status();
                // It has ended, so this neither blocks nor fails.
                *status = Some(child.wait().unwrap_or_default());
                end_of_thread.happened.notify_all();
            })?;
        let pid = start
            .recv()
            .context("the thread of the child process ended")?
            .context("cannot run setpriv (of the package util-linux)")?;
        Ok(Self { pid, end })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw().cast_unsigned()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.end.status().is_none()
    }

    /// Fails if the process has ended.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let status = self.end.status();
        if let Some(status) = *status {
            bail!("cannot send {signal}: the process has ended ({status})");
        }
        kill(self.pid, signal).with_context(|| format!("cannot send {signal}"))
    }

    /// Blocks until the process has ended; `None` after the deadline.
    pub(crate) fn wait(&self, deadline: Duration) -> Option<ExitStatus> {
        let (status, _) = self
            .end
            .happened
            .wait_timeout_while(self.end.status(), deadline, |status| status.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        *status
    }

    /// SIGKILL, then waits for the end. Does nothing if the process has ended already.
    pub(crate) fn kill(&self) {
        let _ = self.signal(Signal::SIGKILL);
        let _ended = self
            .end
            .happened
            .wait_while(self.end.status(), |status| status.is_none());
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        self.kill();
    }
}
