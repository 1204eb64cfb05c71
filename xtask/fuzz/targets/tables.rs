//! A tables file of any text: it is read, or every mistake is told with its line; and whatever is read reads an event.

#![no_main]

use std::time::SystemTime;

use libfuzzer_sys::fuzz_target;
use shared::svix_id::SvixId;
use worker::event::reader::Reader;
use worker::tables::Tables;

const USER: &[u8] = include_bytes!("../../../shared/fixtures/user.updated.full.json");

fuzz_target!(|text: &[u8]| {
    let Ok(text) = str::from_utf8(text) else {
        return;
    };
    match Tables::parse("f", text) {
        Ok(report) => {
            for warning in &report.warnings {
                check_line(warning, text);
            }
            let reader = Reader::new(&report.tables);
            let svix_id = SvixId::parse("msg_1").unwrap();
            let event = reader.read(svix_id, SystemTime::UNIX_EPOCH, USER).unwrap();
            if let Some(user) = event.upserted() {
                assert_eq!(user.row.cells.len(), user.section.cells().count());
            }
        }
        Err(mistakes) => {
            for line in mistakes.to_string().split('\n') {
                check_line(line, text);
                assert!(line.contains(", expected "), "{line}");
            }
        }
    }
});

/// `FILE:LINE: what`
fn check_line(line: &str, text: &str) {
    let told = line
        .strip_prefix("f:")
        .and_then(|line| line.split_once(": "));
    let (number, _) = told.unwrap();
    let last = text.split('\n').count();
    assert!((1..=last).contains(&number.parse().unwrap()), "{line}");
}
