//! Bodies for cases: a document compiled, signed, sealed, damaged.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use policies::id::{ProviderId, SystemUserId};
use policies::snapshot::{
    Document, Manifest, SnapshotKey, SnapshotSettings, SnapshotVersion, SystemUserState, compile, seal,
};
use policies::token::PureRust;
use policies::{PolicySet, PolicyTrouble, Timestamp};

use super::{Damage, Publication, document, keys};

/// A body as the control plane serves it.
pub struct Published {
    /// What the filter gets.
    pub body: Vec<u8>,
    /// Its entity tag.
    pub version: SnapshotVersion,
}

/// Makes every body at an instant, in order. A delta is one to what was published before it and not refused.
pub fn publish_all(publications: &[Publication], now: Timestamp) -> Result<Vec<Published>> {
    let mut line = Line { policy: PolicySet::deny_all(PolicyTrouble::Missing), known: BTreeSet::new() };
    publications.iter().map(|publication| line.publish(publication, now)).collect()
}

/// What gateways have when they have taken everything so far.
struct Line {
    policy: PolicySet,
    known: BTreeSet<SystemUserId>,
}

impl Line {
    fn publish(&mut self, publication: &Publication, now: Timestamp) -> Result<Published> {
        let document = document(&publication.document)?;
        let published = publish(publication, document.clone(), self, now)?;
        if publication.refused.is_none() {
            let key = SnapshotKey::from_public_key_pem(&keys::key(&publication.key)?.public_pem()?)?;
            // While it was good: a case may be about its end.
            let good_at = now.plus_seconds(publication.issued_seconds.min(publication.not_after_seconds - 1));
            self.policy.update(published.body.clone(), &[key], &document.provider, good_at, &PureRust)?;
            self.known.extend(document.system_users.iter().map(|user| user.id));
        }
        Ok(published)
    }

    /// What has become of all system users.
    fn states(&self, document: &Document) -> BTreeMap<SystemUserId, SystemUserState> {
        let gone = self.known.iter().map(|id| (*id, SystemUserState::Unknown));
        let withdrawn = document.withdrawn_system_users.iter().map(|id| (*id, SystemUserState::Withdrawn));
        let active = document.system_users.iter().map(|user| (user.id, SystemUserState::Active(user.clone())));
        gone.chain(withdrawn).chain(active).collect()
    }
}

fn publish(publication: &Publication, document: Document, line: &Line, now: Timestamp) -> Result<Published> {
    let mut image = if publication.delta {
        SnapshotSettings::new(document.clone())?.delta(&line.states(&document), &line.policy)?.bytes
    } else {
        compile(&document)?
    };
    if let Some(Damage::FlipImage(position)) = publication.damage {
        flip(&mut image, position);
    }
    let key = keys::key(&publication.key)?;
    let key_id = SnapshotKey::from_public_key_pem(&key.public_pem()?)?.key_id();
    let version = SnapshotVersion { epoch: publication.epoch, version: publication.version };
    let provider = match &publication.provider {
        Some(provider) => ProviderId::parse(provider)?,
        None => document.provider,
    };
    let issued_at = now.plus_seconds(publication.issued_seconds);
    let not_after = now.plus_seconds(publication.not_after_seconds);
    let manifest = if publication.delta {
        let current = line.policy.manifest().context("a delta needs something before it")?;
        let mut manifest =
            Manifest::of_delta(current, version.version, version.version, issued_at, not_after, key_id, &image);
        manifest.previous_version += u64::from(publication.gap);
        manifest
    } else {
        let previous = publication.version.saturating_sub(1);
        Manifest::new(provider, version, previous, publication.version, issued_at, not_after, key_id, &image)
    };
    let signature = key.sign(&manifest.signing_bytes());
    let signature = signature.as_slice().try_into().context("snapshots are signed with P-256")?;
    let mut body = seal(&manifest, signature, &image);
    match publication.damage {
        Some(Damage::Cut(bytes)) => body.truncate(body.len().saturating_sub(bytes)),
        Some(Damage::Grow(bytes)) => body.resize(body.len() + bytes, 0),
        Some(Damage::Flip(position)) => {
            let position = body.len().saturating_sub(position + 1);
            flip(&mut body, position);
        }
        Some(Damage::FlipFromStart(position)) => flip(&mut body, position),
        Some(Damage::FlipImage(_)) | None => {}
    }
    Ok(Published { body, version })
}

fn flip(bytes: &mut [u8], position: usize) {
    if let Some(byte) = bytes.get_mut(position) {
        *byte ^= 1;
    }
}
