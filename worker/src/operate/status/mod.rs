//! The status page on the admin address: what a person on call looks at. It changes nothing.
//!
//! `/status` is the page, `/status.json` what it asks for every other second, and
//! `/status/event?svix_id=…` what `worker explain` says. However many look, the stores are asked once a
//! second at the most, and no batch waits for it: the page has its one connection to PostgreSQL.

mod ledger;
mod partition;
mod snapshot;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use shared::admin::{Page, StatusCode};
use shared::redis_link::RedisLink;
use tokio::sync::Mutex;

use self::ledger::Ledger;
use crate::apply::target::Targets;
use crate::database::Database;
use crate::finish::cache_tags::CacheTags;
use crate::metrics::Metrics;
use crate::operate::explain;
use shared::svix_id::SvixId;

/// Where the page is, and what it asks for.
pub const PATHS: [&str; 3] = [PAGE, SNAPSHOT, EVENT];
const PAGE: &str = "/status";
const SNAPSHOT: &str = "/status.json";
const EVENT: &str = "/status/event";

/// How long a snapshot is shown to everybody.
const FRESH: Duration = Duration::from_secs(1);
/// How long one look-up waits for another to end.
const LOOK_UP_WAIT: Duration = Duration::from_secs(2);

/// What the page tells of.
pub struct Sources {
    /// The queue's Redis.
    pub link: RedisLink,
    /// The cache's Redis.
    pub cache_tags: CacheTags,
    /// Connections that nobody else needs.
    pub database: Database,
    /// Which tables are written, and whether they can be.
    pub targets: Targets,
    /// What this worker counts.
    pub metrics: Metrics,
    /// This worker's name.
    pub consumer: String,
    /// How many partitions it reads.
    pub partitions: u32,
    /// For how many days the ledger is kept.
    pub retention_days: i32,
}

/// The page, and what it has last seen.
pub struct Status {
    sources: Sources,
    /// Held while a snapshot is taken, so that a crowd of viewers shares it.
    latest: Mutex<Latest>,
    /// Held while an event is looked for.
    look_up: Mutex<()>,
}

#[derive(Default)]
struct Latest {
    ledger: Ledger,
    taken: Option<(Instant, String)>,
}

impl Status {
    /// Asks nothing yet.
    #[must_use]
    pub fn new(sources: Sources) -> Self {
        Self {
            sources,
            latest: Mutex::default(),
            look_up: Mutex::default(),
        }
    }

    /// What is at one of [`PATHS`].
    pub async fn page(&self, path: &str, query: &str) -> Option<Page> {
        match path {
            PAGE => Some(HTML.clone()),
            SNAPSHOT => Some(json_page(StatusCode::OK, self.snapshot().await)),
            EVENT => Some(self.event(query).await),
            _ => None,
        }
    }

    async fn snapshot(&self) -> String {
        let mut latest = self.latest.lock().await;
        if let Some((at, snapshot)) = &latest.taken
            && at.elapsed() < FRESH
        {
            return snapshot.clone();
        }
        let snapshot = snapshot::take(&self.sources, &mut latest.ledger).await;
        let snapshot = text(&snapshot);
        latest.taken = Some((Instant::now(), snapshot.clone()));
        snapshot
    }

    async fn event(&self, query: &str) -> Page {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let value = pairs.find(|(name, _)| *name == "svix_id");
        let value = value.map_or("", |(_, value)| value);
        let svix_id = percent_decode_str(value).decode_utf8_lossy();
        let Some(svix_id) = SvixId::parse_plain(svix_id.trim()) else {
            let error = "a svix-id has letters, digits, _ - and . only: msg_…";
            return json_page(
                StatusCode::BAD_REQUEST,
                json!({ "error": error }).to_string(),
            );
        };
        let Ok(_turn) = tokio::time::timeout(LOOK_UP_WAIT, self.look_up.lock()).await else {
            return unavailable("another look-up is under way: try again");
        };
        let Sources {
            link,
            database,
            retention_days,
            ..
        } = &self.sources;
        let limits = explain::Limits::PAGE;
        let explanation = explain::explain(link, database, *retention_days, limits, &svix_id).await;
        let answer = json!({ "text": explanation.to_string(), "explanation": explanation });
        json_page(StatusCode::OK, answer.to_string())
    }
}

fn unavailable(error: &str) -> Page {
    let body = json!({ "error": error }).to_string();
    json_page(StatusCode::SERVICE_UNAVAILABLE, body)
}

fn text(value: &impl Serialize) -> String {
    // Nothing in it can fail: no map has keys that are not text.
    serde_json::to_string(value).unwrap_or_default()
}

fn json_page(status: StatusCode, body: String) -> Page {
    Page {
        status,
        content_type: "application/json",
        content_security_policy: "default-src 'none'; frame-ancestors 'none'".to_owned(),
        body: body.into(),
    }
}

static HTML: LazyLock<Page> = LazyLock::new(|| {
    let style = include_str!("page/status.css");
    let script = include_str!("page/status.js");
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    let body = include_str!("page/status.html")
        .replace("STYLE", style)
        .replace("SCRIPT", script);
    let content_security_policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; \
         img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        hash(style),
        hash(script),
    );
    Page {
        status: StatusCode::OK,
        content_type: "text/html; charset=utf-8",
        content_security_policy,
        body: body.into(),
    }
});
