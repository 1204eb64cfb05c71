//! Tables as applications have them, each with a tables file.

mod column_changes;
mod contents;
mod deletions;
mod examples;
mod expiry;
mod families;
mod hostile_names;
mod identifiers;
mod kept_values;
mod links;
mod misfits;
mod missing_rows;
mod newest;
mod owners;
mod page;
mod preview;
mod references;
mod refused_values;
mod row_tags;
mod statements;
mod suggestions;
mod triggers;
mod unfit;
mod unique_columns;
mod updates;

use std::io::Write as _;

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::helpers::{DEAD, EVENTS, Worker, World};

/// So many failed attempts that the next one is more than seven minutes away: longer than a test waits.
pub(crate) const OFTEN: &str = "12";

/// A world with a table of its own, and a file that tells how it is written.
pub(crate) struct Application {
    pub(crate) world: World,
    file: NamedTempFile,
}

impl Application {
    /// With the tables that `sql` makes.
    pub(crate) fn new(sql: &str, file: &str) -> Self {
        let world = World::new();
        world.sql(sql);
        let mut tables = NamedTempFile::with_suffix(".toml").unwrap();
        tables.write_all(file.as_bytes()).unwrap();
        Self {
            world,
            file: tables,
        }
    }

    /// The name of the file.
    pub(crate) fn file(&self) -> &str {
        self.file.path().to_str().unwrap()
    }

    pub(crate) fn worker(&self) -> Worker {
        self.worker_with(&[])
    }

    pub(crate) fn worker_with(&self, settings: &[(&str, &str)]) -> Worker {
        let tables = [("TABLES_FILE", self.file())];
        self.world.worker_with(&[&tables, settings].concat())
    }

    /// Applies an event and returns its svix-id.
    pub(crate) fn apply(&self, payload: &str) -> String {
        let svix_id = self.world.add_next(payload);
        self.world.settle();
        svix_id
    }

    /// What became of an event; the reason of its dead letter if it has one.
    pub(crate) fn became(&self, svix_id: &str) -> String {
        let outcome = self.world.outcome(svix_id);
        let reason = self.world.reason(svix_id);
        reason.map_or(outcome, |reason| format!("dead: {reason}"))
    }

    /// Applies an event, of which this is to become.
    pub(crate) fn expect(&self, payload: &str, outcome: &str) -> String {
        let svix_id = self.apply(payload);
        assert_eq!(self.became(&svix_id), outcome, "{payload}");
        svix_id
    }

    /// Adds an event whose next attempt, should it have to wait, is minutes away.
    pub(crate) fn add_often(&self, svix_id: &str, payload: &str) {
        let fields = ["svix-id", svix_id, "payload", payload, "attempts", OFTEN];
        self.world
            .redis(&[&["XADD", EVENTS, "*"], &fields[..]].concat());
    }

    /// Puts the dead letter of an event back, and waits until it is finished.
    pub(crate) fn replay(&self, svix_id: &str) {
        let script = include_str!("../../lua/replay.lua");
        let replayed = self
            .world
            .redis(&["EVAL", script, "2", DEAD, EVENTS, svix_id]);
        assert!(replayed.contains('1'), "{replayed}");
        self.world.settle();
    }
}

/// Clerk's time in a second of these tests, which begin at 08:00:00 UTC on 28 May 2024.
pub(crate) const fn milliseconds(second: i64) -> i64 {
    1_716_883_200_000 + second * 1000
}

/// A user as it is since this second: its id, its time, and what `data` says. The event is sent 50 ms later.
pub(crate) fn updated(id: &str, second: i64, data: &Value) -> String {
    let at = milliseconds(second);
    let mut user = json!({"id": id, "updated_at": at});
    let fields = data.as_object().cloned().unwrap_or_default();
    for (name, value) in fields {
        user[name] = value;
    }
    json!({"type": "user.updated", "timestamp": at + 50, "data": user}).to_string()
}

/// A user is gone since this second.
pub(crate) fn deleted(id: &str, second: i64) -> String {
    let data = json!({"id": id, "object": "user", "deleted": true});
    let timestamp = milliseconds(second) + 50;
    json!({"type": "user.deleted", "timestamp": timestamp, "data": data}).to_string()
}

/// A primary e-mail address.
pub(crate) fn address(email: &str, is_verified: bool) -> Value {
    let status = if is_verified {
        "verified"
    } else {
        "unverified"
    };
    json!({
        "primary_email_address_id": "idn_1",
        "email_addresses": [
            {"id": "idn_0", "email_address": "another@example.com", "verification": {"status": "verified"}},
            {"id": "idn_1", "email_address": email, "verification": {"status": status}},
        ],
    })
}
