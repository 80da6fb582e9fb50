//! Bases on their way: in parts from the control plane, which the one that leads shows to the others, or from the board.

use std::collections::BTreeMap;

use policies::Timestamp;
use policies::snapshot::{SnapshotError, SnapshotVersion};
use policies::token::VerifySignature;

use super::intake::{Intake, Trust};
use super::poll::{PARTS_UNDER_WAY_MAX, Wanted};
use super::shared::{BoardBase, Head, PART_BYTES, SharedData};
use super::{Feed, Outcome, Reply};

/// Parts of a replaced base that are taken off the board in one slice of work.
const CLEARED_AT_ONCE: u32 = 4;

/// Where the parts of a base come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Others put them into this slot.
    Board { slot: u8 },
    /// This worker asks for them, and puts them into the slot.
    ControlPlane { slot: Option<u8> },
}

/// A base on its way.
pub(super) struct Coming {
    pub(super) version: SnapshotVersion,
    bytes: u64,
    pub(super) source: Source,
    parts: u32,
    /// Parts that came before their turn, by where they begin.
    early: BTreeMap<u64, Vec<u8>>,
    intake: Option<Intake>,
    /// The last slice of work on it has found something to do.
    pub(super) is_moving: bool,
}

impl Coming {
    pub(super) fn from_board(base: &BoardBase) -> Self {
        Self::new(base.version, base.bytes, Source::Board { slot: base.slot })
    }

    fn new(version: SnapshotVersion, bytes: u64, source: Source) -> Self {
        Self { version, bytes, source, parts: 0, early: BTreeMap::new(), intake: None, is_moving: false }
    }

    pub(super) fn is_from_board(&self) -> bool {
        matches!(self.source, Source::Board { .. })
    }

    pub(super) fn is_whole(&self) -> bool {
        self.first_missing() >= self.bytes
    }

    /// Where the next part begins.
    pub(super) fn first_missing(&self) -> u64 {
        u64::from(self.parts) * PART_BYTES as u64
    }

    /// The parts that come next and are not here yet.
    pub(super) fn wanted(&self) -> impl Iterator<Item = Wanted> {
        let parts = (self.first_missing()..self.bytes).step_by(PART_BYTES).take(PARTS_UNDER_WAY_MAX);
        parts.filter(|first| !self.early.contains_key(first)).map(|first| Wanted::Part(self.version, first))
    }

    fn as_board_base(&self, slot: u8) -> BoardBase {
        BoardBase { slot, version: self.version, bytes: self.bytes, parts: self.parts, batches: 0 }
    }
}

impl Feed {
    /// A slice of the work on the base that is on its way.
    pub(super) fn work(
        &mut self,
        shared: &dyn SharedData,
        now: Timestamp,
        signatures: &dyn VerifySignature,
    ) -> Outcome {
        let Some(mut coming) = self.coming.take() else { return Outcome::Unchanged };
        let is_from_board = coming.is_from_board();
        let parts = coming.parts;
        let was_whole = coming.is_whole();
        let result = if coming.is_whole() {
            match coming.intake.as_mut().ok_or(SnapshotError::Length).and_then(Intake::step) {
                Ok(true) => return self.take_over(coming, shared, now, signatures),
                Ok(false) => Ok(()),
                Err(SnapshotError::InForce) => {
                    self.lead_with(&coming, shared, now);
                    return Outcome::Unchanged;
                }
                Err(error) => Err(error),
            }
        } else if let Source::Board { slot } = coming.source {
            match self.next_on_board(&mut coming, slot, shared, now, signatures) {
                Some(result) => result,
                // Replaced before it was whole; the newer one comes next.
                None => return Outcome::Unchanged,
            }
        } else {
            Ok(())
        };
        match result {
            Ok(()) => {
                coming.is_moving = was_whole || coming.parts > parts;
                self.coming = Some(coming);
                Outcome::Unchanged
            }
            Err(error) => {
                if is_from_board {
                    self.distrust(now);
                } else {
                    self.polls.base_refused(now);
                }
                self.refused(error)
            }
        }
    }

    /// Takes the next part from the board, if it is there; `None` when the base is not there any more.
    fn next_on_board(
        &self,
        coming: &mut Coming,
        slot: u8,
        shared: &dyn SharedData,
        now: Timestamp,
        signatures: &dyn VerifySignature,
    ) -> Option<Result<(), SnapshotError>> {
        let part = self.board.part(shared, slot, coming.parts);
        // Only now: what was there while the part was read has not been replaced before.
        let head = self.board.head(shared)?;
        let bases = [head.current, head.coming].into_iter().flatten();
        let base =
            bases.filter(|base| (base.slot, base.version) == (slot, coming.version)).max_by_key(|base| base.parts)?;
        if base.parts <= coming.parts {
            return Some(Ok(()));
        }
        Some(part.ok_or(SnapshotError::Length).and_then(|part| self.push(coming, &part, now, signatures)))
    }

    fn push(
        &self,
        coming: &mut Coming,
        part: &[u8],
        now: Timestamp,
        signatures: &dyn VerifySignature,
    ) -> Result<(), SnapshotError> {
        let missing = coming.bytes.saturating_sub(coming.first_missing());
        if part.len() as u64 != missing.min(PART_BYTES as u64) {
            return Err(SnapshotError::Length);
        }
        if coming.parts == 0 {
            let total = usize::try_from(coming.bytes).map_err(|_| SnapshotError::TooLarge)?;
            let trust = Trust { keys: &self.keys, provider: &self.provider, now, signatures };
            coming.intake = Some(Intake::begin(part, total, &self.policy, &trust)?);
        } else {
            coming.intake.as_mut().ok_or(SnapshotError::Length)?.push(part)?;
        }
        coming.parts += 1;
        Ok(())
    }

    /// The base is whole and good.
    fn take_over(
        &mut self,
        mut coming: Coming,
        shared: &dyn SharedData,
        now: Timestamp,
        signatures: &dyn VerifySignature,
    ) -> Outcome {
        let Some(intake) = coming.intake.take() else { return Outcome::Unchanged };
        let trust = Trust { keys: &self.keys, provider: &self.provider, now, signatures };
        match intake.finish(&trust) {
            Ok(policy) => {
                self.policy = policy;
                self.batches = 0;
                if !coming.is_from_board() {
                    self.is_base_alone = true;
                    self.polls.brought_news(now);
                }
                self.lead_with(&coming, shared, now);
                self.version().map_or(Outcome::Unchanged, Outcome::Applied)
            }
            Err(error) => {
                if coming.is_from_board() {
                    self.distrust(now);
                } else {
                    self.polls.base_refused(now);
                }
                self.refused(error)
            }
        }
    }

    /// Makes the base that came the one that others begin with.
    fn lead_with(&mut self, coming: &Coming, shared: &dyn SharedData, now: Timestamp) {
        self.is_base_needed = false;
        let Source::ControlPlane { slot: Some(slot) } = coming.source else { return };
        if !self.is_leading {
            return;
        }
        let head = self.board.head(shared).unwrap_or_default();
        let replaced = head.current.filter(|current| current.slot != slot);
        let current = Some(coming.as_board_base(slot));
        self.batches = 0;
        self.asks_from = Some(coming.version).filter(|version| Some(*version) != self.version());
        self.board.set_head(shared, &Head { current, coming: None, ..head });
        self.clearing = replaced.or(self.clearing);
        self.wake_others(shared, now);
    }

    /// A part of a base, from the control plane.
    pub(super) fn take_part(
        &mut self,
        wanted: Wanted,
        reply: Reply,
        shared: &dyn SharedData,
        now: Timestamp,
        signatures: &dyn VerifySignature,
    ) -> Result<(), Outcome> {
        let Some((first, total, version)) = reply.part() else { return Err(self.refused(SnapshotError::Length)) };
        if total > self.bytes_max {
            return Err(self.refused(SnapshotError::TooLarge));
        }
        let mut coming = match self.coming.take() {
            Some(coming) if (coming.version, coming.bytes) == (version, total) && !coming.is_from_board() => coming,
            Some(_) => return Err(self.refused(SnapshotError::Length)),
            None => Coming::new(version, total, Source::ControlPlane { slot: self.free_slot(shared) }),
        };
        let asked = if let Wanted::Part(_, first) = wanted { first } else { 0 };
        if first != asked || reply.body.len() > PART_BYTES {
            return Err(self.refused(SnapshotError::Length));
        }
        if first >= coming.first_missing() {
            coming.early.insert(first, reply.body);
        }
        while let Some(part) = coming.early.remove(&coming.first_missing()) {
            self.push(&mut coming, &part, now, signatures).map_err(|error| self.refused(error))?;
            self.show_part(&mut coming, &part, shared, now);
        }
        self.coming = Some(coming);
        Ok(())
    }

    /// Takes some of what nobody needs any more off the board.
    pub(super) fn clear_some(&mut self, shared: &dyn SharedData) {
        if let Some(base) = &mut self.clearing
            && self.board.clear(shared, base, CLEARED_AT_ONCE)
        {
            self.clearing = None;
        }
    }

    /// Lets the others begin before the last part has come.
    fn show_part(&self, coming: &mut Coming, part: &[u8], shared: &dyn SharedData, now: Timestamp) {
        let Source::ControlPlane { slot: Some(slot) } = coming.source else { return };
        let is_shown = self.is_leading && self.board.set_part(shared, slot, coming.parts - 1, part);
        if !is_shown {
            coming.source = Source::ControlPlane { slot: None };
            return;
        }
        let head = self.board.head(shared).unwrap_or_default();
        self.board.set_head(shared, &Head { coming: Some(coming.as_board_base(slot)), ..head });
        self.wake_others(shared, now);
    }

    /// Shows the others a base that came in one body and was accepted.
    pub(super) fn show_base(&mut self, version: SnapshotVersion, body: &[u8], shared: &dyn SharedData, now: Timestamp) {
        let Some(slot) = self.free_slot(shared) else { return };
        let mut parts = 0;
        for part in body.chunks(PART_BYTES) {
            if !self.board.set_part(shared, slot, parts, part) {
                return;
            }
            parts += 1;
        }
        let source = Source::ControlPlane { slot: Some(slot) };
        self.lead_with(&Coming { parts, ..Coming::new(version, body.len() as u64, source) }, shared, now);
    }

    /// The slot that the base in force is not in; none for who does not lead.
    fn free_slot(&mut self, shared: &dyn SharedData) -> Option<u8> {
        // What is left there would outlive a shorter base.
        if let Some(mut base) = self.clearing.take() {
            self.board.clear(shared, &mut base, u32::MAX);
        }
        let current = self.board.head(shared).and_then(|head| head.current);
        self.is_leading.then(|| current.map_or(0, |current| 1 - current.slot.min(1)))
    }
}
