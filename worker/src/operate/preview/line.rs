//! What would be written to one column.

use deadpool_postgres::Transaction;
use shared::terminal::escaped;
use tokio_postgres::Error;

use crate::apply::probe::{self, Answer};
use crate::apply::target::Target;
use crate::apply::winner::check_id;
use crate::database::catalogue::column::{Column as Stored, Kind};
use crate::database::catalogue::table::{Table, found_column};
use crate::event::object::Object;
use crate::event::row::Cell;
use crate::fit::misfit::Misfit;
use crate::fit::{Fitted, fit};
use crate::operate::preview::wording::quoted;
use crate::tables::path::{EventField, Path};
use crate::tables::section::{Column, Content, From};
use crate::tables::value::Value;

/// One column.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) sql_type: String,
    /// What it would say.
    pub(super) value: String,
    /// Where that comes from.
    pub(super) note: String,
    /// Why it cannot say that.
    pub(super) misfit: Option<Misfit>,
}

/// The column that holds Clerk's id, if that is the key.
///
/// # Errors
/// What PostgreSQL says.
pub(super) async fn of_key(
    transaction: &Transaction<'_>,
    target: &Target,
    object: &Object,
) -> Result<Option<Line>, Error> {
    let key = target.section.id_key();
    let Some(stored) = key.and_then(|key| target.table.column(key)) else {
        return Ok(None);
    };
    let fitted = Fitted::Text(object.id.as_str().into());
    let misfit = match check_id(object, target) {
        Err(misfit) => Some(misfit),
        Ok(()) => {
            let answer = probe::ask(transaction, &fitted, stored).await?;
            answer.problem(&fitted, stored).map(Misfit::of_id)
        }
    };
    Ok(Some(Line {
        name: stored.name.clone(),
        sql_type: type_name(stored),
        value: quoted(object.id.as_str()),
        note: "id".to_owned(),
        misfit,
    }))
}

/// What an event says of a column.
pub(super) struct Saying<'a> {
    pub(super) mapped: &'a Column,
    pub(super) stored: &'a Stored,
    pub(super) cell: &'a Cell,
    /// What the cell would be without the column's `map`.
    pub(super) unmapped: Option<&'a Cell>,
    /// Whether there is no such event yet.
    pub(super) is_supposed: bool,
    /// The table of the row that it refers to.
    pub(super) parent: Option<&'a Table>,
}

impl Saying<'_> {
    /// What becomes of it.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub(super) async fn line(&self, transaction: &Transaction<'_>) -> Result<Line, Error> {
        if let Some(line) = self.found() {
            return Ok(line);
        }
        let fitted = match self.mapped.content {
            Content::Uuid => Ok(probe::expected(self.mapped, &Fitted::Null)),
            _ => fit(self.cell, self.mapped, self.stored),
        };
        let (mut value, misfit) = match &fitted {
            Err(misfit) => (said(&self.cell.value), Some(misfit.clone())),
            Ok(fitted) => {
                let answer = probe::ask(transaction, fitted, self.stored).await?;
                match answer.problem(fitted, self.stored) {
                    Some(problem) => {
                        let misfit = Misfit::new(self.cell, self.mapped, problem);
                        (said(&self.cell.value), Some(misfit))
                    }
                    None => (self.held(fitted, answer), None),
                }
            }
        };
        let mut notes = vec![self.origin()];
        if let Ok(fitted) = &fitted {
            notes.extend(self.shortened(fitted).map(str::to_owned));
        }
        if let Some(words) = self.words() {
            words.clone_into(&mut value);
        }
        if self.cell.keeps {
            notes.push(format!("{value} in a new row"));
            "stays as it is".clone_into(&mut value);
        }
        if misfit.is_some() {
            notes.push("does not fit".to_owned());
        }
        Ok(Line {
            name: self.stored.name.clone(),
            sql_type: type_name(self.stored),
            value,
            note: notes.join("; "),
            misfit,
        })
    }

    /// What another row says, which is not looked at.
    fn found(&self) -> Option<Line> {
        let Content::Find(find) = &self.mapped.content else {
            return None;
        };
        let column = found_column(find, self.parent?)?;
        let (id, family) = (self.cell.value.text()?, &find.family);
        let name = &column.name;
        Some(Line {
            name: self.stored.name.clone(),
            sql_type: type_name(self.stored),
            value: escaped(&format!("{name} of the row of {family} {id}")),
            note: find.id.to_string(),
            misfit: None,
        })
    }

    /// As the column has it.
    fn held(&self, fitted: &Fitted<'_>, answer: Answer) -> String {
        let text = match answer {
            Answer::Holds(text) => text,
            _ => fitted.text().map(str::to_owned),
        };
        let Some(text) = text else {
            return "NULL".to_owned();
        };
        match self.stored.kind {
            Kind::Text { .. } | Kind::Enum(_) | Kind::Uuid | Kind::Other => quoted(&text),
            _ => escaped(&text),
        }
    }

    /// What is another value each time, in words.
    fn words(&self) -> Option<&'static str> {
        let path = match &self.mapped.content {
            Content::Uuid => return Some("a new UUID"),
            Content::Constant(..) | Content::Find(_) => return None,
            Content::From(From { map: Some(_), .. }) => return None,
            Content::From(from) => from.paths.get(self.cell.said_by?)?,
        };
        match path {
            Path::Now => Some("the worker's clock"),
            Path::Event(EventField::Id) => Some("the event's svix-id"),
            Path::Event(EventField::ReceivedAt) => Some("when it is received"),
            Path::Event(EventField::Timestamp) if self.is_supposed => Some("when it is deleted"),
            _ => None,
        }
    }

    /// Which of the column's options have said it.
    fn origin(&self) -> String {
        let from = match &self.mapped.content {
            Content::Uuid => return "generated".to_owned(),
            Content::Constant(..) => return "constant".to_owned(),
            // Else there is a row to find.
            Content::Find(_) => return "Clerk says nothing".to_owned(),
            Content::From(from) => from,
        };
        if let Some(place) = self.cell.said_by {
            let path = from.paths.get(place).map(Path::to_string);
            let path = path.unwrap_or_default();
            return match from.map {
                Some(_) => format!("{path}, by map"),
                None => path,
            };
        }
        if from.paths == [Path::Null] {
            return "null".to_owned();
        }
        let nothing = match self.unmapped {
            Some(Cell {
                value,
                said_by: Some(_),
                ..
            }) if from.map.is_some() => format!("{} is not in map", said(value)),
            _ => "Clerk says nothing".to_owned(),
        };
        match from.default {
            Some(_) => format!("default: {nothing}"),
            None => nothing,
        }
    }

    /// What has become of a text that is too long.
    fn shortened(&self, fitted: &Fitted<'_>) -> Option<&'static str> {
        let said = self.cell.value.text()?;
        match (&self.stored.kind, fitted) {
            (Kind::Text { .. }, Fitted::Null) => Some("too long, left out"),
            (
                Kind::Text {
                    characters: Some(most),
                    ..
                },
                Fitted::Text(text),
            ) if said.chars().nth(*most).is_some() && *text != said => Some("too long, cut"),
            _ => None,
        }
    }
}

/// As Clerk says it.
fn said(value: &Value) -> String {
    match value {
        Value::Text(text) => quoted(text),
        _ => value
            .text()
            .map_or_else(|| "NULL".to_owned(), |text| escaped(&text)),
    }
}

/// The type as people write it.
fn type_name(stored: &Stored) -> String {
    let exact = stored
        .exact_sql_type
        .replace("character varying", "varchar");
    let exact = match stored.kind {
        // As PostgreSQL names the type of an array.
        Kind::TextArray(_) if exact.contains("._") => format!("{}[]", exact.replacen("._", ".", 1)),
        _ => exact,
    };
    let without_zone = |text: &str| Some(text.strip_suffix(" without time zone")?.to_owned());
    let with_zone = |text: &str| {
        let text = text.strip_prefix("timestamp")?;
        Some(format!(
            "timestamptz{}",
            text.strip_suffix(" with time zone")?
        ))
    };
    without_zone(&exact)
        .or_else(|| with_zone(&exact))
        .unwrap_or(exact)
}
