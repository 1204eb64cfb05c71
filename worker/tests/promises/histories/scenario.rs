//! What is drawn: a history, and how it is delivered.

use std::collections::BTreeMap;
use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use xtask::history::{Action, First, History, HistoryEvent, Own, Reference, Step, Tie, User};

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
    /// After how many steps somebody copied what there was into the tables.
    copied_after: usize,
    /// After which of the groups a worker is killed.
    pub(super) killed_after: Option<Index>,
    pub(super) partitions: u32,
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
            killed_after,
            partitions,
            ..
        } = self;
        writeln!(
            formatter,
            "{hands} hands, {partitions} partitions, batches of {batch_size}, \
             rows copied after {copied_after} steps, killed: {killed_after:?}"
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

    /// What somebody copied before anything is delivered.
    pub(super) fn before(&self) -> History {
        let steps = self.steps.iter().take(self.copied_after);
        History::of(steps.map(|delivered| &delivered.step))
    }

    /// The users in it.
    pub(super) fn users_before(&self) -> BTreeMap<String, User> {
        Reference::of(&self.before().events)
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

fn action_of_users() -> BoxedStrategy<Action> {
    let user = || 0_usize..5;
    let own = || prop_oneof![2 => Just(Own::Address), 1 => Just(Own::Name)];
    let first = prop_oneof![
        Just(First::Moves),
        Just(First::Leaves),
        Just(First::Closes { told: true }),
        Just(First::Closes { told: false }),
    ];
    prop_oneof![
        4 => user().prop_map(Action::Edit),
        4 => (user(), own(), 0_usize..6)
            .prop_map(|(user, own, number)| Action::Take { user, own, number }),
        3 => (vec(user(), 2..=4), own(), first)
            .prop_map(|(users, own, first)| Action::Pass { users, own, first }),
        2 => vec((own(), user(), user()), 1..=4).prop_map(Action::Swap),
        2 => user().prop_map(Action::Delete),
        1 => user().prop_map(Action::Other),
    ]
    .boxed()
}

/// Few of each, so that members meet again.
fn action_of_members() -> BoxedStrategy<Action> {
    let user = || 0_usize..2;
    let organization = || 0_usize..2;
    prop_oneof![
        6 => (organization(), user(), any::<bool>()).prop_map(|(organization, user, is_admin)| {
            Action::Join { organization, user, is_admin }
        }),
        4 => (organization(), user())
            .prop_map(|(organization, user)| Action::Leave { organization, user }),
        3 => (organization(), 0_usize..3)
            .prop_map(|(organization, slug)| Action::Organize { organization, slug }),
        1 => organization().prop_map(Action::Dissolve),
        2 => user().prop_map(Action::Edit),
        1 => user().prop_map(Action::Delete),
        1 => user().prop_map(Action::Other),
    ]
    .boxed()
}

fn step(action: BoxedStrategy<Action>) -> impl Strategy<Value = DeliveredStep> {
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

/// Of users alone.
pub(super) fn of_users() -> BoxedStrategy<Scenario> {
    scenario(action_of_users())
}

/// Of users, organizations and memberships.
pub(super) fn of_members() -> BoxedStrategy<Scenario> {
    scenario(action_of_members())
}

fn scenario(action: BoxedStrategy<Action>) -> BoxedStrategy<Scenario> {
    let copied_after = prop_oneof![3 => Just(0), 1 => 0_usize..40];
    (
        1..=MAX_HANDS,
        1_usize..=40,
        copied_after,
        vec(step(action), 0..40),
        vec(any::<Index>(), 0..4),
        proptest::option::of(any::<Index>()),
        1_u32..=4,
    )
        .prop_map(
            |(hands, batch_size, copied_after, steps, cuts, killed_after, partitions)| Scenario {
                hands,
                batch_size,
                steps,
                copied_after,
                cuts,
                killed_after,
                partitions,
            },
        )
        .boxed()
}
