//! The decision log: every denial and some permits, told to the control plane in batches. Off unless it is configured.
//!
//! Entries wait in a bounded buffer; when the control plane does not take them, the oldest go and are counted. An entry
//! never holds a token, a path or a body, and what the configuration masks is told as a hash under a key that only this
//! gateway has: the same value is still the same.

use std::collections::VecDeque;

use policies::id::{OrganizationNumber, SystemUserId};
use policies::right::Right;
use policies::snapshot::SnapshotVersion;
use policies::{Basis, Denial, Permit, Timestamp};
use serde::Serialize;

use crate::config::{Config, DecisionLogConfig, Masked};
use crate::feed::shared::Seal;

/// Entries in one batch.
pub(crate) const BATCH_ENTRIES_MAX: usize = 200;
/// How long an entry waits for others, in milliseconds.
const BATCH_MILLIS: i64 = 1_000;
/// How long after a batch that was not taken, in milliseconds.
const RETRY_MILLIS: i64 = 2_000;

/// A decision as the control plane reads it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    at_millis: i64,
    decision: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    party: Option<String>,
    #[serde(flatten)]
    right: Option<Right>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

/// What was decided, and about what.
struct Decided<'a> {
    decision: &'static str,
    reason: Option<&'static str>,
    route: Option<&'a str>,
    system_user: Option<SystemUserId>,
    party: Option<OrganizationNumber>,
    right: Option<&'a Right>,
}

impl<'a> Decided<'a> {
    fn denial(decision: &'static str, denial: &'a Denial) -> Self {
        Self {
            decision,
            reason: Some(denial.reason.code()),
            route: denial.route.as_deref(),
            system_user: denial.system_user,
            party: denial.party,
            right: denial.right.as_ref(),
        }
    }

    fn permit(decision: &'static str, permit: &'a Permit) -> Self {
        let (system_user, party, right) = match permit.basis() {
            Basis::Right(held) => (Some(held.system_user), Some(held.party), Some(&held.right)),
            Basis::Remote(grant) => (grant.system_user.map(|(id, _)| id), Some(grant.party), Some(&grant.right)),
            _ => (None, None, None),
        };
        Self { decision, reason: None, route: Some(permit.route()), system_user, party, right }
    }
}

#[derive(Serialize)]
struct Batch<'a> {
    gateway: &'a str,
    decisions: Vec<&'a Entry>,
}

pub(crate) struct DecisionLog {
    config: DecisionLogConfig,
    gateway: String,
    seal: Seal,
    entries: VecDeque<Entry>,
    oldest: Option<Timestamp>,
    not_before: Option<Timestamp>,
    /// Of the entries, the first so many are on their way.
    on_their_way: usize,
    permits: u32,
    dropped: u64,
}

impl DecisionLog {
    /// `None` where nothing is logged.
    pub(crate) fn new(config: &Config) -> Option<Self> {
        Some(Self {
            config: config.decision_log.clone()?,
            gateway: config.gateway.clone(),
            seal: Seal::new(config.followed()),
            entries: VecDeque::new(),
            oldest: None,
            not_before: None,
            on_their_way: 0,
            permits: 0,
            dropped: 0,
        })
    }

    /// Notes a permit, if it is its turn; one that only shadow mode let through is noted as a denial is.
    pub(crate) fn permitted(
        &mut self,
        permit: &Permit,
        version: Option<SnapshotVersion>,
        request_id: Option<&str>,
        now: Timestamp,
    ) {
        if let Basis::Shadow(denial) = permit.basis() {
            self.note(Decided::denial("shadow", denial), version, request_id, now);
            return;
        }
        self.permits = self.permits.wrapping_add(1);
        if self.config.permits_one_in > 0 && self.permits.is_multiple_of(self.config.permits_one_in) {
            self.note(Decided::permit("permit", permit), version, request_id, now);
        }
    }

    /// Notes a denial.
    pub(crate) fn denied(
        &mut self,
        denial: &Denial,
        version: Option<SnapshotVersion>,
        request_id: Option<&str>,
        now: Timestamp,
    ) {
        self.note(Decided::denial("deny", denial), version, request_id, now);
    }

    /// Notes that something beside what decided would have refused a call that was permitted.
    pub(crate) fn would_be_denied(
        &mut self,
        decision: &'static str,
        denial: &Denial,
        version: Option<SnapshotVersion>,
        request_id: Option<&str>,
        now: Timestamp,
    ) {
        self.note(Decided::denial(decision, denial), version, request_id, now);
    }

    /// Notes that something beside what decided would have permitted a call that was refused.
    pub(crate) fn would_be_permitted(
        &mut self,
        decision: &'static str,
        permit: &Permit,
        version: Option<SnapshotVersion>,
        request_id: Option<&str>,
        now: Timestamp,
    ) {
        self.note(Decided::permit(decision, permit), version, request_id, now);
    }

    /// Entries that were dropped since this was last asked.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// The next batch, when one is due and none is on its way.
    pub(crate) fn batch(&mut self, now: Timestamp) -> Option<String> {
        let waits = |since: Option<Timestamp>, millis: i64| {
            since.is_some_and(|since| (0..millis).contains(&now.millis_since(since)))
        };
        let is_full = self.entries.len() >= BATCH_ENTRIES_MAX;
        if self.entries.is_empty()
            || self.on_their_way > 0
            || waits(self.not_before, RETRY_MILLIS)
            || !is_full && waits(self.oldest, BATCH_MILLIS)
        {
            return None;
        }
        self.on_their_way = self.entries.len().min(BATCH_ENTRIES_MAX);
        let decisions = self.entries.iter().take(self.on_their_way).collect();
        // A struct of strings cannot fail to serialize.
        Some(serde_json::to_string(&Batch { gateway: &self.gateway, decisions }).unwrap_or_default())
    }

    /// What became of the batch on its way.
    pub(crate) fn batch_ended(&mut self, is_taken: bool, now: Timestamp) {
        let sent = std::mem::take(&mut self.on_their_way);
        if is_taken {
            self.entries.drain(..sent.min(self.entries.len()));
            self.not_before = None;
        } else {
            self.not_before = Some(now);
        }
        self.oldest = (!self.entries.is_empty()).then_some(now);
    }

    fn note(
        &mut self,
        decided: Decided<'_>,
        version: Option<SnapshotVersion>,
        request_id: Option<&str>,
        now: Timestamp,
    ) {
        if self.entries.len() >= self.config.entries_max {
            self.dropped += 1;
            // What is on its way stays where it is.
            if self.entries.remove(self.on_their_way).is_none() {
                return;
            }
        }
        self.oldest = self.oldest.or(Some(now));
        self.entries.push_back(Entry {
            at_millis: now.unix_millis(),
            decision: decided.decision,
            reason: decided.reason,
            route: decided.route.map(str::to_owned),
            system_user: decided.system_user.map(|id| self.masked(Masked::SystemUser, id.to_string())),
            party: decided.party.map(|party| self.masked(Masked::Party, party.to_string())),
            right: decided.right.cloned(),
            snapshot_version: version.map(|version| version.to_string()),
            request_id: request_id.map(str::to_owned),
        });
    }

    fn masked(&self, what: Masked, value: String) -> String {
        if !self.config.mask.contains(&what) {
            return value;
        }
        let hash = self.seal.sealed("mask", value.as_bytes());
        hash.iter().skip(value.len()).take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use policies::DenialReason;
    use serde_json::{Value, json};

    use super::*;

    fn log(change: Value) -> DecisionLog {
        let mut config = crate::config::tests::valid();
        config["decisionLog"] = change;
        DecisionLog::new(&Config::parse(config.to_string().as_bytes()).unwrap()).unwrap()
    }

    fn denial() -> Denial {
        Denial { party: Some("310247049".parse().unwrap()), ..Denial::new(DenialReason::RightMissing) }
    }

    fn now(millis: i64) -> Timestamp {
        Timestamp::from_unix_millis(1_000_000 + millis)
    }

    fn read(batch: Option<String>) -> Vec<Value> {
        let batch: Value = serde_json::from_str(&batch.expect("a batch")).unwrap();
        assert_eq!(batch["gateway"], "gateway");
        batch["decisions"].as_array().unwrap().clone()
    }

    #[test]
    fn entries_wait_for_others_and_go_in_batches() {
        let mut log = log(json!({}));
        log.denied(&denial(), None, Some("r-1"), now(0));
        assert_eq!(log.batch(now(999)), None);
        let batch = read(log.batch(now(1000)));
        assert_eq!(
            batch,
            [json!({"decision": "deny", "reason": "right_missing", "party": "310247049", "requestId": "r-1",
                "atMillis": 1_000_000})]
        );
        assert_eq!(log.batch(now(2000)), None, "one at a time");
        log.batch_ended(false, now(2000));
        assert_eq!(log.batch(now(3999)), None);
        assert_eq!(read(log.batch(now(4000))).len(), 1);
        log.batch_ended(true, now(4000));
        assert_eq!(log.batch(now(100_000)), None);
        for _ in 0..BATCH_ENTRIES_MAX + 1 {
            log.denied(&denial(), None, None, now(100_000));
        }
        assert_eq!(read(log.batch(now(100_000))).len(), BATCH_ENTRIES_MAX);
    }

    #[test]
    fn the_buffer_is_bounded_and_what_is_dropped_is_counted() {
        let mut log = log(json!({"entriesMax": 3}));
        for number in 0..5 {
            log.denied(&denial(), None, Some(&number.to_string()), now(number));
        }
        assert_eq!((log.take_dropped(), log.take_dropped()), (2, 0));
        let ids: Vec<Value> = read(log.batch(now(2000))).iter().map(|entry| entry["requestId"].clone()).collect();
        assert_eq!(ids, ["2", "3", "4"]);
        log.denied(&denial(), None, Some("5"), now(2000));
        assert_eq!(log.take_dropped(), 1, "the three on their way stay");
        log.batch_ended(true, now(2000));
        assert_eq!(log.batch(now(9000)), None);
    }

    #[test]
    fn what_is_masked_is_the_same_and_unreadable() {
        let mut log = log(json!({"mask": ["party"]}));
        for _ in 0..2 {
            log.denied(&denial(), None, None, now(0));
        }
        let batch = read(log.batch(now(2000)));
        let party = batch[0]["party"].as_str().unwrap();
        assert!(party.len() == 16 && !party.contains("310247049"), "{party}");
        assert_eq!(batch[0], batch[1]);
    }
}
