//! PostgreSQL's programs, and who runs them.

use std::{
    io,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context as _, ensure};
use nix::unistd::User;

use crate::{child_process, postgres_user::unprivileged_user, server_programs};

#[derive(Debug)]
pub(super) struct Installation {
    binaries: PathBuf,
    /// The user that PostgreSQL runs as when we are root: it refuses to run as root.
    user: Option<User>,
}

impl Installation {
    /// # Errors
    ///
    /// When PostgreSQL is not installed, or there is nobody who can run it.
    pub(super) fn find() -> anyhow::Result<Self> {
        Ok(Self {
            user: unprivileged_user()?,
            binaries: server_programs::postgres_binaries()?,
        })
    }

    /// Makes `path` belong to the user that PostgreSQL runs as.
    pub(super) fn give(&self, path: &Path) -> io::Result<()> {
        match &self.user {
            Some(user) => chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())),
            None => Ok(()),
        }
    }

    /// Creates a cluster in the new folder `data`.
    pub(super) fn initialise(&self, data: &Path, folder: &Path) -> anyhow::Result<()> {
        let output =
            child_process::command(self.binaries.join("initdb"), "KILL", self.user.as_ref())
                .args(["--username=postgres", "--auth=trust", "--no-sync"])
                .args(["--locale=C.UTF-8", "--encoding=UTF8"])
                .arg(data)
                .current_dir(folder)
                .output()
                .context("cannot run setpriv (of the package util-linux)")?;
        ensure!(
            output.status.success(),
            "initdb: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// A server of `data` on a port of 127.0.0.1.
    pub(super) fn server(&self, data: &Path, port: u16) -> Command {
        // SIGQUIT is PostgreSQL's "stop at once, children included".
        let mut command =
            child_process::command(self.binaries.join("postgres"), "QUIT", self.user.as_ref());
        command
            .arg("-D")
            .arg(data)
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", &format!("port={port}")])
            .args(["-c", &format!("unix_socket_directories={}", data.display())])
            .args(["-c", "max_connections=300"]);
        command
    }

    /// What psql does with `sql`.
    pub(super) fn psql(&self, url: &str, sql: &str) -> anyhow::Result<Output> {
        Command::new(self.binaries.join("psql"))
            .args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql])
            .output()
            .context("cannot run psql")
    }
}
