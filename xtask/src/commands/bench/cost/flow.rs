//! A steady flow of signed events: as many as the ingest takes.

use std::time::{Duration, Instant};

use anyhow::ensure;
use rand::{SeedableRng as _, rngs::StdRng};
use tokio::task::JoinSet;
use xtask::sender::Sender;

use super::super::backlog::{
    body::{Body, Values},
    token,
};

/// How many send at the same time, each the next one when the last was answered.
const SENDERS: u64 = 64;

/// Sends events of different users for a while and returns how many were answered 200. Any other answer
/// is an error.
pub(crate) async fn send(sender: &Sender, duration: Duration) -> anyhow::Result<usize> {
    let end = Instant::now() + duration;
    let mut senders = JoinSet::new();
    for seed in 0..SENDERS {
        senders.spawn(send_one_by_one(sender.clone(), seed, end));
    }
    let mut accepted = 0;
    while let Some(sent) = senders.join_next().await {
        accepted += sent??;
    }
    Ok(accepted)
}

async fn send_one_by_one(sender: Sender, seed: u64, end: Instant) -> anyhow::Result<usize> {
    // Not the seed of a backlog.
    let mut random = StdRng::seed_from_u64(1_000_000 + seed);
    let body = Body::new();
    let mut accepted = 0;
    while Instant::now() < end {
        let payload = body.fill(&Values {
            event_type: "user.created",
            user_id: &format!("user_{}", token(&mut random)),
            first_name: "Ada",
            created_at: 1_716_883_200_381,
            updated_at: 1_716_883_200_406,
        });
        let svix_id = format!("msg_{}", token(&mut random));
        let answer = sender.send(&svix_id, &payload).await?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
        accepted += 1;
    }
    Ok(accepted)
}
