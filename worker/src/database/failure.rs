//! What to do about what PostgreSQL says.
//!
//! Its SQLSTATE (<https://www.postgresql.org/docs/15/errcodes-appendix.html>) tells much, but not who says it: a
//! trigger of the application may raise any code for one row, also that of a full disk. So only the codes that are
//! about the row whoever raises them are taken as they are. For the rest PostgreSQL is asked, see `apply::canary`.
//!
//! The message and detail of an error quote the row, so neither is ever shown: a reason is made of
//! the code, the constraint and the table.

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::database::password_file;
use crate::database::tls;

/// A failure, by what its caller does about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The store is away or not fit to be used. It heals by itself: wait, count it against nobody.
    Unavailable(String),
    /// So is the queue's Redis, which has to be asked before the commit.
    QueueUnavailable(String),
    /// Either of the two around it: only PostgreSQL can tell, see `apply::canary`.
    Doubtful(Refusal),
    /// The database refuses something in the batch.
    Refused(Refusal),
}

/// Why the database refuses an event. The default: it cannot heal, and nobody says why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// For the log and the dead letter.
    pub reason: String,
    /// What may be done about it.
    pub remedy: Remedy,
    /// What PostgreSQL quotes of the row.
    pub quoted: Quoted,
    /// Whether it may be the table that is another one than it was.
    pub doubts_the_table: bool,
    /// Whether it may be that the type of a column does not take a value.
    pub doubts_a_value: bool,
}

impl Refusal {
    /// Whether it is a row that is refused, not another transaction that is in the way.
    #[must_use]
    pub const fn is_of_its_own(&self) -> bool {
        matches!(self.remedy, Remedy::GiveUp | Remedy::TryLater)
    }

    /// Whether it is most likely the row of this object that is refused.
    #[must_use]
    pub fn names(&self, object_id: &str) -> bool {
        let quoted = self.quoted.0.as_ref();
        quoted.is_some_and(|text| text.contains(object_id))
    }
}

/// Part of a row. It is searched for ids and never shown.
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Remedy {
    /// Another transaction was in the way: at once again.
    Repeat,
    /// A unique value is taken, by another object most likely: wait until it is free.
    WaitUntilFree,
    /// PostgreSQL was held up on it, by another session's lock or by itself: try again later.
    Stalled,
    /// PostgreSQL did not say anything in time: the same, in another session.
    Unanswered,
    /// The session knows its prepared statements no more, or they are outdated: at once again without them.
    PrepareAgain,
    /// It may heal: try again later.
    TryLater,
    /// It cannot heal: dead-letter at once.
    #[default]
    GiveUp,
}

impl Failure {
    /// In words.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Unavailable(reason)
            | Self::QueueUnavailable(reason)
            | Self::Doubtful(Refusal { reason, .. })
            | Self::Refused(Refusal { reason, .. }) => reason,
        }
    }

    /// What may be done about the event, if it is the event's failure or may be.
    pub(crate) const fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::Doubtful(refusal) | Self::Refused(refusal) => Some(refusal.remedy),
            Self::Unavailable(_) | Self::QueueUnavailable(_) => None,
        }
    }

    /// Whether nobody knows what state the session is in.
    pub(crate) const fn breaks_the_session(&self) -> bool {
        match self {
            Self::Unavailable(_) => true,
            Self::QueueUnavailable(_) => false,
            Self::Doubtful(refusal) | Self::Refused(refusal) => {
                matches!(refusal.remedy, Remedy::Unanswered | Remedy::PrepareAgain)
            }
        }
    }

    /// A transaction that did not end in time.
    pub(crate) fn unanswered() -> Self {
        Self::Doubtful(Refusal {
            reason: "PostgreSQL does not answer".to_owned(),
            remedy: Remedy::Unanswered,
            ..Refusal::default()
        })
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
                let reason = tls::reason(&error)
                    .or_else(|| password_file::reason(&error))
                    .unwrap_or_else(|| with_source(&error));
                format!("PostgreSQL cannot be used: {reason}")
            }),
        }
    }
}

/// With what the operating system says: that the connection is refused, or that nobody knows the host.
fn with_source(error: &Error) -> String {
    let source = std::error::Error::source(error);
    match source.filter(|source| source.is::<std::io::Error>()) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn of_database(error: &DbError) -> Failure {
    let ends_session = match error.parsed_severity() {
        Some(severity) => matches!(severity, Severity::Fatal | Severity::Panic),
        None => matches!(error.severity(), "FATAL" | "PANIC"),
    };
    if ends_session {
        return Failure::Unavailable(reason(error));
    }
    let refusal = |remedy| Refusal {
        reason: reason(error),
        remedy,
        quoted: Quoted::of(error.detail()),
        doubts_the_table: doubts_the_table(error.code()),
        // Of a domain's check PostgreSQL names the domain.
        doubts_a_value: error.code().code().starts_with("22") || error.datatype().is_some(),
    };
    match remedy(error.code()) {
        Ok(certain) => Failure::Refused(refusal(certain)),
        Err(doubtful) => Failure::Doubtful(refusal(doubtful)),
    }
}

/// `Ok` for what is about the row, `Err` where it may as well be PostgreSQL that is at fault: what is to be
/// done if it is not.
fn remedy(code: &SqlState) -> Result<Remedy, Remedy> {
    match *code {
        SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => Ok(Remedy::Repeat),
        SqlState::UNIQUE_VIOLATION | SqlState::EXCLUSION_VIOLATION => Ok(Remedy::WaitUntilFree),
        // The second is what PostgreSQL 18 says of ON DELETE RESTRICT.
        SqlState::FOREIGN_KEY_VIOLATION | SqlState::RESTRICT_VIOLATION => Ok(Remedy::TryLater),
        SqlState::NOT_NULL_VIOLATION | SqlState::CHECK_VIOLATION => Ok(Remedy::GiveUp),
        SqlState::LOCK_NOT_AVAILABLE | SqlState::QUERY_CANCELED => Err(Remedy::Stalled),
        // After ALTER TABLE the plan of a prepared statement may return other types than before; behind some
        // poolers the statement is gone, or another one has its name.
        SqlState::FEATURE_NOT_SUPPORTED
        | SqlState::INVALID_SQL_STATEMENT_NAME
        | SqlState::DUPLICATE_PSTATEMENT => Err(Remedy::PrepareAgain),
        _ => match code.code().get(..2) {
            // Data that no column takes; a limit of the program, such as the size of an index row.
            Some("22" | "54") => Ok(Remedy::GiveUp),
            // RAISE in a trigger of the application.
            Some("P0") => Ok(Remedy::TryLater),
            _ => Err(Remedy::TryLater),
        },
    }
}

/// What PostgreSQL says where a column is not what it was: NOT NULL, shorter, of another type, gone.
fn doubts_the_table(code: &SqlState) -> bool {
    matches!(code.code(), "23502" | "22001" | "22P02" | "0A000") || code.code().starts_with("42")
}

fn reason(error: &DbError) -> String {
    let what = match *error.code() {
        SqlState::UNIQUE_VIOLATION => "a unique value is taken by another row",
        SqlState::FOREIGN_KEY_VIOLATION | SqlState::RESTRICT_VIOLATION => {
            "a foreign key of the application refuses the change"
        }
        SqlState::NOT_NULL_VIOLATION => "a column of the application must not be null",
        SqlState::CHECK_VIOLATION => "a check of the application refuses the row",
        SqlState::LOCK_NOT_AVAILABLE => "another session holds a lock",
        SqlState::T_R_DEADLOCK_DETECTED => "deadlock",
        SqlState::QUERY_CANCELED => "the statement took too long or was cancelled",
        SqlState::RAISE_EXCEPTION => "a trigger of the application refuses the row",
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

    /// P6, P8: a trigger may raise what PostgreSQL says when it is away, and the other way round.
    #[test]
    fn what_may_be_the_store_or_the_event_is_not_told_by_its_code() {
        for code in [
            "08006", "0A000", "25006", "25P03", "26000", "28P01", "3D000", "40003", "42501",
            "42703", "42P01", "53100", "53300", "55P03", "57014", "57P01", "57P03", "58030",
            "F0000", "HV000", "XX000", "ZZ999",
        ] {
            assert!(remedy(&SqlState::from_code(code)).is_err(), "{code}");
        }
    }

    #[test]
    fn what_cannot_heal_is_given_up_and_what_may_is_not() {
        for (code, expected) in [
            ("23505", Remedy::WaitUntilFree),
            ("23P01", Remedy::WaitUntilFree),
            ("40001", Remedy::Repeat),
            ("40P01", Remedy::Repeat),
            ("23001", Remedy::TryLater),
            ("23503", Remedy::TryLater),
            ("P0001", Remedy::TryLater),
            ("23502", Remedy::GiveUp),
            ("23514", Remedy::GiveUp),
            ("22021", Remedy::GiveUp),
            ("54000", Remedy::GiveUp),
        ] {
            assert_eq!(remedy(&SqlState::from_code(code)), Ok(expected), "{code}");
        }
    }
}
