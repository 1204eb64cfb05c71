//! Traces: what happens to an event, from the request on, as OpenTelemetry spans that a collector is sent.
//!
//! Off unless the standard `OTEL_*` variables name a collector
//! (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>). Spans hold no
//! personal data: svix-id, type, outcome, partition and attempt, and nothing of a payload or a header.

mod collector;
mod settings;
mod trace_context;

use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{Span as _, SpanBuilder, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::trace::{SpanKind, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

pub use self::trace_context::{TRACEPARENT, TraceContext};
use crate::settings::SettingError;

/// The longest that a stop waits for the collector to take what it has not been sent yet.
const LONGEST_FLUSH: Duration = Duration::from_secs(3);

/// The traces of one process. Clones share the collector.
#[derive(Clone, Default)]
pub struct Traces(Option<On>);

#[derive(Clone)]
struct On {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// A step that has begun. It ends when it is told to, or when it is dropped.
pub struct Span {
    span: opentelemetry_sdk::trace::Span,
    tracer: SdkTracer,
}

/// What a step is to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The ingest has a verified event.
    Receive,
    /// The event goes to Redis.
    Enqueue,
    /// A worker's attempt.
    Process,
    /// PostgreSQL is asked to apply the event.
    Commit,
    /// The cache tags of the user are deleted.
    DeleteTags,
}

impl Step {
    const fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Enqueue => "enqueue",
            Self::Process => "process",
            Self::Commit => "commit",
            Self::DeleteTags => "delete tags",
        }
    }

    const fn kind(self) -> SpanKind {
        match self {
            Self::Receive => SpanKind::Server,
            Self::Enqueue => SpanKind::Producer,
            Self::Process => SpanKind::Consumer,
            Self::Commit | Self::DeleteTags => SpanKind::Client,
        }
    }
}

impl Traces {
    /// As the environment says; the service is called `service` unless it says otherwise. Must be called within
    /// the runtime, over which the spans are sent.
    ///
    /// # Errors
    /// When one of the variables cannot be used.
    pub fn from_environment(service: &'static str) -> Result<Self, SettingError> {
        let variable = |name: &str| std::env::var(name).ok();
        let Some(settings) = settings::Settings::parse(&variable)? else {
            return Ok(Self(None));
        };
        let resource =
            Resource::builder().with_attribute(KeyValue::new("service.version", crate::VERSION));
        let resource = if settings.service_is_named {
            resource
        } else {
            resource.with_service_name(service)
        };
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.build())
            .with_batch_exporter(collector::exporter(settings)?)
            .build();
        let tracer = provider.tracer("clerk-webhooks");
        Ok(Self(Some(On { provider, tracer })))
    }

    /// Whether anything is traced.
    #[must_use]
    pub const fn are_on(&self) -> bool {
        self.0.is_some()
    }

    /// A step that began at `begun`, after the one that `parent` tells or as the first one of a trace; `None` where
    /// nothing is traced.
    pub fn begin(
        &self,
        step: Step,
        begun: SystemTime,
        parent: Option<TraceContext>,
        attributes: impl FnOnce() -> Vec<KeyValue>,
    ) -> Option<Span> {
        let tracer = &self.0.as_ref()?.tracer;
        Some(Span::begin(tracer, step, begun, parent, attributes()))
    }

    /// Sends what has not been sent, and ends the traces. Is done before `deadline`, and after three seconds
    /// at the most: what the collector has not taken then is lost.
    pub async fn finish(self, deadline: Instant) {
        let Some(On { provider, .. }) = self.0 else {
            return;
        };
        let limit = deadline
            .saturating_duration_since(Instant::now())
            .min(LONGEST_FLUSH);
        // It blocks, and meanwhile the runtime has to send.
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(limit));
        if !matches!(tokio::time::timeout(limit, flushed).await, Ok(Ok(Ok(())))) {
            tracing::warn!("the collector of traces has not taken the last ones in time");
        }
    }
}

impl Span {
    fn begin(
        tracer: &SdkTracer,
        step: Step,
        begun: SystemTime,
        parent: Option<TraceContext>,
        attributes: Vec<KeyValue>,
    ) -> Self {
        let parent = parent.map_or_else(Context::new, |parent| {
            Context::new().with_remote_span_context(parent.into())
        });
        let span = SpanBuilder::from_name(step.name())
            .with_kind(step.kind())
            .with_start_time(begun)
            .with_attributes(attributes);
        Self {
            span: tracer.build_with_context(span, &parent),
            tracer: tracer.clone(),
        }
    }

    /// A step within this one.
    #[must_use]
    pub fn within(&self, step: Step, begun: SystemTime, attributes: Vec<KeyValue>) -> Self {
        Self::begin(&self.tracer, step, begun, Some(self.context()), attributes)
    }

    /// What the steps that follow are told.
    #[must_use]
    pub fn context(&self) -> TraceContext {
        self.span.span_context().into()
    }

    /// Ends it with what came of it; `failed` marks it as an error.
    pub fn end(mut self, outcome: &'static str, failed: bool, ended: SystemTime) {
        self.span.set_attribute(KeyValue::new("outcome", outcome));
        if failed {
            self.span.set_status(Status::error(outcome));
        }
        self.span.end_with_timestamp(ended);
    }
}

/// The attributes by which an event is found.
#[must_use]
pub fn event(svix_id: &str, event_type: &str) -> Vec<KeyValue> {
    vec![
        KeyValue::new("svix_id", svix_id.to_owned()),
        KeyValue::new("type", event_type.to_owned()),
    ]
}

/// An attribute that is a number.
#[must_use]
pub fn number(name: &'static str, number: u32) -> KeyValue {
    KeyValue::new(name, i64::from(number))
}
