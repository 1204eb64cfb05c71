//! Reading a setting, and the one line that says what is wrong with it.
//!
//! Every setting is an environment variable and a command line flag. clap collects both as plain
//! text; what the text means is decided here, so that a mistake is reported in one line that names
//! the variable and never shows a secret.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use crate::log_settings::{LogFormat, is_filter};
use crate::partition::MOST_PARTITIONS;
use crate::redis_servers::RedisServers;
use crate::tls::{Authorities, CERTIFICATES_EXPECTED};

/// A setting that cannot be used. Its text is one line and shows no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: found {found}, expected {expected}")]
pub struct SettingError {
    variable: &'static str,
    found: String,
    expected: String,
}

impl SettingError {
    /// `found` is shown as it is: redact it first if it is secret.
    #[must_use]
    pub fn new(
        variable: &'static str,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self {
            variable,
            found: found.into(),
            expected: expected.into(),
        }
    }
}

/// A setting's text, before anybody knows whether it is valid.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    variable: &'static str,
    /// `None` when the variable is missing or blank: compose files pass unset variables as "".
    value: Option<&'a str>,
    secret: bool,
}

impl<'a> Setting<'a> {
    /// A setting whose value may be shown.
    #[must_use]
    pub fn new(variable: &'static str, value: Option<&'a str>) -> Self {
        Self {
            variable,
            value: value.map(str::trim).filter(|value| !value.is_empty()),
            secret: false,
        }
    }

    /// A setting whose value is never shown.
    #[must_use]
    pub fn secret(variable: &'static str, value: Option<&'a str>) -> Self {
        Self {
            secret: true,
            ..Self::new(variable, value)
        }
    }

    /// Whether there is a value.
    #[must_use]
    pub const fn is_set(&self) -> bool {
        self.value.is_some()
    }

    /// The value, if there is one.
    ///
    /// # Errors
    /// When `parse` refuses the value; `expected` says what it should have been.
    pub fn optional<T>(
        self,
        expected: &str,
        parse: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<Option<T>, SettingError> {
        self.explained(|value| {
            parse(value).ok_or_else(|| {
                let found = match self.secret {
                    true => hidden(value),
                    // Meant for another variable.
                    false if KEYS_OF_CLERK.iter().any(|key| value.contains(key)) => hidden(value),
                    false if value.contains("://") || value.contains('@') => redacted_url(value),
                    false => format!("{:?}", shortened(value)),
                };
                (found, expected.to_owned())
            })
        })
    }

    /// The value, if there is one.
    ///
    /// # Errors
    /// When `parse` refuses the value, with what it says was found, and expected. What was found must show no
    /// secret.
    pub fn explained<T>(
        self,
        parse: impl FnOnce(&'a str) -> Result<T, (String, String)>,
    ) -> Result<Option<T>, SettingError> {
        let Some(value) = self.value else {
            return Ok(None);
        };
        check_quotes(self.variable, value)?;
        let parsed = parse(value);
        parsed
            .map(Some)
            .map_err(|(found, expected)| SettingError::new(self.variable, found, expected))
    }

    /// The value, which must be there.
    ///
    /// # Errors
    /// When it is missing, or `parse` refuses it.
    pub fn required<T>(
        self,
        expected: &str,
        parse: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T, SettingError> {
        self.optional(expected, parse)?
            .ok_or_else(|| SettingError::new(self.variable, "nothing", expected))
    }

    /// A whole number from `range`, or `default`.
    ///
    /// # Errors
    /// When the value is not such a number.
    pub fn number(
        self,
        default: u64,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<u64, SettingError> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let value = self.optional(&expected, |text| {
            text.parse().ok().filter(|n| range.contains(n))
        })?;
        Ok(value.unwrap_or(default))
    }

    /// A number of milliseconds from `range`, or `default`.
    ///
    /// # Errors
    /// When the value is not such a number.
    pub fn milliseconds(
        self,
        default: u64,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<Duration, SettingError> {
        self.number(default, range).map(Duration::from_millis)
    }

    /// An address to listen on, or `default`.
    ///
    /// # Errors
    /// When the value is not `IP:PORT`.
    pub fn address(self, default: SocketAddr) -> Result<SocketAddr, SettingError> {
        let address = self.optional("an IP address and port, such as 127.0.0.1:9100", |text| {
            text.parse().ok()
        })?;
        Ok(address.unwrap_or(default))
    }

    /// A file of the certificates of authorities.
    ///
    /// # Errors
    /// When it cannot be read or holds none.
    pub fn authorities(self) -> Result<Option<Authorities>, SettingError> {
        let refused = |found| (found, CERTIFICATES_EXPECTED.to_owned());
        self.explained(|file| Authorities::read(file).map_err(refused))
    }

    /// Where a Redis is; see [`RedisServers::parse`].
    ///
    /// # Errors
    /// When the value is not such a URL.
    pub fn redis_url(
        self,
        authorities: Option<&Authorities>,
    ) -> Result<Option<RedisServers>, SettingError> {
        self.explained(|value| {
            RedisServers::parse(value, authorities)
                .map_err(|expected| (redacted_url(value), expected.to_owned()))
        })
    }
}

/// Refuses a value that begins with a quotation mark: no setting does, but `docker run --env-file` takes quotes for
/// a part of the value.
///
/// # Errors
/// Names the variable; the value is not shown.
pub fn check_quotes(variable: &'static str, value: &str) -> Result<(), SettingError> {
    if value.trim_start().starts_with(QUOTES) {
        let found = "a value that begins with a quotation mark (hidden)";
        return Err(SettingError::new(variable, found, QUOTES_EXPECTED));
    }
    Ok(())
}

/// What secrets begin with that Clerk's dashboard shows.
const KEYS_OF_CLERK: [&str; 3] = ["whsec_", "sk_live_", "sk_test_"];

/// The quotation marks that people put round values.
pub const QUOTES: [char; 2] = ['"', '\''];

/// What is expected instead of a value in quotes.
pub const QUOTES_EXPECTED: &str = "no quotes round it: docker's --env-file keeps them";

pub(crate) fn hidden(value: &str) -> String {
    format!("a value of {} characters (hidden)", value.chars().count())
}

fn shortened(value: &str) -> &str {
    value
        .char_indices()
        .nth(80)
        .map_or(value, |(end, _)| &value[..end])
}

/// What URLs begin with, in settings of ours and in those that are mistaken for them.
const SCHEMES: [&str; 20] = [
    "redis",
    "rediss",
    "redis-cluster",
    "rediss-cluster",
    "redis-sentinel",
    "rediss-sentinel",
    "redis+sentinel",
    "valkey",
    "valkeys",
    "unix",
    "tcp",
    "postgres",
    "postgresql",
    "prisma",
    "prisma+postgres",
    "mysql",
    "http",
    "https",
    "grpc",
    "ftp",
];

/// What may be shown of a URL that cannot be used: all of it if nothing in it can be a password, or else its
/// scheme. Where a URL is wrong nobody knows which part of it was meant as the password: it may hold any sign
/// that separates, or the host behind it may be missing. So only a host without a port, and a path, are shown.
#[must_use]
pub fn redacted_url(value: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
    match value.split_once("://") {
        Some((scheme, rest)) if SCHEMES.contains(&scheme) => {
            if rest.chars().all(is_plain) {
                format!("{:?}", shortened(value))
            } else {
                format!("a URL that begins with {scheme}:// (hidden)")
            }
        }
        _ => hidden(value),
    }
}

/// The flags that both programs have, as text.
#[derive(Args, Debug, Default)]
pub struct CommonArguments {
    /// The Redis that holds the queue: redis://user:password@host:port/database, or rediss:// for TLS; several host:port, with commas between, or redis-cluster://host:port, are a cluster; redis-sentinel://host:port/database?master=name [default: redis://127.0.0.1:6379]
    #[arg(long, env = "REDIS_URL", hide_env_values = true, global = true)]
    redis_url: Option<String>,
    /// File of the authorities (PEM) that sign the certificates of rediss:// servers [default: the system's]
    #[arg(long, env = "REDIS_CA_FILE", hide_env_values = true, global = true)]
    redis_ca_file: Option<String>,
    /// Number of streams that the events are spread over, up to 64 [default: 1]
    #[arg(long, env = "REDIS_PARTITIONS", hide_env_values = true, global = true)]
    redis_partitions: Option<String>,
    /// Address of /healthz, /readyz, /metrics and, of a worker, /status [default: 127.0.0.1:9100 ingest, 127.0.0.1:9101 worker]
    #[arg(long, env = "ADMIN_ADDR", hide_env_values = true, global = true)]
    admin_addr: Option<String>,
    /// How long to finish what is in flight after SIGTERM, in milliseconds [default: 10000]
    #[arg(long, env = "SHUTDOWN_GRACE_MS", hide_env_values = true, global = true)]
    shutdown_grace_ms: Option<String>,
    /// What to log: a level, or directives as of Rust's tracing [default: info]
    #[arg(long, env = "RUST_LOG", hide_env_values = true, global = true)]
    rust_log: Option<String>,
    /// text or json [default: text on a terminal, json elsewhere]
    #[arg(long, env = "LOG_FORMAT", hide_env_values = true, global = true)]
    log_format: Option<String>,
}

/// The settings that both programs have.
#[derive(Debug, Clone)]
pub struct CommonSettings {
    /// The Redis that holds the queue.
    pub redis: RedisServers,
    /// Who signs the certificates of Redis servers, if it is not the system's authorities.
    pub redis_authorities: Option<Authorities>,
    /// How many streams the events are spread over.
    pub partitions: u32,
    /// Address of the admin endpoints.
    pub admin_address: SocketAddr,
    /// How long to finish what is in flight after a signal.
    pub shutdown_grace: Duration,
    /// Directives of what to log.
    pub log_filter: String,
    /// How to write a log line.
    pub log_format: LogFormat,
}

impl CommonArguments {
    /// Reads the text into settings.
    ///
    /// # Errors
    /// Names the first setting that cannot be used.
    pub fn settings(
        &self,
        default_admin_address: SocketAddr,
    ) -> Result<CommonSettings, SettingError> {
        let partitions = Setting::new("REDIS_PARTITIONS", self.redis_partitions.as_deref())
            .number(1, 1..=MOST_PARTITIONS.into())?
            .try_into()
            .unwrap_or(MOST_PARTITIONS);
        let redis_authorities =
            Setting::new("REDIS_CA_FILE", self.redis_ca_file.as_deref()).authorities()?;
        let redis = Setting::secret("REDIS_URL", self.redis_url.as_deref());
        let redis = match redis.redis_url(redis_authorities.as_ref())? {
            Some(redis) => redis,
            None => RedisServers::parse("redis://127.0.0.1:6379", None)
                .map_err(|expected| SettingError::new("REDIS_URL", "nothing", expected))?,
        };
        let log_filter = Setting::new("RUST_LOG", self.rust_log.as_deref())
            .optional(
                "a level (error, warn, info, debug, trace) or tracing directives",
                |text| is_filter(text).then(|| text.to_owned()),
            )?
            .unwrap_or_else(|| "info".to_owned());
        Ok(CommonSettings {
            redis,
            redis_authorities,
            partitions,
            admin_address: self.admin_address(default_admin_address)?,
            shutdown_grace: Setting::new("SHUTDOWN_GRACE_MS", self.shutdown_grace_ms.as_deref())
                .milliseconds(10_000, 100..=3_600_000)?,
            log_filter,
            log_format: Setting::new("LOG_FORMAT", self.log_format.as_deref())
                .optional("text or json", LogFormat::parse)?
                .unwrap_or_else(LogFormat::of_this_terminal),
        })
    }

    /// `ADMIN_ADDR` alone: all that the health check needs.
    ///
    /// # Errors
    /// When it is not an address.
    pub fn admin_address(&self, default: SocketAddr) -> Result<SocketAddr, SettingError> {
        Setting::new("ADMIN_ADDR", self.admin_addr.as_deref()).address(default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_number_is_named_with_what_was_found_and_expected() {
        let error = Setting::new("BATCH_SIZE", Some("many"))
            .number(256, 1..=10_000)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "BATCH_SIZE: found \"many\", expected a whole number from 1 to 10000"
        );
    }

    #[test]
    fn a_blank_value_is_the_default() {
        assert_eq!(
            Setting::new("BATCH_SIZE", Some("  "))
                .number(256, 1..=10_000)
                .unwrap(),
            256
        );
    }

    #[test]
    fn a_secret_is_never_shown() {
        let error = Setting::secret("DATABASE_URL", Some("hunter2"))
            .required("a URL", |_| None::<()>)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("DATABASE_URL: found a value of 7 characters (hidden)"),
            "{error}"
        );
        for url in [
            "rediss://me:hunter2@host:1/0#insecure",
            "redis://me:hunter2#x@host:1/0",
            "redis-sentinel://me:hunter2@host:1",
            "redis://me:hunter2@host:1,host:2/1",
            "hunter2",
            "http://x:hunter2@h/",
            "redis://default:hunter2",
            "redis://:hunter2",
            "redis://default:hunter2/0",
            "redis://me:12/hunter2@host",
            "redis://me:12?hunter2@host",
            "redis://me:12/hunter2@host,other",
            "rediss://default:123456hunter2",
            "hunter2://host",
            "hunter2@host://x",
            "\"redis://default:hunter2@host\"",
            "redis-sentinel://me:hunter2?x@a,b?master=m",
        ] {
            let error = Setting::secret("REDIS_URL", Some(url))
                .redis_url(None)
                .unwrap_err()
                .to_string();
            assert!(!error.contains("hunter2"), "{error}");
            assert_eq!(error.lines().count(), 1);
        }
    }

    /// P11: a secret that was meant for another variable.
    #[test]
    fn a_secret_in_the_wrong_place_is_not_shown() {
        for value in ["whsec_hunter2", "sk_live_hunter2", "/sk_test_hunter2"] {
            let error = Setting::new("INGEST_ADDR", Some(value))
                .address(([127, 0, 0, 1], 1).into())
                .unwrap_err();
            let found = format!("INGEST_ADDR: found a value of {} characters", value.len());
            assert!(error.to_string().starts_with(&found), "{error}");
        }
    }

    /// P12
    #[test]
    fn quotes_that_were_kept_are_named() {
        for value in ["\"5\"", "'5'", "\"5", " \"5\"\r"] {
            let error = Setting::new("BATCH_SIZE", Some(value))
                .number(256, 1..=10)
                .unwrap_err();
            assert_eq!(
                error.to_string(),
                "BATCH_SIZE: found a value that begins with a quotation mark (hidden), \
                 expected no quotes round it: docker's --env-file keeps them"
            );
        }
        assert_eq!(
            Setting::new("BATCH_SIZE", Some("5\r")).number(256, 1..=10),
            Ok(5)
        );
    }

    #[test]
    fn a_number_of_partitions_that_cannot_be_is_refused() {
        let arguments = |partitions: &str| CommonArguments {
            redis_partitions: Some(partitions.into()),
            ..Default::default()
        };
        let default = "127.0.0.1:9100".parse().unwrap();
        for partitions in ["1", "64"] {
            assert!(arguments(partitions).settings(default).is_ok());
        }
        for partitions in ["0", "65", "two"] {
            let error = arguments(partitions).settings(default).unwrap_err();
            assert!(error.to_string().contains("REDIS_PARTITIONS"), "{error}");
        }
    }
}
