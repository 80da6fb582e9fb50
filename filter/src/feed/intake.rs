//! A base on its way in, part by part: checked as it comes, looked at slice by slice, and a policy only when whole.

use policies::id::ProviderId;
use policies::snapshot::{Opening, SnapshotError, SnapshotKey};
use policies::token::VerifySignature;
use policies::{PolicySet, Timestamp};

/// Numbers looked at in one step of work: about half a millisecond of a worker, which does a few of them before it serves
/// calls.
const STEP_NUMBERS: usize = 1_600_000;
/// Most bytes of deltas that may follow a base in one body.
const TAIL_BYTES_MAX: usize = 4 << 20;

/// What checks a piece.
pub(crate) struct Trust<'a> {
    pub(crate) keys: &'a [SnapshotKey],
    pub(crate) provider: &'a ProviderId,
    pub(crate) now: Timestamp,
    pub(crate) signatures: &'a dyn VerifySignature,
}

pub(crate) struct Intake {
    opening: Opening,
    /// Deltas after the base.
    tail: Vec<u8>,
    bytes_missing: usize,
}

impl Intake {
    /// Begins with the first part of a body of `total` bytes. Besides what is newer than `policy` its own base may come
    /// again, to be shown to others.
    pub(crate) fn begin(
        first: &[u8],
        total: usize,
        policy: &PolicySet,
        trust: &Trust<'_>,
    ) -> Result<Self, SnapshotError> {
        let begin = |current| Opening::begin(first, trust.keys, trust.provider, current, trust.now, trust.signatures);
        let (opening, head) = match begin(policy.manifest()) {
            Err(SnapshotError::NotNewer) => {
                let again = begin(policy.base())?;
                if Some(again.0.manifest()) != policy.base() {
                    return Err(SnapshotError::NotNewer);
                }
                again
            }
            begun => begun?,
        };
        let tail = total.checked_sub(head).and_then(|rest| rest.checked_sub(opening.bytes_missing()));
        if tail.is_none_or(|tail| tail > TAIL_BYTES_MAX) {
            return Err(SnapshotError::Length);
        }
        let mut intake = Self { opening, tail: Vec::new(), bytes_missing: total - head };
        intake.push(first.get(head..).ok_or(SnapshotError::Length)?)?;
        Ok(intake)
    }

    /// Takes the body's next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.bytes_missing = self.bytes_missing.checked_sub(bytes.len()).ok_or(SnapshotError::Length)?;
        let (image, tail) = bytes.split_at_checked(self.opening.bytes_missing()).unwrap_or((bytes, &[]));
        self.tail.extend_from_slice(tail);
        if image.is_empty() { Ok(()) } else { self.opening.push(image) }
    }

    /// One step of work; `true` when nothing is left.
    pub(crate) fn step(&mut self) -> Result<bool, SnapshotError> {
        self.opening.step(STEP_NUMBERS)
    }

    /// The policy. One that has ended is refused.
    pub(crate) fn finish(self, trust: &Trust<'_>) -> Result<PolicySet, SnapshotError> {
        let mut policy = self.opening.finish()?;
        if !self.tail.is_empty() {
            policy.update(self.tail, trust.keys, trust.provider, trust.now, trust.signatures)?;
        }
        match policy.manifest() {
            Some(manifest) if trust.now < manifest.not_after => Ok(policy),
            _ => Err(SnapshotError::Expired),
        }
    }
}
