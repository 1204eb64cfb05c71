//! Deliveries that miss the endpoint, and connections that never become a request. They leave no error anywhere else
//! (P13), so they are counted and logged. Anybody can send them, so they are logged at most once a minute.

use std::time::Instant;

use hyper::HeaderMap;

use crate::metrics::Metrics;
use crate::once_a_minute::OnceAMinute;
use crate::refused_connection::LooksLike;

/// Characters of a wrong path that the log shows.
const SHOWN_OF_A_PATH: usize = 200;

/// Counts and logs them.
pub struct Misses {
    metrics: Metrics,
    delivery_line: OnceAMinute,
    connection_lines: [OnceAMinute; LooksLike::ALL.len()],
}

impl Misses {
    /// Counts in `metrics`.
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        Self {
            metrics,
            delivery_line: OnceAMinute::default(),
            connection_lines: Default::default(),
        }
    }

    /// A POST to `path`, which is not the endpoint's. One without the headers of Svix is no delivery.
    pub fn post(&self, path: &str, headers: &HeaderMap) {
        if !is_of_svix(headers) {
            return;
        }
        self.metrics.missed_deliveries.inc();
        if self.delivery_line.is_due(Instant::now()) {
            tracing::warn!(
                path = shown(path),
                "a delivery came to another path than WEBHOOK_PATH"
            );
        }
    }

    /// A connection that never became a request.
    pub fn connection(&self, looks_like: LooksLike) {
        let refused = &self.metrics.refused_connections;
        refused.with_label_values(&[looks_like.name()]).inc();
        if self.connection_lines[looks_like as usize].is_due(Instant::now()) {
            tracing::warn!(
                looks_like = looks_like.words(),
                "refused a connection that never became an HTTP/1.1 request"
            );
        }
    }
}

/// Whether a request claims to be a delivery of Svix.
fn is_of_svix(headers: &HeaderMap) -> bool {
    [
        "svix-id",
        "svix-signature",
        "webhook-id",
        "webhook-signature",
    ]
    .iter()
    .any(|name| headers.contains_key(*name))
}

/// The beginning of a path, in a line of a log.
fn shown(path: &str) -> String {
    let mut characters = path.chars();
    let beginning: String = characters.by_ref().take(SHOWN_OF_A_PATH).collect();
    let ellipsis = if characters.next().is_some() {
        "…"
    } else {
        ""
    };
    format!("{}{ellipsis}", beginning.escape_default())
}
