//! Streams of a VM: headers and bodies in, outcomes out, and the actions that the guest deferred.

use super::failure::{Cause, GuestFailure};
use super::headers::Headers;
use super::properties;
use super::state::{Deferred, ROOT};
use super::stream::{BodyOutcome, ClosedStream, LocalReply, Outcome, Phase, Side, Stream, StreamId};
use super::vm::{Vm, size};

const CONTINUE: u32 = 0;

impl Vm {
    /// A new stream, known to the guest.
    ///
    /// # Errors
    /// When the guest fails.
    pub fn open_stream(&mut self) -> Result<StreamId, GuestFailure> {
        let id = self.state_mut().next_context();
        self.state_mut().streams.insert(id, Stream::default());
        self.call::<_, ()>("proxy_on_context_create", id, (id, ROOT))?;
        Ok(StreamId(id))
    }

    /// The request's headers, `:method`, `:path`, `:scheme` and `:authority` included.
    ///
    /// # Errors
    /// When the stream has had them, or the guest fails.
    pub fn request_headers(
        &mut self,
        stream: StreamId,
        headers: impl Into<Headers>,
        end_of_stream: bool,
    ) -> Result<Outcome, GuestFailure> {
        self.headers(stream, Side::Request, headers.into(), end_of_stream)
    }

    /// The upstream's headers, `:status` included, for a stream that was let through.
    ///
    /// # Errors
    /// When it was not, or has had them, or the guest fails.
    pub fn response_headers(
        &mut self,
        stream: StreamId,
        headers: impl Into<Headers>,
        end_of_stream: bool,
    ) -> Result<Outcome, GuestFailure> {
        self.headers(stream, Side::Response, headers.into(), end_of_stream)
    }

    /// A part of the request's body. While the headers are held, a proxy keeps the body back; so must the test.
    ///
    /// # Errors
    /// When the headers have not gone on, or the guest fails.
    pub fn request_body(
        &mut self,
        stream: StreamId,
        part: &[u8],
        end_of_stream: bool,
    ) -> Result<BodyOutcome, GuestFailure> {
        self.body(stream, Side::Request, part, end_of_stream)
    }

    /// A part of the response's body.
    ///
    /// # Errors
    /// When the headers have not gone on, or the guest fails.
    pub fn response_body(
        &mut self,
        stream: StreamId,
        part: &[u8],
        end_of_stream: bool,
    ) -> Result<BodyOutcome, GuestFailure> {
        self.body(stream, Side::Response, part, end_of_stream)
    }

    /// How the request stands now: the way to see what became of one that was held.
    ///
    /// # Errors
    /// When there is no such stream.
    pub fn outcome(&self, stream: StreamId) -> Result<Outcome, GuestFailure> {
        let found = self.state().streams.get(&stream.0);
        found.map(|found| found.outcome(Side::Request)).ok_or_else(|| self.no_stream("outcome", stream))
    }

    /// Sets a property that the guest can read on this stream, such as `["xds", "route_name"]`.
    ///
    /// # Errors
    /// When there is no such stream.
    pub fn set_stream_property(&mut self, stream: StreamId, path: &[&str], value: &[u8]) -> Result<(), GuestFailure> {
        let found = self.stream("proxy_get_property", stream)?;
        found.host_properties.insert(properties::path(path), value.to_vec());
        Ok(())
    }

    /// What the guest set with `set_property` under one name.
    #[must_use]
    pub fn stream_property(&self, stream: StreamId, name: &str) -> Option<Vec<u8>> {
        self.state().streams.get(&stream.0)?.properties.get(name.as_bytes()).cloned()
    }

    /// Ends a stream, because it is complete or because the client left: log, done, delete.
    ///
    /// # Errors
    /// When there is no such stream, or the guest fails.
    pub fn close_stream(&mut self, stream: StreamId) -> Result<ClosedStream, GuestFailure> {
        let id = stream.0;
        self.stream("proxy_on_log", stream)?.logging = true;
        let logged = self.call::<_, ()>("proxy_on_log", id, id);
        self.stream("proxy_on_log", stream)?.logging = false;
        logged?;
        self.call::<_, u32>("proxy_on_done", id, id)?;
        self.call::<_, ()>("proxy_on_delete", id, id)?;
        let closed = self.state_mut().streams.remove(&id);
        closed.map(Stream::close).ok_or_else(|| self.no_stream("proxy_on_delete", stream))
    }

    /// Carries out, in order, what the guest asked for during a callback.
    pub(super) fn run_deferred(&mut self, callback: &'static str, context: u32) -> Result<(), GuestFailure> {
        while let Some(action) = self.state_mut().deferred.pop_front() {
            match action {
                Deferred::Resume(id, side) => self.resume(id, side),
                Deferred::Reply(id, reply) => self.reply(id, reply)?,
                Deferred::Reset(id) => {
                    if let Some(stream) = self.state_mut().streams.get_mut(&id) {
                        stream.reset = true;
                    }
                }
            }
        }
        match self.state_mut().misuse.take() {
            Some(what) => Err(self.failure(callback, context, Cause::Misuse(what))),
            None => Ok(()),
        }
    }

    fn resume(&mut self, id: u32, side: Side) {
        let state = self.state_mut();
        let resumed = state.streams.get_mut(&id).is_some_and(|stream| stream.resume(side));
        if !resumed {
            state.misuse.get_or_insert(format!("it resumed stream {id}, which does not wait"));
        }
    }

    /// A reply runs through the guest's own response callbacks before the client gets it.
    fn reply(&mut self, id: u32, reply: LocalReply) -> Result<(), GuestFailure> {
        let Some(stream) = self.state_mut().streams.get_mut(&id).filter(|stream| stream.can_reply()) else {
            let what = format!("it replied to stream {id}, which had been replied to, let through or closed");
            self.state_mut().misuse.get_or_insert(what);
            return Ok(());
        };
        let LocalReply { status, headers, body, details } = reply.clone();
        stream.reply = Some(reply);
        let mut shown = headers;
        shown.set(b":status", status.to_string().as_bytes());
        let count = shown.len();
        stream.show_headers(Side::Response, shown);
        let no_body = u32::from(body.is_empty());
        self.call::<_, u32>("proxy_on_response_headers", id, (id, size(count), no_body))?;
        let mut headers = self.stream("proxy_on_response_headers", StreamId(id))?.response.headers.clone();
        let status = headers.get(":status").and_then(|status| status.parse().ok()).unwrap_or(status);
        headers.remove(b":status");
        let body = if body.is_empty() { body } else { self.reply_body(id, body)? };
        let stream = self.stream("proxy_on_response_headers", StreamId(id))?;
        stream.pass(Side::Response);
        stream.reply = Some(LocalReply { status, headers, body, details });
        Ok(())
    }

    fn reply_body(&mut self, id: u32, body: Vec<u8>) -> Result<Vec<u8>, GuestFailure> {
        let stream = self.stream("proxy_on_response_body", StreamId(id))?;
        stream.pass(Side::Response);
        stream.response.phase = Phase::InBody;
        let length = size(body.len());
        stream.response.body = body;
        self.call::<_, u32>("proxy_on_response_body", id, (id, length, 1_u32))?;
        let stream = self.stream("proxy_on_response_body", StreamId(id))?;
        Ok(std::mem::take(&mut stream.response.body))
    }

    fn headers(
        &mut self,
        stream: StreamId,
        side: Side,
        headers: Headers,
        end_of_stream: bool,
    ) -> Result<Outcome, GuestFailure> {
        let callback = match side {
            Side::Request => "proxy_on_request_headers",
            Side::Response => "proxy_on_response_headers",
        };
        let headers = headers.joined(self.state().options.join_repeated_headers);
        let count = headers.len();
        let found = self.stream(callback, stream)?;
        let upstream_was_asked = side == Side::Request || found.request.phase == Phase::Passed;
        if found.half(side).phase != Phase::Idle || found.is_over() || !upstream_was_asked {
            return Err(self.not_possible(callback, format!("stream {} takes no such headers now", stream.0)));
        }
        found.show_headers(side, headers);
        let action = self.call::<_, u32>(callback, stream.0, (stream.0, size(count), u32::from(end_of_stream)))?;
        let found = self.stream(callback, stream)?;
        // A guest that resumed within its own callback has gone on, whatever it returned.
        if !found.is_over() && found.half(side).phase == Phase::InHeaders {
            match action.unwrap_or(CONTINUE) {
                CONTINUE => found.pass(side),
                _ => found.half(side).phase = Phase::HeadersPaused,
            }
        }
        Ok(found.outcome(side))
    }

    fn body(
        &mut self,
        stream: StreamId,
        side: Side,
        part: &[u8],
        end_of_stream: bool,
    ) -> Result<BodyOutcome, GuestFailure> {
        let callback = match side {
            Side::Request => "proxy_on_request_body",
            Side::Response => "proxy_on_response_body",
        };
        let found = self.stream(callback, stream)?;
        let expected = matches!(found.half(side).phase, Phase::Passed | Phase::BodyPaused);
        if !expected || found.is_over() {
            return Err(self.not_possible(callback, format!("stream {} takes no body now", stream.0)));
        }
        let half = found.half(side);
        half.phase = Phase::InBody;
        half.body.extend_from_slice(part);
        let held = size(half.body.len());
        let action = self.call::<_, u32>(callback, stream.0, (stream.0, held, u32::from(end_of_stream)))?;
        let found = self.stream(callback, stream)?;
        if let Some(reply) = &found.reply {
            return Ok(BodyOutcome::LocalReply(reply.clone()));
        }
        if found.reset {
            return Ok(BodyOutcome::Reset);
        }
        if action.unwrap_or(CONTINUE) != CONTINUE && found.half(side).phase == Phase::InBody {
            found.half(side).phase = Phase::BodyPaused;
            return Ok(BodyOutcome::Paused);
        }
        found.pass(side);
        Ok(BodyOutcome::Continue { body: std::mem::take(&mut found.half(side).body) })
    }

    fn stream(&mut self, callback: &'static str, stream: StreamId) -> Result<&mut Stream, GuestFailure> {
        if !self.state().streams.contains_key(&stream.0) {
            return Err(self.no_stream(callback, stream));
        }
        let failure = self.no_stream(callback, stream);
        self.state_mut().streams.get_mut(&stream.0).ok_or(failure)
    }

    fn no_stream(&self, callback: &'static str, stream: StreamId) -> GuestFailure {
        self.failure(callback, stream.0, Cause::NotPossible(format!("stream {} is not open", stream.0)))
    }
}
