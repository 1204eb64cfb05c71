//! Whether the worker is ready, and the pages of its admin address.

use std::borrow::Cow;

use shared::admin;
use shared::redis_link::RedisLink;
use tokio_util::sync::CancellationToken;

use crate::apply::target::Targets;
use crate::database::Database;
use crate::finish::cache_tags::CacheTags;
use crate::metrics::Metrics;
use crate::operate::status::{self, Status};
use crate::source::partitions::Partitions;

/// Ready while the stores answer and the tables file fits the database.
pub struct StoresHealth {
    /// The queue's Redis.
    pub queue_link: RedisLink,
    /// Where events wait.
    pub partitions: Partitions,
    /// The cache's Redis.
    pub cache_tags: CacheTags,
    /// Where objects go.
    pub database: Database,
    /// Which tables that are.
    pub targets: Targets,
    /// What is counted.
    pub metrics: Metrics,
    /// Cancelled once the database is migrated.
    pub migrated: CancellationToken,
    /// The page.
    pub status: Status,
}

impl admin::Health for StoresHealth {
    async fn ready(&self) -> Result<(), Cow<'static, str>> {
        if !self.queue_link.answers().await {
            Err("Redis does not answer".into())
        } else if !self.cache_tags.answers().await {
            Err("the cache's Redis does not answer".into())
        } else if !self.database.answers().await {
            Err("PostgreSQL does not answer".into())
        } else if let Some(misfit) = self.targets.misfits().into_iter().next() {
            Err(misfit.into())
        } else if !self.migrated.is_cancelled() {
            Err("the database is not migrated yet".into())
        } else {
            Ok(())
        }
    }

    async fn refresh(&self) {
        let misfits = i64::try_from(self.targets.misfits().len()).unwrap_or(i64::MAX);
        self.metrics.tables_misfits.set(misfits);
        if let Ok(depth) = self.partitions.depth().await {
            self.metrics.depth(depth);
        }
    }

    fn pages(&self) -> &'static [&'static str] {
        &status::PATHS
    }

    async fn page(&self, path: &str, query: &str) -> Option<admin::Page> {
        self.status.page(path, query).await
    }
}
