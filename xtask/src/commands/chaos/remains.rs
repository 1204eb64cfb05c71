//! What is there in the end: read from Redis and PostgreSQL, as anybody could.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use redis::{aio::ConnectionLike, streams::StreamRangeReply};
use serde_json::Value;

use super::{
    cache::entry_before,
    deliveries::Delivered,
    events::Newest,
    system::{System, key},
};

/// Times in milliseconds since the epoch, as events tell them.
const USERS: &str = r#"
    select id, name, email, "imageUrl" as image_url,
           (extract(epoch from "createdAt") * 1000)::bigint as created_at,
           (extract(epoch from "updatedAt") * 1000)::bigint as updated_at
      from users"#;

const ORGANIZATIONS: &str = "
    select clerk_id as id, name, slug, (extract(epoch from updated_at) * 1000)::bigint as updated_at
      from organizations";
const MEMBERSHIPS: &str = "
    select coalesce(parent.clerk_id, '-') || ' ' || coalesce(users.id, '-') as id, member.clerk_id, role, desk
      from memberships as member
      left join organizations as parent on parent.id = member.organization_id
      left join users on users.id = member.user_id";

/// A row of the ledger.
pub(crate) struct Recorded {
    pub(crate) outcome: String,
    /// Seconds since the epoch.
    pub(crate) processed_at: f64,
}

/// A dead letter.
pub(crate) struct DeadLetter {
    pub(crate) svix_id: String,
    pub(crate) reason: String,
}

/// One write to a table, as its trigger has seen it.
pub(crate) struct Written {
    /// `INSERT`, `UPDATE` or `DELETE`.
    pub(crate) operation: String,
    pub(crate) object_id: String,
    /// The row as it was written; of a deletion, as it was.
    pub(crate) row: Value,
}

/// All of it. Keys are svix-ids or ids of objects; of memberships those of organization and user.
#[derive(Default)]
pub(crate) struct Remains {
    pub(crate) ledger: BTreeMap<String, Recorded>,
    pub(crate) stream: Vec<String>,
    pub(crate) waiting: Vec<String>,
    pub(crate) dead_letters: Vec<DeadLetter>,
    pub(crate) users: BTreeMap<String, Value>,
    pub(crate) organizations: BTreeMap<String, Value>,
    pub(crate) memberships: BTreeMap<String, Value>,
    /// What `clerk_sync.versions` says.
    pub(crate) versions: BTreeMap<String, Newest>,
    pub(crate) witness: Vec<Written>,
    /// svix-ids of the events whose entry of the cache is still there, or still a member of its tag.
    pub(crate) cached: BTreeSet<String>,
}

impl Remains {
    /// Reads it.
    pub(crate) async fn read(system: &System, delivered: &[Delivered]) -> anyhow::Result<Self> {
        let queue = Queue::of(system).await?;
        Ok(Self {
            stream: queue.stream,
            waiting: queue.waiting,
            dead_letters: queue.dead_letters,
            ledger: ledger(system).await?,
            users: table(system, USERS).await?,
            organizations: table(system, ORGANIZATIONS).await?,
            memberships: table(system, MEMBERSHIPS).await?,
            versions: versions(system).await?,
            witness: witness(system).await?,
            cached: cached(system, delivered).await?,
        })
    }
}

async fn ledger(system: &System) -> anyhow::Result<BTreeMap<String, Recorded>> {
    let query = "select svix_id, outcome, extract(epoch from processed_at)::float8 as processed_at \
                 from clerk_sync.events";
    let recorded = |row: Value| Recorded {
        outcome: text(&row, "outcome"),
        processed_at: row["processed_at"].as_f64().unwrap_or_default(),
    };
    let rows = rows(system, query).await?.into_iter();
    Ok(rows
        .map(|row| (text(&row, "svix_id"), recorded(row)))
        .collect())
}

async fn table(system: &System, query: &str) -> anyhow::Result<BTreeMap<String, Value>> {
    let rows = rows(system, query).await?.into_iter();
    Ok(rows.map(|row| (text(&row, "id"), row)).collect())
}

async fn versions(system: &System) -> anyhow::Result<BTreeMap<String, Newest>> {
    // Of an object without svix-id no event was applied: it was only met in another one's.
    let query = "select object_id, deleted, svix_id from clerk_sync.versions where svix_id <> ''";
    let newest = |row: &Value| Newest {
        deleted: row["deleted"] == true,
        svix_id: text(row, "svix_id"),
    };
    let rows = rows(system, query).await?;
    let rows = rows.iter();
    Ok(rows
        .map(|row| (text(row, "object_id"), newest(row)))
        .collect())
}

async fn witness(system: &System) -> anyhow::Result<Vec<Written>> {
    let query = "select operation, id, row from witness order by number";
    let written = |row: Value| Written {
        operation: text(&row, "operation"),
        object_id: text(&row, "id"),
        row: row["row"].clone(),
    };
    Ok(rows(system, query)
        .await?
        .into_iter()
        .map(written)
        .collect())
}

/// As [`Remains::cached`].
async fn cached(system: &System, delivered: &[Delivered]) -> anyhow::Result<BTreeSet<String>> {
    let client = redis::Client::open(system.cache_url.as_str())?;
    let mut redis = client.get_multiplexed_async_connection().await?;
    let mut cached = BTreeSet::new();
    for part in delivered.chunks(1000) {
        let mut looks = redis::pipe();
        for event in part {
            let entry = entry_before(&event.svix_id);
            let tag = event.cached.as_ref().map_or("", |cached| &cached.tag);
            looks.exists(&entry).sismember(tag, &entry);
        }
        let there: Vec<bool> = looks.query_async(&mut redis).await?;
        let of_events = part.iter().zip(there.chunks(2));
        let left = of_events.filter(|(_, there)| there.contains(&true));
        cached.extend(left.map(|(event, _)| event.svix_id.clone()));
    }
    Ok(cached)
}

/// What is in all partitions.
#[derive(Default)]
struct Queue {
    stream: Vec<String>,
    waiting: Vec<String>,
    dead_letters: Vec<DeadLetter>,
}

impl Queue {
    async fn of(system: &System) -> anyhow::Result<Self> {
        let nodes: Vec<&str> = system.redis_url.split(',').collect();
        if let [server] = nodes.as_slice() {
            let client = redis::Client::open(*server)?;
            let mut redis = client.get_multiplexed_async_connection().await?;
            return Self::read(&mut redis, system.partitions).await;
        }
        // All but the first are without a scheme.
        let nodes = nodes
            .iter()
            .map(|node| format!("redis://{}", node.trim_start_matches("redis://")));
        let client = redis::cluster::ClusterClient::new(nodes)?;
        let mut redis = client.get_async_connection().await?;
        Self::read(&mut redis, system.partitions).await
    }

    async fn read(redis: &mut impl ConnectionLike, partitions: u32) -> anyhow::Result<Self> {
        let mut queue = Self::default();
        for partition in 0..partitions {
            let of = |name: &str, command: &str, range: [&str; 2]| {
                redis::cmd(command)
                    .arg(key(partition, name))
                    .arg(&range)
                    .clone()
            };
            let stream: StreamRangeReply = of("events", "XRANGE", ["-", "+"])
                .query_async(redis)
                .await?;
            let dead: StreamRangeReply =
                of("dead", "XRANGE", ["-", "+"]).query_async(redis).await?;
            let waiting: Vec<String> = of("retry", "ZRANGE", ["0", "-1"])
                .query_async(redis)
                .await?;
            let svix_ids = stream.ids.iter().filter_map(|entry| entry.get("svix-id"));
            queue.stream.extend(svix_ids);
            queue.waiting.extend(waiting);
            let letters = dead.ids.iter().map(|entry| DeadLetter {
                svix_id: entry.get("svix-id").unwrap_or_default(),
                reason: entry.get("reason").unwrap_or_default(),
            });
            queue.dead_letters.extend(letters);
        }
        Ok(queue)
    }
}

/// The rows of a query as JSON objects.
async fn rows(system: &System, query: &str) -> anyhow::Result<Vec<Value>> {
    // Times as text would depend on the session's zone.
    let query = format!("set timezone to 'UTC'; select to_jsonb(selected) from ({query}) selected");
    let lines = system.sql(&query).await?;
    lines
        .lines()
        .map(|line| serde_json::from_str(line).context("a row is not JSON"))
        .collect()
}

fn text(row: &Value, column: &str) -> String {
    row[column].as_str().unwrap_or_default().to_owned()
}
