//! One trace leads from the request to the cache tags, and nothing depends on who is sent it.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use nix::sys::signal::Signal;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use prost::Message as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use xtask::certificates::Authority;
use xtask::free_port::free_port;
use xtask::program::Program;
use xtask::wait;

use crate::helpers::{DEAD, DEADLINE, EVENTS, RETRY, World, user};
use crate::ingest::Ingest;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";

/// Takes what an OpenTelemetry collector takes: OTLP in protobuf over HTTP.
pub(crate) struct Collector {
    url: String,
    pub(crate) bodies: Arc<Mutex<Vec<Bytes>>>,
}

/// A span, as far as somebody looks at it.
#[derive(Debug, Clone)]
struct Span {
    service: String,
    trace_id: String,
    id: String,
    parent: String,
    name: String,
    attributes: Vec<(String, String)>,
}

impl Collector {
    pub(crate) fn start(runtime: &Runtime) -> Self {
        Self::start_with(runtime, None)
    }

    /// One that wants TLS, if it is given any.
    fn start_with(runtime: &Runtime, tls: Option<TlsAcceptor>) -> Self {
        let bodies: Arc<Mutex<Vec<Bytes>>> = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        listener.set_nonblocking(true).unwrap();
        let taken = Arc::clone(&bodies);
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let taken = Arc::clone(&taken);
                let service = service_fn(move |request: Request<Incoming>| {
                    let taken = Arc::clone(&taken);
                    async move {
                        assert_eq!(request.uri().path(), "/v1/traces");
                        assert_eq!(request.headers()["x-key"], "hunter2");
                        let body = request.into_body().collect().await.unwrap().to_bytes();
                        taken.lock().unwrap().push(body);
                        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
                    }
                });
                let tls = tls.clone();
                tokio::spawn(async move {
                    let http = http1::Builder::new();
                    match tls {
                        None => drop(http.serve_connection(TokioIo::new(stream), service).await),
                        Some(tls) => {
                            // Whoever does not trust it breaks off.
                            if let Ok(stream) = tls.accept(stream).await {
                                drop(http.serve_connection(TokioIo::new(stream), service).await);
                            }
                        }
                    }
                });
            }
        });
        Self { url, bodies }
    }

    pub(crate) fn settings(&self) -> [(&str, &str); 3] {
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &self.url),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=hunter2"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ]
    }

    fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for body in self.bodies.lock().unwrap().iter() {
            let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
            for resource_spans in request.resource_spans {
                let service = attributes(&resource_spans.resource.unwrap().attributes)
                    .into_iter()
                    .find_map(|(name, value)| (name == "service.name").then_some(value))
                    .unwrap();
                let scopes = resource_spans.scope_spans.into_iter();
                spans.extend(scopes.flat_map(|scope| scope.spans).map(|span| Span {
                    service: service.clone(),
                    trace_id: hexadecimal(&span.trace_id),
                    id: hexadecimal(&span.span_id),
                    parent: hexadecimal(&span.parent_span_id),
                    name: span.name,
                    attributes: attributes(&span.attributes),
                }));
            }
        }
        spans
    }

    /// Spans called `name` with this outcome; waits until there is one.
    fn spans_called(&self, name: &str, outcome: &str) -> Vec<Span> {
        let found = || {
            let mut spans = self.spans();
            spans.retain(|span| span.name == name && span.attribute("outcome") == Some(outcome));
            spans
        };
        wait::block_until(&format!("{name} {outcome}"), DEADLINE, || {
            !found().is_empty()
        })
        .unwrap_or_else(|error| panic!("{error}\n{:#?}", self.spans()));
        found()
    }

    fn span(&self, name: &str, outcome: &str) -> Span {
        let spans = self.spans_called(name, outcome);
        assert_eq!(spans.len(), 1, "{spans:#?}");
        spans[0].clone()
    }
}

impl Span {
    fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }
}

fn attributes(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let text = |value: Value| match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    };
    let pair = |pair: &KeyValue| {
        let value = pair.value.clone().unwrap().value.unwrap();
        (pair.key.clone(), text(value))
    };
    attributes.iter().map(pair).collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parent_header(value: &str) -> [(&'static str, String); 1] {
    [("traceparent", value.to_owned())]
}

pub(crate) fn stop(program: &Program) {
    program.signal(Signal::SIGTERM).unwrap();
    let status = program.wait(DEADLINE).unwrap();
    assert!(status.success(), "{status}\n{}", program.output());
}

/// P11, and who stops sends what is left.
#[test]
fn one_trace_leads_from_the_request_to_the_cache_tags_and_tells_nothing_personal() {
    let world = World::migrated();
    let runtime = Runtime::new().unwrap();
    let collector = Collector::start(&runtime);
    let mut settings = collector.settings();
    settings[2] = ("OTEL_BSP_SCHEDULE_DELAY", "600000");
    let worker = world.worker_with(&settings);
    let ingest = runtime.block_on(Ingest::start(&world.redis.url(), &settings));
    let payload = user("user_secret", "ada@example.com", 1).created();
    let status = runtime.block_on(ingest.deliver_with("msg_1", &payload, &parent_header(PARENT)));
    assert_eq!(status, 200);
    world.wait_for("it is applied", |world| world.outcome("msg_1") == "applied");
    world.settle();
    stop(&ingest.program);
    stop(&worker.program);

    let receive = collector.span("receive", "queued");
    let enqueue = collector.span("enqueue", "queued");
    let process = collector.span("process", "applied");
    let commit = collector.span("commit", "applied");
    let delete_tags = collector.span("delete tags", "deleted");
    assert_eq!(receive.parent, "b7ad6b7169203331");
    assert_eq!(enqueue.parent, receive.id);
    assert_eq!(process.parent, enqueue.id);
    assert_eq!(
        (&commit.parent, &delete_tags.parent),
        (&process.id, &process.id)
    );
    for span in [&receive, &enqueue, &process, &commit, &delete_tags] {
        assert_eq!(span.trace_id, TRACE_ID, "{span:?}");
    }
    assert_eq!(
        (&*receive.service, &*process.service),
        ("clerk-ingest", "clerk-worker")
    );
    for span in [&receive, &process] {
        assert_eq!(span.attribute("svix_id"), Some("msg_1"));
        assert_eq!(span.attribute("type"), Some("user.created"));
    }
    assert_eq!(process.attribute("attempt"), Some("1"));
    assert_eq!(process.attribute("partition"), Some("0"));
    for body in collector.bodies.lock().unwrap().iter() {
        let text = String::from_utf8_lossy(body).to_lowercase();
        for personal in [
            "ada",
            "lovelace",
            "example.com",
            "user_secret",
            "127.0.0.1",
            "hunter2",
        ] {
            assert!(!text.contains(personal), "{personal}: {text}");
        }
    }
}

/// P5: the trace goes on through a retry and through a replay.
#[test]
fn a_retried_and_replayed_event_stays_in_its_trace() {
    let world = World::migrated();
    let runtime = Runtime::new().unwrap();
    let collector = Collector::start(&runtime);
    world.sql(
        "create function wait() returns trigger language plpgsql as $$ begin raise exception 'not now'; end $$; \
         create trigger wait before insert on users for each row execute function wait()",
    );
    let settings = collector.settings();
    let worker = world.worker_with(&[&settings[..], &[("MAX_ATTEMPTS", "2")]].concat());
    let ingest = runtime.block_on(Ingest::start(&world.redis.url(), &settings));
    let payload = user("user_1", "ada@example.com", 1).created();
    let status = runtime.block_on(ingest.deliver_with("msg_1", &payload, &parent_header(PARENT)));
    assert_eq!(status, 200);
    let retried = collector.span("process", "retried");
    let dead = collector.span("process", "dead_lettered");
    world.settle();
    world.sql("drop trigger wait on users");
    let replay = concat!(env!("CARGO_MANIFEST_DIR"), "/lua/replay.lua");
    assert_eq!(
        world.redis(&["--eval", replay, DEAD, EVENTS, ",", "msg_1"]),
        "1"
    );
    let applied = collector.span("process", "applied");
    let enqueue = collector.span("enqueue", "queued");
    let attempts = [(&retried, "1"), (&dead, "2"), (&applied, "1")];
    for (span, attempt) in attempts {
        assert_eq!(span.trace_id, TRACE_ID);
        assert_eq!(span.parent, enqueue.id);
        assert_eq!(span.attribute("attempt"), Some(attempt));
    }
    assert_eq!(collector.spans_called("commit", "refused").len(), 2);
    drop(worker);
}

/// Events that are applied together because they wait for each other stay in the traces of their own.
#[test]
fn users_who_swap_addresses_are_traced_each_on_its_own() {
    let world = World::migrated();
    let runtime = Runtime::new().unwrap();
    let collector = Collector::start(&runtime);
    let _worker = world.worker_with(&collector.settings());
    world.add_next(&user("user_a", "a@example.com", 1).created());
    world.add_next(&user("user_b", "b@example.com", 1).created());
    world.settle();
    let add = |svix_id, payload: String, trace: &str| {
        let parent = format!("00-{trace}-b7ad6b7169203331-01");
        let fields = [
            "svix-id",
            svix_id,
            "payload",
            &payload,
            "traceparent",
            &parent,
        ];
        world.redis(&[&["XADD", EVENTS, "*"], &fields[..]].concat());
    };
    let (first, second) = ("1".repeat(32), "2".repeat(32));
    add(
        "msg_a",
        user("user_a", "b@example.com", 2).updated(),
        &first,
    );
    world.wait_for("the first one waits", |world| {
        world.redis(&["ZCARD", RETRY]) == "1"
    });
    add(
        "msg_b",
        user("user_b", "a@example.com", 2).updated(),
        &second,
    );
    world.settle();
    for (svix_id, trace, attempt) in [("msg_a", first, "2"), ("msg_b", second, "1")] {
        let found = || {
            let mut spans = collector.spans_called("process", "applied");
            spans.retain(|span| span.attribute("svix_id") == Some(svix_id));
            spans
        };
        wait::block_until(svix_id, DEADLINE, || found().len() == 1).unwrap();
        assert_eq!(found()[0].trace_id, trace);
        assert_eq!(found()[0].attribute("attempt"), Some(attempt));
    }
}

/// P10: what a worker hands back keeps its trace.
#[test]
fn an_entry_that_is_handed_back_keeps_its_trace() {
    let world = World::migrated();
    world.redis(&["XGROUP", "CREATE", EVENTS, "clerk-worker", "0", "MKSTREAM"]);
    world.redis(&[
        "XADD",
        EVENTS,
        "*",
        "svix-id",
        "msg_1",
        "payload",
        "{}",
        "traceparent",
        PARENT,
    ]);
    world.redis(&[
        "XREADGROUP",
        "GROUP",
        "clerk-worker",
        "c",
        "STREAMS",
        EVENTS,
        ">",
    ]);
    let hand_back = concat!(env!("CARGO_MANIFEST_DIR"), "/src/source/hand_back.lua");
    let handed_back = world.redis(&[
        "--eval",
        hand_back,
        EVENTS,
        ",",
        "clerk-worker",
        "c",
        "leave",
    ]);
    assert_eq!(handed_back, "1");
    assert!(world.redis(&["XRANGE", EVENTS, "-", "+"]).contains(PARENT));
}

#[test]
fn by_default_nothing_is_traced() {
    let world = World::migrated();
    let runtime = Runtime::new().unwrap();
    let collector = Collector::start(&runtime);
    let payload = user("user_1", "ada@example.com", 1).created();
    let off = [
        &collector.settings()[..],
        &[("OTEL_TRACES_EXPORTER", "none")],
    ]
    .concat();
    for (svix_id, settings) in [("msg_1", &[][..]), ("msg_2", &off[..])] {
        let ingest = runtime.block_on(Ingest::start(&world.redis.url(), settings));
        let header = parent_header(PARENT);
        assert_eq!(
            runtime.block_on(ingest.deliver_with(svix_id, &payload, &header)),
            200
        );
        stop(&ingest.program);
    }
    let fields = world.redis(&["XRANGE", EVENTS, "-", "+"]);
    assert!(
        fields.contains("msg_2") && !fields.contains("traceparent"),
        "{fields}"
    );
    let worker = world.worker_with(&off);
    world.settle();
    stop(&worker.program);
    assert!(collector.bodies.lock().unwrap().is_empty());
}

/// P2: whatever the header holds, the event is taken, in a trace of its own.
#[test]
fn a_header_that_is_no_trace_context_does_no_harm() {
    let world = World::new();
    let runtime = Runtime::new().unwrap();
    let collector = Collector::start(&runtime);
    let ingest = runtime.block_on(Ingest::start(&world.redis.url(), &collector.settings()));
    let payload = user("user_1", "ada@example.com", 1).created();
    let other = PARENT.replacen("0af7", "1af7", 1);
    let hostile = [
        vec![("traceparent", "x".repeat(8000))],
        vec![("traceparent", PARENT.replace("-01", "-0\t"))],
        vec![("traceparent", PARENT.to_owned()), ("traceparent", other)],
        vec![("traceparent", PARENT.to_uppercase())],
    ];
    for (n, headers) in hostile.iter().enumerate() {
        let svix_id = format!("msg_{n}");
        assert_eq!(
            runtime.block_on(ingest.deliver_with(&svix_id, &payload, headers)),
            200
        );
    }
    stop(&ingest.program);
    let spans = collector.spans_called("receive", "queued");
    assert_eq!(spans.len(), hostile.len());
    for span in spans {
        assert_eq!(span.parent, "");
        assert_ne!(span.trace_id, TRACE_ID);
    }
}

/// What the sampler leaves out is left out by the worker too, and forged requests are not traced at all.
#[test]
fn only_verified_events_that_the_sampler_takes_are_traced() {
    let world = World::migrated();
    let runtime = Runtime::new().unwrap();
    let collector = Collector::start(&runtime);
    let settings = [
        &collector.settings()[..],
        &[("OTEL_TRACES_SAMPLER", "parentbased_always_off")],
    ]
    .concat();
    let ingest = runtime.block_on(Ingest::start(&world.redis.url(), &settings));
    let payload = user("user_1", "ada@example.com", 1).created();
    assert_eq!(runtime.block_on(ingest.deliver("msg_1", &payload)), 200);
    let sampled = parent_header(PARENT);
    assert_eq!(
        runtime.block_on(ingest.deliver_with("msg_2", &payload, &sampled)),
        200
    );
    let forged = ingest.forge_with("msg_3", &payload, &sampled);
    assert_eq!(runtime.block_on(forged), 400);
    // This one would begin traces.
    let worker = world.worker_with(&collector.settings());
    world.settle();
    stop(&ingest.program);
    stop(&worker.program);
    let mut traced: Vec<_> = collector.spans();
    traced.retain(|span| {
        span.attribute("svix_id")
            .is_some_and(|svix_id| svix_id != "msg_2")
    });
    assert!(traced.is_empty(), "{traced:#?}");
    assert_eq!(
        collector.span("receive", "queued").attribute("svix_id"),
        Some("msg_2")
    );
}

/// P1, P8, P10: the collector may be away, or take connections and never say a word.
#[test]
fn a_collector_that_is_away_or_hangs_holds_up_nothing() {
    let hangs = TcpListener::bind("127.0.0.1:0").unwrap();
    let addresses = [
        hangs.local_addr().unwrap().to_string(),
        format!("127.0.0.1:{}", free_port().unwrap()),
    ];
    for address in addresses {
        let world = World::migrated();
        let runtime = Runtime::new().unwrap();
        let url = format!("http://{address}");
        let settings = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "600000"),
            ("OTEL_BSP_SCHEDULE_DELAY", "10"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "8"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8"),
            ("SHUTDOWN_GRACE_MS", "2000"),
        ];
        let worker = world.worker_with(&settings);
        let ingest = runtime.block_on(Ingest::start(&world.redis.url(), &settings));
        for n in 0..50 {
            let payload = user(&format!("user_{n}"), &format!("{n}@example.com"), 1).created();
            assert_eq!(
                runtime.block_on(ingest.deliver(&format!("msg_{n}"), &payload)),
                200
            );
        }
        world.settle();
        assert_eq!(world.sql("select count(*) from users"), "50");
        stop(&ingest.program);
        stop(&worker.program);
    }
    drop(hangs);
}

/// Only a collector whose certificate is trusted is told anything.
#[test]
fn traces_are_sent_over_tls() {
    let world = World::migrated();
    let runtime = Runtime::new().unwrap();
    let authority = Authority::new("collectors").unwrap();
    let certificate = authority.server(&["127.0.0.1"]).unwrap();
    let chain = CertificateDer::pem_file_iter(certificate.certificate).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            chain.collect::<Result<_, _>>().unwrap(),
            PrivateKeyDer::from_pem_file(certificate.key).unwrap(),
        )
        .unwrap();
    let collector = Collector::start_with(&runtime, Some(Arc::new(tls).into()));
    let file = authority.file();
    let trusted = ("OTEL_EXPORTER_OTLP_CERTIFICATE", file.to_str().unwrap());
    for (svix_id, settings) in [("msg_1", vec![]), ("msg_2", vec![trusted])] {
        let worker = world.worker_with(&[&collector.settings()[..], &settings].concat());
        world.add(svix_id, &user("user_1", "ada@example.com", 1).created());
        world.settle();
        stop(&worker.program);
        if settings.is_empty() {
            let unknown = "the server's certificate was signed by an unknown authority";
            assert!(
                worker.program.output().contains(unknown),
                "{}",
                worker.program.output()
            );
            assert!(collector.spans().is_empty());
        }
    }
    let process = collector.span("process", "applied");
    assert_eq!(process.attribute("svix_id"), Some("msg_2"));
}

/// P12
#[test]
fn a_bad_setting_stops_the_process_at_once() {
    let world = World::new();
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ];
    let worker = world.start_worker(&settings);
    assert!(
        !worker
            .program
            .wait(Duration::from_secs(10))
            .unwrap()
            .success()
    );
    assert_eq!(
        worker.program.output().trim(),
        "error: OTEL_EXPORTER_OTLP_PROTOCOL: found \"grpc\", expected http/protobuf"
    );
}
