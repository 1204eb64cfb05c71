//! From bytes to what we act on: an event of Clerk, and the user that it tells of. Past this room nobody sees JSON.
//!
//! A payload is parsed once and not kept. What cannot be read is not lost: [`entry::Unreadable`] says why, and the entry
//! goes to the dead letters with it.

pub mod about;
pub mod entry;
pub mod fields;
mod json;
pub mod object;
mod person;
pub mod row;
mod saying;
pub(crate) mod text;
pub mod time;
pub mod unusable;
pub mod user;
pub mod wanted;

use std::time::SystemTime;

use serde::Deserialize;
use serde_json::value::RawValue;
use shared::envelope::Envelope;
use shared::svix_id::SvixId;

use crate::event::unusable::Unusable;
use crate::event::user::{User, UserId};

/// Characters of a type that the ledger keeps.
const MAX_TYPE: usize = 255;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its identity.
    pub svix_id: SvixId,
    /// Its `type`, as the ledger keeps it.
    pub event_type: String,
    /// When Clerk sent it; the epoch if it does not say.
    pub event_at: SystemTime,
    /// When the ingest received it.
    pub received_at: SystemTime,
    /// What it asks for.
    pub change: Change,
}

/// What an event asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The user is to look like this.
    Upsert(User),
    /// The user is to be gone, for ever.
    Delete(UserId),
    /// Nothing; the id of the object that it is about, if it tells one.
    Ignore(Option<UserId>),
}

#[derive(Deserialize)]
struct DeletedJson<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

impl Event {
    /// Reads `payload`.
    ///
    /// # Errors
    /// When it cannot be acted on.
    pub fn parse(
        svix_id: SvixId,
        received_at: SystemTime,
        payload: &[u8],
    ) -> Result<Self, Unusable> {
        let envelope = Envelope::parse(payload)?;
        let data = envelope.data.ok_or(Unusable::Data);
        let change = match envelope.event_type.as_ref() {
            "user.created" | "user.updated" => Change::Upsert(User::parse(data?)?),
            "user.deleted" => {
                let json: DeletedJson<'_> =
                    serde_json::from_str(data?.get()).map_err(|_| Unusable::Data)?;
                Change::Delete(user::id(json.id)?)
            }
            _ => Change::Ignore(data.ok().and_then(|data| {
                let json: DeletedJson<'_> = serde_json::from_str(data.get()).ok()?;
                user::id(json.id).ok()
            })),
        };
        Ok(Self {
            svix_id,
            event_type: envelope
                .event_type
                .replace('\0', "\u{fffd}")
                .chars()
                .take(MAX_TYPE)
                .collect(),
            // Only a tie needs it, so an event without it is still as good.
            event_at: user::time(envelope.timestamp, "timestamp").unwrap_or(SystemTime::UNIX_EPOCH),
            received_at,
            change,
        })
    }

    /// The user that the event changes.
    #[must_use]
    pub const fn user_id(&self) -> Option<&UserId> {
        match &self.change {
            Change::Upsert(user) => Some(&user.id),
            Change::Delete(id) => Some(id),
            Change::Ignore(_) => None,
        }
    }

    /// The object that the event is about, whether or not it changes anything.
    #[must_use]
    pub const fn object_id(&self) -> Option<&UserId> {
        match &self.change {
            Change::Ignore(id) => id.as_ref(),
            _ => self.user_id(),
        }
    }

    /// The row that the event writes.
    #[must_use]
    pub const fn upserted(&self) -> Option<&User> {
        match &self.change {
            Change::Upsert(user) => Some(user),
            Change::Delete(_) | Change::Ignore(_) => None,
        }
    }

    /// Which of two events of a user is the newer one: a deletion is newer than anything, then
    /// Clerk's `updated_at` decides, then the envelope's `timestamp`, then the svix-id.
    #[must_use]
    pub fn revision(&self) -> (bool, SystemTime, SystemTime, &SvixId) {
        let (deleted, updated_at) = match &self.change {
            Change::Upsert(user) => (false, user.updated_at),
            Change::Delete(_) | Change::Ignore(_) => (true, self.event_at),
        };
        (deleted, updated_at, self.event_at, &self.svix_id)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parse(payload: &str) -> Result<Event, Unusable> {
        Event::parse(
            SvixId::parse("msg_1").unwrap(),
            SystemTime::UNIX_EPOCH,
            payload.as_bytes(),
        )
    }

    fn user(payload: &str) -> User {
        match parse(payload).unwrap().change {
            Change::Upsert(user) => user,
            other => panic!("{other:?}"),
        }
    }

    /// The payload with other values in `data`; a value of `None` removes the field.
    fn with(changes: &[(&str, Option<serde_json::Value>)]) -> String {
        let mut payload: serde_json::Value =
            serde_json::from_str(include_str!("../../../shared/fixtures/user.created.json"))
                .unwrap();
        let data = payload["data"].as_object_mut().unwrap();
        for (field, value) in changes {
            match value {
                Some(value) => data.insert((*field).to_owned(), value.clone()),
                None => data.remove(*field),
            };
        }
        payload.to_string()
    }

    #[test]
    fn a_user_is_read_with_its_primary_address() {
        let user = user(include_str!("../../../shared/fixtures/user.created.json"));
        assert_eq!(user.id.as_str(), "user_2g7np7Hrk0SN6kj5EDMLDaKNL0S");
        assert_eq!(user.name, "Ada Lovelace");
        assert_eq!(user.email, "ada@example.com");
        assert!(
            user.image_url
                .unwrap()
                .starts_with("https://img.clerk.com/")
        );
        let at = |milliseconds| SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
        assert_eq!(
            (user.created_at, user.updated_at),
            (at(1_716_883_200_381), at(1_716_883_200_406))
        );
    }

    #[test]
    fn a_user_without_names_is_called_user() {
        assert_eq!(
            user(include_str!(
                "../../../shared/fixtures/user.created.no-names.json"
            ))
            .name,
            "User"
        );
        for (first, last, name) in [
            (Some("Ada"), None, "Ada"),
            (None, Some("King"), "King"),
            (Some(" "), Some("King"), "King"),
            (Some(" "), Some("\t"), "User"),
            (Some("\0"), Some(""), "User"),
            (Some("A\0da"), Some("King"), "Ada King"),
        ] {
            let payload = with(&[
                ("first_name", Some(first.into())),
                ("last_name", Some(last.into())),
            ]);
            assert_eq!(user(&payload).name, name);
        }
        assert_eq!(
            user(&with(&[("first_name", None), ("last_name", None)])).name,
            "User"
        );
    }

    #[test]
    fn a_user_without_a_primary_address_is_unusable() {
        let phone_only = include_str!("../../../shared/fixtures/user.created.phone-only.json");
        assert_eq!(parse(phone_only).unwrap_err(), Unusable::NoPrimaryEmail);
        for change in [
            ("primary_email_address_id", Some("idn_unknown".into())),
            ("primary_email_address_id", None),
            ("email_addresses", Some(serde_json::json!([]))),
            ("email_addresses", Some(serde_json::Value::Null)),
            ("email_addresses", None),
        ] {
            assert_eq!(
                parse(&with(std::slice::from_ref(&change))).unwrap_err(),
                Unusable::NoPrimaryEmail
            );
        }
    }

    #[test]
    fn a_value_that_the_column_cannot_hold_does_not_cost_the_row() {
        let long = "é".repeat(300);
        assert_eq!(
            user(&with(&[("first_name", Some(long.into()))])).name,
            "é".repeat(255)
        );
        for url in ["u".repeat(1001), "a\0b".to_owned()] {
            assert_eq!(
                user(&with(&[("image_url", Some(url.into()))])).image_url,
                None
            );
        }
        let url = "u".repeat(1000);
        assert_eq!(
            user(&with(&[("image_url", Some(url.clone().into()))])).image_url,
            Some(url)
        );
        assert_eq!(user(&with(&[("image_url", None)])).image_url, None);
        let half = with(&[("first_name", Some("HALF".into()))]).replace("HALF", r"A\ud83d");
        assert!(user(&half).name.starts_with("A\u{fffd} "));
    }

    #[test]
    fn a_value_that_the_row_cannot_do_without_is_named() {
        let huge = serde_json::json!(1e300);
        for (field, value) in [
            ("id", None),
            ("id", Some("".into())),
            ("id", Some("x".repeat(256).into())),
            ("id", Some("a\0".into())),
            ("id", Some(7.into())),
            ("updated_at", None),
            ("updated_at", Some("1716883200406".into())),
            ("updated_at", Some(huge)),
            ("updated_at", Some(i64::MAX.into())),
            ("created_at", Some(i64::MIN.into())),
            ("created_at", Some(1.5.into())),
            ("first_name", Some(serde_json::json!({}))),
            ("email_addresses", Some("ada@example.com".into())),
        ] {
            let error = parse(&with(&[(field, value.clone())])).unwrap_err();
            assert_eq!(error, Unusable::Field(field), "{value:?}");
        }
        for address in ["", " ", "a\0@b", &"x".repeat(256)] {
            let addresses = serde_json::json!([
                { "id": "idn_2g7np7XPtzvXsR6ReTG2Wx8DQiX", "email_address": address }
            ]);
            let error = parse(&with(&[("email_addresses", Some(addresses))])).unwrap_err();
            assert_eq!(error, Unusable::Field("email_address"), "{address:?}");
        }
    }

    #[test]
    fn a_time_may_be_written_with_an_exponent() {
        let payload = with(&[]).replace("1716883200406", "1.716883200406e12");
        assert_eq!(user(&payload), user(&with(&[])));
    }

    #[test]
    fn a_deletion_needs_only_the_id() {
        let event = parse(r#"{"type":"user.deleted","data":{"id":"user_1"}}"#).unwrap();
        assert_eq!(
            event.change,
            Change::Delete(UserId::parse("user_1".into()).unwrap())
        );
        assert_eq!(event.event_at, SystemTime::UNIX_EPOCH);
        let error = parse(r#"{"type":"user.deleted","data":{"deleted":true}}"#).unwrap_err();
        assert_eq!(error, Unusable::Field("id"));
    }

    #[test]
    fn a_type_that_nobody_knows_is_ignored() {
        for payload in [
            include_str!("../../../shared/fixtures/session.created.json"),
            include_str!("../../../shared/fixtures/organization.created.json"),
            r#"{"type":"user.frozen","data":{"id":7}}"#,
        ] {
            assert!(matches!(parse(payload).unwrap().change, Change::Ignore(_)));
        }
        let strange = format!(r#"{{"type":"a\u0000{}","data":{{}}}}"#, "b".repeat(300));
        assert_eq!(
            parse(&strange).unwrap().event_type,
            format!("a\u{fffd}{}", "b".repeat(253))
        );
    }

    #[test]
    fn what_is_not_an_event_is_unusable() {
        for payload in [
            "",
            "{}",
            "[]",
            "nonsense",
            r#"{"type":"user.created","data":{"id":"#,
        ] {
            assert!(
                matches!(parse(payload).unwrap_err(), Unusable::NotAnEvent(_)),
                "{payload}"
            );
        }
    }

    #[test]
    fn data_that_is_no_user_is_unusable_where_it_has_to_be_one() {
        for data in [
            r#","data":{"id":"a","id":"b"}"#,
            r#","data":["user_1"]"#,
            r#","data":null"#,
            r#","data":"user_1""#,
            r#","data":{"id":"a"},"data":{"id":"a"}"#,
            "",
        ] {
            for event_type in ["user.created", "user.updated", "user.deleted"] {
                let payload = format!(r#"{{"type":"{event_type}"{data}}}"#);
                assert_eq!(parse(&payload).unwrap_err(), Unusable::Data, "{payload}");
            }
            for event_type in ["user.invented", "session.created", ""] {
                let payload = format!(r#"{{"type":"{event_type}"{data}}}"#);
                assert!(
                    matches!(parse(&payload).unwrap().change, Change::Ignore(_)),
                    "{payload}"
                );
            }
        }
    }
}
