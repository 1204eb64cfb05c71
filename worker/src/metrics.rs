//! What the worker counts, in Prometheus' words and units.

use std::collections::BTreeMap;
use std::sync::{Arc, Once};
use std::time::Duration;

use prometheus::core::{Collector as _, Metric as _};
use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

use serde::Serialize;

/// The metrics; clones count together.
#[derive(Clone)]
pub struct Metrics {
    events: IntCounterVec,
    /// Entries of a batch.
    pub batch_size: Histogram,
    /// From the ingest's receipt to the commit.
    pub end_to_end_seconds: Histogram,
    /// Entries that were taken over from a worker that was gone.
    pub reclaimed: IntCounter,
    /// Events that were woken: what they waited for has changed.
    pub woken: IntCounter,
    /// Times that this worker found the consumer group gone, and with it what Redis held.
    pub queue_losses: IntCounter,
    /// Things of the tables file that do not fit the database.
    pub tables_misfits: IntGauge,
    /// Attempts that failed because a store was away.
    pub store_failures: IntCounterVec,
    backlog: IntGauge,
    pending: IntGauge,
    waiting_retries: IntGauge,
    dead_letters: IntGauge,
    oldest_entry_seconds: Gauge,
    registry: Registry,
    depth_is_known: Arc<Once>,
}

/// What waits where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Entries of the stream.
    pub backlog: i64,
    /// Entries of the stream that some consumer holds.
    pub pending: i64,
    /// Entries that wait for their next attempt.
    pub waiting_retries: i64,
    /// Dead letters.
    pub dead_letters: i64,
    /// How long the oldest entry has been in the stream.
    pub oldest_entry: Duration,
}

impl Depth {
    /// Both together; of the oldest entries, the older.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            backlog: self.backlog + other.backlog,
            pending: self.pending + other.pending,
            waiting_retries: self.waiting_retries + other.waiting_retries,
            dead_letters: self.dead_letters + other.dead_letters,
            oldest_entry: self.oldest_entry.max(other.oldest_entry),
        }
    }
}

/// What this process has counted since it began.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Counts {
    /// Events by what became of them in one attempt.
    pub outcomes: BTreeMap<String, u64>,
    /// Upper bounds in seconds, and how many events took no longer from receipt to commit; the last bound
    /// is the infinite one, `None`.
    pub latencies: Vec<(Option<f64>, u64)>,
}

impl Metrics {
    /// What has been counted up to now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for family in self.events.collect() {
            for metric in family.get_metric() {
                let mut labels = metric.get_label().iter();
                if let Some(outcome) = labels.find(|label| label.name() == "outcome") {
                    let value = metric.get_counter().get_value() as u64;
                    *counts
                        .outcomes
                        .entry(outcome.value().to_owned())
                        .or_default() += value;
                }
            }
        }
        let metric = self.end_to_end_seconds.metric();
        let histogram = metric.get_histogram();
        let bounded = histogram.get_bucket().iter();
        counts.latencies = bounded
            .map(|bucket| (Some(bucket.upper_bound()), bucket.cumulative_count()))
            .collect();
        counts.latencies.push((None, histogram.get_sample_count()));
        counts
    }

    /// Registers the metrics.
    ///
    /// # Errors
    /// When `registry` has metrics of these names already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counters =
            |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<IntCounterVec> {
                let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
                registry.register(Box::new(counters.clone()))?;
                Ok(counters)
            };
        let histogram =
            |name: &str, help: &str, buckets: Vec<f64>| -> prometheus::Result<Histogram> {
                let histogram =
                    Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?;
                registry.register(Box::new(histogram.clone()))?;
                Ok(histogram)
            };
        let reclaimed = IntCounter::new(
            "clerk_worker_reclaimed_total",
            "Entries that were taken over from a worker that was gone",
        )?;
        registry.register(Box::new(reclaimed.clone()))?;
        let woken = IntCounter::new(
            "clerk_worker_woken_total",
            "Events that were due at once because what they waited for has changed",
        )?;
        registry.register(Box::new(woken.clone()))?;
        let queue_losses = IntCounter::new(
            "clerk_worker_queue_losses_total",
            "Times that Redis had lost a stream and its consumer group, and what waited there",
        )?;
        registry.register(Box::new(queue_losses.clone()))?;
        let tables_misfits = IntGauge::new(
            "clerk_worker_tables_misfits",
            "Things of the tables file that do not fit the database; nothing is read until there are none",
        )?;
        registry.register(Box::new(tables_misfits.clone()))?;
        let oldest_entry_seconds = Gauge::new(
            "clerk_queue_oldest_entry_seconds",
            "How many seconds the oldest entry has been in its stream",
        )?;
        let metrics = Self {
            events: counters(
                "clerk_worker_events_total",
                "Events by type and by what became of them in one attempt",
                &["type", "outcome"],
            )?,
            batch_size: histogram(
                "clerk_worker_batch_size",
                "Entries of a batch",
                prometheus::exponential_buckets(1.0, 2.0, 12)?,
            )?,
            end_to_end_seconds: histogram(
                "clerk_worker_end_to_end_seconds",
                "From the ingest's receipt of an event to its commit",
                prometheus::exponential_buckets(0.001, 2.0, 24)?,
            )?,
            reclaimed,
            woken,
            queue_losses,
            tables_misfits,
            store_failures: counters(
                "clerk_worker_store_failures_total",
                "Attempts that failed because a store was away",
                &["store"],
            )?,
            backlog: IntGauge::new(
                "clerk_queue_backlog_entries",
                "Entries that wait or are being worked on",
            )?,
            pending: IntGauge::new("clerk_queue_pending_entries", "Entries that a worker holds")?,
            waiting_retries: IntGauge::new(
                "clerk_queue_waiting_retries_entries",
                "Entries that wait for their next attempt",
            )?,
            dead_letters: IntGauge::new("clerk_queue_dead_letters_entries", "Dead letters")?,
            oldest_entry_seconds,
            registry: registry.clone(),
            depth_is_known: Arc::new(Once::new()),
        };
        // Alarms compare with zero before the first failure.
        for store in ["redis", "postgres"] {
            metrics.store_failures.with_label_values(&[store]).inc_by(0);
        }
        Ok(metrics)
    }

    /// Counts one event. Types that nobody knows are counted as one, so that senders cannot make
    /// up time series.
    pub fn event(&self, event_type: &str, outcome: &str) {
        let event_type = match event_type {
            "user.created" | "user.updated" | "user.deleted" => event_type,
            _ => "other",
        };
        self.events.with_label_values(&[event_type, outcome]).inc();
    }

    /// Sets the gauges of the queue. There are none before the first time: nought would be a number that rises.
    pub fn depth(&self, depth: Depth) {
        self.depth_is_known.call_once(|| {
            let gauges = [
                &self.backlog,
                &self.pending,
                &self.waiting_retries,
                &self.dead_letters,
            ];
            // Nothing else has these names.
            for gauge in gauges {
                let _ = self.registry.register(Box::new(gauge.clone()));
            }
            let _ = self
                .registry
                .register(Box::new(self.oldest_entry_seconds.clone()));
        });
        self.backlog.set(depth.backlog);
        self.pending.set(depth.pending);
        self.waiting_retries.set(depth.waiting_retries);
        self.dead_letters.set(depth.dead_letters);
        let oldest_entry = depth.oldest_entry.as_secs_f64();
        self.oldest_entry_seconds.set(oldest_entry);
    }
}
