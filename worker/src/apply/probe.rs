//! What only PostgreSQL can say of a value: whether its column takes it, and what the column then holds. Nothing is
//! written for it.

use std::time::SystemTime;

use deadpool_postgres::Transaction;
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use crate::apply::parents::Found;
use crate::apply::statements;
use crate::apply::target::Target;
use crate::apply::winner::{Winner, misfit};
use crate::database::catalogue::column::Column;
use crate::database::failure::Refusal;
use crate::event::Event;
use crate::fit::Fitted;
use crate::fit::misfit::{Misfit, Problem};
use crate::tables::section::{Column as MappedColumn, Content};

/// What PostgreSQL says of a value.
pub(crate) enum Answer {
    /// The column takes it, and this is what it then says.
    Holds(Option<String>),
    /// Its type cannot read the value.
    Unreadable,
    /// This check of its domain refuses the value.
    Checked(String),
    /// Something else is in the way, so nobody knows.
    Unknown,
}

impl Answer {
    /// What is wrong with `fitted`, if anything is.
    pub(crate) fn problem(&self, fitted: &Fitted<'_>, column: &Column) -> Option<Problem> {
        let name = || column.name.clone();
        match self {
            Self::Holds(_) | Self::Unknown => None,
            Self::Unreadable | Self::Checked(_) if *fitted == Fitted::Null => {
                Some(Problem::Nothing(name()))
            }
            Self::Unreadable => {
                let expected = column.exact_sql_type.clone().into();
                Some(Problem::Unreadable(name(), expected))
            }
            Self::Checked(check) => Some(Problem::Checked(name(), check.clone())),
        }
    }
}

/// Asks what `column` makes of `fitted`. The transaction can go on afterwards.
///
/// # Errors
/// When the session is gone.
pub(crate) async fn ask(
    transaction: &Transaction<'_>,
    fitted: &Fitted<'_>,
    column: &Column,
) -> Result<Answer, Error> {
    let (sql, kind) = statements::probe(column);
    let (time, text): (Option<SystemTime>, Option<&str>) = (fitted.time(), fitted.text());
    let value: &(dyn ToSql + Sync) = match kind {
        Type::TIMESTAMPTZ => &time,
        _ => &text,
    };
    let parameters = [(value, kind)];
    transaction.batch_execute("SAVEPOINT probe").await?;
    // Without a name: see the module pooler.
    let answer = match transaction.query_typed(&sql, &parameters).await {
        Ok(rows) => match rows.first() {
            Some(row) => Answer::Holds(row.try_get(0)?),
            None => Answer::Unknown,
        },
        Err(error) => match error.as_db_error().filter(|error| !ends_session(error)) {
            Some(error) => of_error(error),
            None => return Err(error),
        },
    };
    transaction
        .batch_execute("ROLLBACK TO SAVEPOINT probe; RELEASE SAVEPOINT probe")
        .await?;
    Ok(answer)
}

/// The refusal of `event`, with the field and the column whose value is refused, if that is what it is about. Asks about
/// one column after the other, so only once it is known which event is refused.
///
/// # Errors
/// As [`ask`].
pub(crate) async fn named(
    transaction: &Transaction<'_>,
    target: &Target,
    event: Option<&Event>,
    refusal: Refusal,
) -> Result<Refusal, Error> {
    let event = event.filter(|_| refusal.doubts_a_value);
    let object = event.and_then(|event| Some((event, event.changed()?)));
    let Some((event, object)) = object else {
        return Ok(refusal);
    };
    let found = Found::look_up(transaction, target, &[event]).await?;
    let Ok(winner) = Winner::fit(event, object, target, &found) else {
        return Ok(refusal);
    };
    let key = target.section.id_key();
    if let Some(key) = key.and_then(|key| target.table.column(key)) {
        let id = Fitted::Text(object.id.as_str().into());
        if let Some(problem) = ask(transaction, &id, key).await?.problem(&id, key) {
            return Ok(misfit(target, &Misfit::of_id(problem)));
        }
    }
    for (mapped, cell, fitted) in winner.columns() {
        let Some(stored) = target.table.column(&mapped.name) else {
            continue;
        };
        let fitted = expected(mapped, fitted);
        let answer = ask(transaction, &fitted, stored).await?;
        if let Some(problem) = answer.problem(&fitted, stored) {
            return Ok(misfit(target, &Misfit::new(cell, mapped, problem)));
        }
    }
    Ok(refusal)
}

/// What stands for a value that only the statement makes: any UUID is as long.
pub(crate) fn expected<'a>(mapped: &MappedColumn, fitted: &Fitted<'a>) -> Fitted<'a> {
    match mapped.content {
        Content::Uuid => Fitted::Text(Uuid::nil().to_string().into()),
        _ => fitted.clone(),
    }
}

fn ends_session(error: &DbError) -> bool {
    matches!(
        error.parsed_severity(),
        Some(Severity::Fatal | Severity::Panic)
    )
}

fn of_error(error: &DbError) -> Answer {
    match (error.code(), error.constraint()) {
        (&SqlState::CHECK_VIOLATION, Some(check)) => Answer::Checked(check.to_owned()),
        (&SqlState::NOT_NULL_VIOLATION, _) => Answer::Unreadable,
        (code, _) if code.code().starts_with("22") => Answer::Unreadable,
        _ => Answer::Unknown,
    }
}
