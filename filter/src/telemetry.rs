//! What operators see: lines about calls (`call_lines`; per permit one at level debug), counters with stable names, and the
//! version in force.
//!
//! Never a token, a key or a body. Metric names are in the room's README; Envoy shows them under `wasmcustom.`. Decisions
//! are counted here and told to the host with the tick: neither a count nor a line must cost a call of the host.

use std::borrow::Cow;
use std::collections::BTreeMap;

use policies::snapshot::SnapshotVersion;
use policies::{Basis, Decision, Denial, DenialReason, Permit, Timestamp};

use crate::call_lines::CallLines;
use crate::decision_log::DecisionLog;
use crate::host;
use crate::remote_pdp::RemotelyCompared;
use crate::shadow::Compared;

/// What decides beside what is enforced: its counters, its words in the log, its kinds in the decision log.
struct Beside {
    permit_to_deny: &'static str,
    deny_to_permit: &'static str,
    would_deny: &'static str,
    would_permit: &'static str,
    deny: &'static str,
    permit: &'static str,
}

const SHADOW_SNAPSHOT: Beside = Beside {
    permit_to_deny: "portvakt.shadow_snapshot.permit_to_deny",
    deny_to_permit: "portvakt.shadow_snapshot.deny_to_permit",
    would_deny: "permitted, would be denied by the shadow snapshot",
    would_permit: "denied, would be permitted by the shadow snapshot",
    deny: "shadow_snapshot_deny",
    permit: "shadow_snapshot_permit",
};

const REMOTE_PDP: Beside = Beside {
    permit_to_deny: "portvakt.remote_pdp.permit_to_deny",
    deny_to_permit: "portvakt.remote_pdp.deny_to_permit",
    would_deny: "permitted, would be denied by the remote decision point",
    would_permit: "denied, would be permitted by the remote decision point",
    deny: "remote_pdp_deny",
    permit: "remote_pdp_permit",
};

/// How often each VM tells the policy's age as one of many, in milliseconds.
const AGE_TOLD_EVERY_MILLIS: i64 = 1000;

pub(crate) struct Telemetry {
    pub(crate) decisions: Option<DecisionLog>,
    lines: CallLines,
    /// Decisions since the host was last told.
    permitted: u64,
    shadow_denied: u64,
    denied: BTreeMap<DenialReason, u64>,
    counters: BTreeMap<String, Option<u32>>,
    gauges: BTreeMap<&'static str, Option<u32>>,
    histograms: BTreeMap<&'static str, Option<u32>>,
    /// The next decision's time is taken: of one in a tick, because that costs calls of the host.
    times_next: bool,
    age_told_at: Timestamp,
}

impl Telemetry {
    pub(crate) fn new(decisions: Option<DecisionLog>) -> Self {
        Self {
            decisions,
            lines: CallLines::new(),
            permitted: 0,
            shadow_denied: 0,
            denied: BTreeMap::new(),
            counters: BTreeMap::new(),
            gauges: BTreeMap::new(),
            histograms: BTreeMap::new(),
            times_next: false,
            age_told_at: Timestamp::from_unix_millis(0),
        }
    }

    pub(crate) fn permitted<'call>(
        &mut self,
        permit: &Permit,
        version: Option<SnapshotVersion>,
        support_id: impl Fn() -> Option<Cow<'call, str>>,
    ) {
        self.permitted += 1;
        if let Some(decisions) = &mut self.decisions {
            decisions.permitted(permit, version, support_id().as_deref(), host::now());
        }
        match permit.basis() {
            Basis::Shadow(denial) => {
                self.shadow_denied += 1;
                self.lines.denial("would be denied (shadow)", denial, version, support_id().as_deref());
            }
            basis => {
                let version = || version.map_or_else(|| "-".to_owned(), |version| version.to_string());
                log::debug!("permitted route={} basis={basis:?} snapshot={}", permit.route(), version());
            }
        }
    }

    pub(crate) fn denied(&mut self, denial: &Denial, version: Option<SnapshotVersion>, support_id: Option<&str>) {
        *self.denied.entry(denial.reason).or_default() += 1;
        if let Some(decisions) = &mut self.decisions {
            decisions.denied(denial, version, support_id, host::now());
        }
        self.lines.denial("denied", denial, version, support_id);
    }

    /// What a shadow snapshot said of a call; its own version beside it.
    pub(crate) fn compared_with_shadow(
        &mut self,
        compared: &Compared,
        version: Option<SnapshotVersion>,
        support_id: Option<&str>,
    ) {
        match compared {
            Compared::Same => self.count("portvakt.shadow_snapshot.same"),
            Compared::OtherReason => self.count("portvakt.shadow_snapshot.other_reason"),
            Compared::Denies(denial) => self.would_be_denied(&SHADOW_SNAPSHOT, denial, version, support_id),
            Compared::Permits(permit) => self.would_be_permitted(&SHADOW_SNAPSHOT, permit, version, support_id),
        }
    }

    /// What became of a question to the remote decision point.
    pub(crate) fn remote(&mut self, metric: &'static str) {
        self.count(metric);
    }

    /// How a remote decision point would have decided.
    pub(crate) fn compared_with_remote(&mut self, compared: &RemotelyCompared, version: Option<SnapshotVersion>) {
        match compared {
            RemotelyCompared::Same => self.count("portvakt.remote_pdp.same"),
            RemotelyCompared::NoAnswer => self.count("portvakt.remote_pdp.not_compared"),
            RemotelyCompared::Otherwise { decision: Decision::Denial(denial), support_id } => {
                self.would_be_denied(&REMOTE_PDP, denial, version, support_id.as_deref());
            }
            RemotelyCompared::Otherwise { decision: Decision::Permit(permit), support_id } => {
                self.would_be_permitted(&REMOTE_PDP, permit, version, support_id.as_deref());
            }
        }
    }

    /// A call was permitted that something beside would have refused.
    fn would_be_denied(
        &mut self,
        beside: &Beside,
        denial: &Denial,
        version: Option<SnapshotVersion>,
        support_id: Option<&str>,
    ) {
        self.count(beside.permit_to_deny);
        self.lines.denial(beside.would_deny, denial, version, support_id);
        if let Some(decisions) = &mut self.decisions {
            decisions.would_be_denied(beside.deny, denial, version, support_id, host::now());
        }
    }

    /// A call was refused that something beside would have permitted.
    fn would_be_permitted(
        &mut self,
        beside: &Beside,
        permit: &Permit,
        version: Option<SnapshotVersion>,
        support_id: Option<&str>,
    ) {
        self.count(beside.deny_to_permit);
        self.lines.permit(beside.would_permit, permit, version, support_id);
        if let Some(decisions) = &mut self.decisions {
            decisions.would_be_permitted(beside.permit, permit, version, support_id, host::now());
        }
    }

    pub(crate) fn shadow_applied(&mut self, version: SnapshotVersion) {
        self.count("portvakt.shadow_snapshot.applied");
        self.gauge("portvakt.shadow_snapshot.version", version.version);
    }

    pub(crate) fn shadow_refused(&mut self) {
        self.count("portvakt.shadow_snapshot.refused");
    }

    pub(crate) fn shadow_poll_failed(&mut self) {
        self.count("portvakt.shadow_snapshot.failed");
    }

    /// Tells the host which decisions there were since the last time, and how many.
    pub(crate) fn tell_decisions(&mut self, now: Timestamp) {
        self.lines.tell(now);
        let (permitted, shadow_denied) = (std::mem::take(&mut self.permitted), std::mem::take(&mut self.shadow_denied));
        self.add("portvakt.permitted", permitted);
        self.add("portvakt.shadow_denied", shadow_denied);
        let denied = std::mem::take(&mut self.denied);
        // Where nothing is decided, nothing is about to be timed either.
        self.times_next = permitted > 0 || !denied.is_empty();
        self.add("portvakt.denied", denied.values().sum());
        for (reason, denials) in denied {
            self.add(&format!("portvakt.denied.{}", reason.code()), denials);
        }
    }

    pub(crate) fn held(&mut self) {
        self.count("portvakt.held");
    }

    pub(crate) fn snapshot_applied(&mut self, version: SnapshotVersion) {
        self.count("portvakt.snapshot.applied");
        self.gauge("portvakt.snapshot.version", version.version);
    }

    pub(crate) fn snapshot_refused(&mut self) {
        self.count("portvakt.snapshot.refused");
    }

    pub(crate) fn poll_failed(&mut self) {
        self.count("portvakt.feed.failed");
    }

    /// A key set was fetched from an issuer, or refused.
    pub(crate) fn keys_fetched(&mut self, is_good: bool) {
        self.count(if is_good { "portvakt.issuer_keys.fetched" } else { "portvakt.issuer_keys.refused" });
    }

    /// A call waits for an issuer's keys.
    pub(crate) fn waits_for_key(&mut self) {
        self.count("portvakt.issuer_keys.waited");
    }

    /// Entries of the decision log that there was no room for.
    pub(crate) fn decisions_dropped(&mut self, entries: u64) {
        self.add("portvakt.decision_log.dropped", entries);
    }

    /// From the instant a snapshot was signed to when this worker had it in force, in milliseconds.
    pub(crate) fn feed_lag(&mut self, millis: i64) {
        self.one_of_many("portvakt.feed.lag_ms", millis.unsigned_abs());
    }

    /// Time since the last successful poll, in milliseconds: a gauge that all workers write, and one of many, among which a
    /// worker that lags behind the others shows.
    pub(crate) fn age(&mut self, millis: i64, now: Timestamp) {
        self.gauge("portvakt.snapshot.age_ms", millis.unsigned_abs());
        if now.millis_since(self.age_told_at) >= AGE_TOLD_EVERY_MILLIS {
            self.age_told_at = now;
            self.one_of_many("portvakt.snapshot.worker_age_ms", millis.unsigned_abs());
        }
    }

    /// When a decision begins whose time is taken, in nanoseconds.
    pub(crate) fn begins(&mut self) -> Option<u64> {
        std::mem::take(&mut self.times_next).then(host::nanos)
    }

    /// It has ended.
    pub(crate) fn ends(&mut self, began: Option<u64>) {
        if let Some(began) = began {
            self.one_of_many("portvakt.decision.time_us", host::nanos().saturating_sub(began) / 1000);
        }
    }

    /// A remote decision point has answered a call that waited, or has not.
    pub(crate) fn remote_answered(&mut self, millis: i64) {
        self.one_of_many("portvakt.remote_pdp.time_ms", millis.unsigned_abs());
    }

    /// Into a histogram.
    fn one_of_many(&mut self, name: &'static str, value: u64) {
        if let Some(metric) = *self.histograms.entry(name).or_insert_with(|| host::define_histogram(name)) {
            host::record(metric, value);
        }
    }

    fn count(&mut self, name: &str) {
        self.add(name, 1);
    }

    fn add(&mut self, name: &str, more: u64) {
        // A counter that never counted is not shown.
        let Some(more) = i64::try_from(more).ok().filter(|more| *more > 0) else { return };
        let metric = match self.counters.get(name) {
            Some(metric) => *metric,
            None => *self.counters.entry(name.to_owned()).or_insert_with(|| host::define_counter(name)),
        };
        if let Some(metric) = metric {
            host::increment(metric, more);
        }
    }

    fn gauge(&mut self, name: &'static str, value: u64) {
        if let Some(metric) = *self.gauges.entry(name).or_insert_with(|| host::define_gauge(name)) {
            host::record(metric, value);
        }
    }
}
