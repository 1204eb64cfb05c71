//! Connections that never become a request for us, and what they look like.

/// The longest head, in bytes. Proxies that guard applications add kilobytes of cookies and tokens.
pub const MAX_HEAD_BYTES: usize = 64 << 10;
/// The most headers of one request.
pub const MAX_HEADERS: usize = 256;

/// What a refused connection looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LooksLike {
    /// More than [`MAX_HEAD_BYTES`].
    HeadTooLong,
    /// More than [`MAX_HEADERS`].
    TooManyHeaders,
    /// One long head too many at the same time.
    TooManyLongHeads,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// The line with which a balancer tells whom it speaks for, of either version.
    ProxyProtocol,
    /// A connection that is to be encrypted.
    Tls,
    /// Anything else that is not HTTP/1.1.
    Other,
}

impl LooksLike {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::HeadTooLong,
        Self::TooManyHeaders,
        Self::TooManyLongHeads,
        Self::Http2,
        Self::ProxyProtocol,
        Self::Tls,
        Self::Other,
    ];

    /// What hyper could not make a request of: `error`, and the bytes that it has not used. `None` where the sender
    /// only went away.
    #[must_use]
    pub fn of(error: &hyper::Error, unused: &[u8]) -> Option<Self> {
        if is_out_of_memory(error) {
            return Some(Self::TooManyLongHeads);
        }
        if error.is_parse_too_large() {
            let is_long = unused.len() >= MAX_HEAD_BYTES;
            return Some(if is_long {
                Self::HeadTooLong
            } else {
                Self::TooManyHeaders
            });
        }
        error.is_parse().then(|| Self::first_bytes(unused))
    }

    /// hyper has thrown away empty lines in front, and the signature of version 2 of the PROXY protocol begins with
    /// two (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).
    fn first_bytes(bytes: &[u8]) -> Self {
        match bytes {
            [b'P', b'R', b'I', b' ', b'*', b' ', ..] => Self::Http2,
            [b'P', b'R', b'O', b'X', b'Y', b' ', ..] => Self::ProxyProtocol,
            [0, b'\r', b'\n', b'Q', b'U', b'I', b'T', b'\n', ..] => Self::ProxyProtocol,
            // A handshake record of SSL 3.0 or any TLS (RFC 8446, section 5.1).
            [0x16, 3, ..] => Self::Tls,
            _ => Self::Other,
        }
    }

    /// The kind's name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HeadTooLong => "head_too_long",
            Self::TooManyHeaders => "too_many_headers",
            Self::TooManyLongHeads => "too_many_long_heads",
            Self::Http2 => "http2",
            Self::ProxyProtocol => "proxy_protocol",
            Self::Tls => "tls",
            Self::Other => "other",
        }
    }

    /// The kind in words, for the log.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::HeadTooLong => "a head of more than 64 KiB",
            Self::TooManyHeaders => "a head of more than 256 headers",
            Self::TooManyLongHeads => "a head of more than 8 KiB while 256 others are on their way",
            Self::Http2 => "HTTP/2",
            Self::ProxyProtocol => "a PROXY protocol line",
            Self::Tls => "TLS",
            Self::Other => "something else",
        }
    }
}

fn is_out_of_memory(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error);
    let source = source.and_then(|source| source.downcast_ref::<std::io::Error>());
    source.is_some_and(|source| source.kind() == std::io::ErrorKind::OutOfMemory)
}
