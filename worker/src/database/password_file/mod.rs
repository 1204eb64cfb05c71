//! Passwords in a file: `PGPASSFILE`, `passfile`, or `~/.pgpass`
//! (<https://www.postgresql.org/docs/current/libpq-pgpass.html>).

mod lines;
#[cfg(test)]
mod tests;

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Once;

use shared::settings::SettingError;
use shared::tls::unreadable;
use tokio_postgres::config::Host;
use tokio_postgres::{Config, Error};

use self::lines::find;
use crate::database::connection_parameters::{Environment, Parameters};

const EXPECTED: &str =
    "a file of lines host:port:database:user:password that nobody else may read (mode 0600)";

/// Folders of the server's socket where nobody has said otherwise: libpq takes the one for which it was built for
/// `localhost`.
const DEFAULT_SOCKETS: [&str; 3] = ["/var/run/postgresql", "/run/postgresql", "/tmp"];

/// A file, and what is looked for in it.
#[derive(Clone)]
pub(crate) struct PasswordFile {
    path: PathBuf,
    /// Host and port of every server.
    servers: Vec<(String, String)>,
    database: String,
    user: String,
}

impl PasswordFile {
    /// The file that the parameters name, or `~/.pgpass`. `None` where there is none, or the password is known.
    /// Gives `config` the password.
    ///
    /// # Errors
    /// When a file that is named cannot be used.
    pub(crate) fn new(
        parameters: &Parameters<'_>,
        config: &mut Config,
        environment: Environment<'_>,
    ) -> Result<Option<Self>, SettingError> {
        if parameters.has("password") {
            return Ok(None);
        }
        let named = parameters.get("passfile");
        let path = match (named, environment("HOME")) {
            (Some(file), _) => PathBuf::from(file),
            (None, Some(home)) => PathBuf::from(home).join(".pgpass"),
            (None, None) => return Ok(None),
        };
        if named.is_none() && !path.exists() {
            return Ok(None);
        }
        // As tokio-postgres does.
        let user = config.get_user().map(str::to_owned);
        let Some(user) = user.or_else(|| whoami::username().ok()) else {
            return Ok(None);
        };
        let file = Self {
            path,
            servers: servers(config),
            database: config.get_dbname().unwrap_or(&user).to_owned(),
            user,
        };
        match file.password() {
            Ok(Some(password)) => {
                config.password(password);
            }
            Ok(None) => {}
            Err(found) if named.is_some() => {
                return Err(parameters.refused("passfile", &found, EXPECTED));
            }
            // The log, which does not exist yet, is told at the first connection.
            Err(_) => {}
        }
        Ok(Some(file))
    }

    /// The password that it has now: it may have been changed with that of the role. `None` where it has none, or
    /// cannot be used, which the log is told once.
    pub(crate) fn current(&self) -> Option<String> {
        static WARNING: Once = Once::new();
        self.password().unwrap_or_else(|found| {
            WARNING.call_once(|| {
                tracing::warn!("the password file is not used: found {found}, expected {EXPECTED}");
            });
            None
        })
    }

    /// # Errors
    /// What was found instead of a file that can be used.
    fn password(&self) -> Result<Option<String>, String> {
        let refused = |found: &str| format!("{:?}, {found}", self.path);
        let unreadable = |error| refused(&unreadable(&error));
        let metadata = fs::metadata(&self.path).map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(refused("which is no plain file"));
        }
        if is_open_to_others(&metadata) {
            let found = format!(
                "which others may read (mode {:04o})",
                metadata.mode() & 0o7777
            );
            return Err(refused(&found));
        }
        let content = fs::read(&self.path).map_err(unreadable)?;
        let content = String::from_utf8(content).map_err(|_| refused("which is not UTF-8"))?;
        let passwords = self
            .servers
            .iter()
            .filter_map(|(host, port)| find(&content, [host, port, &self.database, &self.user]));
        let mut passwords: Vec<_> = passwords.collect();
        passwords.dedup();
        match passwords.len() {
            0 | 1 => Ok(passwords.pop()),
            _ => Err(refused("which has another password for each of the hosts")),
        }
    }
}

/// libpq's rule for the files of keys: those of root may be read by a group. It has none for password files, but
/// an orchestrator that mounts a secret for somebody who is not root has no other way.
fn is_open_to_others(metadata: &Metadata) -> bool {
    let mode = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    metadata.mode() & mode != 0
}

/// Host and port of every server, as a password file writes them.
fn servers(config: &Config) -> Vec<(String, String)> {
    let (hosts, addresses) = (config.get_hosts(), config.get_hostaddrs());
    let ports = config.get_ports();
    (0..hosts.len().max(addresses.len()))
        .map(|place| {
            let host = match (hosts.get(place), addresses.get(place)) {
                (Some(Host::Tcp(host)), _) => host.clone(),
                (Some(Host::Unix(folder)), _) => match folder.to_string_lossy() {
                    folder if DEFAULT_SOCKETS.contains(&&*folder) => "localhost".to_owned(),
                    folder => folder.into_owned(),
                },
                (None, Some(address)) => address.to_string(),
                (None, None) => "localhost".to_owned(),
            };
            let port = ports.get(place).or(ports.first()).copied().unwrap_or(5432);
            (host, port.to_string())
        })
        .collect()
}

/// That the server wants a password and there is none, in words; `None` if the error is about something else.
pub(crate) fn reason(error: &Error) -> Option<String> {
    // The driver tells the kind of an error in its text only.
    let source = std::error::Error::source(error)?.to_string();
    (source == "password missing").then(|| {
        "PostgreSQL wants a password, and there is none for this host, port, database and role in DATABASE_URL, \
         PGPASSWORD or a password file"
            .to_owned()
    })
}
