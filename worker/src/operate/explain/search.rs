//! Where in Redis an event is.

use std::collections::BTreeMap;

use redis::{RedisResult, Script};
use shared::partition::MOST_PARTITIONS;
use shared::queue::{CONSUMER_GROUP, Keys};
use shared::redis_link::{self, RedisLink};

use super::{Place, replay_line, waits_for};

/// How many entries Redis reads in one step, during which it serves nobody else, if they are small.
const ENTRIES_AT_ONCE: u64 = 500;

/// What a script returns of an entry; anybody may add one by hand, so it need not be text.
type Fields = Vec<Vec<u8>>;

pub(super) struct Search<'a> {
    link: RedisLink,
    svix_id: &'a str,
    pub(super) places: Vec<Place>,
    left: u64,
    /// It ended before the end of a stream.
    pub(super) incomplete: bool,
    /// Up to where each partition's events have been looked at.
    reached: BTreeMap<u32, Reached>,
    /// Which partitions cannot be asked, and why.
    away: BTreeMap<u32, String>,
}

#[derive(Clone)]
struct Reached {
    /// Where to go on, as XRANGE has it.
    start: String,
    /// How many entries stand before.
    before: u64,
}

impl Default for Reached {
    fn default() -> Self {
        Self {
            start: "-".to_owned(),
            before: 0,
        }
    }
}

impl<'a> Search<'a> {
    /// Reads no more than `entries` entries of streams.
    pub(super) fn new(link: &RedisLink, svix_id: &'a str, entries: u64) -> Self {
        Self {
            link: link.clone(),
            svix_id,
            places: Vec::new(),
            left: entries,
            incomplete: false,
            reached: BTreeMap::new(),
            away: BTreeMap::new(),
        }
    }

    /// By key and in the streams, and once more: an event may have waited for its next attempt while the
    /// streams were looked at, and be on its stream again since. What was read is not read again: an event
    /// that comes back is behind it.
    pub(super) async fn everywhere(&mut self) {
        for is_first in [true, false] {
            for partition in 0..MOST_PARTITIONS {
                let asked = self.by_key(partition).await;
                self.note(partition, asked);
            }
            for partition in 0..MOST_PARTITIONS {
                let asked = self.in_streams(partition, is_first).await;
                self.note(partition, asked);
            }
            if !self.places.is_empty() {
                return;
            }
        }
    }

    /// A partition that cannot be asked is not asked again; the others are, on other servers perhaps.
    fn note(&mut self, partition: u32, asked: RedisResult<()>) {
        if let Err(error) = asked {
            self.away.insert(partition, redis_link::reason(&error));
        }
    }

    pub(super) fn problem(&self) -> Option<String> {
        let (first, reason) = self.away.first_key_value()?;
        let count = u32::try_from(self.away.len()).unwrap_or(MOST_PARTITIONS);
        Some(if count == MOST_PARTITIONS {
            format!("Redis cannot be asked: {reason}")
        } else {
            format!("Redis cannot be asked about {count} partitions, {first} first: {reason}")
        })
    }

    async fn in_streams(&mut self, partition: u32, is_first: bool) -> RedisResult<()> {
        if self.away.contains_key(&partition) {
            return Ok(());
        }
        self.in_events(partition).await?;
        // A letter that has come since has its key.
        if is_first && !self.has_letter() {
            self.in_dead(partition).await?;
        }
        Ok(())
    }

    fn has_letter(&self) -> bool {
        let mut places = self.places.iter();
        places.any(|place| matches!(place, Place::Dead { .. }))
    }

    async fn by_key(&mut self, partition: u32) -> RedisResult<()> {
        if self.away.contains_key(&partition) {
            return Ok(());
        }
        let keys = Keys::of(partition);
        let (waiting, letter): (Fields, Fields) = Script::new(include_str!("find_keyed.lua"))
            .key(&keys.dead)
            .key(&keys.dead_letters)
            .key(&keys.retry)
            .key(&keys.retry_entries)
            .arg(self.svix_id)
            .invoke_async(&mut self.link)
            .await?;
        if let [due, attempts, reason, awaited] = waiting.as_slice() {
            self.places.push(Place::Retry {
                partition,
                due: number(due),
                attempts: line(attempts),
                reason: line(reason),
                waits_for: waits_for(&line(awaited)),
            });
        }
        self.places.extend(self.letter(partition, &letter));
        Ok(())
    }

    fn letter(&self, partition: u32, fields: &[Vec<u8>]) -> Option<Place> {
        let [letter, reason, attempts, age] = fields else {
            return None;
        };
        Some(Place::Dead {
            partition,
            letter: line(letter),
            reason: line(reason),
            attempts: line(attempts),
            age: number(age),
            replay: replay_line(partition, self.svix_id),
        })
    }

    async fn in_dead(&mut self, partition: u32) -> RedisResult<()> {
        let dead = Keys::of(partition).dead;
        let fields = self.in_stream(&dead, &mut Reached::default()).await?;
        self.places.extend(self.letter(partition, &fields));
        Ok(())
    }

    async fn in_events(&mut self, partition: u32) -> RedisResult<()> {
        let events = Keys::of(partition).events;
        let mut reached = self.reached.remove(&partition).unwrap_or_default();
        let fields = self.in_stream(&events, &mut reached).await?;
        let before = reached.before;
        self.reached.insert(partition, reached);
        let [entry, _, _, age] = fields.as_slice() else {
            return Ok(());
        };
        let (entry, age) = (line(entry), number(age));
        let pending: RedisResult<Vec<(String, String, u64, u64)>> = redis::cmd("XPENDING")
            .arg(&events)
            .arg(CONSUMER_GROUP)
            .arg(&entry)
            .arg(&entry)
            .arg(1)
            .query_async(&mut self.link)
            .await;
        let pending = match pending {
            // No worker has ever been there.
            Err(error) if crate::source::queue::is_group_gone(&error) => Vec::new(),
            other => other?,
        };
        self.places.push(match pending.into_iter().next() {
            Some((_, consumer, idle, deliveries)) => Place::Pending {
                partition,
                entry,
                consumer: line(consumer.as_bytes()),
                idle,
                deliveries,
            },
            None => Place::Unread {
                partition,
                entry,
                before,
                age,
            },
        });
        Ok(())
    }

    /// What is told of the event's entry, if it stands behind what has been `reached`.
    async fn in_stream(&mut self, stream: &str, reached: &mut Reached) -> RedisResult<Fields> {
        let script = Script::new(include_str!("find_entry.lua"));
        loop {
            let (looked, next, at_end, fields): (u64, String, bool, Fields) = script
                .key(stream)
                .arg(self.svix_id)
                .arg(&reached.start)
                .arg(ENTRIES_AT_ONCE)
                .invoke_async(&mut self.link)
                .await?;
            reached.start = next;
            reached.before += looked;
            self.left = self.left.saturating_sub(looked);
            if at_end || !fields.is_empty() {
                return Ok(fields);
            }
            if self.left == 0 {
                self.incomplete = true;
                return Ok(Fields::new());
            }
        }
    }
}

/// One line of text, whatever the bytes are.
pub(crate) fn line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace(char::is_control, " ")
}

/// 0 where it is none.
pub(crate) fn number(bytes: &[u8]) -> u64 {
    line(bytes).parse().unwrap_or(0)
}
