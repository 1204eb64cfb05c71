//! Where an event is, and why: what `worker explain` and the status page answer.
//!
//! No payload leaves Redis for it: the scripts return ids, reasons and times only.

mod search;
mod wording;

use std::time::Duration;

use serde::Serialize;
use shared::queue::Keys;
use shared::redis_link::RedisLink;
use shared::svix_id::SvixId;
use tokio_postgres::types::{ToSql, Type};

use self::search::Search;
pub(crate) use self::search::{line, number};
use crate::database::Database;
use crate::database::failure::Failure;

/// How far a search goes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many entries of all streams together it reads at the most, the oldest of each partition first.
    pub entries: u64,
    /// How long each of the two stores may take.
    pub time: Duration,
}

impl Limits {
    /// Those of `worker explain`.
    pub const COMMAND: Self = Self {
        entries: 200_000,
        time: Duration::from_secs(15),
    };
    /// Those of the status page, on which one look-up waits for the other.
    pub const PAGE: Self = Self {
        entries: 20_000,
        time: Duration::from_secs(4),
    };
}

/// All that is known of one event.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// The event.
    pub svix_id: String,
    /// Where in Redis it is; more than one place if it was delivered more than once.
    pub places: Vec<Place>,
    /// What the ledger says.
    pub recorded: Option<Recorded>,
    /// Which stores could not be asked, and why.
    pub unreachable: Vec<String>,
    /// The search ended before the end of a stream.
    pub incomplete: bool,
    /// For how many days the ledger is kept.
    pub retention_days: i32,
}

/// A place in Redis. Times are milliseconds.
#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Place {
    /// On the stream, and no worker has read it.
    Unread {
        /// The partition.
        partition: u32,
        /// The entry's id.
        entry: String,
        /// How many entries of the partition stand before it.
        before: u64,
        /// Since it was received.
        age: u64,
    },
    /// On the stream, and a worker has it.
    Pending {
        /// The partition.
        partition: u32,
        /// The entry's id.
        entry: String,
        /// Which worker.
        consumer: String,
        /// Since the worker has last shown interest in it.
        idle: u64,
        /// How often a worker has taken it.
        deliveries: u64,
    },
    /// Waiting for its next attempt.
    Retry {
        /// The partition.
        partition: u32,
        /// Until the next attempt.
        due: u64,
        /// How many attempts have failed.
        attempts: String,
        /// Why the last one has; nothing where a worker of a version before has written it.
        reason: String,
        /// What it waits for, in words, if that is another object.
        waits_for: Option<String>,
    },
    /// With the dead letters.
    Dead {
        /// The partition.
        partition: u32,
        /// The letter's id.
        letter: String,
        /// Why.
        reason: String,
        /// How many attempts have failed.
        attempts: String,
        /// Since it failed.
        age: u64,
        /// The command that replays it.
        replay: Option<String>,
    },
}

/// A row of the ledger, and what it has to do with the object's newest state.
#[derive(Debug, Serialize)]
pub struct Recorded {
    /// The event's type.
    pub r#type: String,
    /// The id of the object that it is about.
    pub object_id: Option<String>,
    /// `applied`, `stale` or `ignored`.
    pub outcome: String,
    /// When, in UTC.
    pub processed_at: String,
    /// Milliseconds since then.
    pub age: i64,
    /// Whether the object is deleted.
    pub deleted: bool,
    /// The newest event of the object, if it is another one.
    pub newest: Option<String>,
}

/// What an event waits for, in words, given as [`shared::queue::object`] names it; `None` if that is nothing.
pub(crate) fn waits_for(awaited: &str) -> Option<String> {
    let (family, id) = awaited.split_once('/')?;
    Some(if id.is_empty() {
        format!("waits for a row that belongs to no {family}")
    } else {
        format!("waits for {family} {id}")
    })
}

/// The command that replays a dead letter, as docs/dead-letters.md has it; `None` where the svix-id
/// is one that a shell or the script would take for something else.
#[must_use]
pub fn replay_line(partition: u32, svix_id: &str) -> Option<String> {
    let svix_id = SvixId::parse_plain(svix_id).filter(|_| !matches!(svix_id, "all" | "reason"))?;
    let Keys { dead, events, .. } = Keys::of(partition);
    Some(format!(
        "redis-cli --eval replay.lua '{dead}' '{events}' , {svix_id}"
    ))
}

/// Asks Redis, in all partitions that there may ever have been, and the ledger. Streams are read, where no
/// key tells, as far as `limits` let it.
pub async fn explain(
    link: &RedisLink,
    database: &Database,
    retention_days: i32,
    limits: Limits,
    svix_id: &SvixId,
) -> Explanation {
    let mut explanation = Explanation {
        svix_id: svix_id.to_string(),
        places: Vec::new(),
        recorded: None,
        unreachable: Vec::new(),
        incomplete: false,
        retention_days,
    };
    let mut search = Search::new(link, svix_id.as_str(), limits.entries);
    let searched = tokio::time::timeout(limits.time, search.everywhere()).await;
    explanation.unreachable.extend(search.problem());
    if searched.is_err() {
        let reason = "Redis does not answer in time".to_owned();
        explanation.unreachable.push(reason);
    }
    explanation.places = search.places;
    explanation.incomplete = search.incomplete;
    // After Redis: an event is in the ledger before it leaves the stream.
    match tokio::time::timeout(limits.time, recorded(database, svix_id)).await {
        Ok(Ok(recorded)) => explanation.recorded = recorded,
        Ok(Err(failure)) => explanation
            .unreachable
            .push(format!("the ledger cannot be asked: {}", failure.reason())),
        Err(_) => explanation
            .unreachable
            .push("the ledger does not answer in time".to_owned()),
    }
    explanation
}

async fn recorded(database: &Database, svix_id: &SvixId) -> Result<Option<Recorded>, Failure> {
    let connection = database.connection().await?;
    let sql = include_str!("explain_event.sql");
    let svix_id = svix_id.as_str();
    // Without a name: see the module pooler.
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&svix_id, Type::TEXT)];
    let rows = connection.query_typed(sql, &parameters).await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    Ok(Some(Recorded {
        r#type: row.try_get(0)?,
        object_id: row.try_get(1)?,
        outcome: row.try_get(2)?,
        deleted: row.try_get::<_, Option<bool>>(3)?.unwrap_or(false),
        newest: row
            .try_get::<_, Option<String>>(4)?
            .filter(|newest| newest != svix_id),
        age: row.try_get(5)?,
        processed_at: row.try_get(6)?,
    }))
}

impl Explanation {
    /// Whether the event is anywhere.
    #[must_use]
    pub const fn is_found(&self) -> bool {
        !self.places.is_empty() || self.recorded.is_some()
    }

    /// 0 if the event was found, 1 if it was not, 2 if a store could not be asked or the search had to end
    /// before it was found.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match (self.unreachable.is_empty(), self.is_found()) {
            (false, _) => 2,
            (true, true) => 0,
            (true, false) if self.incomplete => 2,
            (true, false) => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_shell_takes_literally_is_put_into_a_command() {
        assert_eq!(
            replay_line(3, "msg_1").unwrap(),
            "redis-cli --eval replay.lua '{clerk:3}:dead' '{clerk:3}:events' , msg_1"
        );
        for svix_id in [
            "", "a b", "a'b", "a\"b", "$(a)", "a\nb", "all", "reason", "-a", "ä",
        ] {
            assert!(replay_line(0, svix_id).is_none(), "{svix_id:?}");
        }
    }
}
