//! One HTTP request: read, decided, and let through or refused.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use policies::{ApiCall, Basis, Decision, Denial, Permit, PolicyTrouble, Timestamp, authorize_cached};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types;

use crate::host;
use crate::identity::{self, ClientHeaders};
use crate::reply::{self, Asker};
use crate::root::Worker;

/// Whether a request may go on: only once it was permitted, at once or after it waited.
#[derive(Debug, Clone, Default)]
pub(crate) struct Passage(Rc<Cell<bool>>);

impl Passage {
    pub(crate) fn open(&self) {
        self.0.set(true);
    }

    /// What the host is told about a part of the request.
    fn action(&self) -> types::Action {
        if self.0.get() { types::Action::Continue } else { types::Action::Pause }
    }
}

pub(crate) struct Call {
    context_id: u32,
    worker: Rc<RefCell<Worker>>,
    passage: Passage,
}

impl Call {
    pub(crate) fn new(context_id: u32, worker: Rc<RefCell<Worker>>) -> Self {
        Self { context_id, worker, passage: Passage::default() }
    }
}

impl Context for Call {}

impl HttpContext for Call {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> types::Action {
        let headers = host::request_headers();
        let client_headers = ClientHeaders::read(&headers);
        let header_bytes = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let call = ApiCall::of(headers);
        let worker = &mut *self.worker.borrow_mut();
        let passed = match call {
            Err(error) => worker.refuse(&Denial::new(error.into()), &client_headers),
            Ok(call) if worker.enforced.feed.is_ready() => worker.decide(&call, &client_headers),
            Ok(call) => match worker.hold(self.context_id, call, client_headers, header_bytes, self.passage.clone()) {
                Ok(()) => false,
                Err(client_headers) => worker.refuse(&Denial::new(PolicyTrouble::Missing.into()), &client_headers),
            },
        };
        if passed {
            self.passage.open();
        }
        self.passage.action()
    }

    // A host that hands on the rest of a stopped request must not thereby hand on the request.
    fn on_http_request_body(&mut self, _: usize, _: bool) -> types::Action {
        self.passage.action()
    }

    fn on_http_request_trailers(&mut self, _: usize) -> types::Action {
        for name in identity::forged(&host::request_trailers()) {
            host::remove_request_trailer(&name);
        }
        self.passage.action()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // Another borrow would mean that the host ends a stream inside our own call; a call that waits is then forgotten
        // when its time is over.
        if let Ok(mut worker) = self.worker.try_borrow_mut() {
            worker.forget(self.context_id);
        }
    }
}

impl Worker {
    /// Decides a call in the current context; `true` lets it through.
    pub(crate) fn decide(&mut self, call: &ApiCall, client_headers: &ClientHeaders) -> bool {
        let now = host::now();
        let decision = authorize_cached(self.enforced.feed.policy(now), call, now, &self.signatures, &mut self.tokens);
        if self.shadow.is_some() {
            self.compare(call, &decision, client_headers.support_id.as_deref(), now);
        }
        match decision {
            Decision::Permit(permit) if self.is_too_old_for(permit.route(), now) => {
                self.refuse(&Denial::new(PolicyTrouble::Stale.into()), client_headers)
            }
            Decision::Permit(permit) => self.pass(&permit, client_headers),
            Decision::Denial(_) if self.tells_of_the_resource(call, now) => false,
            Decision::Denial(denial) => {
                self.look_for_key(&denial, call);
                self.refuse(&denial, client_headers)
            }
        }
    }

    /// Says what the shadow snapshot would have done otherwise.
    fn compare(&mut self, call: &ApiCall, decision: &Decision, support_id: Option<&str>, now: Timestamp) {
        let Some(shadow) = &mut self.shadow else { return };
        if let Some(compared) = shadow.compare(call, decision, now, &self.signatures) {
            let version = shadow.follower.feed.version();
            self.telemetry.compared_with_shadow(&compared, version, support_id);
        }
    }

    /// Answers whoever asks for the metadata of the API, when no route lets the call through.
    fn tells_of_the_resource(&mut self, call: &ApiCall, now: Timestamp) -> bool {
        let Some(resource) = self.config.resource.as_ref().filter(|known| call.asks_for(&known.metadata_path)) else {
            return false;
        };
        let Ok(known) = self.enforced.feed.policy(now).protected_resource(now) else { return false };
        host::send_reply(200, reply::METADATA_HEADERS.to_vec(), &reply::metadata(resource, &known))
    }

    /// Prepares the call for the API behind. A call whose headers cannot be cleaned does not go through.
    fn pass(&mut self, permit: &Permit, client_headers: &ClientHeaders) -> bool {
        self.telemetry.permitted(permit, self.enforced.feed.version(), client_headers.support_id.as_deref());
        let mut clean = client_headers.forged.iter().all(|name| host::remove_request_header(name));
        if let Basis::Right(held) = permit.basis() {
            // What the client sent under these names is gone: there is nothing to replace.
            clean &= identity::tell(held, &self.config.identity_headers, host::add_request_header);
        }
        if !clean {
            log::error!("identity headers could not be set; the call is refused route={}", permit.route());
            host::send_reply(503, vec![("retry-after", "5")], "");
        }
        clean
    }

    /// Answers in place of the API; always `false`.
    pub(crate) fn refuse(&mut self, denial: &Denial, client_headers: &ClientHeaders) -> bool {
        let support_id = client_headers.support_id.as_deref();
        let (language, kind) = (host::request_header("accept-language"), host::request_header("content-type"));
        let asker = Asker::read(language.as_deref(), kind.as_deref());
        let reply = reply::refuse(denial, &self.config, support_id, asker);
        let headers = reply.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        // The answer first: whatever goes wrong with counting, the call stays stopped.
        let is_sent = match &reply.grpc {
            Some((status, message)) => host::send_grpc_reply(*status, headers, message),
            None => host::send_reply(reply.status, headers, &reply.body),
        };
        if !is_sent {
            log::error!("the host did not take a refusal; the call stays stopped");
        }
        self.telemetry.denied(denial, self.enforced.feed.version(), support_id);
        false
    }
}
