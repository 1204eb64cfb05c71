//! What the ingest counts, in Prometheus' words and units.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::refused_connection::LooksLike;

/// The metrics; clones count together.
#[derive(Clone)]
pub struct Metrics {
    /// Requests by the status of their answer.
    pub requests: IntCounterVec,
    /// Requests that are no delivery of Svix, by what is wrong with them.
    pub verification_failures: IntCounterVec,
    /// Deliveries to a path that is not the endpoint's.
    pub missed_deliveries: IntCounter,
    /// Connections that never became a request, by what they looked like.
    pub refused_connections: IntCounterVec,
    /// From XADD to the acknowledgement of Redis, and of replicas where they are waited for.
    pub enqueue_seconds: Histogram,
    /// Events that too few replicas had in time.
    pub unreplicated: IntCounter,
    /// Connections that are open.
    pub open_connections: IntGauge,
}

impl Metrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// When `registry` has metrics of these names already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new(
                    "clerk_ingest_requests_total",
                    "Requests by the status of their answer",
                ),
                &["status"],
            )?,
            verification_failures: IntCounterVec::new(
                Opts::new(
                    "clerk_ingest_verification_failures_total",
                    "Requests that were refused with 400, by what was wrong with them",
                ),
                &["kind"],
            )?,
            missed_deliveries: IntCounter::new(
                "clerk_ingest_missed_deliveries_total",
                "POST requests with Svix headers to a path that is not the endpoint's",
            )?,
            refused_connections: IntCounterVec::new(
                Opts::new(
                    "clerk_ingest_refused_connections_total",
                    "Connections that never became a request, by what they looked like",
                ),
                &["kind"],
            )?,
            enqueue_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "clerk_ingest_enqueue_seconds",
                    "From sending an event to Redis to its acknowledgement",
                )
                .buckets(prometheus::exponential_buckets(0.000_25, 2.0, 16)?),
            )?,
            unreplicated: IntCounter::new(
                "clerk_ingest_unreplicated_total",
                "Events that were answered 503 because too few replicas had them in time",
            )?,
            open_connections: IntGauge::new(
                "clerk_ingest_open_connections",
                "Connections that are open",
            )?,
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.verification_failures.clone()))?;
        registry.register(Box::new(metrics.missed_deliveries.clone()))?;
        registry.register(Box::new(metrics.refused_connections.clone()))?;
        registry.register(Box::new(metrics.enqueue_seconds.clone()))?;
        registry.register(Box::new(metrics.unreplicated.clone()))?;
        registry.register(Box::new(metrics.open_connections.clone()))?;
        // Alarms compare with zero before the first failure.
        metrics.requests.with_label_values(&["503"]).inc_by(0);
        for kind in ["header", "timestamp", "signature", "body", "event"] {
            metrics
                .verification_failures
                .with_label_values(&[kind])
                .inc_by(0);
        }
        for kind in LooksLike::ALL {
            metrics
                .refused_connections
                .with_label_values(&[kind.name()])
                .inc_by(0);
        }
        Ok(metrics)
    }
}
