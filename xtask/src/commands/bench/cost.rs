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
    measurement::Measurement,
    process_usage::{resident_memory, usage},
    rows::{self, Mix, grouped},
    scale::Scale,
    worker::servers::{Servers, info},
};
use programs::Programs;

const NAMES: [&str; 2] = ["ingest", "worker"];

/// Start-up, events, idleness, and then full load in front of a large backlog.
pub(crate) async fn run(scale: &Scale) -> anyhow::Result<Vec<Measurement>> {
    let mut servers = Servers::start().await?;
    let mut measurements = sizes_of_binaries()?;
    measurements.extend(start_up(&mut servers, scale.rounds).await?);
    measurements.extend(at_work_and_idle(&mut servers, *scale).await?);
    measurements.extend(at_full_load(&mut servers, *scale).await?);
    Ok(measurements)
}

fn measured(name: impl Into<String>, unit: &'static str, number: f64) -> Measurement {
    let mut measurement = Measurement::new("cost", name, unit);
    measurement.rounds.push(number);
    eprintln!("cost: {}: {number:.1} {unit}", measurement.name);
    measurement
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
async fn start_up(servers: &mut Servers, rounds: usize) -> anyhow::Result<Vec<Measurement>> {
    let database = block_in_place(|| servers.new_database())?;
    let mut rows = NAMES.map(|name| Measurement::new("cost", format!("{name}, start-up"), "ms"));
    for _ in 0..rounds {
        let programs = Programs::start(servers, &database).await?;
        for (row, time) in rows.iter_mut().zip(programs.start_up) {
            row.rounds.push(time.as_secs_f64() * 1000.0);
        }
    }
    for row in &rows {
        eprintln!("cost: {}: {:.0?} ms", row.name, row.rounds);
    }
    block_in_place(|| servers.drop_database(&database))?;
    Ok(rows.into())
}

/// The worker drains a backlog, then the ingest takes events for a while, then nothing happens.
async fn at_work_and_idle(servers: &mut Servers, scale: Scale) -> anyhow::Result<Vec<Measurement>> {
    let [_, events, _] = scale.backlogs();
    let (seconds, idle_seconds) = if scale.short { (0.3, 2) } else { (2.0, 10) };
    let database = block_in_place(|| servers.new_database())?;
    let programs = Programs::start(servers, &database).await?;
    let mut measurements = Vec::new();

    let before = usage(programs.worker.pid())?;
    Backlog::fill(&mut servers.redis, EVENTS, Mix::Upserts, events).await?;
    programs.until_drained(servers).await?;
    let used = usage(programs.worker.pid())?.cpu_seconds - before.cpu_seconds;
    let name = "worker, CPU of an event";
    measurements.push(measured(name, "µs", used * 1e6 / events as f64));
    measurements.extend(sizes_of_tables(servers, &database, events)?);

    let before = usage(programs.ingest.pid())?;
    let sent = programs.send(Duration::from_secs_f64(seconds)).await?;
    let accepted = sent.requests;
    let used = usage(programs.ingest.pid())?.cpu_seconds - before.cpu_seconds;
    let name = "ingest, CPU of an event";
    measurements.push(measured(name, "µs", used * 1e6 / accepted as f64));
    programs.until_drained(servers).await?;
    let ledger = block_in_place(|| {
        let count = "select count(*) from clerk_sync.events";
        servers.postgres.psql(&database, count)
    })?;
    let expected = events + accepted;
    ensure!(
        ledger == expected.to_string(),
        "{ledger} of {expected} events are recorded"
    );

    let before = programs.cpu_seconds()?;
    let begin = Instant::now();
    tokio::time::sleep(Duration::from_secs(idle_seconds)).await;
    let seconds = begin.elapsed().as_secs_f64();
    let after = programs.cpu_seconds()?;
    for (index, name) in NAMES.iter().enumerate() {
        let percent = (after[index] - before[index]) / seconds * 100.0;
        measurements.push(measured(rows::idle_cpu(name), "% of a core", percent));
        let pid = programs.pids()[index];
        let resident = resident_memory(pid)? as f64 / 1e6;
        let mut memory = measured(rows::idle_memory(name), "MB", resident);
        let peak = usage(pid)?.peak_memory_bytes as f64 / 1e6;
        memory.details.insert(rows::peak_memory(name), peak);
        measurements.push(memory);
    }
    drop(programs);
    block_in_place(|| servers.drop_database(&database))?;
    Ok(measurements)
}

/// What PostgreSQL keeps, indexes included.
fn sizes_of_tables(
    servers: &Servers,
    database: &str,
    events: usize,
) -> anyhow::Result<Vec<Measurement>> {
    [
        ("ledger, an event", "clerk_sync.events", events),
        (
            "user_versions, a user changed once",
            "clerk_sync.user_versions",
            events / 2,
        ),
        ("users, a user changed once", "users", events / 2),
    ]
    .into_iter()
    .map(|(name, table, rows)| {
        let sql = format!("select pg_total_relation_size('{table}')");
        let bytes: f64 = block_in_place(|| servers.postgres.psql(database, &sql))?.parse()?;
        Ok(measured(name, "bytes", bytes / rows as f64))
    })
    .collect()
}

/// While very many entries wait, the ingest takes all that it can and the worker drains.
async fn at_full_load(servers: &mut Servers, scale: Scale) -> anyhow::Result<Vec<Measurement>> {
    let [_, _, waiting] = scale.backlogs();
    let seconds = if scale.short { 1 } else { 15 };
    let database = block_in_place(|| servers.new_database())?;
    servers.empty_queue().await?;
    let before: f64 = info(&mut servers.redis, "memory", "used_memory").await?;
    servers.begin_filling().await?;
    let backlog = Backlog::fill(&mut servers.redis, EVENTS, Mix::Upserts, waiting).await?;
    servers.end_filling().await?;
    let after: f64 = info(&mut servers.redis, "memory", "used_memory").await?;
    let mut memory = measured(
        "Redis memory, a waiting event",
        "bytes",
        (after - before) / waiting as f64,
    );
    let payload = backlog.payload_bytes as f64 / waiting as f64;
    memory.details.insert("payload, bytes".into(), payload);
    let mut measurements = vec![memory];

    let programs = Programs::start(servers, &database).await?;
    let begin = Instant::now();
    let taken = programs.send(Duration::from_secs(seconds)).await?;
    let elapsed = begin.elapsed().as_secs_f64();
    let count = "select count(*) from clerk_sync.events";
    let applied: usize = block_in_place(|| servers.postgres.psql(&database, count))?.parse()?;
    ensure!(applied > 0, "the worker has done nothing");
    let work = [
        ("taken meanwhile, events/s", taken.per_second()),
        ("applied meanwhile, events/s", applied as f64 / elapsed),
    ];
    for ((name, pid), (done, rate)) in NAMES.iter().zip(programs.pids()).zip(work) {
        let waiting = grouped(waiting as f64);
        let row = format!("{name} at full load, {waiting} waiting, peak memory");
        let peak = usage(pid)?.peak_memory_bytes as f64 / 1e6;
        let mut memory = measured(row, "MB", peak);
        memory.details.insert(rows::peak_memory(name), peak);
        memory.details.insert(done.into(), rate);
        measurements.push(memory);
    }
    Ok(measurements)
}
