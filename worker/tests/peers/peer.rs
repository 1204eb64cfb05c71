//! Programs in other languages: brought once per run, or missed aloud.

use std::env;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// Seconds; nothing that a peer does takes more, unless it hangs.
const INSTALLATION: u32 = 600;
const RUN: u32 = 120;

/// Where the machine of every peer stands: far from UTC, so that a time that shifts is seen.
pub(crate) const TIME_ZONE: &str = "America/New_York";

/// Where the packages of one language are installed.
pub(crate) struct Installation {
    folder: PathBuf,
}

impl Installation {
    /// Brings the packages unless `files` are those that they were brought for. Whoever comes
    /// meanwhile, also from another process, waits.
    pub(crate) fn of(
        name: &str,
        files: &[(&str, &str)],
        install: impl FnOnce(&Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder)?;
        let installation = Self { folder };
        let lock = File::create(installation.file("lock"))?;
        lock.lock()?;
        let complete = installation.file("complete");
        let wanted = format!("{files:?}");
        if fs::read_to_string(&complete).is_ok_and(|found| found == wanted) {
            return Ok(installation);
        }
        // An error means that it is not there.
        let _ = fs::remove_file(&complete);
        for (name, text) in files {
            fs::write(installation.file(name), text)?;
        }
        install(&installation)?;
        fs::write(&complete, wanted)?;
        Ok(installation)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Runs a command that installs something, in the folder.
    pub(crate) fn install(&self, command: &[&str]) -> anyhow::Result<()> {
        self.execute(INSTALLATION, command, "", &[]).map(drop)
    }

    /// Runs a program in the folder and returns what it prints.
    pub(crate) fn run(
        &self,
        command: &[&str],
        environment: &[(&str, &str)],
    ) -> anyhow::Result<String> {
        self.execute(RUN, command, "", environment)
    }

    /// Runs a program that reads JSON and prints JSON, if anything.
    pub(crate) fn ask(&self, command: &[&str], question: &Value) -> anyhow::Result<Value> {
        let answer = self.execute(RUN, command, &question.to_string(), &[])?;
        if answer.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&answer).with_context(|| answer)
    }

    fn execute(
        &self,
        seconds: u32,
        command: &[&str],
        input: &str,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<String> {
        let mut child = Command::new("timeout")
            .arg(seconds.to_string())
            .args(command)
            .env("TZ", TIME_ZONE)
            .envs(environment.iter().copied())
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // One that ends without reading says by itself what is wrong.
        let _ = child
            .stdin
            .take()
            .context("no standard input")?
            .write_all(input.as_bytes());
        let output = child.wait_with_output()?;
        ensure!(
            output.status.success(),
            "{}: {}\n{}{}",
            command.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

/// What stands in `once`, brought by the first who asks. `None`, having said so, where it cannot be
/// had; in CI that fails the test.
pub(crate) fn present<T>(
    once: &'static OnceLock<anyhow::Result<T>>,
    bring: impl FnOnce() -> anyhow::Result<T>,
) -> Option<&'static T> {
    match once.get_or_init(bring) {
        Ok(peer) => Some(peer),
        Err(reason) => {
            let test = thread::current().name().unwrap_or_default().to_owned();
            assert!(env::var_os("CI").is_none(), "{test}: {reason:#}");
            // Not `eprintln!`, which the test harness swallows.
            let message = format!("NOT RUN: {test}: {reason:#}\n");
            std::io::stderr().write_all(message.as_bytes()).unwrap();
            None
        }
    }
}
