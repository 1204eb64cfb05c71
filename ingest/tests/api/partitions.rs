//! Events spread over several streams.

use std::collections::BTreeMap;

use redis::{AsyncCommands as _, streams::StreamRangeReply};
use serde_json::Value;
use shared::{partition::partition_of, queue::Keys};
use xtask::{clerk_payload::UserPayload, redis_server::RedisServer};

use crate::helpers::Ingest;

/// The svix-ids and payloads of a stream, oldest first.
async fn entries(redis: &RedisServer, partition: u32) -> anyhow::Result<Vec<(String, Value)>> {
    let client = redis::Client::open(redis.url())?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let range: StreamRangeReply = connection.xrange_all(Keys::of(partition).events).await?;
    let read = |entry: redis::streams::StreamId| {
        let svix_id = entry.get("svix-id").unwrap_or_default();
        let payload: Vec<u8> = entry.get("payload").unwrap_or_default();
        Ok((svix_id, serde_json::from_slice(&payload)?))
    };
    range.ids.into_iter().map(read).collect()
}

/// All events of a user are in one stream, in the order in which they were accepted.
#[tokio::test]
async fn a_user_is_always_in_the_same_partition_and_users_are_in_all() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let settings = [("REDIS_PARTITIONS", "4")];
    // Two processes agree.
    let ingests = [
        Ingest::start_with(&redis.url(), &settings).await?,
        Ingest::start_with(&redis.url(), &settings).await?,
    ];
    for n in 0..120 {
        let id = format!("user_{}", n % 40);
        let payload = UserPayload::new(&id, "a@example.com");
        let payload = if n < 80 {
            payload.updated()
        } else {
            payload.deleted()
        };
        let svix_id = format!("msg_{n:03}");
        let answer = ingests[n % 2].deliver(&svix_id, &payload).await?;
        assert_eq!(answer.status, 200);
    }
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for partition in 0..4 {
        let entries = entries(&redis, partition).await?;
        assert!(!entries.is_empty(), "nothing in {partition}");
        for (svix_id, payload) in entries {
            let id = payload["data"]["id"].as_str().unwrap_or_default();
            assert_eq!(partition_of(id, 4), partition, "{id}");
            users.entry(id.to_owned()).or_default().push(svix_id);
        }
    }
    assert_eq!(users.len(), 40);
    for (id, svix_ids) in users {
        assert_eq!(svix_ids.len(), 3, "{id}");
        assert!(svix_ids.is_sorted(), "{id}: {svix_ids:?}");
    }
    Ok(())
}

/// P5: whoever it is about.
#[tokio::test]
async fn an_event_without_a_usable_id_is_in_the_partition_of_its_svix_id() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let ingest = Ingest::start_with(&redis.url(), &[("REDIS_PARTITIONS", "3")]).await?;
    let bodies = [
        r#"{"type":"user.created","data":{}}"#,
        r#"{"type":"user.created","data":{"id":7}}"#,
        r#"{"type":"user.created","data":{"id":"user_1","id":"user_2"}}"#,
    ];
    for (n, body) in bodies.iter().cycle().take(30).enumerate() {
        assert_eq!(ingest.deliver(&format!("msg_{n}"), body).await?.status, 200);
    }
    let mut count = 0;
    for partition in 0..3 {
        for (svix_id, _) in entries(&redis, partition).await? {
            assert_eq!(partition_of(&svix_id, 3), partition);
            count += 1;
        }
    }
    assert_eq!(count, 30);
    Ok(())
}

/// P9
#[tokio::test]
async fn the_limit_of_the_backlog_is_for_all_partitions_together() -> anyhow::Result<()> {
    let redis = RedisServer::start()?;
    let settings = [("REDIS_PARTITIONS", "4"), ("MAX_BACKLOG", "10")];
    let ingest = Ingest::start_with(&redis.url(), &settings).await?;
    for n in 0..20 {
        let payload = UserPayload::new(&format!("user_{n}"), "a@example.com").updated();
        let answer = ingest.deliver(&format!("msg_{n}"), &payload).await?;
        assert_eq!(answer.status, if n < 10 { 200 } else { 503 }, "event {n}");
    }
    for partition in 0..4 {
        let events = Keys::of(partition).events;
        assert!(redis.cli(&["XLEN", &events])?.parse::<u32>()? < 10);
    }
    Ok(())
}
