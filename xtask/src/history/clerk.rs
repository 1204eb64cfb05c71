//! Clerk, as far as its webhooks tell.

use std::collections::BTreeMap;

use super::organizations::Organizations;
use super::{Action, Change, First, HistoryEvent, Own, Step, Tie};
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
pub(super) const SKEW: i64 = 2000;

/// Who has which address and which name, and what was told of it.
pub(super) struct Clerk {
    /// Present users, by number.
    users: BTreeMap<usize, User>,
    /// Numbers of the users who have the addresses and the names, by their numbers.
    owners: BTreeMap<(Own, usize), usize>,
    /// How often a user of each number was deleted.
    deletions: BTreeMap<usize, usize>,
    pub(super) organizations: Organizations,
    pub(super) clock: i64,
    /// How many steps were taken before this one.
    pub(super) step: usize,
    pub(super) events: Vec<HistoryEvent>,
}

struct User {
    id: String,
    /// Numbers of the address and of the name.
    has: BTreeMap<Own, usize>,
    created_at: i64,
    /// Index of the newest event of this user that changes something.
    newest: Option<usize>,
}

impl Clerk {
    pub(super) fn new() -> Self {
        Self {
            users: BTreeMap::new(),
            owners: BTreeMap::new(),
            deletions: BTreeMap::new(),
            organizations: Organizations::default(),
            clock: BEGINNING,
            step: 0,
            events: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, step: &Step) {
        let tie = step.tie;
        match &step.action {
            Action::Edit(user) => self.edit(*user, tie),
            Action::Take { user, own, number } => {
                if !self.owners.contains_key(&(*own, *number)) {
                    self.move_to(*user, *own, *number);
                    self.sign_up(*user);
                    self.tell(*user, tie);
                }
            }
            Action::Pass { users, own, first } => self.pass(users, *own, *first, tie),
            Action::Swap(swaps) => self.swap(swaps, tie),
            Action::Delete(user) => self.delete(*user, tie),
            Action::Other(user) => self.other(*user, tie),
            Action::Organize { organization, slug } => self.organize(*organization, *slug, tie),
            Action::Dissolve(organization) => self.dissolve(*organization, tie),
            Action::Join {
                organization,
                user,
                is_admin,
            } => self.join(*organization, *user, *is_admin, tie),
            Action::Leave { organization, user } => self.leave(*organization, *user, tie),
        }
        self.step += 1;
    }

    pub(super) fn edit(&mut self, user: usize, tie: Tie) {
        self.sign_up(user);
        self.tell(user, tie);
    }

    /// Of a user who is there.
    pub(super) fn user_id(&self, number: usize) -> Option<&str> {
        self.users.get(&number).map(|user| user.id.as_str())
    }

    fn pass(&mut self, users: &[usize], own: Own, first: First, tie: Tie) {
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
        let mut number = self.users[leader].has[&own];
        if first == First::Leaves {
            self.delete(*leader, tie);
        } else {
            self.move_to(*leader, own, self.free(own));
            if first != (First::Closes { told: false }) {
                self.tell(*leader, tie);
            }
        }
        for user in others {
            let next = self.users[user].has[&own];
            self.move_to(*user, own, number);
            self.tell(*user, tie);
            number = next;
        }
        if matches!(first, First::Closes { .. }) {
            self.move_to(*leader, own, number);
            self.tell(*leader, tie);
        }
    }

    fn swap(&mut self, swaps: &[(Own, usize, usize)], tie: Tie) {
        let mut changed = Vec::new();
        for (own, one, other) in swaps {
            let has = |user| Some(self.users.get(user)?.has[own]);
            if let (Some(of_one), Some(of_other)) = (has(one), has(other))
                && one != other
            {
                self.move_to(*one, *own, of_other);
                self.move_to(*other, *own, of_one);
                changed.extend([*one, *other]);
            }
        }
        changed.sort_unstable();
        changed.dedup();
        for user in changed {
            self.tell(user, tie);
        }
    }

    fn delete(&mut self, number: usize, tie: Tie) {
        self.pass_time(tie);
        let Some(user) = self.users.remove(&number) else {
            return;
        };
        self.owners.retain(|_, owner| *owner != number);
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
            family: "user",
            object_id: user.id,
            change: Change::Delete,
            updated_at: timestamp,
            timestamp,
        });
        self.end_memberships_of(number, tie);
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
            family: "user",
            object_id: user.id.clone(),
            change: Change::Ignore,
            updated_at: self.clock,
            timestamp,
        });
    }

    /// Who is not there yet signs up; who has no address or no name gets the one of its own number, or a free one.
    fn sign_up(&mut self, number: usize) {
        for own in [Own::Address, Own::Name] {
            let user = self.users.get(&number);
            if !user.is_some_and(|user| user.has.contains_key(&own)) {
                let is_taken = self.owners.contains_key(&(own, number));
                let of_its_own = (!is_taken).then_some(number);
                self.move_to(number, own, of_its_own.unwrap_or_else(|| self.free(own)));
            }
        }
    }

    fn move_to(&mut self, number: usize, own: Own, to: usize) {
        let deletions = self.deletions.get(&number).copied().unwrap_or_default();
        let clock = self.clock;
        let user = self.users.entry(number).or_insert_with(|| User {
            id: match deletions {
                0 => format!("user_{number}"),
                _ => format!("user_{number}_{deletions}"),
            },
            has: BTreeMap::new(),
            created_at: clock,
            newest: None,
        });
        // Whoever is next in a ring may have it by now.
        if let Some(before) = user.has.insert(own, to)
            && self.owners.get(&(own, before)) == Some(&number)
        {
            self.owners.remove(&(own, before));
        }
        self.owners.insert((own, to), number);
    }

    /// The free address or name with the lowest number.
    fn free(&self, own: Own) -> usize {
        let is_free = |number: &usize| !self.owners.contains_key(&(own, *number));
        (0..=self.owners.len()).find(is_free).unwrap_or_default()
    }

    /// Clerk sends what the user is now.
    fn tell(&mut self, number: usize, tie: Tie) {
        self.pass_time(tie);
        let Some(user) = self.users.get(&number) else {
            return;
        };
        let event = self.events.len();
        let (timestamp, svix_id) = self.envelope(user.newest, tie);
        let row = super::User {
            name: format!("Ada {event}"),
            email: format!("{}@example.com", user.has[&Own::Address]),
            username: format!("name-{}", user.has[&Own::Name]),
            image_url: (!event.is_multiple_of(3)).then(|| format!("https://img.clerk.com/{event}")),
            created_at: user.created_at,
            updated_at: self.clock,
        };
        let payload = UserPayload::new(&user.id, &row.email)
            .username(&row.username)
            .last_name(event.to_string().as_str())
            .image_url(row.image_url.as_deref())
            .created_at(row.created_at)
            .updated_at(row.updated_at)
            .timestamp(timestamp);
        self.events.push(HistoryEvent {
            step: self.step,
            svix_id,
            family: "user",
            object_id: user.id.clone(),
            body: match user.newest {
                None => payload.created(),
                Some(_) => payload.updated(),
            },
            change: Change::User(row),
            updated_at: self.clock,
            timestamp,
        });
        if let Some(user) = self.users.get_mut(&number) {
            user.newest = Some(event);
        }
    }

    pub(super) fn pass_time(&mut self, tie: Tie) {
        if tie == Tie::None {
            self.clock += INTERVAL;
        }
    }

    /// Timestamp and svix-id of the next event of somebody, or something, whose newest event so far is `newest`.
    pub(super) fn envelope(&self, newest: Option<usize>, tie: Tie) -> (i64, String) {
        let number = u32::try_from(self.events.len()).unwrap_or_default();
        // Multiplied by an odd number, different numbers stay different and lose their order.
        let scrambled = number.wrapping_mul(2_654_435_761);
        let svix_id = format!("msg_{scrambled:08x}");
        let newest = newest.map(|event| &self.events[event]);
        match newest.filter(|event| event.updated_at == self.clock) {
            None => (self.clock + i64::from(scrambled % LAG), svix_id),
            Some(event) if tie == Tie::Timestamp => {
                // Greater than that one's, and different from whatever else ties with it.
                (
                    event.timestamp,
                    format!("{}x{scrambled:08x}", event.svix_id),
                )
            }
            Some(event) => (event.timestamp + 1, svix_id),
        }
    }
}
