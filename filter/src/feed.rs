//! Following the control plane: events and the instant in, polls and the policy in force out. No I/O.
//!
//! Of a gateway's workers one asks the control plane for all ([`shared::Board::lead`]) and puts what came where the others
//! find it; without shared data every worker asks for itself. One poll is under way at a time, or a few for parts of a base; the control plane
//! holds it until there is something new: what changed since the version in force, or a base, which comes in parts ([`poll`]) and
//! is taken over in slices ([`intake`]). Nothing but what [`PolicySet::update`] or an [`Intake`] accepts changes the
//! policy: anything else is counted as refused and the last good policy stays. After a delta that does not fit, a whole
//! base is asked for. The policy's age is the time since the last poll that succeeded, not since the last change.

mod bases;
mod intake;
mod leading;
mod poll;
pub(crate) mod shared;

use policies::snapshot::{SnapshotError, SnapshotKey, SnapshotVersion};
use policies::token::VerifySignature;
use policies::{PolicySet, PolicyTrouble, Timestamp};

use crate::config::{Bootstrap, Followed};
use crate::issuer_keys::IssuerKeys;
use bases::Coming;
pub(crate) use poll::Poll;
use poll::{Polls, Wanted};
use shared::{Board, BoardBase, Head, Lead, SharedData, WorkerState};

/// How far the clock may jump back before the policy's age counts as unknown, in milliseconds.
const CLOCK_BACK_MILLIS_MAX: i64 = 10_000;
/// How long a worker asks for itself after the board gave it something that it refused, in milliseconds.
const DISTRUST_MILLIS: i64 = 5_000;
/// Bodies with deltas on the board before a new base is asked for.
const BATCHES_MAX: u32 = 4096;
/// How long calls wait for something newer than a snapshot from the configuration, in milliseconds.
const BOOTSTRAP_WAIT_MILLIS: i64 = 1_000;
/// How often a worker says what it has in force though nothing changed, in milliseconds.
const TELL_MILLIS: i64 = 10_000;

/// What came back. A host that got no answer gives no status.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: Option<u16>,
    pub(crate) retry_after_seconds: Option<i64>,
    /// Of what is published, or of the base that the part is of.
    pub(crate) etag: Option<String>,
    pub(crate) content_range: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// What an event did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A new policy is in force.
    Applied(SnapshotVersion),
    /// The policy in force is the newest, or something is on its way.
    Unchanged,
    /// The snapshot was refused; the policy in force stays.
    Refused(SnapshotError),
    /// The poll failed.
    Failed { status: Option<u16> },
}

/// How long a snapshot from the configuration may decide.
struct BootstrapAge {
    began_at: Timestamp,
    ends_at: Timestamp,
    /// The control plane could not be asked so far.
    is_alone: bool,
}

impl BootstrapAge {
    fn may_decide(&self, now: Timestamp) -> bool {
        now < self.ends_at
    }
}

pub(crate) struct Feed {
    warn_millis: i64,
    deny_millis: i64,
    keys: Vec<SnapshotKey>,
    provider: policies::id::ProviderId,
    bytes_max: u64,
    worker: u64,
    board: Board,
    polls: Polls,
    policy: PolicySet,
    missing: PolicySet,
    stale: PolicySet,
    last_success: Option<Timestamp>,
    /// What is in force came with the configuration, and the control plane has not answered yet.
    bootstrap: Option<BootstrapAge>,
    refused: u64,
    /// This worker asks the control plane: for all, or for itself.
    is_asking: bool,
    /// … for all.
    is_leading: bool,
    /// Calls are decided here, or may be as soon as there is a policy; other VMs let those that serve go first.
    serves: bool,
    /// Another worker wakes this one; it is not its own tick.
    is_woken: bool,
    distrust_until: Option<Timestamp>,
    /// Deltas do not lead on from what is in force.
    is_base_needed: bool,
    /// A base came, and nobody has said yet what has changed since.
    is_base_alone: bool,
    /// The board has only the base: its deltas are asked for once more.
    asks_from: Option<SnapshotVersion>,
    coming: Option<Coming>,
    /// What is left on the board of a base that was replaced.
    clearing: Option<BoardBase>,
    /// Bodies with deltas taken from the board since the base in force.
    batches: u32,
    /// There are more.
    is_behind: bool,
    told: Option<(Timestamp, Option<SnapshotVersion>, u64)>,
    reported: Vec<(u64, Option<SnapshotVersion>, u64)>,
}

impl Feed {
    /// `worker` tells workers of one gateway apart; any number that differs will do.
    pub(crate) fn new(followed: Followed<'_>, worker: u64, now: Timestamp) -> Self {
        Self {
            warn_millis: i64::from(followed.staleness.warn_seconds) * 1000,
            deny_millis: i64::from(followed.staleness.deny_seconds) * 1000,
            keys: followed.snapshot_keys.to_vec(),
            provider: followed.provider.clone(),
            bytes_max: followed.bytes_max,
            worker,
            board: Board::new(followed, worker),
            polls: Polls::new(followed, worker, now),
            policy: PolicySet::deny_all(PolicyTrouble::Missing),
            missing: PolicySet::deny_all(PolicyTrouble::Missing),
            stale: PolicySet::deny_all(PolicyTrouble::Stale),
            last_success: None,
            bootstrap: None,
            refused: 0,
            is_asking: false,
            is_leading: false,
            serves: true,
            is_woken: false,
            distrust_until: None,
            is_base_needed: false,
            is_base_alone: false,
            asks_from: None,
            coming: None,
            clearing: None,
            batches: 0,
            is_behind: false,
            told: None,
            reported: Vec::new(),
        }
    }

    /// The policy in force; one that denies everything before the first snapshot and when the last is too old.
    pub(crate) fn policy(&self, now: Timestamp) -> &PolicySet {
        match self.last_success {
            None if self.bootstrap.as_ref().is_some_and(|bootstrap| bootstrap.may_decide(now)) => &self.policy,
            None if self.bootstrap.is_some() => &self.stale,
            Some(_) if self.version().is_none() => &self.missing,
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

    /// The first snapshot has arrived, whole: a base alone may be older than what was published last.
    pub(crate) fn is_ready(&self) -> bool {
        self.version().is_some()
            && (self.last_success.is_some() || self.bootstrap.as_ref().is_some_and(|bootstrap| bootstrap.is_alone))
    }

    /// Begins with a snapshot from the configuration. It decides once the control plane could not be asked, until it can
    /// be, and while it is not too old; calls wait that long for something newer.
    pub(crate) fn begin_with(
        &mut self,
        bootstrap: Bootstrap,
        now: Timestamp,
        signatures: &dyn VerifySignature,
    ) -> Result<(), SnapshotError> {
        self.policy.update(bootstrap.body, &self.keys, &self.provider, now, signatures)?;
        let signed_at = self.policy.manifest().map(|manifest| manifest.issued_at).ok_or(SnapshotError::Manifest)?;
        let ends_at = signed_at.plus_seconds(i64::from(bootstrap.age_seconds_max));
        self.bootstrap = Some(BootstrapAge { ends_at, began_at: now, is_alone: false });
        Ok(())
    }

    /// Lets new keys of issuers count.
    pub(crate) fn set_issuer_keys(&mut self, keys: &IssuerKeys) {
        for (issuer, keys) in keys.all() {
            self.policy.set_issuer_keys(issuer, keys);
        }
    }

    /// When what is in force was signed.
    pub(crate) fn signed_at(&self) -> Option<Timestamp> {
        self.policy.manifest().map(|manifest| manifest.issued_at)
    }

    /// No poll has succeeded for so long.
    pub(crate) fn is_older_than(&self, seconds: u32, now: Timestamp) -> bool {
        self.age_millis(now).is_none_or(|age| age > i64::from(seconds) * 1000)
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

    /// The name of this worker's queue.
    pub(crate) fn queue(&self) -> String {
        self.board.queue(self.worker)
    }

    /// The last slice of work has found something to do: it waits for nobody.
    pub(crate) fn is_moving(&self) -> bool {
        self.coming.as_ref().is_some_and(|coming| coming.is_moving)
    }

    /// Says whether calls are decided here.
    pub(crate) fn set_serves(&mut self, serves: bool) {
        self.serves = serves;
    }

    /// Says whether another worker wakes this one, or its own tick does.
    pub(crate) fn set_woken(&mut self, is_woken: bool) {
        self.is_woken = is_woken;
    }

    /// Another slice of the work on the base that is on its way.
    pub(crate) fn work_on(
        &mut self,
        shared: &dyn SharedData,
        now: Timestamp,
        signatures: &dyn VerifySignature,
    ) -> Outcome {
        self.work(shared, now, signatures)
    }

    /// There is work left that must not wait for the next tick.
    pub(crate) fn is_busy(&self) -> bool {
        self.coming.as_ref().is_some_and(|coming| coming.is_from_board() || coming.is_whole()) || self.is_behind
    }

    /// Looks at what the others have, who asks, and does a slice of the work that is left.
    pub(crate) fn look(
        &mut self,
        shared: &dyn SharedData,
        now: Timestamp,
        signatures: &dyn VerifySignature,
    ) -> Outcome {
        if let Some(bootstrap) = &mut self.bootstrap {
            let waited = now.millis_since(bootstrap.began_at);
            bootstrap.is_alone |= self.polls.has_failed() || !(0..BOOTSTRAP_WAIT_MILLIS).contains(&waited);
        }
        let lead = self.lead(shared, now);
        let is_new_to_it = lead == Lead::This && !self.is_leading;
        self.is_leading = lead == Lead::This;
        self.is_asking = matches!(lead, Lead::This | Lead::Nobody) || self.is_distrustful(now);
        if !self.is_asking && self.polls.abandon() {
            self.coming = None;
        }
        if self.is_leading {
            self.clear_some(shared);
        } else {
            // Whoever leads now may need the place.
            self.clearing = None;
        }
        let outcome = match self.board.head(shared) {
            Some(head) if is_new_to_it && head.coming.is_some() => {
                // Whoever led before will not go on with it.
                self.coming = None;
                self.board.set_head(shared, &Head { coming: None, ..head });
                Outcome::Unchanged
            }
            Some(head) if !self.is_distrustful(now) => self.follow(&head, shared, now, signatures),
            _ => Outcome::Unchanged,
        };
        match outcome {
            Outcome::Unchanged => self.work(shared, now, signatures),
            outcome => outcome,
        }
    }

    /// The poll to send now, if this worker asks and one is due; there may be another. It counts as under way until
    /// [`Self::replied`].
    pub(crate) fn poll(&mut self, now: Timestamp) -> Option<Poll> {
        if !self.is_asking || !self.polls.is_due(now) {
            return None;
        }
        let wanted = match &self.coming {
            Some(coming) if coming.is_from_board() || !self.polls.has_room_for_part() => return None,
            Some(coming) => coming.wanted().find(|part| !self.polls.is_under_way(*part))?,
            None if self.is_behind || !self.polls.is_quiet() => return None,
            None if self.is_base_needed => Wanted::Newer(None),
            None => match self.asks_from.or(self.version()) {
                Some(version) if self.is_base_alone => Wanted::IsNewest(version),
                version => Wanted::Newer(version),
            },
        };
        Some(self.polls.send(wanted, self.version(), self.refused, now))
    }

    /// Takes the reply to a poll.
    pub(crate) fn replied(
        &mut self,
        ticket: u32,
        reply: Reply,
        shared: &dyn SharedData,
        now: Timestamp,
        signatures: &dyn VerifySignature,
    ) -> Outcome {
        let Some(poll) = self.polls.ended(ticket) else { return Outcome::Unchanged };
        // A part of a base that was given up.
        if let Wanted::Part(version, _) = poll.wanted
            && self.coming.as_ref().is_none_or(|coming| coming.is_from_board() || coming.version != version)
        {
            return Outcome::Unchanged;
        }
        let is_before_failure = self.polls.is_before_failure(poll);
        // Another may have taken over while this worker was stopped: what it does counts.
        self.is_leading = self.is_leading && self.board.lead(shared, now, self.serves) == Lead::This;
        let retry_after_seconds = reply.retry_after_seconds;
        let outcome = match reply.status {
            Some(200) => self.take_body(&reply.body, shared, now, signatures),
            Some(206) => self.take_part(poll.wanted, reply, shared, now, signatures).map(|()| None),
            // Not modified says something only of what we have.
            Some(304) if self.version().is_some() => Ok(None),
            Some(412) => {
                self.coming = None;
                Err(Outcome::Failed { status: Some(412) })
            }
            status => Err(Outcome::Failed { status }),
        };
        match outcome {
            Ok(Some(version)) => {
                self.succeeded(shared, now);
                self.polls.brought_news(now);
                Outcome::Applied(version)
            }
            Ok(None) if self.coming.is_some() => {
                if !is_before_failure {
                    self.polls.brought_news(now);
                }
                Outcome::Unchanged
            }
            Ok(None) => {
                self.succeeded(shared, now);
                match poll.wanted {
                    // It was not held; the next one is.
                    Wanted::IsNewest(_) => self.polls.brought_news(now),
                    _ => self.polls.brought_nothing(poll.at, now),
                }
                Outcome::Unchanged
            }
            Err(outcome) => {
                if outcome == Outcome::Refused(SnapshotError::TooLarge) {
                    self.polls.base_refused(now);
                } else if !is_before_failure {
                    self.polls.failed(now, retry_after_seconds);
                }
                outcome
            }
        }
    }

    /// The host could not send the poll.
    pub(crate) fn not_sent(&mut self, ticket: u32, now: Timestamp) {
        self.polls.ended(ticket);
        self.polls.failed(now, None);
    }

    /// What the control plane has not been told of the workers yet; only the one that polls for all tells.
    pub(crate) fn report(&mut self, shared: &dyn SharedData, now: Timestamp) -> Option<Vec<WorkerState>> {
        let state = (self.version(), self.refused);
        let is_told = self.told.is_some_and(|(at, version, refused)| {
            (version, refused) == state && (0..TELL_MILLIS).contains(&now.millis_since(at))
        });
        if !is_told {
            self.told = Some((now, state.0, state.1));
            let seen_millis = now.unix_millis();
            let state = WorkerState { worker: self.worker, seen_millis, applied: state.0, refused: state.1 };
            self.board.tell(shared, state);
        }
        if !self.is_leading {
            self.reported.clear();
            return None;
        }
        // What this worker has in force its polls say.
        let others = |state: &WorkerState| state.worker != self.worker;
        let workers: Vec<_> = self.board.workers(shared, now).into_iter().filter(others).collect();
        let news: Vec<_> = workers.iter().map(|state| (state.worker, state.applied, state.refused)).collect();
        if news == self.reported {
            return None;
        }
        self.reported = news;
        Some(workers)
    }

    /// The report did not arrive: it is due again.
    pub(crate) fn not_reported(&mut self) {
        self.reported.clear();
    }

    fn is_distrustful(&self, now: Timestamp) -> bool {
        self.distrust_until.is_some_and(|until| (1..=DISTRUST_MILLIS).contains(&until.millis_since(now)))
    }

    /// Takes what the board has and this worker has not.
    fn follow(
        &mut self,
        head: &Head,
        shared: &dyn SharedData,
        now: Timestamp,
        signatures: &dyn VerifySignature,
    ) -> Outcome {
        self.is_behind = false;
        let base = self.policy.base().map(|base| base.version);
        if let Some(current) = head.current.filter(|current| base == Some(current.version)) {
            let outcome = if self.batches < current.batches {
                self.take_batch(&current, shared, now, signatures)
            } else {
                Outcome::Unchanged
            };
            self.is_behind = self.batches < current.batches && !self.is_distrustful(now);
            let success = Timestamp::from_unix_millis(head.last_success_millis);
            // Zero: nobody has got anything whole yet.
            let is_known = head.last_success_millis > 0 && success.millis_since(now) <= CLOCK_BACK_MILLIS_MAX;
            if self.batches >= current.batches && is_known && self.last_success.is_none_or(|last| last < success) {
                self.last_success = Some(success);
            }
            if outcome != Outcome::Unchanged || self.is_behind {
                return outcome;
            }
        }
        // A base that somebody is still putting there is for those who wait for it.
        let newest = if self.is_leading || !self.serves { head.current } else { head.coming.or(head.current) };
        // Who waits for nothing begins at its own tick: when it is woken, others are just about to finish.
        let newest = newest.filter(|_| self.serves || !self.is_woken);
        let known = self.coming.as_ref().map(|coming| coming.version).or(base);
        let is_newer = |newest: &BoardBase| {
            known.is_none_or(|known| known.epoch != newest.version.epoch || known.version < newest.version.version)
        };
        let is_own = self.coming.as_ref().is_some_and(|coming| !coming.is_from_board());
        if let Some(newest) = newest.filter(is_newer)
            && !is_own
        {
            self.coming = Some(Coming::from_board(&newest));
        }
        Outcome::Unchanged
    }

    fn take_batch(
        &mut self,
        base: &BoardBase,
        shared: &dyn SharedData,
        now: Timestamp,
        signatures: &dyn VerifySignature,
    ) -> Outcome {
        let Some(body) = self.board.batch(shared, base.slot, self.batches) else {
            self.distrust(now);
            return Outcome::Unchanged;
        };
        self.batches += 1;
        match self.policy.update(body, &self.keys, &self.provider, now, signatures) {
            Ok(()) => self.version().map_or(Outcome::Unchanged, Outcome::Applied),
            Err(SnapshotError::InForce) => Outcome::Unchanged,
            Err(error) => {
                self.distrust(now);
                self.refused(error)
            }
        }
    }

    /// Asks for itself for a while.
    fn distrust(&mut self, now: Timestamp) {
        self.distrust_until = Some(now.plus_millis(DISTRUST_MILLIS));
        self.coming = None;
        self.is_behind = false;
    }

    /// A whole body: deltas, or a base from a control plane that does not know parts.
    fn take_body(
        &mut self,
        body: &[u8],
        shared: &dyn SharedData,
        now: Timestamp,
        signatures: &dyn VerifySignature,
    ) -> Result<Option<SnapshotVersion>, Outcome> {
        if body.len() as u64 > self.bytes_max {
            return Err(self.refused(SnapshotError::TooLarge));
        }
        let before = self.policy.base().map(|base| base.version);
        let result = self.policy.update(body.to_vec(), &self.keys, &self.provider, now, signatures);
        if let Err(error) = result
            && error != SnapshotError::InForce
        {
            return Err(self.refused(error));
        }
        self.is_base_needed = false;
        let is_for_board = self.asks_from.take().is_some() || result.is_ok();
        let base = self.policy.base().map(|base| base.version);
        if base != before {
            self.batches = 0;
        }
        if self.is_leading
            && is_for_board
            && let Some(version) = base
        {
            self.put_on_board(version, before == base, body, shared, now);
        }
        if result.is_err() { Ok(None) } else { Ok(self.version()) }
    }

    /// Shows the others a body that was accepted.
    fn put_on_board(
        &mut self,
        base: SnapshotVersion,
        are_deltas: bool,
        body: &[u8],
        shared: &dyn SharedData,
        now: Timestamp,
    ) {
        let mut head = self.board.head(shared).unwrap_or_default();
        match head.current {
            Some(mut current) if are_deltas && current.version == base && current.batches < BATCHES_MAX => {
                if !self.board.set_batch(shared, current.slot, current.batches, body) {
                    return;
                }
                current.batches += 1;
                self.batches = current.batches;
                head.current = Some(current);
                self.board.set_head(shared, &head);
                self.wake_others(shared, now);
            }
            // The others cannot follow without a base.
            _ if are_deltas => self.is_base_needed = true,
            _ => self.show_base(base, body, shared, now),
        }
    }

    fn wake_others(&self, shared: &dyn SharedData, now: Timestamp) {
        for other in self.board.workers(shared, now) {
            if other.worker != self.worker {
                shared.wake(&self.board.queue(other.worker));
            }
        }
    }

    /// The control plane was asked, and answered.
    fn succeeded(&mut self, shared: &dyn SharedData, now: Timestamp) {
        self.is_base_alone = false;
        self.last_success = Some(now);
        if self.is_leading
            && let Some(head) = self.board.head(shared)
        {
            self.board.set_head(shared, &Head { last_success_millis: now.unix_millis(), ..head });
        }
    }

    fn refused(&mut self, error: SnapshotError) -> Outcome {
        self.refused += 1;
        self.coming = None;
        self.is_base_needed |=
            matches!(error, SnapshotError::Gap | SnapshotError::TooManyChanges | SnapshotError::Image(_));
        Outcome::Refused(error)
    }
}

impl Reply {
    /// Where the part begins, how long the whole is, and of which base it is.
    fn part(&self) -> Option<(u64, u64, SnapshotVersion)> {
        let (range, total) = self.content_range.as_deref()?.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last, total): (u64, u64, u64) = (first.parse().ok()?, last.parse().ok()?, total.parse().ok()?);
        let is_whole = last.checked_sub(first)?.checked_add(1)? == self.body.len() as u64 && last < total;
        let version = self.etag.as_deref()?.strip_prefix('"')?.strip_suffix('"')?.parse().ok()?;
        is_whole.then_some((first, total, version))
    }
}

#[cfg(test)]
mod tests;
