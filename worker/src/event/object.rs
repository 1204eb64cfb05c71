//! An object of Clerk's, as an event tells of it.

use std::sync::Arc;
use std::time::SystemTime;

use crate::event::fields::Fields;
use crate::event::occasion::Occasion;
use crate::event::row::Row;
use crate::event::text;
use crate::event::time;
use crate::event::unusable::Unusable;
use crate::tables::section::Section;

/// Characters of an id that the ledger and the keys of Redis hold; PostgreSQL counts characters as Rust does.
const LONGEST_ID: usize = 255;

/// The fields of `data` that are read here.
pub(crate) const FIELDS: [&str; 2] = ["id", "updated_at"];

/// The id of one of Clerk's objects: 1 to 255 characters that PostgreSQL can store, not all of them blank.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(String);

impl ObjectId {
    /// `None` when `text` is blank or cannot be stored.
    #[must_use]
    pub fn parse(text: String) -> Option<Self> {
        let length = text.chars().take(LONGEST_ID + 1).count();
        let is_usable = length <= LONGEST_ID && !text.contains('\0') && !text::is_blank(&text);
        is_usable.then_some(Self(text))
    }

    /// As [`ObjectId::parse`], and one that may be told to people.
    #[must_use]
    pub fn plain(text: String) -> Option<Self> {
        Self::parse(text).filter(Self::is_plain)
    }

    /// Whether it may be told to people: an address or a name that somebody has taken for an id may not.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'@';
        self.0.bytes().all(is_plain)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an event says of an object of a family that has a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// What becomes of it.
    pub section: Arc<Section>,
    /// Which object.
    pub id: ObjectId,
    /// Clerk's `updated_at`; when the event was sent or received, where the object has none.
    pub updated_at: SystemTime,
    /// What it says of the row.
    pub row: Row,
    /// The objects that its row refers to by `find`, as far as the event says them.
    pub parents: Vec<Parent>,
    /// What it says of the rows of others, or of its own as one that goes with another; only where that may be asked.
    pub occasion: Option<Box<Occasion>>,
}

/// An object that a row refers to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Parent {
    /// Its family.
    pub family: String,
    /// Its id.
    pub id: String,
}

/// Reads `data.id`.
///
/// # Errors
/// When it is missing or blank, or cannot be stored.
pub fn id(fields: &Fields<'_>) -> Result<ObjectId, Unusable> {
    fields
        .get("id")
        .and_then(text::exact)
        .and_then(|text| ObjectId::parse(text.into_owned()))
        .ok_or(Unusable::Field("id"))
}

/// Reads `data.updated_at`; `None` where it is no number of milliseconds in the years 1 to 9999.
#[must_use]
pub fn updated_at(fields: &Fields<'_>) -> Option<SystemTime> {
    time::of_number(fields.get("updated_at")?.get())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::value::RawValue;

    use super::*;
    use crate::event::wanted::Wanted;

    fn with<T>(data: &str, look: impl Fn(&Fields<'_>) -> T) -> T {
        let data: &RawValue = serde_json::from_str(data).unwrap();
        look(&Wanted::by([]).read(data).unwrap())
    }

    #[test]
    fn an_id_has_1_to_255_characters_that_postgresql_can_store() {
        let long = "😀".repeat(255);
        for (json, expected) in [
            (r#"{"id":"user_1"}"#, Some("user_1")),
            (r#"{"id":"\u0075ser\n"}"#, Some("user\n")),
            (&format!(r#"{{"id":"{long}"}}"#), Some(long.as_str())),
            (&format!(r#"{{"id":"{long}x"}}"#), None),
            (r#"{"id":" user_1"}"#, Some(" user_1")),
            (r#"{"id":""}"#, None),
            (r#"{"id":" "}"#, None),
            (r#"{"id":"\t\n\u00a0\u3000"}"#, None),
            (r#"{"id":"a\u0000"}"#, None),
            (r#"{"id":"a\ud83d"}"#, None),
            (r#"{"id":7}"#, None),
            (r#"{"id":null}"#, None),
            (r#"{"id":["user_1"]}"#, None),
            ("{}", None),
        ] {
            let id = with(json, id);
            let id = id.as_ref().map(ObjectId::as_str);
            assert_eq!(id, expected.ok_or(&Unusable::Field("id")), "{json}");
        }
    }

    #[test]
    fn an_update_has_a_time_where_it_is_milliseconds_of_the_years_1_to_9999() {
        let at = |milliseconds| SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
        for (json, expected) in [
            ("1716883200406", Some(at(1_716_883_200_406))),
            ("1.716883200406E+12", Some(at(1_716_883_200_406))),
            ("0", Some(at(0))),
            ("253402300799999", Some(at(253_402_300_799_999))),
            ("253402300800000", None),
            ("-62135596800001", None),
            ("1.5", None),
            ("1e400", None),
            (r#""1716883200406""#, None),
            ("null", None),
            ("{}", None),
        ] {
            let updated_at = with(&format!(r#"{{"updated_at":{json}}}"#), updated_at);
            assert_eq!(updated_at, expected, "{json}");
        }
        assert_eq!(with("{}", updated_at), None);
    }
}
