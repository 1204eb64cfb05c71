//! What a worker says to the queue's Redis about entries that it is done with, as verbs.

use std::collections::HashSet;
use std::time::Duration;

use redis::{RedisResult, Script};
use shared::queue::CONSUMER_GROUP;

use crate::finish::RECOVERY;
use crate::source::queue::{Queue, milliseconds};
use crate::source::raw_entry::{EntryId, RawEntry};

/// How many dead letters are written in one step: payloads of 1 MiB are copied.
const LETTERS_AT_ONCE: usize = 16;

/// How many events are woken in one step.
const WOKEN_AT_ONCE: usize = 256;

/// An event that is due sooner than it is to be: svix-id, when it is due, when it is to be due, as Redis has them.
pub type Hastened = (String, String, String);

/// What waits for what, as [`shared::queue::object`] names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait<'a> {
    /// The object that the event is about.
    pub object: &'a str,
    /// The object that is in its way.
    pub awaited: &'a str,
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

impl Queue {
    /// Acknowledges and removes entries that are finished, given with their svix-ids, and the dead
    /// letters of the same events, in one step.
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn finish(&self, entries: &[(&EntryId, &str)]) -> RedisResult<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let script = Script::new(include_str!("finish.lua"));
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

    /// Lets an entry wait for its next attempt, and tells why. Returns when it is due and when it is to be due, as
    /// Redis has them; `None` if it has been taken over and is not ours. One that waits for another object is found by
    /// [`Queue::waiting_of`] and [`Queue::wake`], and is due after 30 s at the latest until it is put off.
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn park(
        &self,
        entry: &EntryId,
        failed_attempts: u32,
        wait: Duration,
        reason: &str,
        waits_for: Option<Wait<'_>>,
    ) -> RedisResult<Option<(String, String)>> {
        let script = Script::new(include_str!("park.lua"));
        let mut invocation = script.prepare_invoke();
        invocation
            .key(&self.keys.events)
            .key(&self.keys.retry)
            .key(&self.keys.retry_entries)
            .key(&self.keys.retry_objects)
            .key(&self.keys.retry_awaited)
            .arg(CONSUMER_GROUP)
            .arg(&self.consumer)
            .arg(entry)
            .arg(failed_attempts)
            .arg(milliseconds(wait).max(1))
            .arg(reason);
        if let Some(Wait { object, awaited }) = waits_for {
            let unconfirmed = milliseconds(RECOVERY);
            invocation.arg(object).arg(awaited).arg(unconfirmed);
        }
        self.invoke(&invocation, None).await
    }

    /// Puts up to `count` entries whose next attempt is due back on the stream; returns how many,
    /// and how long until the next one is due.
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn unpark(&self, count: usize) -> RedisResult<(usize, Option<Duration>)> {
        let script = Script::new(include_str!("unpark.lua"));
        let mut invocation = script.prepare_invoke();
        invocation
            .key(&self.keys.events)
            .key(&self.keys.retry)
            .key(&self.keys.retry_entries)
            .key(&self.keys.retry_objects)
            .key(&self.keys.retry_awaited)
            .arg(count);
        let (moved, next): (usize, i64) = invocation.invoke_async(&mut self.link.clone()).await?;
        Ok((moved, u64::try_from(next).ok().map(Duration::from_millis)))
    }

    /// Whether anything waits for another object here, and was not woken yet.
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn is_anything_awaited(&self) -> RedisResult<bool> {
        redis::cmd("EXISTS")
            .arg(&self.keys.retry_awaited)
            .query_async(&mut self.link.clone())
            .await
    }

    /// Makes events due that wait for one of `objects`, however many; returns how many.
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn wake(&self, objects: &[String]) -> RedisResult<usize> {
        let script = Script::new(include_str!("wake.lua"));
        let mut invocation = script.prepare_invoke();
        invocation
            .key(&self.keys.retry)
            .key(&self.keys.retry_awaited)
            .arg(WOKEN_AT_ONCE)
            .arg(objects);
        let mut all = 0;
        loop {
            let woken: usize = invocation.invoke_async(&mut self.link.clone()).await?;
            all += woken;
            if woken < WOKEN_AT_ONCE {
                return Ok(all);
            }
        }
    }

    /// The events about one object that wait for another one, no more than `count`, as entries whose ids are the
    /// svix-ids; the field `awaited` says for which.
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn waiting_of(&self, object: &str, count: usize) -> RedisResult<Vec<RawEntry>> {
        let script = Script::new(include_str!("waiting_of.lua"));
        script
            .key(&self.keys.retry_entries)
            .key(&self.keys.retry_objects)
            .arg(object)
            .arg(count)
            .invoke_async(&mut self.link.clone())
            .await
    }

    /// Makes events that wait due after `wait`, if they are not before; returns those that are due sooner now.
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn hasten(&self, svix_ids: &[&str], wait: Duration) -> RedisResult<Vec<Hastened>> {
        let script = Script::new(include_str!("hasten.lua"));
        script
            .key(&self.keys.retry)
            .arg(milliseconds(wait))
            .arg(svix_ids)
            .invoke_async(&mut self.link.clone())
            .await
    }

    /// Makes events due when they are to be: as before [`Queue::hasten`], or as [`Queue::park`] says. One that has come
    /// back or was woken meanwhile is left alone.
    ///
    /// # Errors
    /// When Redis cannot be used.
    pub async fn put_off(&self, hastened: &[Hastened]) -> RedisResult<()> {
        if hastened.is_empty() {
            return Ok(());
        }
        let script = Script::new(include_str!("put_off.lua"));
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
        let script = Script::new(include_str!("finish_waiting.lua"));
        let mut invocation = script.prepare_invoke();
        invocation
            .key(&self.keys.retry)
            .key(&self.keys.retry_entries)
            .key(&self.keys.retry_objects)
            .key(&self.keys.retry_awaited)
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
        let script = Script::new(include_str!("dead_letter.lua"));
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
        let script = Script::new(include_str!("discard.lua"));
        let mut invocation = script.prepare_invoke();
        invocation
            .key(&self.keys.events)
            .arg(CONSUMER_GROUP)
            .arg(&self.consumer)
            .arg(entries);
        self.invoke(&invocation, ()).await
    }
}
