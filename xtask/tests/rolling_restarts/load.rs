//! A steady load of signed events.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::{
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use xtask::{clerk_payload::UserPayload, sender::Sender, wait};

const DEADLINE: Duration = Duration::from_secs(60);

/// An event, and what came of its only delivery.
pub(crate) struct Delivered {
    pub(crate) svix_id: String,
    /// When it was to be sent: an event that the sender itself is late with is late.
    pub(crate) due: SystemTime,
    /// The status, or why there was none.
    pub(crate) answer: String,
}

/// Events that are sent until they are stopped, each for a user of its own.
pub(crate) struct Load {
    stop: CancellationToken,
    answered: Arc<AtomicUsize>,
    task: JoinHandle<Vec<Delivered>>,
}

impl Load {
    /// Sends at a steady rate, however long the answers take, and everything once: what is not
    /// answered 200 is not sent again.
    pub(crate) fn start(name: &'static str, sender: &Sender, events_a_second: f64) -> Self {
        let stop = CancellationToken::new();
        let answered = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(send(
            name,
            sender.clone(),
            events_a_second,
            stop.clone(),
            Arc::clone(&answered),
        ));
        Self {
            stop,
            answered,
            task,
        }
    }

    /// Waits until so many more events are answered.
    pub(crate) async fn wait_for(&self, events: usize) -> anyhow::Result<()> {
        let enough = self.answered.load(Ordering::Relaxed) + events;
        wait::until("events are answered", DEADLINE, async || {
            self.answered.load(Ordering::Relaxed) >= enough
        })
        .await
    }

    /// Ends the load when the last answer is there.
    pub(crate) async fn stop(self) -> Vec<Delivered> {
        self.stop.cancel();
        self.task.await.unwrap()
    }
}

async fn send(
    name: &'static str,
    sender: Sender,
    events_a_second: f64,
    stop: CancellationToken,
    answered: Arc<AtomicUsize>,
) -> Vec<Delivered> {
    let (begin, begin_by_the_calendar) = (Instant::now(), SystemTime::now());
    let mut deliveries = JoinSet::new();
    for number in 0_u32.. {
        let after = Duration::from_secs_f64(f64::from(number) / events_a_second);
        let due = sleep_until(begin + after);
        if stop.run_until_cancelled(due).await.is_none() {
            break;
        }
        let (sender, answered) = (sender.clone(), Arc::clone(&answered));
        deliveries.spawn(async move {
            let svix_id = format!("msg_{name}_{number}");
            let user = UserPayload::new(
                &format!("user_{name}_{number}"),
                &format!("{name}{number}@example.com"),
            );
            let answer = match sender.send(&svix_id, &user.created()).await {
                Ok(answer) => answer.status.to_string(),
                Err(error) => format!("{error:#}"),
            };
            answered.fetch_add(1, Ordering::Relaxed);
            Delivered {
                svix_id,
                due: begin_by_the_calendar + after,
                answer,
            }
        });
    }
    deliveries.join_all().await
}
