//! Probes: of some users it is seen when their row is committed and when their cache tag is deleted.
//!
//! A probe is a user whose id begins with `user_probe` and whose cache tag exists. PostgreSQL tells
//! of its commit: a trigger with a condition on the id notifies, and notifications go out when the
//! transaction has committed. Redis tells of the deletion of its tag: a keyspace notification, which
//! goes out with the answer to the command, after the append-only file was synced. Both are
//! written down as they reach this process, so each time is late by a message over the loopback
//! and by what this process needs to wake up: below a millisecond while the processors are not all
//! taken. Nobody polls, and of users who are no probes nobody is told.

use std::{
    collections::HashMap,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use anyhow::Context as _;
use redis::{AsyncConnectionConfig, Msg, PushInfo, aio::MultiplexedConnection};
use tokio_postgres::{AsyncMessage, NoTls};

/// What redis-server must be started with.
pub(crate) const REDIS_ARGUMENTS: [&str; 2] = ["--notify-keyspace-events", "Eg"];

const CHANNEL: &str = "probe";
const PREPARATION: &str = "
    create function tell_of_probe() returns trigger language plpgsql as
        $$ begin perform pg_notify('probe', new.id); return null; end $$;
    create trigger tell_of_probe after insert on users for each row
        when (starts_with(new.id, 'user_probe')) execute function tell_of_probe();
    listen probe";

/// By user.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) commits: HashMap<String, Instant>,
    pub(crate) deletions: HashMap<String, Instant>,
}

type SharedSeen = Arc<Mutex<Seen>>;

/// Sees them while it is not dropped.
pub(crate) struct Probes {
    seen: SharedSeen,
    redis: MultiplexedConnection,
    _database: tokio_postgres::Client,
}

impl Probes {
    /// The tables must be there.
    pub(crate) async fn start(redis_url: &str, database_url: &str) -> anyhow::Result<Self> {
        let seen = SharedSeen::default();
        Ok(Self {
            redis: listen_to_redis(redis_url, Arc::clone(&seen)).await?,
            _database: listen_to_database(database_url, Arc::clone(&seen)).await?,
            seen,
        })
    }

    /// Creates the cache tags of these users.
    pub(crate) async fn set_tags(
        &mut self,
        users: impl Iterator<Item = String>,
    ) -> anyhow::Result<()> {
        let mut pipeline = redis::pipe();
        for user in users {
            pipeline.set(format!("id:{user}:users"), "").ignore();
        }
        Ok(pipeline.exec_async(&mut self.redis).await?)
    }

    /// Whether all of so many probes were seen to the end.
    pub(crate) fn are_complete(&self, count: usize) -> bool {
        let seen = lock(&self.seen);
        seen.commits.len() == count && seen.deletions.len() == count
    }

    /// What was seen since the last time.
    pub(crate) fn take(&self) -> Seen {
        std::mem::take(&mut lock(&self.seen))
    }
}

fn lock(seen: &SharedSeen) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn listen_to_redis(url: &str, seen: SharedSeen) -> anyhow::Result<MultiplexedConnection> {
    // Only there may a connection that is told something also send commands.
    let client = redis::Client::open(format!("{url}?protocol=resp3"))?;
    let config = AsyncConnectionConfig::new().set_push_sender(move |push: PushInfo| {
        let now = Instant::now();
        let key =
            Msg::from_push_info(push).and_then(|message| message.get_payload::<String>().ok());
        let user = key.as_deref().and_then(|key| {
            let user = key.strip_prefix("id:")?.strip_suffix(":users")?;
            Some(user.to_owned())
        });
        if let Some(user) = user {
            lock(&seen).deletions.insert(user, now);
        }
        Ok::<_, std::convert::Infallible>(())
    });
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    connection.subscribe("__keyevent@0__:del").await?;
    Ok(connection)
}

async fn listen_to_database(url: &str, seen: SharedSeen) -> anyhow::Result<tokio_postgres::Client> {
    let (client, mut connection) = tokio_postgres::connect(url, NoTls).await?;
    // Ends with the client.
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(told) = message
                && told.channel() == CHANNEL
            {
                lock(&seen)
                    .commits
                    .insert(told.payload().into(), Instant::now());
            }
        }
    });
    client
        .batch_execute(PREPARATION)
        .await
        .context("cannot prepare the table for probes")?;
    Ok(client)
}
