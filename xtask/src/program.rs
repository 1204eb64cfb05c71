//! The programs under test.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{
    child_process::{self, ChildProcess},
    free_port::free_address,
    http::Http,
    wait,
};

const OUTPUT: &str = "output.log";
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// A running `ingest` or `worker`. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    name: String,
    // Declared before the folder: dropped, and so killed, before it.
    process: ChildProcess,
    folder: TempDir,
}

impl Program {
    /// Starts the binary of that name that was built beside the current one. It sees no environment
    /// but `PATH` and what is given, and runs in an empty folder, so that it finds no `.env` file.
    /// This does not wait until it is ready.
    ///
    /// # Errors
    ///
    /// When the binary has not been built.
    pub fn start(name: &str, environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::start_file(name, &binary(name)?, &[], environment)
    }

    /// The same with an `ADMIN_ADDR` of its own; waits until it answers there that it is ready. Returns also
    /// how long that took from the start of the process, to a millisecond.
    ///
    /// # Errors
    ///
    /// When it ends or is not ready after a minute; the message holds its output.
    pub async fn start_ready(
        name: &str,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<(Self, Duration)> {
        let address = free_address()?.to_string();
        let environment = [environment, &[("ADMIN_ADDR", &address)]].concat();
        let begin = Instant::now();
        let program = Self::start(name, &environment)?;
        program.wait_until_ready(&address).await?;
        Ok((program, begin.elapsed()))
    }

    /// Waits until it answers at its `ADMIN_ADDR` that it is ready.
    ///
    /// # Errors
    ///
    /// When it ends or is not ready after a minute; the message holds its output.
    pub async fn wait_until_ready(&self, admin_address: &str) -> anyhow::Result<()> {
        let (http, url) = (Http::new(), format!("http://{admin_address}/readyz"));
        let what = format!("{} is ready", self.name);
        // Often, because the benchmark measures how long it takes.
        let interval = Duration::from_millis(1);
        let ready = wait::until_every(interval, &what, READY_DEADLINE, async || {
            let answer = http.get(&url).await;
            !self.is_running() || answer.is_ok_and(|answer| answer.status == 200)
        });
        ready.await.with_context(|| self.output())?;
        ensure!(
            self.is_running(),
            "{} has ended:\n{}",
            self.name,
            self.output()
        );
        Ok(())
    }

    /// As [`Program::start`] with any program: `file` is a path, or a name that is looked for in `PATH`. `name`
    /// is what errors call it.
    ///
    /// # Errors
    ///
    /// When no process can be made. That `file` is missing shows only in its output.
    pub fn start_file(
        name: &str,
        file: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let folder = empty_folder(name)?;
        let output = File::create(folder.path().join(OUTPUT))?;
        let mut command = command(file, arguments, environment, &folder);
        command.stdout(output.try_clone()?).stderr(output);
        Ok(Self {
            name: name.into(),
            process: ChildProcess::spawn(command)?,
            folder,
        })
    }

    /// Runs the binary with `arguments` until it ends by itself, such as `worker migrate`. The
    /// environment is as in [`Program::start`].
    ///
    /// # Errors
    ///
    /// When the binary has not been built. Its exit status is not looked at.
    pub fn run(
        name: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Output> {
        let folder = empty_folder(name)?;
        let output = command(&binary(name)?, arguments, environment, &folder).output()?;
        Ok(output)
    }

    /// What it has written to stdout and stderr so far.
    pub fn output(&self) -> String {
        let output = fs::read(self.output_file()).unwrap_or_default();
        String::from_utf8_lossy(&output).into_owned()
    }

    /// The file that stdout and stderr go to.
    pub fn output_file(&self) -> PathBuf {
        self.folder.path().join(OUTPUT)
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether it has not ended.
    pub fn is_running(&self) -> bool {
        self.process.is_running()
    }

    /// Sends a signal.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        self.process
            .signal(signal)
            .with_context(|| self.name.clone())
    }

    /// SIGKILL, then waits for the end. Does nothing when it has ended.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Blocks the thread until the program has ended; where other tasks must go on meanwhile, poll
    /// [`Program::is_running`] with [`wait::until`] first.
    ///
    /// # Errors
    ///
    /// When it still runs after `deadline`; the message holds its output.
    pub fn wait(&self, deadline: Duration) -> anyhow::Result<ExitStatus> {
        self.process.wait(deadline).with_context(|| {
            format!(
                "{} still runs after {deadline:?}; its output:\n{}",
                self.name,
                self.output()
            )
        })
    }
}

fn empty_folder(name: &str) -> anyhow::Result<TempDir> {
    Ok(tempfile::Builder::new()
        .prefix(&format!("{name}-"))
        .tempdir()?)
}

fn command(
    file: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
    folder: &TempDir,
) -> Command {
    let mut command = child_process::command(file, "KILL", None);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .envs(environment.iter().copied())
        .current_dir(folder.path());
    command
}

/// `target/PROFILE/NAME`, seen from `target/PROFILE/xtask` or from a test, which is in
/// `target/PROFILE/deps`.
fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let current = env::current_exe()?;
    let mut folder = current
        .parent()
        .context("the current program is in no folder")?;
    if folder.ends_with("deps") {
        folder = folder
            .parent()
            .context("the current program is in no folder")?;
    }
    let binary = folder.join(name);
    ensure!(
        binary.is_file(),
        "{} is missing; run `cargo build --workspace --bins` first, or `cargo xtask test`, which does",
        binary.display()
    );
    Ok(binary)
}
