//! What is wrong with a file, and where.

use std::fmt;

use super::name::{is_name, without_export};

/// A line, and the variable that it sets if it can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    line: usize,
    variable: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, ".env, line {}", self.line)?;
        match &self.variable {
            Some(variable) => write!(formatter, ", {variable}"),
            None => Ok(()),
        }
    }
}

/// A line that cannot be read. Its text shows nothing of a value.
#[derive(Debug, thiserror::Error)]
#[error("{place}: found {found}, expected {expected}")]
pub(crate) struct Mistake {
    place: Place,
    found: &'static str,
    expected: &'static str,
}

/// What is wrong, and what is expected.
pub(super) type Wrong = (&'static str, &'static str);

impl Mistake {
    pub(super) const fn new(place: Place, (found, expected): Wrong) -> Self {
        Self {
            place,
            found,
            expected,
        }
    }
}

impl Place {
    /// The line that begins where `before` ends.
    pub(super) fn new(before: &str, statement: &str, is_setting: &dyn Fn(&str) -> bool) -> Self {
        let line = statement.lines().next().unwrap_or_default();
        let line = without_export(line);
        let end = line.find(['=', ':']);
        let variable = end.map(|end| line[..end].trim_end());
        let variable = variable.filter(|name| is_name(name)).or_else(|| {
            let word = line.split_whitespace().next()?;
            is_setting(word).then_some(word)
        });
        Self {
            line: before.matches('\n').count() + 1,
            variable: variable.map(str::to_owned),
        }
    }

    /// The same line, about the variable `name` if it can be one.
    pub(super) fn about(self, name: Option<&str>) -> Self {
        let variable = name.filter(|name| is_name(name)).map(str::to_owned);
        Self { variable, ..self }
    }
}
