//! From bytes to what we act on: an event of Clerk, and the user that it tells of. Past this room nobody sees JSON.
//!
//! A payload is parsed once and not kept. What cannot be read is not lost: [`entry::Unreadable`] says why, and the entry
//! goes to the dead letters with it.

pub mod about;
pub mod entry;
pub mod fields;
mod json;
pub mod object;
pub mod occasion;
mod person;
pub mod reader;
pub mod row;
mod saying;
pub(crate) mod text;
pub mod time;
pub mod unusable;
pub mod wanted;

use std::time::SystemTime;

use shared::svix_id::SvixId;

use crate::event::object::{Object, ObjectId};

/// What the svix-ids of events begin with that no webhook has brought; claim_versions.sql knows it too.
pub const ASKED_FOR: &str = "reconcile_";

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its identity.
    pub svix_id: SvixId,
    /// Its `type`, as the ledger keeps it.
    pub event_type: String,
    /// When Clerk sent it; the epoch if it does not say.
    pub event_at: SystemTime,
    /// When the ingest received it.
    pub received_at: SystemTime,
    /// What it asks for.
    pub change: Change,
}

/// What an event asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The object is to look like this.
    Upsert(Object),
    /// The object is to be gone, for ever.
    Delete(Object),
    /// Nothing; the id of the object that it is about, if it tells one.
    Ignore(Option<ObjectId>),
}

impl Event {
    /// The object that the event changes.
    #[must_use]
    pub const fn changed(&self) -> Option<&Object> {
        match &self.change {
            Change::Upsert(object) | Change::Delete(object) => Some(object),
            Change::Ignore(_) => None,
        }
    }

    /// The object whose row the event writes.
    #[must_use]
    pub const fn upserted(&self) -> Option<&Object> {
        match &self.change {
            Change::Upsert(object) => Some(object),
            Change::Delete(_) | Change::Ignore(_) => None,
        }
    }

    /// The id of the object that the event is about, whether or not it changes anything.
    #[must_use]
    pub fn object_id(&self) -> Option<&ObjectId> {
        match &self.change {
            Change::Ignore(id) => id.as_ref(),
            Change::Upsert(object) | Change::Delete(object) => Some(&object.id),
        }
    }

    /// Which of two events of an object is the newer one: a deletion is newer than anything, then
    /// Clerk's `updated_at` decides, then the envelope's `timestamp`, then the svix-id.
    #[must_use]
    pub fn revision(&self) -> (bool, SystemTime, SystemTime, &SvixId) {
        let (deleted, updated_at) = match &self.change {
            Change::Upsert(object) => (false, object.updated_at),
            Change::Delete(_) | Change::Ignore(_) => (true, self.event_at),
        };
        (deleted, updated_at, self.event_at, &self.svix_id)
    }

    /// Whether somebody has asked Clerk for the object, so that the event says how it is at this moment. Such an event
    /// is written also over a row that says that it is newer.
    #[must_use]
    pub fn is_asked_for(&self) -> bool {
        self.svix_id.as_str().starts_with(ASKED_FOR)
    }
}
