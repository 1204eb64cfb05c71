//! One backlog, drained by some workers into a new database.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::ensure;
use tokio::task::block_in_place;
use xtask::program::Program;

use super::{
    super::{
        backlog::{Backlog, EVENTS},
        process_usage::{cpu_seconds_of_family, usage},
        rows,
    },
    servers::{DEADLINE, Servers},
};

/// Backlogs up to this size are gone so fast that looking seldom would blur the result.
const SMALL: usize = 20_000;

/// What was measured in one round.
pub(crate) struct Outcome {
    pub(crate) events_per_second: f64,
    pub(crate) details: BTreeMap<String, f64>,
}

impl Servers {
    /// Lets workers that wait for entries have a backlog, and looks whether everything is where it must
    /// be once nothing is left of it.
    pub(crate) async fn drain(
        &mut self,
        backlog: &Backlog,
        workers: usize,
    ) -> anyhow::Result<Outcome> {
        let database = block_in_place(|| self.new_database())?;
        let workers = self.start_workers(workers, &database).await?;
        let before = self.cpu_seconds(&workers)?;
        backlog.put(&mut self.redis).await?;
        let begin = Instant::now();
        let pause = Duration::from_millis(if backlog.events <= SMALL { 5 } else { 50 });
        self.until_drained(&workers, pause).await?;
        let seconds = begin.elapsed().as_secs_f64();
        let after = self.cpu_seconds(&workers)?;
        self.verify(backlog, &database).await?;

        let mut details = cpu_details(&before, &after, backlog.events);
        let mut peak_memory = 0;
        for worker in &workers {
            peak_memory = peak_memory.max(usage(worker.pid())?.peak_memory_bytes);
        }
        details.insert(rows::peak_memory("worker"), peak_memory as f64 / 1e6);
        drop(workers);
        block_in_place(|| self.drop_database(&database))?;
        Ok(Outcome {
            events_per_second: backlog.events as f64 / seconds,
            details,
        })
    }

    /// Of everything that takes part, so far.
    pub(crate) fn cpu_seconds(&self, workers: &[Program]) -> anyhow::Result<CpuSeconds> {
        let mut of_workers = 0.0;
        for worker in workers {
            of_workers += usage(worker.pid())?.cpu_seconds;
        }
        Ok([
            ("worker", of_workers),
            ("Redis", usage(self.redis_pid)?.cpu_seconds),
            ("PostgreSQL", cpu_seconds_of_family(self.postgres_pid)?),
        ])
    }

    /// Waits until nothing is in the stream and nothing waits for its next attempt.
    pub(crate) async fn until_drained(
        &mut self,
        workers: &[Program],
        pause: Duration,
    ) -> anyhow::Result<()> {
        let mut left = usize::MAX;
        let mut progress = Instant::now();
        loop {
            let (backlog, waiting): (usize, usize) = redis::pipe()
                .atomic()
                .cmd("XLEN")
                .arg(EVENTS)
                .cmd("ZCARD")
                .arg("{clerk:0}:retry")
                .query_async(&mut self.redis)
                .await?;
            if backlog + waiting == 0 {
                return Ok(());
            }
            if backlog + waiting < left {
                left = backlog + waiting;
                progress = Instant::now();
            }
            let stuck = progress.elapsed() > DEADLINE;
            for worker in workers {
                ensure!(
                    worker.is_running() && !stuck,
                    "{left} events are left; {}:\n{}",
                    if stuck {
                        "nothing happens"
                    } else {
                        "a worker has ended"
                    },
                    last_lines(&worker.output())
                );
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn verify(&mut self, backlog: &Backlog, database: &str) -> anyhow::Result<()> {
        let mut length = redis::cmd("XLEN");
        let dead: usize = length
            .arg("{clerk:0}:dead")
            .query_async(&mut self.redis)
            .await?;
        let refused = backlog.refused;
        ensure!(dead == refused, "{dead} dead letters, not {refused}");
        for (table, expected) in [
            ("clerk_sync.events", backlog.events - refused),
            ("users", backlog.users),
        ] {
            let count = format!("select count(*) from {table}");
            let rows: usize = block_in_place(|| self.postgres.psql(database, &count))?.parse()?;
            ensure!(rows == expected, "{table} has {rows} rows, not {expected}");
        }
        Ok(())
    }
}

/// A worker writes a line an event.
fn last_lines(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// Processor time of each, in seconds.
pub(crate) type CpuSeconds = [(&'static str, f64); 3];

/// What was used between two looks.
pub(crate) fn cpu_details(
    before: &CpuSeconds,
    after: &CpuSeconds,
    events: usize,
) -> BTreeMap<String, f64> {
    let hundred_thousands = events as f64 / 100_000.0;
    before
        .iter()
        .zip(after)
        .map(|((who, before), (_, after))| {
            let name = format!("CPU of {who}, s per 100,000 events");
            (name, (after - before) / hundred_thousands)
        })
        .collect()
}
