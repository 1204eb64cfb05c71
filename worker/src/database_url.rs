//! Where PostgreSQL is: what `DATABASE_URL` says, and what libpq's environment variables add to it.
//!
//! tokio-postgres reads connection strings too, but stops at what it does not know, such as `sslrootcert`,
//! and knows no environment. So it is given the parameters that it knows, one by one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use shared::settings::{Setting, SettingError, redacted_url};
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::connection_string::pairs;
use crate::database_tls::Encryption;

/// How long to wait for a connection where `connect_timeout` does not say it: longer than a resolver
/// takes to give up its first name server and ask the next (5 s, resolv.conf(5)).
pub(crate) const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// A server that has vanished is noticed after this, also while a transaction waits for it.
const SILENCE: Duration = Duration::from_secs(15);

const VARIABLE: &str = "DATABASE_URL";
const EXPECTED: &str = "a URL such as postgres://user:password@host:5432/database";

/// The parameters that are understood: libpq's keyword, the variable that stands in for it, and what is
/// expected.
const KNOWN: [(&str, Option<&str>, &str); 22] = [
    ("host", Some("PGHOST"), "names of hosts"),
    ("hostaddr", Some("PGHOSTADDR"), "IP addresses"),
    (
        "port",
        Some("PGPORT"),
        "a port from 1 to 65535, or one for each host",
    ),
    ("dbname", Some("PGDATABASE"), "the name of a database"),
    ("user", Some("PGUSER"), "the name of a role"),
    ("password", Some("PGPASSWORD"), "a password"),
    (
        "options",
        Some("PGOPTIONS"),
        "options such as -c search_path=app",
    ),
    ("application_name", Some("PGAPPNAME"), "a name"),
    (
        "connect_timeout",
        Some("PGCONNECT_TIMEOUT"),
        "a whole number of seconds",
    ),
    (
        "sslmode",
        Some("PGSSLMODE"),
        "disable, allow, prefer, require, verify-ca or verify-full",
    ),
    (
        "sslrootcert",
        Some("PGSSLROOTCERT"),
        "system, or the name of a file",
    ),
    ("sslcert", Some("PGSSLCERT"), "the name of a file"),
    ("sslkey", Some("PGSSLKEY"), "the name of a file"),
    (
        "sslnegotiation",
        Some("PGSSLNEGOTIATION"),
        "postgres or direct",
    ),
    (
        "channel_binding",
        Some("PGCHANNELBINDING"),
        "disable, prefer or require",
    ),
    (
        "target_session_attrs",
        Some("PGTARGETSESSIONATTRS"),
        "any, read-write or read-only",
    ),
    (
        "load_balance_hosts",
        Some("PGLOADBALANCEHOSTS"),
        "disable or random",
    ),
    ("keepalives", None, "0 or 1"),
    ("keepalives_idle", None, "a whole number of seconds"),
    ("keepalives_interval", None, "a whole number of seconds"),
    ("keepalives_count", None, "a whole number"),
    ("tcp_user_timeout", None, "a whole number of milliseconds"),
];

/// Others of libpq's, and of Prisma's: their names may be shown, because they are no part of a password.
const UNSUPPORTED: [&str; 24] = [
    "client_encoding",
    "connection_limit",
    "fallback_application_name",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "krbsrvname",
    "passfile",
    "pgbouncer",
    "pool_timeout",
    "replication",
    "require_auth",
    "requirepeer",
    "schema",
    "service",
    "socket_timeout",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslpassword",
    "sslsni",
];

/// Where PostgreSQL is, and how TLS is done with it.
#[derive(Clone)]
pub struct DatabaseUrl {
    pub(crate) config: Config,
    pub(crate) encryption: Encryption,
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("DatabaseUrl(hidden)")
    }
}

/// A variable of the environment, by its name.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

impl DatabaseUrl {
    /// Reads `DATABASE_URL`, and what it leaves out from libpq's variables in `environment`. They are
    /// enough where they name a host.
    ///
    /// # Errors
    /// Names the variable that is missing or cannot be used.
    pub fn parse(value: Option<&str>, environment: Environment) -> Result<Self, SettingError> {
        let text = Setting::secret(VARIABLE, value).optional(EXPECTED, Some)?;
        let parameters = Parameters::new(text, environment)?;
        if !["host", "hostaddr"]
            .iter()
            .any(|keyword| parameters.has(keyword))
        {
            let found = text.map_or_else(|| "nothing".to_owned(), redacted_url);
            return Err(SettingError::new(VARIABLE, found, EXPECTED));
        }
        let mut config = parameters.config()?;
        let encryption = Encryption::new(&parameters, &mut config, environment)?;
        Ok(Self { config, encryption })
    }

    /// How long it may take to connect: each host has its time.
    pub(crate) fn connection_timeout(&self) -> Duration {
        let hosts = self.config.get_hosts().len().max(1);
        let of_each = self.config.get_connect_timeout();
        *of_each.unwrap_or(&CONNECTION_TIMEOUT) * u32::try_from(hosts).unwrap_or(u32::MAX)
    }
}

/// A parameter's text and where it stands.
struct Parameter {
    value: String,
    variable: &'static str,
}

/// Everything that is said about the connection, by libpq's keywords.
pub(crate) struct Parameters<'a> {
    text: &'a str,
    found: BTreeMap<&'static str, Parameter>,
}

impl<'a> Parameters<'a> {
    fn new(text: Option<&'a str>, environment: Environment) -> Result<Self, SettingError> {
        let text = text.unwrap_or_default();
        let refused = |expected: &str| SettingError::new(VARIABLE, redacted_url(text), expected);
        let mut found = BTreeMap::new();
        for (keyword, value) in pairs(text).ok_or_else(|| refused(EXPECTED))? {
            // As JDBC says it, and libpq too.
            let (keyword, value) = match (keyword.as_ref(), value.as_ref()) {
                ("ssl", "true") => (Cow::from("sslmode"), Cow::from("require")),
                _ => (keyword, value),
            };
            let Some((known, ..)) = KNOWN.iter().find(|(known, ..)| *known == keyword) else {
                let unsupported = UNSUPPORTED.iter().find(|name| **name == keyword);
                return Err(refused(&match unsupported {
                    Some(name) => format!("no parameter {name}, which is not supported"),
                    None => format!("{EXPECTED}, with no other parameters than libpq's"),
                }));
            };
            let variable = VARIABLE;
            let value = value.into_owned();
            // An empty one says nothing; compose files pass unset variables so too.
            if !value.is_empty() {
                found.insert(*known, Parameter { value, variable });
            }
        }
        for (keyword, variable, _) in KNOWN {
            let Some(variable) = variable else { continue };
            let Some(value) = environment(variable) else {
                continue;
            };
            let value = value.into_string().map_err(|_| {
                SettingError::new(variable, "text that is not UTF-8 (hidden)", "UTF-8")
            })?;
            if !value.is_empty() {
                found
                    .entry(keyword)
                    .or_insert(Parameter { value, variable });
            }
        }
        Ok(Self { text, found })
    }

    pub(crate) fn has(&self, keyword: &str) -> bool {
        self.found.contains_key(keyword)
    }

    /// The text of a parameter.
    pub(crate) fn get(&self, keyword: &str) -> Option<&str> {
        self.found
            .get(keyword)
            .map(|parameter| parameter.value.as_str())
    }

    /// What is wrong with a parameter, for the line that names the variable in which it stands.
    pub(crate) fn refused(&self, keyword: &str, found: &str, expected: &str) -> SettingError {
        let variable = self
            .found
            .get(keyword)
            .map_or(VARIABLE, |parameter| parameter.variable);
        let found = match variable {
            VARIABLE => format!("{keyword}={found}"),
            _ => found.to_owned(),
        };
        SettingError::new(variable, found, expected)
    }

    /// As above, the parameter's text being what is wrong. That of `DATABASE_URL` is hidden: part of a
    /// password with a slash in it may be taken for a port.
    pub(crate) fn not_as_expected(&self, keyword: &'static str) -> SettingError {
        let known = KNOWN.iter().find(|(known, ..)| *known == keyword);
        let expected = known.map_or(EXPECTED, |(.., expected)| *expected);
        match self.found.get(keyword) {
            Some(Parameter { variable, value })
                if *variable != VARIABLE && keyword != "password" =>
            {
                SettingError::new(variable, format!("{value:?}"), expected)
            }
            _ => SettingError::new(
                VARIABLE,
                redacted_url(self.text),
                format!("its {keyword} to be {expected}"),
            ),
        }
    }

    /// What tokio-postgres makes of the parameters that it knows.
    fn config(&self) -> Result<Config, SettingError> {
        let mut accepted = String::new();
        for (&keyword, Parameter { value, .. }) in &self.found {
            let (name, value) = match keyword {
                "sslmode" | "sslrootcert" | "sslcert" | "sslkey" => continue,
                "keepalives_count" => ("keepalives_retries", value.as_str().into()),
                "tcp_user_timeout" => (keyword, seconds(value).unwrap_or_else(|| value.into())),
                _ => (keyword, Cow::from(value)),
            };
            let value = value.replace('\\', r"\\").replace('\'', r"\'");
            let pair = format!("{name}='{value}' ");
            // One by one, to know which it is.
            if pair.parse::<Config>().is_err() {
                return Err(self.not_as_expected(keyword));
            }
            accepted.push_str(&pair);
        }
        let mut config: Config = accepted.parse().map_err(|_| self.not_as_expected("host"))?;
        let (hosts, addresses) = (config.get_hosts().len(), config.get_hostaddrs().len());
        if hosts > 0 && addresses > 0 && hosts != addresses {
            return Err(self.refused("hostaddr", "another number of them", "one for each host"));
        }
        if ![0, 1, hosts.max(addresses)].contains(&config.get_ports().len()) {
            return Err(self.not_as_expected("port"));
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECTION_TIMEOUT);
        }
        if !self.has("keepalives_idle") {
            config.keepalives_idle(SILENCE);
        }
        if !self.has("tcp_user_timeout") {
            config.tcp_user_timeout(SILENCE);
        }
        if config.get_application_name().is_none() {
            config.application_name("clerk-worker");
        }
        Ok(config)
    }
}

/// libpq counts this one in milliseconds, tokio-postgres in seconds.
fn seconds(milliseconds: &str) -> Option<Cow<'static, str>> {
    let milliseconds: u64 = milliseconds.parse().ok()?;
    Some(milliseconds.div_ceil(1000).to_string().into())
}

/// Whether all hosts are folders of sockets.
pub(crate) fn is_local(config: &Config) -> bool {
    let local = |host: &Host| matches!(host, Host::Unix(_));
    config.get_hostaddrs().is_empty() && config.get_hosts().iter().all(local)
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;

    use super::*;

    fn parse(text: Option<&str>, variables: &[(&str, &str)]) -> Result<Config, String> {
        let environment = |name: &str| {
            let variable = variables.iter().find(|(variable, _)| *variable == name);
            variable.map(|(_, value)| OsString::from(value))
        };
        DatabaseUrl::parse(text, &environment)
            .map(|url| url.config)
            .map_err(|error| error.to_string())
    }

    /// P11, P12
    #[test]
    fn a_url_that_cannot_be_used_is_refused_without_its_password() {
        for (url, expected) in [
            (None, "found nothing, expected a URL"),
            (Some("nonsense"), "expected a URL such as"),
            (Some("postgres://"), "expected a URL such as"),
            (Some("mysql://me:hunter2@h/d"), "expected a URL such as"),
            (
                Some("postgres://me:hunter2@h:port/d"),
                "expected its port to be a port",
            ),
            (
                Some("postgres://me:hunter2@h:1,i:2,j/d?port=1,2"),
                "expected its port to be",
            ),
            (
                Some("postgres://me:hunter2@h/d?sslmode=hunter2"),
                "expected its sslmode to be disable, allow",
            ),
            (
                Some("host=h password=hunter2 sslmode=on"),
                "expected its sslmode to be disable, allow",
            ),
            (Some("host=h password='hunter2"), "expected a URL such as"),
            (
                Some("host=h password=hunter2 sslcrl=x"),
                "expected no parameter sslcrl, which is not supported",
            ),
            (
                Some("postgres://me:hunter2@h/d?schema=app"),
                "expected no parameter schema",
            ),
            (
                Some("postgres://me:p@h?hunter2=x@h/d"),
                "with no other parameters than libpq's",
            ),
        ] {
            let error = parse(url, &[]).unwrap_err();
            assert!(error.starts_with("DATABASE_URL: found "), "{error}");
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn urls_and_key_value_pairs_say_the_same() {
        let mut configs = [
            "postgres://me:it's%20%5C@h:6000,[::1]/d?application_name=a%26b&keepalives_count=3",
            r"user=me password = 'it\'s \\' host=h,::1 port=6000, dbname=d application_name=a&b keepalives_count=3",
            r"port=6000, host=h,::1 password=it\'s\ \\ dbname=x dbname=d user='me' application_name='a&b' keepalives_count=3",
        ]
        .map(|text| parse(Some(text), &[]).unwrap());
        assert_eq!(configs[0].get_password(), Some(&br"it's \"[..]));
        assert_eq!(configs[0].get_ports(), [6000, 5432]);
        assert_eq!(configs[0].get_dbname(), Some("d"));
        assert_eq!(configs[0], configs[1]);
        assert_eq!(configs[0], configs[2]);
        let socket = parse(Some("postgresql://%2Frun%2Fpostgresql/d?user=me"), &[]).unwrap();
        assert_eq!(socket.get_hosts(), [Host::Unix("/run/postgresql".into())]);
        let [first, ..] = &mut configs;
        assert_ne!(
            first.application_name("other").get_application_name(),
            Some("a&b")
        );
    }

    #[test]
    fn a_password_may_hold_what_separates() {
        for password in ["a/b", "a?b", "a:b", "a=b&c", "%40%25"] {
            let config = parse(
                Some(&format!("postgres://me:{password}@h/d?options=-c%20a=b")),
                &[],
            );
            let decoded = percent_decode_str(password).decode_utf8().unwrap();
            assert_eq!(config.unwrap().get_password(), Some(decoded.as_bytes()));
        }
        let config = parse(Some("postgres://h/d?application_name=me@home"), &[]).unwrap();
        assert_eq!(config.get_application_name(), Some("me@home"));
        assert_eq!(config.get_user(), None);
    }

    #[test]
    fn variables_say_what_the_url_leaves_out() {
        let variables = [
            ("PGHOST", "other"),
            ("PGPORT", "6000"),
            ("PGUSER", "me"),
            ("PGPASSWORD", "it's"),
            ("PGDATABASE", "d"),
            ("PGAPPNAME", "app"),
            ("PGCONNECT_TIMEOUT", "3"),
            ("PGOPTIONS", "-c search_path=app"),
            ("PGTARGETSESSIONATTRS", "read-write"),
        ];
        let of_variables = parse(None, &variables).unwrap();
        let said = "host=other port=6000 user=me password=it\\'s dbname=d application_name=app \
             connect_timeout=3 options='-c search_path=app' target_session_attrs=read-write";
        assert_eq!(of_variables, parse(Some(said), &[]).unwrap());
        let mixed = parse(Some("postgres://you@h/e"), &variables).unwrap();
        assert_eq!(mixed.get_hosts(), [Host::Tcp("h".into())]);
        assert_eq!(
            (mixed.get_user(), mixed.get_dbname()),
            (Some("you"), Some("e"))
        );
        assert_eq!(
            (mixed.get_ports(), mixed.get_password()),
            (&[6000][..], Some(&b"it's"[..]))
        );
        assert_eq!(mixed.get_connect_timeout(), Some(&Duration::from_secs(3)));
        let address = parse(None, &[("PGHOSTADDR", "127.0.0.1"), ("PGHOST", "")]).unwrap();
        assert_eq!(address.get_hostaddrs().len(), 1);
        assert!(
            parse(None, &[("PGPORT", "6000")])
                .unwrap_err()
                .contains("DATABASE_URL: found nothing")
        );
    }

    /// P12
    #[test]
    fn a_variable_that_cannot_be_used_is_named() {
        for (variable, value, expected) in [
            (
                "PGPORT",
                "postgres",
                "PGPORT: found \"postgres\", expected a port from 1 to 65535",
            ),
            (
                "PGHOSTADDR",
                "localhost",
                "PGHOSTADDR: found \"localhost\", expected IP addresses",
            ),
            (
                "PGHOSTADDR",
                "::1,::2",
                "PGHOSTADDR: found another number of them, expected one for each",
            ),
            (
                "PGCONNECT_TIMEOUT",
                "5s",
                "PGCONNECT_TIMEOUT: found \"5s\", expected a whole number",
            ),
            (
                "PGTARGETSESSIONATTRS",
                "primary",
                "found \"primary\", expected any, read-write or",
            ),
            (
                "PGSSLMODE",
                "verify",
                "PGSSLMODE: found \"verify\", expected disable, allow, prefer",
            ),
            (
                "PGSSLROOTCERT",
                "/no/file",
                "PGSSLROOTCERT: found \"/no/file\", which does not exist, expected a file",
            ),
            (
                "PGSSLCERT",
                "/no/file",
                "PGSSLCERT: found \"/no/file\", which does not exist, expected a file",
            ),
        ] {
            let error = parse(Some("postgres://me:hunter2@h/d"), &[(variable, value)]).unwrap_err();
            assert!(
                error.contains(expected) && error.starts_with(variable),
                "{error}"
            );
        }
    }
}
