//! What must be true of every state that can be reached.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::PoisonError;

use stateright::{Model, Property, Representative};

use crate::protocol::{Action, Protocol};
use crate::scenario::{Event, USERS, reference};
use crate::state::{Delivery, Outcome, State};

pub(crate) const DURABLE: &str =
    "P1: what was answered 2xx is on the stream, waits, is a dead letter or in the ledger";
pub(crate) const ONCE: &str =
    "P3: an event changes the table once at the most, and then the ledger says so, and only then";
pub(crate) const CONVERGES: &str =
    "P4: the table ends as the reference says, and who was deleted is never back";
pub(crate) const ONE_PLACE: &str = "P5: what is finished is in the ledger or a dead letter; in one of them only, if it was delivered once";
pub(crate) const NOT_STALE: &str =
    "P7: when nothing is pending, no cached row is older than the database";
pub(crate) const FINISHES: &str = "everything accepted can always be finished";
pub(crate) const CAN_END: &str = "an end is reached";

pub(crate) fn all() -> Vec<Property<Protocol>> {
    vec![
        Property::always(DURABLE, is_durable),
        Property::always(ONCE, is_applied_once),
        Property::always(CONVERGES, converges),
        Property::always(ONE_PLACE, ends_in_one_place),
        Property::always(NOT_STALE, caches_nothing_old),
        Property::always(FINISHES, can_be_finished),
        Property::sometimes(CAN_END, |_, state: &State| state.is_settled()),
    ]
}

fn is_durable(model: &Protocol, state: &State) -> bool {
    events(model).all(|event| {
        matches!(state.deliveries[event], Delivery::Due | Delivery::Queued)
            || state.stream.keys().any(|id| id.event == event)
            || state.retry.contains(event)
            || state.dead[event] > 0
            || state.ledger[event].is_some()
    })
}

fn is_applied_once(model: &Protocol, state: &State) -> bool {
    events(model).all(|event| {
        let applied = state.ledger[event] == Some(Outcome::Applied);
        state.effects[event] == u8::from(applied)
    })
}

fn converges(model: &Protocol, state: &State) -> bool {
    let recorded = |event: &Event| state.ledger[*event].is_some();
    let mut deletions = events(model).filter(|event| model.is_deletion(*event) && recorded(event));
    let counted = model.scenario.events.iter().enumerate();
    let counted = counted.filter(|(event, _)| recorded(event) || state.dead[*event] == 0);
    deletions.all(|event| state.users[model.scenario.events[event].user].is_none())
        && (!state.is_settled() || state.users == reference(counted))
}

fn ends_in_one_place(model: &Protocol, state: &State) -> bool {
    !state.is_settled()
        || events(model).all(|event| {
            let (dead, recorded) = (state.dead[event] > 0, state.ledger[event].is_some());
            (dead || recorded)
                && (!dead || model.scenario.refused == Some(event))
                && (!(dead && recorded) || was_in_two_hands(state, event))
        })
}

fn caches_nothing_old(model: &Protocol, state: &State) -> bool {
    let is_replayed_later = |event: Event| state.dead[event] > 0 && was_in_two_hands(state, event);
    let user_of = |event: Event| model.scenario.events[event].user;
    !state.is_settled()
        || (0..USERS).all(|user| {
            let mut own = events(model).filter(|event| user_of(*event) == user);
            state.cache[user] == state.users[user] || own.any(is_replayed_later)
        })
}

fn events(model: &Protocol) -> std::ops::Range<Event> {
    0..model.scenario.events.len()
}

/// The known limit (see the top of main.rs): it may lie among the dead letters and be in the ledger.
fn was_in_two_hands(state: &State, event: Event) -> bool {
    state.delivered_again.contains(event) || state.overtaken.contains(event)
}

/// Whether there is a way on which everything is finished although nobody interferes: no more faults,
/// no operator. The checker's own `eventually` would take a cycle for a success, and there are cycles:
/// an event is parked and comes back until its address is free.
fn can_be_finished(model: &Protocol, state: &State) -> bool {
    let mut finishing = model
        .finishing
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let mut seen = HashSet::new();
    // The way so far, and where else it could go from each of its states.
    let mut way: Vec<(u64, State, Vec<Action>)> = Vec::new();
    let mut next = Some(state.clone());
    loop {
        if let Some(state) = next {
            let fingerprint = fingerprint(&state);
            if state.is_settled() || finishing.contains(&fingerprint) {
                finishing.insert(fingerprint);
                finishing.extend(way.iter().map(|(fingerprint, ..)| fingerprint));
                return true;
            }
            if seen.insert(fingerprint) {
                let actions = undisturbed(model, &state);
                way.push((fingerprint, state, actions));
            }
        }
        let Some((_, state, elsewhere)) = way.last_mut() else {
            return false;
        };
        next = elsewhere
            .pop()
            .and_then(|action| model.next_state(state, action));
        if next.is_none() {
            way.pop();
        }
    }
}

fn fingerprint(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.representative().hash(&mut hasher);
    hasher.finish()
}

/// What may come next if nobody interferes. The last one leads to the end soonest: first what has
/// begun, then what waits, then the oldest events, as many at once as may be.
fn undisturbed(model: &Protocol, state: &State) -> Vec<Action> {
    let mut actions = Vec::new();
    model.actions(state, &mut actions);
    actions.retain(|action| {
        !model.is_fault(state, action) && !matches!(action, Action::Mend | Action::Replay(_))
    });
    actions.sort_by_cached_key(|action| {
        let (class, entries) = match action {
            Action::Enqueue(_) | Action::Answer(_) => (4, vec![]),
            Action::TakeOver(_, entries) => (3, entries.clone()),
            Action::HandBack(_) | Action::Unpark(_) => (2, vec![]),
            Action::Read(_, entries) => (1, entries.clone()),
            Action::LockTimeout(_) => (0, vec![]),
            _ => (5, vec![]),
        };
        (class, entries.len(), Reverse(entries))
    });
    actions
}
