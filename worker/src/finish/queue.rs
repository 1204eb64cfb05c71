//! What a worker says to the queue's Redis about entries that it is done with, as verbs.

use std::collections::HashSet;
use std::time::Duration;

use redis::{RedisResult, Script};
use shared::queue::CONSUMER_GROUP;

use crate::source::queue::{Queue, milliseconds};
use crate::source::raw_entry::{EntryId, RawEntry};

/// How many dead letters are written in one step: payloads of 1 MiB are copied.
const LETTERS_AT_ONCE: usize = 16;

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
        let script = Script::new(include_str!("park.lua"));
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
        let script = Script::new(include_str!("unpark.lua"));
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
        let script = Script::new(include_str!("waiting_of.lua"));
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
        let script = Script::new(include_str!("hasten.lua"));
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
