//! What stands in one partition, as `lua/status.lua` tells it.

use redis::{RedisResult, Script};
use serde::Serialize;
use shared::queue::{CONSUMER_GROUP, Keys};
use shared::redis_link::RedisLink;

use crate::operate::explain::{line, number, replay_line, waits_for};

/// How many rows a list has at the most.
pub(crate) const MOST_ROWS: usize = 50;
/// How many bytes of entries Redis reads for the lists of all partitions.
const MOST_BYTES: u32 = 8 << 20;

/// One partition. Times are milliseconds.
pub(crate) struct Partition {
    pub(crate) backlog: u64,
    pub(crate) waiting_retries: u64,
    pub(crate) dead_letters: u64,
    /// Since the first event came onto the stream.
    pub(crate) oldest: Option<u64>,
    pub(crate) consumers: Vec<Holding>,
    pub(crate) retries: Vec<Retry>,
    pub(crate) letters: Vec<Letter>,
}

/// What a consumer has of one partition.
pub(crate) struct Holding {
    pub(crate) name: String,
    pub(crate) pending: u64,
    pub(crate) idle: u64,
}

/// An event that waits for its next attempt.
#[derive(Serialize)]
pub(crate) struct Retry {
    partition: u32,
    svix_id: String,
    /// Until the next attempt.
    pub(crate) due: u64,
    attempts: String,
    /// Why the last one failed, if that is known.
    reason: String,
}

/// A dead letter.
#[derive(Serialize)]
pub(crate) struct Letter {
    partition: u32,
    svix_id: String,
    reason: String,
    attempts: String,
    /// Since it failed.
    pub(crate) age: u64,
    replay: Option<String>,
}

impl Partition {
    /// Asks Redis about partition `number`, one of `count`.
    pub(crate) async fn ask(mut link: RedisLink, number: u32, count: u32) -> RedisResult<Self> {
        type Rows = Vec<Vec<Vec<u8>>>;
        let keys = Keys::of(number);
        let script = Script::new(include_str!("status.lua"));
        let (counts, consumers, retries, letters): (Vec<Vec<u8>>, Rows, Rows, Rows) = script
            .key(&keys.events)
            .key(&keys.retry)
            .key(&keys.retry_entries)
            .key(&keys.dead)
            .arg(CONSUMER_GROUP)
            .arg(MOST_ROWS)
            .arg(MOST_BYTES / count.max(1))
            .invoke_async(&mut link)
            .await?;
        let mut counts = counts.iter().map(|count| line(count).parse().ok());
        let mut next = || counts.next().flatten();
        Ok(Self {
            backlog: next().unwrap_or(0),
            waiting_retries: next().unwrap_or(0),
            dead_letters: next().unwrap_or(0),
            oldest: next(),
            consumers: consumers.iter().filter_map(|row| holding(row)).collect(),
            retries: retries
                .iter()
                .filter_map(|row| retry(number, row))
                .collect(),
            letters: letters
                .iter()
                .filter_map(|row| letter(number, row))
                .collect(),
        })
    }
}

fn holding(row: &[Vec<u8>]) -> Option<Holding> {
    let [name, pending, idle] = row else {
        return None;
    };
    Some(Holding {
        name: line(name),
        pending: number(pending),
        idle: number(idle),
    })
}

fn retry(partition: u32, row: &[Vec<u8>]) -> Option<Retry> {
    let [svix_id, due, attempts, awaited, reason] = row else {
        return None;
    };
    let mut reason = line(reason);
    if let Some(waits_for) = waits_for(&line(awaited)) {
        reason = format!("{reason}; {waits_for}");
    }
    Some(Retry {
        partition,
        svix_id: line(svix_id),
        due: number(due),
        attempts: line(attempts),
        reason,
    })
}

fn letter(partition: u32, row: &[Vec<u8>]) -> Option<Letter> {
    let [svix_id, reason, attempts, age] = row else {
        return None;
    };
    let svix_id = line(svix_id);
    Some(Letter {
        partition,
        replay: replay_line(partition, &svix_id),
        svix_id,
        reason: line(reason),
        attempts: line(attempts),
        age: number(age),
    })
}
