//! Waiting for a store that is away. An outage counts against nobody (P8): the batch stays in memory and in the pending
//! list.
//!
//! A store is asked again after 100 ms, doubling to 2 s. A hang is noticed after 5 s (Redis) or 15 s (PostgreSQL; 100 s if
//! its machine still answers but the server does not).

use redis::RedisResult;
use shared::redis_link;
use tokio_util::sync::CancellationToken;

use crate::back_off::BackOff;
use crate::database::failure::Failure;
use crate::metrics::Metrics;

/// The process is to stop and a store is away: what is left is handed back.
#[derive(Debug)]
pub struct Interrupted;

/// Waits until a store is back, or the process is to stop.
#[derive(Clone)]
pub struct Outages {
    /// What is counted.
    pub metrics: Metrics,
    /// Cancelled once the process is to stop.
    pub stop: CancellationToken,
}

impl Outages {
    /// Says something to Redis until it answers.
    ///
    /// # Errors
    /// When the process is to stop first.
    pub async fn until_redis_answers<T, F: Future<Output = RedisResult<T>>>(
        &self,
        command: impl Fn() -> F,
    ) -> Result<T, Interrupted> {
        let mut back_off = BackOff::of_a_store();
        loop {
            match command().await {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    self.wait("redis", &redis_link::reason(&error), &mut back_off)
                        .await?;
                }
            }
        }
    }

    /// Asks PostgreSQL until it answers.
    ///
    /// # Errors
    /// When the process is to stop first.
    pub async fn until_postgres_answers<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        question: impl Fn() -> F,
    ) -> Result<T, Interrupted> {
        let mut back_off = BackOff::of_a_store();
        loop {
            match question().await {
                Ok(answer) => return Ok(answer),
                Err(failure) => {
                    self.wait("postgres", failure.reason(), &mut back_off)
                        .await?;
                }
            }
        }
    }

    /// Waits before `store`, which was away for this `reason`, is tried again.
    ///
    /// # Errors
    /// When the process is to stop.
    pub async fn wait(
        &self,
        store: &str,
        reason: &str,
        back_off: &mut BackOff,
    ) -> Result<(), Interrupted> {
        self.metrics
            .store_failures
            .with_label_values(&[store])
            .inc();
        tracing::warn!(store, reason, "a store is away: waiting for it");
        let wait = tokio::time::sleep(back_off.after_failure());
        self.stop.run_until_cancelled(wait).await.ok_or(Interrupted)
    }
}
