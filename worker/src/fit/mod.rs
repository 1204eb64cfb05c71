//! What an event says of a column, as the column takes it. What does not fit is cut, left out or refused before
//! PostgreSQL refuses it.

mod list;
pub(crate) mod misfit;
mod moment;
mod number;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::time::SystemTime;

use uuid::Uuid;

use crate::database::catalogue::column::{Column as Stored, Kind};
use crate::event::row::Cell;
use crate::event::text::is_blank;
use crate::event::time;
use crate::fit::list::texts;
pub use crate::fit::misfit::Misfit;
use crate::fit::misfit::Problem;
use crate::fit::moment::iso;
use crate::fit::number::{has_room, is_jsonb, is_numeric, is_real};
use crate::tables::path::Path;
use crate::tables::section::{Column, Content, TooLong};
use crate::tables::value::Value;

/// A value that fits its column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fitted<'a> {
    /// NULL.
    Null,
    /// What the input function of the column's type reads.
    Text(Cow<'a, str>),
    /// For a column of times or dates.
    Time(SystemTime),
}

impl Fitted<'_> {
    /// What is written as text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Time(_) => None,
        }
    }

    /// The same on its own.
    #[must_use]
    pub fn into_owned(self) -> Fitted<'static> {
        match self {
            Self::Null => Fitted::Null,
            Self::Text(text) => Fitted::Text(text.into_owned().into()),
            Self::Time(time) => Fitted::Time(time),
        }
    }

    /// What is written as a time.
    #[must_use]
    pub const fn time(&self) -> Option<SystemTime> {
        match self {
            Self::Time(time) => Some(*time),
            Self::Null | Self::Text(_) => None,
        }
    }
}

/// What `cell` says, as the column takes it.
///
/// # Errors
/// When it does not fit: it is too long, of another kind, or nothing at all.
pub fn fit<'a>(cell: &'a Cell, mapped: &Column, stored: &Stored) -> Result<Fitted<'a>, Misfit> {
    let fitting = Fitting {
        cell,
        mapped,
        stored,
    };
    fitting
        .fit()
        .map_err(|problem| Misfit::new(cell, mapped, problem))
}

/// What another row says in a column of the same type, as ISO 8601 has it where that is a time.
pub(crate) fn copied(text: &str, stored: &Stored) -> Option<Fitted<'static>> {
    match stored.kind {
        Kind::Time | Kind::Date => iso(text).map(Fitted::Time),
        _ => Some(Fitted::Text(text.to_owned().into())),
    }
}

#[derive(Clone, Copy)]
struct Fitting<'a, 'b> {
    cell: &'a Cell,
    mapped: &'b Column,
    stored: &'b Stored,
}

impl<'a> Fitting<'a, '_> {
    fn fit(self) -> Result<Fitted<'a>, Problem> {
        let value = &self.cell.value;
        if *value == Value::Nothing {
            return self.null(Problem::Nothing);
        }
        let text = match &self.stored.kind {
            Kind::Text {
                characters,
                is_padded,
            } => {
                let text = text(value).ok_or_else(|| self.unreadable("text"))?;
                return self.within(text, *characters, *is_padded);
            }
            Kind::Time | Kind::Date => {
                let time = moment(value).ok_or_else(|| self.unreadable("a time"))?;
                return Ok(Fitted::Time(time));
            }
            Kind::Enum(words) => {
                let word = text(value).filter(|text| words.iter().any(|word| word == text));
                word.ok_or_else(|| Problem::NoWord(self.stored.name.clone()))?
            }
            Kind::Boolean => boolean(value).ok_or_else(|| self.unreadable("true or false"))?,
            Kind::Integer { least, greatest } => integer(value)
                .filter(|number| (least..=greatest).contains(&number))
                .map(|number| number.to_string().into())
                .ok_or_else(|| {
                    self.unreadable(format!("a whole number from {least} to {greatest}"))
                })?,
            Kind::Numeric { digits: None } => text(value)
                .filter(|text| is_numeric(text))
                .ok_or_else(|| self.unreadable("a decimal number"))?,
            Kind::Numeric {
                digits: Some(digits),
            } => text(value)
                .filter(|text| is_numeric(text) && has_room(text, *digits))
                .ok_or_else(|| {
                    let exact = &self.stored.exact_sql_type;
                    self.unreadable(format!("a decimal number that {exact} holds"))
                })?,
            Kind::Real => text(value)
                .filter(|text| is_real(text, self.stored.base_sql_type == "real"))
                .ok_or_else(|| self.unreadable("a floating-point number"))?,
            Kind::Uuid => text(value)
                .filter(|text| is_uuid(text))
                .ok_or_else(|| self.unreadable("a UUID"))?,
            Kind::Json => json(value).ok_or_else(|| self.unreadable("JSON that can be stored"))?,
            Kind::TextArray(element) => {
                let texts = texts(value).ok_or_else(|| self.unreadable("a list of texts"))?;
                return self.list(texts, element);
            }
            Kind::Other => value.text().unwrap_or_default(),
        };
        Ok(Fitted::Text(text))
    }

    fn unreadable(self, expected: impl Into<Cow<'static, str>>) -> Problem {
        Problem::Unreadable(self.stored.name.clone(), expected.into())
    }

    fn null(self, problem: impl Fn(String) -> Problem) -> Result<Fitted<'a>, Problem> {
        if self.stored.takes_null {
            Ok(Fitted::Null)
        } else {
            Err(problem(self.stored.name.clone()))
        }
    }

    /// A text, or what becomes of it where it is too long.
    fn within(
        self,
        text: Cow<'a, str>,
        characters: Option<usize>,
        is_padded: bool,
    ) -> Result<Fitted<'a>, Problem> {
        let text = if is_padded {
            without_padding(text)
        } else {
            text
        };
        let is_short = |most| text.chars().nth(most).is_none();
        let Some(most) = characters.filter(|most| !is_short(*most)) else {
            return Ok(Fitted::Text(text));
        };
        match self.too_long() {
            TooLong::Cut => {
                let instead = || self.cell.instead.as_deref().and_then(self::text);
                let cut = |text| cut(text, most, is_padded);
                let something = |text: &Cow<'a, str>| !is_blank(text);
                let text = Some(cut(text)).filter(something);
                let text = text.or_else(|| instead().map(cut));
                text.map_or_else(
                    || self.null(Problem::TooLong),
                    |text| Ok(Fitted::Text(text)),
                )
            }
            TooLong::Null => self.null(Problem::TooLong),
            TooLong::DeadLetter => Err(Problem::TooLong(self.stored.name.clone())),
        }
    }

    /// What the file says of what is too long.
    const fn said_of_too_long(self) -> Option<TooLong> {
        match &self.mapped.content {
            Content::From(from) => from.too_long,
            Content::Constant(_, too_long) => *too_long,
            Content::Uuid | Content::Find(_) => None,
        }
    }

    fn too_long(self) -> TooLong {
        self.said_of_too_long().unwrap_or_else(|| {
            if self.stored.is_unique {
                TooLong::DeadLetter
            } else if self.is_a_name() {
                TooLong::Cut
            } else {
                TooLong::Null
            }
        })
    }

    fn is_a_name(self) -> bool {
        let paths = match &self.mapped.content {
            Content::From(from) => from.paths.as_slice(),
            Content::Constant(..) | Content::Uuid | Content::Find(_) => &[],
        };
        let path = self.cell.said_by.and_then(|place| paths.get(place));
        path.is_some_and(Path::is_a_name)
    }
}

/// No objects and no lists.
fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Json(_) => None,
        _ => value.text(),
    }
}

fn moment(value: &Value) -> Option<SystemTime> {
    match value {
        Value::Integer(milliseconds) => time::of_milliseconds(*milliseconds),
        Value::Number(milliseconds) => time::of_number(milliseconds),
        Value::Text(text) => iso(text),
        Value::Nothing | Value::Boolean(_) | Value::Json(_) => None,
    }
}

fn boolean(value: &Value) -> Option<Cow<'_, str>> {
    let is_boolean = match value {
        Value::Boolean(_) => true,
        Value::Text(text) => text == "true" || text == "false",
        _ => false,
    };
    value.text().filter(|_| is_boolean)
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        Value::Number(number) => time::whole(number),
        Value::Text(text) => text.parse().ok(),
        Value::Nothing | Value::Boolean(_) | Value::Json(_) => None,
    }
}

fn is_uuid(text: &str) -> bool {
    // PostgreSQL takes no URN.
    !text.starts_with("urn") && Uuid::try_parse(text).is_ok()
}

fn json(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Text(text) => Some(serde_json::Value::from(text.as_str()).to_string().into()),
        _ => value.text().filter(|json| is_jsonb(json)),
    }
}

fn cut(text: Cow<'_, str>, most: usize, is_padded: bool) -> Cow<'_, str> {
    let end = text
        .char_indices()
        .nth(most)
        .map_or(text.len(), |(end, _)| end);
    let cut = up_to(text, end);
    if is_padded { without_padding(cut) } else { cut }
}

fn without_padding(text: Cow<'_, str>) -> Cow<'_, str> {
    let end = text.trim_end_matches(' ').len();
    up_to(text, end)
}

fn up_to(text: Cow<'_, str>, end: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
        Cow::Owned(mut text) => {
            text.truncate(end);
            text.into()
        }
    }
}
