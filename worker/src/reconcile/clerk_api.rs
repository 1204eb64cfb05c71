//! The part of Clerk's Backend API that is needed: <https://clerk.com/docs/reference/backend-api>.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use hyper::{Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::value::RawValue;
use shared::tls;
use tokio::time::{Interval, MissedTickBehavior};

use crate::event::object::ObjectId;
use crate::reconcile::patience::Patience;
use crate::reconcile::progress::Progress;

/// How many users a page has: the most that the API gives.
pub const PAGE: usize = 500;
/// Between the beginnings of two requests. Development instances allow 100 requests in 10 s, production
/// instances 1000 (<https://clerk.com/docs/guides/how-clerk-works/system-limits>); the application has a
/// part in it too.
const PACE: Duration = Duration::from_millis(125);
/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long an answer may be, in bytes: 256 KiB a user, most of it metadata.
const LONGEST_ANSWER: usize = PAGE * 256 * 1024;
/// How long we wait at the most because Clerk, or somebody in between, asks for it.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);
/// What an id may be made of in a path.
const IN_A_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-');

/// A client of one instance of Clerk.
pub struct ClerkApi {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    url: String,
    authorization: HeaderValue,
    pace: Interval,
    progress: Progress,
}

struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Bytes,
}

/// Why there is no answer, in words.
enum NoAnswer {
    /// It may come another time.
    Failed(String),
    /// The two ends do not agree about TLS: somebody has to do something about it.
    Untrusted(String),
}

impl ClerkApi {
    /// Connects to nothing yet. `url` has no slash at its end.
    ///
    /// # Errors
    /// When the system trusts no authority.
    pub fn new(url: &str, authorization: HeaderValue, progress: Progress) -> Result<Self, String> {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::aws_lc_rs::default_provider())
            .map_err(|error| format!("the system's certificates cannot be read: {error}"))?
            .https_or_http()
            .enable_http1()
            .build();
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            url: url.to_owned(),
            authorization,
            pace,
            progress,
        })
    }

    /// A page of users, the oldest first, after the `offset` oldest ones.
    ///
    /// # Errors
    /// When Clerk does not give it, in words.
    pub async fn users(&mut self, offset: usize) -> Result<Vec<Box<RawValue>>, String> {
        // A plus sign would be a space.
        let path = format!("/v1/users?limit={PAGE}&offset={offset}&order_by=%2Bcreated_at");
        let body = self.get(&path).await?;
        let body = body.ok_or("Clerk answers 404: is CLERK_API_URL right?")?;
        serde_json::from_slice(&body).map_err(|_| "Clerk's answer is no list of users".to_owned())
    }

    /// How many users there are; `None` if Clerk does not tell.
    ///
    /// # Errors
    /// When Clerk cannot be asked, in words.
    pub async fn count(&mut self) -> Result<Option<u64>, String> {
        #[derive(Deserialize)]
        struct Count {
            total_count: u64,
        }
        let body = self.get("/v1/users/count").await?.unwrap_or_default();
        let count: Option<Count> = serde_json::from_slice(&body).ok();
        Ok(count.map(|count| count.total_count))
    }

    /// Whether Clerk has the user.
    ///
    /// # Errors
    /// When Clerk does not tell, in words.
    pub async fn has(&mut self, user: &ObjectId) -> Result<bool, String> {
        let id = utf8_percent_encode(user.as_str(), IN_A_PATH);
        let answer = self.get(&format!("/v1/users/{id}")).await?;
        Ok(answer.is_some())
    }

    /// `None` if Clerk says that there is no such thing.
    async fn get(&mut self, path: &str) -> Result<Option<Bytes>, String> {
        let progress = self.progress.clone();
        let mut patience = Patience::new(&progress);
        loop {
            self.pace.tick().await;
            let (reason, asked) = match self.ask(path).await {
                Ok(answer) => match answer.status.as_u16() {
                    200..300 => return Ok(Some(answer.body)),
                    404 if is_of_clerk(&answer.body) => return Ok(None),
                    404 => {
                        let reason =
                            "404 comes from somebody else than Clerk: is CLERK_API_URL right?";
                        return Err(reason.to_owned());
                    }
                    401 | 403 => {
                        let status = answer.status.as_str();
                        return Err(format!("Clerk refuses CLERK_SECRET_KEY ({status})"));
                    }
                    status @ (408 | 429 | 500..) => {
                        let asked = answer.retry_after.unwrap_or_default();
                        // Waiting for one's turn is no failure.
                        if status == 429 {
                            patience.extend(asked);
                        }
                        (format!("Clerk answers {status}"), asked)
                    }
                    status => return Err(format!("Clerk answers {status}")),
                },
                Err(NoAnswer::Untrusted(reason)) => return Err(reason),
                Err(NoAnswer::Failed(reason)) => (reason, Duration::ZERO),
            };
            patience.wait(&reason, asked).await?;
        }
    }

    async fn ask(&self, path: &str) -> Result<Answer, NoAnswer> {
        let request = Request::get(format!("{}{path}", self.url))
            .header(AUTHORIZATION, self.authorization.clone())
            .header(
                "user-agent",
                concat!("clerk-sync/", env!("CARGO_PKG_VERSION")),
            )
            .body(Empty::new())
            .map_err(|error| NoAnswer::of(&error))?;
        let exchange = async {
            let answer = self.client.request(request).await;
            let (head, body) = answer.map_err(|error| NoAnswer::of(&error))?.into_parts();
            let body = Limited::new(body, LONGEST_ANSWER).collect().await;
            let seconds = head.headers.get(RETRY_AFTER).and_then(seconds);
            Ok(Answer {
                status: head.status,
                retry_after: seconds
                    .map(|seconds| Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER)),
                body: body
                    .map_err(|error| NoAnswer::of(error.as_ref()))?
                    .to_bytes(),
            })
        };
        let late = |_| Err(NoAnswer::Failed("Clerk does not answer in time".to_owned()));
        tokio::time::timeout(TIMEOUT, exchange)
            .await
            .unwrap_or_else(late)
    }
}

/// Whether a 404 is Clerk's: a proxy's says nothing about users.
fn is_of_clerk(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Body {
        errors: Vec<Code>,
    }
    #[derive(Deserialize)]
    struct Code {
        code: String,
    }
    let body: Result<Body, _> = serde_json::from_slice(body);
    body.is_ok_and(|body| {
        let mut codes = body.errors.iter();
        codes.any(|error| error.code == "resource_not_found")
    })
}

/// Of the header `Retry-After`.
fn seconds(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.trim().parse().ok()
}

impl NoAnswer {
    fn of(error: &(dyn Error + 'static)) -> Self {
        if let Some(reason) = tls::reason(error) {
            return Self::Untrusted(format!("Clerk cannot be asked ({reason})"));
        }
        let mut root = error;
        while let Some(source) = root.source() {
            root = source;
        }
        Self::Failed(format!("Clerk cannot be asked ({root})"))
    }
}
