//! Connections: how many, how slow, and how they end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::webhook::Endpoint;

/// Connections that may be open; the next one waits in the kernel's queue.
const MAX_CONNECTIONS: usize = 2048;
/// Files that may be open then: the connections, and what else the process needs.
pub const OPEN_FILES: u64 = MAX_CONNECTIONS as u64 + 128;
/// How long a sender may take for a request head, and how long a connection may idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection lives. A sender that pipelines requests and never reads the answers is slow at
/// nothing that has a time-out of its own.
const LIFETIME: Duration = Duration::from_secs(300);
/// How long a connection may take to finish once its life is over.
const LAST_REQUEST: Duration = Duration::from_secs(30);
const MAX_HEAD_BYTES: usize = 16 << 10;
const MAX_HEADERS: usize = 64;

/// Accepts connections until `stop` is cancelled, then lets requests in flight finish, for `grace`
/// at the most.
pub async fn run(
    listener: TcpListener,
    endpoint: Arc<Endpoint>,
    stop: CancellationToken,
    grace: Duration,
) {
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, peer, place)) = accepted else {
            continue;
        };
        let (endpoint, stop) = (Arc::clone(&endpoint), stop.clone());
        connections.spawn(async move {
            endpoint.metrics.open_connections.inc();
            serve(stream, peer, &endpoint, &stop).await;
            endpoint.metrics.open_connections.dec();
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(grace, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            connections = connections.len(),
            "closing connections that did not finish in time"
        );
    }
}

type Accepted = (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<Accepted> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, place)),
        Err(error) => {
            // Out of file descriptors, most likely: accepting again at once would spin.
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, endpoint: &Endpoint, stop: &CancellationToken) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| async move {
        Ok::<_, Infallible>(endpoint.answer(request, peer.ip()).await)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // An error here is the sender's: it broke off, was too slow or does not speak HTTP.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => {}
        () = tokio::time::sleep(LIFETIME) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(LAST_REQUEST, connection).await;
}
