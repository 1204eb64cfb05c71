//! A sender that behaves as Svix does: what is not answered 2xx comes again with the same svix-id,
//! signed anew. It is less patient, so that a run takes minutes and not days.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context as _;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use xtask::sender::Sender;

use super::{
    cache::{Cache, GLOBAL_TAG, entry_before, tag_of},
    events::Event,
};

/// Svix: 15 s.
const ANSWER_DEADLINE: Duration = Duration::from_secs(6);
/// Svix: 5 s, 5 min, 30 min, … up to days.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// One event in so many is sent once more after it was answered 2xx, and one at the same time.
const DOUBLED: u32 = 16;
/// One cached entry in so many shows all users.
const GLOBAL_ENTRIES: usize = 8;

/// What came of the deliveries of one event.
pub(crate) struct Delivered {
    pub(crate) svix_id: String,
    /// When the first delivery was begun.
    pub(crate) begun: Instant,
    /// The entry of the cache that was written before it, if Redis said that it was.
    pub(crate) cached: Option<Cached>,
    /// When it was first answered 2xx.
    pub(crate) accepted: Option<SystemTime>,
    /// Of every delivery: the status, or that there was no answer.
    pub(crate) answers: BTreeMap<String, u32>,
}

/// An entry of the cache that was written before an event was sent.
pub(crate) struct Cached {
    pub(crate) at: Instant,
    pub(crate) tag: String,
}

/// Who sends.
pub(crate) struct Deliveries {
    /// One for each ingest.
    pub(crate) senders: Vec<Sender>,
    pub(crate) cache: Cache,
    /// After this the sender gives up.
    pub(crate) give_up: Instant,
}

impl Deliveries {
    /// Sends `events` in this order, `rate` of them a second however long the answers take, each
    /// until it is answered 2xx.
    pub(crate) async fn of_all(
        self,
        events: &[Arc<Event>],
        rate: f64,
        random: &mut StdRng,
    ) -> anyhow::Result<Vec<Delivered>> {
        let deliveries = Arc::new(self);
        let mut tasks = JoinSet::new();
        let mut clock = interval(Duration::from_secs_f64(1.0 / rate));
        clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for (number, event) in events.iter().enumerate() {
            clock.tick().await;
            let (deliveries, event) = (Arc::clone(&deliveries), Arc::clone(event));
            let random = StdRng::from_rng(random);
            tasks.spawn(async move { deliveries.of_one(number, &event, random).await });
        }
        let mut delivered = Vec::new();
        while let Some(of_one) = tasks.join_next().await {
            delivered.push(of_one.context("a task of the sender has ended")?);
        }
        Ok(delivered)
    }

    async fn of_one(&self, number: usize, event: &Event, mut random: StdRng) -> Delivered {
        let tag = if number.is_multiple_of(GLOBAL_ENTRIES) {
            GLOBAL_TAG.to_owned()
        } else {
            tag_of(event.family, &event.object_id)
        };
        let written = self.cache.fill(&entry_before(&event.svix_id), &tag).await;
        let cached = written.then(|| Cached {
            at: Instant::now(),
            tag,
        });
        let mut delivered = Delivered {
            svix_id: event.svix_id.clone(),
            begun: Instant::now(),
            cached,
            accepted: None,
            answers: BTreeMap::new(),
        };
        let mut ingest = random.random_range(0..self.senders.len());
        if random.random_ratio(1, DOUBLED) {
            let other = (ingest + 1) % self.senders.len();
            let (first, second) = tokio::join!(self.send(ingest, event), self.send(other, event));
            delivered.note(first);
            delivered.note(second);
        } else {
            delivered.note(self.send(ingest, event).await);
        }
        let mut pause = FIRST_PAUSE;
        while delivered.accepted.is_none() && Instant::now() < self.give_up {
            sleep(pause.mul_f64(random.random_range(0.5..1.0))).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            // As a load balancer would.
            ingest = (ingest + 1) % self.senders.len();
            delivered.note(self.send(ingest, event).await);
        }
        if random.random_ratio(1, DOUBLED) {
            sleep(Duration::from_millis(random.random_range(0..5_000))).await;
            delivered.note(self.send(ingest, event).await);
        }
        delivered
    }

    async fn send(&self, ingest: usize, event: &Event) -> Result<u16, &'static str> {
        match timeout(
            ANSWER_DEADLINE,
            self.senders[ingest].send(&event.svix_id, &event.body),
        )
        .await
        {
            Ok(Ok(answer)) => Ok(answer.status),
            Ok(Err(_)) => Err("no connection"),
            Err(_) => Err("no answer in time"),
        }
    }
}

impl Delivered {
    fn note(&mut self, answer: Result<u16, &'static str>) {
        if matches!(answer, Ok(200..300)) {
            self.accepted.get_or_insert_with(SystemTime::now);
        }
        let answer = answer.map_or_else(str::to_owned, |status| status.to_string());
        *self.answers.entry(answer).or_default() += 1;
    }
}
