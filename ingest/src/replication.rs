//! XADD, and the acknowledgement of replicas before ours.
//!
//! WAIT and WAITAOF speak for what was written over their own connection, and block whatever is sent
//! over it behind them. So no event waits alone: those that come while one wait lasts go out
//! together, with one wait behind them. When replicas are missing, an event is answered after two of
//! these waits at the most, however many others there are. What goes out together is for one
//! partition: others may lie on other servers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, Value};
use shared::queue::Keys;
use shared::redis_link::RedisLink;
use shared::redis_servers::RedisServers;
use tokio::sync::{mpsc, oneshot};

use crate::not_queued::NotQueued;

/// How many connections share the events. Redis reads 16 KiB of a connection, some seven events, between
/// two writes to its append-only file (`readQueryFromClient` in
/// <https://github.com/redis/redis/blob/7.0/src/networking.c>). What comes over several connections
/// at once shares one write, and one wait for the disk.
pub const CONNECTIONS: usize = 8;

/// How long replicas may take; a replica that syncs every write to a busy disk may well need a second.
/// Less than `shared::redis_link::RESPONSE_TIMEOUT`, or it would look like a hanging Redis.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many events share a wait at the most.
const EVENTS_AT_ONCE: usize = 128;

/// Writes events to Redis and waits for replicas.
pub struct Replication {
    /// Of each partition.
    writers: Vec<Vec<mpsc::Sender<Addition>>>,
    /// How many events there have been.
    events: AtomicUsize,
}

struct Addition {
    command: Cmd,
    answer: oneshot::Sender<Result<(), NotQueued>>,
}

/// Owns one connection: the writes and their wait must go over the same.
struct Writer {
    link: RedisLink,
    /// The stream of its partition.
    stream: String,
    replicas: u64,
    /// Whether this server has WAITAOF (Redis 7.2). `None` until it has been asked.
    has_waitaof: Option<bool>,
}

impl Replication {
    /// Waits for `replicas` of each server of `servers`. Call it inside the runtime.
    ///
    /// # Errors
    /// As [`RedisLink::new`].
    pub fn new(servers: &RedisServers, partitions: u32, replicas: u64) -> RedisResult<Self> {
        let partitions = partitions.max(1);
        let writers_of_each = CONNECTIONS.div_ceil(partitions as usize);
        let writer_of = |partition| {
            let writer = Writer {
                // Svix tries again: half a batch that is repeated would stand on the stream twice.
                link: RedisLink::without_retries(servers)?,
                stream: Keys::of(partition).events,
                replicas,
                has_waitaof: None,
            };
            let (sender, additions) = mpsc::channel(EVENTS_AT_ONCE);
            tokio::spawn(writer.run(additions));
            Ok(sender)
        };
        let writers_of = |partition| (0..writers_of_each).map(|_| writer_of(partition)).collect();
        Ok(Self {
            writers: (0..partitions)
                .map(writers_of)
                .collect::<RedisResult<_>>()?,
            events: AtomicUsize::new(0),
        })
    }

    /// Runs an XADD to the stream of a partition. When this returns `Ok`, Redis and enough replicas have
    /// acknowledged the entry.
    ///
    /// # Errors
    /// When they have not.
    pub async fn add(&self, partition: usize, command: Cmd) -> Result<(), NotQueued> {
        let writers = &self.writers[partition];
        let turn = self.events.fetch_add(1, Ordering::Relaxed) % writers.len();
        let (answer, answered) = oneshot::channel();
        // Either fails only when a writer has panicked.
        let ended = |_| NotQueued::Unavailable((ErrorKind::Client, "a writer has ended").into());
        let addition = Addition { command, answer };
        let sent = writers[turn].send(addition).await;
        sent.map_err(|_| ()).map_err(ended)?;
        answered.await.map_err(|_| ()).map_err(ended)?
    }
}

impl Writer {
    async fn run(mut self, mut additions: mpsc::Receiver<Addition>) {
        let mut batch = Vec::with_capacity(EVENTS_AT_ONCE);
        while additions.recv_many(&mut batch, EVENTS_AT_ONCE).await > 0 {
            let (commands, answers): (Vec<_>, Vec<_>) = batch
                .drain(..)
                .map(|addition| (addition.command, addition.answer))
                .unzip();
            let outcomes = self.write(commands).await;
            if outcomes.is_err() {
                // The next connection may lead to a server of another version.
                self.has_waitaof = None;
            }
            // Whoever does not listen any more has lost its connection.
            match outcomes {
                Ok(outcomes) => {
                    for (answer, outcome) in answers.into_iter().zip(outcomes) {
                        let _ = answer.send(outcome);
                    }
                }
                Err(error) => {
                    for answer in answers {
                        let _ = answer.send(Err(NotQueued::Unavailable(error.clone())));
                    }
                }
            }
        }
    }

    /// What became of each; fails when that is unknown of all.
    async fn write(&mut self, commands: Vec<Cmd>) -> RedisResult<Vec<Result<(), NotQueued>>> {
        let on_disk = self.waits_for_disks().await?;
        // No transaction: inside one WAIT does not wait.
        let mut pipeline = redis::Pipeline::with_capacity(commands.len() + 1);
        for command in commands {
            pipeline.add_command(command);
        }
        if on_disk {
            pipeline.cmd("WAITAOF").arg(1);
        } else {
            pipeline.cmd("WAIT");
        }
        pipeline.arg(self.replicas).arg(PATIENCE.as_millis() as u64);
        let mut values = self
            .link
            .req_packed_commands(&pipeline, 0, pipeline.len())
            .await?;
        let waited = values.pop().unwrap_or(Value::Nil);
        let acknowledged = acknowledgements(waited, on_disk);
        Ok(values
            .into_iter()
            .map(|added| {
                added.extract_error().map_err(NotQueued::Unavailable)?;
                match &acknowledged {
                    Ok(replicas) if *replicas >= self.replicas => Ok(()),
                    Ok(replicas) => Err(NotQueued::TooFewReplicas(*replicas)),
                    Err(error) => Err(NotQueued::Unavailable(error.clone())),
                }
            })
            .collect())
    }

    /// Whether replicas are asked for their disks, or, by a server that knows no WAITAOF, for their memory.
    async fn waits_for_disks(&mut self) -> RedisResult<bool> {
        if let Some(known) = self.has_waitaof {
            return Ok(known);
        }
        // Waits for nobody. The stream leads to the server that is meant.
        let mut question = redis::pipe();
        question.cmd("EXISTS").arg(&self.stream);
        question.cmd("WAITAOF").arg(0).arg(0).arg(0);
        let answer = self.link.req_packed_commands(&question, 0, 2).await?.pop();
        // Whatever else the server objects to, it does to XADD as well.
        let has_waitaof = match answer.map(Value::extract_error) {
            Some(Err(error)) => !is_unknown_command(&error),
            _ => true,
        };
        self.has_waitaof = Some(has_waitaof);
        Ok(has_waitaof)
    }
}

/// How many replicas have acknowledged, in the answer to WAITAOF or WAIT. None, if the disk of the master
/// itself has not.
fn acknowledgements(answer: Value, on_disk: bool) -> RedisResult<u64> {
    let answer = answer.extract_error()?;
    if on_disk {
        let (master, replicas) = <(u64, u64)>::from_redis_value(answer)?;
        return Ok(if master == 0 { 0 } else { replicas });
    }
    Ok(u64::from_redis_value(answer)?)
}

fn is_unknown_command(error: &RedisError) -> bool {
    error
        .detail()
        .is_some_and(|text| text.starts_with("unknown command"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P1: without its own disk the master counts for nothing, however many replicas there are.
    #[test]
    fn the_answer_to_waitaof_counts_replicas_once_the_master_has_written() {
        let answer =
            |master, replicas| Value::Array(vec![Value::Int(master), Value::Int(replicas)]);
        assert_eq!(acknowledgements(answer(1, 2), true).unwrap(), 2);
        assert_eq!(acknowledgements(answer(1, 0), true).unwrap(), 0);
        assert_eq!(acknowledgements(answer(0, 2), true).unwrap(), 0);
    }
}
