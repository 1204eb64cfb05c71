//! Which trace a step belongs to, and after which step it comes.

use std::fmt;

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;

/// The name of the header of a request: <https://www.w3.org/TR/trace-context/#traceparent-header>.
pub const TRACEPARENT: &str = "traceparent";

/// Bytes of the text, as far as its form is known; a later version may go on after that.
const KNOWN_LENGTH: usize = 55;
/// The longest text that is looked at.
const LONGEST: usize = 256;

/// Where in a trace a step stands. As text it is a W3C `traceparent`. There is no `tracestate`: it may hold anything
/// of anybody's, and may be left out
/// (<https://www.w3.org/TR/trace-context/#mutating-the-tracestate-field>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: TraceId,
    span_id: SpanId,
    flags: TraceFlags,
}

impl TraceContext {
    /// Reads a `traceparent`, which may be anybody's: `None` if it is none.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let has_the_form = |(place, byte): (usize, &u8)| match place {
            2 | 35 | 52 => *byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        };
        let known = text.get(..KNOWN_LENGTH)?;
        if text.len() > LONGEST || !known.iter().enumerate().all(has_the_form) {
            return None;
        }
        let text = Header(std::str::from_utf8(text).ok()?);
        let found = TraceContextPropagator::new().extract_with_context(&Context::new(), &text);
        found
            .has_active_span()
            .then(|| found.span().span_context().into())
    }
}

struct Header<'a>(&'a str);

impl Extractor for Header<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        (name == TRACEPARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            trace_id,
            span_id,
            flags,
        } = self;
        write!(f, "00-{trace_id}-{span_id}-{flags:02x}")
    }
}

impl From<&SpanContext> for TraceContext {
    fn from(span: &SpanContext) -> Self {
        Self {
            trace_id: span.trace_id(),
            span_id: span.span_id(),
            flags: span.trace_flags() & TraceFlags::SAMPLED,
        }
    }
}

impl From<TraceContext> for SpanContext {
    fn from(context: TraceContext) -> Self {
        let TraceContext {
            trace_id,
            span_id,
            flags,
        } = context;
        Self::new(trace_id, span_id, flags, true, TraceState::NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const W3C: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn parsed(text: &str) -> Option<String> {
        TraceContext::parse(text.as_bytes()).map(|context| context.to_string())
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(parsed(W3C).as_deref(), Some(W3C));
        let not_sampled = W3C.replace("-01", "-00");
        assert_eq!(parsed(&not_sampled), Some(not_sampled));
    }

    /// Flags and fields of later versions mean nothing to us and are not passed on.
    #[test]
    fn what_a_later_version_adds_is_left_out() {
        assert_eq!(parsed(&W3C.replace("-01", "-ff")).as_deref(), Some(W3C));
        let later = format!("{}-and-more", W3C.replacen("00", "cc", 1));
        assert_eq!(parsed(&later).as_deref(), Some(W3C));
    }

    #[test]
    fn anything_else_is_no_trace_context() {
        let zeros = |hexadecimal: &str| W3C.replace(hexadecimal, &"0".repeat(hexadecimal.len()));
        for text in [
            "",
            "00",
            &W3C[..54],
            &format!("{W3C}-00"),
            &format!(" {W3C}"),
            &W3C.to_uppercase(),
            &W3C.replacen("00", "ff", 1),
            &W3C.replace("0af7", "+af7"),
            &W3C.replace('-', "_"),
            &zeros("0af7651916cd43dd8448eb211c80319c"),
            &zeros("b7ad6b7169203331"),
            &format!("cc{}-{}", &W3C[2..], "x".repeat(300)),
            &"é".repeat(40),
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
        assert_eq!(TraceContext::parse(&[0xff; 55]), None);
    }
}
