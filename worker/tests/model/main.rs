//! model
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod defects;
mod promises;
mod protocol;
mod scenario;
mod state;

use stateright::{Checker, Model};

fn check(scenario: scenario::Scenario) {
    let mut scenario = scenario;
    if let Ok(f) = std::env::var("FAULTS") {
        scenario.faults = f.parse().unwrap();
    }
    let model = protocol::Protocol {
        scenario,
        defect: None,
        finishing: Default::default(),
    };
    let now = std::time::Instant::now();
    let checker =
        model
            .checker()
            .spawn_bfs()
            .join_and_report(&mut stateright::report::WriteReporter::new(
                &mut std::io::stderr(),
            ));
    eprintln!(
        "{} unique {} depth {} {:?}",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth(),
        now.elapsed()
    );
    for (name, path) in checker.discoveries() {
        if name != promises::CAN_END {
            panic!("{name}\n{path}\n{:#?}", path.last_state());
        }
    }
}
#[test]
fn one_life() {
    check(scenario::ONE_LIFE)
}
#[test]
fn two_changes() {
    check(scenario::TWO_CHANGES)
}
#[test]
fn hand_over() {
    check(scenario::HAND_OVER)
}
#[test]
fn swap() {
    check(scenario::SWAP)
}
#[test]
fn refusal() {
    check(scenario::REFUSAL)
}
