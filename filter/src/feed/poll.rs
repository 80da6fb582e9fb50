//! When the control plane is asked, and for what.

use policies::Timestamp;
use policies::snapshot::SnapshotVersion;

use super::shared::PART_BYTES;
use crate::config::Followed;

/// First wait after a failure, in milliseconds; doubled with each further one.
pub(super) const BACK_OFF_MILLIS_MIN: i64 = 200;
/// Longest wait after a failure that cost little, in milliseconds: a control plane that is back is heard of within a
/// second, however long it was away. It is asked by one worker of a gateway, and can ask for more with `Retry-After`.
pub(super) const BACK_OFF_MILLIS_MAX: i64 = 800;
/// Longest wait after a whole base came and was refused, in milliseconds: it would be fetched again.
pub(super) const BASE_REFUSED_BACK_OFF_MILLIS_MAX: i64 = 10_000;
/// Shortest time between two polls that brought nothing new, in milliseconds: a control plane or a proxy that does not
/// hold polls is not asked in a loop.
const QUIET_MILLIS_MIN: i64 = 500;
/// Longest `Retry-After` that is honoured, in seconds.
const RETRY_AFTER_SECONDS_MAX: i64 = 60;
/// How much longer than the control plane's wait a poll may take, in seconds.
const POLL_GRACE_SECONDS: u64 = 10;

/// Parts of a base that are asked for at one time: the next has come while one is looked at.
pub(super) const PARTS_UNDER_WAY_MAX: usize = 4;

/// A poll to send.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Poll {
    /// What its reply is told by.
    pub(crate) ticket: u32,
    pub(crate) path: String,
    pub(crate) prefer: String,
    /// What the gateway has.
    pub(crate) if_none_match: Option<String>,
    /// The base that the part must be of.
    pub(crate) if_match: Option<String>,
    /// Bases come in parts.
    pub(crate) range: String,
    pub(crate) timeout_seconds: u64,
}

/// What to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Whatever is newer than this, when it comes; a whole base without it.
    Newer(Option<SnapshotVersion>),
    /// Whether anything is newer than this, now.
    IsNewest(SnapshotVersion),
    /// The part of this base that begins here.
    Part(SnapshotVersion, u64),
}

/// A poll that was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnderWay {
    ticket: u32,
    pub(super) wanted: Wanted,
    pub(super) at: Timestamp,
}

pub(super) struct Polls {
    resource: String,
    wait_seconds: u16,
    // Invariant: one, or as many parts of bases as may be asked for at one time.
    under_way: Vec<UnderWay>,
    next_ticket: u32,
    next_poll: Timestamp,
    failures: u32,
    failed_at: Option<Timestamp>,
    jitter: u64,
}

impl Polls {
    pub(super) fn new(followed: Followed<'_>, worker: u64, now: Timestamp) -> Self {
        Self {
            resource: format!("/snapshots/{}?gateway={}&worker={worker:016x}", followed.provider, followed.gateway),
            wait_seconds: followed.control_plane.wait_seconds,
            under_way: Vec::new(),
            next_ticket: 0,
            next_poll: now,
            failures: 0,
            failed_at: None,
            jitter: worker,
        }
    }

    /// The last poll that ended has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// The time for a poll has come.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        // A wait longer than any that is ever set means that the clock was set back.
        let wait = self.next_poll.millis_since(now);
        !(1..=RETRY_AFTER_SECONDS_MAX * 1000).contains(&wait)
    }

    #[cfg(test)]
    pub(super) fn last_ticket(&self) -> u32 {
        self.next_ticket
    }

    /// No poll is under way.
    pub(super) fn is_quiet(&self) -> bool {
        self.under_way.is_empty()
    }

    /// A part may be asked for beside what is under way.
    pub(super) fn has_room_for_part(&self) -> bool {
        let is_part = |poll: &UnderWay| matches!(poll.wanted, Wanted::Part(..));
        self.under_way.len() < PARTS_UNDER_WAY_MAX && self.under_way.iter().all(is_part)
    }

    /// The same is asked for already.
    pub(super) fn is_under_way(&self, wanted: Wanted) -> bool {
        self.under_way.iter().any(|poll| poll.wanted == wanted)
    }

    /// The poll; it counts as under way until it has ended, or is abandoned.
    pub(super) fn send(
        &mut self,
        wanted: Wanted,
        applied: Option<SnapshotVersion>,
        refused: u64,
        now: Timestamp,
    ) -> Poll {
        self.next_ticket = self.next_ticket.wrapping_add(1);
        let ticket = self.next_ticket;
        self.under_way.push(UnderWay { ticket, wanted, at: now });
        let (version, base, first, wait_seconds) = match wanted {
            Wanted::Newer(version) => (version, None, 0, self.wait_seconds),
            Wanted::IsNewest(version) => (Some(version), None, 0, 0),
            Wanted::Part(base, first) => (None, Some(base), first, 0),
        };
        let quoted = |version: SnapshotVersion| format!("\"{version}\"");
        let applied = applied.map(|version| format!("&applied={version}")).unwrap_or_default();
        Poll {
            ticket,
            path: format!("{}{applied}&refused={refused}", self.resource),
            prefer: format!("wait={wait_seconds}"),
            if_none_match: version.map(quoted),
            if_match: base.map(quoted),
            range: format!("bytes={first}-{}", first + PART_BYTES as u64 - 1),
            timeout_seconds: u64::from(wait_seconds) + POLL_GRACE_SECONDS,
        }
    }

    /// The poll is over, whatever came of it; `None` when nobody waits for it.
    pub(super) fn ended(&mut self, ticket: u32) -> Option<UnderWay> {
        let position = self.under_way.iter().position(|poll| poll.ticket == ticket)?;
        Some(self.under_way.swap_remove(position))
    }

    /// Nobody waits for what is under way any more; `true` when something was.
    pub(super) fn abandon(&mut self) -> bool {
        !std::mem::take(&mut self.under_way).is_empty()
    }

    /// It was sent before the last failure, and says nothing of the time since.
    pub(super) fn is_before_failure(&self, poll: UnderWay) -> bool {
        self.failed_at.is_some_and(|failed_at| self.failures > 0 && poll.at <= failed_at)
    }

    /// Something new came, and perhaps there is more.
    pub(super) fn brought_news(&mut self, now: Timestamp) {
        self.failures = 0;
        self.next_poll = now;
    }

    /// Nothing new came.
    pub(super) fn brought_nothing(&mut self, polled_at: Timestamp, now: Timestamp) {
        self.failures = 0;
        let held = now.millis_since(polled_at);
        self.next_poll = now.plus_millis((QUIET_MILLIS_MIN - held).max(0));
    }

    /// The poll failed, or brought something that was refused.
    pub(super) fn failed(&mut self, now: Timestamp, retry_after_seconds: Option<i64>) {
        self.back_off(now, BACK_OFF_MILLIS_MAX, retry_after_seconds);
    }

    /// A base that came whole was refused.
    pub(super) fn base_refused(&mut self, now: Timestamp) {
        self.back_off(now, BASE_REFUSED_BACK_OFF_MILLIS_MAX, None);
    }

    /// Doubles the wait, and spreads the gateways over half of it.
    fn back_off(&mut self, now: Timestamp, millis_max: i64, retry_after_seconds: Option<i64>) {
        let wait = (BACK_OFF_MILLIS_MIN << self.failures.min(6)).min(millis_max);
        self.failures = self.failures.saturating_add(1);
        self.failed_at = Some(now);
        // xorshift: the gateways need only differ.
        self.jitter ^= self.jitter << 13;
        self.jitter ^= self.jitter >> 7;
        self.jitter ^= self.jitter << 17;
        let spread = i64::try_from(self.jitter % wait.unsigned_abs().max(1)).unwrap_or(0) / 2;
        let asked = retry_after_seconds.map_or(0, |seconds| seconds.clamp(0, RETRY_AFTER_SECONDS_MAX) * 1000);
        self.next_poll = now.plus_millis((wait - spread).max(asked));
    }
}
