//! What a worker says to the queue's Redis to get entries and to keep them, as verbs. How it gets rid of them is
//! told in `finish::queue`. Which key holds what stands in the README of this crate.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::{FromRedisValue, RedisError, RedisResult, Script, ScriptInvocation, Value};
use shared::queue::{CONSUMER_GROUP, Keys};
use shared::redis_link::RedisLink;

use crate::metrics::Depth;
use crate::source::losses::Losses;
use crate::source::raw_entry::{EntryId, RawEntry};

/// The queue of one partition as one consumer sees it.
#[derive(Clone)]
pub struct Queue {
    partition: u32,
    pub(crate) link: RedisLink,
    /// A link that a blocking read may hold up.
    reading: RedisLink,
    pub(crate) keys: Keys,
    pub(crate) consumer: String,
    /// Where it is told that the group was gone; nowhere for a queue that only looks.
    losses: Option<Losses>,
    /// Whether the group has been there.
    group_seen: Arc<AtomicBool>,
}

/// Where a search for entries to take over begins.
pub const FROM_THE_START: &str = "-";

impl Queue {
    /// The queue of `partition` for the consumer called `consumer`; blocking reads hold up `reading`.
    #[must_use]
    pub fn new(partition: u32, link: RedisLink, reading: RedisLink, consumer: String) -> Self {
        Self {
            partition,
            link,
            reading,
            keys: Keys::of(partition),
            consumer,
            losses: None,
            group_seen: Arc::default(),
        }
    }

    /// The same, which tells `losses` when the group is gone.
    #[must_use]
    pub fn telling(self, losses: Losses) -> Self {
        Self {
            losses: Some(losses),
            ..self
        }
    }

    /// Its number, counted from 0.
    #[must_use]
    pub const fn partition(&self) -> u32 {
        self.partition
    }

    /// Makes sure that the stream and the group are there.
    ///
    /// # Errors
    /// When Redis cannot be used.
    async fn create_group(&self) -> RedisResult<()> {
        let script = Script::new(include_str!("create_group.lua"));
        let was_gone: bool = script
            .key(&self.keys.events)
            .arg(CONSUMER_GROUP)
            .invoke_async(&mut self.link.clone())
            .await?;
        let was_there = self.group_seen.swap(true, Ordering::Relaxed);
        if was_gone && let Some(losses) = &self.losses {
            losses.group_was_gone(self.partition, was_there);
        }
        Ok(())
    }

    /// Reads up to `count` new entries; if there are none, waits for one for `wait`, if given.
    ///
    /// # Errors
    /// When Redis cannot be used, or the group is gone.
    pub async fn read(&self, count: usize, wait: Option<Duration>) -> RedisResult<Vec<RawEntry>> {
        let mut command = redis::cmd("XREADGROUP");
        command
            .arg("GROUP")
            .arg(CONSUMER_GROUP)
            .arg(&self.consumer)
            .arg("COUNT")
            .arg(count);
        if let Some(wait) = wait {
            command.arg("BLOCK").arg(milliseconds(wait).max(1));
        }
        command.arg("STREAMS").arg(&self.keys.events).arg(">");
        let streams: Option<Vec<(String, Vec<RawEntry>)>> =
            command.query_async(&mut self.reading.clone()).await?;
        Ok(streams
            .into_iter()
            .flatten()
            .flat_map(|(_, entries)| entries)
            .collect())
    }

    /// Lets the group know that this consumer lives. Redis 7.0 takes neither a read that finds nothing
    /// nor XAUTOCLAIM for a sign of life, only a read of the consumer's own history; this one begins
    /// behind every entry, so it brings nothing.
    ///
    /// # Errors
    /// When Redis cannot be used, or the group is gone.
    pub async fn show_life(&self) -> RedisResult<()> {
        redis::cmd("XREADGROUP")
            .arg("GROUP")
            .arg(CONSUMER_GROUP)
            .arg(&self.consumer)
            .arg("COUNT")
            .arg(1)
            .arg("STREAMS")
            .arg(&self.keys.events)
            .arg("18446744073709551615-0")
            .exec_async(&mut self.link.clone())
            .await
    }

    /// Takes over up to `count` entries that no consumer has shown interest in for `idle`, beginning
    /// at `start`, but for those in `working`; returns them and where to go on, [`FROM_THE_START`]
    /// after the last one. Pending entries that are deleted are cleared.
    ///
    /// # Errors
    /// When Redis cannot be used, or the group is gone.
    pub async fn take_over(
        &self,
        idle: Duration,
        start: &str,
        count: usize,
        working: &[EntryId],
    ) -> RedisResult<(Vec<RawEntry>, String)> {
        let script = Script::new(include_str!("take_over.lua"));
        let (next, taken) = script
            .key(&self.keys.events)
            .arg(CONSUMER_GROUP)
            .arg(&self.consumer)
            .arg(milliseconds(idle))
            .arg(start)
            .arg(count)
            .arg(working)
            .invoke_async(&mut self.link.clone())
            .await?;
        Ok((taken, next))
    }

    /// Which of these events are not, or no longer, this consumer's to apply: their entry, if they
    /// have one, has been taken over, or they do not wait any more. Returns svix-ids.
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn lost(&self, events: &[(&str, Option<&EntryId>)]) -> RedisResult<HashSet<String>> {
        let script = Script::new(include_str!("lost.lua"));
        let mut invocation = script.prepare_invoke();
        invocation
            .key(&self.keys.events)
            .key(&self.keys.retry_entries)
            .arg(CONSUMER_GROUP)
            .arg(&self.consumer);
        let ids = || events.iter().filter_map(|(_, entry)| *entry);
        for end in [
            ids().min_by_key(|id| place(id)),
            ids().max_by_key(|id| place(id)),
        ] {
            invocation.arg(end.map_or("0", EntryId::as_str));
        }
        for (svix_id, entry) in events {
            invocation
                .arg(svix_id)
                .arg(entry.map_or("", EntryId::as_str));
        }
        self.invoke(&invocation, HashSet::new()).await
    }

    /// Puts what this consumer holds, but for the entries in `working`, back on the stream.
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn hand_back(&self, working: &[EntryId]) -> RedisResult<u64> {
        self.put_back("stay", working).await
    }

    /// Puts all that this consumer holds back on the stream and removes the consumer.
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn leave(&self) -> RedisResult<u64> {
        self.put_back("leave", &[]).await
    }

    async fn put_back(&self, manner: &str, working: &[EntryId]) -> RedisResult<u64> {
        let script = Script::new(include_str!("hand_back.lua"));
        let mut invocation = script.prepare_invoke();
        invocation
            .key(&self.keys.events)
            .arg(CONSUMER_GROUP)
            .arg(&self.consumer)
            .arg(manner)
            .arg(working);
        self.invoke(&invocation, 0).await
    }

    /// Tells the others that this consumer is still working on `entries`.
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn extend_visibility(&self, entries: &[EntryId]) -> RedisResult<()> {
        let script = Script::new(include_str!("extend_visibility.lua"));
        let mut invocation = script.prepare_invoke();
        invocation
            .key(&self.keys.events)
            .arg(CONSUMER_GROUP)
            .arg(&self.consumer)
            .arg(entries);
        self.invoke(&invocation, ()).await
    }

    /// Removes consumers that hold nothing and have not been heard of for `silence`.
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn remove_idle_consumers(&self, silence: Duration) -> RedisResult<u64> {
        let script = Script::new(include_str!("remove_idle_consumers.lua"));
        let mut invocation = script.prepare_invoke();
        invocation
            .key(&self.keys.events)
            .arg(CONSUMER_GROUP)
            .arg(milliseconds(silence));
        self.invoke(&invocation, 0).await
    }

    /// What waits where. Where nobody has read the partition yet nothing is pending.
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn depth(&self) -> RedisResult<Depth> {
        let link = &mut self.link.clone();
        let (backlog, waiting_retries, dead_letters) = redis::pipe()
            .cmd("XLEN")
            .arg(&self.keys.events)
            .cmd("ZCARD")
            .arg(&self.keys.retry)
            .cmd("XLEN")
            .arg(&self.keys.dead)
            .query_async(link)
            .await?;
        type Summary = (i64, Value, Value, Value);
        let mut pending = redis::cmd("XPENDING");
        pending.arg(&self.keys.events).arg(CONSUMER_GROUP);
        let pending = match pending.query_async::<Summary>(link).await {
            Ok((pending, ..)) => pending,
            Err(error) if is_group_gone(&error) => 0,
            Err(error) => return Err(error),
        };
        let script = Script::new(include_str!("oldest_entry.lua"));
        let age: u64 = script.key(&self.keys.events).invoke_async(link).await?;
        Ok(Depth {
            backlog,
            pending,
            waiting_retries,
            dead_letters,
            oldest_entry: Duration::from_millis(age),
        })
    }

    /// Where the group is gone, so is what the script was to act on: there is nothing to do but to
    /// go on with a new group.
    pub(crate) async fn invoke<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
        nothing: T,
    ) -> RedisResult<T> {
        match script.invoke_async(&mut self.link.clone()).await {
            Err(error) if is_group_gone(&error) => self.create_group().await.map(|()| nothing),
            Err(error) => Err(error),
            Ok(answer) => {
                self.group_seen.store(true, Ordering::Relaxed);
                Ok(answer)
            }
        }
    }
}

/// Whether the stream or the consumer group is not there: after FLUSHALL, or on another Redis.
#[must_use]
pub fn is_group_gone(error: &RedisError) -> bool {
    error.code() == Some("NOGROUP")
}

/// Where an entry is in the stream.
fn place(id: &EntryId) -> Option<(u64, u64)> {
    let (milliseconds, sequence) = id.split_once('-')?;
    Some((milliseconds.parse().ok()?, sequence.parse().ok()?))
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
