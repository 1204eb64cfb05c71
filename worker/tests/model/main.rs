//! A model of the protocol, every state of which is checked: Svix and the ingest, the stream with its
//! pending entries, what waits and what is dead, two workers, the database, the cache. Run it with
//! `cargo test -p worker --test model`.
//!
//! - [`scenario`]: what happened at Clerk, and the table that it should come to.
//! - [`state`]: what everybody holds at one moment.
//! - [`symmetry`]: states that differ in names alone are checked once.
//! - [`protocol`]: who may do what. Each step names the code that takes it.
//! - [`step`], [`transaction`]: what it does.
//! - [`promises`]: what must hold, by the number of the promise.
//! - [`defects`]: the obvious wrong orders, and the promise that each of them breaks.
//!
//! **Faults** happen between any two steps, as many as the scenario allows: a process dies or stops, an
//! answer is lost, the database goes away, a lock does not come, a worker is slow and its entries are
//! taken over while it goes on.
//!
//! **Coarser than the code.** The stream has no order: workers read any of its entries, so all events
//! can arrive before the first is read. Time passes as it likes: what waits may come back at once or
//! late. A statement gets all its locks at once, for they are taken in the order of keys. A worker has
//! one batch, and parks or dead-letters all copies of an event at once. The events of a user have no
//! equal `updated_at`, and attempts are not counted: an event that may heal is parked again and again. So
//! it says nothing of an event whose last attempt ends because a lock did not come, nor of attempts after a waking.
//!
//! **Left out.** A reader that read a row before a commit and caches it after the tags are gone: nothing
//! defends against that one. Redis or PostgreSQL forgetting what they have acknowledged. Rows that the
//! application wrote itself. Rings of more than two.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod check;
mod defects;
mod promises;
mod protocol;
mod scenario;
mod state;
mod step;
mod symmetry;
mod transaction;

use check::keeps_every_promise;
use promises::{CAN_END, CLOSES_A_RING, DROPS_A_LETTER, FENCES, PARKS, WAKES_SOMEBODY};

/// P1, P3, P4, P5, P7
#[test]
fn a_user_is_created_changed_and_deleted() {
    keeps_every_promise(scenario::ONE_LIFE, &[CAN_END, FENCES]);
}

/// P1, P3, P4, P5, P7
#[test]
fn a_user_changes_twice() {
    keeps_every_promise(scenario::TWO_CHANGES, &[CAN_END, FENCES]);
}

/// P1, P3, P4, P5, P7
#[test]
fn an_address_goes_from_one_user_to_another() {
    keeps_every_promise(
        scenario::HAND_OVER,
        &[CAN_END, PARKS, WAKES_SOMEBODY, FENCES],
    );
}

/// P1, P3, P4, P5, P7
#[test]
fn two_users_swap_addresses() {
    keeps_every_promise(scenario::SWAP, &[CAN_END, PARKS, FENCES, CLOSES_A_RING]);
}

/// P1, P3, P4, P5, P7
#[test]
fn an_event_is_refused_dead_lettered_and_replayed() {
    keeps_every_promise(scenario::REFUSAL, &[CAN_END, FENCES, DROPS_A_LETTER]);
}

/// P1, P3, P4, P5, P7
#[test]
fn the_neighbour_of_a_refused_event_is_applied() {
    keeps_every_promise(scenario::NEIGHBOUR, &[CAN_END, FENCES]);
}
