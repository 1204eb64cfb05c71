//! What an event says at a path of the tables file.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::event::about::About;
use crate::event::fields::{Fields, find};
use crate::event::json::storable;
use crate::event::person::{Person, is_verified};
use crate::event::text::{is_blank, lossy};
use crate::event::time;
use crate::tables::path::{Computed, EventField, Path};
use crate::tables::template::{Part, Template};
use crate::tables::value::Value;

/// The field of Clerk's that users write themselves.
const OF_USERS: &str = "unsafe_metadata";
/// What a user can be reached by: it is somebody else's until it is verified.
const CONTACTS: [&str; 3] = ["email_address", "phone_number", "web3_wallet"];

/// An event, to be asked.
pub(crate) struct Saying<'a> {
    about: &'a About<'a>,
    fields: &'a Fields<'a>,
    person: Person<'a>,
}

impl<'a> Saying<'a> {
    pub(crate) const fn new(about: &'a About<'a>, fields: &'a Fields<'a>) -> Self {
        let person = Person::new(fields);
        Self {
            about,
            fields,
            person,
        }
    }

    /// What it says there. Blank text says nothing, and neither does a path that leads nowhere.
    pub(crate) fn value(&self, path: &Path) -> Value {
        match path {
            Path::Null => Value::Nothing,
            // Nothing where the clock is out of its mind.
            Path::Now => Timestamp::try_from(self.about.now)
                .map_or(Value::Nothing, |now| Value::Text(format!("{now:.3}"))),
            Path::Event(field) => self.event(*field),
            Path::Data => value(self.fields.object()),
            Path::Computed(computed) => self.computed(*computed),
            Path::Field(steps) => self.field(steps).map_or(Value::Nothing, value),
        }
    }

    /// What it says in place of the paths in braces.
    pub(crate) fn text(&self, template: &Template) -> String {
        let mut text = String::new();
        for part in &template.0 {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Path(path, last) => {
                    let value = self.value(path);
                    let said = value.text().unwrap_or_default();
                    text.push_str(last.map_or(&*said, |last| end(&said, last)));
                }
            }
        }
        text
    }

    /// Whether what it says there is Clerk's own word, on which a row may be given to somebody.
    pub(crate) fn is_sure(&self, path: &Path) -> bool {
        match path {
            // It holds what users write.
            Path::Data => false,
            Path::Null | Path::Now | Path::Event(_) => true,
            Path::Computed(Computed::FullName | Computed::MemberFullName) => true,
            Path::Computed(computed) => {
                let primary = self.person.primary(*computed);
                primary.is_some_and(|entry| entry.is_verified())
            }
            Path::Field(steps) => self.is_sure_field(steps),
        }
    }

    fn is_sure_field(&self, steps: &[String]) -> bool {
        match steps {
            [first, ..] if first == OF_USERS => false,
            [around @ .., last] if CONTACTS.contains(&last.as_str()) => {
                let around = self.field(around);
                let verification = around.and_then(|around| step(around, "verification"));
                verification.is_some_and(is_verified)
            }
            _ => true,
        }
    }

    fn event(&self, field: EventField) -> Value {
        match field {
            EventField::Id => text(self.about.svix_id.as_str().into()),
            EventField::Type => text(self.about.event_type.into()),
            EventField::Timestamp => {
                let timestamp = self.about.timestamp;
                let milliseconds = timestamp.and_then(|json| time::whole(json.get()));
                milliseconds.map_or(Value::Nothing, Value::Integer)
            }
            EventField::ReceivedAt => Value::Integer(time::milliseconds(self.about.received_at)),
            EventField::InstanceId => {
                let instance_id = self.about.instance_id.and_then(lossy);
                instance_id.map_or(Value::Nothing, text)
            }
        }
    }

    fn computed(&self, computed: Computed) -> Value {
        match computed {
            Computed::FullName => return text(self.person.full_name()),
            Computed::MemberFullName => return text(self.person.member_full_name()),
            _ => {}
        }
        let Some(primary) = self.person.primary(computed) else {
            return Value::Nothing;
        };
        match computed {
            Computed::PrimaryEmailVerified => Value::Boolean(primary.is_verified()),
            Computed::PrimaryEmailLocalPart => {
                let address = primary.says.and_then(lossy).unwrap_or_default();
                let local_part = address
                    .rsplit_once('@')
                    .map_or("", |(local_part, _)| local_part);
                text(local_part.into())
            }
            _ => primary.says.map_or(Value::Nothing, value),
        }
    }

    fn field(&self, steps: &[String]) -> Option<&'a RawValue> {
        let (first, steps) = steps.split_first()?;
        let field = self.fields.get(first)?;
        steps.iter().try_fold(field, |json, name| step(json, name))
    }
}

/// A field of an object, or an entry of an array.
fn step<'a>(json: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    if json.get().starts_with('[') {
        let place: usize = name.parse().ok()?;
        let entries: Vec<&RawValue> = serde_json::from_str(json.get()).ok()?;
        return entries.get(place).copied();
    }
    let mut found = [None];
    find(json, &[name], &mut found).ok()?;
    found[0]
}

fn value(json: &RawValue) -> Value {
    match json.get() {
        "null" => Value::Nothing,
        "true" => Value::Boolean(true),
        "false" => Value::Boolean(false),
        other if other.starts_with('"') => lossy(json).map_or(Value::Nothing, text),
        other if other.starts_with(['{', '[']) => Value::Json(storable(other).into_owned()),
        number => match number.parse() {
            Ok(integer) if number != "-0" => Value::Integer(integer),
            _ => Value::Number(number.to_owned()),
        },
    }
}

fn text(text: Cow<'_, str>) -> Value {
    if is_blank(&text) {
        Value::Nothing
    } else {
        Value::Text(text.into_owned())
    }
}

/// So many of the last characters.
fn end(text: &str, characters: usize) -> &str {
    let before = text.chars().count().saturating_sub(characters);
    let start = text.char_indices().nth(before);
    start.map_or("", |(start, _)| &text[start..])
}

#[cfg(test)]
mod tests;
