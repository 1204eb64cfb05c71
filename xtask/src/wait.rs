//! Waiting for a condition with a deadline, in place of sleeping for a duration.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{anyhow, bail};

const INTERVAL: Duration = Duration::from_millis(20);

/// Waits until `condition` holds, looking every 20 ms.
///
/// # Errors
///
/// When it does not hold within `deadline`; the message says `what` was waited for. A `condition`
/// that hangs is cut off at the deadline too.
pub async fn until(
    what: &str,
    deadline: Duration,
    condition: impl AsyncFnMut() -> bool,
) -> anyhow::Result<()> {
    until_every(INTERVAL, what, deadline, condition).await
}

/// The same, with another time between two looks.
pub(crate) async fn until_every(
    interval: Duration,
    what: &str,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> bool,
) -> anyhow::Result<()> {
    let met = async {
        while !condition().await {
            tokio::time::sleep(interval).await;
        }
    };
    tokio::time::timeout(deadline, met)
        .await
        .map_err(|_| anyhow!("waited {deadline:?} in vain until {what}"))
}

/// The same for code that is not asynchronous; it blocks the thread.
///
/// # Errors
///
/// When `condition` does not hold within `deadline`.
pub fn block_until(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> bool,
) -> anyhow::Result<()> {
    let begin = Instant::now();
    while !condition() {
        if begin.elapsed() > deadline {
            bail!("waited {deadline:?} in vain until {what}");
        }
        thread::sleep(INTERVAL);
    }
    Ok(())
}
