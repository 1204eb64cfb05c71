//! What the ingest is compared with: a server that does less.

use std::{convert::Infallible, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use svix::webhooks::Webhook;
use tokio::net::{TcpListener, TcpStream};

/// Answers every request with 200 once it has read the body, and verified it if there is a secret.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    pub(crate) address: SocketAddr,
    /// Signing secret
    #[arg(long)]
    pub(crate) verify: Option<String>,
}

/// Serves until the process is killed.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let webhook = arguments.verify.as_deref().map(Webhook::new).transpose();
    let webhook = Arc::new(webhook.context("the signing secret")?);
    let listener = TcpListener::bind(arguments.address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream, Arc::clone(&webhook)));
    }
}

/// With the settings of hyper that the ingest has.
async fn serve(stream: TcpStream, webhook: Arc<Option<Webhook>>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| answer(request, (*webhook).as_ref()));
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
    webhook: Option<&Webhook>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let verified = match body.collect().await {
        Ok(body) => {
            webhook.is_none_or(|webhook| webhook.verify(&body.to_bytes(), &head.headers).is_ok())
        }
        Err(_) => false,
    };
    let (status, text) = if verified {
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
