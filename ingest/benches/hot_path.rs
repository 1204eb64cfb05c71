//! What the ingest does with every event, apart from the network. `cargo bench --workspace --bench
//! hot_path` times it, `cargo xtask instructions` counts instructions.

use std::hint::black_box;
use std::time::UNIX_EPOCH;

use anyhow::Context as _;
use criterion::Criterion;
use hyper::HeaderMap;
use ingest::signature::Verifier;
use shared::envelope::Envelope;
use svix::webhooks::Webhook;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn main() -> anyhow::Result<()> {
    let body = body()?;
    let headers = signed_headers(&body)?;
    let verifier = Verifier::parse(SECRET).ok().context("the secret")?;
    // A refusal is another path.
    assert!(verifier.verify(&headers, &body).is_ok() && Envelope::parse(&body).is_ok());

    let mut criterion = Criterion::default().configure_from_args();
    let criterion = &mut criterion;
    measure(
        criterion,
        "ingest: verify the signature of an event",
        || verifier.verify(black_box(&headers), black_box(&body)),
    );
    measure(criterion, "ingest: parse the envelope of an event", || {
        Envelope::parse(black_box(&body))
    });
    criterion.final_summary();
    Ok(())
}

/// The first call, which alone pays for what is done once in a process, does not count.
fn measure<T>(criterion: &mut Criterion, name: &str, call: impl Fn() -> T) {
    criterion.bench_function(name, |bencher| {
        black_box(call());
        bencher.iter(|| counted_call(&call));
    });
}

/// `cargo xtask instructions` counts what runs in here.
#[inline(never)]
fn counted_call<T>(call: impl Fn() -> T) {
    black_box(call());
}

/// An event of a user with one address, as most have, without blanks, as Svix sends it: 1.7 kB.
fn body() -> anyhow::Result<Vec<u8>> {
    let fixture = include_str!("../../shared/fixtures/user.updated.json");
    let mut event: serde_json::Value = serde_json::from_str(fixture)?;
    let addresses = event["data"]["email_addresses"].as_array_mut();
    addresses.context("the fixture has addresses")?.remove(0);
    Ok(serde_json::to_vec(&event)?)
}

fn signed_headers(body: &[u8]) -> anyhow::Result<HeaderMap> {
    let svix_id = "msg_2g7np7Hrk0SN6kj5EDMLDaKNL0S";
    let timestamp = i64::try_from(UNIX_EPOCH.elapsed()?.as_secs())?;
    let signature = Webhook::new(SECRET)?.sign(svix_id, timestamp, body)?;
    let mut headers = HeaderMap::new();
    headers.insert("svix-id", svix_id.parse()?);
    headers.insert("svix-timestamp", timestamp.into());
    headers.insert("svix-signature", signature.parse()?);
    Ok(headers)
}
