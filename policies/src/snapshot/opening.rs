//! From signed bytes to a policy: the only way to one that permits anything.
//!
//! [`open`] takes a base at once. [`Opening`] takes it piece by piece and looks at it slice by slice, so that a gateway
//! with ten million rows serves calls in between. [`PolicySet::update`] takes what a poll brought: a base with its deltas,
//! or deltas alone. Whatever is wrong is refused by name, and the policy in force stays.

use std::ops::Range;

use super::delta::Delta;
use super::enforced::Enforced;
use super::image::Loading;
use super::manifest::{CHUNK_BYTES, IMAGE_BYTES_MAX, Manifest, SIGNATURE_BYTES, SnapshotError, SnapshotKey};
use crate::Timestamp;
use crate::id::ProviderId;
use crate::policy_set::PolicySet;
use crate::token::VerifySignature;

/// Most pieces in one body: a base, and the deltas since.
const PIECES_MAX: usize = 65_536;

/// A base on its way in. Bytes first ([`Self::push`]), then a look at all of them ([`Self::step`]).
#[derive(Debug)]
pub struct Opening {
    manifest: Manifest,
    is_in_force: bool,
    image: Vec<u8>,
    chunks_checked: usize,
    loading: Option<Loading>,
}

impl Opening {
    /// Reads and checks the manifest and its signature at the start of `head`; also gives how many bytes they are.
    ///
    /// `current` is the manifest in force; what is not newer is refused. Whether the snapshot has expired is for whoever
    /// decides with it: deltas that follow may prolong it.
    pub fn begin(
        head: &[u8],
        keys: &[SnapshotKey],
        provider: &ProviderId,
        current: Option<&Manifest>,
        now: Timestamp,
        signatures: &dyn VerifySignature,
    ) -> Result<(Self, usize), SnapshotError> {
        let (manifest, rest) = Manifest::read(head)?;
        let signed_bytes = head.len() - rest.len();
        let signature = rest.get(..SIGNATURE_BYTES).ok_or(SnapshotError::Length)?;
        let signed = head.get(..signed_bytes).ok_or(SnapshotError::Length)?;
        manifest.check(signed, signature, keys, provider, now, signatures)?;
        if manifest.is_delta() {
            return Err(SnapshotError::Gap);
        }
        let is_in_force = current.is_some_and(|current| manifest == *current);
        if !is_in_force && current.is_some_and(|current| !manifest.succeeds(current)) {
            return Err(SnapshotError::NotNewer);
        }
        let opening = Self { manifest, is_in_force, image: Vec::new(), chunks_checked: 0, loading: None };
        Ok((opening, signed_bytes + SIGNATURE_BYTES))
    }

    /// What is being opened.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// How many bytes of the image have not been pushed yet.
    pub fn bytes_missing(&self) -> usize {
        self.image_bytes() - self.image.len()
    }

    /// Takes the image's next bytes and checks the hashes of whole chunks; [`CHUNK_BYTES`] at once are a slice of work.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        if bytes.len() > self.bytes_missing() || self.loading.is_some() {
            return Err(SnapshotError::Length);
        }
        if self.image.capacity() == 0 {
            // Once and exactly: growing would need the image twice.
            self.image.try_reserve_exact(self.image_bytes()).map_err(|_| SnapshotError::TooLarge)?;
        }
        self.image.extend_from_slice(bytes);
        self.check_chunks()
    }

    /// Looks at about so many numbers of the image; `true` when nothing is left to look at.
    pub fn step(&mut self, numbers: usize) -> Result<bool, SnapshotError> {
        if self.bytes_missing() > 0 && self.loading.is_none() {
            return Err(SnapshotError::Length);
        }
        // Only now: a damaged copy of what is in force is a damaged snapshot.
        if self.is_in_force {
            return Err(SnapshotError::InForce);
        }
        let loading = match &mut self.loading {
            Some(loading) => loading,
            None => self.loading.insert(Loading::begin(std::mem::take(&mut self.image))?),
        };
        Ok(loading.step(numbers)?)
    }

    /// The policy, when everything has been looked at.
    pub fn finish(self) -> Result<PolicySet, SnapshotError> {
        let image = self.loading.and_then(Loading::finish).ok_or(SnapshotError::Length)?;
        Ok(PolicySet::enforce(Enforced::new(self.manifest, image)))
    }

    /// Takes the whole image without another copy of it.
    fn fill(&mut self, image: Vec<u8>) -> Result<(), SnapshotError> {
        if image.len() != self.image_bytes() {
            return Err(SnapshotError::Length);
        }
        self.image = image;
        self.check_chunks()
    }

    fn image_bytes(&self) -> usize {
        // A manifest with more than fits was refused.
        usize::try_from(self.manifest.image_bytes()).unwrap_or(IMAGE_BYTES_MAX)
    }

    fn check_chunks(&mut self) -> Result<(), SnapshotError> {
        let total = self.image_bytes();
        while self.chunks_checked < total.div_ceil(CHUNK_BYTES) {
            let start = self.chunks_checked * CHUNK_BYTES;
            let Some(chunk) = self.image.get(start..(start + CHUNK_BYTES).min(total)) else { break };
            if !self.manifest.has_chunk(self.chunks_checked, chunk) {
                return Err(SnapshotError::Hash);
            }
            self.chunks_checked += 1;
        }
        Ok(())
    }
}

/// Opens a base at once.
///
/// `current` is the manifest in force; what is not newer is refused. The body is taken by value because the policy
/// keeps it and reads it in place.
pub fn open(
    body: Vec<u8>,
    keys: &[SnapshotKey],
    provider: &ProviderId,
    current: Option<&Manifest>,
    now: Timestamp,
    signatures: &dyn VerifySignature,
) -> Result<PolicySet, SnapshotError> {
    let policy = open_whatever_its_end(body, keys, provider, current, now, signatures)?;
    check_end(&policy, now)?;
    Ok(policy)
}

fn open_whatever_its_end(
    mut body: Vec<u8>,
    keys: &[SnapshotKey],
    provider: &ProviderId,
    current: Option<&Manifest>,
    now: Timestamp,
    signatures: &dyn VerifySignature,
) -> Result<PolicySet, SnapshotError> {
    let (mut opening, head_bytes) = Opening::begin(&body, keys, provider, current, now, signatures)?;
    body.drain(..head_bytes.min(body.len()));
    opening.fill(body)?;
    while !opening.step(usize::MAX)? {}
    opening.finish()
}

fn check_end(policy: &PolicySet, now: Timestamp) -> Result<(), SnapshotError> {
    if policy.manifest().is_some_and(|manifest| now >= manifest.not_after) {
        return Err(SnapshotError::Expired);
    }
    Ok(())
}

impl PolicySet {
    /// Takes over what a poll brought: a base and deltas to it, or deltas to what is in force.
    ///
    /// Pieces that are in force already are checked and left alone; when there is no other, that is
    /// [`SnapshotError::InForce`]. A base with its deltas is taken over whole or not at all; of deltas alone, those before
    /// a wrong one stay, because each is a whole state that was signed. Of all of them only the last must not have ended:
    /// each prolongs what came before.
    pub fn update(
        &mut self,
        mut body: Vec<u8>,
        keys: &[SnapshotKey],
        provider: &ProviderId,
        now: Timestamp,
        signatures: &dyn VerifySignature,
    ) -> Result<(), SnapshotError> {
        let pieces = pieces(&body)?;
        if pieces.last().is_some_and(|(last, _)| now >= last.not_after) {
            return Err(SnapshotError::Expired);
        }
        let mut next: Option<Self> = None;
        let mut is_changed = false;
        // From the back, so that the base, the first, keeps the body's bytes.
        let mut deltas: Vec<(Manifest, Vec<u8>)> = Vec::new();
        for (manifest, range) in pieces.into_iter().rev() {
            let piece = body.split_off(range.start.min(body.len()));
            deltas.push((manifest, piece));
        }
        while let Some((manifest, piece)) = deltas.pop() {
            if next.as_ref().unwrap_or(self).has(&manifest) {
                check_copy(&piece, keys, provider, now, signatures)?;
            } else if manifest.is_delta() {
                next.as_mut().unwrap_or(self).apply_whatever_its_end(&piece, keys, provider, now, signatures)?;
                is_changed = true;
            } else {
                next = Some(open_whatever_its_end(piece, keys, provider, self.manifest(), now, signatures)?);
            }
        }
        if let Some(next) = next {
            *self = next;
            is_changed = true;
        }
        if is_changed { Ok(()) } else { Err(SnapshotError::InForce) }
    }

    /// The piece is in force already: the base, or one of the deltas to it.
    fn has(&self, piece: &Manifest) -> bool {
        let (Some(base), Some(last)) = (self.base(), self.manifest()) else { return false };
        if !piece.is_delta() {
            return piece == base;
        }
        let is_of_line = piece.version.epoch == last.version.epoch && piece.base_version == last.base_version;
        is_of_line && (piece.version < last.version || piece == last)
    }

    /// Takes a delta over, whole or not at all.
    fn apply_whatever_its_end(
        &mut self,
        piece: &[u8],
        keys: &[SnapshotKey],
        provider: &ProviderId,
        now: Timestamp,
        signatures: &dyn VerifySignature,
    ) -> Result<(), SnapshotError> {
        let (manifest, image) = check_piece(piece, keys, provider, now, signatures)?;
        let current = self.enforced_whatever_the_time_mut().ok_or(SnapshotError::Gap)?;
        if !manifest.is_delta() || !manifest.follows(current.manifest()) {
            return Err(SnapshotError::Gap);
        }
        let delta = Delta::read(image.to_vec(), current)?;
        if !current.has_room_for(&delta) {
            return Err(SnapshotError::TooManyChanges);
        }
        current.apply(delta, manifest);
        Ok(())
    }
}

/// A copy of what is in force is still what was signed.
fn check_copy(
    piece: &[u8],
    keys: &[SnapshotKey],
    provider: &ProviderId,
    now: Timestamp,
    signatures: &dyn VerifySignature,
) -> Result<(), SnapshotError> {
    check_piece(piece, keys, provider, now, signatures).map(|_| ())
}

/// The manifest and the image, both as they were signed.
fn check_piece<'piece>(
    piece: &'piece [u8],
    keys: &[SnapshotKey],
    provider: &ProviderId,
    now: Timestamp,
    signatures: &dyn VerifySignature,
) -> Result<(Manifest, &'piece [u8]), SnapshotError> {
    let (manifest, rest) = Manifest::read(piece)?;
    let signed = piece.get(..piece.len() - rest.len()).ok_or(SnapshotError::Length)?;
    let (signature, image) = rest.split_at_checked(SIGNATURE_BYTES).ok_or(SnapshotError::Length)?;
    manifest.check(signed, signature, keys, provider, now, signatures)?;
    if image.len() as u64 != manifest.image_bytes() {
        return Err(SnapshotError::Length);
    }
    let is_whole = image.chunks(CHUNK_BYTES).enumerate().all(|(position, chunk)| manifest.has_chunk(position, chunk));
    if is_whole { Ok((manifest, image)) } else { Err(SnapshotError::Hash) }
}

/// Where each piece of a body is. A base is only ever the first.
fn pieces(body: &[u8]) -> Result<Vec<(Manifest, Range<usize>)>, SnapshotError> {
    let mut pieces: Vec<(Manifest, Range<usize>)> = Vec::new();
    let mut start = 0;
    loop {
        let (manifest, rest) = Manifest::read(body.get(start..).ok_or(SnapshotError::Length)?)?;
        let image_bytes = usize::try_from(manifest.image_bytes()).map_err(|_| SnapshotError::TooLarge)?;
        let end = body.len() - rest.len() + SIGNATURE_BYTES + image_bytes;
        if end > body.len() || pieces.len() == PIECES_MAX {
            return Err(SnapshotError::Length);
        }
        if !pieces.is_empty() && !manifest.is_delta() {
            return Err(SnapshotError::Manifest);
        }
        pieces.push((manifest, start..end));
        if end == body.len() {
            return Ok(pieces);
        }
        start = end;
    }
}

#[cfg(test)]
mod tests;
