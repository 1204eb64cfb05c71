//! The programs of the servers that the tests start.
//!
//! | variable | names | where it is not set |
//! | --- | --- | --- |
//! | `TEST_REDIS_SERVER` | a redis-server | the one in PATH |
//! | `TEST_POSTGRES_BIN` | a folder with initdb, postgres and psql | the one in PATH, or Debian's newest |
//!
//! `cargo xtask test --redis-server PATH --postgres-bin FOLDER` sets them. redis-cli is always the one in
//! PATH: packages that bring a server alone do not have it.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};

/// The variable that names a redis-server, by its absolute path.
pub const TEST_REDIS_SERVER: &str = "TEST_REDIS_SERVER";
/// The variable that names a folder with PostgreSQL's programs, by its absolute path.
pub const TEST_POSTGRES_BIN: &str = "TEST_POSTGRES_BIN";

/// What to start as redis-server.
pub fn redis_server() -> PathBuf {
    env::var_os(TEST_REDIS_SERVER).map_or_else(|| "redis-server".into(), PathBuf::from)
}

/// The folder with initdb, postgres and psql.
///
/// # Errors
///
/// When they are not in the folder that the variable names; without it, neither in PATH nor where Debian
/// keeps them.
pub fn postgres_binaries() -> anyhow::Result<PathBuf> {
    if let Some(folder) = env::var_os(TEST_POSTGRES_BIN) {
        let folder = PathBuf::from(folder);
        ensure!(
            is_complete(&folder),
            "{}: initdb, postgres or psql is missing",
            folder.display()
        );
        return Ok(folder);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    if let Some(folder) = env::split_paths(&path).find(|folder| is_complete(folder)) {
        return Ok(folder);
    }
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    versions
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, folder)| is_complete(folder))
        .max()
        .map(|(_, folder)| folder)
        .context("found no PostgreSQL server, neither in PATH nor in /usr/lib/postgresql")
}

fn is_complete(folder: &Path) -> bool {
    ["initdb", "postgres", "psql"]
        .iter()
        .all(|name| folder.join(name).is_file())
}
