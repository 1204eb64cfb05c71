//! An entry of the stream as anybody may have added it: any fields, any number of them. The input is
//! the id, then names and values, with the byte 0xFF, which no UTF-8 has, between them.

#![no_main]

use std::time::SystemTime;

use fuzz::{READER, READER_OF_EVERYTHING, check_entry};
use libfuzzer_sys::fuzz_target;
use shared::queue::field;
use worker::event::entry::{Entry, Unreadable};
use worker::source::raw_entry::RawEntry;

fuzz_target!(|input: &[u8]| {
    let mut parts = input.split(|byte| *byte == 0xff).map(<[u8]>::to_vec);
    let id = String::from_utf8_lossy(&parts.next().unwrap_or_default()).into_owned();
    let mut fields = Vec::new();
    while let Some(name) = parts.next() {
        fields.push((name, parts.next().unwrap_or_default()));
    }
    let entry: RawEntry = (id, fields);
    let parsed = Entry::parse(&entry, &READER);
    check_entry(&parsed);
    check_entry(&Entry::parse(&entry, &READER_OF_EVERYTHING));
    assert_eq!(parsed.id, entry.0);
    match &parsed.event {
        Err(Unreadable::Payload) => assert!(value(&entry, field::PAYLOAD).is_none()),
        Err(_) => {}
        Ok(event) => {
            assert_eq!(
                value(&entry, field::SVIX_ID),
                Some(event.svix_id.as_str().as_bytes())
            );
            assert!(event.received_at >= SystemTime::UNIX_EPOCH);
        }
    }

    // Fields that nobody asked for change nothing, and neither does the field `type`: the payload tells.
    let mut more = entry.clone();
    more.1.retain(|(name, _)| name != field::TYPE.as_bytes());
    more.1.push((b"more".to_vec(), b"of it".to_vec()));
    let with_more = Entry::parse(&more, &READER);
    assert_eq!(with_more.failed_attempts, parsed.failed_attempts);
    assert_eq!(with_more.event, parsed.event);
});

/// Of a field that stands there twice the last one counts.
fn value<'a>(entry: &'a RawEntry, field: &str) -> Option<&'a [u8]> {
    let mut found = entry.1.iter().filter(|(name, _)| name == field.as_bytes());
    found.next_back().map(|(_, value)| value.as_slice())
}
