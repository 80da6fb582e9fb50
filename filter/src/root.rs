//! One worker's life: configuration, ticks, the feed's replies, and the calls that wait for the first snapshot.

use std::cell::RefCell;
use std::hash::BuildHasher;
use std::rc::Rc;
use std::time::Duration;

use policies::snapshot::SnapshotError;
use policies::token::{TokenCache, TokenError};
use policies::{ApiCall, Denial, DenialReason, Timestamp};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use crate::call::{Call, Passage};
use crate::config::{Config, Hold};
use crate::decision_log::DecisionLog;
use crate::feed::shared::WorkerState;
use crate::feed::{Feed, Outcome};
use crate::follower::Follower;
use crate::held::{HeldCall, HeldCalls};
use crate::host::{self, HostSharedData, HostSignatures};
use crate::issuer_keys::{ANSWER_BYTES_MAX, ANSWER_MILLIS_MAX, IssuerKeys};
use crate::remote_pdp::{Asked, RemotePdp};
use crate::shadow::Shadow;
use crate::telemetry::Telemetry;

/// How often the worker looks at its clock: due polls, what others have, waiting calls, the policy's age.
const TICK: Duration = Duration::from_millis(100);
/// … and while there is work that is done in slices: calls are served in between.
const BUSY_TICK: Duration = Duration::from_millis(1);
/// … in a VM that has a policy and has never served a call, such as the one in Envoy's main thread, and for a shadow
/// snapshot: calls, and those that serve them, come first.
const IDLE_BUSY_TICK: Duration = Duration::from_millis(8);
/// Calls that may wait for an issuer's keys, and how long.
const KEYS_WAIT: Hold = Hold { calls_max: 100, milliseconds_max: ANSWER_MILLIS_MAX as u32 };
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
    /// Follows what is enforced.
    pub(crate) enforced: Follower,
    pub(crate) shadow: Option<Shadow>,
    pub(crate) remote_pdp: Option<RemotePdp>,
    /// The call at hand waits for a remote decision point; its context takes it from here.
    pub(crate) asked: Option<Asked>,
    pub(crate) signatures: HostSignatures,
    pub(crate) telemetry: Telemetry,
    pub(crate) tokens: TokenCache<foldhash::fast::RandomState>,
    held: HeldCalls,
    /// Calls whose issuer is asked for its keys.
    waiting_for_keys: HeldCalls,
    /// The call at hand is to wait so; its context takes it from here.
    pub(crate) waits_for_key: bool,
    /// What they wait for is there, or will not be.
    are_keys_there: bool,
    report_token: Option<u32>,
    decisions_token: Option<u32>,
    issuer_keys: IssuerKeys,
    /// The queue through which others wake this worker; `None` until the first tick.
    has_queue: Option<bool>,
    tick: Duration,
    has_served: bool,
    warned: bool,
}

impl Root {
    /// Decides the calls that waited for the first snapshot or for an issuer's keys, once these are there.
    fn answer_held(&self) {
        let Some(worker) = &self.worker else { return };
        let calls = {
            let worker = &mut *worker.borrow_mut();
            let mut calls = if worker.enforced.feed.is_ready() { worker.held.take_all() } else { Vec::new() };
            if std::mem::take(&mut worker.are_keys_there) {
                calls.extend(worker.waiting_for_keys.take_all());
            }
            calls
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
            let passed = worker.borrow_mut().decide(&held.call, false);
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
            if worker.decisions_token == Some(token) {
                worker.take_decisions_reply(headers);
                return;
            }
            if let Some(source) = worker.issuer_keys.source_of(token) {
                worker.take_issuer_keys(source, headers, body_bytes);
            } else if worker.take_comparison(token, headers, body_bytes)
                || worker.take_shadow_reply(token, headers, body_bytes)
            {
                return;
            } else {
                let taken = worker.enforced.take_reply(token, headers, body_bytes, &worker.signatures);
                let Some(outcome) = taken else { return };
                worker.note(&outcome);
                worker.poll();
                worker.keep_pace();
            }
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
                match Worker::new(config) {
                    Ok(worker) => self.worker = Some(Rc::new(RefCell::new(worker))),
                    Err(error) => {
                        log::error!("configuration refused: `bootstrap.snapshot`: {error} code={}", error.code());
                        return false;
                    }
                }
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
            worker.look_at_shadow();
            worker.look_at_age();
            worker.look_at_issuer_keys();
            worker.send_decisions();
            let now = host::now();
            worker.telemetry.tell_decisions(now);
            worker.ask_to_compare();
            let mut expired = worker.held.take_expired(now);
            expired.extend(worker.waiting_for_keys.take_expired(now));
            expired
        };
        self.answer_held();
        // Nothing has come for them, so each is refused for want of a policy, or of a key.
        if let Some(worker) = self.worker.as_ref().filter(|_| !expired.is_empty()) {
            self.settle(worker, expired);
        }
    }

    fn on_queue_ready(&mut self, queue: u32) {
        host::empty_queue(queue);
        let Some(worker) = &self.worker else { return };
        {
            let worker = &mut *worker.borrow_mut();
            // The next tick is near, and calls are served before it. Envoy goes from one such event straight to the next,
            // for as long as others send them.
            if worker.enforced.feed.is_busy() {
                return;
            }
            worker.enforced.feed.set_woken(true);
            worker.look();
            worker.enforced.feed.set_woken(false);
        }
        self.answer_held();
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        let worker = self.worker.as_ref()?;
        if let Ok(mut worker) = worker.try_borrow_mut() {
            worker.has_served = true;
        }
        Some(Box::new(Call::new(context_id, Rc::clone(worker))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Worker {
    fn new(mut config: Config) -> Result<Self, SnapshotError> {
        let worker = std::hash::RandomState::new().hash_one(0_u8);
        let mut feed = Feed::new(config.followed(), worker, host::now());
        let signatures = HostSignatures::default();
        if let Some(bootstrap) = config.bootstrap.take() {
            feed.begin_with(bootstrap, host::now(), &signatures)?;
        }
        Ok(Self {
            enforced: Follower::new(feed),
            shadow: Shadow::new(&config, worker, host::now()),
            asked: None,
            remote_pdp: config.remote_pdp.take().map(RemotePdp::new),
            signatures,
            telemetry: Telemetry::new(DecisionLog::new(&config)),
            issuer_keys: IssuerKeys::new(&config),
            decisions_token: None,
            tokens: TokenCache::of(config.token_cache.tokens_max, foldhash::fast::RandomState::default()),
            held: HeldCalls::new(config.hold),
            waiting_for_keys: HeldCalls::new(KEYS_WAIT),
            waits_for_key: false,
            are_keys_there: false,
            report_token: None,
            has_queue: None,
            tick: TICK,
            has_served: false,
            warned: false,
            config,
        })
    }

    /// The route wants a fresher policy than this.
    pub(crate) fn is_too_old_for(&self, route: &str, now: Timestamp) -> bool {
        let routes = &self.config.staleness.routes;
        !routes.is_empty() && routes.get(route).is_some_and(|seconds| self.enforced.feed.is_older_than(*seconds, now))
    }

    /// A token may be refused only because its issuer has a new key; `true` when it is worth to wait for that.
    pub(crate) fn look_for_key(&mut self, denial: &Denial, call: &ApiCall, now: Timestamp) -> bool {
        if self.issuer_keys.is_empty() || denial.reason != DenialReason::Token(TokenError::KeyUnknown) {
            return false;
        }
        // Fetched with the next tick: the reply to what is sent from here would come to the call.
        let is_to_be_asked = |token| self.issuer_keys.key_unknown(token, now);
        call.bearer_token().is_some_and(is_to_be_asked) && self.waiting_for_keys.has_room()
    }

    /// Keeps a call until its issuer's keys are there.
    pub(crate) fn wait_for_key(
        &mut self,
        context_id: u32,
        call: ApiCall,
        passage: Passage,
    ) -> Result<(), Box<ApiCall>> {
        self.waiting_for_keys.hold(context_id, call, passage, host::now())?;
        self.telemetry.waits_for_key();
        Ok(())
    }

    fn look_at_issuer_keys(&mut self) {
        if !self.issuer_keys.is_empty() {
            if self.issuer_keys.look(&HostSharedData, host::now()) {
                self.use_issuer_keys();
                self.are_keys_there = true;
            }
            self.fetch_issuer_keys();
        }
    }

    fn use_issuer_keys(&mut self) {
        self.enforced.feed.set_issuer_keys(&self.issuer_keys);
        if let Some(shadow) = &mut self.shadow {
            shadow.follower.feed.set_issuer_keys(&self.issuer_keys);
        }
    }

    fn fetch_issuer_keys(&mut self) {
        let Some(fetch) = self.issuer_keys.due(&HostSharedData, host::now()) else { return };
        let headers = vec![
            (":method", "GET"),
            (":path", fetch.config.path.as_str()),
            (":authority", fetch.config.authority.as_str()),
            ("accept", "application/json"),
        ];
        let (source, cluster) = (fetch.source, fetch.config.cluster.as_str());
        let token = host::send(cluster, headers, None, REPORT_TIME_MAX);
        if token.is_none() {
            log::warn!("an issuer's keys cannot be asked for: is there a cluster `{cluster}`?");
        }
        self.issuer_keys.sent(source, token);
    }

    fn take_issuer_keys(&mut self, source: usize, headers: usize, body_bytes: usize) {
        let status = if headers == 0 { None } else { host::reply_header(":status") };
        let status = status.and_then(|status| status.parse().ok());
        let body = host::reply_body(body_bytes.min(ANSWER_BYTES_MAX));
        let fetched = self.issuer_keys.fetched(source, status, &body, &HostSharedData, host::now());
        self.are_keys_there = true;
        self.telemetry.keys_fetched(fetched.is_ok());
        match fetched {
            Ok(true) => self.use_issuer_keys(),
            Ok(false) => {}
            Err(error) => {
                log::error!(
                    "an issuer's keys were refused, the last good ones stay: {error} status={}",
                    status.unwrap_or(0)
                );
            }
        }
    }

    /// Asks a remote decision point about calls that were decided. Not from the calls: they are gone when the reply comes.
    fn ask_to_compare(&mut self) {
        if let Some(remote_pdp) = &mut self.remote_pdp
            && !remote_pdp.ask_to_compare()
        {
            self.telemetry.remote("portvakt.remote_pdp.not_compared");
        }
    }

    /// Takes the reply at hand, if it is to such a question.
    fn take_comparison(&mut self, token: u32, headers: usize, body_bytes: usize) -> bool {
        let Some(remote_pdp) = &mut self.remote_pdp else { return false };
        let Some(compared) = remote_pdp.compare(token, headers, body_bytes) else { return false };
        self.telemetry.compared_with_remote(&compared, self.enforced.feed.version());
        true
    }

    /// Tells the control plane of decisions, when there are enough of them or they have waited.
    fn send_decisions(&mut self) {
        let Some(decisions) = &mut self.telemetry.decisions else { return };
        let dropped = decisions.take_dropped();
        let batch = if self.decisions_token.is_none() { decisions.batch(host::now()) } else { None };
        self.telemetry.decisions_dropped(dropped);
        let Some(batch) = batch else { return };
        let path = format!("/snapshots/{}/decisions", self.config.provider);
        self.decisions_token = self.post(&path, &batch);
        if self.decisions_token.is_none() {
            self.end_batch(false);
        }
    }

    fn take_decisions_reply(&mut self, headers: usize) {
        self.decisions_token = None;
        self.end_batch(is_success(headers));
    }

    fn end_batch(&mut self, is_taken: bool) {
        if let Some(decisions) = &mut self.telemetry.decisions {
            decisions.batch_ended(is_taken, host::now());
        }
    }

    /// Sends JSON to the control plane.
    fn post(&self, path: &str, body: &str) -> Option<u32> {
        let control_plane = &self.config.control_plane;
        let authorization = format!("Bearer {}", control_plane.credential);
        let headers = vec![
            (":method", "POST"),
            (":path", path),
            (":authority", control_plane.authority.as_str()),
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
        ];
        host::send(&control_plane.cluster, headers, Some(body.as_bytes()), REPORT_TIME_MAX)
    }

    /// Keeps a call until the first snapshot; gives it back when there is no room.
    pub(crate) fn hold(&mut self, context_id: u32, call: ApiCall, passage: Passage) -> Result<(), Box<ApiCall>> {
        self.held.hold(context_id, call, passage, host::now())?;
        self.telemetry.held();
        Ok(())
    }

    /// The stream has ended.
    pub(crate) fn forget(&mut self, context_id: u32) {
        self.held.forget(context_id);
        self.waiting_for_keys.forget(context_id);
    }

    /// Looks at what others have, asks if it is this worker's turn, and tells what is in force.
    fn look(&mut self) {
        if self.has_queue.is_none() {
            // Not earlier: the trial instance that the host configures and throws away would own the queue.
            self.has_queue = Some(host::make_queue(&self.enforced.feed.queue()));
        }
        self.enforced.feed.set_serves(self.is_in_a_hurry());
        for outcome in self.enforced.look(&self.signatures) {
            self.note(&outcome);
        }
        self.poll();
        self.report();
        self.keep_pace();
    }

    /// The same for the shadow snapshot, where calls are served, and while there is nothing else to do.
    fn look_at_shadow(&mut self) {
        if !self.has_served || self.enforced.feed.is_busy() {
            return;
        }
        let Some(shadow) = &mut self.shadow else { return };
        for outcome in shadow.follower.look(&self.signatures) {
            self.note_shadow(&outcome);
        }
        self.poll_for_shadow();
    }

    /// Takes the reply at hand, if it is to a poll for the shadow snapshot.
    fn take_shadow_reply(&mut self, token: u32, headers: usize, body_bytes: usize) -> bool {
        let Some(shadow) = &mut self.shadow else { return false };
        let Some(outcome) = shadow.follower.take_reply(token, headers, body_bytes, &self.signatures) else {
            return false;
        };
        self.note_shadow(&outcome);
        self.poll_for_shadow();
        true
    }

    fn poll_for_shadow(&mut self) {
        if let (Some(shadow), Some(followed)) = (&mut self.shadow, self.config.shadow_followed())
            && !shadow.follower.poll(followed)
        {
            self.telemetry.shadow_poll_failed();
        }
        self.keep_pace();
    }

    fn note_shadow(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Applied(version) => {
                log::info!("shadow snapshot decides beside the other snapshot.version={version}");
                self.telemetry.shadow_applied(*version);
                self.use_issuer_keys();
            }
            Outcome::Unchanged => {}
            Outcome::Refused(error) => {
                log::error!("shadow snapshot refused: {error} code={}", error.code());
                self.telemetry.shadow_refused();
            }
            Outcome::Failed { status } => {
                log::warn!("the control plane did not give a shadow snapshot status={}", status.unwrap_or(0));
                self.telemetry.shadow_poll_failed();
            }
        }
    }

    /// Ticks fast while there is work, and slowly else.
    fn keep_pace(&mut self) {
        let shadow_is_busy = self.shadow.as_ref().is_some_and(|shadow| shadow.follower.feed.is_busy());
        let tick = match self.enforced.feed.is_busy() {
            true if self.is_in_a_hurry() => BUSY_TICK,
            true => IDLE_BUSY_TICK,
            false if shadow_is_busy && self.has_served => IDLE_BUSY_TICK,
            false => TICK,
        };
        if tick != self.tick && host::tick_every(tick) {
            self.tick = tick;
        }
    }

    /// Calls are decided here, or wait for the first snapshot.
    fn is_in_a_hurry(&self) -> bool {
        self.has_served || !self.enforced.feed.is_ready()
    }

    fn poll(&mut self) {
        if !self.enforced.poll(self.config.followed()) {
            self.telemetry.poll_failed();
        }
    }

    /// Tells the control plane what the workers have in force, if that is news and this worker asks for all.
    fn report(&mut self) {
        if self.report_token.is_some() {
            return;
        }
        let Some(workers) = self.enforced.feed.report(&HostSharedData, host::now()) else { return };
        let path = format!("/snapshots/{}/workers", self.config.provider);
        self.report_token = self.post(&path, &report_body(&self.config.gateway, &workers));
    }

    fn take_report_reply(&mut self, headers: usize) {
        self.report_token = None;
        if !is_success(headers) {
            self.enforced.feed.not_reported();
        }
    }

    fn note(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Applied(version) => {
                log::info!("snapshot applied snapshot.version={version}");
                self.telemetry.snapshot_applied(*version);
                // A new base knows nothing of them.
                self.use_issuer_keys();
                if let Some(signed_at) = self.enforced.feed.signed_at() {
                    self.telemetry.feed_lag(host::now().millis_since(signed_at).max(0));
                }
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
        let Some(age) = self.enforced.feed.age_millis(now) else { return };
        self.telemetry.age(age, now);
        let warning = self.enforced.feed.is_warning(now);
        if warning && !self.warned {
            log::warn!("the policy is getting old: no successful poll for {} s", age / 1000);
        }
        self.warned = warning;
    }
}

/// The reply at hand says that all is well.
fn is_success(headers: usize) -> bool {
    headers > 0 && host::reply_header(":status").is_some_and(|status| status.starts_with('2'))
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
