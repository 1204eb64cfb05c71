//! What is sent: a history of users, organizations and memberships, and events that cannot be applied.

use std::{collections::BTreeMap, fmt, sync::Arc};

use rand::{RngExt as _, rngs::StdRng};
use serde_json::{Value, json};
use xtask::{
    clerk_payload::UserPayload,
    history::{Change, History, HistoryEvent, Reference},
};

/// How many events come for each user, more or less.
const EVENTS_OF_A_USER: usize = 8;
/// How many come for each organization, with its memberships.
const EVENTS_OF_AN_ORGANIZATION: usize = 60;
/// One event in so many cannot be applied.
const UNFIT: usize = 60;
/// How many seconds an event is late at the most, before anything fails.
const LATE: f64 = 3.0;

/// An event, and what is to become of it.
pub(crate) struct Event {
    pub(crate) svix_id: String,
    pub(crate) body: String,
    /// What it is about, as Clerk calls it.
    pub(crate) family: &'static str,
    /// Whom it is about.
    pub(crate) object_id: String,
    /// Organization and user of a membership, unless its end is told.
    pub(crate) parents: Vec<String>,
    pub(crate) fate: Fate,
}

/// What is to become of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// A row is to be written, unless something newer was.
    Upserted,
    /// A row is to be deleted.
    Deleted,
    Ignored,
    /// With this reason.
    DeadLettered(&'static str),
}

/// What the tables are to hold in the end.
#[derive(Default)]
pub(crate) struct Expected {
    /// Rows, as [`Remains`](super::remains::Remains) reads them.
    pub(crate) users: BTreeMap<String, Value>,
    pub(crate) organizations: BTreeMap<String, Value>,
    /// By organization and user.
    pub(crate) memberships: BTreeMap<String, Value>,
    /// The newest event of each object that ever was.
    pub(crate) newest: BTreeMap<String, Newest>,
}

/// The newest event of an object.
#[derive(PartialEq, Eq)]
pub(crate) struct Newest {
    pub(crate) svix_id: String,
    pub(crate) deleted: bool,
}

impl fmt::Display for Newest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deleted = if self.deleted { ", deleted" } else { "" };
        write!(formatter, "{}{deleted}", self.svix_id)
    }
}

/// About `count` events, in the order in which they are to be sent at this rate a second.
pub(crate) fn events(random: &mut StdRng, count: usize, rate: f64) -> (Vec<Arc<Event>>, Expected) {
    let (users, organizations) = (count / EVENTS_OF_A_USER, count / EVENTS_OF_AN_ORGANIZATION);
    let history = History::with_members(random, users, organizations, count);
    let expected = Expected::of(&Reference::of(&history.events));
    let mut events: Vec<(f64, Event)> = Vec::new();
    for (number, event) in history.events.iter().enumerate() {
        let mut late = || number as f64 + random.random_range(0.0..LATE * rate);
        events.push((late(), Event::of(event)));
        if number % UNFIT == UNFIT / 2 {
            events.push((late(), Event::unfit(number)));
        }
    }
    events.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    (
        events
            .into_iter()
            .map(|(_, event)| Arc::new(event))
            .collect(),
        expected,
    )
}

impl Event {
    fn of(event: &HistoryEvent) -> Self {
        Self {
            svix_id: event.svix_id.clone(),
            body: event.body.clone(),
            family: event.family,
            object_id: event.object_id.clone(),
            parents: match &event.change {
                Change::Membership(told) => {
                    vec![told.organization_id.clone(), told.user_id.clone()]
                }
                _ => Vec::new(),
            },
            fate: match event.change {
                Change::User(_) | Change::Organization(_) | Change::Membership(_) => Fate::Upserted,
                Change::Delete => Fate::Deleted,
                Change::Ignore => Fate::Ignored,
            },
        }
    }

    /// One that cannot be applied; of each sort in turn.
    fn unfit(number: usize) -> Self {
        let email = format!("unfit-{number}@example.com");
        let own_id = format!("user_unfit_{number}");
        let (body, reason) = match number / UNFIT % 3 {
            // Of a user who has newer events it would be stale.
            0 => (
                UserPayload::new(&own_id, &email).email(None).updated(),
                "data.primary_email_address says nothing, and column \"email\" takes no NULL (table public.users)",
            ),
            1 => (
                UserPayload::new("user\0unfit", &email).created(),
                "data.id is missing or unusable",
            ),
            // The database refuses it, and so the batch that it is in. It is of a user of its own: of
            // one user's events in a batch the database sees the newest alone.
            _ => (
                UserPayload::new(&own_id, &email)
                    .first_name("Refused")
                    .last_name(None)
                    .created(),
                "a check of the application refuses the row \
                 (SQLSTATE 23514, constraint nobody_is_refused, table users)",
            ),
        };
        Self {
            svix_id: format!("msg_unfit_{number}"),
            body,
            family: "user",
            object_id: own_id,
            parents: Vec::new(),
            fate: Fate::DeadLettered(reason),
        }
    }
}

impl Expected {
    fn of(reference: &Reference<'_>) -> Self {
        let users = reference.users.iter().map(|(id, row)| {
            let row = json!({
                "id": id,
                "name": row.name,
                "email": row.email,
                "image_url": row.image_url,
                "created_at": row.created_at,
                "updated_at": row.updated_at,
            });
            ((*id).to_owned(), row)
        });
        let organizations = reference.organizations.iter().map(|(id, told)| {
            let row = json!({
                "id": id,
                "name": told.name,
                "slug": told.slug,
                "updated_at": told.updated_at,
            });
            ((*id).to_owned(), row)
        });
        let memberships = reference.memberships(true).map(|told| {
            let id = format!("{} {}", told.organization_id, told.user_id);
            let row = json!({
                "id": id,
                "clerk_id": told.id,
                "role": told.role,
                "desk": told.desk,
            });
            (id, row)
        });
        let newest = reference.newest.iter().map(|(id, event)| {
            let newest = Newest {
                svix_id: event.svix_id.clone(),
                deleted: event.change == Change::Delete,
            };
            ((*id).to_owned(), newest)
        });
        Self {
            users: users.collect(),
            organizations: organizations.collect(),
            memberships: memberships.collect(),
            newest: newest.collect(),
        }
    }
}
