//! What is drawn: a history, and how it is delivered.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use xtask::history::{Action, First, History, HistoryEvent, Reference, Row, Step, Tie};

/// Tasks or workers that apply batches at the same time.
pub(super) const MAX_HANDS: usize = 4;

/// A history and how it is delivered. All of it shrinks: to fewer steps, in order, once, one hand.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub(super) hands: usize,
    pub(super) batch_size: usize,
    steps: Vec<Step>,
    /// After how many steps somebody copied the users into the table.
    copied_after: Option<Index>,
    /// How late the events are delivered, over and over. The latest are delivered last.
    delays: Vec<u8>,
    /// Events that are delivered a second time, and how late.
    again: Vec<(Index, u8)>,
    /// Where the deliveries are cut into groups.
    cuts: Vec<Index>,
}

impl Scenario {
    pub(super) fn history(&self) -> History {
        History::of(&self.steps)
    }

    /// Rows that are in the table before anything is delivered.
    pub(super) fn rows_before(&self) -> Vec<(String, Row)> {
        let steps = self
            .copied_after
            .map_or(0, |index| index.index(self.steps.len() + 1));
        let history = History::of(&self.steps[..steps]);
        Reference::of(&history.events)
            .users
            .into_iter()
            .map(|(user_id, row)| (user_id.to_owned(), row.clone()))
            .collect()
    }

    /// The events as they are delivered.
    pub(super) fn deliveries<'a>(&self, history: &'a History) -> Vec<&'a HistoryEvent> {
        let delays = self.delays.iter().chain([&0]).cycle();
        let mut deliveries: Vec<(u8, &HistoryEvent)> =
            delays.copied().zip(&history.events).collect();
        if !history.events.is_empty() {
            let again = self.again.iter();
            deliveries.extend(again.map(|(index, delay)| (*delay, index.get(&history.events))));
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

fn step() -> impl Strategy<Value = Step> {
    let user = || 0_usize..5;
    let first = prop_oneof![
        Just(First::Moves),
        Just(First::Leaves),
        Just(First::Closes { told: true }),
        Just(First::Closes { told: false }),
    ];
    let action = prop_oneof![
        4 => user().prop_map(Action::Edit),
        4 => (user(), 0_usize..6).prop_map(|(user, address)| Action::Take { user, address }),
        3 => (vec(user(), 2..=4), first).prop_map(|(users, first)| Action::Pass { users, first }),
        2 => user().prop_map(Action::Delete),
        1 => user().prop_map(Action::Other),
    ];
    let tie = prop_oneof![
        4 => Just(Tie::None),
        1 => Just(Tie::UpdatedAt),
        1 => Just(Tie::Timestamp),
    ];
    (action, tie).prop_map(|(action, tie)| Step { action, tie })
}

pub(super) fn scenario() -> impl Strategy<Value = Scenario> {
    (
        1..=MAX_HANDS,
        1_usize..=40,
        vec(step(), 0..40),
        proptest::option::weighted(0.25, any::<Index>()),
        vec(any::<u8>(), 0..60),
        vec((any::<Index>(), any::<u8>()), 0..6),
        vec(any::<Index>(), 0..4),
    )
        .prop_map(
            |(hands, batch_size, steps, copied_after, delays, again, cuts)| Scenario {
                hands,
                batch_size,
                steps,
                copied_after,
                delays,
                again,
                cuts,
            },
        )
}
