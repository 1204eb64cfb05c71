//! How many entries wait, while something else happens.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use redis::aio::MultiplexedConnection;

use crate::commands::bench::backlog::EVENTS;

const INTERVAL: Duration = Duration::from_millis(100);

/// The backlog of a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backlog {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) most: u64,
}

/// XLEN.
pub(crate) async fn length(redis: &mut MultiplexedConnection) -> anyhow::Result<u64> {
    Ok(redis::cmd("XLEN").arg(EVENTS).query_async(redis).await?)
}

/// Watches the backlog from `start` on until `work` is done.
pub(crate) async fn watch<T>(
    redis: &mut MultiplexedConnection,
    start: Instant,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<(T, Backlog)> {
    let mut work = pin!(work);
    let mut readings = Vec::new();
    let mut next = start;
    let done = loop {
        tokio::select! {
            done = &mut work => break done?,
            () = tokio::time::sleep_until(next.into()) => readings.push(length(redis).await?),
        }
        next += INTERVAL;
    };
    readings.push(length(redis).await?);
    let backlog = Backlog {
        start: readings.first().copied().unwrap_or_default(),
        end: readings.last().copied().unwrap_or_default(),
        most: readings.iter().copied().max().unwrap_or_default(),
    };
    Ok((done, backlog))
}
