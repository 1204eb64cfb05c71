//! Walks all states of a scenario.

use std::collections::BTreeSet;

use stateright::{Checker, Expectation, HasDiscoveries, Model, Path};

use crate::defects::Defect;
use crate::protocol::{Action, Protocol};
use crate::scenario::Scenario;
use crate::state::State;

/// Checks the protocol as it is, and that the scenario comes to `what_must_come_about`.
#[allow(
    clippy::print_stdout,
    reason = "how large a check is, is worth knowing"
)]
pub(crate) fn keeps_every_promise(scenario: Scenario, what_must_come_about: &[&'static str]) {
    let model = Protocol::new(scenario, None);
    let checker = model.checker().symmetry().spawn_dfs().join();
    // Seen with --show-output.
    println!("{} states", checker.unique_state_count());
    let found = checker.discoveries();
    for property in checker.model().properties() {
        let name = property.name;
        let broken = property.expectation != Expectation::Sometimes && found.contains_key(name);
        if broken {
            // Depth first, the way to it is long: look for the shortest one.
            let path = counter_example(scenario, None, name).unwrap();
            panic!("broken: {name}\n{path}{:#?}", path.last_state());
        }
    }
    for name in what_must_come_about {
        assert!(found.contains_key(name), "it never comes about: {name}");
    }
}

/// The shortest way to break a promise.
pub(crate) fn counter_example(
    scenario: Scenario,
    defect: Option<Defect>,
    promise: &'static str,
) -> Option<Path<State, Action>> {
    let model = Protocol::new(scenario, defect);
    let checker = model.checker();
    let until = HasDiscoveries::AnyOf(BTreeSet::from([promise]));
    checker
        .finish_when(until)
        .spawn_bfs()
        .join()
        .discovery(promise)
}
