//! Clerk, as far as its webhooks tell.

use std::collections::BTreeMap;

use super::{Action, Change, First, HistoryEvent, Row, Step, Tie};
use crate::clerk_payload::UserPayload;

/// 28 May 2024, in ms since the epoch: the time before the first event.
const BEGINNING: i64 = 1_716_883_200_000;
/// Milliseconds between two events that are not tied.
const INTERVAL: i64 = 100;
/// An event is sent less than this many milliseconds after the change; several intervals, so that
/// the timestamps have another order than the changes.
const LAG: u32 = 1200;
/// The clock that stamps some deletions is this many milliseconds behind the one of `updated_at`: a
/// deletion may seem to be older than a change before it.
const SKEW: i64 = 2000;

/// Who has which address, and what was told of it.
pub(super) struct Clerk {
    /// Present users, by number.
    users: BTreeMap<usize, User>,
    /// Numbers of the users who have the addresses, by number of the address.
    owners: BTreeMap<usize, usize>,
    /// How often a user of each number was deleted.
    deletions: BTreeMap<usize, usize>,
    clock: i64,
    /// How many steps were taken before this one.
    step: usize,
    pub(super) events: Vec<HistoryEvent>,
}

struct User {
    id: String,
    address: usize,
    created_at: i64,
    /// Index of the newest event of this user that changes something.
    newest: Option<usize>,
}

impl Clerk {
    pub(super) const fn new() -> Self {
        Self {
            users: BTreeMap::new(),
            owners: BTreeMap::new(),
            deletions: BTreeMap::new(),
            clock: BEGINNING,
            step: 0,
            events: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, step: &Step) {
        let tie = step.tie;
        match &step.action {
            Action::Edit(user) => {
                if !self.users.contains_key(user) {
                    let own = (!self.owners.contains_key(user)).then_some(*user);
                    self.move_to(*user, own.unwrap_or_else(|| self.free_address()));
                }
                self.tell(*user, tie);
            }
            Action::Take { user, address } => {
                if !self.owners.contains_key(address) {
                    self.move_to(*user, *address);
                    self.tell(*user, tie);
                }
            }
            Action::Pass { users, first } => self.pass(users, *first, tie),
            Action::Delete(user) => self.delete(*user, tie),
            Action::Other(user) => self.other(*user, tie),
        }
        self.step += 1;
    }

    fn pass(&mut self, users: &[usize], first: First, tie: Tie) {
        let mut present: Vec<usize> = Vec::new();
        for user in users {
            if self.users.contains_key(user) && !present.contains(user) {
                present.push(*user);
            }
        }
        let [leader, others @ ..] = present.as_slice() else {
            return;
        };
        if others.is_empty() {
            return;
        }
        let mut address = self.users[leader].address;
        if first == First::Leaves {
            self.delete(*leader, tie);
        } else {
            self.move_to(*leader, self.free_address());
            if first != (First::Closes { told: false }) {
                self.tell(*leader, tie);
            }
        }
        for user in others {
            let next = self.users[user].address;
            self.move_to(*user, address);
            self.tell(*user, tie);
            address = next;
        }
        if matches!(first, First::Closes { .. }) {
            self.move_to(*leader, address);
            self.tell(*leader, tie);
        }
    }

    fn delete(&mut self, number: usize, tie: Tie) {
        self.pass_time(tie);
        let Some(user) = self.users.remove(&number) else {
            return;
        };
        self.owners.remove(&user.address);
        *self.deletions.entry(number).or_default() += 1;
        let (mut timestamp, svix_id) = self.envelope(user.newest, tie);
        if self.events.len().is_multiple_of(3) {
            timestamp -= SKEW;
        }
        self.events.push(HistoryEvent {
            step: self.step,
            svix_id,
            body: UserPayload::new(&user.id, "")
                .timestamp(timestamp)
                .deleted(),
            user_id: user.id,
            change: Change::Delete,
            updated_at: timestamp,
            timestamp,
        });
    }

    fn other(&mut self, number: usize, tie: Tie) {
        self.pass_time(tie);
        let Some(user) = self.users.get(&number) else {
            return;
        };
        let (timestamp, svix_id) = self.envelope(None, tie);
        self.events.push(HistoryEvent {
            step: self.step,
            svix_id,
            body: UserPayload::new(&user.id, "")
                .timestamp(timestamp)
                .event("session.created"),
            user_id: user.id.clone(),
            change: Change::Ignore,
            updated_at: self.clock,
            timestamp,
        });
    }

    /// Somebody who is not there yet signs up.
    fn move_to(&mut self, number: usize, address: usize) {
        let deletions = self.deletions.get(&number).copied().unwrap_or_default();
        let clock = self.clock;
        let user = self.users.entry(number).or_insert_with(|| User {
            id: match deletions {
                0 => format!("user_{number}"),
                _ => format!("user_{number}_{deletions}"),
            },
            address,
            created_at: clock,
            newest: None,
        });
        // Whoever is next in a ring may have this address by now.
        if self.owners.get(&user.address) == Some(&number) {
            self.owners.remove(&user.address);
        }
        user.address = address;
        self.owners.insert(address, number);
    }

    /// The free address with the lowest number.
    fn free_address(&self) -> usize {
        self.owners
            .keys()
            .zip(0..)
            .find(|(taken, number)| *taken != number)
            .map_or(self.owners.len(), |(_, number)| number)
    }

    /// Clerk sends what the user is now.
    fn tell(&mut self, number: usize, tie: Tie) {
        self.pass_time(tie);
        let Some(user) = self.users.get(&number) else {
            return;
        };
        let event = self.events.len();
        let (timestamp, svix_id) = self.envelope(user.newest, tie);
        let row = Row {
            name: format!("Ada {event}"),
            email: format!("{}@example.com", user.address),
            image_url: (!event.is_multiple_of(3)).then(|| format!("https://img.clerk.com/{event}")),
            created_at: user.created_at,
            updated_at: self.clock,
        };
        let payload = UserPayload::new(&user.id, &row.email)
            .last_name(event.to_string().as_str())
            .image_url(row.image_url.as_deref())
            .created_at(row.created_at)
            .updated_at(row.updated_at)
            .timestamp(timestamp);
        self.events.push(HistoryEvent {
            step: self.step,
            svix_id,
            user_id: user.id.clone(),
            body: match user.newest {
                None => payload.created(),
                Some(_) => payload.updated(),
            },
            change: Change::Upsert(row),
            updated_at: self.clock,
            timestamp,
        });
        if let Some(user) = self.users.get_mut(&number) {
            user.newest = Some(event);
        }
    }

    fn pass_time(&mut self, tie: Tie) {
        if tie == Tie::None {
            self.clock += INTERVAL;
        }
    }

    /// Timestamp and svix-id of the next event of somebody whose newest event so far is `newest`.
    fn envelope(&self, newest: Option<usize>, tie: Tie) -> (i64, String) {
        let number = u32::try_from(self.events.len()).unwrap_or_default();
        // Multiplied by an odd number, different numbers stay different and lose their order.
        let scrambled = number.wrapping_mul(2_654_435_761);
        let svix_id = format!("msg_{scrambled:08x}");
        let newest = newest.map(|event| &self.events[event]);
        match newest.filter(|event| event.updated_at == self.clock) {
            None => (self.clock + i64::from(scrambled % LAG), svix_id),
            Some(event) if tie == Tie::Timestamp => {
                (event.timestamp, format!("{}x", event.svix_id))
            }
            Some(event) => (event.timestamp + 1, svix_id),
        }
    }
}
