//! What the workers of one gateway tell each other, in the host's shared data: who polls for all, what has come, who has
//! what in force.
//!
//! Whatever module has the same `vm_id` can write there, so nothing of it is believed for being there: records carry a
//! MAC under a key derived from the gateway credential, and pieces of snapshots carry the control plane's signature,
//! which every worker checks itself. What does not check out counts as missing.

use hmac::{Hmac, Mac as _};
use policies::Timestamp;
use policies::snapshot::SnapshotVersion;
use sha2::{Digest as _, Sha256};

use crate::config::Followed;

/// Length of every part of a base but the last, in bytes: a copy takes about a millisecond.
pub(crate) const PART_BYTES: usize = 1 << 20;
/// How long a worker polls for all without renewing, in milliseconds.
const LEASE_MILLIS: i64 = 1000;
/// Renewed when no more than this is left, in milliseconds.
const RENEW_MILLIS: i64 = 600;
/// Workers that are remembered.
const WORKERS_MAX: usize = 256;
/// Silence after which a worker is forgotten, in milliseconds.
const SILENT_MILLIS: i64 = 30_000;
/// Attempts to add to a record that others add to at the same time.
const ATTEMPTS_MAX: usize = 4;
const MAC_BYTES: usize = 32;

/// The host's shared data and queues.
pub(crate) trait SharedData {
    /// A value, and what names its state for [`Self::set`].
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)>;

    /// Stores a value, if its state is still the named one; `false` when it is not, or the host has no shared data.
    fn set(&self, key: &str, value: &[u8], state: Option<u32>) -> bool;

    /// Wakes the worker of a queue; hosts without queues do nothing, and the worker looks at its next tick.
    fn wake(&self, queue: &str);
}

/// Which worker polls for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lead {
    This,
    /// One that serves calls, or would as soon as it had a policy.
    Another,
    /// One that serves none: who does may take its place ([`Board::relieve`]).
    AnotherThatIsIdle,
    /// The host has no shared data: each polls for itself.
    Nobody,
}

/// Who polls for all, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Lease {
    holder: u64,
    until_millis: i64,
    /// Calls are decided there.
    serves: bool,
}

/// A base on the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BoardBase {
    pub(crate) slot: u8,
    pub(crate) version: SnapshotVersion,
    /// Length of the body.
    pub(crate) bytes: u64,
    /// Parts that have come.
    pub(crate) parts: u32,
    /// Bodies with deltas to it that have come since.
    pub(crate) batches: u32,
}

/// What has come: a base with deltas, and perhaps the next base on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Head {
    /// The last poll that succeeded.
    pub(crate) last_success_millis: i64,
    pub(crate) current: Option<BoardBase>,
    pub(crate) coming: Option<BoardBase>,
}

/// One worker, as it last said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WorkerState {
    pub(crate) worker: u64,
    pub(crate) seen_millis: i64,
    pub(crate) applied: Option<SnapshotVersion>,
    pub(crate) refused: u64,
}

/// What tells records of this gateway's workers from whatever else is in shared data.
pub(crate) struct Seal {
    prefix: String,
    key: [u8; 32],
}

/// The board of one gateway's workers.
pub(crate) struct Board {
    seal: Seal,
    worker: u64,
}

impl Seal {
    pub(crate) fn new(followed: Followed<'_>) -> Self {
        let mut digest = Sha256::new();
        // What belongs together: workers with another credential or other keys have a board of their own.
        for text in ["portvakt workers", followed.provider.as_str(), &followed.control_plane.credential] {
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(text);
        }
        for key in followed.snapshot_keys {
            digest.update(key.key_id());
        }
        if followed.is_shadow {
            digest.update(b"shadow");
        }
        let key: [u8; 32] = digest.finalize().into();
        let name: String = Sha256::digest(key).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { prefix: format!("portvakt.{name}"), key }
    }

    /// The key of a record.
    pub(crate) fn name(&self, what: &str) -> String {
        format!("{}.{what}", self.prefix)
    }

    /// A record, with what proves that a worker of this gateway wrote it under this key.
    pub(crate) fn sealed(&self, key: &str, payload: &[u8]) -> Vec<u8> {
        match self.mac(key, payload) {
            Some(mac) => [payload, &mac.finalize().into_bytes()].concat(),
            None => Vec::new(),
        }
    }

    /// The payload of a record that a worker of this gateway wrote under this key.
    pub(crate) fn opened<'a>(&self, key: &str, record: &'a [u8]) -> Option<&'a [u8]> {
        let (payload, mac) = record.split_at_checked(record.len().checked_sub(MAC_BYTES)?)?;
        self.mac(key, payload)?.verify_slice(mac).ok()?;
        Some(payload)
    }

    fn mac(&self, key: &str, payload: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).ok()?;
        mac.update(&(key.len() as u64).to_le_bytes());
        mac.update(key.as_bytes());
        mac.update(payload);
        Some(mac)
    }
}

impl Board {
    pub(crate) fn new(followed: Followed<'_>, worker: u64) -> Self {
        Self { seal: Seal::new(followed), worker }
    }

    /// Name of a worker's queue.
    pub(crate) fn queue(&self, worker: u64) -> String {
        self.seal.name(&format!("{worker:016x}"))
    }

    /// Becomes, or stays, the one that polls, unless another is. `serves`: calls are decided here.
    pub(crate) fn lead(&self, shared: &dyn SharedData, now: Timestamp, serves: bool) -> Lead {
        let key = self.seal.name("lease");
        // A lease in a missing place could be taken by two: it is put there expired, and then competed for.
        if shared.get(&key).is_none() && !shared.set(&key, &self.seal.sealed(&key, &Lease::default().bytes()), None) {
            return Lead::Nobody;
        }
        let Some((lease, state)) = self.lease(shared) else { return Lead::Nobody };
        if lease.is_held(now) && lease.holder != self.worker {
            return if lease.serves { Lead::Another } else { Lead::AnotherThatIsIdle };
        }
        let is_fresh = lease.is_held(now) && lease.left_millis(now) > RENEW_MILLIS && lease.serves == serves;
        if is_fresh || self.take_lease(shared, now, serves, state) { Lead::This } else { Lead::Another }
    }

    /// Takes the place of one that polls and serves no calls, for one that serves them.
    pub(crate) fn relieve(&self, shared: &dyn SharedData, now: Timestamp) -> Lead {
        match self.lease(shared) {
            Some((lease, state)) if !lease.serves && self.take_lease(shared, now, true, state) => Lead::This,
            _ => Lead::Another,
        }
    }

    /// The lease, and what names its state; one that nobody of this gateway wrote is nobody's.
    fn lease(&self, shared: &dyn SharedData) -> Option<(Lease, u32)> {
        let key = self.seal.name("lease");
        let (value, state) = shared.get(&key)?;
        Some((self.seal.opened(&key, &value).and_then(Lease::read).unwrap_or_default(), state))
    }

    fn take_lease(&self, shared: &dyn SharedData, now: Timestamp, serves: bool, state: u32) -> bool {
        let key = self.seal.name("lease");
        let lease = Lease { holder: self.worker, until_millis: now.unix_millis() + LEASE_MILLIS, serves };
        shared.set(&key, &self.seal.sealed(&key, &lease.bytes()), Some(state))
    }

    /// What has come.
    pub(crate) fn head(&self, shared: &dyn SharedData) -> Option<Head> {
        let key = self.seal.name("head");
        let (value, _) = shared.get(&key)?;
        self.seal.opened(&key, &value).and_then(Head::read)
    }

    /// Says what has come; only for the one that polls.
    pub(crate) fn set_head(&self, shared: &dyn SharedData, head: &Head) -> bool {
        let key = self.seal.name("head");
        shared.set(&key, &self.seal.sealed(&key, &head.bytes()), None)
    }

    /// A part of a base.
    pub(crate) fn part(&self, shared: &dyn SharedData, slot: u8, part: u32) -> Option<Vec<u8>> {
        shared.get(&self.seal.name(&format!("base.{slot}.{part}"))).map(|(value, _)| value)
    }

    pub(crate) fn set_part(&self, shared: &dyn SharedData, slot: u8, part: u32, bytes: &[u8]) -> bool {
        shared.set(&self.seal.name(&format!("base.{slot}.{part}")), bytes, None)
    }

    /// A body with deltas.
    pub(crate) fn batch(&self, shared: &dyn SharedData, slot: u8, batch: u32) -> Option<Vec<u8>> {
        shared.get(&self.seal.name(&format!("delta.{slot}.{batch}"))).map(|(value, _)| value)
    }

    pub(crate) fn set_batch(&self, shared: &dyn SharedData, slot: u8, batch: u32, bytes: &[u8]) -> bool {
        shared.set(&self.seal.name(&format!("delta.{slot}.{batch}")), bytes, None)
    }

    /// Gives the memory of so many parts or deltas of a base back: the host keeps what nobody overwrites. `true` when
    /// nothing is left.
    pub(crate) fn clear(&self, shared: &dyn SharedData, base: &mut BoardBase, count: u32) -> bool {
        for _ in 0..count {
            if let Some(part) = base.parts.checked_sub(1) {
                self.set_part(shared, base.slot, part, &[]);
                base.parts = part;
            } else if let Some(batch) = base.batches.checked_sub(1) {
                self.set_batch(shared, base.slot, batch, &[]);
                base.batches = batch;
            } else {
                break;
            }
        }
        (base.parts, base.batches) == (0, 0)
    }

    /// Every worker that was heard of lately.
    pub(crate) fn workers(&self, shared: &dyn SharedData, now: Timestamp) -> Vec<WorkerState> {
        self.read_workers(shared, now).0
    }

    /// Says what this worker has in force.
    pub(crate) fn tell(&self, shared: &dyn SharedData, state: WorkerState) {
        let key = self.seal.name("workers");
        for _ in 0..ATTEMPTS_MAX {
            let (mut workers, place) = self.read_workers(shared, Timestamp::from_unix_millis(state.seen_millis));
            workers.retain(|known| known.worker != state.worker);
            workers.truncate(WORKERS_MAX - 1);
            workers.push(state);
            workers.sort_unstable_by_key(|known| known.worker);
            let bytes: Vec<u8> = workers.iter().flat_map(WorkerState::bytes).collect();
            if shared.set(&key, &self.seal.sealed(&key, &bytes), place) {
                return;
            }
        }
    }

    fn read_workers(&self, shared: &dyn SharedData, now: Timestamp) -> (Vec<WorkerState>, Option<u32>) {
        let key = self.seal.name("workers");
        let Some((value, place)) = shared.get(&key) else { return (Vec::new(), None) };
        let bytes = self.seal.opened(&key, &value).unwrap_or_default();
        let workers = bytes.chunks_exact(WorkerState::BYTES).filter_map(WorkerState::read);
        let is_heard_of = |state: &WorkerState| (now.unix_millis() - state.seen_millis).abs() <= SILENT_MILLIS;
        (workers.filter(is_heard_of).collect(), Some(place))
    }
}

impl Lease {
    fn left_millis(&self, now: Timestamp) -> i64 {
        self.until_millis - now.unix_millis()
    }

    fn is_held(&self, now: Timestamp) -> bool {
        (1..=2 * LEASE_MILLIS).contains(&self.left_millis(now))
    }

    fn bytes(&self) -> Vec<u8> {
        let numbers = [self.holder, self.until_millis as u64, u64::from(self.serves)];
        numbers.into_iter().flat_map(u64::to_le_bytes).collect()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut numbers = Numbers(bytes);
        let (holder, until_millis) = (numbers.next()?, numbers.next()? as i64);
        // A module from before this was told does not give its place away.
        Some(Self { holder, until_millis, serves: numbers.next() != Some(0) })
    }
}

impl Head {
    fn bytes(&self) -> Vec<u8> {
        let mut numbers = vec![self.last_success_millis as u64];
        for base in [self.current, self.coming] {
            numbers.push(u64::from(base.is_some()));
            if let Some(base) = base {
                let version = base.version;
                numbers.extend([u64::from(base.slot), version.epoch, version.version, base.bytes]);
                numbers.extend([u64::from(base.parts), u64::from(base.batches)]);
            }
        }
        numbers.into_iter().flat_map(u64::to_le_bytes).collect()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut numbers = Numbers(bytes);
        let last_success_millis = numbers.next()? as i64;
        let mut base = || -> Option<Option<BoardBase>> {
            if numbers.next()? == 0 {
                return Some(None);
            }
            Some(Some(BoardBase {
                slot: numbers.next()?.try_into().ok()?,
                version: SnapshotVersion { epoch: numbers.next()?, version: numbers.next()? },
                bytes: numbers.next()?,
                parts: numbers.next()?.try_into().ok()?,
                batches: numbers.next()?.try_into().ok()?,
            }))
        };
        Some(Self { last_success_millis, current: base()?, coming: base()? })
    }
}

impl WorkerState {
    const BYTES: usize = 5 * 8;

    fn bytes(&self) -> Vec<u8> {
        let applied = self.applied.unwrap_or(SnapshotVersion { epoch: 0, version: 0 });
        let numbers = [self.worker, self.seen_millis as u64, applied.epoch, applied.version, self.refused];
        numbers.into_iter().flat_map(u64::to_le_bytes).collect()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut numbers = Numbers(bytes);
        let (worker, seen_millis) = (numbers.next()?, numbers.next()? as i64);
        let applied = SnapshotVersion { epoch: numbers.next()?, version: numbers.next()? };
        // Versions begin at 1.
        Some(Self { worker, seen_millis, applied: Some(applied).filter(|it| it.version > 0), refused: numbers.next()? })
    }
}

/// Little-endian numbers of 64 bits, one after the other.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    fn next(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }
}

#[cfg(test)]
pub(crate) mod tests;
