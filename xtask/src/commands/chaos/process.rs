//! An ingest or a worker that is ended and started again.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::Context as _;
use nix::sys::signal::Signal;
use xtask::{free_port::free_address, program::Program};

/// Far above its `SHUTDOWN_GRACE_MS`: how long it takes on a busy machine is not what is judged.
const STOP_DEADLINE: Duration = Duration::from_secs(60);

/// What no log may hold. All addresses that are sent end like this, or, while a row makes room for
/// another, like that.
const TELLTALES: [(&str, &str); 3] = [
    ("panicked at", "has panicked"),
    ("@example.com", "has logged an address"),
    ("@moving.invalid", "has logged an address"),
];

/// A program with its settings, through all its restarts.
pub(crate) struct Process {
    /// `worker 2`
    name: String,
    binary: &'static str,
    environment: Vec<(&'static str, String)>,
    /// Where its output is kept; a file for each start.
    logs: PathBuf,
    starts: u32,
    program: Program,
    /// What it has done that it should not: ended by itself, not ended with 0 when told to, or told
    /// what it must not.
    misdeeds: Vec<String>,
}

impl Process {
    pub(crate) fn start(
        binary: &'static str,
        number: usize,
        environment: Vec<(&'static str, String)>,
        logs: PathBuf,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            name: format!("{binary} {number}"),
            binary,
            program: launch(binary, &environment)?,
            environment,
            logs,
            starts: 1,
            misdeeds: Vec::new(),
        })
    }

    /// Starts it again after [`Process::kill`] or [`Process::stop`].
    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        self.keep_log()?;
        self.program = launch(self.binary, &self.environment)?;
        self.starts += 1;
        Ok(())
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.look();
        self.program.kill();
    }

    /// SIGTERM, and waits for the end, which blocks.
    pub(crate) fn stop(&mut self) {
        self.look();
        if self.program.signal(Signal::SIGTERM).is_err() {
            return;
        }
        match self.program.wait(STOP_DEADLINE) {
            Ok(status) if status.success() => {}
            Ok(status) => self
                .misdeeds
                .push(format!("{}: {status} after SIGTERM", self.name)),
            Err(_) => {
                self.misdeeds.push(format!("{} ignores SIGTERM", self.name));
                self.program.kill();
            }
        }
    }

    /// SIGSTOP. Of no effect if it has ended, which [`Process::look`] tells later.
    pub(crate) fn pause(&self) {
        let _ = self.program.signal(Signal::SIGSTOP);
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) {
        let _ = self.program.signal(Signal::SIGCONT);
    }

    /// Notes when it does not run though nobody has ended it.
    fn look(&mut self) {
        if !self.program.is_running() {
            let end = format!(
                "{} has ended by itself, in its run {}",
                self.name, self.starts
            );
            self.misdeeds.push(end);
        }
    }

    /// For the last time: keeps the log, and tells its misdeeds.
    pub(crate) fn misdeeds(&mut self) -> anyhow::Result<Vec<String>> {
        self.look();
        self.keep_log()?;
        Ok(self.misdeeds.clone())
    }

    fn keep_log(&mut self) -> anyhow::Result<()> {
        let output = self.program.output();
        for (text, misdeed) in TELLTALES {
            if output.contains(text) {
                let of_run = format!("{} {misdeed}, in its run {}", self.name, self.starts);
                self.misdeeds.push(of_run);
            }
        }
        let name = format!("{}.{}.log", self.name, self.starts).replace(' ', "-");
        fs::write(self.logs.join(name), output).context("cannot keep a log")
    }
}

/// On an admin address of its own: while it was down, somebody else may have taken the last one.
fn launch(binary: &str, environment: &[(&'static str, String)]) -> anyhow::Result<Program> {
    let admin_address = free_address()?.to_string();
    let mut all = vec![("ADMIN_ADDR", admin_address.as_str())];
    all.extend(
        environment
            .iter()
            .map(|(name, value)| (*name, value.as_str())),
    );
    Program::start(binary, &all)
}
