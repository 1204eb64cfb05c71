//! The one path of a request, and which answer each way off it gets.

use std::net::IpAddr;
use std::sync::Once;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use shared::envelope::Envelope;
use shared::svix_id::SvixId;
use shared::traces::{self, Span, Step, TRACEPARENT, TraceContext, Traces};
use tokio_util::sync::CancellationToken;

use crate::body::{self, BodyError, BodyReader};
use crate::forgery_limiter::{ForgeryLimiter, Standing};
use crate::metrics::Metrics;
use crate::misses::Misses;
use crate::not_queued::NotQueued;
use crate::once_a_minute::OnceAMinute;
use crate::pace::InHand;
use crate::queue::Queue;
use crate::signature::{Rejection, Verifier};
use crate::source_address::source_address;
use crate::webhook_path::WebhookPath;

/// Seconds after which Svix may try again: what is short, a restart or a full memory, passes soon;
/// a backlog takes longer.
const RETRY_SOON: u64 = 5;
const RETRY_LATER: u64 = 30;

/// How long an event may take until it is queued, from the beginning of the request. Svix gives up on a delivery
/// after 15 s.
const LONGEST_QUEUEING: Duration = Duration::from_secs(12);

static UNKNOWN_PROXY: Once = Once::new();

/// The webhook endpoint.
pub struct Endpoint {
    /// Where Clerk is pointed at.
    pub path: WebhookPath,
    /// Holds the signing secrets.
    pub verifier: Verifier,
    /// Bounds bodies.
    pub body_reader: BodyReader,
    /// Remembers who forged.
    pub forgery_limiter: ForgeryLimiter,
    /// How many proxies in front append to `X-Forwarded-For`.
    pub trusted_proxy_hops: usize,
    /// Where events go.
    pub queue: Queue,
    /// What is counted.
    pub metrics: Metrics,
    /// What came to another path, or was no request.
    pub misses: Misses,
    /// Says that all the memory for bodies is taken.
    pub no_memory_line: OnceAMinute,
    /// Where events are followed.
    pub traces: Traces,
    /// Cancelled once the process is to stop.
    pub stop: CancellationToken,
}

/// Every way that a request can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Queued,
    Reachable,
    Refused,
    NoSuchPath,
    NoSuchMethod,
    BodyTooSlow,
    BodyTooLarge,
    Limited(Duration),
    Unavailable(u64),
}

impl Endpoint {
    /// Answers one request that came over a connection from `peer`, and keeps it in hand until its body has ended.
    pub async fn answer(
        &self,
        request: Request<Incoming>,
        peer: IpAddr,
        in_hand: InHand,
    ) -> Response<Full<Bytes>> {
        let (head, mut body) = request.into_parts();
        let answer = match (self.path.is(head.uri.path()), &head.method) {
            (true, &Method::POST) => self.receive(&head.headers, &mut body, peer).await,
            (true, &Method::GET | &Method::HEAD) => Answer::Reachable,
            (true, _) => Answer::NoSuchMethod,
            (false, method) => {
                if method == Method::POST {
                    self.misses.post(head.uri.path(), &head.headers);
                }
                Answer::NoSuchPath
            }
        };
        if !hyper::body::Body::is_end_stream(&body) {
            body::discard(body, in_hand);
        }
        let response = answer.response();
        self.metrics
            .requests
            .with_label_values(&[response.status().as_str()])
            .inc();
        response
    }

    async fn receive(&self, headers: &HeaderMap, body: &mut Incoming, peer: IpAddr) -> Answer {
        self.take(headers, body, peer)
            .await
            .map_or_else(|answer| answer, |()| Answer::Queued)
    }

    /// Queues a delivery, or tells what else to answer.
    async fn take(
        &self,
        headers: &HeaderMap,
        body: &mut Incoming,
        peer: IpAddr,
    ) -> Result<(), Answer> {
        let received = Instant::now();
        if self.stop.is_cancelled() {
            return Err(Answer::Unavailable(RETRY_SOON));
        }
        let (source, standing) = self.standing(peer, headers, received);
        if let Standing::Limited(wait) = standing {
            return Err(Answer::Limited(wait));
        }
        let is_verified = standing == Standing::Verified;
        let read = self.body_reader.read(body, is_verified).await;
        let body = read.map_err(|error| self.unread(error, source, received))?;
        let verified = self.verifier.verify(headers, &body.bytes);
        let svix_id = verified.map_err(|rejection| self.rejected(rejection, source, received))?;
        if let Some(address) = source {
            self.forgery_limiter.verified(address, received);
        }
        let envelope = Envelope::parse(&body.bytes);
        let envelope = envelope.map_err(|error| {
            tracing::warn!(svix_id = svix_id.as_str(), reason = %error, "refused a signed body");
            self.refused("event")
        })?;
        // Only now: who forges traces nothing.
        let span = self.trace(headers, received, &svix_id, &envelope);
        let deadline = received + LONGEST_QUEUEING;
        let pushed = self
            .queue
            .push(&svix_id, &envelope, &body.bytes, deadline, span.as_ref());
        let queued = pushed.await;
        if let Some(span) = span {
            let outcome = queued.as_ref().map_or_else(NotQueued::name, |()| "queued");
            span.end(outcome, queued.is_err(), SystemTime::now());
        }
        queued.map_err(|error| self.not_queued(&error, &svix_id))?;
        let milliseconds = received.elapsed().as_millis();
        tracing::debug!(svix_id = svix_id.as_str(), milliseconds, "queued");
        Ok(())
    }

    /// What to answer where a body was not read.
    fn unread(&self, error: BodyError, source: Option<IpAddr>, received: Instant) -> Answer {
        match error {
            BodyError::TooLarge => Answer::BodyTooLarge,
            // It has held memory and verified nothing: as good as forged.
            BodyError::TooSlow => {
                self.forged(source, received);
                Answer::BodyTooSlow
            }
            BodyError::Broken => {
                self.forged(source, received);
                Answer::Refused
            }
            BodyError::NoMemory => {
                if self.no_memory_line.is_due(received) {
                    tracing::warn!("all the memory for bodies is taken");
                }
                Answer::Unavailable(RETRY_SOON)
            }
        }
    }

    /// What to answer where a request does not verify.
    fn rejected(&self, rejection: Rejection, source: Option<IpAddr>, received: Instant) -> Answer {
        self.forged(source, received);
        tracing::info!(
            reason = rejection.name(),
            "refused a request that does not verify"
        );
        self.refused(rejection.name())
    }

    fn refused(&self, kind: &str) -> Answer {
        let failures = &self.metrics.verification_failures;
        failures.with_label_values(&[kind]).inc();
        Answer::Refused
    }

    /// What to answer where an event was not queued.
    fn not_queued(&self, error: &NotQueued, svix_id: &SvixId) -> Answer {
        let svix_id = svix_id.as_str();
        match error {
            NotQueued::BacklogFull => {
                tracing::warn!(svix_id, "the backlog is full");
                return Answer::Unavailable(RETRY_LATER);
            }
            NotQueued::Unavailable(error) => {
                let reason = shared::redis_link::reason(error);
                tracing::warn!(svix_id, reason, "Redis did not take an event");
            }
            NotQueued::TooFewReplicas(replicas) => {
                self.metrics.unreplicated.inc();
                tracing::warn!(svix_id, replicas, "too few replicas have an event in time");
            }
        }
        Answer::Unavailable(RETRY_SOON)
    }

    /// The step `receive`, which goes on with the trace of the request if it has one.
    fn trace(
        &self,
        headers: &HeaderMap,
        received: Instant,
        svix_id: &SvixId,
        envelope: &Envelope<'_>,
    ) -> Option<Span> {
        if !self.traces.are_on() {
            return None;
        }
        let mut parents = headers.get_all(TRACEPARENT).iter();
        let parent = parents.next().filter(|_| parents.next().is_none());
        let parent = parent.and_then(|parent| TraceContext::parse(parent.as_bytes()));
        let begun = SystemTime::now() - received.elapsed();
        self.traces.begin(Step::Receive, begun, parent, || {
            traces::event(svix_id.as_str(), &envelope.event_type)
        })
    }

    /// Whom a request comes from, and what is known of that address.
    fn standing(
        &self,
        peer: IpAddr,
        headers: &HeaderMap,
        received: Instant,
    ) -> (Option<IpAddr>, Standing) {
        let source = source_address(peer, headers, self.trusted_proxy_hops);
        if source.is_none() {
            UNKNOWN_PROXY.call_once(|| {
                tracing::warn!(
                    trusted_proxy_hops = self.trusted_proxy_hops,
                    "X-Forwarded-For of a request does not fit TRUSTED_PROXY_HOPS: it is taken for a proxy's, \
                     and forged requests that come like it are not limited"
                );
            });
        }
        let standing = source.map_or(Standing::Unknown, |address| {
            self.forgery_limiter.standing(address, received)
        });
        (source, standing)
    }

    fn forged(&self, source: Option<IpAddr>, received: Instant) {
        if let Some(address) = source {
            self.forgery_limiter.forged(address, received);
        }
    }
}

impl Answer {
    fn response(self) -> Response<Full<Bytes>> {
        // What is wrong with a request stands in the log; who forges learns nothing.
        let (status, body) = match self {
            Self::Queued => (StatusCode::OK, "queued\n"),
            Self::Reachable => (StatusCode::OK, "the endpoint is reachable\n"),
            Self::Refused => (StatusCode::BAD_REQUEST, "invalid webhook\n"),
            Self::NoSuchPath => (StatusCode::NOT_FOUND, "not found\n"),
            Self::NoSuchMethod => (StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n"),
            Self::BodyTooSlow => (StatusCode::REQUEST_TIMEOUT, "too slow\n"),
            Self::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too large\n"),
            Self::Limited(_) => (StatusCode::TOO_MANY_REQUESTS, "too many forged requests\n"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "try again later\n"),
        };
        let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
        *response.status_mut() = status;
        let mut header =
            |name: HeaderName, value: HeaderValue| response.headers_mut().insert(name, value);
        header(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        match self {
            Self::NoSuchMethod => {
                header(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
            }
            Self::Limited(wait) => {
                header(RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
            }
            Self::Unavailable(seconds) => {
                header(RETRY_AFTER, HeaderValue::from(seconds));
            }
            Self::BodyTooSlow => {
                header(CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}
