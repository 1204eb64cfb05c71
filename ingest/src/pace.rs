//! How long a connection may wait for a request, and a sender may take for its head.
//!
//! hyper has one time-out for both, and sets a timer for each request. Here a connection has one timer, which looks at
//! what has happened since: a request that comes at once costs two looks at the clock.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf, Take};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// How long a sender may take for a request head once its first byte has come, and how long a connection may wait
/// for a request while others wait for a connection.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A head may have this many bytes while the places for long ones are taken.
pub const SHORT_HEAD: usize = 8 << 10;
/// Bytes of one read. hyper doubles its buffer whenever a read fills the 8 KiB that it begins with, and keeps it while
/// the connection waits; so it grows only for a head that is longer.
const READ: u64 = (8 << 10) - 1;

/// What a connection does: waits, receives a head, or has requests in hand.
pub struct Pace {
    idle_timeout: Duration,
    /// Places for long heads.
    long_heads: Arc<Semaphore>,
    state: Mutex<State>,
}

struct State {
    /// Requests whose answer, or the rest of whose body, is on its way.
    in_hand: usize,
    /// Bytes of the head that is on its way; none while the connection waits.
    head: usize,
    /// When that head began, or the wait for it.
    since: Instant,
    long_head: Option<OwnedSemaphorePermit>,
}

/// A request in hand, until dropped.
pub struct InHand(Arc<Pace>);

impl Pace {
    /// Of a connection that waits from now on, `idle_timeout` at the most.
    #[must_use]
    pub fn new(idle_timeout: Duration, long_heads: Arc<Semaphore>) -> Self {
        Self {
            idle_timeout,
            long_heads,
            state: Mutex::new(State {
                in_hand: 0,
                head: 0,
                since: Instant::now(),
                long_head: None,
            }),
        }
    }

    /// A request has come: its head is complete.
    #[must_use]
    pub fn request(self: &Arc<Self>) -> InHand {
        let mut state = self.state();
        state.in_hand += 1;
        state.head = 0;
        InHand(Arc::clone(self))
    }

    /// When the connection is to be closed if nothing more happens; `None` while a request is in hand.
    pub fn deadline(&self, crowded: bool) -> Option<Instant> {
        let state = self.state();
        let timeout = match (state.in_hand, state.head) {
            (1.., _) => return None,
            (0, 1..) => HEAD_TIMEOUT,
            (0, 0) if crowded => self.idle_timeout.min(HEAD_TIMEOUT),
            (0, 0) => self.idle_timeout,
        };
        Some(state.since + timeout)
    }

    /// `bytes` have been read.
    fn read(&self, bytes: usize) -> io::Result<()> {
        let mut state = self.state();
        if state.in_hand > 0 || bytes == 0 {
            return Ok(());
        }
        if state.head == 0 {
            state.since = Instant::now();
        }
        state.head += bytes;
        if state.head > SHORT_HEAD && state.long_head.is_none() {
            let place = Arc::clone(&self.long_heads).try_acquire_owned();
            state.long_head = Some(place.map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?);
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.in_hand -= 1;
        if state.in_hand == 0 {
            state.head = 0;
            state.since = Instant::now();
            state.long_head = None;
        }
    }
}

/// A connection that tells its pace what it reads.
pub struct Paced<S> {
    stream: Take<S>,
    pace: Arc<Pace>,
}

impl<S: AsyncRead> Paced<S> {
    /// Tells `pace` what is read of `stream`.
    pub fn new(stream: S, pace: Arc<Pace>) -> Self {
        Self {
            stream: stream.take(READ),
            pace,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream.set_limit(READ);
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        Poll::Ready(self.pace.read(buffer.filled().len() - before))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.stream.get_mut()).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.stream.get_mut()).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.get_ref().is_write_vectored()
    }
}
