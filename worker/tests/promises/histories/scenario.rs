//! What is drawn: a history, and how it is delivered.

use std::collections::BTreeMap;
use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use xtask::history::{Action, First, History, HistoryEvent, Own, Reference, User, Step, Tie};

/// Tasks or workers that apply batches at the same time.
pub(super) const MAX_HANDS: usize = 4;

/// Events of a step that have a delay of their own; the others take them in turn.
const DELAYS: usize = 4;

/// A history and how it is delivered. All of it shrinks: to fewer steps, in order, once, one hand.
#[derive(Clone)]
pub(super) struct Scenario {
    pub(super) hands: usize,
    pub(super) batch_size: usize,
    steps: Vec<DeliveredStep>,
    /// After how many steps somebody copied the users into the table.
    copied_after: usize,
    /// Where the deliveries are cut into groups.
    cuts: Vec<Index>,
}

#[derive(Clone, Debug)]
struct DeliveredStep {
    step: Step,
    /// How late its events are delivered. The latest are delivered last.
    delays: [u8; DELAYS],
    /// How late they are delivered a second time.
    again: Option<u8>,
}

impl fmt::Debug for Scenario {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            hands,
            batch_size,
            copied_after,
            ..
        } = self;
        writeln!(
            formatter,
            "{hands} hands, batches of {batch_size}, rows copied after {copied_after} steps"
        )?;
        for DeliveredStep {
            step,
            delays,
            again,
        } in &self.steps
        {
            let Step { action, tie } = step;
            let line = format!("  {action:?}, tie {tie:?}, late {delays:?}, again {again:?}");
            writeln!(formatter, "{line}")?;
        }
        Ok(())
    }
}

impl Scenario {
    pub(super) fn history(&self) -> History {
        History::of(self.steps.iter().map(|delivered| &delivered.step))
    }

    /// Rows that are in the table before anything is delivered.
    pub(super) fn rows_before(&self) -> BTreeMap<String, User> {
        let steps = self.steps.iter().take(self.copied_after);
        let history = History::of(steps.map(|delivered| &delivered.step));
        Reference::of(&history.events)
            .users
            .into_iter()
            .map(|(user_id, row)| (user_id.to_owned(), row.clone()))
            .collect()
    }

    /// The events as they are delivered.
    pub(super) fn deliveries<'a>(&self, history: &'a History) -> Vec<&'a HistoryEvent> {
        let mut deliveries: Vec<(u8, &HistoryEvent)> = Vec::new();
        for events in history.events.chunk_by(|one, next| one.step == next.step) {
            let step = &self.steps[events[0].step];
            deliveries.extend(step.delays.into_iter().cycle().zip(events));
            deliveries.extend(step.again.into_iter().cycle().zip(events));
        }
        // Stable: events that are equally late keep their order.
        deliveries.sort_by_key(|(delay, _)| *delay);
        deliveries.into_iter().map(|(_, event)| event).collect()
    }

    /// The same in at least one group.
    pub(super) fn groups<'a>(&self, history: &'a History) -> Vec<Vec<&'a HistoryEvent>> {
        let mut rest = self.deliveries(history);
        let mut cuts: Vec<usize> = self
            .cuts
            .iter()
            .map(|cut| cut.index(rest.len() + 1))
            .collect();
        cuts.sort_unstable();
        let mut groups: Vec<_> = cuts.iter().rev().map(|cut| rest.split_off(*cut)).collect();
        groups.push(rest);
        groups.reverse();
        groups
    }
}

fn step() -> impl Strategy<Value = DeliveredStep> {
    let user = || 0_usize..5;
    let own = || prop_oneof![2 => Just(Own::Address), 1 => Just(Own::Name)];
    let first = prop_oneof![
        Just(First::Moves),
        Just(First::Leaves),
        Just(First::Closes { told: true }),
        Just(First::Closes { told: false }),
    ];
    let action = prop_oneof![
        4 => user().prop_map(Action::Edit),
        4 => (user(), own(), 0_usize..6)
            .prop_map(|(user, own, number)| Action::Take { user, own, number }),
        3 => (vec(user(), 2..=4), own(), first)
            .prop_map(|(users, own, first)| Action::Pass { users, own, first }),
        2 => vec((own(), user(), user()), 1..=4).prop_map(Action::Swap),
        2 => user().prop_map(Action::Delete),
        1 => user().prop_map(Action::Other),
    ];
    let tie = prop_oneof![
        4 => Just(Tie::None),
        1 => Just(Tie::UpdatedAt),
        1 => Just(Tie::Timestamp),
    ];
    let delays = any::<[u8; DELAYS]>();
    let again = proptest::option::weighted(0.1, any::<u8>());
    (action, tie, delays, again).prop_map(|(action, tie, delays, again)| DeliveredStep {
        step: Step { action, tie },
        delays,
        again,
    })
}

pub(super) fn scenario() -> impl Strategy<Value = Scenario> {
    let copied_after = prop_oneof![3 => Just(0), 1 => 0_usize..40];
    (
        1..=MAX_HANDS,
        1_usize..=40,
        copied_after,
        vec(step(), 0..40),
        vec(any::<Index>(), 0..4),
    )
        .prop_map(|(hands, batch_size, copied_after, steps, cuts)| Scenario {
            hands,
            batch_size,
            steps,
            copied_after,
            cuts,
        })
}
