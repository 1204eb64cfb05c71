//! An entry of the stream.

use std::time::{Duration, SystemTime};

use shared::queue::field;
use shared::svix_id::SvixId;
use shared::traces::TraceContext;

use crate::event::Event;
use crate::event::object::ObjectId;
use crate::event::reader::Reader;
use crate::event::unusable::Unusable;

use crate::source::raw_entry::{EntryId, RawEntry, bytes, text};

/// One entry, read once.
#[derive(Debug)]
pub struct Entry {
    /// Its id in the stream.
    pub id: EntryId,
    /// How many attempts have failed so far.
    pub failed_attempts: u32,
    /// The step of a trace that put it there, if there is one.
    pub trace: Option<TraceContext>,
    /// The event, or why there is none.
    pub event: Result<Event, Unreadable>,
}

/// Why an entry cannot be acted on, now or ever.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The field `svix-id` is missing, empty, longer than 255 bytes, or holds control characters.
    #[error("the entry has no usable svix-id")]
    SvixId,
    /// The field `payload` is missing.
    #[error("the entry has no payload")]
    Payload,
    /// The payload cannot be acted on.
    #[error("{reason}")]
    Event {
        /// Whose payload it is.
        svix_id: SvixId,
        /// What is wrong with it.
        reason: Unusable,
    },
}

impl Entry {
    /// Reads an entry; its payload is not kept.
    #[must_use]
    pub fn parse(entry: &RawEntry, reader: &Reader) -> Self {
        let failed_attempts = number(entry, field::ATTEMPTS).unwrap_or(0);
        Self {
            id: entry.0.clone(),
            failed_attempts,
            trace: bytes(entry, field::TRACEPARENT).and_then(TraceContext::parse),
            event: event(entry, reader),
        }
    }

    /// The identity, where it is known.
    #[must_use]
    pub const fn svix_id(&self) -> Option<&SvixId> {
        match &self.event {
            Ok(Event { svix_id, .. }) | Err(Unreadable::Event { svix_id, .. }) => Some(svix_id),
            Err(_) => None,
        }
    }

    /// The event's type, where it could be read.
    #[must_use]
    pub fn event_type(&self) -> Option<&str> {
        self.event
            .as_ref()
            .ok()
            .map(|event| event.event_type.as_str())
    }

    /// The object that the event is about, where it could be read.
    #[must_use]
    pub fn object_id(&self) -> Option<&ObjectId> {
        self.event.as_ref().ok()?.object_id()
    }
}

fn event(entry: &RawEntry, reader: &Reader) -> Result<Event, Unreadable> {
    let svix_id = text(entry, field::SVIX_ID)
        .and_then(SvixId::parse)
        .ok_or(Unreadable::SvixId)?;
    let payload = bytes(entry, field::PAYLOAD).ok_or(Unreadable::Payload)?;
    reader
        .read(svix_id.clone(), received_at(entry), payload)
        .map_err(|reason| Unreadable::Event { svix_id, reason })
}

/// An entry that was added by hand was received when Redis took it.
fn received_at(entry: &RawEntry) -> SystemTime {
    const YEAR_10000: u64 = 253_402_300_800_000;
    let milliseconds = number(entry, field::RECEIVED_AT)
        .filter(|milliseconds| *milliseconds < YEAR_10000)
        .or_else(|| {
            entry
                .0
                .split('-')
                .next()?
                .parse()
                .ok()
                .filter(|milliseconds| *milliseconds < YEAR_10000)
        })
        .unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds)
}

fn number<T: std::str::FromStr>(entry: &RawEntry, field: &str) -> Option<T> {
    text(entry, field)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Tables;

    fn entry(fields: &[(&str, &str)]) -> Entry {
        let bytes = |text: &&str| text.as_bytes().to_vec();
        let fields = fields
            .iter()
            .map(|(name, value)| (bytes(name), bytes(value)));
        let reader = Reader::new(&Tables::built_in());
        Entry::parse(&("1716883200000-0".into(), fields.collect()), &reader)
    }

    const PAYLOAD: &str = r#"{"type":"user.deleted","data":{"id":"user_1"}}"#;

    #[test]
    fn an_entry_added_by_hand_needs_only_svix_id_and_payload() {
        let entry = entry(&[("svix-id", "msg_1"), ("payload", PAYLOAD)]);
        let event = entry.event.unwrap();
        assert_eq!(event.event_type, "user.deleted");
        assert_eq!(
            event.received_at,
            SystemTime::UNIX_EPOCH + Duration::from_millis(1_716_883_200_000)
        );
        assert_eq!(entry.failed_attempts, 0);
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(
            entry(&[("payload", PAYLOAD)]).event.unwrap_err(),
            Unreadable::SvixId
        );
        assert_eq!(
            entry(&[("svix-id", ""), ("payload", PAYLOAD)])
                .event
                .unwrap_err(),
            Unreadable::SvixId
        );
        assert_eq!(
            entry(&[("svix-id", "msg_1")]).event.unwrap_err(),
            Unreadable::Payload
        );
        let not_json = entry(&[("svix-id", "msg_1"), ("payload", "nonsense")]);
        assert_eq!(not_json.svix_id().unwrap().as_str(), "msg_1");
        assert!(
            not_json
                .event
                .unwrap_err()
                .to_string()
                .starts_with("the payload is not JSON")
        );
    }

    #[test]
    fn fields_that_make_no_sense_do_no_harm() {
        let entry = entry(&[
            ("svix-id", "msg_1"),
            ("payload", PAYLOAD),
            ("attempts", "-1"),
            ("received-at", "99999999999999999"),
            ("traceparent", "nonsense"),
        ]);
        assert_eq!(entry.failed_attempts, 0);
        assert_eq!(entry.trace, None);
        assert!(entry.event.is_ok());
    }
}
