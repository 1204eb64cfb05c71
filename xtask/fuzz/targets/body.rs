//! A correctly signed body of any bytes, from the signature to what the worker reads in the entry.

#![no_main]

use fuzz::{
    READER, READER_OF_EVERYTHING, check_again, check_against_another_parser, check_entry,
    is_no_event, queued,
};
use hyper::HeaderMap;
use ingest::signature::{Rejection, Verifier};
use libfuzzer_sys::fuzz_target;
use shared::envelope::Envelope;
use svix::webhooks::Webhook;
use worker::event::entry::Entry;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fuzz_target!(|body: &[u8]| {
    let verified = Verifier::parse(SECRET).unwrap().verify(&signed(body), body);
    if str::from_utf8(body).is_err() {
        assert_eq!(verified, Err(Rejection::Body));
        return;
    }
    let svix_id = verified.unwrap();
    match Envelope::parse(body) {
        Ok(envelope) => {
            let queued = queued(&svix_id, &envelope.event_type, body);
            let entry = Entry::parse(&queued, &READER);
            assert!(!is_no_event(&entry), "the worker refuses what was accepted");
            assert_eq!(entry.svix_id(), Some(&svix_id));
            check_entry(&entry);
            check_entry(&Entry::parse(&queued, &READER_OF_EVERYTHING));
            if let Ok(event) = &entry.event {
                check_again(event);
                check_against_another_parser(event, body);
            }
        }
        Err(_) => {
            let entry = Entry::parse(&queued(&svix_id, "", body), &READER);
            assert!(is_no_event(&entry));
        }
    }
});

/// A body that is not UTF-8 cannot be signed; the signature of another one does as well.
fn signed(body: &[u8]) -> HeaderMap {
    let webhook = Webhook::new(SECRET).unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let signature = webhook
        .sign("msg_1", i64::try_from(now).unwrap(), body)
        .unwrap_or_default();
    [
        ("svix-id", "msg_1".to_owned()),
        ("svix-timestamp", now.to_string()),
        ("svix-signature", signature),
    ]
    .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
    .into_iter()
    .collect()
}
