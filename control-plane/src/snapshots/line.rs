//! One provider's line: a base and the deltas since, as gateways have taken them over.
//!
//! Pieces are made here and taken over by the enforcing code before anybody sees them; [`Line::publish`] stores and shows
//! them. While a new base is being built, system users still change by deltas to the old one, so that nothing that is
//! withdrawn waits for a build.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use axum::body::Bytes;
use policies::id::{ProviderId, SystemUserId};
use policies::snapshot::{
    DeltaError, IMAGE_BYTES_MAX, Manifest, SnapshotError, SnapshotSettings, SnapshotVersion, SystemUserState, seal,
};
use policies::token::PureRust;
use policies::{PolicySet, PolicyTrouble, Timestamp};

use super::build::Base;
use super::callers::SubUnits;
use super::publications::{Published, SharedPolicy};
use super::store;
use crate::state::AppState;
use crate::store::Revision;

/// Deltas after which a new base is built.
const DELTAS_MAX: usize = 1000;
/// Length of deltas after which a new base is built, in bytes.
const DELTA_BYTES_MAX: usize = 512 << 10;
/// System users and rows changed after which a new base is built.
const CHANGES_MAX: usize = 50_000;

/// What a provider's gateways have.
#[derive(Debug)]
pub(super) struct Line {
    provider: ProviderId,
    policy: SharedPolicy,
    published: Option<Published>,
    /// Version of the last piece that the database has, shown or not: the next one follows it.
    pub(super) stored: Option<u64>,
    /// What the last piece was made with; `None` after a restart.
    pub(super) settings: Option<Arc<SnapshotSettings>>,
    pub(super) sub_units: Option<Arc<SubUnits>>,
    /// Every change to system users up to here is in it.
    pub(super) synced: Option<Revision>,
}

/// Pieces that are not published yet: a base if there is a new one, and a delta if there is something to say.
struct Pieces {
    base: Option<(Manifest, Bytes)>,
    delta: Option<(Manifest, Bytes)>,
}

impl Line {
    pub(super) fn new(provider: ProviderId) -> Self {
        Self {
            provider,
            policy: SharedPolicy::new(PolicySet::deny_all(PolicyTrouble::Missing)),
            published: None,
            stored: None,
            settings: None,
            sub_units: None,
            synced: None,
        }
    }

    /// A line of which the database has something that is not shown.
    pub(super) fn unshown(provider: ProviderId, stored: u64) -> Self {
        Self { stored: Some(stored), ..Self::new(provider) }
    }

    /// Takes over what was published before the last stop, or elsewhere.
    pub(super) fn restore(state: &AppState, stored: store::Stored) -> Result<Self, SnapshotError> {
        let mut line = Self::new(stored.provider);
        let body = std::iter::once(&stored.base).chain(stored.deltas.iter().map(|(_, piece)| piece));
        line.take(state, body.map(Vec::as_slice).collect::<Vec<_>>().concat())?;
        let manifest = line.policy.read().manifest().ok_or(SnapshotError::Manifest)?.clone();
        line.synced = Some(Revision::from_u64(manifest.revision));
        let deltas = stored.deltas.into_iter().map(|(version, piece)| (version, Bytes::from(piece))).collect();
        line.published = Some(Published { manifest, base: Bytes::from(stored.base), deltas });
        line.stored = Some(stored.last);
        Ok(line)
    }

    /// Version of the last piece, when it is of this base.
    pub(super) fn last_of_base(&self, base_version: u64) -> Option<u64> {
        let published = self.published.as_ref()?;
        (published.manifest.base_version == base_version).then(|| published.version().version)
    }

    /// Takes over deltas that were published elsewhere.
    pub(super) fn take_deltas(&mut self, state: &AppState, deltas: Vec<(u64, Vec<u8>)>) -> Result<(), SnapshotError> {
        for (version, piece) in deltas {
            self.take(state, piece.clone())?;
            let manifest = self.policy.read().manifest().ok_or(SnapshotError::Manifest)?.clone();
            let published = self.published.as_mut().ok_or(SnapshotError::Manifest)?;
            self.synced = Some(Revision::from_u64(manifest.revision));
            self.stored = Some(version);
            published.deltas.push((version, Bytes::from(piece)));
            published.manifest = manifest;
        }
        // What they were made with is not known here.
        (self.settings, self.sub_units) = (None, None);
        Ok(())
    }

    /// Shows what is published to all who follow.
    pub(super) fn show(&self, state: &AppState) {
        if let Some(published) = &self.published {
            state.publications.announce(published.clone(), self.policy.clone());
        }
    }

    pub(super) fn provider(&self) -> &ProviderId {
        &self.provider
    }

    pub(super) fn policy(&self) -> &SharedPolicy {
        &self.policy
    }

    /// Only a base can go on from here: nothing is published, or gateways have a later version than ours.
    pub(super) fn needs_base(&self, state: &AppState) -> bool {
        let last_version = state.publications.last_version(&self.provider);
        self.published.as_ref().is_none_or(|published| published.version().version < last_version)
    }

    /// So much has changed that a new base saves gateways work.
    pub(super) fn is_long(&self) -> bool {
        self.policy.read().changes_since_base() >= CHANGES_MAX
            || self.published.as_ref().is_some_and(|published| {
                published.deltas.len() >= DELTAS_MAX || published.delta_bytes() >= DELTA_BYTES_MAX
            })
    }

    /// Publishes what these system users have become, as a delta; nothing when there is nothing to say.
    pub(super) async fn publish_delta(
        &mut self,
        state: &AppState,
        settings: &Arc<SnapshotSettings>,
        changed: &BTreeMap<SystemUserId, SystemUserState>,
        revision: Revision,
    ) -> anyhow::Result<Result<(), NewBaseNeeded>> {
        let delta = match self.delta(state, settings, changed, revision) {
            Err(error) if matches!(error.downcast_ref(), Some(DeltaError::NewBaseNeeded)) => {
                return Ok(Err(NewBaseNeeded));
            }
            delta => delta?,
        };
        if delta.is_some() {
            self.publish(state, Pieces { base: None, delta }).await?;
        }
        self.settings = Some(Arc::clone(settings));
        Ok(Ok(()))
    }

    /// Publishes a base, with what has become of system users since it was read.
    pub(super) async fn publish_base(
        &mut self,
        state: &AppState,
        base: Base,
        changed: &BTreeMap<SystemUserId, SystemUserState>,
        revision: Revision,
    ) -> anyhow::Result<()> {
        let Base { settings, sub_units, image, revision: base_revision } = base;
        if self.has_same_base(state, &image) && !self.needs_base(state) {
            // Nothing to save: the same base, and nothing changed since.
            self.settings = Some(settings);
            self.sub_units = Some(sub_units);
            self.synced = Some(base_revision);
            return Ok(());
        }
        let mut next = Self { stored: self.stored, ..Self::new(self.provider.clone()) };
        let manifest = Manifest::new(
            self.provider.clone(),
            SnapshotVersion { epoch: state.publications.epoch(), version: self.next_version(state) },
            self.policy.read().manifest().map_or(0, |manifest| manifest.version.version),
            base_revision.as_u64(),
            state.clock.now(),
            state.clock.now().plus_seconds(state.settings.snapshot_validity_s),
            state.publications.signing_key().pinned().key_id(),
            &image,
        );
        let piece = seal_piece(state, &manifest, &image);
        drop(image);
        if manifest.image_bytes() > IMAGE_BYTES_MAX as u64 {
            return Err(SnapshotError::TooLarge.into());
        }
        let shown = Bytes::from(piece.clone());
        let gateway = state.clone();
        let taken = tokio::task::spawn_blocking(move || next.take(&gateway, piece).map(|()| next)).await?;
        let mut next = taken.context(REFUSED)?;
        next.published = Some(Published { manifest: manifest.clone(), base: shown.clone(), deltas: Vec::new() });
        let delta = next.delta(state, &settings, changed, revision)?;
        next.published = None;
        next.settings = Some(settings);
        next.sub_units = Some(sub_units);
        next.synced = Some(revision);
        next.publish(state, Pieces { base: Some((manifest, shown)), delta }).await?;
        *self = next;
        Ok(())
    }

    /// The base in force is the very same, and nothing was changed since.
    fn has_same_base(&self, state: &AppState, image: &[u8]) -> bool {
        let Some(published) = &self.published else { return false };
        let now = state.clock.now();
        published.deltas.is_empty() && !published.is_past_half_life(now) && published.manifest.is_of_image(image)
    }

    /// Compiles, signs and takes over a delta; `None` when there is nothing new to say.
    fn delta(
        &mut self,
        state: &AppState,
        settings: &SnapshotSettings,
        changed: &BTreeMap<SystemUserId, SystemUserState>,
        revision: Revision,
    ) -> anyhow::Result<Option<(Manifest, Bytes)>> {
        let now = state.clock.now();
        let delta = settings.delta(changed, &self.policy.read())?;
        let is_fresh = self.published.as_ref().is_some_and(|published| !published.is_past_half_life(now));
        if delta.is_empty && is_fresh {
            return Ok(None);
        }
        let version = self.next_version(state);
        let current = self.policy.read().manifest().cloned().context("there is no base")?;
        let manifest = Manifest::of_delta(
            &current,
            version,
            revision.as_u64(),
            now,
            now.plus_seconds(state.settings.snapshot_validity_s),
            state.publications.signing_key().pinned().key_id(),
            &delta.bytes,
        );
        let piece = seal_piece(state, &manifest, &delta.bytes);
        let shown = Bytes::from(piece.clone());
        self.take(state, piece).context(REFUSED)?;
        Ok(Some((manifest, shown)))
    }

    /// Stores pieces that were taken over, and shows them.
    async fn publish(&mut self, state: &AppState, pieces: Pieces) -> anyhow::Result<()> {
        if let Err(error) = store_pieces(state, &self.provider, self.stored, &pieces).await {
            // What is not stored was never said: go back to what is.
            let mut before = Self::new(self.provider.clone());
            if let Some(published) = self.published.take()
                && before.take(state, published.since(None).to_vec()).is_ok()
            {
                self.policy = before.policy;
                self.published = Some(published);
                self.show(state);
            }
            return Err(error);
        }
        let mut published = match (pieces.base, self.published.take()) {
            (Some((manifest, base)), _) => Published { manifest, base, deltas: Vec::new() },
            (None, Some(published)) => published,
            (None, None) => anyhow::bail!("there is no base"),
        };
        if let Some((manifest, piece)) = pieces.delta {
            published.deltas.push((manifest.version.version, piece));
            published.manifest = manifest;
        }
        tracing::info!(
            provider = %self.provider,
            snapshot.version = %published.version(),
            snapshot.base_bytes = published.base.len(),
            snapshot.deltas = published.deltas.len(),
            "published"
        );
        self.stored = Some(published.version().version);
        self.published = Some(published);
        self.show(state);
        Ok(())
    }

    /// Takes a body over as a gateway would.
    fn take(&mut self, state: &AppState, body: Vec<u8>) -> Result<(), SnapshotError> {
        let keys = [state.publications.signing_key().pinned().clone()];
        self.policy.write().update(body, &keys, &self.provider, state.clock.now(), &PureRust)
    }

    /// Above the last one, and at least the seconds since 1970: a database restored from an older copy does not know the
    /// last versions, and must not give them to something else.
    fn next_version(&self, state: &AppState) -> u64 {
        let own = self.policy.read().manifest().map_or(0, |manifest| manifest.version.version);
        next_version(state.publications.last_version(&self.provider).max(own), state.clock.now())
    }
}

/// Another control plane on this database has published in the meantime.
#[derive(Debug, thiserror::Error)]
#[error("another control plane has published in the meantime")]
pub(super) struct Superseded;

/// A delta cannot say it.
#[derive(Debug)]
pub(super) struct NewBaseNeeded;

const REFUSED: &str = "a gateway would not accept the snapshot";

fn seal_piece(state: &AppState, manifest: &Manifest, image: &[u8]) -> Vec<u8> {
    seal(manifest, &state.publications.signing_key().sign(&manifest.signing_bytes()), image)
}

/// Stores pieces that follow the last stored one, or nothing.
async fn store_pieces(
    state: &AppState,
    provider: &ProviderId,
    last: Option<u64>,
    pieces: &Pieces,
) -> anyhow::Result<()> {
    let mut change = state.store.change().await?;
    ensure!(store::last_version(change.connection(), provider).await? == last, Superseded);
    if let Some((manifest, base)) = &pieces.base {
        store::replace(change.connection(), manifest, base).await?;
    }
    if let Some((manifest, delta)) = &pieces.delta {
        store::add_delta(change.connection(), manifest, delta).await?;
    }
    Ok(change.commit_derived().await?)
}

fn next_version(last_version: u64, now: Timestamp) -> u64 {
    last_version.saturating_add(1).max(u64::try_from(now.unix_seconds()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_grow_with_the_clock_and_never_stand_still() {
        let at = Timestamp::from_unix_seconds;
        assert_eq!(next_version(0, at(1_795_348_800)), 1_795_348_800);
        assert_eq!(next_version(1_795_348_800, at(1_795_348_800)), 1_795_348_801);
        assert_eq!(next_version(1_795_348_800, at(-1)), 1_795_348_801);
    }
}
