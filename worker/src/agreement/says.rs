//! What kind of value Clerk says at a path, and which columns take it.

use crate::database::catalogue::column::{Column, Kind};
use crate::database::catalogue::name::quoted;
use crate::tables::fields::{Field, Says, USER};
use crate::tables::path::{Computed, EventField, Path};

/// What is known of a field of `data`.
fn field(family: &str, name: &str) -> Option<&'static Field> {
    let mut known = USER.iter().filter(|_| family == "user");
    known.find(|field| field.name == name)
}

impl Says {
    /// Of users we know all fields, and of any other object the id.
    pub(super) fn of(family: &str, path: &Path) -> Self {
        match path {
            Path::Null => Self::Anything,
            Path::Now => Self::Moment,
            Path::Event(EventField::Timestamp | EventField::ReceivedAt) => Self::Time,
            Path::Event(EventField::Id | EventField::Type | EventField::InstanceId) => Self::Text,
            Path::Data => Self::Object,
            Path::Computed(Computed::PrimaryEmailVerified) => Self::Boolean,
            Path::Computed(_) => Self::Text,
            Path::Field(steps) => match steps.as_slice() {
                [field] if field == "id" => Self::Id,
                [name] => field(family, name).map_or(Self::Anything, |field| field.says),
                _ => Self::Anything,
            },
        }
    }

    /// In words.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Id => "one of Clerk's ids",
            Self::Text => "a text",
            Self::Time | Self::Moment => "a time",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Object => "an object",
            Self::List => "a list",
            Self::Anything => "anything",
        }
    }

    /// How a column of another type is made one that takes it, without losing what stands there.
    pub(super) fn change(self, column: &Column) -> String {
        let name = quoted(&column.name);
        match (self, &column.kind) {
            (Self::Time, Kind::Integer { .. }) => "TYPE bigint".to_owned(),
            (Self::Id | Self::Text | Self::Anything, _) => format!("TYPE text USING {name}::text"),
            (Self::Time | Self::Moment, _) => format!("TYPE timestamptz USING {name}::timestamptz"),
            (Self::Number, _) => format!("TYPE bigint USING {name}::bigint"),
            (Self::Boolean, _) => format!("TYPE boolean USING {name}::boolean"),
            (Self::Object | Self::List, _) => format!("TYPE jsonb USING to_jsonb({name})"),
        }
    }
}

/// Whether a path never says nothing.
pub(super) fn is_always_said(family: &str, path: &Path) -> bool {
    match path {
        Path::Now | Path::Data | Path::Event(_) => true,
        Path::Field(steps) => {
            let is_known = |name| field(family, name).is_some_and(|field| field.is_always_said);
            matches!(steps.as_slice(), [name] if name == "id" || is_known(name))
        }
        Path::Null | Path::Computed(_) => false,
    }
}

/// Whether a column of this kind takes what is said; where a text may read as what it takes, it does.
pub(super) fn takes(kind: &Kind, says: Says) -> bool {
    // Milliseconds since the epoch.
    const A_TIME: i64 = 1_700_000_000_000;
    match (kind, says) {
        (_, Says::Anything) | (Kind::Json | Kind::Other, _) => true,
        (Kind::Text { .. } | Kind::Enum(_), says) => !matches!(says, Says::Object | Says::List),
        (Kind::Time | Kind::Date, says) => matches!(says, Says::Time | Says::Moment | Says::Number),
        (Kind::Boolean, says) => says == Says::Boolean,
        (Kind::Integer { greatest, .. }, Says::Time) => *greatest > A_TIME,
        (Kind::Integer { .. } | Kind::Numeric { .. } | Kind::Real, says) => {
            matches!(says, Says::Number | Says::Time)
        }
        // Clerk's lists are lists of objects.
        (Kind::Uuid | Kind::TextArray(_), _) => false,
    }
}
