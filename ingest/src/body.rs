//! Reading a body: how long, how large, and how much memory all bodies may take together.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a sender may take for a body.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How much of a refused body is read and thrown away, and for how long: a connection that is
/// closed while the sender still writes loses the answer on its way
/// (RFC 9112, section 9.6: the server must not reset before the client has read).
const DISCARDED: usize = 8 << 20;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads bodies, all of which together take bounded memory.
#[derive(Clone)]
pub struct BodyReader {
    max_body_bytes: usize,
    /// One permit a byte.
    memory: Arc<Semaphore>,
}

/// A body in memory. Its memory counts until it is dropped.
pub struct BoundedBody {
    /// The body, byte for byte.
    pub bytes: Bytes,
    _memory: Option<OwnedSemaphorePermit>,
}

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// It is longer than allowed.
    TooLarge,
    /// It took too long.
    TooSlow,
    /// The sender went away, or does not keep to HTTP.
    Broken,
    /// All the memory for bodies is taken.
    NoMemory,
}

impl BodyReader {
    /// Accepts bodies of up to `max_body_bytes`.
    #[must_use]
    pub fn new(max_body_bytes: usize) -> Self {
        let memory = (24 << 20)
            .max(max_body_bytes.saturating_mul(4))
            .min(Semaphore::MAX_PERMITS);
        Self {
            max_body_bytes,
            memory: Arc::new(Semaphore::new(memory)),
        }
    }

    /// Reads a body to its end.
    ///
    /// # Errors
    /// When it is too large, too slow or broken off, or there is no memory left for it.
    pub async fn read(&self, body: &mut Incoming) -> Result<BoundedBody, BodyError> {
        // What the sender announces is refused before it is sent.
        if body.size_hint().lower() > self.max_body_bytes as u64 {
            return Err(BodyError::TooLarge);
        }
        tokio::time::timeout(TIMEOUT, self.collect(body))
            .await
            .map_err(|_| BodyError::TooSlow)?
    }

    async fn collect(&self, body: &mut Incoming) -> Result<BoundedBody, BodyError> {
        let mut bytes = Bytes::new();
        let mut memory: Option<OwnedSemaphorePermit> = None;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else {
                continue;
            };
            if bytes.len() + data.len() > self.max_body_bytes {
                return Err(BodyError::TooLarge);
            }
            let permits = u32::try_from(data.len()).map_err(|_| BodyError::TooLarge)?;
            let permit = Arc::clone(&self.memory)
                .try_acquire_many_owned(permits)
                .map_err(|_| BodyError::NoMemory)?;
            match &mut memory {
                Some(memory) => memory.merge(permit),
                None => memory = Some(permit),
            }
            // Most bodies come in one frame, which is not copied. More of them are joined at once:
            // a list of frames of one byte would take many times the memory of the bytes.
            bytes = if bytes.is_empty() {
                data
            } else {
                let mut joined = BytesMut::from(bytes);
                joined.extend_from_slice(&data);
                joined.freeze()
            };
        }
        Ok(BoundedBody {
            bytes,
            _memory: memory,
        })
    }
}

/// Reads a refused body a little further while the answer is on its way.
pub fn discard(mut body: Incoming) {
    tokio::spawn(tokio::time::timeout(DISCARD_TIMEOUT, async move {
        let mut discarded = 0;
        while let Some(Ok(frame)) = body.frame().await {
            discarded += frame.data_ref().map_or(0, Bytes::len);
            if discarded > DISCARDED {
                break;
            }
        }
    }));
}
