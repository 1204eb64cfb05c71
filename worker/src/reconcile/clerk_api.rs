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
use crate::reconcile::family::Family;
use crate::reconcile::patience::Patience;
use crate::reconcile::progress::Progress;

/// How many objects a page has: the most that the API gives.
pub const PAGE: usize = 500;
/// The version whose answers are read: the objects in them have the fields of those in webhooks
/// (<https://clerk.com/docs/guides/development/upgrading/versioning>). `@clerk/backend` sends it since 2.21; 3.25 sends
/// 2026-05-12, in which nothing differs that is asked for here. Without it the instance's own version decides.
const VERSION: (&str, &str) = ("clerk-api-version", "2025-11-10");
/// Between the beginnings of two requests. Development instances allow 100 requests in 10 s, production
/// instances 1000 (<https://clerk.com/docs/guides/how-clerk-works/system-limits>); the application has a
/// part in it too.
const PACE: Duration = Duration::from_millis(125);
/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long an answer may be, in bytes: 256 KiB an object, most of it metadata.
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

/// How many objects of a family Clerk has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Total {
    /// So many, if it tells.
    Told(Option<u64>),
    /// The instance has no organizations; the status, and what Clerk calls it.
    NotEnabled(String),
}

/// A page of organizations or memberships.
#[derive(Deserialize)]
struct List {
    data: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Count {
    total_count: u64,
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

    /// A page of a family's objects, the oldest first, after the `offset` oldest ones.
    ///
    /// # Errors
    /// When Clerk does not give it, in words.
    pub async fn page(
        &mut self,
        family: &Family,
        offset: usize,
    ) -> Result<Vec<Box<RawValue>>, String> {
        let path = format!("{}&limit={PAGE}&offset={offset}", family.list);
        let body = self.get(&path).await?.body()?;
        let body = body.ok_or("Clerk answers 404: is CLERK_API_URL right?")?;
        let page = match family.count {
            Some(_) => serde_json::from_slice(&body),
            None => serde_json::from_slice(&body).map(|List { data }| data),
        };
        page.map_err(|_| format!("Clerk's answer is no list of {}", family.plural))
    }

    /// How many objects of a family there are.
    ///
    /// # Errors
    /// When Clerk cannot be asked, in words.
    pub async fn count(&mut self, family: &Family) -> Result<Total, String> {
        let path = match family.count {
            Some(path) => path.to_owned(),
            None => format!("{}&limit=1", family.list),
        };
        let answer = self.get(&path).await?;
        let status = answer.status.as_u16();
        if family.needs_organizations
            && matches!(status, 402..=404)
            && let Some(code) = answer.code()
            && (status != 403 || code == "organization_not_enabled_in_instance")
        {
            return Ok(Total::NotEnabled(format!("{status}, {code}")));
        }
        let body = answer.body()?.unwrap_or_default();
        let count: Option<Count> = serde_json::from_slice(&body).ok();
        Ok(Total::Told(count.map(|count| count.total_count)))
    }

    /// The object that has this id; `None` if Clerk has none. Nothing is asked where the family has no such question.
    ///
    /// # Errors
    /// When Clerk does not tell, in words.
    pub async fn object(
        &mut self,
        family: &Family,
        id: &ObjectId,
    ) -> Result<Option<Bytes>, String> {
        let Some((before, behind)) = family.by_id else {
            return Err(format!(
                "Clerk tells of {} by their list only",
                family.plural
            ));
        };
        let id = utf8_percent_encode(id.as_str(), IN_A_PATH);
        self.get(&format!("{before}{id}{behind}")).await?.body()
    }

    /// An answer that waiting does not change.
    async fn get(&mut self, path: &str) -> Result<Answer, String> {
        let progress = self.progress.clone();
        let mut patience = Patience::new(&progress);
        loop {
            self.pace.tick().await;
            let (reason, asked) = match self.ask(path).await {
                Ok(answer) => match answer.status.as_u16() {
                    status @ (408 | 429 | 500..) => {
                        let asked = answer.retry_after.unwrap_or_default();
                        // Waiting for one's turn is no failure.
                        if status == 429 {
                            patience.extend(asked);
                        }
                        (format!("Clerk answers {status}"), asked)
                    }
                    _ => return Ok(answer),
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
            .header(VERSION.0, VERSION.1)
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

impl Answer {
    /// What was asked for; `None` if Clerk says that there is no such thing.
    fn body(self) -> Result<Option<Bytes>, String> {
        match self.status.as_u16() {
            200..300 => Ok(Some(self.body)),
            404 if self.code().as_deref() == Some("resource_not_found") => Ok(None),
            404 => {
                Err("404 comes from somebody else than Clerk: is CLERK_API_URL right?".to_owned())
            }
            status @ (401 | 403) => Err(format!("Clerk refuses CLERK_SECRET_KEY ({status})")),
            status => Err(format!("Clerk answers {status}")),
        }
    }

    /// What Clerk calls the mistake; `None` where the answer is not Clerk's: a proxy's says nothing about its objects.
    fn code(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Body {
            errors: Vec<Code>,
        }
        #[derive(Deserialize)]
        struct Code {
            code: String,
        }
        let body: Body = serde_json::from_slice(&self.body).ok()?;
        let code = body.errors.into_iter().next()?.code;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        Some(code.chars().filter(|c| is_plain(*c)).take(64).collect())
    }
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
