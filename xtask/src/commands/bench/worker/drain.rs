//! One backlog, drained by some workers into a new database.

use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::task::block_in_place;
use xtask::program::Program;

use super::super::{
    backlog::Backlog,
    measurement::Round,
    process_usage::{cpu_seconds_of_family, usage},
    rows,
    stores::{Stores, Table},
};

/// Backlogs up to this size are gone so fast that looking seldom would blur the result.
const SMALL: usize = 20_000;

impl Stores {
    /// Lets workers that wait for entries have a backlog, and looks whether everything is where it must
    /// be once nothing is left of it.
    pub(crate) async fn drain(
        &mut self,
        backlog: &Backlog,
        workers: usize,
        table: Table,
    ) -> anyhow::Result<Round> {
        let database = block_in_place(|| self.new_database(table))?;
        let workers = self.start_workers(workers, &database, table).await?;
        let before = self.cpu_seconds(&workers)?;
        backlog.put(&mut self.redis).await?;
        let begin = Instant::now();
        let pause = Duration::from_millis(if backlog.events <= SMALL { 5 } else { 50 });
        self.until_drained(&workers, pause).await?;
        let seconds = begin.elapsed().as_secs_f64();
        let after = self.cpu_seconds(&workers)?;
        self.verify(backlog, &database, table).await?;

        let mut peak_memory = 0;
        for worker in &workers {
            peak_memory = peak_memory.max(usage(worker.pid())?.peak_memory_bytes);
        }
        drop(workers);
        block_in_place(|| self.drop_database(&database))?;
        let mut round = Round::new(backlog.events as f64 / seconds)
            .detail(rows::peak_memory("worker"), peak_memory as f64 / 1e6);
        for (who, seconds) in cpu_between(&before, &after, backlog.events) {
            round = round.detail(cpu_of(who), seconds);
        }
        Ok(round)
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

    async fn verify(
        &mut self,
        backlog: &Backlog,
        database: &str,
        table: Table,
    ) -> anyhow::Result<()> {
        let mut length = redis::cmd("XLEN");
        let dead: usize = length
            .arg("{clerk:0}:dead")
            .query_async(&mut self.redis)
            .await?;
        let refused = backlog.refused;
        ensure!(dead == refused, "{dead} dead letters, not {refused}");
        for (table, expected) in [
            ("clerk_sync.events", backlog.events - refused),
            (table.name(), backlog.rows),
        ] {
            let count = format!("select count(*) from {table}");
            let rows: usize = block_in_place(|| self.postgres.psql(database, &count))?.parse()?;
            ensure!(rows == expected, "{table} has {rows} rows, not {expected}");
        }
        Ok(())
    }
}

/// Processor time of each, in seconds.
pub(crate) type CpuSeconds = [(&'static str, f64); 3];

/// What was used between two looks, in seconds per 100,000 events.
pub(crate) fn cpu_between(before: &CpuSeconds, after: &CpuSeconds, events: usize) -> CpuSeconds {
    let mut used = *after;
    for ((_, seconds), (_, before)) in used.iter_mut().zip(before) {
        *seconds = (*seconds - before) / (events as f64 / 100_000.0);
    }
    used
}

/// The name of that detail.
pub(crate) fn cpu_of(who: &str) -> String {
    format!("CPU of {who}, s per 100,000 events")
}
