//! Passwords in a file: `PGPASSFILE`, `passfile`, or `~/.pgpass`
//! (<https://www.postgresql.org/docs/current/libpq-pgpass.html>).

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Once;

use shared::settings::SettingError;
use shared::tls::unreadable;
use tokio_postgres::config::Host;
use tokio_postgres::{Config, Error};

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

/// Host and port of every server, as they stand in a password file.
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

/// The password in the first line for these: host, port, database and user.
fn find(content: &str, wanted: [&str; 4]) -> Option<String> {
    content
        .split('\n')
        .map(|line| line.trim_end_matches('\r'))
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let rest = wanted.iter().try_fold(line, |line, wanted| {
                let (field, rest) = field(line)?;
                let is_it = line.starts_with("*:") || field == *wanted;
                is_it.then_some(rest?)
            })?;
            field(rest).map(|(password, _)| password)
        })
        .filter(|password| !password.is_empty())
}

/// What stands in front of the next colon, or the end, without the backslashes that keep colons and backslashes
/// apart from it; and what stands behind that colon.
fn field(line: &str) -> Option<(String, Option<&str>)> {
    let mut field = String::new();
    let mut characters = line.chars();
    loop {
        match characters.next() {
            None => return Some((field, None)),
            Some(':') => return Some((field, Some(characters.as_str()))),
            Some('\\') => field.push(characters.next().unwrap_or('\\')),
            Some(other) => field.push(other),
        }
    }
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

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;
    use crate::database::url::DatabaseUrl;

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let file = "# h:5432:d:me:comment\n\
                    h:5432:d:other:1\n\
                    h:5433:d:me:2\r\n\
                    \\:\\:1:*:a\\\\b:*:3\n\
                    h:5432:d:me:it\\:s \\\\ #4:ignored\n\
                    h:5432:d:me:late\n\
                    *:5432:e\\:f:me:5\n\
                    h:5432:too few\n\
                    \\*:*:*:*:6\n\
                    *:*:*:*:7";
        for (wanted, password) in [
            (["h", "5432", "d", "other"], "1"),
            (["h", "5433", "d", "me"], "2"),
            (["::1", "1", "a\\b", "x"], "3"),
            (["h", "5432", "d", "me"], "it:s \\ #4"),
            (["x", "5432", "e:f", "me"], "5"),
            (["*", "1", "d", "me"], "6"),
            (["x", "1", "d", "me"], "7"),
        ] {
            assert_eq!(find(file, wanted).as_deref(), Some(password), "{wanted:?}");
        }
        assert_eq!(find("h:1:d:me:\nx:1:d:me:y", ["h", "1", "d", "me"]), None);
        assert_eq!(find("h:1:d:me", ["h", "1", "d", "me"]), None);
    }

    fn write(file: &Path, content: &str, mode: u32) {
        fs::write(file, content).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn password(url: &str, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let environment = |name: &str| {
            let variable = variables.iter().find(|(variable, _)| *variable == name);
            variable.map(|(_, value)| OsString::from(value))
        };
        let url = DatabaseUrl::parse(Some(url), &environment).map_err(|error| error.to_string())?;
        let password = url.config.get_password();
        Ok(password.map(|password| String::from_utf8(password.to_vec()).unwrap()))
    }

    /// P11, P12
    #[test]
    fn a_file_is_looked_for_where_libpq_looks_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let (named, home) = (folder.path().join("named"), folder.path().join(".pgpass"));
        write(
            &named,
            "localhost:5432:d:me:named\nh:1:me:me:of the role\n*:*:d:me:any",
            0o600,
        );
        write(&home, "*:*:*:*:home", 0o400);
        let (name, folder) = (named.to_str().unwrap(), folder.path().to_str().unwrap());
        let (file, home_folder) = (("PGPASSFILE", name), ("HOME", folder));
        for (url, variables, expected) in [
            (
                "postgres://me@localhost/d",
                &[file, home_folder][..],
                Some("named"),
            ),
            (
                "postgres://me@%2Fvar%2Frun%2Fpostgresql/d",
                &[file],
                Some("named"),
            ),
            ("postgres://me@%2Felsewhere/d", &[file], Some("any")),
            ("postgres://me@x/d", &[file], Some("any")),
            ("host=h port=1 user=me", &[file], Some("of the role")),
            ("hostaddr=::1 user=me dbname=d", &[file], Some("any")),
            ("postgres://me@x/e", &[file, home_folder], None),
            ("postgres://me@x/e", &[home_folder], Some("home")),
            (
                "postgres://me:said@localhost/d",
                &[file, home_folder],
                Some("said"),
            ),
            (
                "postgres://me@localhost/d",
                &[file, ("PGPASSWORD", "said")],
                Some("said"),
            ),
            ("postgres://me@localhost/d", &[], None),
            ("postgres://me@localhost/d", &[("HOME", "/no/folder")], None),
        ] {
            assert_eq!(
                password(url, variables).unwrap().as_deref(),
                expected,
                "{url}, {variables:?}"
            );
        }
        let keyword = format!("postgres://me@localhost/d?passfile={name}");
        assert_eq!(
            password(&keyword, &[home_folder]).unwrap().as_deref(),
            Some("named")
        );

        // No password is shown, and one that is given makes the file needless.
        let error = password("postgres://me@localhost,x/d", &[file]).unwrap_err();
        assert!(error.contains("another password for each"), "{error}");
        for (mode, what) in [
            (0o604, "others may read (mode 0604)"),
            (0o620, "(mode 0620)"),
        ] {
            write(&named, "*:*:*:*:hunter2", mode);
            let error = password("postgres://me@h/d", &[file]).unwrap_err();
            assert!(
                error.starts_with("PGPASSFILE: found ") && error.contains(what),
                "{error}"
            );
            assert!(!error.contains("hunter2"), "{error}");
            assert!(password("postgres://me:said@h/d", &[file]).is_ok());
        }
        // As in libpq, that of the home folder is left alone then.
        write(&home, "*:*:*:*:hunter2", 0o644);
        assert_eq!(password("postgres://me@h/d", &[home_folder]), Ok(None));
        let error = password("postgres://me@h/d", &[("PGPASSFILE", folder)]).unwrap_err();
        assert!(error.contains("which is no plain file"), "{error}");
    }
}
