//! Packages of PyPI, in the versions of a file.

use std::{path::Path, process::Command};

use anyhow::{Context as _, ensure};

/// Creates the virtual environment `FOLDER/environment` and installs what `FOLDER/requirements.txt` lists, with
/// these options of pip. Nothing is compiled. Takes ten minutes at the most.
///
/// # Errors
///
/// When Python or its module venv is missing, or pip fails; the message holds what it printed.
pub fn install(folder: &Path, options: &[&str]) -> anyhow::Result<()> {
    run(
        folder,
        &["python3", "-m", "venv", "--clear", "environment"],
        &[],
    )
    .context("Python or its module venv is missing")?;
    run(
        folder,
        &[
            "environment/bin/python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--timeout",
            "10",
            "--retries",
            "2",
            "--only-binary",
            ":all:",
            "--requirement",
            "requirements.txt",
        ],
        options,
    )
}

fn run(folder: &Path, command: &[&str], options: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("timeout")
        .arg("600")
        .args(command)
        .args(options)
        .current_dir(folder)
        .output()?;
    ensure!(
        output.status.success(),
        "{}: {}\n{}{}",
        command.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
