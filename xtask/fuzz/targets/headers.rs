//! Any headers in front of any body. The input is written like a request: lines `name: value`, an empty
//! line, the body. In a value `{now}` stands for the present second and `{signature}` for the right
//! signature, which no fuzzer would find.

#![no_main]

use std::net::{IpAddr, Ipv6Addr};

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use ingest::signature::{Rejection, Verifier};
use ingest::source_address::source_address;
use libfuzzer_sys::fuzz_target;
use shared::svix_id::SvixId;
use svix::webhooks::Webhook;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fuzz_target!(|request: &[u8]| {
    let end = request.windows(2).position(|window| window == b"\n\n");
    let (head, body) = match end {
        Some(end) => (&request[..end], &request[end + 2..]),
        None => (request, &[][..]),
    };
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let mut headers = header_map(head, now);
    let right = sign(SECRET, &headers, body);
    for name in ["svix-signature", "webhook-signature"] {
        if let (Some(right), Some(value)) = (&right, headers.get_mut(name)) {
            let filled = replace(value.as_bytes(), b"{signature}", right.as_bytes());
            *value = HeaderValue::from_bytes(&filled).unwrap();
        }
    }

    let verifier = Verifier::parse(&format!("{OTHER_SECRET} {SECRET}")).unwrap();
    match verifier.verify(&headers, body) {
        Ok(svix_id) => {
            // Nothing but the signature of just this id, second and body lets a request in.
            assert_eq!(Some(svix_id.as_str()), text(&headers, "id"));
            let right = right.unwrap();
            let other = sign(OTHER_SECRET, &headers, body).unwrap();
            assert!(
                text(&headers, "signature")
                    .unwrap()
                    .split(' ')
                    .any(|one| one == right || one == other)
            );
            let second: u64 = text(&headers, "timestamp").unwrap().parse().unwrap();
            assert!(second.abs_diff(now) <= 301);
        }
        Err(Rejection::Signature) => {
            let signatures = text(&headers, "signature").unwrap();
            assert!(
                !signatures
                    .split(' ')
                    .any(|one| Some(one) == right.as_deref())
            );
        }
        Err(Rejection::Header) => {
            let id = text(&headers, "id").and_then(SvixId::parse);
            let others = text(&headers, "timestamp").and(text(&headers, "signature"));
            assert!(id.is_none() || others.is_none());
        }
        Err(Rejection::Body) => assert!(str::from_utf8(body).is_err()),
        Err(Rejection::Timestamp) => {}
    }
    check_source(&headers);
});

/// A peer is never mistaken for nobody but where the contract says so, and IPv6 counts by its /64.
fn check_source(headers: &HeaderMap) {
    let peer = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 3, 4, 5, 6));
    for hops in 0..4 {
        match source_address(peer, headers, hops) {
            Some(IpAddr::V6(address)) => assert_eq!(address.segments()[4..], [0; 4]),
            Some(IpAddr::V4(_)) => assert!(hops > 0),
            None => assert!(hops > 0 || headers.contains_key("x-forwarded-for")),
        }
    }
}

/// Lines that cannot be headers are left out, as hyper refuses the request for them.
fn header_map(head: &[u8], now: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n').take(64) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let value = replace(
            line[colon + 1..].trim_ascii(),
            b"{now}",
            now.to_string().as_bytes(),
        );
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(&line[..colon]),
            HeaderValue::from_bytes(&value),
        ) {
            headers.append(name, value);
        }
    }
    headers
}

fn replace(text: &[u8], placeholder: &[u8], value: &[u8]) -> Vec<u8> {
    match text
        .windows(placeholder.len())
        .position(|window| window == placeholder)
    {
        Some(at) => [&text[..at], value, &text[at + placeholder.len()..]].concat(),
        None => text.to_vec(),
    }
}

fn sign(secret: &str, headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let (id, timestamp) = (text(headers, "id")?, text(headers, "timestamp")?);
    Webhook::new(secret)
        .unwrap()
        .sign(id, timestamp.parse().ok()?, body)
        .ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get(format!("svix-{name}"))
        .or_else(|| headers.get(format!("webhook-{name}")))?
        .to_str()
        .ok()
}
