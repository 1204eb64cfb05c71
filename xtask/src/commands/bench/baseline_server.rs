//! What the ingest is compared with: a server that does less.

use std::{convert::Infallible, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use redis::aio::MultiplexedConnection;
use svix::webhooks::Webhook;
use tokio::net::{TcpListener, TcpStream};

/// Over so many connections events go to Redis: as many as the ingest has.
const REDIS_CONNECTIONS: usize = 8;

/// Answers every request with 200 once it has read the body, verified it if there is a secret, and put it on
/// a stream if there is a Redis.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    pub(crate) address: SocketAddr,
    /// Signing secret
    #[arg(long)]
    pub(crate) verify: Option<String>,
    /// Redis URL
    #[arg(long)]
    pub(crate) queue: Option<String>,
}

/// What a connection needs to answer.
#[derive(Clone)]
struct Work {
    webhook: Arc<Option<Webhook>>,
    queue: Option<MultiplexedConnection>,
}

/// Serves until the process is killed.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let webhook = arguments.verify.as_deref().map(Webhook::new).transpose();
    let webhook = Arc::new(webhook.context("the signing secret")?);
    let mut queues = Vec::new();
    if let Some(url) = arguments.queue {
        let client = redis::Client::open(url)?;
        for _ in 0..REDIS_CONNECTIONS {
            queues.push(client.get_multiplexed_async_connection().await?);
        }
    }
    let mut queues = queues.iter().cycle();
    let listener = TcpListener::bind(arguments.address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let work = Work {
            webhook: Arc::clone(&webhook),
            queue: queues.next().cloned(),
        };
        tokio::spawn(serve(stream, work));
    }
}

/// With the settings of hyper that the ingest has.
async fn serve(stream: TcpStream, work: Work) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| answer(request, work.clone()));
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(10))
        .max_buf_size(16 << 10)
        .max_headers(64)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    work: Work,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let accepted = match body.collect().await {
        Ok(body) => accept(&head.headers, &body.to_bytes(), work).await,
        Err(_) => false,
    };
    let (status, text) = if accepted {
        (StatusCode::OK, "queued\n")
    } else {
        (StatusCode::BAD_REQUEST, "invalid webhook\n")
    };
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    Ok(response)
}

async fn accept(headers: &HeaderMap, body: &[u8], work: Work) -> bool {
    let webhook = work.webhook.as_ref().as_ref();
    if webhook.is_some_and(|webhook| webhook.verify(body, headers).is_err()) {
        return false;
    }
    let Some(mut queue) = work.queue else {
        return true;
    };
    let mut add = redis::cmd("XADD");
    add.arg("events").arg("*").arg("payload").arg(body);
    add.exec_async(&mut queue).await.is_ok()
}
