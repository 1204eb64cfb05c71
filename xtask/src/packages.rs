//! The Debian packages with the servers, and with what the tests want besides: looked for, and
//! installed where that is possible.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail, ensure};
use nix::unistd::Uid;

use crate::server_programs;

/// apt-get neither asks nor starts the packages' own services: the ones on the standard ports are
/// not ours to start. RUNLEVEL is for machines without systemd, SYSTEMD_OFFLINE for those with it.
const ENVIRONMENT: [&str; 3] = [
    "DEBIAN_FRONTEND=noninteractive",
    "RUNLEVEL=1",
    "SYSTEMD_OFFLINE=1",
];

/// The packages whose programs this machine lacks.
pub fn missing() -> Vec<&'static str> {
    let mut missing = Vec::new();
    if find("redis-server").is_none() || find("redis-cli").is_none() {
        missing.push("redis-server");
    }
    if server_programs::postgres_binaries().is_err() {
        missing.push("postgresql");
    }
    missing
}

/// The packages, beyond those of the servers, with the languages of the programs that the tests
/// put around ours.
pub fn missing_languages() -> Vec<&'static str> {
    let mut missing = Vec::new();
    if find("node").is_none() {
        missing.push("nodejs");
    }
    if find("npm").is_none() {
        missing.push("npm");
    }
    // Debian leaves the module out of the package python3.
    let python = Command::new("python3")
        .args(["-c", "import ensurepip"])
        .output();
    if !python.is_ok_and(|output| output.status.success()) {
        missing.push("python3-venv");
    }
    missing
}

/// The packages of what the tests put beside the programs: a connection pooler in front of PostgreSQL, a
/// load balancer in front of ingests, a Prometheus that reads the metrics, a browser in front of the status
/// page.
pub fn missing_neighbours() -> Vec<&'static str> {
    let pooler = find("pgbouncer").is_none().then_some("pgbouncer");
    let load_balancer = load_balancer().is_none().then_some("haproxy");
    let prometheus = find("promtool").is_none().then_some("prometheus");
    let browser = browser().is_none().then_some("chromium");
    [pooler, load_balancer, prometheus, browser]
        .into_iter()
        .flatten()
        .collect()
}

/// Where that browser is.
pub fn browser() -> Option<PathBuf> {
    find("chromium")
}

/// Where that load balancer is.
pub fn load_balancer() -> Option<PathBuf> {
    find("haproxy")
}

/// The package of the tool that counts instructions.
pub fn missing_valgrind() -> Vec<&'static str> {
    let missing = find("valgrind").is_none().then_some("valgrind");
    missing.into_iter().collect()
}

/// Installs with apt-get what is missing of the servers, when we are root or sudo asks for no
/// password. `say` is told what is done.
///
/// # Errors
///
/// When something is missing and cannot be installed; the message names the command to type.
pub fn ensure_installed(say: impl Fn(&str)) -> anyhow::Result<()> {
    install(missing, |list| {
        say(&format!(
            "{list} is not installed; installing it with apt-get, without starting its services \
             (the next boot does, unless you run: sudo systemctl disable {list})"
        ));
    })
}

/// The same for [`missing_neighbours`].
///
/// # Errors
///
/// As [`ensure_installed`].
pub fn ensure_neighbours_installed(say: impl Fn(&str)) -> anyhow::Result<()> {
    install(missing_neighbours, |list| {
        say(&format!(
            "{list} is not installed; installing it with apt-get, without starting its service"
        ));
    })
}

/// The same for [`missing_languages`].
///
/// # Errors
///
/// As [`ensure_installed`].
pub fn ensure_languages_installed(say: impl Fn(&str)) -> anyhow::Result<()> {
    install(missing_languages, |list| {
        say(&format!(
            "{list} is not installed; installing it with apt-get"
        ));
    })
}

/// The same for [`missing_valgrind`].
///
/// # Errors
///
/// As [`ensure_installed`].
pub fn ensure_valgrind_installed(say: impl Fn(&str)) -> anyhow::Result<()> {
    install(missing_valgrind, |list| {
        say(&format!(
            "{list} is not installed; installing it with apt-get"
        ));
    })
}

fn install(missing: fn() -> Vec<&'static str>, say: impl Fn(&str)) -> anyhow::Result<()> {
    let packages = missing();
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    let by_hand = format!("sudo apt-get install --no-install-recommends {list}");
    let Some(privilege) = privilege().filter(|_| find("apt-get").is_some()) else {
        bail!(
            "{list} is not installed, and apt-get cannot be run as root from here; run\n    {by_hand}"
        );
    };
    say(&list);
    apt_get(privilege, &["update"]).with_context(|| by_hand.clone())?;
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend(&packages);
    apt_get(privilege, &install).with_context(|| by_hand.clone())?;
    ensure!(
        missing().is_empty(),
        "apt-get has installed {list}, yet its programs are not found"
    );
    Ok(())
}

/// What to put before a command so that root runs it; `None` when that is not possible.
fn privilege() -> Option<&'static [&'static str]> {
    if Uid::effective().is_root() {
        return Some(&["env"]);
    }
    let sudo = Command::new("sudo").args(["-n", "true"]).output();
    sudo.is_ok_and(|output| output.status.success())
        .then_some(&["sudo", "-n", "env"])
}

fn apt_get(privilege: &[&str], arguments: &[&str]) -> anyhow::Result<()> {
    let status = Command::new(privilege[0])
        .args(&privilege[1..])
        .args(ENVIRONMENT)
        .args(["apt-get", "--quiet"])
        .args(arguments)
        .status()
        .context("cannot run apt-get")?;
    ensure!(
        status.success(),
        "apt-get {}: {status}",
        arguments.join(" ")
    );
    Ok(())
}

/// Looks in PATH and, because Debian leaves them out of a user's PATH, in the sbin folders.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(|folder| Path::new(folder).to_owned()))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
