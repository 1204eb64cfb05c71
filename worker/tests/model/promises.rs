//! What must be true of every state that can be reached.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::PoisonError;

use stateright::{Model, Property, Representative};

use crate::protocol::{Action, Protocol};
use crate::scenario::{Event, reference};
use crate::state::{Batch, Delivery, Outcome, Set, State, Transaction, Verdict};

pub(crate) const DURABLE: &str =
    "P1: what was answered 2xx is on the stream, waits, is a dead letter or in the ledger";
pub(crate) const ONCE: &str =
    "P3: an event changes the table once at the most, and then the ledger says so, and only then";
pub(crate) const CONVERGES: &str =
    "P4: the table ends as the reference says, and who was deleted is never back";
pub(crate) const ONE_PLACE: &str =
    "P5: what is finished is in the ledger or a dead letter, never in both";
pub(crate) const NOT_STALE: &str =
    "P7: when nothing is pending, no cached row is older than the database";
pub(crate) const WAKES: &str = "who waits for an address is woken when the other user changes, or somebody is about to wake it";
pub(crate) const FINISHES: &str = "everything accepted can always be finished";

/// What must come about, for else the check says nothing.
pub(crate) const CAN_END: &str = "an end is reached";
pub(crate) const PARKS: &str = "something waits";
pub(crate) const WAKES_SOMEBODY: &str = "something is woken";
pub(crate) const FENCES: &str = "a slow worker is about to apply what was taken from it";
pub(crate) const CLOSES_A_RING: &str = "a ring is applied";
pub(crate) const DROPS_A_LETTER: &str = "something is applied of which a letter lies there";

pub(crate) fn all() -> Vec<Property<Protocol>> {
    vec![
        Property::always(DURABLE, is_durable),
        Property::always(ONCE, is_applied_once),
        Property::always(CONVERGES, converges),
        Property::always(ONE_PLACE, ends_in_one_place),
        Property::always(NOT_STALE, caches_nothing_old),
        Property::always(WAKES, wakes_who_waits),
        Property::always(FINISHES, can_be_finished),
        Property::sometimes(CAN_END, |_, state: &State| state.is_settled()),
        Property::sometimes(PARKS, |_, state: &State| !state.retry.is_empty()),
        Property::sometimes(WAKES_SOMEBODY, |_, state: &State| {
            let mut waiting = state.retry_objects.iter();
            waiting.any(|event| !state.awaited.contains_key(&event))
        }),
        Property::sometimes(FENCES, locks_what_was_taken_from_it),
        Property::sometimes(CLOSES_A_RING, closes_a_ring),
        Property::sometimes(DROPS_A_LETTER, |model, state: &State| {
            events(model).any(|event| state.dead.contains(event) && state.ledger[event].is_some())
        }),
    ]
}

fn is_durable(model: &Protocol, state: &State) -> bool {
    events(model).all(|event| {
        matches!(state.deliveries[event], Delivery::Due | Delivery::Queued)
            || state.stream.keys().any(|id| id.event == event)
            || state.retry.contains(event)
            || state.dead.contains(event)
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
    let counted = counted.filter(|(event, _)| !state.dead.contains(*event));
    deletions.all(|event| state.users[model.scenario.events[event].user].is_none())
        && (!state.is_settled() || state.users == reference(counted))
}

fn ends_in_one_place(model: &Protocol, state: &State) -> bool {
    !state.is_settled()
        || events(model).all(|event| {
            let (dead, recorded) = (state.dead.contains(event), state.ledger[event].is_some());
            dead != recorded && (!dead || model.scenario.refused == Some(event))
        })
}

fn caches_nothing_old(_: &Protocol, state: &State) -> bool {
    !state.is_settled() || state.cache == state.users
}

/// No wake-up is lost: with a version that is gone nobody waits whom nothing but its back-off brings back. What the
/// ledger knows and is still on the stream, or comes back to it, will be found there, and wakes.
fn wakes_who_waits(model: &Protocol, state: &State) -> bool {
    let user_of = |event: Event| model.scenario.events[event].user;
    state.awaited.iter().all(|(waiting, seen)| {
        let other = 1 - user_of(*waiting);
        let wakes = |event: Event| {
            user_of(event) == other
                && state.ledger[event].is_some()
                && (state.retry.contains(event) || state.stream.keys().any(|id| id.event == event))
        };
        state.versions[other] == *seen
            || state.unconfirmed.contains_key(waiting)
            || events(model).any(wakes)
    })
}

fn events(model: &Protocol) -> std::ops::Range<Event> {
    0..model.scenario.events.len()
}

fn locks_what_was_taken_from_it(_: &Protocol, state: &State) -> bool {
    let is_zombie = |worker: usize, batch: &Batch, new: Set| {
        let mut entries = batch.entries.iter();
        entries.any(|id| new.contains(id.event) && !state.is_held_by(worker, id))
    };
    let mut workers = state.workers.iter().enumerate();
    workers.any(|(worker, batch)| {
        batch.as_ref().is_some_and(|batch| match batch.transaction {
            Transaction::Recorded { new } => is_zombie(worker, batch, new),
            _ => false,
        })
    })
}

fn closes_a_ring(_: &Protocol, state: &State) -> bool {
    state.workers.iter().flatten().any(|batch| {
        !batch.ring.is_empty()
            && batch
                .ring
                .iter()
                .all(|event| batch.verdicts[event] == Some(Verdict::Recorded(Outcome::Applied)))
    })
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
            Action::HandBack(_) => (2, vec![]),
            Action::Read(_, entries) => (2, entries.clone()),
            Action::Unpark(_) => (1, vec![]),
            Action::LockTimeout(_) => (0, vec![]),
            _ => (5, vec![]),
        };
        (class, entries.len(), Reverse(entries))
    });
    actions
}
