//! Rolling restarts under load, step by step as Kubernetes makes them with the manifests in
//! `docs/kubernetes/`: a new process is ready before an old one is told to stop.
//!
//! A program of its own, with one test: while it measures, no other test runs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fleet;
mod load;
mod load_balancer;

use std::time::Duration;

use crate::{
    fleet::Fleet,
    load::{Delivered, Load},
};

const RESTARTS: usize = 10;
const EVENTS_A_SECOND: f64 = 400.0;
/// So many more are answered before the next restart: each meets a fleet at work.
const EVENTS_BETWEEN: usize = 100;
/// How long the same load runs before, undisturbed.
const UNDISTURBED: Duration = Duration::from_secs(5);
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// P1, P10: every event is answered 200 and applied once, and none comes more than a second later
/// than the slowest one comes without restarts.
///
/// The comparison, and not the second alone, is what restarts are answerable for: on a machine that is
/// busy with something else the undisturbed load is slow too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_rolling_restarts_of_each_program_under_load_lose_nothing_and_delay_nothing_by_a_second()
-> anyhow::Result<()> {
    let mut fleet = Fleet::start().await?;

    let load = Load::start("before", &fleet.sender()?, EVENTS_A_SECOND);
    tokio::time::sleep(UNDISTURBED).await;
    let undisturbed = load.stop().await;

    let load = Load::start("during", &fleet.sender()?, EVENTS_A_SECOND);
    for number in 0..RESTARTS {
        load.wait_for(EVENTS_BETWEEN).await?;
        fleet.replace_ingest(number % 2).await?;
        load.wait_for(EVENTS_BETWEEN).await?;
        fleet.replace_worker(number % 2).await?;
    }
    load.wait_for(EVENTS_BETWEEN).await?;
    let restarted = load.stop().await;

    fleet.settle().await?;
    let answers = |delivered: &[Delivered]| {
        let failed = |event: &&Delivered| event.answer != "200";
        delivered
            .iter()
            .filter(failed)
            .map(|event| format!("{}: {}", event.svix_id, event.answer))
            .collect::<Vec<_>>()
    };
    assert_eq!(answers(&undisturbed), Vec::<String>::new());
    assert_eq!(answers(&restarted), Vec::<String>::new());
    let sent = undisturbed.len() + restarted.len();
    assert_eq!(
        fleet.rows("clerk_sync.events where outcome = 'applied'")?,
        sent
    );
    assert_eq!(fleet.rows("clerk_sync.events")?, sent);
    assert_eq!(fleet.rows("users")?, sent);
    assert_eq!(fleet.dead_letters()?, 0);

    let undisturbed = fleet.delays(&undisturbed)?;
    let restarted = fleet.delays(&restarted)?;
    println!("from when a request was due to the commit of its event");
    for (what, delays) in [("undisturbed", &undisturbed), ("restarts", &restarted)] {
        println!(
            "{what}: {} events, half within {:?}, 99 % within {:?}, all within {:?}",
            delays.len(),
            delays[delays.len() / 2],
            delays[delays.len() * 99 / 100],
            delays[delays.len() - 1],
        );
    }
    let (longest, usual) = (restarted.last().unwrap(), undisturbed.last().unwrap());
    assert!(
        *longest <= *usual + LONGEST_DELAY,
        "with restarts {longest:?}, without {usual:?}"
    );
    Ok(())
}
