//! All queues of this worker, one for each partition.
//!
//! Nothing here depends on which events are in which partition: only the ingest decides that.

use std::sync::Arc;

use redis::{ErrorKind, RedisResult};
use shared::partition::MOST_PARTITIONS;
use shared::redis_link::RedisLink;
use shared::redis_servers::RedisServers;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::back_off::BackOff;
use crate::metrics::Depth;
use crate::source::losses::Losses;
use crate::source::queue::Queue;

/// The queues, in the order of their numbers.
#[derive(Clone)]
pub struct Partitions {
    queues: Vec<Queue>,
    /// What waited where when a partition was last asked.
    depths: Arc<Mutex<Vec<Depth>>>,
}

impl Partitions {
    /// `count` partitions, at least one, for the consumer called `consumer`. They share `link`, but a
    /// blocking read has a connection of its own. What Redis has lost goes to `losses`.
    ///
    /// # Errors
    /// When `servers` are none that the `redis` crate can talk to.
    pub fn new(
        link: &RedisLink,
        servers: &RedisServers,
        count: u32,
        consumer: &str,
        losses: &Losses,
    ) -> RedisResult<Self> {
        let queue = |partition| {
            let reading = RedisLink::without_retries(servers)?;
            Ok(
                Queue::new(partition, link.clone(), reading, consumer.to_owned())
                    .telling(losses.clone()),
            )
        };
        let queues: Vec<_> = (0..count.max(1)).map(queue).collect::<RedisResult<_>>()?;
        Ok(Self {
            depths: Arc::new(Mutex::new(vec![Depth::default(); queues.len()])),
            queues,
        })
    }

    /// All queues.
    pub fn iter(&self) -> impl Iterator<Item = &Queue> {
        self.queues.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.queues.len()).unwrap_or(MOST_PARTITIONS)
    }

    /// The queue of a partition, if it is one of these.
    #[must_use]
    pub fn get(&self, partition: u32) -> Option<&Queue> {
        self.queues.get(partition as usize)
    }

    /// What waits where, in all of them together; of the oldest entries, the oldest. Of a partition whose server
    /// does not answer while others do, what it was last.
    ///
    /// # Errors
    /// When no partition can be asked.
    pub async fn depth(&self) -> RedisResult<Depth> {
        let mut asking = JoinSet::new();
        for (number, queue) in self.queues.iter().cloned().enumerate() {
            asking.spawn(async move { (number, queue.depth().await) });
        }
        let mut outcome = Err((ErrorKind::Client, "no partition was asked").into());
        let mut depths = self.depths.lock().await;
        while let Some(Ok((number, depth))) = asking.join_next().await {
            match depth {
                Ok(depth) => {
                    depths[number] = depth;
                    outcome = Ok(());
                }
                Err(error) => outcome = outcome.or(Err(error)),
            }
        }
        outcome.map(|()| depths.iter().copied().fold(Depth::default(), Depth::with))
    }

    /// Leaves all of them at once: puts all that this consumer holds back and removes it. Returns how many
    /// entries were put back, and in how many partitions that failed.
    pub async fn leave(&self) -> (u64, usize) {
        let mut leaving = JoinSet::new();
        for queue in &self.queues {
            let queue = queue.clone();
            leaving.spawn(async move { queue.leave().await });
        }
        let (mut entries, mut failed) = (0, 0);
        while let Some(left) = leaving.join_next().await {
            match left {
                Ok(Ok(count)) => entries += count,
                _ => failed += 1,
            }
        }
        (entries, failed)
    }
}

/// Says once which partitions hold something that this worker, which reads `count`, does not read: there
/// were more of them once, or there are for the ingests.
pub async fn warn_of_unread(link: RedisLink, count: u32, stop: CancellationToken) {
    let mut back_off = BackOff::of_a_store();
    let mut partition = count;
    while partition < MOST_PARTITIONS && !stop.is_cancelled() {
        let queue = Queue::new(partition, link.clone(), link.clone(), String::new());
        match queue.depth().await {
            Ok(depth) if depth == Depth::default() => partition += 1,
            Ok(depth) => {
                tracing::warn!(
                    partition,
                    entries = depth.backlog,
                    waiting_retries = depth.waiting_retries,
                    dead_letters = depth.dead_letters,
                    "this worker does not read a partition that is not empty: \
                     its REDIS_PARTITIONS is less than another program's is, or was"
                );
                partition += 1;
            }
            // Whoever uses the store next says so.
            Err(_) => {
                let wait = tokio::time::sleep(back_off.after_failure());
                stop.run_until_cancelled(wait).await;
            }
        }
    }
}
