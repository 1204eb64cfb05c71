//! A policy of row-level security.

use tokio_postgres::{Error, Row};

/// A policy that is about our role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// `SELECT`, `INSERT`, `UPDATE` or `DELETE`; `None`: all of them.
    pub command: Option<String>,
    /// One of these is enough; of the others, the restrictive ones, all count.
    pub is_permissive: bool,
    /// Whether it says true of rows that are there, where it says anything of them.
    pub shows_all: bool,
    /// The same of rows that are written.
    pub takes_all: bool,
}

impl Policy {
    /// Whether it is about this command.
    #[must_use]
    pub fn is_about(&self, command: &str) -> bool {
        self.command.as_deref().is_none_or(|own| own == command)
    }

    /// Whether it lets every row pass.
    #[must_use]
    pub const fn says_true(&self) -> bool {
        self.shows_all && self.takes_all
    }

    pub(super) fn of(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            name: row.try_get("name")?,
            command: row.try_get("command")?,
            is_permissive: row.try_get("is_permissive")?,
            shows_all: row.try_get("shows_all")?,
            takes_all: row.try_get("takes_all")?,
        })
    }
}
