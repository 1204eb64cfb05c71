//! A reader that caches what it has read, under the tags that the worker deletes.

use std::time::Duration;

use redis::{AsyncConnectionConfig, Client, RedisResult, aio::MultiplexedConnection};
use tokio::sync::Mutex;

const TIMEOUT: Duration = Duration::from_secs(2);
pub(crate) const GLOBAL_TAG: &str = "global:users";

/// The cache. It shares the queue's Redis, as `CACHE_REDIS_URL` does by default, and is full when
/// that one is.
pub(crate) struct Cache {
    client: Client,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl Cache {
    pub(crate) fn new(redis_url: &str) -> anyhow::Result<Self> {
        Ok(Self {
            client: Client::open(redis_url)?,
            connection: Mutex::default(),
        })
    }

    /// Writes an entry and its membership of a tag, in one step. Returns whether Redis says that it
    /// is written; if not, nobody knows, and the entry proves nothing.
    pub(crate) async fn fill(&self, entry: &str, tag: &str) -> bool {
        let Ok(mut connection) = self.connection().await else {
            return false;
        };
        let mut commands = redis::pipe();
        commands
            .atomic()
            .sadd(tag, entry)
            .ignore()
            .set(entry, "a rendered page")
            .ignore();
        let written = commands.exec_async(&mut connection).await;
        if written.is_err() {
            *self.connection.lock().await = None;
        }
        written.is_ok()
    }

    async fn connection(&self) -> RedisResult<MultiplexedConnection> {
        let mut connection = self.connection.lock().await;
        if let Some(connection) = &*connection {
            return Ok(connection.clone());
        }
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(TIMEOUT))
            .set_response_timeout(Some(TIMEOUT));
        let new = self
            .client
            .get_multiplexed_async_connection_with_config(&settings)
            .await?;
        Ok(connection.insert(new).clone())
    }
}

/// The tag of everything that shows an object.
pub(crate) fn tag_of(family: &str, object_id: &str) -> String {
    let table = match family {
        "organization" => "organizations",
        "organizationMembership" => "memberships",
        _ => "users",
    };
    format!("id:{object_id}:{table}")
}

/// The entry that was written before an event was sent for the first time.
pub(crate) fn entry_before(svix_id: &str) -> String {
    format!("cached-before:{svix_id}")
}
