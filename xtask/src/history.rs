//! Histories of many users as Clerk could tell them, and what they come to.
//!
//! Where a test needs many events, they come from here: users are created, changed and deleted, and
//! e-mail addresses and usernames pass from one to another, singly, in chains, in swaps and in longer rings. At
//! any instant every one of them has one owner, as at Clerk; and whoever has been deleted never comes
//! back, though the same person may sign up anew, with the same address under another id.
//!
//! Neither svix-ids nor envelope timestamps follow the order of `updated_at`, which they need not
//! at Clerk either. They do so only where `updated_at` leaves the order of two events of one user
//! open.

mod clerk;
mod step;

use std::collections::BTreeMap;

use rand::rngs::StdRng;

use self::clerk::Clerk;
pub use self::step::{Action, First, Own, Step, Tie};

/// The events of many users, in Clerk's own order.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The events. Applied one by one they end in what [`Reference::of`] says.
    pub events: Vec<HistoryEvent>,
}

/// One event, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEvent {
    /// Its identity, different from all others of the history.
    pub svix_id: String,
    /// Whom it is about.
    pub user_id: String,
    /// What it asks for.
    pub change: Change,
    /// When the change was made, in ms since the epoch. A deletion does not tell; there it is the
    /// `timestamp`.
    pub updated_at: i64,
    /// The envelope's `timestamp`, in ms since the epoch.
    pub timestamp: i64,
    /// What Clerk sends.
    pub body: String,
    /// Which of the steps it comes from, counted from 0.
    pub step: usize,
}

/// What an event asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The user is to look like this.
    Upsert(Row),
    /// The user is to be gone.
    Delete,
    /// Nothing: it is of a type that nobody acts on.
    Ignore,
}

/// The row of a user. No two events of a history make the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// First and last name. The number of the event is in it.
    pub name: String,
    /// The primary address.
    pub email: String,
    /// The username.
    pub username: String,
    /// Missing in some.
    pub image_url: Option<String>,
    /// In ms since the epoch.
    pub created_at: i64,
    /// In ms since the epoch.
    pub updated_at: i64,
}

/// What a history comes to: its events applied in order, and nothing else.
#[derive(Debug, Default)]
pub struct Reference<'a> {
    /// The rows that are left, by user id.
    pub users: BTreeMap<&'a str, &'a Row>,
    /// The newest event of each user that ever was, by user id. A user whose newest event is a
    /// deletion has a tombstone.
    pub newest: BTreeMap<&'a str, &'a HistoryEvent>,
}

impl<'a> Reference<'a> {
    /// Applies `events`, which are in Clerk's own order.
    #[must_use]
    pub fn of(events: &'a [HistoryEvent]) -> Self {
        let mut reference = Self::default();
        for event in events {
            match &event.change {
                Change::Upsert(row) => reference.users.insert(&event.user_id, row),
                Change::Delete => reference.users.remove(event.user_id.as_str()),
                Change::Ignore => continue,
            };
            reference.newest.insert(&event.user_id, event);
        }
        reference
    }
}

impl History {
    /// What `steps` come to.
    #[must_use]
    pub fn of<'a>(steps: impl IntoIterator<Item = &'a Step>) -> Self {
        let mut clerk = Clerk::new();
        for step in steps {
            clerk.take(step);
        }
        Self {
            events: clerk.events,
        }
    }

    /// A history of `events` events or a few more, of about `users` users at a time. The last step
    /// is never cut short, so that every address and every name has one owner in the end.
    pub fn generate(random: &mut StdRng, users: usize, events: usize) -> Self {
        let mut clerk = Clerk::new();
        while clerk.events.len() < events {
            clerk.take(&Step::random(random, users.max(1)));
        }
        Self {
            events: clerk.events,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng as _;

    use super::*;

    fn generated(seed: u64) -> History {
        History::generate(&mut StdRng::seed_from_u64(seed), 6, 300)
    }

    /// In the order that decides which of two events of a user is the newer one.
    fn revision(event: &HistoryEvent) -> (bool, i64, i64, &str) {
        let deleted = event.change == Change::Delete;
        (deleted, event.updated_at, event.timestamp, &event.svix_id)
    }

    #[test]
    fn one_seed_makes_one_history() {
        assert_eq!(generated(1).events, generated(1).events);
        assert_ne!(generated(1).events, generated(2).events);
    }

    #[test]
    fn every_user_s_events_get_newer_and_nothing_follows_a_deletion() {
        for seed in 0..20 {
            let history = generated(seed);
            let mut newest: BTreeMap<&str, &HistoryEvent> = BTreeMap::new();
            for event in &history.events {
                if event.change == Change::Ignore {
                    continue;
                }
                if let Some(before) = newest.insert(&event.user_id, event) {
                    assert!(revision(before) < revision(event), "seed {seed}");
                    assert_ne!(before.change, Change::Delete, "seed {seed}");
                }
            }
        }
    }

    #[test]
    fn in_the_end_every_address_and_every_name_has_one_owner() {
        for seed in 0..20 {
            let history = generated(seed);
            let reference = Reference::of(&history.events);
            let addresses: BTreeSet<&str> = reference
                .users
                .values()
                .map(|row| row.email.as_str())
                .collect();
            assert_eq!(addresses.len(), reference.users.len(), "seed {seed}");
            let names = reference.users.values();
            let names: BTreeSet<&str> = names.map(|row| row.username.as_str()).collect();
            assert_eq!(names.len(), reference.users.len(), "seed {seed}");
        }
    }

    #[test]
    fn histories_hold_all_that_makes_order_matter() {
        let mut found = BTreeSet::new();
        for seed in 0..20 {
            let history = generated(seed);
            for (before, after) in history.events.iter().zip(&history.events[1..]) {
                let (older, newer) = (revision(before), revision(after));
                if before.user_id == after.user_id && (older.0, older.1) == (newer.0, newer.1) {
                    found.insert(if older.2 < newer.2 {
                        "same updated_at"
                    } else {
                        "same timestamp"
                    });
                    if before.svix_id > after.svix_id {
                        found.insert("svix-ids against the order");
                    }
                }
                if older.1 < newer.1 && older.2 > newer.2 {
                    found.insert("timestamps against the order");
                }
                if before.user_id == after.user_id && newer.0 && older.1 > newer.1 {
                    found.insert("deletions that seem to be older");
                }
            }
            let reference = Reference::of(&history.events);
            if reference.newest.len() > reference.users.len() {
                found.insert("tombstones");
            }
        }
        assert_eq!(found.len(), 6, "{found:?}");
    }

    #[test]
    fn two_users_swap_addresses_without_a_word_between() {
        let steps = [
            Action::Edit(0),
            Action::Edit(1),
            Action::Pass {
                users: vec![0, 1],
                own: Own::Address,
                first: First::Closes { told: false },
            },
        ]
        .map(|action| Step {
            action,
            tie: Tie::None,
        });
        let history = History::of(&steps);
        assert_eq!(history.events.len(), 4);
        let reference = Reference::of(&history.events);
        assert_eq!(reference.users["user_0"].email, "1@example.com");
        assert_eq!(reference.users["user_1"].email, "0@example.com");
        assert!(reference.newest["user_0"].body.contains("user.updated"));
    }
}
