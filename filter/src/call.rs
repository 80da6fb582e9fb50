//! One HTTP request: read, decided, and let through or refused.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use policies::token::TokenError;
use policies::{ApiCall, Basis, Decision, Denial, Permit, PolicyTrouble, Timestamp, authorize_cached};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types;

use crate::config::RouteMetadata;
use crate::host;
use crate::identity;
use crate::remote_pdp::{Asked, RemotePdp, Turn};
use crate::reply::{self, Asker};
use crate::root::Worker;

/// Whether a request that waits may go on: only once it was permitted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Passage(Rc<Cell<bool>>);

impl Passage {
    pub(crate) fn open(&self) {
        self.0.set(true);
    }
}

pub(crate) struct Call {
    context_id: u32,
    worker: Rc<RefCell<Worker>>,
    is_permitted: bool,
    /// Others decide it, later.
    passage: Option<Passage>,
    /// It waits for a remote decision point, to go on without these headers.
    asked: Option<Box<(Asked, Vec<String>)>>,
}

impl Call {
    pub(crate) fn new(context_id: u32, worker: Rc<RefCell<Worker>>) -> Self {
        Self { context_id, worker, is_permitted: false, passage: None, asked: None }
    }

    /// What the host is told about a part of the request.
    fn action(&self) -> types::Action {
        let is_open = self.is_permitted || self.passage.as_ref().is_some_and(|passage| passage.0.get());
        if is_open { types::Action::Continue } else { types::Action::Pause }
    }
}

impl Context for Call {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body_bytes: usize, _: usize) {
        let Some(waiting) = self.asked.take_if(|waiting| waiting.0.token == token) else { return };
        let (asked, forged) = *waiting;
        if self.worker.borrow_mut().conclude(asked, headers, body_bytes, &forged) {
            self.is_permitted = true;
            if !host::resume_request() {
                log::error!("the host did not resume a call that was permitted");
            }
        }
    }
}

impl HttpContext for Call {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> types::Action {
        let worker = &mut *self.worker.borrow_mut();
        let passed = match host::request().map(|call| worker.with_named_route(call)) {
            Err(error) => worker.refuse(&Denial::new(error.into()), None),
            Ok(call) if worker.enforced.feed.is_ready() => {
                let began = worker.telemetry.begins();
                let passed = worker.decide(&call, true);
                worker.telemetry.ends(began);
                if std::mem::take(&mut worker.waits_for_key) {
                    let held =
                        worker.wait_for_key(self.context_id, call, self.passage.insert(Passage::default()).clone());
                    held.is_err_and(|call| worker.refuse(&key_unknown(), Some(&call)))
                } else {
                    let forged = || identity::forged(call.header_names());
                    self.asked = worker.asked.take().map(|asked| Box::new((asked, forged())));
                    passed
                }
            }
            Ok(call) => {
                let passage = self.passage.insert(Passage::default()).clone();
                let held = worker.hold(self.context_id, call, passage);
                let missing = || Denial::new(PolicyTrouble::Missing.into());
                held.is_err_and(|call| worker.refuse(&missing(), Some(&call)))
            }
        };
        self.is_permitted = passed;
        self.action()
    }

    // A host that hands on the rest of a stopped request must not thereby hand on the request.
    fn on_http_request_body(&mut self, _: usize, _: bool) -> types::Action {
        self.action()
    }

    fn on_http_request_trailers(&mut self, _: usize) -> types::Action {
        let trailers = host::request_trailers();
        for name in identity::forged(trailers.iter().map(|(name, _)| name.as_bytes())) {
            host::remove_request_trailer(&name);
        }
        self.action()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // Another borrow would mean that the host ends a stream inside our own call; a call that waits is then forgotten
        // when its time is over.
        if let Ok(mut worker) = self.worker.try_borrow_mut() {
            worker.forget(self.context_id);
            if self.asked.is_some() {
                worker.remote_pdp.iter_mut().for_each(RemotePdp::waits_no_more);
            }
        }
    }
}

impl Worker {
    /// Asks the host, where it is configured so, which of the snapshot's routes its own route is for.
    fn with_named_route(&self, mut call: ApiCall) -> ApiCall {
        let named = match self.config.route_metadata {
            RouteMetadata::Ignored => return call,
            RouteMetadata::Optional => host::route_metadata(),
            // No route has an empty name.
            RouteMetadata::Required => Some(host::route_metadata().unwrap_or_default()),
        };
        if let Some(named) = named {
            call.only_for(String::from_utf8(named).unwrap_or_default());
        }
        call
    }

    /// Decides a call in the current context; `true` lets it through. One that may wait for a remote decision point is left
    /// in `asked`; of one that may wait for an issuer's keys `waits_for_key` tells.
    pub(crate) fn decide(&mut self, call: &ApiCall, may_wait: bool) -> bool {
        let now = host::now();
        let decision = authorize_cached(self.enforced.feed.policy(now), call, now, &self.signatures, &mut self.tokens);
        if self.shadow.is_some() || self.remote_pdp.is_some() {
            self.compare(call, &decision, now);
        }
        match decision {
            Decision::Permit(permit) if self.is_too_old_for(permit.route(), now) => {
                self.refuse(&Denial::new(PolicyTrouble::Stale.into()), Some(call))
            }
            Decision::Permit(permit) => self.pass(&permit, &identity::forged(call.header_names()), Some(call)),
            Decision::Denial(_) if self.tells_of_the_resource(call, now) => false,
            Decision::Denial(denial) => match self.ask_elsewhere(&denial, call, now, may_wait) {
                None if self.look_for_key(&denial, call, now) && may_wait => {
                    self.waits_for_key = true;
                    false
                }
                None => self.refuse(&denial, Some(call)),
                Some(Turn::Asked(asked)) => {
                    self.telemetry.remote("portvakt.remote_pdp.asked");
                    self.asked = Some(asked);
                    false
                }
                Some(Turn::Decided(decision)) => {
                    self.settle_remotely(decision, &identity::forged(call.header_names()), Some(call), now)
                }
            },
        }
    }

    /// Decides a call by the reply at hand, of a remote decision point; `true` lets it through.
    fn conclude(&mut self, asked: Asked, headers: usize, body_bytes: usize, forged: &[String]) -> bool {
        let now = host::now();
        let Some(remote_pdp) = &mut self.remote_pdp else { return false };
        self.telemetry.remote_answered(now.millis_since(asked.asked_at).max(0));
        let decision = remote_pdp.conclude(asked, headers, body_bytes, now);
        self.settle_remotely(decision, forged, None, now)
    }

    fn settle_remotely(
        &mut self,
        decision: Decision,
        forged: &[String],
        call: Option<&ApiCall>,
        now: Timestamp,
    ) -> bool {
        match decision {
            Decision::Permit(permit) if self.is_too_old_for(permit.route(), now) => {
                self.refuse(&Denial::new(PolicyTrouble::Stale.into()), call)
            }
            Decision::Permit(permit) => self.pass(&permit, forged, call),
            Decision::Denial(denial) => self.refuse(&denial, call),
        }
    }

    /// Asks a remote decision point, if there is one, where the snapshot could not decide.
    fn ask_elsewhere(&mut self, denial: &Denial, call: &ApiCall, now: Timestamp, may_wait: bool) -> Option<Turn> {
        let policy = self.enforced.feed.policy(now);
        let remote_pdp = self.remote_pdp.as_mut()?;
        remote_pdp.ask(denial, policy, call, now, &self.signatures, &mut self.tokens, may_wait)
    }

    /// Says what the shadow snapshot would have done otherwise, and keeps what a remote decision point is asked about.
    fn compare(&mut self, call: &ApiCall, decision: &Decision, now: Timestamp) {
        let support_id = support_id(Some(call));
        let support_id = support_id.as_deref();
        if let Some(shadow) = &mut self.shadow
            && let Some(compared) = shadow.compare(call, decision, now, &self.signatures)
        {
            let version = shadow.follower.feed.version();
            self.telemetry.compared_with_shadow(&compared, version, support_id);
        }
        if let Some(remote_pdp) = &mut self.remote_pdp {
            let policy = self.enforced.feed.policy(now);
            remote_pdp.keep(decision, policy, call, now, &self.signatures, &mut self.tokens, support_id);
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

    /// Prepares the call for the API behind, which is not to see these of the client's headers. A call whose headers cannot be
    /// cleaned does not go through.
    fn pass(&mut self, permit: &Permit, forged: &[String], call: Option<&ApiCall>) -> bool {
        self.telemetry.permitted(permit, self.enforced.feed.version(), || support_id(call));
        let mut clean = forged.iter().all(|name| host::remove_request_header(name));
        if let Basis::Right(held) = permit.basis() {
            // What the client sent under these names is gone: there is nothing to replace.
            clean &= identity::tell(held, &self.config.identity_headers, host::add_request_header);
        }
        if let Basis::Remote(grant) = permit.basis() {
            clean &= identity::tell_remote(grant, &self.config.identity_headers, host::add_request_header);
        }
        if !clean {
            log::error!("identity headers could not be set; the call is refused route={}", permit.route());
            host::send_reply(503, vec![("retry-after", "5")], "");
        }
        clean
    }

    /// Answers in place of the API; always `false`. Where the call is not at hand, its headers are looked at through the
    /// host.
    fn refuse(&mut self, denial: &Denial, call: Option<&ApiCall>) -> bool {
        let [support_id, language, kind] = headers(call, [SUPPORT_ID, "accept-language", "content-type"]);
        let support_id = support_id.and_then(identity::support_id);
        let support_id = support_id.as_deref();
        let asker = Asker::read(language.as_deref(), kind.as_deref());
        let reply = reply::refuse(denial, &self.config, support_id, asker);
        let headers = reply.headers();
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

fn key_unknown() -> Denial {
    Denial::new(TokenError::KeyUnknown.into())
}

/// What names the call in logs on both sides.
const SUPPORT_ID: &str = "x-request-id";

fn support_id(call: Option<&ApiCall>) -> Option<Cow<'_, str>> {
    let [support_id] = headers(call, [SUPPORT_ID]);
    identity::support_id(support_id?)
}

/// The first value of each of these headers of the request.
fn headers<'call, const COUNT: usize>(
    call: Option<&'call ApiCall>,
    names: [&str; COUNT],
) -> [Option<Cow<'call, [u8]>>; COUNT] {
    match call {
        Some(call) => call.first_headers(names).map(|value| value.map(Cow::Borrowed)),
        None => names.map(|name| host::request_header(name).map(Cow::Owned)),
    }
}
