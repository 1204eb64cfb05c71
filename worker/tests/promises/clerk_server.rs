//! A server that behaves as Clerk's Backend API is documented to, as far as `worker reconcile` asks it.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};
use xtask::certificates::Certificate;
use xtask::clerk_payload::UserPayload;

pub(crate) const KEY: &str = "sk_test_0123456789abcdef";

/// What happens to a request instead of its answer.
#[derive(Clone, Copy)]
pub(crate) enum Mishap {
    /// 429 with a `Retry-After` of so many seconds.
    TooMany(u64),
    /// A status.
    Status(u16),
    /// The connection ends in the middle of the answer.
    Cut,
    /// No answer ever.
    Hang,
}

/// What is done to the list before or after a request for a page of it is answered.
type AfterPage = Box<dyn FnMut(&mut Vec<Value>) + Send>;

#[derive(Default)]
pub(crate) struct State {
    /// Sorted by `created_at`, as the other lists.
    pub(crate) users: Vec<Value>,
    pub(crate) organizations: Vec<Value>,
    pub(crate) memberships: Vec<Value>,
    /// The status of all answers about organizations and memberships, where the instance has none, and their body.
    pub(crate) without_organizations: Option<(u16, Value)>,
    /// How many of a list are listed at the most, if not all.
    pub(crate) most_listed: Option<usize>,
    /// Users and organizations that are not in the list, but found by id.
    pub(crate) unlisted: Vec<String>,
    pub(crate) mishaps: VecDeque<Option<Mishap>>,
    /// One for each page.
    pub(crate) before_pages: VecDeque<AfterPage>,
    pub(crate) after_pages: VecDeque<AfterPage>,
    /// Paths and queries.
    pub(crate) requests: Vec<String>,
}

/// It serves until it is dropped.
pub(crate) struct ClerkServer {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
    _stop: DropGuard,
}

impl ClerkServer {
    pub(crate) fn start(users: Vec<Value>) -> Self {
        Self::start_with(users, None)
    }

    /// One that speaks TLS, at `https://localhost`.
    pub(crate) fn with_tls(users: Vec<Value>, certificate: &Certificate) -> Self {
        let chain = CertificateDer::pem_file_iter(&certificate.certificate).unwrap();
        let key = PrivateKeyDer::from_pem_file(&certificate.key).unwrap();
        let config = ServerConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.map(Result::unwrap).collect(), key)
            .unwrap();
        Self::start_with(users, Some(TlsAcceptor::from(Arc::new(config))))
    }

    fn start_with(users: Vec<Value>, tls: Option<TlsAcceptor>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let url = match &tls {
            Some(_) => format!("https://localhost:{}", address.port()),
            None => format!("http://{address}"),
        };
        let state = Arc::new(Mutex::new(State {
            users,
            ..State::default()
        }));
        let stop = CancellationToken::new();
        let (served, stopped) = (Arc::clone(&state), stop.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(stopped.run_until_cancelled(serve(listener, tls, served)));
        });
        Self {
            url,
            state,
            _stop: stop.drop_guard(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The offsets of the pages that were asked for.
    pub(crate) fn offsets(&self) -> Vec<usize> {
        let state = self.state();
        let pages = state.requests.iter().filter(|path| path.contains("offset"));
        pages
            .map(|path| parameters(path)["offset"].parse().unwrap())
            .collect()
    }
}

/// A user as the API gives it.
pub(crate) fn listed(user: &UserPayload) -> Value {
    let event: Value = serde_json::from_str(&user.created()).unwrap();
    event["data"].clone()
}

async fn serve(
    listener: std::net::TcpListener,
    tls: Option<TlsAcceptor>,
    state: Arc<Mutex<State>>,
) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (state, tls) = (Arc::clone(&state), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => serve_connection(stream, &state).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve_connection(stream, &state).await;
                    }
                }
            }
        });
    }
}

async fn serve_connection(stream: impl AsyncRead + AsyncWrite + Unpin, state: &Mutex<State>) {
    let service = service_fn(|request| answer(request, state));
    // Errors are the client's.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    state: &Mutex<State>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path_and_query().unwrap().to_string();
    let mishap = {
        let mut state = state.lock().unwrap();
        state.requests.push(path.clone());
        state.mishaps.pop_front().flatten()
    };
    let answered = |status: u16, body: &Value| {
        Response::builder()
            .status(status)
            .header("content-type", "application/json")
            .body(Full::from(body.to_string()))
            .unwrap()
    };
    let error = |code: &str| json!({"errors": [{"message": "no", "code": code}]});
    match mishap {
        Some(Mishap::TooMany(seconds)) => {
            let mut answer = answered(429, &error("too_many_requests"));
            let headers = answer.headers_mut();
            headers.insert("retry-after", seconds.into());
            return Ok(answer);
        }
        Some(Mishap::Status(status)) => return Ok(answered(status, &error("internal"))),
        Some(Mishap::Hang) => std::future::pending().await,
        Some(Mishap::Cut) | None => {}
    }
    let authorization = request.headers().get("authorization");
    if authorization.is_none_or(|value| value != &format!("Bearer {KEY}")) {
        return Ok(answered(401, &error("authentication_invalid")));
    }
    let version = request.headers().get("clerk-api-version");
    assert_eq!(version.unwrap(), "2025-11-10");
    let mut answer = {
        let mut state = state.lock().unwrap();
        match &state.without_organizations {
            Some((status, body)) if path.starts_with("/v1/organization") => answered(*status, body),
            _ => match state.body(&path) {
                Some(body) => answered(200, &body),
                None => answered(404, &error("resource_not_found")),
            },
        }
    };
    if let Some(Mishap::Cut) = mishap {
        // More is promised than comes; hyper then ends the connection.
        let headers = answer.headers_mut();
        headers.insert("content-length", 1_000_000_000.into());
    }
    Ok(answer)
}

impl State {
    fn body(&mut self, path: &str) -> Option<Value> {
        let (resource, _) = path.split_once('?').unwrap_or((path, ""));
        match resource.strip_prefix("/v1/")?.split_once('/') {
            Some(("users", "count")) => {
                Some(json!({"object": "total_count", "total_count": self.users.len()}))
            }
            Some((_, id)) if self.unlisted.iter().any(|unlisted| unlisted == id) => {
                Some(json!({"id": id}))
            }
            Some(("users", id)) => with_id(&self.users, id),
            Some(("organizations", id)) => with_id(&self.organizations, id),
            // Memberships are not found by their ids.
            Some(_) => None,
            None => {
                let parameters = parameters(path);
                let page = self.page(resource, &parameters)?;
                let is_array = resource == "/v1/users";
                let total = self.list(resource)?.len();
                Some(match is_array {
                    true => page,
                    false => json!({"data": page, "total_count": total}),
                })
            }
        }
    }

    fn list(&mut self, resource: &str) -> Option<&mut Vec<Value>> {
        match resource {
            "/v1/users" => Some(&mut self.users),
            "/v1/organizations" => Some(&mut self.organizations),
            "/v1/organization_memberships" => Some(&mut self.memberships),
            _ => None,
        }
    }

    fn page(&mut self, resource: &str, parameters: &HashMap<&str, &str>) -> Option<Value> {
        let number = |name: &str| parameters.get(name).and_then(|text| text.parse().ok());
        let limit: usize = number("limit").unwrap_or(10);
        assert!((1..=500).contains(&limit), "{limit}");
        let offset = number("offset");
        if offset.is_some()
            && let Some(mut change) = self.before_pages.pop_front()
        {
            change(self.list(resource)?);
        }
        let most = self.most_listed.unwrap_or(usize::MAX);
        let list = self.list(resource)?;
        let page = list.iter().take(most);
        let all: Vec<&Value> = match parameters.get("order_by").copied() {
            Some("%2Bcreated_at") => page.collect(),
            // A bare plus sign is a space; the newest first is the default.
            _ => page.rev().collect(),
        };
        let page = all.into_iter().skip(offset.unwrap_or(0)).take(limit);
        let mut page: Vec<Value> = page.cloned().collect();
        if resource == "/v1/organizations" && !parameters.contains_key("include_members_count") {
            for organization in &mut page {
                organization.as_object_mut()?.remove("members_count");
            }
        }
        if offset.is_some()
            && let Some(mut change) = self.after_pages.pop_front()
        {
            change(self.list(resource)?);
        }
        Some(page.into())
    }
}

fn with_id(list: &[Value], id: &str) -> Option<Value> {
    list.iter().find(|object| object["id"] == id).cloned()
}

fn parameters(path: &str) -> HashMap<&str, &str> {
    let (_, query) = path.split_once('?').unwrap_or_default();
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .collect()
}
