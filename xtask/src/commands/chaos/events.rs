//! What is sent: a history of users, and events that are not to be applied.

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt as _, rngs::StdRng};
use xtask::clerk_payload::UserPayload;

/// One event in so many cannot be applied, and one is of a type that is ignored.
const UNFIT: usize = 60;
const OTHER_TYPE: usize = 40;

/// An event, and what is to become of it.
#[derive(Clone)]
pub(crate) struct Event {
    pub(crate) svix_id: String,
    pub(crate) body: String,
    /// Whom it is about.
    pub(crate) user_id: String,
    pub(crate) fate: Fate,
}

/// What is to become of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// A row is to be written; whether it is or is stale depends on what came before.
    Upserted,
    /// A row is to be deleted, unless something has deleted it before.
    Deleted,
    Ignored,
    /// With this reason.
    DeadLettered(&'static str),
}

/// What the tables are to hold in the end.
pub(crate) struct Expected {
    /// Rows, as [`Remains`](super::remains::Remains) reads them.
    pub(crate) users: BTreeMap<String, serde_json::Value>,
    pub(crate) deleted: BTreeSet<String>,
}

pub(crate) fn make(random: &mut StdRng, count: usize) -> (Vec<Event>, Expected) {
    let mut users = BTreeMap::new();
    let mut deleted = BTreeSet::new();
    let mut events = Vec::new();
    for number in 0..count {
        let id = format!("user_{}", random.random_range(0..count / 5 + 1));
        if number % UNFIT == 7 {
            events.push(unfit_event(number, &id, random));
            continue;
        }
        if number % OTHER_TYPE == 3 {
            events.push(ignored_event(number, &id, random));
            continue;
        }
        let at = 1_716_883_200_000 + number as i64 * 1000;
        let email = format!("{id}@example.com");
        let payload = UserPayload::new(&id, &email)
            .updated_at(at)
            .timestamp(at + 50);
        let svix_id = format!("msg_{number:06}");
        if random.random_ratio(1, 30) {
            users.remove(&id);
            deleted.insert(id.clone());
            events.push(Event {
                svix_id,
                body: payload.deleted(),
                user_id: id,
                fate: Fate::Deleted,
            });
        } else {
            if !deleted.contains(&id) {
                users.insert(id.clone(), serde_json::json!({"id": id, "name": "Ada Lovelace", "email": email,
                  "image_url": "https://img.clerk.com/ada.jpeg", "created_at": 1_716_883_200_381_i64, "updated_at": at}));
            }
            events.push(Event {
                svix_id,
                body: payload.updated(),
                user_id: id,
                fate: Fate::Upserted,
            });
        }
    }
    (events, Expected { users, deleted })
}

fn unfit_event(number: usize, user_id: &str, random: &mut StdRng) -> Event {
    let email = format!("unfit-{number}@example.com");
    let payload = UserPayload::new(user_id, &email);
    let own_id = format!("user_unfit_{number}");
    let (body, user_id, fate) = match random.random_range(0..3) {
        // It is about a user who has other events, so the neighbours of one batch are of the same user.
        0 => (
            payload.email(None).updated(),
            user_id.to_owned(),
            Fate::DeadLettered("the user has no primary e-mail address"),
        ),
        1 => {
            let id = format!("user_unfit\0{number}");
            let body = UserPayload::new(&id, &email).created();
            (
                body,
                own_id,
                Fate::DeadLettered("data.id is missing or unusable"),
            )
        }
        // The database refuses it, and so the batch that it is in. Of a user of its own: what is
        // older than another event of the same batch would never come to the database.
        _ => (
            UserPayload::new(&own_id, &email)
                .first_name("Refused")
                .last_name(None)
                .created(),
            own_id,
            Fate::DeadLettered(
                "a check of the application refuses the row \
                 (SQLSTATE 23514, constraint nobody_is_refused, table users)",
            ),
        ),
    };
    Event {
        svix_id: format!("msg_unfit_{number:06}"),
        body,
        user_id,
        fate,
    }
}

fn ignored_event(number: usize, user_id: &str, random: &mut StdRng) -> Event {
    let types = [
        "session.created",
        "organization.updated",
        "user.something_new",
    ];
    let event_type = types[random.random_range(0..types.len())];
    Event {
        svix_id: format!("msg_other_{number:06}"),
        body: UserPayload::new(user_id, "other@example.com").event(event_type),
        user_id: user_id.to_owned(),
        fate: Fate::Ignored,
    }
}
