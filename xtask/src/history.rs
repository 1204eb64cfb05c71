//! Histories of many users, and of organizations with their members, as Clerk could tell them, and what they come to.
//!
//! Where a test needs many events, they come from here: users are created, changed and deleted, and
//! e-mail addresses and usernames pass from one to another, singly, in chains, in swaps and in longer rings. At
//! any instant every one of them has one owner, as at Clerk; and whoever has been deleted never comes
//! back, though the same person may sign up anew, with the same address under another id.
//!
//! There are organizations too, where they are asked for: they are founded, change, take each other's slugs and are
//! deleted; users join them, get another role, leave and come back under another id.
//!
//! Neither svix-ids nor envelope timestamps follow the order of `updated_at`, which they need not
//! at Clerk either. They do so only where `updated_at` leaves the order of two events of one user
//! open.

mod clerk;
mod organizations;
mod step;

use std::collections::BTreeMap;

use rand::RngExt as _;
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
    /// What it is about, as Clerk calls it.
    pub family: &'static str,
    /// The id of its object. No two objects have the same id, whatever they are.
    pub object_id: String,
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
    User(User),
    /// The organization is.
    Organization(Organization),
    /// The membership is.
    Membership(Membership),
    /// It is to be gone.
    Delete,
    /// Nothing: it is of a type that nobody acts on.
    Ignore,
}

/// A user. No two events of a history make the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
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

/// An organization. No two events of a history make the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// The number of the event is in it.
    pub name: String,
    /// No two organizations have the same one at a time.
    pub slug: String,
    /// In ms since the epoch.
    pub created_at: i64,
    /// In ms since the epoch.
    pub updated_at: i64,
}

/// A membership. No two events of a history make the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Its own: another one when somebody comes back.
    pub id: String,
    /// Of what.
    pub organization_id: String,
    /// Whose.
    pub user_id: String,
    /// `org:admin` or `org:member`.
    pub role: String,
    /// The number of the event is in it.
    pub desk: String,
    /// In ms since the epoch.
    pub updated_at: i64,
}

/// What a history comes to: its events applied in order, and nothing else.
#[derive(Debug, Default)]
pub struct Reference<'a> {
    /// The users that are left, by id.
    pub users: BTreeMap<&'a str, &'a User>,
    /// The organizations that are left, by id.
    pub organizations: BTreeMap<&'a str, &'a Organization>,
    /// Memberships without a deletion event of their own, by organization and user; the newest replaces those before it.
    pub told_memberships: BTreeMap<(&'a str, &'a str), &'a Membership>,
    /// The newest event of each object that ever was, by id. One whose newest event is a
    /// deletion has a tombstone.
    pub newest: BTreeMap<&'a str, &'a HistoryEvent>,
}

impl<'a> Reference<'a> {
    /// Applies `events`, which are in Clerk's own order.
    #[must_use]
    pub fn of(events: &'a [HistoryEvent]) -> Self {
        let mut reference = Self::default();
        for event in events {
            let id = event.object_id.as_str();
            match &event.change {
                Change::User(user) => {
                    reference.users.insert(id, user);
                }
                Change::Organization(organization) => {
                    reference.organizations.insert(id, organization);
                }
                Change::Membership(told) => {
                    let pair = (told.organization_id.as_str(), told.user_id.as_str());
                    reference.told_memberships.insert(pair, told);
                }
                Change::Delete => {
                    reference.users.remove(id);
                    reference.organizations.remove(id);
                    reference.told_memberships.retain(|_, told| told.id != id);
                }
                Change::Ignore => continue,
            }
            reference.newest.insert(id, event);
        }
        reference
    }

    /// Whether the organization of a membership is there, and, where the row refers to it, the user.
    #[must_use]
    pub fn has_parents(&self, membership: &Membership, refers_to_user: bool) -> bool {
        self.organizations
            .contains_key(membership.organization_id.as_str())
            && (!refers_to_user || self.users.contains_key(membership.user_id.as_str()))
    }

    /// The memberships that are left, where their rows go with their organizations, and with their users if they refer
    /// to them.
    pub fn memberships(&self, refer_to_users: bool) -> impl Iterator<Item = &'a Membership> {
        let told = self.told_memberships.values().copied();
        told.filter(move |membership| self.has_parents(membership, refer_to_users))
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

    /// The same with about `organizations` organizations at a time, of which two events in three tell.
    pub fn with_members(
        random: &mut StdRng,
        users: usize,
        organizations: usize,
        events: usize,
    ) -> Self {
        let (users, organizations) = (users.max(1), organizations.max(1));
        let mut clerk = Clerk::new();
        while clerk.events.len() < events {
            clerk.take(&match random.random_ratio(1, 3) {
                true => Step::random(random, users),
                false => Step::of_members(random, users, organizations),
            });
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
                if let Some(before) = newest.insert(&event.object_id, event) {
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
                if before.object_id == after.object_id && (older.0, older.1) == (newer.0, newer.1) {
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
                if before.object_id == after.object_id && newer.0 && older.1 > newer.1 {
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
    fn histories_with_members_hold_all_that_makes_order_matter() {
        let mut found = BTreeSet::new();
        for seed in 0..20 {
            let random = &mut StdRng::seed_from_u64(seed);
            let history = History::with_members(random, 6, 3, 300);
            let mut newest: BTreeMap<(&str, &str), &HistoryEvent> = BTreeMap::new();
            let mut slugs: BTreeMap<&str, &str> = BTreeMap::new();
            let mut changed: BTreeMap<&str, &HistoryEvent> = BTreeMap::new();
            for event in &history.events {
                let before = changed.insert(&event.object_id, event);
                match &event.change {
                    Change::Membership(told) => {
                        let pair = (told.organization_id.as_str(), told.user_id.as_str());
                        if let Some(before) = newest.insert(pair, event) {
                            assert!(revision(before) < revision(event), "seed {seed}");
                            found.insert(match before.object_id == event.object_id {
                                true => "another role",
                                false => "a return",
                            });
                        }
                    }
                    Change::Organization(told) => {
                        let owner = slugs.insert(&told.slug, &event.object_id);
                        if owner.is_some_and(|owner| owner != event.object_id) {
                            found.insert("a slug of another one");
                        }
                    }
                    Change::Delete => {
                        let before = before.map(|before| &before.change);
                        assert_ne!(before, Some(&Change::Delete), "seed {seed}");
                        assert!(before.is_some(), "seed {seed}");
                    }
                    _ => {}
                }
            }
            let reference = Reference::of(&history.events);
            for told in reference.told_memberships.values() {
                if !reference.has_parents(told, false) {
                    found.insert("nobody told of the end, but the organization's");
                } else if !reference.has_parents(told, true) {
                    found.insert("nobody told of the end, but the user's");
                } else {
                    found.insert("a member");
                }
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
