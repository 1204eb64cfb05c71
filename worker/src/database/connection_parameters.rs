//! What `DATABASE_URL` and libpq's variables say together, by libpq's keywords.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsString;

use shared::settings::{QUOTES, QUOTES_EXPECTED, SettingError, check_quotes, redacted_url};

use crate::database::catalogue::name::quoted;
use crate::database::connection_string::pairs;
use crate::database::libpq_keywords::{ALL, Keyword, Treatment};

/// The variable that holds the connection string.
pub(crate) const VARIABLE: &str = "DATABASE_URL";
/// What it is expected to be.
pub(crate) const EXPECTED: &str = "a URL such as postgres://user:password@host:5432/database";

/// A variable of the environment, by its name.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// A parameter's text and where it stands.
struct Parameter {
    value: String,
    variable: &'static str,
}

/// Everything that is said about the connection.
pub(crate) struct Parameters<'a> {
    text: &'a str,
    found: BTreeMap<&'static str, Parameter>,
}

/// Parameters of Prisma's own, which say nothing to other clients.
/// <https://www.prisma.io/docs/orm/overview/databases/postgresql#arguments>
const OF_PRISMA: [&str; 5] = [
    "connection_limit",
    "pgbouncer",
    "pool_timeout",
    "socket_timeout",
    "statement_cache_size",
];

/// What Prisma calls a schema, as libpq has it.
fn search_path(schema: &str) -> String {
    let quoted = quoted(schema).replace('\\', "\\\\").replace(' ', "\\ ");
    format!("-csearch_path={quoted}")
}

impl<'a> Parameters<'a> {
    /// Reads the connection string, and what it leaves out from the variables of `environment`.
    pub(crate) fn new(
        text: Option<&'a str>,
        environment: Environment<'_>,
    ) -> Result<Self, SettingError> {
        let mut parameters = Self {
            text: text.unwrap_or_default(),
            found: BTreeMap::new(),
        };
        parameters.read_text()?;
        parameters.read_variables(environment)?;
        Ok(parameters)
    }

    fn read_text(&mut self) -> Result<(), SettingError> {
        let refused =
            |expected: &str| SettingError::new(VARIABLE, redacted_url(self.text), expected);
        for (name, value) in pairs(self.text).ok_or_else(|| refused(EXPECTED))? {
            // As JDBC says it, and libpq too.
            let (name, value) = match (name.as_ref(), value.as_ref()) {
                ("ssl", "true") => (Cow::from("sslmode"), Cow::from("require")),
                (name, _) if OF_PRISMA.contains(&name) => continue,
                // Most likely the default, and poolers know no options.
                ("schema", "public") => continue,
                ("schema", schema) => (Cow::from("options"), Cow::from(search_path(schema))),
                _ => (name, value),
            };
            let keyword = Keyword::find(&name).ok_or_else(|| {
                refused(&format!(
                    "{EXPECTED}, with no other parameters than libpq's"
                ))
            })?;
            // An empty one says nothing; compose files pass unset variables so too.
            if value.is_empty() {
                continue;
            }
            let value = accepted(keyword, &value).ok_or_else(|| {
                refused(&match keyword.treatment {
                    Treatment::Refused => {
                        format!("no parameter {name}, which is not supported")
                    }
                    _ => format!("its {name} to be {}", keyword.expected()),
                })
            })?;
            // A schema is one more option.
            let value = match self.found.get(keyword.name) {
                Some(before) if keyword.name == "options" => format!("{} {value}", before.value),
                _ => value,
            };
            let variable = VARIABLE;
            let parameter = Parameter { value, variable };
            self.found.insert(keyword.name, parameter);
        }
        Ok(())
    }

    fn read_variables(&mut self, environment: Environment<'_>) -> Result<(), SettingError> {
        for keyword in ALL {
            let Some(variable) = keyword.variable.filter(|_| !self.has(keyword.name)) else {
                continue;
            };
            let Some(value) = environment(variable) else {
                continue;
            };
            let value = value.into_string().map_err(|_| {
                SettingError::new(variable, "text that is not UTF-8 (hidden)", "UTF-8")
            })?;
            // Secrets that were made with echo end like this.
            let value = value.trim_end_matches(['\r', '\n']);
            if value.is_empty() {
                continue;
            }
            if keyword.name == "password" {
                check_quotes_of_password(variable, value)?;
            } else {
                check_quotes(variable, value)?;
            }
            let value = accepted(keyword, value)
                .ok_or_else(|| SettingError::new(variable, shown(value), keyword.expected()))?;
            let parameter = Parameter { value, variable };
            self.found.insert(keyword.name, parameter);
        }
        Ok(())
    }

    pub(crate) fn has(&self, keyword: &str) -> bool {
        self.found.contains_key(keyword)
    }

    /// The text of a parameter.
    pub(crate) fn get(&self, keyword: &str) -> Option<&str> {
        let parameter = self.found.get(keyword);
        parameter.map(|parameter| parameter.value.as_str())
    }

    /// All parameters that tokio-postgres knows, with their keywords.
    pub(crate) fn of_the_driver(&self) -> impl Iterator<Item = (&'static str, &str)> {
        ALL.iter()
            .filter(|keyword| matches!(keyword.treatment, Treatment::Driver(_)))
            .filter_map(|keyword| Some((keyword.name, self.get(keyword.name)?)))
    }

    /// What is wrong with a parameter, for the line that names the variable in which it stands.
    pub(crate) fn refused(&self, keyword: &str, found: &str, expected: &str) -> SettingError {
        let variable = self
            .found
            .get(keyword)
            .map_or(VARIABLE, |parameter| parameter.variable);
        if variable != VARIABLE {
            return SettingError::new(variable, found, expected);
        }
        if self.is_in_doubt() {
            let expected = format!("its {keyword} to be {expected}");
            return SettingError::new(variable, redacted_url(self.text), expected);
        }
        SettingError::new(variable, format!("{keyword}={found}"), expected)
    }

    /// Whether what stands behind the `?` of a URL may be a part of its password: a password may hold a `?`, and
    /// parameters seldom hold an `@`.
    fn is_in_doubt(&self) -> bool {
        let parameters = self.text.split_once('?');
        self.text.contains("://") && parameters.is_some_and(|(_, rest)| rest.contains('@'))
    }

    /// As [`Parameters::refused`], the parameter's text being what is wrong. That of `DATABASE_URL` is hidden: part
    /// of a password with a slash in it may be taken for a port.
    pub(crate) fn not_as_expected(&self, keyword: &'static str) -> SettingError {
        let expected = Keyword::find(keyword).map_or_else(String::new, Keyword::expected);
        match self.found.get(keyword) {
            Some(Parameter { variable, value })
                if *variable != VARIABLE && keyword != "password" =>
            {
                SettingError::new(variable, shown(value), expected)
            }
            _ => SettingError::new(
                VARIABLE,
                redacted_url(self.text),
                format!("its {keyword} to be {expected}"),
            ),
        }
    }
}

/// The value of a parameter in libpq's spelling, where we take it.
fn accepted(keyword: &Keyword, value: &str) -> Option<String> {
    match keyword.treatment {
        Treatment::Driver(_) | Treatment::Ours(_) => Some(value.to_owned()),
        Treatment::OneOf(values) => values
            .iter()
            .find(|accepted| accepted.eq_ignore_ascii_case(value))
            .map(|accepted| (*accepted).to_owned()),
        Treatment::Refused => None,
    }
}

/// What may be shown of a variable that cannot be used: a URL was meant for another one.
fn shown(value: &str) -> String {
    if value.contains("://") || value.contains('@') {
        return redacted_url(value);
    }
    format!("{value:?}")
}

/// A password may begin with a quotation mark.
fn check_quotes_of_password(variable: &'static str, password: &str) -> Result<(), SettingError> {
    let is_in =
        |quote| password.len() > 1 && password.starts_with(quote) && password.ends_with(quote);
    if QUOTES.into_iter().any(is_in) {
        let found = "a password between quotation marks (hidden)";
        let expected =
            format!("{QUOTES_EXPECTED} (if they belong to it, write it into {VARIABLE})");
        return Err(SettingError::new(variable, found, expected));
    }
    Ok(())
}
