//! What every Clerk event has in common.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// A Clerk event whose `data` nobody has looked at yet.
///
/// Unknown fields are ignored, and `data` is checked for JSON syntax only: Clerk adds fields and
/// types at any time, and none of them may break anything.
#[derive(Debug, Deserialize)]
pub struct Envelope<'a> {
    /// The event's type, for example `user.created`; never empty.
    #[serde(borrow, rename = "type")]
    pub event_type: Cow<'a, str>,
    /// What the event is about; always a JSON object.
    #[serde(borrow)]
    pub data: &'a RawValue,
    /// When Clerk sent the event, in milliseconds since the epoch, as it stands in the JSON.
    #[serde(borrow, default)]
    pub timestamp: Option<&'a RawValue>,
}

/// Why a body is not a Clerk event. Holds nothing of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnEvent {
    /// The body is not JSON, or stops in the middle.
    #[error("not JSON")]
    NotJson,
    /// `type` or `data` is missing, doubled or of another kind.
    #[error("not a Clerk event: it needs a string \"type\" and an object \"data\"")]
    NotAnEnvelope,
}

impl<'a> Envelope<'a> {
    /// Reads `body`, borrowing from it.
    ///
    /// # Errors
    /// When `body` is not a JSON object with a non-empty string `type` and an object `data`.
    pub fn parse(body: &'a [u8]) -> Result<Self, NotAnEvent> {
        let envelope: Self = serde_json::from_slice(body).map_err(|error| {
            if error.is_data() {
                NotAnEvent::NotAnEnvelope
            } else {
                NotAnEvent::NotJson
            }
        })?;
        // serde takes a JSON array for a struct too, field by field.
        let is_object = body.trim_ascii_start().starts_with(b"{");
        if !is_object || envelope.event_type.is_empty() || !envelope.data.get().starts_with('{') {
            return Err(NotAnEvent::NotAnEnvelope);
        }
        Ok(envelope)
    }

    /// The `id` of `data`, if it is there and is text: of an event about a user, the user's.
    #[must_use]
    pub fn data_id(&self) -> Option<Cow<'a, str>> {
        #[derive(Deserialize)]
        struct Data<'a> {
            #[serde(borrow)]
            id: Cow<'a, str>,
        }
        let data: Data<'a> = serde_json::from_str(self.data.get()).ok()?;
        Some(data.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clerk_payload_is_an_event() {
        for (body, event_type) in [
            (
                &include_bytes!("../fixtures/user.created.json")[..],
                "user.created",
            ),
            (
                include_bytes!("../fixtures/user.deleted.json"),
                "user.deleted",
            ),
            (
                include_bytes!("../fixtures/organization.created.json"),
                "organization.created",
            ),
            (
                include_bytes!("../fixtures/session.created.json"),
                "session.created",
            ),
        ] {
            assert_eq!(Envelope::parse(body).unwrap().event_type, event_type);
        }
    }

    #[test]
    fn what_is_not_an_event_is_refused() {
        for (body, reason) in [
            (&b""[..], NotAnEvent::NotJson),
            (b"{", NotAnEvent::NotJson),
            (
                b"{\"type\":\"user.created\",\"data\":{}} trailing",
                NotAnEvent::NotJson,
            ),
            (b"\"user.created\"", NotAnEvent::NotAnEnvelope),
            (b"[\"user.created\",{},1]", NotAnEvent::NotAnEnvelope),
            (b"{}", NotAnEvent::NotAnEnvelope),
            (b"{\"type\":\"user.created\"}", NotAnEvent::NotAnEnvelope),
            (b"{\"data\":{}}", NotAnEvent::NotAnEnvelope),
            (b"{\"type\":\"\",\"data\":{}}", NotAnEvent::NotAnEnvelope),
            (b"{\"type\":7,\"data\":{}}", NotAnEvent::NotAnEnvelope),
            (
                b"{\"type\":\"user.created\",\"data\":null}",
                NotAnEvent::NotAnEnvelope,
            ),
            (
                b"{\"type\":\"user.created\",\"data\":[]}",
                NotAnEvent::NotAnEnvelope,
            ),
            (
                b"{\"type\":\"a\",\"type\":\"b\",\"data\":{}}",
                NotAnEvent::NotAnEnvelope,
            ),
        ] {
            assert_eq!(
                Envelope::parse(body).unwrap_err(),
                reason,
                "{}",
                String::from_utf8_lossy(body)
            );
        }
    }

    #[test]
    fn the_id_of_the_data_is_read_where_it_is_text() {
        for (data, id) in [
            (r#"{"x":{"id":"no"},"id":"user_1"}"#, Some("user_1")),
            (r#"{"id":"user_\u0031"}"#, Some("user_1")),
            (r#"{"id":1}"#, None),
            (r#"{"id":"user_1","id":"user_2"}"#, None),
            ("{}", None),
        ] {
            let body = format!(r#"{{"type":"user.created","data":{data}}}"#);
            let envelope = Envelope::parse(body.as_bytes()).unwrap();
            assert_eq!(envelope.data_id().as_deref(), id, "{data}");
        }
    }

    #[test]
    fn a_field_nested_ten_thousand_deep_is_ignored() {
        let body = format!(
            "{{\"type\":\"user.created\",\"data\":{{\"x\":{}{}}}}}",
            "[".repeat(10_000),
            "]".repeat(10_000)
        );
        assert!(Envelope::parse(body.as_bytes()).is_ok());
    }
}
