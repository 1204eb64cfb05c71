//! `GET /healthz`, `/readyz` and `/metrics` on `ADMIN_ADDR`, what else a program shows there, and the
//! health check that asks them.

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
pub use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderMap, HeaderName,
    HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::uri::Authority;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prometheus::{Encoder, Registry, TextEncoder};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Requests on the admin address that are served at the same time; more wait.
const MAX_CONNECTIONS: usize = 32;
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may last, so that whoever reads no answer holds no place for ever: longer than
/// any answer takes.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);
/// Longer than the first store that does not answer is waited for.
const HEALTH_CHECK_TIMEOUT: Duration = Duration::from_secs(4);

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");

/// What a program knows about its own health.
pub trait Health: Send + Sync + 'static {
    /// Whether all that is needed is there; if not, what is missing, in one line.
    fn ready(&self) -> impl Future<Output = Result<(), Cow<'static, str>>> + Send;

    /// Brings gauges up to date before they are read. Must not wait long for a store that is away.
    fn refresh(&self) -> impl Future<Output = ()> + Send;

    /// The paths of further pages. They answer to an IP address or a name without a dot alone.
    fn pages(&self) -> &'static [&'static str] {
        &[]
    }

    /// The page at one of these paths. It must not take long: there are places for few requests.
    fn page(&self, path: &str, query: &str) -> impl Future<Output = Option<Page>> + Send {
        let _ = (path, query);
        async { None }
    }
}

/// What a program shows to people who look.
#[derive(Debug, Clone)]
pub struct Page {
    /// The answer's status.
    pub status: StatusCode,
    /// The body's type.
    pub content_type: &'static str,
    /// What a browser may load and run for it; no header where it is not a valid one.
    pub content_security_policy: String,
    /// The page itself.
    pub body: Bytes,
}

impl From<Page> for Response<Full<Bytes>> {
    fn from(page: Page) -> Self {
        let mut response = text(page.status, page.body);
        let headers = response.headers_mut();
        for (name, value) in [
            (CONTENT_TYPE, page.content_type),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
            (CACHE_CONTROL, "no-store"),
            (CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Ok(policy) = page.content_security_policy.try_into() {
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        response
    }
}

/// Serves the admin endpoints until the process ends. `/readyz` answers 503 once `stop` is
/// cancelled, so that nobody sends work to a process that is about to go.
pub async fn serve<H: Health>(
    listener: TcpListener,
    health: Arc<H>,
    registry: Registry,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(_) => {
                // Out of file descriptors, most likely: accepting again at once would spin.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (health, registry, stop) = (Arc::clone(&health), registry.clone(), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, &*health, &registry, &stop));
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
            drop(place);
        });
    }
}

async fn answer<H: Health>(
    request: Request<Incoming>,
    health: &H,
    registry: &Registry,
    stop: &CancellationToken,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path();
    if !matches!(path, "/healthz" | "/readyz" | "/metrics") && !health.pages().contains(&path) {
        return Ok(not_found());
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Ok(response);
    }
    Ok(match path {
        "/healthz" => text(StatusCode::OK, "alive\n"),
        "/readyz" if stop.is_cancelled() => text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        "/readyz" => match health.ready().await {
            Ok(()) => text(StatusCode::OK, "ready\n"),
            Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
        },
        "/metrics" => {
            health.refresh().await;
            metrics(registry)
        }
        _ if !is_private(request.headers()) => text(
            StatusCode::MISDIRECTED_REQUEST,
            "only by an IP address, as localhost or by another name without a dot\n",
        ),
        _ => {
            let query = request.uri().query().unwrap_or_default();
            let page = health.page(path, query).await;
            page.map_or_else(not_found, Response::from)
        }
    })
}

/// Whether a browser has been sent here by an address or name that no website can have. One that lets its
/// own name point to 127.0.0.1 would otherwise read the pages through the browser of whoever visits it.
fn is_private(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).map(HeaderValue::as_bytes);
    let Some(Ok(authority)) = host.map(Authority::try_from) else {
        return false;
    };
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    !host.contains('.') || address.parse::<IpAddr>().is_ok()
}

fn not_found() -> Response<Full<Bytes>> {
    text(StatusCode::NOT_FOUND, "not found\n")
}

fn metrics(registry: &Registry) -> Response<Full<Bytes>> {
    let encoder = TextEncoder::new();
    let mut body = Vec::new();
    match encoder.encode(&registry.gather(), &mut body) {
        Ok(()) => {
            let mut response = text(StatusCode::OK, body);
            response.headers_mut().insert(
                CONTENT_TYPE,
                HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
            );
            response
        }
        Err(_) => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "metrics cannot be written\n",
        ),
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

/// Asks the process whose admin address is `address` whether it is ready.
///
/// # Errors
/// Says in one line why it is not.
pub async fn check_health(address: SocketAddr) -> Result<(), String> {
    // A process that listens on every address is asked on the loopback one.
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
        ip => ip,
    };
    let url = format!("http://{}/readyz", SocketAddr::new(host, address.port()));
    let uri = url.parse().map_err(|_| format!("{url} is not a URL"))?;
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    match tokio::time::timeout(HEALTH_CHECK_TIMEOUT, client.get(uri)).await {
        Ok(Ok(response)) if response.status().is_success() => Ok(()),
        Ok(Ok(response)) => Err(format!("{url} answered {}", response.status())),
        Ok(Err(_)) => Err(format!("{url} cannot be reached")),
        Err(_) => Err(format!(
            "{url} did not answer within {} s",
            HEALTH_CHECK_TIMEOUT.as_secs()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_a_website_can_have_is_not_private() {
        for (host, expected) in [
            ("127.0.0.1:9101", true),
            ("10.1.2.3", true),
            ("[::1]:9101", true),
            ("[fd00::1.2.3.4]", true),
            ("localhost:9101", true),
            ("clerk-worker:9101", true),
            ("rebind.example:9101", false),
            ("localhost.", false),
            ("127.0.0.1.rebind.example", false),
            ("user@rebind.example", false),
            ("", false),
            ("a b", false),
        ] {
            let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
            assert_eq!(is_private(&headers), expected, "{host}");
        }
        assert!(!is_private(&HeaderMap::new()));
    }
}
