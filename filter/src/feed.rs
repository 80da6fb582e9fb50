//! Following the control plane: events and the instant in, polls and the policy in force out. No I/O.
//!
//! One poll is under way at a time; the control plane holds it until there is something new: what changed since the
//! version in force, or a whole base. Nothing but what [`PolicySet::update`] accepts changes the policy: anything else is
//! counted as refused and the last good policy stays. After a delta that does not fit, a whole base is asked for. The
//! policy's age is the time since the last poll that succeeded, not since the last change.

use policies::snapshot::{SnapshotError, SnapshotKey, SnapshotVersion};
use policies::token::VerifySignature;
use policies::{PolicySet, PolicyTrouble, Timestamp};

use crate::config::Config;

/// First wait after a failure, in milliseconds; doubled with each further one.
const BACK_OFF_MILLIS_MIN: i64 = 200;
/// Longest wait after a failure, in milliseconds.
const BACK_OFF_MILLIS_MAX: i64 = 10_000;
/// Shortest time between two polls that brought nothing new, in milliseconds: a control plane or a proxy that does not
/// hold polls is not asked in a loop.
const QUIET_MILLIS_MIN: i64 = 500;
/// Longest `Retry-After` that is honoured, in seconds.
const RETRY_AFTER_SECONDS_MAX: i64 = 60;
/// How far the clock may jump back before the policy's age counts as unknown, in milliseconds.
const CLOCK_BACK_MILLIS_MAX: i64 = 10_000;
/// How much longer than the control plane's wait a poll may take, in seconds.
const POLL_GRACE_SECONDS: u64 = 10;

/// A poll to send.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Poll {
    pub(crate) path: String,
    pub(crate) prefer: String,
    pub(crate) if_none_match: Option<String>,
    pub(crate) timeout_seconds: u64,
}

/// What came back. A host that got no answer gives no status.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: Option<u16>,
    pub(crate) retry_after_seconds: Option<i64>,
    pub(crate) body: Vec<u8>,
}

/// What a reply did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A new policy is in force.
    Applied(SnapshotVersion),
    /// The policy in force is the newest.
    Unchanged,
    /// The snapshot was refused; the policy in force stays.
    Refused(SnapshotError),
    /// The poll failed.
    Failed { status: Option<u16> },
}

pub(crate) struct Feed {
    resource: String,
    wait_seconds: u16,
    warn_millis: i64,
    deny_millis: i64,
    keys: Vec<SnapshotKey>,
    provider: policies::id::ProviderId,
    policy: PolicySet,
    missing: PolicySet,
    stale: PolicySet,
    last_success: Option<Timestamp>,
    polled_at: Option<Timestamp>,
    next_poll: Timestamp,
    failures: u32,
    refused: u64,
    /// Deltas do not lead on from what is in force.
    is_base_needed: bool,
    jitter: u64,
}

impl Feed {
    /// `worker` tells workers of one gateway apart; any number that differs will do.
    pub(crate) fn new(config: &Config, worker: u64, now: Timestamp) -> Self {
        Self {
            resource: format!("/snapshots/{}?gateway={}&worker={worker:016x}", config.provider, config.gateway),
            wait_seconds: config.control_plane.wait_seconds,
            warn_millis: i64::from(config.staleness.warn_seconds) * 1000,
            deny_millis: i64::from(config.staleness.deny_seconds) * 1000,
            keys: config.snapshot_keys.clone(),
            provider: config.provider.clone(),
            policy: PolicySet::deny_all(PolicyTrouble::Missing),
            missing: PolicySet::deny_all(PolicyTrouble::Missing),
            stale: PolicySet::deny_all(PolicyTrouble::Stale),
            last_success: None,
            polled_at: None,
            next_poll: now,
            failures: 0,
            refused: 0,
            is_base_needed: false,
            jitter: worker,
        }
    }

    /// The policy in force; one that denies everything before the first snapshot and when the last is too old.
    pub(crate) fn policy(&self, now: Timestamp) -> &PolicySet {
        match self.last_success {
            None => &self.missing,
            // A clock that was set back makes the age unknown, and unknown is too old.
            Some(last)
                if now.millis_since(last) > self.deny_millis || last.millis_since(now) > CLOCK_BACK_MILLIS_MAX =>
            {
                &self.stale
            }
            Some(_) => &self.policy,
        }
    }

    /// The first snapshot has arrived.
    pub(crate) fn is_ready(&self) -> bool {
        self.last_success.is_some()
    }

    /// The version in force.
    pub(crate) fn version(&self) -> Option<SnapshotVersion> {
        self.policy.manifest().map(|manifest| manifest.version)
    }

    /// Time since the last poll that succeeded, in milliseconds.
    pub(crate) fn age_millis(&self, now: Timestamp) -> Option<i64> {
        self.last_success.map(|last| now.millis_since(last).max(0))
    }

    /// The policy is old enough to warn about.
    pub(crate) fn is_warning(&self, now: Timestamp) -> bool {
        self.age_millis(now).is_some_and(|age| age > self.warn_millis)
    }

    /// The poll to send now, if one is due. It counts as under way until [`Self::replied`].
    pub(crate) fn poll(&mut self, now: Timestamp) -> Option<Poll> {
        // A wait longer than any that is ever set means that the clock was set back.
        let wait = self.next_poll.millis_since(now);
        if self.polled_at.is_some() || (1..=RETRY_AFTER_SECONDS_MAX * 1000).contains(&wait) {
            return None;
        }
        self.polled_at = Some(now);
        let version = self.version();
        let applied = version.map(|version| format!("&applied={version}")).unwrap_or_default();
        Some(Poll {
            path: format!("{}{applied}&refused={}", self.resource, self.refused),
            prefer: format!("wait={}", self.wait_seconds),
            if_none_match: version.filter(|_| !self.is_base_needed).map(|version| format!("\"{version}\"")),
            timeout_seconds: u64::from(self.wait_seconds) + POLL_GRACE_SECONDS,
        })
    }

    /// Takes the reply to the poll under way.
    pub(crate) fn replied(&mut self, reply: Reply, now: Timestamp, signatures: &dyn VerifySignature) -> Outcome {
        let polled_at = self.polled_at.take();
        let outcome = match reply.status {
            Some(200) => match self.policy.update(reply.body, &self.keys, &self.provider, now, signatures) {
                Ok(()) => self.version().map_or(Outcome::Failed { status: Some(200) }, Outcome::Applied),
                // A control plane, or a proxy before it, that does not heed what was asked for.
                Err(SnapshotError::InForce) => Outcome::Unchanged,
                Err(error) => Outcome::Refused(error),
            },
            // Not modified says something only of what we have.
            Some(304) if self.version().is_some() => Outcome::Unchanged,
            status => Outcome::Failed { status },
        };
        match &outcome {
            Outcome::Applied(_) => {
                self.succeeded(now);
                self.next_poll = now;
            }
            Outcome::Unchanged => {
                self.succeeded(now);
                let held = polled_at.map_or(0, |polled_at| now.millis_since(polled_at));
                self.next_poll = now.plus_millis((QUIET_MILLIS_MIN - held).max(0));
            }
            Outcome::Refused(error) => {
                self.refused += 1;
                self.is_base_needed |=
                    matches!(error, SnapshotError::Gap | SnapshotError::TooManyChanges | SnapshotError::Image(_));
                self.back_off(now, None);
            }
            Outcome::Failed { .. } => self.back_off(now, reply.retry_after_seconds),
        }
        outcome
    }

    /// The host could not send the poll.
    pub(crate) fn not_sent(&mut self, now: Timestamp) {
        self.polled_at = None;
        self.back_off(now, None);
    }

    fn succeeded(&mut self, now: Timestamp) {
        self.is_base_needed = false;
        self.last_success = Some(now);
        self.failures = 0;
    }

    /// Doubles the wait, and spreads the workers over half of it.
    fn back_off(&mut self, now: Timestamp, retry_after_seconds: Option<i64>) {
        let doubled = BACK_OFF_MILLIS_MIN << self.failures.min(6);
        let wait = doubled.min(BACK_OFF_MILLIS_MAX);
        self.failures = self.failures.saturating_add(1);
        // xorshift: the workers need only differ.
        self.jitter ^= self.jitter << 13;
        self.jitter ^= self.jitter >> 7;
        self.jitter ^= self.jitter << 17;
        let spread = i64::try_from(self.jitter % wait.unsigned_abs().max(1)).unwrap_or(0) / 2;
        let asked = retry_after_seconds.map_or(0, |seconds| seconds.clamp(0, RETRY_AFTER_SECONDS_MAX) * 1000);
        self.next_poll = now.plus_millis((wait - spread).max(asked));
    }
}

#[cfg(test)]
mod tests;
