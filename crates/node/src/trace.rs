//! The trace that a message belongs to (W3C Trace Context), as it crosses nodes.
//!
//! A message is taken by a `session` or an `http` request, waits and is committed in a span `writer`, and is delivered in
//! a span `session` on each node that has a session for it. Where nothing is recorded, there is no context.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The bytes of a [`TraceContext`] in a packet.
pub(crate) const TRACE_BYTES: usize = 16 + 8 + 1;

/// Which trace, which span of it, and whether it is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: [u8; 16],
    /// The span that caused what follows.
    pub span: [u8; 8],
    /// The flags; the lowest bit says that it is recorded.
    pub flags: u8,
}

impl TraceContext {
    /// That of the present span, if it is recorded.
    #[must_use]
    pub fn current() -> Option<Self> {
        Self::of(&Span::current())
    }

    /// That of a span, if it is recorded.
    #[must_use]
    pub fn of(span: &Span) -> Option<Self> {
        if span.is_disabled() {
            return None;
        }
        let context = span.context();
        let span = context.span();
        let span = span.span_context();
        span.is_sampled().then(|| Self {
            trace: span.trace_id().to_bytes(),
            span: span.span_id().to_bytes(),
            flags: span.trace_flags().to_u8(),
        })
    }

    /// What a client says in the header `traceparent` to have caused its request. It joins our spans to its own, but
    /// whether they are recorded is for us to say: here, they are not.
    #[must_use]
    pub fn of_client(header: &str) -> Option<Self> {
        // `00-` trace `-` span `-` flags; a later version may have more behind that.
        let (version, rest) = header.split_once('-')?;
        let (trace, rest) = rest.split_once('-')?;
        let (span, _flags) = rest.split_once('-')?;
        let is_lower_hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let is_known = version.len() == 2 && version != "ff" && trace.len() == 32 && span.len() == 16;
        if !is_known || ![version, trace, span].into_iter().all(is_lower_hex) {
            return None;
        }
        let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
        let is_valid = trace != TraceId::INVALID && span != SpanId::INVALID;
        is_valid.then(|| Self { trace: trace.to_bytes(), span: span.to_bytes(), flags: 0 })
    }

    /// Makes it what caused `span`, which has been entered by nobody yet.
    pub fn cause(self, span: &Span) {
        if span.is_disabled() {
            return;
        }
        let Self { trace, span: parent, flags } = self;
        let (trace, parent) = (TraceId::from_bytes(trace), SpanId::from_bytes(parent));
        let parent = SpanContext::new(trace, parent, TraceFlags::new(flags), true, TraceState::default());
        // It fails if the span is under way: then it stays where it is.
        let _late = span.set_parent(Context::new().with_remote_span_context(parent));
    }

    /// As it stands in a packet.
    #[must_use]
    pub fn to_bytes(self) -> [u8; TRACE_BYTES] {
        let mut bytes = [0; TRACE_BYTES];
        bytes[..16].copy_from_slice(&self.trace);
        bytes[16..24].copy_from_slice(&self.span);
        bytes[24] = self.flags;
        bytes
    }

    /// Reads it back.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; TRACE_BYTES]) -> Self {
        let (mut trace, mut span) = ([0; 16], [0; 8]);
        trace.copy_from_slice(&bytes[..16]);
        span.copy_from_slice(&bytes[16..24]);
        Self { trace, span, flags: bytes[24] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_context_or_nothing() {
        let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        for good in [
            format!("00-{trace}-{span}-01"),
            format!("00-{trace}-{span}-00"),
            format!("7f-{trace}-{span}-01-x"),
        ] {
            let found = TraceContext::of_client(&good).unwrap();
            assert_eq!((found.trace[0], found.trace[15], found.span[0], found.flags), (0x0a, 0x9c, 0xb7, 0));
        }
        let (no_trace, no_span) = ("0".repeat(32), "0".repeat(16));
        for bad in [
            String::new(),
            "-".repeat(3),
            format!("00-{trace}-{span}"),
            format!("ff-{trace}-{span}-01"),
            format!("0-{trace}-{span}-01"),
            format!("00-{no_trace}-{span}-01"),
            format!("00-{trace}-{no_span}-01"),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{}-{span}-01", &trace[1..]),
            format!("00-{trace}-+{}-01", &span[1..]),
        ] {
            assert_eq!(TraceContext::of_client(&bad), None, "{bad}");
        }
    }

    #[test]
    fn a_packet_carries_it() {
        let trace = TraceContext { trace: [1; 16], span: [2; 8], flags: 1 };
        assert_eq!(TraceContext::from_bytes(&trace.to_bytes()), trace);
    }
}
