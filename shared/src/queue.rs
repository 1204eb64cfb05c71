//! The names that everybody who touches the queue agrees on.
//!
//! Braces are part of the key: they are a Redis Cluster hash tag, so that all keys of a partition
//! live in one slot and a script may change several of them atomically
//! (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags>).

/// The consumer group on every events stream; one consumer in it is one worker process.
pub const CONSUMER_GROUP: &str = "clerk-worker";

/// The names of the fields of a stream entry.
pub mod field {
    /// The event's identity: one svix-id is one event, however often it is delivered.
    pub const SVIX_ID: &str = "svix-id";
    /// The event's `type`, as Clerk wrote it.
    pub const TYPE: &str = "type";
    /// The request's body, byte for byte.
    pub const PAYLOAD: &str = "payload";
    /// When the ingest received the event, in milliseconds since the epoch.
    pub const RECEIVED_AT: &str = "received-at";
    /// The step of a trace that put the event here, as a W3C `traceparent`; only where the ingest traces.
    pub const TRACEPARENT: &str = "traceparent";
    /// How many attempts have failed; only on an entry that has been tried before.
    pub const ATTEMPTS: &str = "attempts";
    /// What the event is about, as [`super::object`] names it; only while it waits for another object.
    pub const OBJECT: &str = "object";
    /// The object that the event waits for, named likewise; only while it waits.
    pub const AWAITED: &str = "awaited";
}

/// How the queue names an object of Clerk's: `FAMILY/ID`. A row that belongs to none yet has no id.
#[must_use]
pub fn object(family: &str, id: &str) -> String {
    format!("{family}/{id}")
}

/// The keys of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Stream of what waits or is being worked on.
    pub events: String,
    /// Stream of dead letters.
    pub dead: String,
    /// Hash of the ids of the entries of `dead`, by svix-id.
    pub dead_letters: String,
    /// Sorted set of what waits for its next attempt, by the time it is due in milliseconds.
    pub retry: String,
    /// Hash of the entries that wait in `retry`.
    pub retry_entries: String,
    /// Sorted set that finds entries in `retry` that wait for another object, by the object that they are about.
    pub retry_objects: String,
    /// Sorted set that finds them by the object that they wait for; those that were woken are not in it any more.
    pub retry_awaited: String,
}

impl Keys {
    /// The keys of partition `partition`, counted from 0.
    #[must_use]
    pub fn of(partition: u32) -> Self {
        let key = |name: &str| format!("{{clerk:{partition}}}:{name}");
        Self {
            events: key("events"),
            dead: key("dead"),
            dead_letters: key("dead:letters"),
            retry: key("retry"),
            retry_entries: key("retry:entries"),
            retry_objects: key("retry:objects"),
            retry_awaited: key("retry:awaited"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_contract() {
        let keys = Keys::of(0);
        assert_eq!(keys.events, "{clerk:0}:events");
        assert_eq!(keys.dead, "{clerk:0}:dead");
    }
}
