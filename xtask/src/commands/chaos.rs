//! `cargo xtask chaos`

mod cache;
mod deliveries;
mod events;
mod fault;
mod process;
mod remains;
mod schedule;
mod stalls;
mod system;
mod table;
mod verification;

use std::{
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, ensure};
use rand::{SeedableRng as _, rngs::StdRng};
use tokio::{task::JoinSet, time::sleep};
use xtask::{http::Http, packages, sender::Sender, wait};

use super::{
    cargo::build_programs,
    stack::data_folder,
    stop_signal::{StopSignal, stopped},
};
use cache::Cache;
use deliveries::Deliveries;
use remains::Remains;
use schedule::{Happened, Planned, schedule};
use system::System;
use verification::{Finding, verify};

const READY_DEADLINE: Duration = Duration::from_secs(60);
/// After the last delivery. An event that has waited for an e-mail address through minutes of faults
/// waits minutes more before its next attempt, and another one may wait for it.
const SETTLE_DEADLINE: Duration = Duration::from_secs(900);

/// Sends events at a steady rate while Redis, PostgreSQL, ingests, workers and the connections in
/// between fail in all kinds of ways, and then compares what has come of every single event with what
/// was promised.
///
/// Ends with a status other than 0 when something was lost, applied twice, left over or wrong.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// For how many minutes events are sent; a fraction is fine.
    #[arg(long, default_value = "1")]
    minutes: f64,
    /// Decides the events and the faults; made up, and printed, if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Events a second.
    #[arg(long, default_value = "100")]
    rate: f64,
    /// Redis is a cluster of three masters with a replica each.
    #[arg(long)]
    cluster: bool,
}

pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    ensure!(
        arguments.minutes > 0.0 && arguments.minutes < 10_000.0,
        "--minutes: more than 0"
    );
    ensure!(
        arguments.rate > 0.0 && arguments.rate < 10_000.0,
        "--rate: more than 0"
    );
    let mut stop = StopSignal::new()?;
    packages::ensure_installed(|what| println!("{what}"))?;
    build_programs()?;

    let folder = data_folder("chaos-")?;
    let outcome = stop.unless_told(chaos(arguments, folder.path()));
    let Some(outcome) = outcome.await else {
        return Ok(stopped());
    };
    if matches!(outcome, Ok(true)) {
        return Ok(ExitCode::SUCCESS);
    }
    let kept = folder.keep();
    println!(
        "\nThe logs of all programs and servers: {}/logs",
        kept.display()
    );
    outcome.map(|_| ExitCode::FAILURE)
}

/// Returns whether all is as it must be.
async fn chaos(arguments: &Arguments, folder: &Path) -> anyhow::Result<bool> {
    let seed = arguments.seed.unwrap_or_else(rand::random);
    let length = Duration::from_secs_f64(arguments.minutes * 60.0);
    // Apart, so that the faults are a function of seed and length alone.
    let faults = schedule(&mut StdRng::seed_from_u64(seed), length);
    let mut random = StdRng::seed_from_u64(seed);
    let count = (length.as_secs_f64() * arguments.rate) as usize;
    let (events, expected) = events::events(&mut random, count, arguments.rate);
    println!(
        "Seed {seed}: {} events, {} a second, and {} faults in {} min",
        events.len(),
        arguments.rate,
        faults.len(),
        arguments.minutes
    );
    let system = Arc::new(System::start(folder, arguments.cluster)?);
    wait_until_ready(&system).await?;

    let senders: anyhow::Result<Vec<Sender>> = system
        .urls
        .iter()
        .map(|url| Sender::new(url, &system.secret))
        .collect();
    let deliveries = Deliveries {
        senders: senders?,
        cache: Cache::new(&system.cache_url)?,
        give_up: Instant::now() + length + SETTLE_DEADLINE,
    };
    let (happened, delivered) = tokio::try_join!(
        let_happen(&system, faults),
        deliveries.of_all(&events, arguments.rate, &mut random)
    )?;
    println!("Everything is sent; waiting until all is finished ...");
    let sent_at = Instant::now();
    // What is not finished is a finding, and named there.
    let _ = wait_until_finished(&system).await;
    if arguments.cluster {
        // A failover brings letters back that the new master does not know to be replayed.
        system.replay_dead_letters().await?;
        let _ = wait_until_finished(&system).await;
    }
    let settled = sent_at.elapsed();

    let misdeeds = system.misdeeds(folder).await?;
    let deadlocks = system.deadlocks().await;
    let remains = Remains::read(&system, &delivered).await?;
    let sent = events
        .iter()
        .map(|event| (event.svix_id.as_str(), &**event))
        .collect();
    let mut findings = verify(&sent, &delivered, &expected, &remains);
    findings.push(Finding {
        name: "processes that ended by themselves, panicked, or logged an address",
        offenders: misdeeds,
    });
    findings.push(Finding {
        name: "deadlocks",
        offenders: deadlocks,
    });
    println!();
    table::print_counts(&delivered, &remains, settled);
    stalls::print(&happened, &delivered, &remains);
    Ok(table::print_findings(&findings))
}

async fn wait_until_ready(system: &System) -> anyhow::Result<()> {
    let http = Http::new();
    for url in &system.urls {
        wait::until("an ingest is ready", READY_DEADLINE, async || {
            http.get(url).await.is_ok_and(|answer| answer.status == 200)
        })
        .await?;
    }
    Ok(())
}

async fn wait_until_finished(system: &System) -> anyhow::Result<()> {
    let is_finished = async || matches!(system.unfinished().await, Ok(0));
    wait::until(
        "nothing is in the streams or waits",
        SETTLE_DEADLINE,
        is_finished,
    )
    .await
}

/// Each fault at its time, whether or not the ones before are over.
async fn let_happen(system: &Arc<System>, faults: Vec<Planned>) -> anyhow::Result<Vec<Happened>> {
    let begin = Instant::now();
    let mut under_way = JoinSet::new();
    let mut happened = Vec::new();
    for Planned { at, fault } in faults {
        sleep(at.saturating_sub(begin.elapsed())).await;
        println!("[{:6.1} s] {fault}", at.as_secs_f64());
        happened.push(Happened {
            kind: fault.kind,
            begun: SystemTime::now(),
        });
        let system = Arc::clone(system);
        under_way.spawn(async move {
            let suffered = system.suffer(&fault).await;
            suffered.with_context(|| format!("cannot let this happen: {fault}"))
        });
    }
    while let Some(fault) = under_way.join_next().await {
        fault??;
    }
    Ok(happened)
}
