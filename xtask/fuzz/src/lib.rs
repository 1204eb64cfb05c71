//! What must hold of everything that was parsed, whatever the bytes were. Each function panics where it
//! does not.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};
use shared::queue::field;
use shared::svix_id::SvixId;
use worker::database::catalogue::column::{Column as Stored, Kind};
use worker::event::entry::{Entry, Unreadable};
use worker::event::object::Object;
use worker::event::reader::Reader;
use worker::event::row::Cell;
use worker::event::unusable::Unusable;
use worker::event::{Change, Event};
use worker::fit::{Fitted, fit};
use worker::source::raw_entry::RawEntry;
use worker::tables::Tables;
use worker::tables::section::{Column, OnDelete};
use worker::tables::value::Value;

/// A file that reads all that can be read.
const EVERYTHING: &str = include_str!("../corpus/tables/everything");

/// Reads events as the built-in file wants them.
pub static READER: LazyLock<Reader> = LazyLock::new(|| Reader::new(&Tables::built_in()));

/// Reads events as a file wants them that reads all that can be read.
pub static READER_OF_EVERYTHING: LazyLock<Reader> = LazyLock::new(|| {
    let report = Tables::parse("everything", EVERYTHING);
    Reader::new(&report.unwrap().tables)
});

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

/// What the worker read can be stored, and nothing of it is changed by reading it again.
pub fn check_entry(entry: &Entry) {
    match &entry.event {
        Ok(event) => check_event(event),
        Err(reason) => check_reason(&reason.to_string()),
    }
}

/// A reason that quotes nothing has few forms.
fn check_reason(reason: &str) {
    assert!(reason.len() < 200 && reason.is_ascii(), "{reason}");
}

fn check_event(event: &Event) {
    assert!(is_text(&event.event_type, 0, 255));
    assert!(SvixId::parse(event.svix_id.as_str()).is_some());
    for time in [event.event_at, event.received_at] {
        check_time(time);
    }
    if let Some(id) = event.object_id() {
        assert!(is_text(id.as_str(), 1, 255));
    }
    if let Some(object) = event.changed() {
        check_object(event, object);
    }
}

fn check_object(event: &Event, object: &Object) {
    check_time(object.updated_at);
    let columns: Vec<&Column> = match (&event.change, &object.section.on_delete) {
        (Change::Upsert(_), _) => object.section.cells().collect(),
        (_, OnDelete::Set(columns)) => columns.iter().collect(),
        _ => Vec::new(),
    };
    assert_eq!(object.row.cells.len(), columns.len());
    for (cell, column) in object.row.cells.iter().zip(columns) {
        check_value(&cell.value);
        if let Some(value) = &cell.instead {
            check_value(value);
        }
        for kind in kinds() {
            check_fit(cell, column, kind);
        }
    }
}

/// What comes out of an event is what PostgreSQL can hold.
fn check_value(value: &Value) {
    match value {
        Value::Nothing | Value::Integer(_) | Value::Boolean(_) => {}
        Value::Text(text) => assert!(!text.contains('\0')),
        Value::Number(number) => {
            assert!(number.starts_with(|first: char| first == '-' || first.is_ascii_digit()));
            assert!(number.is_ascii());
        }
        Value::Json(json) => check_json(json),
    }
}

/// The other parser gives up on deep nesting and on numbers that it cannot hold.
fn check_json(json: &str) {
    assert!(json.starts_with(['{', '[']) && !json.contains('\0'));
    if let Ok(parsed) = serde_json::from_str::<Json>(json) {
        assert!(!holds_nul(&parsed));
    }
}

fn holds_nul(json: &Json) -> bool {
    match json {
        Json::String(text) => text.contains('\0'),
        Json::Array(entries) => entries.iter().any(holds_nul),
        Json::Object(fields) => fields
            .iter()
            .any(|(name, json)| name.contains('\0') || holds_nul(json)),
        _ => false,
    }
}

fn kinds() -> [Kind; 16] {
    let text = |characters, is_padded| Kind::Text {
        characters,
        is_padded,
    };
    [
        text(None, false),
        text(Some(3), false),
        text(Some(3), true),
        Kind::Enum(vec!["verified".to_owned()]),
        Kind::Time,
        Kind::Date,
        Kind::Boolean,
        Kind::Integer {
            least: -32_768,
            greatest: 32_767,
        },
        Kind::Numeric { digits: None },
        Kind::Numeric {
            digits: Some((2, 2)),
        },
        Kind::Real,
        Kind::Uuid,
        Kind::Json,
        Kind::TextArray(Box::new(text(None, false))),
        Kind::TextArray(Box::new(text(Some(3), true))),
        Kind::TextArray(Box::new(Kind::Enum(vec!["verified".to_owned()]))),
    ]
}

/// Whatever is said, what is written to a column of this kind is what the column takes.
fn check_fit(cell: &Cell, column: &Column, kind: Kind) {
    let stored = Stored {
        name: column.name.clone(),
        kind,
        takes_null: column.name.len() % 2 == 0,
        is_unique: column.name.len() % 3 == 0,
        ..Stored::default()
    };
    match fit(cell, column, &stored) {
        Err(misfit) => check_reason(&misfit.to_string()),
        Ok(Fitted::Null) => assert!(stored.takes_null),
        Ok(Fitted::Time(time)) => check_time(time),
        Ok(Fitted::Text(text)) => match &stored.kind {
            Kind::Text { characters, .. } => {
                assert!(is_text(&text, 0, characters.unwrap_or(usize::MAX)));
            }
            Kind::Enum(words) => assert!(words.contains(&text.into_owned())),
            Kind::Boolean => assert!(["true", "false"].contains(&&*text)),
            Kind::Integer { least, greatest } => {
                assert!((*least..=*greatest).contains(&text.parse().unwrap()));
            }
            Kind::Json => assert!(!text.contains('\0')),
            Kind::TextArray(_) => assert!(text.starts_with('{') && !text.contains('\0')),
            _ => assert!(text.is_ascii()),
        },
    }
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

/// What the built-in file reads of a user is not changed by reading it once more.
pub fn check_again(event: &Event) {
    let Some(user) = event.upserted() else {
        return;
    };
    let payload = print(user);
    let read = READER.read(event.svix_id.clone(), event.received_at, payload.as_bytes());
    let again = read.unwrap();
    let again = again.upserted().unwrap();
    let values = |user: &Object| {
        let cells = user.row.cells.iter();
        cells.map(|cell| cell.value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(values(again), values(user));
    assert_eq!((&again.id, again.updated_at), (&user.id, user.updated_at));
}

/// The payload that says of a user what was read.
fn print(user: &Object) -> String {
    let [name, email, image_url, created_at, updated_at] = user.row.cells.as_slice() else {
        panic!("the built-in file has another form");
    };
    let json = |cell: &Cell| match &cell.value {
        Value::Text(text) => json!(text).to_string(),
        value => value.text().unwrap_or("null".into()).into_owned(),
    };
    // What is no time counts as none, and then the envelope's counts.
    let timestamp = milliseconds(user.updated_at);
    format!(
        r#"{{"type":"user.updated","timestamp":{timestamp},"data":{{"id":{},"first_name":{},"image_url":{},"primary_email_address_id":"primary","email_addresses":[{{"id":"primary","email_address":{}}}],"created_at":{},"updated_at":{}}}}}"#,
        json!(user.id.as_str()),
        json(name),
        json(image_url),
        json(email),
        json(created_at),
        json(updated_at),
    )
}

/// What an accepted body says, read once more by another parser: the worker must have understood the
/// same. That parser gives up on deep nesting and on halves of surrogate pairs, which the worker does
/// not, and then this says nothing.
pub fn check_against_another_parser(event: &Event, body: &[u8]) {
    let Ok(json) = serde_json::from_slice::<Json>(body) else {
        return;
    };
    let data = &json["data"];
    let event_type = json["type"].as_str().unwrap();
    if event_type.chars().count() <= 255 && !event_type.contains('\0') {
        assert_eq!(event.event_type, event_type);
    }
    let is_of_users = event_type.starts_with("user.");
    assert_eq!(event.changed().is_some(), is_of_users);
    assert_eq!(
        event.upserted().is_some(),
        is_of_users && event_type != "user.deleted"
    );
    if let Some(id) = event.object_id() {
        assert_eq!(data["id"], id.as_str());
    }
    if let Some(user) = event.upserted() {
        let body: Body<'_> = serde_json::from_slice(body).unwrap();
        check_user(user, data, &body.data.addresses());
    }
}

/// Where a name that stands twice in an entry is seen: the entry then says nothing.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    email_addresses: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Address {
    id: Json,
    email_address: Option<Json>,
    #[serde(rename = "verification")]
    _verification: Option<Json>,
}

impl Data<'_> {
    fn addresses(&self) -> Vec<Address> {
        let json = self.email_addresses.map_or("[]", RawValue::get);
        let entries: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
        let entries = entries
            .into_iter()
            .filter(|entry| entry.get().starts_with('{'));
        entries
            .filter_map(|entry| serde_json::from_str(entry.get()).ok())
            .collect()
    }
}

/// As the built-in file reads it.
fn check_user(user: &Object, data: &Json, addresses: &[Address]) {
    let [name, email, image_url, created_at, updated_at] = user.row.cells.as_slice() else {
        panic!("the built-in file has another form");
    };
    let primary = &data["primary_email_address_id"];
    let is_primary = |address: &&Address| primary.is_string() && address.id == *primary;
    let address = addresses.iter().find(is_primary);
    check_said(
        email,
        address.and_then(|address| address.email_address.as_ref()),
    );
    check_said(image_url, Some(&data["image_url"]));
    check_said(created_at, Some(&data["created_at"]));
    check_said(updated_at, Some(&data["updated_at"]));
    let names = ["first_name", "last_name"].map(|part| stored(&data[part]));
    let names = names.into_iter().flatten();
    let full_name = names.collect::<Vec<_>>().join(" ");
    let expected = if full_name.is_empty() {
        "User"
    } else {
        &full_name
    };
    assert_eq!(name.value, Value::Text(expected.to_owned()));
}

fn check_said(cell: &Cell, json: Option<&Json>) {
    let json = json.unwrap_or(&Json::Null);
    match (&cell.value, json) {
        (Value::Nothing, Json::Null) => {}
        (Value::Nothing, text) => assert!(text.is_string() && stored(text).is_none()),
        (Value::Text(text), json) => assert_eq!(Some(text), stored(json).as_ref()),
        (Value::Integer(number), json) => assert_eq!(json.as_i64(), Some(*number)),
        (Value::Boolean(boolean), json) => assert_eq!(json.as_bool(), Some(*boolean)),
        (Value::Number(_), json) => assert!(json.is_number()),
        (Value::Json(_), json) => assert!(json.is_object() || json.is_array()),
    }
}

/// A text that is not blank, as PostgreSQL holds it.
fn stored(json: &Json) -> Option<String> {
    let text = json.as_str()?.replace('\0', "");
    (!text.trim().is_empty()).then_some(text)
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
