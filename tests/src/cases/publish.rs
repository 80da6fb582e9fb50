//! Bodies for cases: a document compiled, signed, sealed, damaged.

use anyhow::{Context as _, Result};
use policies::Timestamp;
use policies::id::ProviderId;
use policies::snapshot::{Manifest, SnapshotKey, SnapshotVersion, compile, seal};

use super::{Damage, Publication, document, keys};

/// A body as the control plane serves it.
pub struct Published {
    /// What the filter gets.
    pub body: Vec<u8>,
    /// Its entity tag.
    pub version: SnapshotVersion,
}

/// Makes the body at an instant.
pub fn publish(publication: &Publication, now: Timestamp) -> Result<Published> {
    let document = document(&publication.document)?;
    let mut image = compile(&document)?;
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
    let manifest = Manifest::new(
        provider,
        version,
        publication.version.saturating_sub(1),
        publication.version,
        now.plus_seconds(publication.issued_seconds),
        now.plus_seconds(publication.not_after_seconds),
        key_id,
        &image,
    );
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
