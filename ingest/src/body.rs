//! Reading a body: how long, how large, and how much memory all bodies may take together.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::sync::OwnedSemaphorePermit;

use crate::body_memory::{BodyMemory, NoMemory};

/// How long a sender may take for a body.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How much of a refused body is read and thrown away, and for how long: a connection that is
/// closed while the sender still writes loses the answer on its way
/// (RFC 9112, section 9.6: the server must not reset before the client has read).
const DISCARDED: usize = 8 << 20;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// The least memory for the bodies of addresses that have verified, and for all others.
const MEMORY_OF_VERIFIED: usize = 16 << 20;
const MEMORY_OF_OTHERS: usize = 8 << 20;

/// Reads bodies, all of which together take bounded memory.
pub struct BodyReader {
    max_body_bytes: usize,
    /// A flood from elsewhere cannot take what the addresses of deliveries have.
    verified: BodyMemory,
    others: BodyMemory,
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

impl From<NoMemory> for BodyError {
    fn from(NoMemory: NoMemory) -> Self {
        Self::NoMemory
    }
}

impl BodyReader {
    /// Accepts bodies of up to `max_body_bytes`.
    #[must_use]
    pub fn new(max_body_bytes: usize) -> Self {
        let verified = MEMORY_OF_VERIFIED.max(max_body_bytes.saturating_mul(3));
        Self {
            max_body_bytes,
            verified: BodyMemory::new(verified),
            others: BodyMemory::new(MEMORY_OF_OTHERS.max(max_body_bytes)),
        }
    }

    /// Reads a body to its end; `verified` tells whether its address has sent requests that verified.
    ///
    /// # Errors
    /// When it is too large, too slow or broken off, or there is no memory left for it.
    pub async fn read(
        &self,
        body: &mut Incoming,
        verified: bool,
    ) -> Result<BoundedBody, BodyError> {
        // What the sender announces is refused before it is sent.
        if body.size_hint().lower() > self.max_body_bytes as u64 {
            return Err(BodyError::TooLarge);
        }
        let memory = if verified {
            &self.verified
        } else {
            &self.others
        };
        tokio::time::timeout(TIMEOUT, self.collect(body, memory))
            .await
            .map_err(|_| BodyError::TooSlow)?
    }

    async fn collect(
        &self,
        body: &mut Incoming,
        memory: &BodyMemory,
    ) -> Result<BoundedBody, BodyError> {
        let bytes = self.next(body, 0).await?.unwrap_or_default();
        let memory_of_first = memory.take(bytes.len())?;
        // Most bodies come in one frame, which is not copied.
        if body.is_end_stream() {
            return Ok(BoundedBody {
                bytes,
                _memory: Some(memory_of_first),
            });
        }
        let unfinished = memory.begin(memory_of_first);
        let rest = async {
            // More of them are joined at once: a list of frames of one byte would take many times the
            // memory of the bytes.
            let mut joined = BytesMut::from(bytes);
            while let Some(data) = self.next(body, joined.len()).await? {
                unfinished.grow(data.len())?;
                joined.extend_from_slice(&data);
            }
            Ok::<_, BodyError>(joined.freeze())
        };
        let bytes = tokio::select! {
            biased;
            () = unfinished.gives_way() => return Err(BodyError::NoMemory),
            bytes = rest => bytes?,
        };
        Ok(BoundedBody {
            bytes,
            _memory: Some(unfinished.finish()?),
        })
    }

    /// The next bytes of a body of which `read` have come.
    async fn next(&self, body: &mut Incoming, read: usize) -> Result<Option<Bytes>, BodyError> {
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else {
                continue;
            };
            if read + data.len() > self.max_body_bytes {
                return Err(BodyError::TooLarge);
            }
            return Ok(Some(data));
        }
        Ok(None)
    }
}

/// Reads a refused body a little further while the answer is on its way, and holds `meanwhile` as long.
pub fn discard<T: Send + 'static>(mut body: Incoming, meanwhile: T) {
    tokio::spawn(tokio::time::timeout(DISCARD_TIMEOUT, async move {
        let _meanwhile = meanwhile;
        let mut discarded = 0;
        while let Some(Ok(frame)) = body.frame().await {
            discarded += frame.data_ref().map_or(0, Bytes::len);
            if discarded > DISCARDED {
                break;
            }
        }
    }));
}
