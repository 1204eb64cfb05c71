//! Backlogs: what waits for the workers.

pub(crate) mod body;
pub(crate) mod member;

use std::time::SystemTime;

use anyhow::ensure;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use redis::aio::MultiplexedConnection;

use super::rows::Mix;
use body::{Body, Values};
use member::MemberBody;

/// The stream that workers read.
pub(crate) const EVENTS: &str = "{clerk:0}:events";
/// A name that the database is told to refuse.
pub(crate) const REFUSED_NAME: &str = "Refused";

const SEED: u64 = 2024;
const COMMANDS_AT_ONCE: usize = 500;
/// How many events come between a user's creation and the next event of that user.
const DISTANCE: std::ops::RangeInclusive<usize> = 1000..=5000;
/// How many users come in a second, by their ids.
const A_SECOND: usize = 100;
/// 28 May 2024, in ms since the epoch.
const BEGINNING: i64 = 1_716_883_200_000;
const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Entries that stand ready under a key of their own, and what comes of them.
#[derive(Clone, Debug)]
pub(crate) struct Backlog {
    key: String,
    pub(crate) mix: Mix,
    /// How many entries it has.
    pub(crate) events: usize,
    /// How many of them the database refuses.
    pub(crate) refused: usize,
    /// How many rows the table has when all is applied.
    pub(crate) rows: usize,
    /// Of all payloads together.
    pub(crate) payload_bytes: usize,
}

impl Backlog {
    /// Puts entries on a stream of their own, as the ingest writes them. The same size and mix are the
    /// same events every time.
    pub(crate) async fn build(
        redis: &mut MultiplexedConnection,
        mix: Mix,
        events: usize,
    ) -> anyhow::Result<Self> {
        let key = format!("{{clerk:0}}:backlog:{mix:?}:{events}");
        let mut backlog = Self::fill(redis, &key, mix, events).await?;
        backlog.key = key;
        // With the group in it, a worker that waits for the stream is served as soon as it is copied.
        redis::cmd("XGROUP")
            .arg(&["CREATE", &backlog.key, "clerk-worker", "0"])
            .exec_async(redis)
            .await?;
        Ok(backlog)
    }

    /// The same right on the stream `key`, without a consumer group.
    pub(crate) async fn fill(
        redis: &mut MultiplexedConnection,
        key: &str,
        mix: Mix,
        events: usize,
    ) -> anyhow::Result<Self> {
        let mut random = StdRng::seed_from_u64(SEED);
        let prefix = match mix {
            Mix::Members => "orgmem",
            Mix::Upserts | Mix::Deletes | Mix::Refused => "user",
        };
        let objects: Vec<String> = (0..events / 2)
            .map(|object| format!("{prefix}_{}", token(&mut random, object / A_SECOND)))
            .collect();
        let planned = plan(&mut random, mix, events);
        let (body, member_body) = (Body::new(), MemberBody::new());
        let mut payload_bytes = 0;
        for part in planned.chunks(COMMANDS_AT_ONCE) {
            let mut pipeline = redis::pipe();
            for event in part {
                let values = event.values(mix, &objects[event.user]);
                let payload = match mix {
                    Mix::Members => member_body.fill(event.user, &values),
                    Mix::Upserts | Mix::Deletes | Mix::Refused => body.fill(&values),
                };
                payload_bytes += payload.len();
                pipeline
                    .cmd("XADD")
                    .arg(&[key, "*", "svix-id"])
                    .arg(format!(
                        "msg_{}",
                        token(&mut random, event.place / (2 * A_SECOND))
                    ))
                    .arg(&["type", values.event_type, "payload", &payload])
                    .arg("received-at")
                    .arg(SystemTime::UNIX_EPOCH.elapsed()?.as_millis().to_string())
                    .ignore();
            }
            pipeline.exec_async(redis).await?;
        }
        let deleted = planned.iter().filter(|event| event.kind == Kind::Deleted);
        Ok(Self {
            key: key.into(),
            mix,
            events: planned.len(),
            refused: planned.iter().filter(|event| event.is_refused()).count(),
            rows: objects.len() - deleted.count(),
            payload_bytes,
        })
    }

    /// Makes it what waits for the workers, in one step, and leaves the original as it is.
    pub(crate) async fn put(&self, redis: &mut MultiplexedConnection) -> anyhow::Result<()> {
        let copied: u32 = redis::cmd("COPY")
            .arg(&[&self.key, EVENTS, "REPLACE"])
            .query_async(redis)
            .await?;
        ensure!(copied == 1, "Redis has not copied {}", self.key);
        Ok(())
    }
}

/// How many entries wait: in the stream, or for their next attempt.
pub(crate) async fn waiting(redis: &mut MultiplexedConnection) -> anyhow::Result<usize> {
    let (stream, retries): (usize, usize) = redis::pipe()
        .atomic()
        .cmd("XLEN")
        .arg(EVENTS)
        .cmd("ZCARD")
        .arg("{clerk:0}:retry")
        .query_async(redis)
        .await?;
    Ok(stream + retries)
}

/// 27 letters and digits of which the first six tell the second, as in identities of Clerk's and Svix's,
/// which are KSUIDs (<https://github.com/segmentio/ksuid>): new ones come last in an index.
pub(crate) fn token(random: &mut StdRng, second: usize) -> String {
    // May 2024, and how far a second goes in the first six digits.
    let digit = |place: u32| (2_470_000_000 + 8 * second) / 62_usize.pow(place) % 62;
    let time: Vec<usize> = (0..6).rev().map(digit).collect();
    let rest = (0..21).map(|_| random.random_range(0..DIGITS.len()));
    time.into_iter()
        .chain(rest)
        .map(|digit| char::from(DIGITS[digit]))
        .collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Created,
    Updated { refused: bool },
    Deleted,
}

impl Kind {
    const fn event_type(self, mix: Mix) -> &'static str {
        match (self, mix) {
            (Self::Created, Mix::Members) => "organizationMembership.created",
            (Self::Updated { .. }, Mix::Members) => "organizationMembership.updated",
            (Self::Deleted, Mix::Members) => "organizationMembership.deleted",
            (Self::Created, _) => "user.created",
            (Self::Updated { .. }, _) => "user.updated",
            (Self::Deleted, _) => "user.deleted",
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Planned {
    /// Events come in the order of this.
    place: usize,
    user: usize,
    kind: Kind,
}

impl Planned {
    fn is_refused(&self) -> bool {
        self.kind == Kind::Updated { refused: true }
    }

    fn values<'a>(&self, mix: Mix, object_id: &'a str) -> Values<'a> {
        let created_at = BEGINNING + i64::try_from(self.user).unwrap_or_default();
        let is_first = self.kind == Kind::Created;
        Values {
            event_type: self.kind.event_type(mix),
            object_id,
            first_name: if self.is_refused() {
                REFUSED_NAME
            } else {
                "Ada"
            },
            created_at,
            updated_at: created_at + if is_first { 25 } else { 86_400_000 },
        }
    }
}

/// Each user is created and, some events later, changed or deleted.
fn plan(random: &mut StdRng, mix: Mix, events: usize) -> Vec<Planned> {
    let (nearest, farthest) = DISTANCE.into_inner();
    let distance = nearest.min(events / 20)..=farthest.min(events / 4);
    // Of so many users one is not changed like the others.
    let (group, exception) = match mix {
        Mix::Upserts | Mix::Members => (usize::MAX, Kind::Updated { refused: false }),
        Mix::Deletes => (10, Kind::Deleted),
        // Only the newest event of a user is sure to reach the table, and so to be refused.
        Mix::Refused => (50, Kind::Updated { refused: true }),
    };
    let mut planned = Vec::with_capacity(events);
    let mut exceptional = 0;
    for user in 0..events / 2 {
        if user % group == 0 {
            exceptional = user + random.random_range(0..group.min(events));
        }
        let place = 2 * user;
        planned.push(Planned {
            place,
            user,
            kind: Kind::Created,
        });
        planned.push(Planned {
            place: place + random.random_range(distance.clone()),
            user,
            kind: if user == exceptional {
                exception
            } else {
                Kind::Updated { refused: false }
            },
        });
    }
    planned.sort_by_key(|event| event.place);
    planned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(mix: Mix) -> Vec<Planned> {
        plan(&mut StdRng::seed_from_u64(1), mix, 20_000)
    }

    #[test]
    fn half_of_the_events_create_and_the_same_users_change_some_thousand_events_later() {
        let planned = planned(Mix::Upserts);
        assert_eq!(planned.len(), 20_000);
        let mut created = vec![None; 10_000];
        for (place, event) in planned.iter().enumerate() {
            match event.kind {
                Kind::Created => created[event.user] = Some(place),
                _ => assert!(place > created[event.user].unwrap() + 500),
            }
        }
        assert!(created.iter().all(Option::is_some));
    }

    #[test]
    fn one_event_in_twenty_deletes() {
        let planned = planned(Mix::Deletes);
        let deletions = planned.iter().filter(|event| event.kind == Kind::Deleted);
        assert_eq!(deletions.count(), 1000);
    }

    #[test]
    fn one_event_in_a_hundred_is_refused() {
        let planned = planned(Mix::Refused);
        assert_eq!(
            planned.iter().filter(|event| event.is_refused()).count(),
            200
        );
    }
}
