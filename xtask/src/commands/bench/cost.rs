//! What an event costs, and what the programs cost while there is none.

mod programs;

use std::{
    env,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use tokio::task::block_in_place;

use super::{
    backlog::{Backlog, EVENTS},
    measurement::{Measurement, Round},
    process_usage::{resident_memory, usage},
    rows::{self, Mix, grouped},
    scale::Scale,
    stores::{Stores, Table, info},
};
use programs::Programs;

const NAMES: [&str; 2] = ["ingest", "worker"];

/// Start-up, events, idleness, and then full load in front of a large backlog.
pub(crate) async fn run(scale: &Scale) -> anyhow::Result<Vec<Measurement>> {
    let mut stores = Stores::start().await?;
    let mut measurements = sizes_of_binaries()?;
    measurements.extend(start_up(&mut stores, scale.rounds).await?);
    measurements.extend(at_work_and_idle(&mut stores, *scale).await?);
    measurements.extend(at_full_load(&mut stores, *scale).await?);
    Ok(measurements)
}

fn measured(name: impl Into<String>, unit: &'static str, number: f64) -> Measurement {
    Measurement::new("cost", name, unit).with(Round::new(number))
}

fn sizes_of_binaries() -> anyhow::Result<Vec<Measurement>> {
    let folder = env::current_exe()?;
    let folder = folder.parent().context("this program is in no folder")?;
    let build = if cfg!(debug_assertions) {
        " (development build)"
    } else {
        ""
    };
    NAMES
        .iter()
        .map(|name| {
            let bytes = folder.join(name).metadata()?.len();
            let name = format!("{name}, size of the binary{build}");
            Ok(measured(name, "MB", bytes as f64 / 1e6))
        })
        .collect()
}

/// From the start of the process to the moment when it answers that it is ready.
async fn start_up(stores: &mut Stores, rounds: usize) -> anyhow::Result<Vec<Measurement>> {
    let database = block_in_place(|| stores.new_database(Table::BuiltIn))?;
    let mut rows = NAMES.map(|name| Measurement::new("cost", format!("{name}, start-up"), "ms"));
    for _ in 0..rounds {
        let programs = Programs::start(stores, &database).await?;
        for (row, time) in rows.iter_mut().zip(programs.start_up) {
            row.add(Round::new(time.as_secs_f64() * 1000.0));
        }
    }
    block_in_place(|| stores.drop_database(&database))?;
    Ok(rows.into())
}

/// The worker drains a backlog, then the ingest takes events for a while, then nothing happens.
async fn at_work_and_idle(stores: &mut Stores, scale: Scale) -> anyhow::Result<Vec<Measurement>> {
    let [_, events, _] = scale.backlogs();
    let database = block_in_place(|| stores.new_database(Table::BuiltIn))?;
    let programs = Programs::start(stores, &database).await?;
    let mut measurements = vec![worker_at_work(stores, &programs, events).await?];
    measurements.extend(sizes_of_tables(stores, &database, events)?);
    let (of_ingest, accepted) = ingest_at_work(stores, &programs, scale).await?;
    measurements.push(of_ingest);
    let ledger = recorded(stores, &database)?;
    let expected = events + accepted;
    ensure!(
        ledger == expected,
        "{ledger} of {expected} events are recorded"
    );
    measurements.extend(idle(&programs, scale).await?);
    drop(programs);
    block_in_place(|| stores.drop_database(&database))?;
    Ok(measurements)
}

async fn worker_at_work(
    stores: &mut Stores,
    programs: &Programs,
    events: usize,
) -> anyhow::Result<Measurement> {
    let before = usage(programs.worker.pid())?;
    Backlog::fill(&mut stores.redis, EVENTS, Mix::Upserts, events).await?;
    programs.until_drained(stores).await?;
    let used = usage(programs.worker.pid())?.cpu_seconds - before.cpu_seconds;
    let of_one = used * 1e6 / events as f64;
    Ok(measured("worker, CPU of an event", "µs", of_one))
}

/// Returns also how many events it has accepted, all of which the worker has finished.
async fn ingest_at_work(
    stores: &mut Stores,
    programs: &Programs,
    scale: Scale,
) -> anyhow::Result<(Measurement, usize)> {
    let seconds = if scale.short { 0.3 } else { 2.0 };
    let pid = programs.ingest.program.pid();
    let before = usage(pid)?;
    let sent = programs.send(Duration::from_secs_f64(seconds)).await?;
    let used = usage(pid)?.cpu_seconds - before.cpu_seconds;
    let of_one = used * 1e6 / sent.requests as f64;
    let measurement = measured("ingest, CPU of an event", "µs", of_one);
    programs.until_drained(stores).await?;
    Ok((measurement, sent.requests))
}

async fn idle(programs: &Programs, scale: Scale) -> anyhow::Result<Vec<Measurement>> {
    let before = programs.cpu_seconds()?;
    let begin = Instant::now();
    tokio::time::sleep(Duration::from_secs(if scale.short { 2 } else { 10 })).await;
    let seconds = begin.elapsed().as_secs_f64();
    let after = programs.cpu_seconds()?;
    let mut measurements = Vec::new();
    for (index, name) in NAMES.iter().enumerate() {
        let percent = (after[index] - before[index]) / seconds * 100.0;
        measurements.push(measured(rows::idle_cpu(name), "% of a core", percent));
        let pid = programs.pids()[index];
        let resident = resident_memory(pid)? as f64 / 1e6;
        let peak = usage(pid)?.peak_memory_bytes as f64 / 1e6;
        let memory = Round::new(resident).detail(rows::peak_memory(name), peak);
        measurements.push(Measurement::new("cost", rows::idle_memory(name), "MB").with(memory));
    }
    Ok(measurements)
}

/// How many events stand in the ledger.
fn recorded(stores: &Stores, database: &str) -> anyhow::Result<usize> {
    let count = "select count(*) from clerk_sync.events";
    Ok(block_in_place(|| stores.postgres.psql(database, count))?.parse()?)
}

/// What PostgreSQL keeps, indexes included.
fn sizes_of_tables(
    stores: &Stores,
    database: &str,
    events: usize,
) -> anyhow::Result<Vec<Measurement>> {
    [
        ("ledger, an event", "clerk_sync.events", events),
        (
            "versions, a user changed once",
            "clerk_sync.versions",
            events / 2,
        ),
        ("users, a user changed once", "users", events / 2),
    ]
    .into_iter()
    .map(|(name, table, rows)| {
        let sql = format!("select pg_total_relation_size('{table}')");
        let bytes: f64 = block_in_place(|| stores.postgres.psql(database, &sql))?.parse()?;
        Ok(measured(name, "bytes", bytes / rows as f64))
    })
    .collect()
}

/// While very many entries wait, the ingest takes all that it can and the worker drains.
async fn at_full_load(stores: &mut Stores, scale: Scale) -> anyhow::Result<Vec<Measurement>> {
    let [_, _, waiting] = scale.backlogs();
    let seconds = if scale.short { 1 } else { 15 };
    let database = block_in_place(|| stores.new_database(Table::BuiltIn))?;
    stores.empty_queue().await?;
    let before: f64 = info(&mut stores.redis, "memory", "used_memory").await?;
    stores.begin_filling().await?;
    let backlog = Backlog::fill(&mut stores.redis, EVENTS, Mix::Upserts, waiting).await?;
    stores.end_filling().await?;
    let after: f64 = info(&mut stores.redis, "memory", "used_memory").await?;
    let payload = backlog.payload_bytes as f64 / waiting as f64;
    let memory = Round::new((after - before) / waiting as f64).detail("payload, bytes", payload);
    let row = Measurement::new("cost", "Redis memory, a waiting event", "bytes");
    let mut measurements = vec![row.with(memory)];

    let programs = Programs::start(stores, &database).await?;
    let begin = Instant::now();
    let taken = programs.send(Duration::from_secs(seconds)).await?;
    let elapsed = begin.elapsed().as_secs_f64();
    let applied = recorded(stores, &database)?;
    ensure!(applied > 0, "the worker has done nothing");
    let work = [
        ("taken meanwhile, events/s", taken.per_second()),
        ("applied meanwhile, events/s", applied as f64 / elapsed),
    ];
    for ((name, pid), (done, rate)) in NAMES.iter().zip(programs.pids()).zip(work) {
        let waiting = grouped(waiting as f64);
        let row = format!("{name} at full load, {waiting} waiting, peak memory");
        let peak = usage(pid)?.peak_memory_bytes as f64 / 1e6;
        let memory = Round::new(peak)
            .detail(rows::peak_memory(name), peak)
            .detail(done, rate);
        measurements.push(Measurement::new("cost", row, "MB").with(memory));
    }
    Ok(measurements)
}
