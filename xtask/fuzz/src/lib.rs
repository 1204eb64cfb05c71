//! What must hold of everything that was parsed, whatever the bytes were. Each function panics where it
//! does not.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use shared::queue::field;
use shared::svix_id::SvixId;
use worker::event::entry::{Entry, Unreadable};
use worker::event::unusable::Unusable;
use worker::event::user::User;
use worker::event::{Change, Event};
use worker::source::raw_entry::RawEntry;

/// The entry that the ingest would make of an event.
pub fn queued(svix_id: &SvixId, event_type: &str, payload: &[u8]) -> RawEntry {
    let fields: [(&str, &[u8]); 4] = [
        (field::SVIX_ID, svix_id.as_str().as_bytes()),
        (field::TYPE, event_type.as_bytes()),
        (field::PAYLOAD, payload),
        (field::RECEIVED_AT, b"1716883200000"),
    ];
    let bytes = fields.map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec()));
    ("1716883200000-0".into(), bytes.into())
}

/// What the worker read fits the columns that it is written to, and nothing of it is changed by
/// reading it again.
pub fn check_entry(entry: &Entry) {
    match &entry.event {
        Ok(event) => check_event(event),
        Err(reason) => {
            // A reason that quotes nothing has few forms.
            let reason = reason.to_string();
            assert!(reason.len() < 100 && reason.is_ascii(), "{reason}");
        }
    }
}

fn check_event(event: &Event) {
    assert!(is_text(&event.event_type, 0, 255));
    assert!(SvixId::parse(event.svix_id.as_str()).is_some());
    for time in [event.event_at, event.received_at] {
        check_time(time);
    }
    if let Some(id) = event.user_id() {
        assert!(is_text(id.as_str(), 1, 255));
    }
    if let Change::Upsert(user) = &event.change {
        check_user(user);
        let again = Event::parse(
            event.svix_id.clone(),
            event.received_at,
            print(user).as_bytes(),
        );
        assert_eq!(again.as_ref().ok().and_then(Event::upserted), Some(user));
    }
}

fn check_user(user: &User) {
    assert!(is_text(&user.name, 1, 255) && !user.name.trim().is_empty());
    assert!(is_text(&user.email, 1, 255) && !user.email.trim().is_empty());
    if let Some(url) = &user.image_url {
        assert!(is_text(url, 0, 1000));
    }
    check_time(user.created_at);
    check_time(user.updated_at);
}

/// The years that PostgreSQL, and every reader of its timestamps, can hold.
fn check_time(time: SystemTime) {
    let milliseconds = milliseconds(time);
    assert!((-62_135_596_800_000..253_402_300_800_000).contains(&milliseconds));
}

fn is_text(text: &str, shortest: usize, longest: usize) -> bool {
    (shortest..=longest).contains(&text.chars().count()) && !text.contains('\0')
}

fn milliseconds(time: SystemTime) -> i64 {
    let whole = |distance: Duration| i64::try_from(distance.as_millis()).unwrap();
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => whole(after),
        Err(before) => -whole(before.duration()),
    }
}

/// The payload that says of a user what was read.
fn print(user: &User) -> String {
    json!({
        "type": "user.updated",
        "data": {
            "id": user.id.as_str(),
            "first_name": user.name,
            "image_url": user.image_url,
            "primary_email_address_id": "primary",
            "email_addresses": [{ "id": "primary", "email_address": user.email }],
            "created_at": milliseconds(user.created_at),
            "updated_at": milliseconds(user.updated_at),
        }
    })
    .to_string()
}

/// What an accepted body says, read once more by another parser: the worker must have understood the
/// same. That parser gives up on deep nesting and on halves of surrogate pairs, which the worker does
/// not, and then this says nothing.
pub fn check_against_another_parser(event: &Event, body: &[u8]) {
    let Ok(json) = serde_json::from_slice::<Value>(body) else {
        return;
    };
    let data = &json["data"];
    let event_type = json["type"].as_str().unwrap();
    if event_type.chars().count() <= 255 && !event_type.contains('\0') {
        assert_eq!(event.event_type, event_type);
    }
    assert_eq!(
        event.user_id().is_some(),
        ["user.created", "user.updated", "user.deleted"].contains(&event_type)
    );
    if let Some(id) = event.user_id() {
        assert_eq!(data["id"], id.as_str());
    }
    if let Some(user) = event.upserted() {
        let primary = &data["primary_email_address_id"];
        let addresses = data["email_addresses"].as_array().unwrap();
        assert!(addresses.iter().any(|address| {
            address["id"] == *primary && address["email_address"] == user.email.as_str()
        }));
        if let Some(url) = &user.image_url {
            assert_eq!(data["image_url"], url.as_str());
        }
        for (field, time) in [
            ("created_at", user.created_at),
            ("updated_at", user.updated_at),
        ] {
            let number = &data[field];
            let written = number
                .as_i64()
                .or(number.as_f64().map(|float| float as i64));
            assert_eq!(written, Some(milliseconds(time)), "{field}");
        }
        for part in ["first_name", "last_name"] {
            assert!(data[part].is_null() || data[part].is_string(), "{part}");
        }
    }
}

/// The worker refuses what the ingest refuses, for the same reason.
pub fn is_no_event(entry: &Entry) -> bool {
    matches!(
        entry.event,
        Err(Unreadable::Event {
            reason: Unusable::NotAnEvent(_),
            ..
        })
    )
}
