//! What is published now, per provider; shared by the publisher, which writes, and the held polls, which wait.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use axum::body::Bytes;
use policies::id::ProviderId;
use policies::snapshot::{Manifest, SnapshotVersion};
use policies::{PolicySet, Timestamp};
use serde::Serialize;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::line::Line;
use super::signing_key::SigningKey;
use crate::store::Revision;

/// How far ahead of us a gateway may claim to be; more is not believed.
const VERSIONS_AHEAD_MAX: u64 = 1 << 32;

/// Silence after which the publisher is said to be dead; a round of it takes seconds at most.
const SILENCE_MAX: Duration = Duration::from_secs(120);

/// What gateways are given: opened by the enforcing code and stored.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    /// Of the last piece.
    pub(crate) manifest: Manifest,
    /// The base, sealed.
    pub(super) base: Bytes,
    /// Version and sealed piece of every delta since the base, in order.
    pub(super) deltas: Vec<(u64, Bytes)>,
}

impl Published {
    pub(crate) fn version(&self) -> SnapshotVersion {
        self.manifest.version
    }

    /// Of the base.
    pub(super) fn base_version(&self) -> SnapshotVersion {
        SnapshotVersion { epoch: self.manifest.version.epoch, version: self.manifest.base_version }
    }

    /// Deltas lead from this version to the last.
    pub(super) fn leads_on_from(&self, known: Option<SnapshotVersion>) -> bool {
        self.deltas_after(known).is_some()
    }

    /// What leads from a version to the last: the deltas after it, or everything when it is not of this line.
    pub(super) fn since(&self, known: Option<SnapshotVersion>) -> Bytes {
        let pieces = |from: usize| self.deltas.iter().skip(from).map(|(_, piece)| piece.as_ref());
        match self.deltas_after(known) {
            Some(position) => pieces(position).collect::<Vec<_>>().concat().into(),
            None if self.deltas.is_empty() => self.base.clone(),
            None => std::iter::once(self.base.as_ref()).chain(pieces(0)).collect::<Vec<_>>().concat().into(),
        }
    }

    /// Position of the delta after this version.
    fn deltas_after(&self, known: Option<SnapshotVersion>) -> Option<usize> {
        let known = known.filter(|known| known.epoch == self.manifest.version.epoch)?.version;
        if known == self.manifest.base_version {
            return Some(0);
        }
        self.deltas.binary_search_by_key(&known, |(version, _)| *version).ok().map(|position| position + 1)
    }

    /// Length of all deltas in bytes.
    pub(super) fn delta_bytes(&self) -> usize {
        self.deltas.iter().map(|(_, piece)| piece.len()).sum()
    }

    /// Time to renew it, though nothing has changed.
    pub(super) fn is_past_half_life(&self, now: Timestamp) -> bool {
        let lifetime = self.manifest.not_after.millis_since(self.manifest.issued_at);
        now >= self.manifest.issued_at.plus_millis(lifetime / 2)
    }
}

/// Why a provider's last build was not published, or refuses more than it was meant to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PublishFailure {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) since: Timestamp,
}

/// A policy that the publisher changes and others look at.
#[derive(Debug, Clone)]
pub(super) struct SharedPolicy(Arc<RwLock<PolicySet>>);

impl SharedPolicy {
    pub(super) fn new(policy: PolicySet) -> Self {
        Self(Arc::new(RwLock::new(policy)))
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, PolicySet> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, PolicySet> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All that is published.
#[derive(Debug)]
pub(crate) struct Publications {
    signing_key: SigningKey,
    epoch: u64,
    current: RwLock<BTreeMap<ProviderId, watch::Sender<Option<Arc<Published>>>>>,
    /// What gateways enforce once they have taken over what is published.
    policies: RwLock<BTreeMap<ProviderId, SharedPolicy>>,
    /// Last version ever published, which the next must exceed.
    last_versions: Mutex<BTreeMap<ProviderId, u64>>,
    failures: Mutex<BTreeMap<ProviderId, PublishFailure>>,
    /// A gateway has a version that we have not: we were restored from an older copy. Or a base is ready.
    pub(super) overtaken: Notify,
    /// Lines that were published before the last stop, until the publisher takes them.
    restored: Mutex<BTreeMap<ProviderId, Line>>,
    /// Whether this process publishes. One that does not may be behind, so what overtakes it is first looked for in the
    /// database.
    is_leading: AtomicBool,
    /// Versions that gateways have and this process, which does not publish, had not when they said so.
    claims: Mutex<BTreeMap<ProviderId, u64>>,
    /// The revision that was last built for all providers.
    built: watch::Sender<Option<Revision>>,
    /// When the publisher last went round.
    beat: Mutex<Option<Instant>>,
}

/// How much one provider's gateways are given.
#[derive(Debug)]
pub(crate) struct PublishedSize {
    pub(crate) provider: ProviderId,
    pub(crate) version: u64,
    pub(crate) bytes: usize,
    pub(crate) deltas: usize,
    pub(crate) not_after: Timestamp,
}

impl Publications {
    /// `is_shared`: other control planes may publish.
    pub(crate) fn new(signing_key: SigningKey, epoch: u64, is_shared: bool) -> Self {
        Self {
            signing_key,
            epoch,
            current: RwLock::default(),
            policies: RwLock::default(),
            last_versions: Mutex::default(),
            failures: Mutex::default(),
            overtaken: Notify::new(),
            restored: Mutex::default(),
            is_leading: AtomicBool::new(!is_shared),
            claims: Mutex::default(),
            built: watch::Sender::new(None),
            beat: Mutex::default(),
        }
    }

    pub(crate) fn signing_key(&self) -> &SigningKey {
        &self.signing_key
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Follows the provider's snapshot; `None` until one is published.
    pub(crate) fn follow(&self, provider: &ProviderId) -> watch::Receiver<Option<Arc<Published>>> {
        if let Some(sender) = self.current.read().unwrap_or_else(PoisonError::into_inner).get(provider) {
            return sender.subscribe();
        }
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.entry(provider.clone()).or_default().subscribe()
    }

    /// Every published snapshot.
    pub(super) fn current(&self) -> Vec<Arc<Published>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.values().filter_map(|sender| sender.borrow().clone()).collect()
    }

    /// What the provider's gateways enforce; `None` until something is published.
    pub(super) fn policy(&self, provider: &ProviderId) -> Option<SharedPolicy> {
        self.policies.read().unwrap_or_else(PoisonError::into_inner).get(provider).cloned()
    }

    /// Shows a snapshot to all who follow, and the policy that it comes to.
    pub(super) fn announce(&self, published: Published, policy: SharedPolicy) {
        let provider = published.manifest.provider.clone();
        self.policies.write().unwrap_or_else(PoisonError::into_inner).insert(provider.clone(), policy);
        self.exceed(&provider, published.version().version);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        current.entry(provider).or_default().send_replace(Some(Arc::new(published)));
    }

    /// Keeps the restored lines for the publisher.
    pub(super) fn keep_restored(&self, lines: BTreeMap<ProviderId, Line>) {
        *self.restored.lock().unwrap_or_else(PoisonError::into_inner) = lines;
    }

    /// The restored lines.
    pub(super) fn take_restored(&self) -> BTreeMap<ProviderId, Line> {
        std::mem::take(&mut *self.restored.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether this process publishes from now on, or shows what another one publishes.
    pub(super) fn lead(&self, is_leading: bool) {
        self.is_leading.store(is_leading, Ordering::SeqCst);
    }

    /// Versions that gateways were seen to have and that are still unknown.
    pub(super) fn take_claims(&self) -> BTreeMap<ProviderId, u64> {
        let mut claims = std::mem::take(&mut *self.claims.lock().unwrap_or_else(PoisonError::into_inner));
        claims.retain(|provider, version| *version > self.last_version(provider));
        claims
    }

    /// The version that the provider's next snapshot exceeds.
    pub(super) fn last_version(&self, provider: &ProviderId) -> u64 {
        let last_versions = self.last_versions.lock().unwrap_or_else(PoisonError::into_inner);
        last_versions.get(provider).copied().unwrap_or(0)
    }

    /// Lets the provider's next version be higher than `version`.
    pub(super) fn exceed(&self, provider: &ProviderId, version: u64) {
        let mut last_versions = self.last_versions.lock().unwrap_or_else(PoisonError::into_inner);
        let last = last_versions.entry(provider.clone()).or_default();
        *last = version.max(*last);
    }

    /// A gateway proves to have a version of our epoch that we do not know. It will accept nothing older, so the next
    /// version must exceed it.
    pub(super) fn overtaken_by(&self, provider: &ProviderId, version: SnapshotVersion) {
        let last = self.last_version(provider);
        if version.epoch == self.epoch && version.version > last && version.version - last <= VERSIONS_AHEAD_MAX {
            if !self.is_leading.load(Ordering::SeqCst) {
                let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
                let claim = claims.entry(provider.clone()).or_default();
                *claim = version.version.max(*claim);
                self.overtaken.notify_one();
                return;
            }
            tracing::warn!(
                provider = %provider, snapshot.version = %version,
                "a gateway has a newer snapshot than this database: it was restored from an older copy"
            );
            self.exceed(provider, version.version);
            self.overtaken.notify_one();
        }
    }

    /// Remembers why nothing was published; `true` when that is news.
    pub(super) fn fail(&self, provider: &ProviderId, failure: PublishFailure) -> bool {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match failures.get(provider) {
            Some(known) if (&known.code, &known.message) == (&failure.code, &failure.message) => false,
            _ => {
                failures.insert(provider.clone(), failure);
                true
            }
        }
    }

    pub(super) fn forget_failure(&self, provider: &ProviderId) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(provider);
    }

    /// Providers whose last build was not published, and why.
    pub(crate) fn failures(&self) -> BTreeMap<ProviderId, PublishFailure> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn finish_build(&self, revision: Revision) {
        self.built.send_if_modified(|built| {
            let is_newer = *built < Some(revision);
            *built = (*built).max(Some(revision));
            is_newer
        });
    }

    /// The publisher has gone round once more.
    pub(super) fn beat(&self) {
        *self.beat.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether the publisher goes round.
    pub(crate) fn is_followed(&self, now: Instant) -> bool {
        let beat = *self.beat.lock().unwrap_or_else(PoisonError::into_inner);
        beat.is_some_and(|beat| now.duration_since(beat) < SILENCE_MAX)
    }

    /// What is published, in numbers.
    pub(crate) fn sizes(&self) -> Vec<PublishedSize> {
        let size = |published: Arc<Published>| PublishedSize {
            provider: published.manifest.provider.clone(),
            version: published.version().version,
            bytes: published.base.len() + published.delta_bytes(),
            deltas: published.deltas.len(),
            not_after: published.manifest.not_after,
        };
        self.current().into_iter().map(size).collect()
    }

    /// Follows the revision that was last built; `None` before the first build.
    pub(crate) fn follow_built(&self) -> watch::Receiver<Option<Revision>> {
        self.built.subscribe()
    }
}
