//! What the worker does with every event, apart from Redis and PostgreSQL. `cargo bench --workspace
//! --bench hot_path` times it, `cargo xtask instructions` counts instructions.

use std::hint::black_box;

use anyhow::Context as _;
use criterion::Criterion;
use shared::queue::field;
use worker::decide::plan::plan;
use worker::decide::settlement::{Value, settle};
use worker::event::Event;
use worker::event::entry::Entry;
use worker::event::reader::Reader;
use worker::source::raw_entry::RawEntry;
use worker::tables::Tables;

const BATCH: usize = 256;

fn main() -> anyhow::Result<()> {
    let entry = entry(0)?;
    let reader = Reader::new(&Tables::built_in());
    // Every fourth event is about a user who has another one in the batch.
    let entries: Vec<Entry> = (0..BATCH)
        .map(|number| {
            Ok(Entry::parse(
                &self::entry(number % (BATCH * 3 / 4))?,
                &reader,
            ))
        })
        .collect::<anyhow::Result<_>>()?;
    let events: Vec<&Event> = entries.iter().flat_map(|entry| &entry.event).collect();
    // What cannot be read takes another path.
    assert_eq!(events.len(), BATCH);

    let users: Vec<String> = (0..=BATCH).map(user_id).collect();
    let users = users.iter().map(String::as_str);
    let held: Vec<(&str, Value)> = users
        .zip(0..)
        .map(|(user, number)| (user, (0, number)))
        .collect();
    // Half are new and half keep what they have, but for two who swap, and one who has to wait
    // because somebody outside the batch has the address.
    let mut wanted = held[..BATCH].to_vec();
    (wanted[0].1, wanted[2].1) = (held[2].1, held[0].1);
    wanted[1].1 = held[BATCH].1;
    let wanted = wanted.into_iter().map(|(user, value)| (user, vec![value]));
    let wanted: Vec<(&str, Vec<Value>)> = wanted.collect();
    let held: Vec<(&str, Value)> = held.into_iter().step_by(2).collect();
    let settlement = settle(&wanted, &held);
    assert_eq!(
        (settlement.waiting.len(), settlement.vacating.len()),
        (1, 2)
    );

    let mut criterion = Criterion::default().configure_from_args();
    let criterion = &mut criterion;
    measure(criterion, "worker: parse an entry", || {
        Entry::parse(black_box(&entry), &reader)
    });
    measure(criterion, "worker: plan a batch of 256", || {
        plan(black_box(&events))
    });
    measure(
        criterion,
        "worker: settle the addresses of a batch of 256",
        || settle(black_box(&wanted), black_box(&held)),
    );
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

/// As long as Clerk's.
fn user_id(number: usize) -> String {
    format!("user_{number:027}")
}

/// The `user.updated` of a user with one address, as most have: 1.7 kB.
fn entry(user: usize) -> anyhow::Result<RawEntry> {
    let fixture = include_str!("../../shared/fixtures/user.updated.json");
    let mut event: serde_json::Value = serde_json::from_str(fixture)?;
    let addresses = event["data"]["email_addresses"].as_array_mut();
    addresses.context("the fixture has addresses")?.remove(0);
    event["data"]["id"] = user_id(user).into();
    let fields = [
        (field::SVIX_ID, format!("msg_{user:027}")),
        (field::TYPE, "user.updated".to_owned()),
        (field::PAYLOAD, event.to_string()),
        (field::RECEIVED_AT, "1716883200420".to_owned()),
    ];
    let fields = fields
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()));
    Ok(("1716883200420-0".to_owned(), fields.collect()))
}
