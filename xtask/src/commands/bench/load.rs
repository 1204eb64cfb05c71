//! A load generator: events over connections that are kept open, each of which waits for the answer
//! to one request before it sends the next.

use std::{
    net::SocketAddr,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use hdrhistogram::Histogram;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, sync::Semaphore, task::JoinSet};

use super::events::Events;

/// How often requests of a steady load come due. Without a break a thread that waits for the next
/// one would take a good part of a core.
const TICK: Duration = Duration::from_micros(500);
/// Longer than any answer takes: ingest gives up on Redis after 5 s.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// What a window has shown.
pub(crate) struct Answered {
    /// All of them were answered with 200.
    pub(crate) requests: usize,
    pub(crate) elapsed: Duration,
    pub(crate) latencies: Latencies,
}

impl Answered {
    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }
}

/// In microseconds, to three digits.
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self(Histogram::new(3)?))
    }

    pub(crate) fn add(&mut self, latency: Duration) -> anyhow::Result<()> {
        Ok(self.0.record(u64::try_from(latency.as_micros())?)?)
    }

    /// In milliseconds; `quantile` is 0.99 for the 99th percentile.
    pub(crate) fn milliseconds(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1000.0
    }
}

/// Connections that are kept open.
pub(crate) struct Connections(Vec<SendRequest<Full<Bytes>>>);

/// When the requests of a steady load are due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    pub(crate) begin: Instant,
    /// Requests a second.
    pub(crate) rate: f64,
}

impl Schedule {
    pub(crate) fn due(&self, number: usize) -> Instant {
        self.begin + Duration::from_secs_f64(number as f64 / self.rate)
    }
}

/// What all connections take their requests from.
struct Window {
    events: Events,
    next: AtomicUsize,
    end: usize,
    pace: Pace,
}

enum Pace {
    /// As fast as answers come, until then.
    Unbounded { deadline: Instant },
    /// One permit for each request that is due.
    Steady { due: Semaphore, schedule: Schedule },
}

impl Window {
    /// The next request, and from when on its latency counts; `None` at the end.
    async fn next(&self) -> anyhow::Result<Option<(usize, Instant)>> {
        if let Pace::Steady { due, .. } = &self.pace {
            due.acquire().await?.forget();
        }
        let now = Instant::now();
        if matches!(&self.pace, Pace::Unbounded { deadline } if now >= *deadline) {
            return Ok(None);
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number >= self.end {
            return Ok(None);
        }
        Ok(Some(match &self.pace {
            Pace::Unbounded { .. } => (number, now),
            Pace::Steady { schedule, .. } => (number, schedule.due(number)),
        }))
    }
}

impl Connections {
    /// Opens `count` of them.
    pub(crate) async fn open(address: SocketAddr, count: usize) -> anyhow::Result<Self> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            // Its errors reach whoever waits for an answer.
            tokio::spawn(connection);
            connections.push(sender);
        }
        Ok(Self(connections))
    }

    /// Sends these events as fast as answers come, for `limit` at the most. How many were sent is
    /// in what is returned: they are the first ones.
    ///
    /// # Errors
    /// When a request is not answered with 200.
    pub(crate) async fn send(
        &mut self,
        events: &Events,
        numbers: Range<usize>,
        limit: Duration,
    ) -> anyhow::Result<Answered> {
        let window = Arc::new(Window {
            events: events.clone(),
            next: AtomicUsize::new(numbers.start),
            end: numbers.end,
            pace: Pace::Unbounded {
                deadline: Instant::now() + limit,
            },
        });
        self.run(&window).await
    }

    /// Sends all events when they are due, or when a connection is free, if that is later. Latencies
    /// count from when they were due, so that a server which is slow for a moment does not get fewer
    /// requests to be slow at.
    ///
    /// # Errors
    /// When a request is not answered with 200.
    pub(crate) async fn send_steadily(
        &mut self,
        events: &Events,
        schedule: Schedule,
    ) -> anyhow::Result<Answered> {
        let window = Arc::new(Window {
            events: events.clone(),
            next: AtomicUsize::new(0),
            end: events.len(),
            pace: Pace::Steady {
                due: Semaphore::new(0),
                schedule,
            },
        });
        let connections = self.0.len();
        let paced = Arc::clone(&window);
        let pacer = thread::Builder::new()
            .name("pacer".into())
            .spawn(move || paced.keep_pace(connections))?;
        let answered = self.run(&window).await;
        window.stop();
        pacer.join().ok().context("the pacer has panicked")?;
        answered
    }

    async fn run(&mut self, window: &Arc<Window>) -> anyhow::Result<Answered> {
        let begin = Instant::now();
        let mut tasks = JoinSet::new();
        for mut sender in self.0.drain(..) {
            let window = Arc::clone(window);
            tasks.spawn(async move {
                let mut latencies = Latencies::new()?;
                while let Some((number, since)) = window.next().await? {
                    let exchange = exchange(&mut sender, &window.events, number);
                    tokio::time::timeout(ANSWER_DEADLINE, exchange)
                        .await
                        .context("a request was not answered in time")??;
                    latencies.add(since.elapsed())?;
                }
                anyhow::Ok((sender, latencies))
            });
        }
        let mut latencies = Latencies::new()?;
        while let Some(task) = tasks.join_next().await {
            let (sender, of_connection) = task??;
            latencies.0.add(of_connection.0)?;
            self.0.push(sender);
        }
        Ok(Answered {
            requests: usize::try_from(latencies.0.len())?,
            elapsed: begin.elapsed(),
            latencies,
        })
    }
}

impl Window {
    /// Gives out permits for the requests that are due, and at the end one to each connection, for
    /// it to see the end.
    fn keep_pace(&self, connections: usize) {
        let Pace::Steady { due, schedule } = &self.pace else {
            return;
        };
        let mut number = 0;
        while number < self.end && !due.is_closed() {
            thread::sleep(TICK);
            let now = Instant::now();
            let first = number;
            while number < self.end && schedule.due(number) <= now {
                number += 1;
            }
            due.add_permits(number - first);
        }
        due.add_permits(connections);
    }

    fn stop(&self) {
        if let Pace::Steady { due, .. } = &self.pace {
            due.close();
        }
    }
}

async fn exchange(
    sender: &mut SendRequest<Full<Bytes>>,
    events: &Events,
    number: usize,
) -> anyhow::Result<()> {
    sender.ready().await?;
    let response = sender.send_request(events.request(number)).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    ensure!(
        status == 200,
        "a request was answered {status}: {}",
        String::from_utf8_lossy(&body)
    );
    Ok(())
}

#[cfg(test)]
mod tests;
