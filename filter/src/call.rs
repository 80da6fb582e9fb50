//! One HTTP request: read, decided, and let through or refused.

use std::cell::RefCell;
use std::rc::Rc;

use policies::{ApiCall, Basis, Decision, Denial, Permit, PolicyTrouble, authorize};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types;

use crate::host;
use crate::identity::{self, ClientHeaders};
use crate::reply;
use crate::root::Worker;

/// What has become of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Its headers have not come.
    New,
    /// It waits for the first snapshot, or has been refused: nothing of it goes on.
    Stopped,
    /// It was permitted.
    Passed,
}

pub(crate) struct Call {
    context_id: u32,
    worker: Rc<RefCell<Worker>>,
    progress: Progress,
}

impl Call {
    pub(crate) fn new(context_id: u32, worker: Rc<RefCell<Worker>>) -> Self {
        Self { context_id, worker, progress: Progress::New }
    }
}

impl Context for Call {}

impl HttpContext for Call {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> types::Action {
        let headers = host::request_headers();
        let client_headers = ClientHeaders::read(&headers);
        let call = ApiCall::parse(headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())));
        drop(headers);
        let worker = &mut *self.worker.borrow_mut();
        let passed = match call {
            Err(error) => worker.refuse(&Denial::new(error.into()), &client_headers),
            Ok(call) if worker.feed.is_ready() => worker.decide(&call, &client_headers),
            Ok(call) => match worker.hold(self.context_id, call, client_headers) {
                Ok(()) => false,
                Err(client_headers) => worker.refuse(&Denial::new(PolicyTrouble::Missing.into()), &client_headers),
            },
        };
        if passed {
            self.progress = Progress::Passed;
            types::Action::Continue
        } else {
            self.progress = Progress::Stopped;
            types::Action::Pause
        }
    }

    // A host that hands on the body of a stopped request must not thereby hand on the request.
    fn on_http_request_body(&mut self, _: usize, _: bool) -> types::Action {
        match self.progress {
            Progress::Passed => types::Action::Continue,
            Progress::New => types::Action::Pause,
            Progress::Stopped if self.worker.borrow().was_released(self.context_id) => types::Action::Continue,
            Progress::Stopped => types::Action::Pause,
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // Another borrow would mean that the host ends a stream inside our own call; the stream is then ours to forget
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
        match authorize(self.feed.policy(now), call, now, &self.signatures) {
            Decision::Permit(permit) => self.pass(&permit, client_headers),
            Decision::Denial(denial) => self.refuse(&denial, client_headers),
        }
    }

    /// Prepares the call for the API behind. A call whose headers cannot be cleaned does not go through.
    fn pass(&mut self, permit: &Permit, client_headers: &ClientHeaders) -> bool {
        self.telemetry.permitted(permit, self.feed.version());
        let mut clean = client_headers.forged.iter().all(|name| host::remove_request_header(name));
        if let Basis::Right(held) = permit.basis() {
            clean &= identity::headers(held).iter().all(|(name, value)| host::set_request_header(name, value));
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
        self.telemetry.denied(denial, self.feed.version(), support_id);
        let reply = reply::refuse(denial, &self.config, support_id);
        let headers = reply.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if !host::send_reply(reply.status, headers, &reply.body) {
            log::error!("the host did not take a refusal; the call stays stopped");
        }
        false
    }
}
