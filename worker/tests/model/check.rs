//! Walks all states of a scenario.

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model, Path};

use crate::defects::Defect;
use crate::promises::CAN_END;
use crate::protocol::{Action, Protocol};
use crate::scenario::Scenario;
use crate::state::State;

/// Checks the protocol as it is.
pub(crate) fn keeps_every_promise(scenario: Scenario) {
    let model = Protocol::new(scenario, None);
    let checker = model.checker().symmetry().spawn_dfs().join();
    let mut found = checker.discoveries();
    assert!(found.remove(CAN_END).is_some(), "the model never ends");
    if let Some((promise, _)) = found.into_iter().next() {
        // Depth first, the way to it is long: look for the shortest one.
        let path = counter_example(scenario, None, promise).unwrap();
        panic!("broken: {promise}\n{path}{:#?}", path.last_state());
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
