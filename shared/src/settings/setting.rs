//! One setting, from its text to its value.

use std::net::SocketAddr;
use std::time::Duration;

use super::error::SettingError;
use super::quotes::check_quotes;
use super::redaction::{hidden, holds_a_key_of_clerk, redacted_url, shortened};
use crate::redis_servers::RedisServers;
use crate::tls::{Authorities, CERTIFICATES_EXPECTED};

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
                    false if holds_a_key_of_clerk(value) => hidden(value),
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
}
