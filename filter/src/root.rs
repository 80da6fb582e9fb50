//! One worker's life: configuration, ticks, the feed's replies, and the calls that wait for the first snapshot.

use std::cell::RefCell;
use std::hash::BuildHasher;
use std::rc::Rc;
use std::time::Duration;

use policies::ApiCall;
use policies::token::TokenCache;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use crate::call::{Call, Passage};
use crate::config::Config;
use crate::feed::shared::WorkerState;
use crate::feed::{Feed, Outcome, Reply};
use crate::held::{HeldCall, HeldCalls};
use crate::host::{self, HostSharedData, HostSignatures};
use crate::identity::ClientHeaders;
use crate::telemetry::Telemetry;

/// How often the worker looks at its clock: due polls, what others have, waiting calls, the policy's age.
const TICK: Duration = Duration::from_millis(100);
/// … and while there is work that is done in slices: calls are served in between.
const BUSY_TICK: Duration = Duration::from_millis(1);
/// Longest that a report may take.
const REPORT_TIME_MAX: Duration = Duration::from_secs(5);

pub(crate) struct Root {
    context_id: u32,
    // `None` until a configuration has been accepted; without one the host does not serve.
    worker: Option<Rc<RefCell<Worker>>>,
}

/// What the requests of one worker share.
pub(crate) struct Worker {
    pub(crate) config: Config,
    pub(crate) feed: Feed,
    pub(crate) signatures: HostSignatures,
    pub(crate) telemetry: Telemetry,
    pub(crate) tokens: TokenCache<foldhash::fast::RandomState>,
    held: HeldCalls,
    poll_token: Option<u32>,
    report_token: Option<u32>,
    /// The queue through which others wake this worker; `None` until the first tick.
    has_queue: Option<bool>,
    is_busy: bool,
    warned: bool,
}

impl Root {
    /// Decides the calls that waited for the first snapshot, once it is there.
    fn answer_held(&self) {
        let Some(worker) = &self.worker else { return };
        let calls = {
            let worker = &mut *worker.borrow_mut();
            if worker.feed.is_ready() { worker.held.take_all() } else { Vec::new() }
        };
        if !calls.is_empty() {
            self.settle(worker, calls);
        }
    }

    pub(crate) fn new(context_id: u32) -> Self {
        Self { context_id, worker: None }
    }

    /// Answers calls that have waited. Each is decided in its own context, before it is resumed: resuming goes on with
    /// the next filter and does not come back here.
    fn settle(&self, worker: &Rc<RefCell<Worker>>, calls: Vec<(u32, HeldCall)>) {
        for (context_id, held) in calls {
            // Gone: the host would otherwise act on some other stream.
            if !host::enter_context(context_id) {
                continue;
            }
            let passed = worker.borrow_mut().decide(&held.call, &held.client_headers);
            if passed {
                held.passage.open();
            }
            if passed && !host::resume_request() {
                log::error!("the host did not resume a call that was permitted");
            }
        }
        host::enter_context(self.context_id);
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body_bytes: usize, _: usize) {
        let Some(worker) = &self.worker else { return };
        {
            let worker = &mut *worker.borrow_mut();
            if worker.report_token == Some(token) {
                worker.take_report_reply(headers);
                return;
            }
            if worker.poll_token != Some(token) {
                return;
            }
            worker.poll_token = None;
            worker.take_reply(headers, body_bytes);
            worker.poll();
            worker.keep_pace();
        }
        self.answer_held();
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        match Config::parse(&host::plugin_configuration()) {
            Ok(config) => {
                // Nothing is sent from here: the host also configures a trial instance that it throws away at once.
                if !host::tick_every(TICK) {
                    log::error!("the host has no timer; the filter cannot follow the control plane");
                    return false;
                }
                host::log_as_the_host_does();
                log::info!("configured provider={} gateway={}", config.provider, config.gateway);
                self.worker = Some(Rc::new(RefCell::new(Worker::new(config))));
                true
            }
            Err(error) => {
                log::error!("configuration refused: {error}");
                false
            }
        }
    }

    fn on_tick(&mut self) {
        let Some(worker) = &self.worker else { return };
        let expired = {
            let worker = &mut *worker.borrow_mut();
            worker.look();
            worker.look_at_age();
            worker.held.take_expired(host::now())
        };
        self.answer_held();
        // Nothing has come for them, so each is refused for want of a policy.
        if let Some(worker) = self.worker.as_ref().filter(|_| !expired.is_empty()) {
            self.settle(worker, expired);
        }
    }

    fn on_queue_ready(&mut self, queue: u32) {
        host::empty_queue(queue);
        let Some(worker) = &self.worker else { return };
        worker.borrow_mut().look();
        self.answer_held();
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        let worker = self.worker.as_ref()?;
        Some(Box::new(Call::new(context_id, Rc::clone(worker))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Worker {
    fn new(config: Config) -> Self {
        let worker = std::hash::RandomState::new().hash_one(0_u8);
        Self {
            feed: Feed::new(&config, worker, host::now()),
            signatures: HostSignatures::default(),
            telemetry: Telemetry::default(),
            tokens: TokenCache::of(config.token_cache.tokens_max, foldhash::fast::RandomState::default()),
            held: HeldCalls::new(config.hold),
            poll_token: None,
            report_token: None,
            has_queue: None,
            is_busy: false,
            warned: false,
            config,
        }
    }

    /// Keeps a call until the first snapshot; gives its headers back when there is no room.
    pub(crate) fn hold(
        &mut self,
        context_id: u32,
        call: ApiCall,
        client_headers: ClientHeaders,
        header_bytes: usize,
        passage: Passage,
    ) -> Result<(), ClientHeaders> {
        self.held.hold(context_id, call, client_headers, header_bytes, passage, host::now())?;
        self.telemetry.held();
        Ok(())
    }

    /// The stream has ended.
    pub(crate) fn forget(&mut self, context_id: u32) {
        self.held.forget(context_id);
    }

    /// Looks at what others have, asks if it is this worker's turn, and tells what is in force.
    fn look(&mut self) {
        if self.has_queue.is_none() {
            // Not earlier: the trial instance that the host configures and throws away would own the queue.
            self.has_queue = Some(host::make_queue(&self.feed.queue()));
        }
        let outcome = self.feed.look(&HostSharedData, host::now(), &self.signatures);
        self.note(&outcome);
        self.poll();
        self.report();
        self.keep_pace();
    }

    /// Ticks fast while there is work, and slowly else.
    fn keep_pace(&mut self) {
        let is_busy = self.feed.is_busy();
        if is_busy != self.is_busy && host::tick_every(if is_busy { BUSY_TICK } else { TICK }) {
            self.is_busy = is_busy;
        }
    }

    fn poll(&mut self) {
        let now = host::now();
        let Some(poll) = self.feed.poll(now) else { return };
        let control_plane = &self.config.control_plane;
        let authorization = format!("Bearer {}", control_plane.credential);
        let mut headers = vec![
            (":method", "GET"),
            (":path", poll.path.as_str()),
            (":authority", control_plane.authority.as_str()),
            ("authorization", authorization.as_str()),
            ("accept", "application/vnd.portvakt.snapshot"),
            ("prefer", poll.prefer.as_str()),
            ("range", poll.range.as_str()),
        ];
        headers.extend(poll.if_none_match.as_deref().map(|version| ("if-none-match", version)));
        headers.extend(poll.if_match.as_deref().map(|version| ("if-match", version)));
        self.poll_token = host::send(&control_plane.cluster, headers, None, Duration::from_secs(poll.timeout_seconds));
        if self.poll_token.is_none() {
            log::warn!("the control plane cannot be asked: is there a cluster `{}`?", control_plane.cluster);
            self.telemetry.poll_failed();
            self.feed.not_sent(now);
        }
    }

    /// Tells the control plane what the workers have in force, if that is news and this worker asks for all.
    fn report(&mut self) {
        if self.report_token.is_some() {
            return;
        }
        let Some(workers) = self.feed.report(&HostSharedData, host::now()) else { return };
        let control_plane = &self.config.control_plane;
        let authorization = format!("Bearer {}", control_plane.credential);
        let path = format!("/snapshots/{}/workers", self.config.provider);
        let headers = vec![
            (":method", "POST"),
            (":path", path.as_str()),
            (":authority", control_plane.authority.as_str()),
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
        ];
        let body = report_body(&self.config.gateway, &workers);
        self.report_token = host::send(&control_plane.cluster, headers, Some(body.as_bytes()), REPORT_TIME_MAX);
    }

    fn take_report_reply(&mut self, headers: usize) {
        self.report_token = None;
        let status = if headers == 0 { None } else { host::reply_header(":status") };
        if status.is_none_or(|status| !status.starts_with('2')) {
            self.feed.not_reported();
        }
    }

    fn take_reply(&mut self, headers: usize, body_bytes: usize) {
        // A host that got no answer has no headers, and must not be asked for one.
        let header = |name| if headers == 0 { None } else { host::reply_header(name) };
        let status = header(":status").and_then(|status| status.parse().ok());
        let reply = Reply {
            status,
            retry_after_seconds: header("retry-after").and_then(|seconds| seconds.parse().ok()),
            etag: header("etag"),
            content_range: header("content-range"),
            body: if matches!(status, Some(200 | 206)) { host::reply_body(body_bytes) } else { Vec::new() },
        };
        let outcome = self.feed.replied(reply, &HostSharedData, host::now(), &self.signatures);
        self.note(&outcome);
    }

    fn note(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Applied(version) => {
                log::info!("snapshot applied snapshot.version={version}");
                self.telemetry.snapshot_applied(*version);
            }
            Outcome::Unchanged => {}
            Outcome::Refused(error) => {
                log::error!("snapshot refused, the policy in force stays: {error} code={}", error.code());
                self.telemetry.snapshot_refused();
            }
            Outcome::Failed { status } => {
                log::warn!("the control plane did not give a snapshot status={}", status.unwrap_or(0));
                self.telemetry.poll_failed();
            }
        }
    }

    fn look_at_age(&mut self) {
        let now = host::now();
        let Some(age) = self.feed.age_millis(now) else { return };
        self.telemetry.age(age);
        let warning = self.feed.is_warning(now);
        if warning && !self.warned {
            log::warn!("the policy is getting old: no successful poll for {} s", age / 1000);
        }
        self.warned = warning;
    }
}

fn report_body(gateway: &str, workers: &[WorkerState]) -> String {
    let workers: Vec<_> = workers
        .iter()
        .map(|state| {
            serde_json::json!({
                "worker": format!("{:016x}", state.worker),
                "applied": state.applied.map(|version| version.to_string()),
                "refused": state.refused,
            })
        })
        .collect();
    serde_json::json!({ "gateway": gateway, "workers": workers }).to_string()
}
