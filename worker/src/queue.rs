//! Everything that a worker says to the queue's Redis, as verbs. Which key holds what stands in the
//! README of this crate.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::{FromRedisValue, RedisError, RedisResult, Script, ScriptInvocation, Value};
use shared::queue::{CONSUMER_GROUP, Keys};
use shared::redis_link::RedisLink;

use crate::entry::{EntryId, RawEntry};
use crate::losses::Losses;

/// The queue of one partition as one consumer sees it.
#[derive(Clone)]
pub struct Queue {
    partition: u32,
    link: RedisLink,
    /// A link that a blocking read may hold up.
    reading: RedisLink,
    keys: Keys,
    consumer: String,
    /// Where it is told that the group was gone; nowhere for a queue that only looks.
    losses: Option<Losses>,
    /// Whether the group has been there.
    group_seen: Arc<AtomicBool>,
}

/// How many dead letters are written in one step: payloads of 1 MiB are copied.
const LETTERS_AT_ONCE: usize = 16;

/// Where a search for entries to take over begins.
pub const FROM_THE_START: &str = "-";

/// An event that is due sooner than it was: svix-id, when it is due, when it was due, as Redis has them.
pub type Hastened = (String, String, String);

/// Who waits for whose address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressWait<'a> {
    /// The id of the user who is to get the address.
    pub user: &'a str,
    /// The id of the user who holds it.
    pub holder: &'a str,
}

/// What goes to the dead letters.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetter<'a> {
    /// The entry of the event.
    pub entry: &'a EntryId,
    /// The event, if it has a usable svix-id.
    pub svix_id: Option<&'a str>,
    /// Why.
    pub reason: &'a str,
    /// How often it has failed.
    pub attempts: u32,
}

/// What waits where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Entries of the stream.
    pub backlog: i64,
    /// Entries of the stream that some consumer holds.
    pub pending: i64,
    /// Entries that wait for their next attempt.
    pub waiting_retries: i64,
    /// Dead letters.
    pub dead_letters: i64,
    /// How long the oldest entry has been in the stream.
    pub oldest_entry: Duration,
}

impl Depth {
    /// Both together; of the oldest entries, the older.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            backlog: self.backlog + other.backlog,
            pending: self.pending + other.pending,
            waiting_retries: self.waiting_retries + other.waiting_retries,
            dead_letters: self.dead_letters + other.dead_letters,
            oldest_entry: self.oldest_entry.max(other.oldest_entry),
        }
    }
}

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
        let script = Script::new(include_str!("../lua/create_group.lua"));
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
        let script = Script::new(include_str!("../lua/take_over.lua"));
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
        let script = Script::new(include_str!("../lua/lost.lua"));
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

    /// Acknowledges and removes entries that are finished, given with their svix-ids, and the dead
    /// letters of the same events, in one step.
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn finish(&self, entries: &[(&EntryId, &str)]) -> RedisResult<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let script = Script::new(include_str!("../lua/finish.lua"));
        let mut invocation = script.prepare_invoke();
        invocation
            .key(&self.keys.events)
            .key(&self.keys.dead)
            .key(&self.keys.dead_letters)
            .arg(CONSUMER_GROUP);
        for (entry, svix_id) in entries {
            invocation.arg(entry).arg(svix_id);
        }
        self.invoke(&invocation, ()).await
    }

    /// Lets an entry wait for its next attempt, and tells why; `false` if it has been taken over and is not ours.
    /// One that waits for an address is found by [`Queue::waiting_of`].
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn park(
        &self,
        entry: &EntryId,
        failed_attempts: u32,
        wait: Duration,
        reason: &str,
        address: Option<AddressWait<'_>>,
    ) -> RedisResult<bool> {
        let script = Script::new(include_str!("../lua/park.lua"));
        let mut invocation = script.prepare_invoke();
        invocation
            .key(&self.keys.events)
            .key(&self.keys.retry)
            .key(&self.keys.retry_entries)
            .key(&self.keys.retry_users)
            .arg(CONSUMER_GROUP)
            .arg(&self.consumer)
            .arg(entry)
            .arg(failed_attempts)
            .arg(milliseconds(wait).max(1))
            .arg(reason);
        if let Some(address) = address {
            invocation.arg(address.user).arg(address.holder);
        }
        self.invoke(&invocation, false).await
    }

    /// Puts up to `count` entries whose next attempt is due back on the stream; returns how many,
    /// and how long until the next one is due.
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn unpark(&self, count: usize) -> RedisResult<(usize, Option<Duration>)> {
        let script = Script::new(include_str!("../lua/unpark.lua"));
        let mut invocation = script.prepare_invoke();
        invocation
            .key(&self.keys.events)
            .key(&self.keys.retry)
            .key(&self.keys.retry_entries)
            .key(&self.keys.retry_users)
            .arg(count);
        let (moved, next): (usize, i64) = invocation.invoke_async(&mut self.link.clone()).await?;
        Ok((moved, u64::try_from(next).ok().map(Duration::from_millis)))
    }

    /// What waits of one user until an address is free, no more than `count`, as entries whose ids are the svix-ids; the
    /// field `holder` says for whom.
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn waiting_of(&self, user_id: &str, count: usize) -> RedisResult<Vec<RawEntry>> {
        let script = Script::new(include_str!("../lua/waiting_of.lua"));
        script
            .key(&self.keys.retry_entries)
            .key(&self.keys.retry_users)
            .arg(user_id)
            .arg(count)
            .invoke_async(&mut self.link.clone())
            .await
    }

    /// Makes events that wait due after `wait`, if they are not before; returns those that are due sooner now.
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn hasten(&self, svix_ids: &[&str], wait: Duration) -> RedisResult<Vec<Hastened>> {
        let script = Script::new(include_str!("../lua/hasten.lua"));
        script
            .key(&self.keys.retry)
            .arg(milliseconds(wait))
            .arg(svix_ids)
            .invoke_async(&mut self.link.clone())
            .await
    }

    /// Makes events due when they were before [`Queue::hasten`], if they still wait for what that made of it.
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn put_off(&self, hastened: &[Hastened]) -> RedisResult<()> {
        if hastened.is_empty() {
            return Ok(());
        }
        let script = Script::new(include_str!("../lua/put_off.lua"));
        let mut invocation = script.prepare_invoke();
        invocation.key(&self.keys.retry);
        for (svix_id, due, due_before) in hastened {
            invocation.arg(svix_id).arg(due).arg(due_before);
        }
        invocation.invoke_async(&mut self.link.clone()).await
    }

    /// Removes events that waited and are finished, and their dead letters.
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn finish_waiting(&self, svix_ids: &[&str]) -> RedisResult<()> {
        let script = Script::new(include_str!("../lua/finish_waiting.lua"));
        let mut invocation = script.prepare_invoke();
        invocation
            .key(&self.keys.retry)
            .key(&self.keys.retry_entries)
            .key(&self.keys.retry_users)
            .key(&self.keys.dead)
            .key(&self.keys.dead_letters);
        invocation.arg(svix_ids);
        invocation.invoke_async(&mut self.link.clone()).await
    }

    /// Puts events with the dead letters, where each has one letter. Returns the entries of those; the
    /// others have been taken over and are not ours. Those with a svix-id stay pending until
    /// [`Queue::discard`].
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn dead_letter(&self, letters: &[DeadLetter<'_>]) -> RedisResult<HashSet<EntryId>> {
        let script = Script::new(include_str!("../lua/dead_letter.lua"));
        let mut held = HashSet::new();
        for letters in letters.chunks(LETTERS_AT_ONCE) {
            let mut invocation = script.prepare_invoke();
            invocation
                .key(&self.keys.events)
                .key(&self.keys.dead)
                .key(&self.keys.dead_letters)
                .arg(CONSUMER_GROUP)
                .arg(&self.consumer);
            for letter in letters {
                invocation
                    .arg(letter.entry)
                    .arg(letter.svix_id.unwrap_or_default())
                    .arg(letter.reason)
                    .arg(letter.attempts);
            }
            held.extend(self.invoke(&invocation, Vec::new()).await?);
        }
        Ok(held)
    }

    /// Removes entries whose events lie with the dead letters, but for those that have been taken over and
    /// are not ours.
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn discard(&self, entries: &[&EntryId]) -> RedisResult<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let script = Script::new(include_str!("../lua/discard.lua"));
        let mut invocation = script.prepare_invoke();
        invocation
            .key(&self.keys.events)
            .arg(CONSUMER_GROUP)
            .arg(&self.consumer)
            .arg(entries);
        self.invoke(&invocation, ()).await
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
        let script = Script::new(include_str!("../lua/hand_back.lua"));
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
        let script = Script::new(include_str!("../lua/extend_visibility.lua"));
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
        let script = Script::new(include_str!("../lua/remove_idle_consumers.lua"));
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
        let script = Script::new(include_str!("../lua/oldest_entry.lua"));
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
    async fn invoke<T: FromRedisValue>(
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

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
