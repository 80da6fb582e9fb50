//! One call through the proxy: what has arrived, what the guest may see of it now, and how it stands.
//!
//! Each side (request, response) walks `Idle → InHeaders → Paused | Passed`, then the same for its body. The guest
//! sees headers while its callback runs and while it holds the stream, and no longer once the stream went on.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use super::headers::Headers;

/// A stream, as the test names it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StreamId(pub(super) u32);

impl StreamId {
    /// The number by which the guest knows it, as found in log lines.
    #[must_use]
    pub fn context_id(self) -> u32 {
        self.0
    }
}

/// How headers fared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Let through, with these headers.
    Continue {
        /// The headers as the guest left them.
        headers: Headers,
    },
    /// Held until the guest resumes or replies: ask `Vm::outcome` after later events.
    Paused,
    /// Answered by the guest.
    LocalReply(LocalReply),
    /// Reset by the guest, without an answer.
    Reset,
}

impl Outcome {
    /// The reply, if there is one.
    #[must_use]
    pub fn reply(&self) -> Option<&LocalReply> {
        match self {
            Self::LocalReply(reply) => Some(reply),
            _ => None,
        }
    }

    /// The headers that went on, if they did.
    #[must_use]
    pub fn headers(&self) -> Option<&Headers> {
        match self {
            Self::Continue { headers } => Some(headers),
            _ => None,
        }
    }

    /// Whether the stream waits.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        *self == Self::Paused
    }
}

/// How a part of a body fared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BodyOutcome {
    /// Let through: everything that was held, as the guest left it.
    Continue {
        /// The bytes.
        body: Vec<u8>,
    },
    /// Held; the guest sees it together with what comes next.
    Paused,
    /// Answered by the guest.
    LocalReply(LocalReply),
    /// Reset by the guest, without an answer.
    Reset,
}

/// What the client gets instead of the upstream's answer.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct LocalReply {
    /// The HTTP status; 200 for a gRPC caller, whose status is the header `grpc-status`.
    pub status: u32,
    /// The headers without `:status`, after the guest's own response callback has seen them.
    pub headers: Headers,
    /// The body; empty for a gRPC caller, whose message is the header `grpc-message`.
    pub body: Vec<u8>,
    /// What `%RESPONSE_CODE_DETAILS%` shows.
    pub details: String,
}

impl LocalReply {
    /// The body as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn body_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}

impl fmt::Debug for LocalReply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LocalReply")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("body", &self.body_text())
            .field("details", &self.details)
            .finish()
    }
}

/// What is left of a stream that was closed.
#[derive(Clone, Debug)]
pub struct ClosedStream {
    /// How it stood.
    pub outcome: Outcome,
    /// What the guest set with `set_property`: `%FILTER_STATE(wasm.<name>)%` in an access log.
    pub properties: BTreeMap<String, Vec<u8>>,
    /// How often the guest asked for the route to be chosen again.
    pub route_cache_cleared: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Side {
    Request,
    Response,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Phase {
    #[default]
    Idle,
    /// The headers callback runs.
    InHeaders,
    HeadersPaused,
    /// The headers went on; a body may come.
    Passed,
    /// The body callback runs.
    InBody,
    BodyPaused,
}

#[derive(Debug, Default)]
pub(super) struct Half {
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
    pub(super) phase: Phase,
    /// Whether the guest may still look at the headers.
    visible: bool,
}

#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) request: Half,
    pub(super) response: Half,
    pub(super) reply: Option<LocalReply>,
    pub(super) reset: bool,
    /// Access logging: headers can be read again, not changed.
    pub(super) logging: bool,
    /// Set by the guest.
    pub(super) properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Set by the test.
    pub(super) host_properties: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) route_cache_cleared: u32,
}

impl Stream {
    pub(super) fn half(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.response,
        }
    }

    pub(super) fn readable_headers(&mut self, side: Side) -> Option<&Headers> {
        let logging = self.logging;
        let half = self.half(side);
        (half.visible || logging).then_some(&half.headers)
    }

    pub(super) fn writable_headers(&mut self, side: Side) -> Option<&mut Headers> {
        let half = self.half(side);
        half.visible.then_some(&mut half.headers)
    }

    /// The body that the guest holds or is being shown.
    pub(super) fn body(&mut self, side: Side) -> Option<&mut Vec<u8>> {
        let half = self.half(side);
        matches!(half.phase, Phase::InBody | Phase::BodyPaused).then_some(&mut half.body)
    }

    pub(super) fn show_headers(&mut self, side: Side, headers: Headers) {
        *self.half(side) = Half { headers, body: Vec::new(), phase: Phase::InHeaders, visible: true };
    }

    /// The guest resumes: from this moment, not from the end of its callback, the headers are out of its reach.
    pub(super) fn hide(&mut self) {
        self.request.visible = false;
        self.response.visible = false;
    }

    pub(super) fn pass(&mut self, side: Side) {
        let half = self.half(side);
        half.phase = Phase::Passed;
        half.visible = false;
    }

    /// Lets a stream go on that waits, or whose callback is just ending; `false` when there is nothing to resume.
    pub(super) fn resume(&mut self, side: Side) -> bool {
        let waits = !matches!(self.half(side).phase, Phase::Idle | Phase::Passed);
        if waits && !self.is_over() {
            self.pass(side);
        }
        waits && !self.is_over()
    }

    /// Whether a reply of the guest can still take the place of the upstream's answer.
    pub(super) fn can_reply(&self) -> bool {
        let open = |half: &Half| !matches!(half.phase, Phase::Idle | Phase::Passed);
        !self.is_over() && (open(&self.request) || open(&self.response))
    }

    pub(super) fn is_over(&self) -> bool {
        self.reset || self.reply.is_some()
    }

    pub(super) fn outcome(&self, side: Side) -> Outcome {
        if let Some(reply) = &self.reply {
            return Outcome::LocalReply(reply.clone());
        }
        let half = match side {
            Side::Request => &self.request,
            Side::Response => &self.response,
        };
        match half.phase {
            _ if self.reset => Outcome::Reset,
            Phase::Passed | Phase::InBody | Phase::BodyPaused => Outcome::Continue { headers: half.headers.clone() },
            Phase::Idle | Phase::InHeaders | Phase::HeadersPaused => Outcome::Paused,
        }
    }

    pub(super) fn close(self) -> ClosedStream {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let outcome = self.outcome(Side::Request);
        let properties = self.properties.into_iter().map(|(name, value)| (text(name), value)).collect();
        ClosedStream { outcome, properties, route_cache_cleared: self.route_cache_cleared }
    }
}
