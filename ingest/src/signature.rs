//! Svix signatures, by the rules of the `svix` crate
//! (<https://docs.svix.com/receiving/verifying-payloads/how-manual>).

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::HeaderMap;
use sha2::Sha256;
use shared::settings::{QUOTES, QUOTES_EXPECTED};
use shared::svix_id::SvixId;
use svix::webhooks::{Webhook, WebhookError};

/// What a secret is expected to be.
pub(crate) const EXPECTED: &str =
    "the endpoint's signing secret, whsec_ and base64, or several of them";

/// Seconds that a timestamp may be off.
const TOLERANCE: u64 = 5 * 60;

/// Verifies requests against one signing secret, or against several while one is rotated.
#[derive(Debug)]
pub struct Verifier(Vec<Secret>);

/// A signing secret, for two who compute the same. The `svix` crate's SHA-256 does not use the processor's
/// instructions for it and took a fifth of the ingest's time, so a signature is tried with a faster
/// one first. What that does not find right is the crate's to judge.
#[derive(Debug)]
struct Secret {
    key: Hmac<Sha256>,
    webhook: Webhook,
}

/// How many bytes a key has at least. Svix makes keys of 24; fewer are a part of one, or made up.
const SHORTEST_KEY: usize = 16;

/// Why a request is not a delivery of Svix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// A header is missing, cannot be read, or holds no usable svix-id.
    Header,
    /// The timestamp is not a number, or more than five minutes off.
    Timestamp,
    /// No signature fits any secret.
    Signature,
    /// The body is not UTF-8.
    Body,
}

impl Rejection {
    /// The kind's name in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Timestamp => "timestamp",
            Self::Signature => "signature",
            Self::Body => "body",
        }
    }
}

impl Verifier {
    /// Reads signing secrets that are separated by spaces, commas, tabs or line ends: base64 behind an optional
    /// `whsec_`.
    ///
    /// # Errors
    /// What was found and what is expected. No secret is shown.
    pub fn parse(secrets: &str) -> Result<Self, (String, String)> {
        let refused = |found: &str, expected: &str| Err((found.to_owned(), expected.to_owned()));
        let is_between = |c: char| c == ',' || c.is_whitespace();
        let secrets: Vec<_> = secrets
            .split(is_between)
            .filter(|secret| !secret.is_empty())
            .collect();
        // Its comma looks like one between two secrets.
        if secrets.iter().any(|secret| matches!(*secret, "v1" | "v1a")) {
            let found = "a signature, which begins with \"v1,\" (hidden)";
            return refused(found, EXPECTED);
        }
        if secrets.is_empty() {
            return refused("nothing", EXPECTED);
        }
        let secrets: Result<Vec<_>, _> = secrets
            .iter()
            .enumerate()
            .map(|(place, secret)| {
                Secret::parse(secret).map_err(|(found, expected)| {
                    let which = match place {
                        _ if secrets.len() == 1 => "a secret".to_owned(),
                        0 => "a first secret".to_owned(),
                        1 => "a second secret".to_owned(),
                        _ => format!("a secret number {}", place + 1),
                    };
                    (
                        format!("{which} that {found} (hidden)"),
                        expected.to_owned(),
                    )
                })
            })
            .collect();
        secrets.map(Self)
    }

    /// The svix-id of a request that Svix signed.
    ///
    /// # Errors
    /// Why it is not one. Where the reason depends on the secret, it is that of the first.
    pub fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Result<SvixId, Rejection> {
        let mut first_error = None;
        if self.0.iter().any(|secret| secret.signed(headers, body)) {
            return svix_id(headers).ok_or(Rejection::Header);
        }
        for secret in &self.0 {
            match secret.webhook.verify(body, headers) {
                Ok(()) => return svix_id(headers).ok_or(Rejection::Header),
                Err(error) => first_error = first_error.or(Some(rejection(&error))),
            }
        }
        Err(first_error.unwrap_or(Rejection::Signature))
    }
}

impl Secret {
    /// What is wrong with it and what is expected, where it is none.
    fn parse(secret: &str) -> Result<Self, (&'static str, &'static str)> {
        if secret.starts_with(QUOTES) {
            return Err(("begins with a quotation mark", QUOTES_EXPECTED));
        }
        if secret.starts_with("sk_") || secret.starts_with("pk_") {
            return Err(("is a key of Clerk's API", EXPECTED));
        }
        let key = secret.strip_prefix("whsec_").unwrap_or(secret);
        let Some(key) = STANDARD.decode(key).ok() else {
            return Err(("is not base64 behind whsec_", EXPECTED));
        };
        if key.len() < SHORTEST_KEY {
            let found = "is too short: under 16 bytes";
            return Err((found, "all of what Clerk's dashboard shows"));
        }
        let usable = Webhook::new(secret)
            .ok()
            .zip(Hmac::new_from_slice(&key).ok());
        let (webhook, key) = usable.ok_or(("cannot be used", EXPECTED))?;
        Ok(Self { key, webhook })
    }

    /// Whether the request is signed with this secret, and lately. What is unusual may be missed.
    fn signed(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let signed = || {
            let id = header(headers, "svix-id", "webhook-id")?;
            let signatures = header(headers, "svix-signature", "webhook-signature")?;
            let timestamp = header(headers, "svix-timestamp", "webhook-timestamp")?;
            let timestamp: u64 = timestamp.parse().ok()?;
            let now = SystemTime::UNIX_EPOCH.elapsed().ok()?.as_secs();
            if now.abs_diff(timestamp) > TOLERANCE || std::str::from_utf8(body).is_err() {
                return None;
            }
            let timestamp = timestamp.to_string();
            let mut mac = self.key.clone();
            for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
                mac.update(part);
            }
            Some(signatures.split(' ').any(|signature| {
                signature
                    .strip_prefix("v1,")
                    .and_then(|signature| STANDARD.decode(signature).ok())
                    .is_some_and(|signature| mac.clone().verify_slice(&signature).is_ok())
            }))
        };
        signed().unwrap_or(false)
    }
}

/// A header by its name or else by its unbranded twin: chosen as the `svix` crate chooses it.
fn header<'a>(headers: &'a HeaderMap, name: &str, unbranded: &str) -> Option<&'a str> {
    let value = headers.get(name).or_else(|| headers.get(unbranded))?;
    value.to_str().ok()
}

/// The svix-id that the signature covers.
fn svix_id(headers: &HeaderMap) -> Option<SvixId> {
    SvixId::parse(header(headers, "svix-id", "webhook-id")?)
}

fn rejection(error: &WebhookError) -> Rejection {
    match error {
        WebhookError::MissingHeader(_) | WebhookError::InvalidHeader(_) => Rejection::Header,
        WebhookError::InvalidTimestamp
        | WebhookError::TimestampTooOldError
        | WebhookError::FutureTimestampError => Rejection::Timestamp,
        WebhookError::InvalidPayload => Rejection::Body,
        WebhookError::InvalidSignature
        | WebhookError::InvalidSecret(_)
        | WebhookError::EmptySecret => Rejection::Signature,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const OTHER_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    #[derive(serde::Deserialize)]
    struct Vector {
        name: String,
        secret: String,
        headers: HashMap<String, String>,
        body: String,
        valid: bool,
    }

    fn vectors() -> Vec<Vector> {
        serde_json::from_str(include_str!("../../shared/fixtures/signatures.json")).unwrap()
    }

    fn header_map(headers: &HashMap<String, String>) -> HeaderMap {
        headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn signed(secret: &str, svix_id: &str, timestamp: i64, body: &[u8]) -> HeaderMap {
        let signature = Webhook::new(secret)
            .unwrap()
            .sign(svix_id, timestamp, body)
            .unwrap();
        header_map(&HashMap::from([
            ("svix-id".into(), svix_id.into()),
            ("svix-timestamp".into(), timestamp.to_string()),
            ("svix-signature".into(), signature),
        ]))
    }

    fn now() -> i64 {
        std::time::UNIX_EPOCH
            .elapsed()
            .unwrap()
            .as_secs()
            .try_into()
            .unwrap()
    }

    /// The vectors of the official JavaScript library, whose timestamps are in the past.
    #[test]
    fn signatures_of_the_official_library_are_told_from_forged_ones() {
        for vector in vectors() {
            let headers = header_map(&vector.headers);
            let webhook = Webhook::new(&vector.secret).unwrap();
            let outcome = webhook.verify_ignoring_timestamp(vector.body.as_bytes(), &headers);
            assert_eq!(outcome.is_ok(), vector.valid, "{}", vector.name);
        }
    }

    /// P2
    #[test]
    fn a_stale_timestamp_is_refused_whatever_the_signature() {
        for vector in vectors() {
            let verifier = Verifier::parse(&vector.secret).unwrap();
            let outcome = verifier.verify(&header_map(&vector.headers), vector.body.as_bytes());
            assert_eq!(outcome, Err(Rejection::Timestamp), "{}", vector.name);
        }
        let verifier = Verifier::parse(SECRET).unwrap();
        for timestamp in [now() - 301, now() + 310, -1, i64::MIN, i64::MAX] {
            let headers = signed(SECRET, "msg_1", timestamp, b"{}");
            assert_eq!(
                verifier.verify(&headers, b"{}"),
                Err(Rejection::Timestamp),
                "{timestamp}"
            );
        }
    }

    #[test]
    fn either_secret_is_accepted_while_one_is_rotated() {
        for secrets in [
            format!("{SECRET} {OTHER_SECRET}"),
            format!("{OTHER_SECRET},{SECRET}"),
        ] {
            let verifier = Verifier::parse(&secrets).unwrap();
            for secret in [SECRET, OTHER_SECRET] {
                let headers = signed(secret, "msg_1", now(), b"{}");
                assert_eq!(verifier.verify(&headers, b"{}").unwrap().as_str(), "msg_1");
            }
        }
        let only_the_other = Verifier::parse(OTHER_SECRET).unwrap();
        let headers = signed(SECRET, "msg_1", now(), b"{}");
        assert_eq!(
            only_the_other.verify(&headers, b"{}"),
            Err(Rejection::Signature)
        );
    }

    /// P11, P12
    #[test]
    fn what_is_no_secret_is_refused_with_what_is_wrong_with_it() {
        let with_quotes = format!("{SECRET},\"{OTHER_SECRET}\"");
        let signature = format!("v1,{}", &SECRET[6..]);
        let of_hooks = format!("v1,{SECRET}");
        let second = format!("{SECRET},???");
        let third = format!("{SECRET} {OTHER_SECRET} ???");
        for (secrets, expected) in [
            ("", "nothing"),
            (" , ", "nothing"),
            ("whsec_", "a secret that is too short: under 16 bytes"),
            ("whsec_YWJj", "a secret that is too short: under 16 bytes"),
            (
                "MTIzNDU2Nzg5MDEyMzQ1",
                "a secret that is too short: under 16 bytes",
            ),
            ("whsec_?", "a secret that is not base64"),
            (
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
                "a secret that is not base64",
            ),
            ("whsec_not base64!", "a first secret that is not base64"),
            (&second, "a second secret that is not base64"),
            (&third, "a secret number 3 that is not base64"),
            (
                &with_quotes,
                "a second secret that begins with a quotation mark",
            ),
            (&signature, "a signature, which begins with \"v1,\""),
            (&of_hooks, "a signature, which begins with \"v1,\""),
            (
                "sk_live_0123456789abcdef0123456789",
                "a secret that is a key of Clerk's API",
            ),
        ] {
            let (found, wanted) = Verifier::parse(secrets).unwrap_err();
            assert!(found.starts_with(expected), "{found}");
            for text in ["MfKQ", "C2FV", "???", "abcdef"] {
                assert!(
                    !found.contains(text) && !wanted.contains(text),
                    "{found}, {wanted}"
                );
            }
        }
    }

    #[test]
    fn secrets_are_separated_by_spaces_commas_tabs_and_line_ends() {
        for between in [" ", ",", ", ", "\t", "\n", "\r\n", "\r", " \r\n\r\n"] {
            let verifier =
                Verifier::parse(&format!("{SECRET}{between}{OTHER_SECRET}\r\n")).unwrap();
            assert_eq!(verifier.0.len(), 2, "{between:?}");
        }
        // 16 bytes, and without whsec_.
        assert!(Verifier::parse("MTIzNDU2Nzg5MDEyMzQ1Ng==").is_ok());
    }

    #[test]
    fn a_signed_request_without_a_usable_svix_id_is_refused() {
        let verifier = Verifier::parse(SECRET).unwrap();
        for svix_id in ["", &"x".repeat(256)] {
            let headers = signed(SECRET, svix_id, now(), b"{}");
            assert_eq!(
                verifier.verify(&headers, b"{}"),
                Err(Rejection::Header),
                "{svix_id:?}"
            );
        }
    }

    /// What may stand in a header, near to what is right and not so near.
    fn changed(text: String) -> impl Strategy<Value = String> {
        let place = any::<proptest::sample::Index>();
        prop_oneof![
            4 => Just(text.clone()),
            1 => (place, "[ -~]?").prop_map({
                let text = text.clone();
                move |(place, character)| {
                    let place = place.index(text.len());
                    format!("{}{character}{}", &text[..place], &text[place + 1..])
                }
            }),
            1 => Just(format!("v1,{text} {text}")),
            1 => Just(format!("+0{text}")),
            1 => "[ -~]{0,40}",
        ]
    }

    fn changed_headers() -> impl Strategy<Value = HashMap<String, String>> {
        let headers = signed(SECRET, "msg_1", now(), b"{}");
        let value = |name: &str| headers[name].to_str().unwrap().to_owned();
        let header = |name: &str, unbranded: &str| {
            let names = prop_oneof![4 => Just(name.to_owned()), 1 => Just(unbranded.to_owned())];
            (names, changed(value(name)))
        };
        (
            header("svix-id", "webhook-id"),
            header("svix-timestamp", "webhook-timestamp"),
            header("svix-signature", "webhook-signature"),
        )
            .prop_map(|(id, timestamp, signature)| [id, timestamp, signature].into())
    }

    #[test]
    fn what_is_signed_as_usual_is_not_verified_twice() {
        let secret = Secret::parse(SECRET).unwrap();
        for timestamp in [now() - 299, now(), now() + 299] {
            assert!(secret.signed(&signed(SECRET, "msg_1", timestamp, b"{}"), b"{}"));
        }
    }

    proptest! {
        /// P2
        #[test]
        fn the_faster_verification_accepts_nothing_that_the_crate_refuses(
            headers in changed_headers(),
            body in prop_oneof![9 => Just(b"{}".to_vec()), 1 => any::<Vec<u8>>()],
        ) {
            let headers = header_map(&headers);
            let secret = Secret::parse(SECRET).unwrap();
            if secret.signed(&headers, &body) {
                prop_assert!(secret.webhook.verify(&body, &headers).is_ok());
            }
        }

        /// P2
        #[test]
        fn one_changed_byte_is_refused(
            body in proptest::collection::vec(any::<u8>(), 1..200),
            place in any::<proptest::sample::Index>(),
            flip in 1_u8..,
        ) {
            let body = String::from_utf8_lossy(&body).into_owned().into_bytes();
            let headers = signed(SECRET, "msg_1", now(), &body);
            let verifier = Verifier::parse(SECRET).unwrap();
            prop_assert!(verifier.verify(&headers, &body).is_ok());
            let mut changed = body.clone();
            let place = place.index(changed.len());
            changed[place] ^= flip;
            prop_assert!(verifier.verify(&headers, &changed).is_err());
        }
    }
}
