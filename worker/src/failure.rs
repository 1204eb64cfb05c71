//! What to do about what PostgreSQL says, decided by its SQLSTATE
//! (<https://www.postgresql.org/docs/15/errcodes-appendix.html>).
//!
//! The message and detail of an error quote the row, so neither is ever shown: a reason is made of
//! the code, the constraint and the table.

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use crate::database_tls;
use crate::password_file;
use crate::user::UserId;

/// A failure, by what its caller does about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The store is away or not fit to be used. It heals by itself: wait, count it against nobody.
    Unavailable(String),
    /// So is the queue's Redis, which has to be asked before the commit.
    QueueUnavailable(String),
    /// The database refuses something in the batch.
    Refused(Refusal),
}

/// Why the database refuses an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// For the log and the dead letter.
    pub reason: String,
    /// What may be done about it.
    pub remedy: Remedy,
    /// What PostgreSQL quotes of the row.
    pub quoted: Quoted,
}

impl Refusal {
    /// Whether it is a row that is refused, not another transaction that is in the way.
    #[must_use]
    pub const fn is_of_its_own(&self) -> bool {
        matches!(self.remedy, Remedy::GiveUp | Remedy::TryLater)
    }

    /// Whether it is most likely the row of this user that is refused.
    #[must_use]
    pub fn names(&self, user_id: &UserId) -> bool {
        let quoted = self.quoted.0.as_ref();
        quoted.is_some_and(|text| text.contains(user_id.as_str()))
    }
}

/// Part of a row. It is searched for user ids and never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Quoted(Option<Box<str>>);

impl Quoted {
    /// What PostgreSQL calls the detail of an error.
    pub(crate) fn of(detail: Option<&str>) -> Self {
        Self(detail.map(Into::into))
    }
}

impl std::fmt::Debug for Quoted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Quoted(hidden)")
    }
}

/// What may be done about a refused event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Another transaction was in the way: at once again.
    Repeat,
    /// A unique value is taken, by another user's address most likely: wait until it is free.
    WaitUntilFree,
    /// PostgreSQL was held up on it, by another session's lock or by itself: try again later.
    Stalled,
    /// It may heal: try again later.
    TryLater,
    /// It cannot heal: dead-letter at once.
    GiveUp,
}

impl Failure {
    /// In words.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Unavailable(reason)
            | Self::QueueUnavailable(reason)
            | Self::Refused(Refusal { reason, .. }) => reason,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error.as_db_error() {
            Some(error) => of_database(error),
            // The connection is broken, or the server does not speak as it should.
            None => Self::Unavailable(if error.is_closed() {
                "the connection to PostgreSQL was closed".to_owned()
            } else {
                let reason = database_tls::reason(&error)
                    .or_else(|| password_file::reason(&error))
                    .unwrap_or_else(|| error.to_string());
                format!("PostgreSQL cannot be used: {reason}")
            }),
        }
    }
}

fn of_database(error: &DbError) -> Failure {
    match remedy(error.code()) {
        Some(remedy) => Failure::Refused(Refusal {
            reason: reason(error),
            remedy,
            quoted: Quoted::of(error.detail()),
        }),
        None => Failure::Unavailable(reason(error)),
    }
}

/// `None` when it is the store that is at fault, not the event.
fn remedy(code: &SqlState) -> Option<Remedy> {
    let remedy = match *code {
        SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => Remedy::Repeat,
        SqlState::UNIQUE_VIOLATION | SqlState::EXCLUSION_VIOLATION => Remedy::WaitUntilFree,
        SqlState::LOCK_NOT_AVAILABLE | SqlState::QUERY_CANCELED => Remedy::Stalled,
        SqlState::FOREIGN_KEY_VIOLATION => Remedy::TryLater,
        SqlState::NOT_NULL_VIOLATION | SqlState::CHECK_VIOLATION => Remedy::GiveUp,
        // No right to write, for a time or until somebody grants it.
        SqlState::INSUFFICIENT_PRIVILEGE | SqlState::READ_ONLY_SQL_TRANSACTION => return None,
        // The session was ended for idling inside a transaction: we were held up. Or it has lost its
        // prepared statements, behind a pooler.
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT | SqlState::INVALID_SQL_STATEMENT_NAME => {
            return None;
        }
        _ => match code.code().get(..2) {
            // Connection, authorization, no such database, resources, operator, system, configuration.
            Some("08" | "28" | "3D" | "53" | "57" | "58" | "F0") => return None,
            // Data that no column takes; a limit of the program, such as the size of an index row.
            Some("22" | "54") => Remedy::GiveUp,
            // A trigger of the application, most likely.
            _ => Remedy::TryLater,
        },
    };
    Some(remedy)
}

fn reason(error: &DbError) -> String {
    let what = match *error.code() {
        SqlState::UNIQUE_VIOLATION => "a unique value is taken by another row",
        SqlState::FOREIGN_KEY_VIOLATION => "another table still points at the user",
        SqlState::NOT_NULL_VIOLATION => "a column of the application must not be null",
        SqlState::CHECK_VIOLATION => "a check of the application refuses the row",
        SqlState::LOCK_NOT_AVAILABLE => "another session holds the row",
        SqlState::T_R_DEADLOCK_DETECTED => "deadlock",
        SqlState::QUERY_CANCELED => "the statement took too long or was cancelled",
        SqlState::RAISE_EXCEPTION => "a trigger of the application refuses the row",
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            "PostgreSQL does not let this client in: pg_hba.conf, a client certificate or the role"
        }
        SqlState::INVALID_PASSWORD => "PostgreSQL refuses the password",
        _ => "PostgreSQL refuses it",
    };
    let mut reason = format!("{what} (SQLSTATE {}", error.code().code());
    for (label, name) in [
        ("constraint", error.constraint()),
        ("table", error.table()),
        ("column", error.column()),
    ] {
        if let Some(name) = name {
            reason.push_str(&format!(", {label} {name}"));
        }
    }
    reason.push(')');
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P8: a store that is away counts against nobody.
    #[test]
    fn a_store_that_is_away_is_no_fault_of_the_event() {
        for code in [
            "08006", "53100", "53300", "57P01", "57P03", "58030", "28P01", "3D000", "25006",
            "42501",
        ] {
            assert_eq!(remedy(&SqlState::from_code(code)), None, "{code}");
        }
    }

    #[test]
    fn what_cannot_heal_is_given_up_and_what_may_is_not() {
        for (code, expected) in [
            ("23505", Remedy::WaitUntilFree),
            ("23P01", Remedy::WaitUntilFree),
            ("40001", Remedy::Repeat),
            ("40P01", Remedy::Repeat),
            ("55P03", Remedy::Stalled),
            ("23503", Remedy::TryLater),
            ("57014", Remedy::Stalled),
            ("P0001", Remedy::TryLater),
            ("42703", Remedy::TryLater),
            ("23502", Remedy::GiveUp),
            ("23514", Remedy::GiveUp),
            ("22021", Remedy::GiveUp),
            ("54000", Remedy::GiveUp),
        ] {
            assert_eq!(remedy(&SqlState::from_code(code)), Some(expected), "{code}");
        }
    }
}
