//! Connections: how many, how slow, and how they end.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::pace::{Pace, Paced};
use crate::refused_connection::{LooksLike, MAX_HEAD_BYTES, MAX_HEADERS};
use crate::webhook::Endpoint;

/// Connections that may be open; the next one waits in the kernel's queue.
const MAX_CONNECTIONS: usize = 2048;
/// Files that may be open then: the connections, and what else the process needs.
pub const OPEN_FILES: u64 = MAX_CONNECTIONS as u64 + 128;
/// Heads of more than 8 KiB that may be on their way at the same time. If every connection had one, they would take
/// 128 MiB.
const MAX_LONG_HEADS: usize = 256;
/// How long a connection lives: the first answer after that is its last, and says so. Closing it between two requests
/// could happen in the moment in which a proxy sends the next one.
const LIFETIME: Duration = Duration::from_secs(300);
/// How often a connection looks whether it has waited for too long, at the least.
const LOOK: Duration = Duration::from_secs(5);
/// How much is read of what is refused, and for how long, so that the answer is not lost on its way.
const DISCARDED: u64 = 8 << 20;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// What all connections have in common.
#[derive(Clone)]
struct Connections {
    endpoint: Arc<Endpoint>,
    stop: CancellationToken,
    idle_timeout: Duration,
    places: Arc<Semaphore>,
    /// All places were taken, and fewer than half are free again.
    crowded: Arc<AtomicBool>,
    long_heads: Arc<Semaphore>,
}

/// Accepts connections until `stop` is cancelled, then lets requests in flight finish, for `grace`
/// at the most.
pub async fn run(
    listener: TcpListener,
    endpoint: Arc<Endpoint>,
    stop: CancellationToken,
    idle_timeout: Duration,
    grace: Duration,
) {
    let connections = TaskTracker::new();
    let common = Connections::new(endpoint, stop, idle_timeout);
    loop {
        let accepted = tokio::select! {
            () = common.stop.cancelled() => break,
            accepted = accept(&listener, &common.places) => accepted,
        };
        let Some((stream, peer, place)) = accepted else {
            continue;
        };
        let common = common.clone();
        connections.spawn(async move {
            let _ = stream.set_nodelay(true);
            common.endpoint.metrics.open_connections.inc();
            common.serve(stream, peer.ip()).await;
            common.endpoint.metrics.open_connections.dec();
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    if timeout(grace, connections.wait()).await.is_err() {
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

impl Connections {
    fn new(endpoint: Arc<Endpoint>, stop: CancellationToken, idle_timeout: Duration) -> Self {
        Self {
            endpoint,
            stop,
            idle_timeout,
            places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            crowded: Arc::default(),
            long_heads: Arc::new(Semaphore::new(MAX_LONG_HEADS)),
        }
    }

    /// Whether idle connections are to make room. If one that is closed were enough to end that, those that wait in
    /// the kernel's queue would come in one by one.
    fn are_crowded(&self) -> bool {
        // The place of the connection that is accepted next counts as taken.
        match self.places.available_permits() {
            0 => self.crowded.store(true, Ordering::Relaxed),
            free if free > MAX_CONNECTIONS / 2 => self.crowded.store(false, Ordering::Relaxed),
            _ => {}
        }
        self.crowded.load(Ordering::Relaxed)
    }

    async fn serve<S>(&self, stream: S, peer: IpAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let begun = Instant::now();
        let long_heads = Arc::clone(&self.long_heads);
        let pace = Arc::new(Pace::new(self.idle_timeout, long_heads));
        let service = service_fn(|request| {
            let in_hand = pace.request();
            async move {
                let mut response = self.endpoint.answer(request, peer, in_hand).await;
                if begun.elapsed() > LIFETIME {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(CONNECTION, close);
                }
                Ok::<_, Infallible>(response)
            }
        });
        let mut connection = http1::Builder::new()
            .max_buf_size(MAX_HEAD_BYTES)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(Paced::new(stream, Arc::clone(&pace))), service);
        let ended = tokio::select! {
            ended = self.in_time(Pin::new(&mut connection), &pace) => ended,
            () = self.stop.cancelled() => {
                Pin::new(&mut connection).graceful_shutdown();
                self.in_time(Pin::new(&mut connection), &pace).await
            }
        };
        // An error is the sender's: it went away, or what it sends is no request.
        let Some(Err(error)) = ended else { return };
        let rest = connection.into_parts();
        if let Some(looks_like) = LooksLike::of(&error, &rest.read_buf) {
            self.endpoint.misses.connection(looks_like);
            discard(rest.io.into_inner()).await;
        }
    }

    /// What becomes of `connection`; `None` where it has waited, or taken for a head, for too long.
    async fn in_time<T>(
        &self,
        mut connection: Pin<&mut impl Future<Output = T>>,
        pace: &Pace,
    ) -> Option<T> {
        let mut timer = pin!(sleep_until(Instant::now() + LOOK));
        poll_fn(|context| {
            if let Poll::Ready(ended) = connection.as_mut().poll(context) {
                return Poll::Ready(Some(ended));
            }
            loop {
                let deadline = pace.deadline(self.are_crowded());
                if let Some(deadline) = deadline.filter(|deadline| *deadline < timer.deadline()) {
                    timer.as_mut().reset(deadline);
                }
                if timer.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                let now = Instant::now();
                if deadline.is_some_and(|deadline| deadline <= now) {
                    return Poll::Ready(None);
                }
                timer.as_mut().reset(now + LOOK);
            }
        })
        .await
    }
}

/// Reads the rest of a refused connection: one that is closed while the sender still writes loses the answer on its way
/// (RFC 9112, section 9.6).
async fn discard(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let _ = timeout(DISCARD_TIMEOUT, async {
        stream.shutdown().await?;
        let mut rest = stream.take(DISCARDED);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    })
    .await;
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;
    use shared::redis_link::RedisLink;
    use shared::redis_servers::RedisServers;
    use shared::traces::Traces;
    use tokio::io::DuplexStream;

    use super::*;
    use crate::body::BodyReader;
    use crate::forgery_limiter::ForgeryLimiter;
    use crate::metrics::Metrics;
    use crate::misses::Misses;
    use crate::once_a_minute::OnceAMinute;
    use crate::queue::Queue;
    use crate::signature::Verifier;
    use crate::webhook_path::WebhookPath;

    const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

    /// It has no Redis: nothing but the path is asked for.
    fn connections() -> Connections {
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let redis = RedisServers::parse("redis://127.0.0.1:1", None).unwrap();
        let link = RedisLink::with_connections(&redis, 1).unwrap();
        let endpoint = Endpoint {
            path: WebhookPath::default(),
            verifier: Verifier::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap(),
            body_reader: BodyReader::new(1 << 20),
            forgery_limiter: ForgeryLimiter::default(),
            trusted_proxy_hops: 0,
            queue: Queue::new(link, None, 1, 1, metrics.clone()),
            misses: Misses::new(metrics.clone()),
            no_memory_line: OnceAMinute::default(),
            metrics,
            traces: Traces::from_environment("test").unwrap(),
            stop: CancellationToken::new(),
        };
        Connections::new(Arc::new(endpoint), CancellationToken::new(), IDLE_TIMEOUT)
    }

    fn connect(connections: &Connections) -> DuplexStream {
        let (client, server) = tokio::io::duplex(1 << 16);
        let connections = connections.clone();
        tokio::spawn(async move { connections.serve(server, [127, 0, 0, 1].into()).await });
        client
    }

    /// One answer, or nothing where the connection is closed.
    async fn ask(client: &mut DuplexStream) -> String {
        let request = b"GET /api/webhooks/clerk HTTP/1.1\r\nhost: ingest\r\n\r\n";
        let _ = client.write_all(request).await;
        let mut answer = [0; 4096];
        let length = client.read(&mut answer).await.unwrap_or_default();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    /// `IDLE_TIMEOUT_MS`: a connection's life ends after an answer that says so.
    #[tokio::test(start_paused = true)]
    async fn the_last_answer_of_a_connection_says_so() {
        let mut client = connect(&connections());
        for seconds in [0, 74, 148, 222, 296, 370] {
            let answer = ask(&mut client).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{seconds}: {answer}");
            let is_last = answer.contains("connection: close");
            assert_eq!(is_last, seconds > 300, "{seconds}: {answer}");
            tokio::time::sleep(Duration::from_secs(74)).await;
        }
        assert_eq!(ask(&mut client).await, "");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_waits_as_long_as_it_may_and_a_head_does_not() {
        let connections = connections();
        let begun = Instant::now();
        let (mut idle, mut slow) = (connect(&connections), connect(&connections));
        assert!(ask(&mut idle).await.starts_with("HTTP/1.1 200 "));
        tokio::time::sleep(Duration::from_secs(30)).await;
        slow.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        assert_eq!(slow.read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(begun.elapsed().as_secs(), 40);
        assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(begun.elapsed().as_secs(), 75);
    }

    /// P9: an idle connection is closed sooner while others wait for its place.
    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_makes_room_where_there_is_none() {
        let connections = connections();
        let begun = Instant::now();
        let mut idle = connect(&connections);
        tokio::time::sleep(Duration::from_secs(20)).await;
        let all = u32::try_from(connections.places.available_permits()).unwrap();
        let _taken = connections.places.acquire_many(all / 4 * 3).await.unwrap();
        drop(connections.places.acquire_many(all / 4).await.unwrap());
        assert!(!connections.are_crowded());
        let last = connections.places.acquire_many(all / 4).await.unwrap();
        assert!(connections.are_crowded());
        // A place that is free again is not enough.
        drop(last);
        assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0);
        assert!(begun.elapsed() <= Duration::from_secs(26), "{begun:?}");
    }
}
