//! Where PostgreSQL is: what `DATABASE_URL` says, and what libpq's environment variables add to it.

#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use deadpool_postgres::Connect;
use shared::settings::{Setting, SettingError, redacted_url};
use tokio_postgres::{Config, Error};

pub use crate::database::connection_parameters::Environment;
use crate::database::connection_parameters::{EXPECTED, Parameters, VARIABLE};
use crate::database::driver_config::{CONNECTION_TIMEOUT, driver_config};
use crate::database::password_file::PasswordFile;
use crate::database::tls::{Connected, Encryption};

/// Where PostgreSQL is, how TLS is done with it, and where the password is looked up.
#[derive(Clone)]
pub struct DatabaseUrl {
    pub(crate) config: Config,
    encryption: Encryption,
    password_file: Option<PasswordFile>,
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("DatabaseUrl(hidden)")
    }
}

impl DatabaseUrl {
    /// Reads `DATABASE_URL`, and what it leaves out from libpq's variables in `environment`. They are
    /// enough where they name a host.
    ///
    /// # Errors
    /// Names the variable that is missing or cannot be used.
    pub fn parse(value: Option<&str>, environment: Environment<'_>) -> Result<Self, SettingError> {
        let text = Setting::secret(VARIABLE, value).optional(EXPECTED, Some)?;
        let parameters = Parameters::new(text, environment)?;
        if !["host", "hostaddr"]
            .iter()
            .any(|keyword| parameters.has(keyword))
        {
            let found = text.map_or_else(|| "nothing".to_owned(), redacted_url);
            return Err(SettingError::new(VARIABLE, found, EXPECTED));
        }
        let mut config = driver_config(&parameters)?;
        let password_file = PasswordFile::new(&parameters, &mut config, environment)?;
        let encryption = Encryption::new(&parameters, &mut config, environment)?;
        Ok(Self {
            config,
            encryption,
            password_file,
        })
    }

    /// The `search_path` that sessions are asked to have, if any.
    #[must_use]
    pub fn search_path(&self) -> Option<String> {
        let words = words(self.config.get_options().unwrap_or_default());
        // `-c name=value` and `--name=value` are the same; the last one holds.
        let settings = words.iter().rev().filter_map(|word| {
            let word = word.strip_prefix("-c").or_else(|| word.strip_prefix("--"));
            word.unwrap_or_default().split_once('=')
        });
        let mut paths = settings.filter(|(name, _)| name.replace('-', "_") == "search_path");
        paths.next().map(|(_, path)| path.to_owned())
    }

    /// How long it may take to connect: each host has its time.
    pub(crate) fn connection_timeout(&self) -> Duration {
        let hosts = self.config.get_hosts().len().max(1);
        let of_each = self.config.get_connect_timeout();
        *of_each.unwrap_or(&CONNECTION_TIMEOUT) * u32::try_from(hosts).unwrap_or(u32::MAX)
    }
}

/// The words of `options`, as PostgreSQL reads them: blanks end a word, unless a backslash stands before them. A `-c` that
/// is a word of its own belongs to the next one.
fn words(options: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    let mut characters = options.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.extend(characters.next()),
            blank if blank.is_whitespace() => {
                if word != "-c" && !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            other => word.push(other),
        }
    }
    words.push(word);
    words
}

impl Connect for DatabaseUrl {
    fn connect(
        &self,
        config: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<Connected, Error>> + Send + '_>> {
        let mut config = config.clone();
        let password = self.password_file.as_ref().and_then(PasswordFile::current);
        if let Some(password) = password {
            config.password(password);
        }
        Box::pin(async move { self.encryption.connect(&config).await })
    }
}
