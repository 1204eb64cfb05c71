//! The columns of `users` as they are in this database, as PostgreSQL's catalogue has them.
//!
//! A table that was there may have less room than ours. What does not fit is cut, left out or refused before
//! PostgreSQL refuses it, and `reconcile` compares with what the row can say.

pub mod column;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use deadpool_postgres::Transaction;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use crate::event::user::{MAX_IMAGE_URL, MAX_TEXT, NO_NAME, User, milliseconds, time_of};

/// What is known of the columns. Clones know the same.
#[derive(Clone, Debug, Default)]
pub struct Catalogue(Arc<RwLock<Columns>>);

impl Catalogue {
    /// The columns as they were at the last look; before it, as those of the table that we create.
    #[must_use]
    pub fn columns(&self) -> Columns {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads them.
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub async fn look(&self, transaction: &Transaction<'_>) -> Result<(), Error> {
        let sql = include_str!("columns.sql");
        // Without a name: see the module pooler.
        let rows = transaction.query_typed(sql, &[]).await?;
        let columns = Columns::read(&rows)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = columns;
        Ok(())
    }
}

/// How much each column takes. The default: all that a [`User`] holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    id: Text,
    name: Text,
    email: Text,
    image_url: Text,
    created_at: Time,
    updated_at: Time,
}

/// A value that cannot be stored, though the user cannot do without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value is too long for the column {0} of users")]
pub struct TooLong(&'static str);

impl Columns {
    fn read(rows: &[Row]) -> Result<Self, Error> {
        let mut columns = Self::default();
        for row in rows {
            // A domain is not among PostgreSQL's own types; what it stands for is in another row.
            let Some(kind) = Type::from_oid(row.try_get(1)?) else {
                continue;
            };
            let modifier = row.try_get(2)?;
            match row.try_get(0)? {
                "id" => columns.id = Text::of(&kind, modifier, MAX_TEXT),
                "name" => columns.name = Text::of(&kind, modifier, MAX_TEXT),
                "email" => columns.email = Text::of(&kind, modifier, MAX_TEXT),
                "imageUrl" => columns.image_url = Text::of(&kind, modifier, MAX_IMAGE_URL),
                "createdAt" => columns.created_at = Time::of(&kind, modifier),
                "updatedAt" => columns.updated_at = Time::of(&kind, modifier),
                _ => {}
            }
        }
        Ok(columns)
    }

    /// Whether nothing of `user` has to be cut or left out.
    pub(crate) fn take_whole(&self, user: &User) -> bool {
        // Of our own table nothing has to be counted.
        *self == Self::default()
            || self.take(user).is_ok()
                && self.name.takes(&user.name)
                && user
                    .image_url
                    .as_ref()
                    .is_none_or(|url| self.image_url.takes(url))
    }

    /// Whether there is room for what can neither be cut nor left out.
    ///
    /// # Errors
    /// Names the column that has none.
    pub fn take(&self, user: &User) -> Result<(), TooLong> {
        if !self.id.takes(user.id.as_str()) {
            return Err(TooLong("id"));
        }
        if !self.email.takes(&user.email) {
            return Err(TooLong("email"));
        }
        Ok(())
    }

    /// As much of a name as the column takes; never blank.
    #[must_use]
    pub fn name<'a>(&self, name: &'a str) -> &'a str {
        let cut = self.name.cut(name);
        if cut.trim().is_empty() {
            self.name.cut(NO_NAME)
        } else {
            cut
        }
    }

    /// An address as it can be read again.
    #[must_use]
    pub fn email<'a>(&self, email: &'a str) -> &'a str {
        self.email.cut(email)
    }

    /// Half a URL is none.
    #[must_use]
    pub fn image_url<'a>(&self, url: Option<&'a str>) -> Option<&'a str> {
        url.filter(|url| self.image_url.takes(url))
            .map(|url| self.image_url.cut(url))
    }

    /// `"createdAt"` as it can be read again.
    #[must_use]
    pub fn created_at(&self, time: SystemTime) -> SystemTime {
        self.created_at.stored(time)
    }

    /// `"updatedAt"` as it can be read again.
    #[must_use]
    pub fn updated_at(&self, time: SystemTime) -> SystemTime {
        self.updated_at.stored(time)
    }

    /// How many characters `email` takes.
    pub(crate) fn longest_email(&self) -> i32 {
        let longest = self.email.characters.unwrap_or(MAX_TEXT);
        i32::try_from(longest).unwrap_or(i32::MAX)
    }
}

/// A column of text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Text {
    /// How many characters it takes. `None`: as many as we ever write.
    characters: Option<usize>,
    /// Spaces at the end do not count: PostgreSQL adds them and takes them away.
    is_padded: bool,
}

impl Text {
    fn of(kind: &Type, modifier: i32, most: usize) -> Self {
        // PostgreSQL adds the four bytes of its header to the length; -1 is none.
        let length = usize::try_from(modifier - 4).ok();
        match *kind {
            Type::VARCHAR | Type::BPCHAR => Self {
                characters: length.filter(|length| *length < most),
                is_padded: *kind == Type::BPCHAR,
            },
            _ => Self::default(),
        }
    }

    fn takes(self, text: &str) -> bool {
        self.characters
            .is_none_or(|most| text.chars().nth(most).is_none())
    }

    /// As much as there is room for.
    fn cut(self, text: &str) -> &str {
        let end = self
            .characters
            .and_then(|most| Some(text.char_indices().nth(most)?.0));
        let cut = end.map_or(text, |end| &text[..end]);
        if self.is_padded {
            cut.trim_end_matches(' ')
        } else {
            cut
        }
    }
}

/// A column of times. Those that we write are of whole milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Time {
    #[default]
    Milliseconds,
    /// So many to a unit, rounded as PostgreSQL does: half a unit away from the beginning of 2000.
    Rounded(i64),
    /// The day in UTC.
    Day,
}

impl Time {
    fn of(kind: &Type, modifier: i32) -> Self {
        match (kind, modifier) {
            (&Type::DATE, _) => Self::Day,
            // How many digits there are behind the second.
            (&(Type::TIMESTAMP | Type::TIMESTAMPTZ), 0) => Self::Rounded(1000),
            (&(Type::TIMESTAMP | Type::TIMESTAMPTZ), 1) => Self::Rounded(100),
            (&(Type::TIMESTAMP | Type::TIMESTAMPTZ), 2) => Self::Rounded(10),
            _ => Self::Milliseconds,
        }
    }

    fn stored(self, time: SystemTime) -> SystemTime {
        const DAY: i64 = 86_400_000;
        const YEAR_2000: i64 = 946_684_800_000;
        let milliseconds = milliseconds(time).saturating_sub(YEAR_2000);
        let stored = match self {
            Self::Milliseconds => return time,
            Self::Rounded(unit) => {
                let away = (milliseconds.abs() + unit / 2) / unit * unit;
                away * milliseconds.signum()
            }
            Self::Day => milliseconds.div_euclid(DAY) * DAY,
        };
        time_of(stored + YEAR_2000).unwrap_or(time)
    }
}
