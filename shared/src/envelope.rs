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
    /// The event's type, for example `user.created`.
    #[serde(borrow, rename = "type")]
    pub event_type: Cow<'a, str>,
    /// What the event is about: a JSON object. `None` where that is missing or of another kind.
    #[serde(borrow, default)]
    pub data: Option<&'a RawValue>,
    /// When Clerk sent the event, in milliseconds since the epoch, as it stands in the JSON.
    #[serde(borrow, default)]
    pub timestamp: Option<&'a RawValue>,
    /// Which of Clerk's instances sent it, as it stands in the JSON.
    #[serde(borrow, default)]
    pub instance_id: Option<&'a RawValue>,
}

/// Why a body is not a Clerk event. Holds nothing of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnEvent {
    /// The body is not JSON, or stops in the middle.
    #[error("not JSON")]
    NotJson,
    /// `type` is missing, doubled or of another kind.
    #[error("not a Clerk event: it needs a string \"type\"")]
    NotAnEnvelope,
}

impl<'a> Envelope<'a> {
    /// Reads `body`, borrowing from it.
    ///
    /// # Errors
    /// When `body` is not a JSON object with a string `type`.
    pub fn parse(body: &'a [u8]) -> Result<Self, NotAnEvent> {
        let mut envelope: Self = serde_json::from_slice(body).or_else(|error| {
            if error.is_data() {
                Self::of_type_alone(body)
            } else {
                Err(NotAnEvent::NotJson)
            }
        })?;
        // serde takes a JSON array for a struct too, field by field.
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(NotAnEvent::NotAnEnvelope);
        }
        envelope.data = envelope.data.filter(|data| data.get().starts_with('{'));
        Ok(envelope)
    }

    /// What is left of an event whose other fields are doubled.
    fn of_type_alone(body: &'a [u8]) -> Result<Self, NotAnEvent> {
        #[derive(Deserialize)]
        struct Type<'a> {
            #[serde(borrow, rename = "type")]
            event_type: Cow<'a, str>,
        }
        let Type { event_type } =
            serde_json::from_slice(body).map_err(|_| NotAnEvent::NotAnEnvelope)?;
        Ok(Self {
            event_type,
            data: None,
            timestamp: None,
            instance_id: None,
        })
    }

    /// The `id` of `data`, if it is there and is text: of an event about a user, the user's.
    #[must_use]
    pub fn data_id(&self) -> Option<Cow<'a, str>> {
        #[derive(Deserialize)]
        struct Data<'a> {
            #[serde(borrow)]
            id: Cow<'a, str>,
        }
        let data: Data<'a> = serde_json::from_str(self.data?.get()).ok()?;
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
            (b"{\"data\":{}}", NotAnEvent::NotAnEnvelope),
            (b"{\"type\":7,\"data\":{}}", NotAnEvent::NotAnEnvelope),
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
    fn an_event_may_have_any_data_or_none() {
        for (rest, data) in [
            ("", None),
            (r#","data":null"#, None),
            (r#","data":["user_1"]"#, None),
            (r#","data":7"#, None),
            (r#","data":{},"data":{}"#, None),
            (r#","data":{},"timestamp":1,"timestamp":1"#, None),
            (r#","data": {"id":7}"#, Some(r#"{"id":7}"#)),
        ] {
            for event_type in ["user.created", ""] {
                let body = format!(r#"{{"type":"{event_type}"{rest}}}"#);
                let envelope = Envelope::parse(body.as_bytes()).unwrap();
                assert_eq!(envelope.event_type, event_type);
                assert_eq!(envelope.data.map(RawValue::get), data, "{body}");
            }
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
