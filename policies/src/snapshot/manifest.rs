//! The manifest: whose image this is, which version, until when, and the hash of every chunk; signed.
//!
//! One published piece is manifest, signature, image. Nothing in it is believed before the signature has been checked
//! with a key that the gateway's configuration pins, and nothing of the image before its hashes have. How pieces become
//! a policy is in [`super::opening`].

use std::fmt;
use std::str::FromStr;

use p256::pkcs8::DecodePublicKey;
use sha2::{Digest, Sha256};
use zerocopy::little_endian::{I64, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Timestamp;
use crate::id::ProviderId;
use crate::token::{Algorithm, SignatureError, VerificationKey, VerifySignature};

use super::image::ImageError;

/// Length of every chunk but the last, in bytes: hashed with BLAKE3, in about a third of a millisecond inside a gateway.
pub const CHUNK_BYTES: usize = 1 << 18;
/// Longest image, in bytes: two of them, the old and the new, must fit in a worker's memory.
pub const IMAGE_BYTES_MAX: usize = 224 << 20;
/// How far the clocks of gateway and control plane may differ, in seconds.
const CLOCK_DIFFERENCE_SECONDS_MAX: i64 = 300;
/// Longest time from signing to the end, in seconds.
const VALIDITY_SECONDS_MAX: i64 = 31 * 24 * 3600;

const MAGIC: [u8; 8] = *b"PVMANIF\0";
const FORMAT: u16 = 3;
const HASH_BYTES: usize = 32;
pub(super) const SIGNATURE_BYTES: usize = 64;

/// Which state of the policy: versions of one epoch follow each other, an epoch begins with a new database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotVersion {
    /// Drawn once per database.
    pub epoch: u64,
    /// One higher with every publication.
    pub version: u64,
}

impl fmt::Display for SnapshotVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.epoch, self.version)
    }
}

impl FromStr for SnapshotVersion {
    type Err = SnapshotError;

    /// Reads `epoch.version`.
    fn from_str(text: &str) -> Result<Self, SnapshotError> {
        let (epoch, version) = text.split_once('.').ok_or(SnapshotError::Version)?;
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten().ok_or(SnapshotError::Version)
        };
        Ok(Self { epoch: number(epoch)?, version: number(version)? })
    }
}

/// Why a body is not applied. The policy in force stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Longer than [`IMAGE_BYTES_MAX`], or more than the gateway has memory for.
    #[error("the snapshot is too large")]
    TooLarge,
    /// Cut short, or too long for what it says of itself.
    #[error("the snapshot's length is not what its manifest says")]
    Length,
    /// Not a manifest of this format.
    #[error("the manifest is malformed")]
    Manifest,
    /// A format that this reader does not know.
    #[error("the manifest's format is not supported")]
    Format,
    /// A version is not `epoch.version`.
    #[error("the version is not two numbers with a point between them")]
    Version,
    /// Another API provider's.
    #[error("the snapshot is another provider's")]
    Provider,
    /// Signed with a key that is not pinned.
    #[error("the manifest is signed with an unknown key")]
    KeyUnknown,
    /// The signature is wrong.
    #[error("the manifest's signature is wrong")]
    Signature,
    /// The host could not check the signature.
    #[error("the manifest's signature could not be checked")]
    SignatureUnchecked,
    /// `not_after` has passed.
    #[error("the snapshot has expired")]
    Expired,
    /// Signed in the future, or for longer than a month.
    #[error("the snapshot's times cannot be: signed in the future, or for longer than 31 days")]
    Times,
    /// The very one in force.
    #[error("the snapshot is the one in force")]
    InForce,
    /// Not newer than the one in force.
    #[error("the snapshot is not newer than the one in force")]
    NotNewer,
    /// A delta that is not for the version in force.
    #[error("the delta is for another version than the one in force")]
    Gap,
    /// More deltas than one base takes.
    #[error("the deltas have changed too much: a new base is needed")]
    TooManyChanges,
    /// A chunk's hash is not the manifest's.
    #[error("a chunk of the snapshot is not the one that was signed")]
    Hash,
    /// The image is not one that can be enforced.
    #[error("the image is refused: {0}")]
    Image(#[from] ImageError),
    /// A pinned key is not a P-256 public key.
    #[error("the key is not a P-256 public key in PEM")]
    Key,
}

impl SnapshotError {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "snapshot_too_large",
            Self::Length => "snapshot_length",
            Self::Manifest => "manifest_malformed",
            Self::Format => "manifest_format",
            Self::Version => "version_malformed",
            Self::Provider => "snapshot_of_another_provider",
            Self::KeyUnknown => "snapshot_key_unknown",
            Self::Signature => "snapshot_signature",
            Self::SignatureUnchecked => "snapshot_signature_unchecked",
            Self::Expired => "snapshot_expired",
            Self::Times => "snapshot_times",
            Self::InForce => "snapshot_in_force",
            Self::NotNewer => "snapshot_not_newer",
            Self::Gap => "snapshot_gap",
            Self::TooManyChanges => "snapshot_too_many_changes",
            Self::Hash => "snapshot_hash",
            Self::Image(_) => "snapshot_image",
            Self::Key => "snapshot_key_malformed",
        }
    }
}

/// A public key that may sign snapshots.
#[derive(Debug, Clone)]
pub struct SnapshotKey {
    id: [u8; 8],
    key: VerificationKey,
}

impl SnapshotKey {
    /// Reads a P-256 SubjectPublicKeyInfo in PEM (RFC 7468).
    pub fn from_public_key_pem(pem: &str) -> Result<Self, SnapshotError> {
        use p256::pkcs8::EncodePublicKey;
        let key = p256::PublicKey::from_public_key_pem(pem).map_err(|_| SnapshotError::Key)?;
        let der = key.to_public_key_der().map_err(|_| SnapshotError::Key)?;
        Self::from_spki_der(der.as_bytes())
    }

    /// Reads a P-256 SubjectPublicKeyInfo.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, SnapshotError> {
        let key = VerificationKey::from_spki_der("snapshot", der).map_err(|_| SnapshotError::Key)?;
        if key.algorithm() != Algorithm::Es256 {
            return Err(SnapshotError::Key);
        }
        let mut id = [0; 8];
        for (to, from) in id.iter_mut().zip(Sha256::digest(key.spki_der())) {
            *to = from;
        }
        Ok(Self { id, key })
    }

    /// First eight bytes of SHA-256 over the SubjectPublicKeyInfo.
    pub fn key_id(&self) -> [u8; 8] {
        self.id
    }
}

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Whose gateways this is for.
    pub provider: ProviderId,
    /// Which state this is.
    pub version: SnapshotVersion,
    /// The version before it, 0 for the first. A delta is for that version only.
    pub previous_version: u64,
    /// The version of the base: its own for a base, that of the base under it for a delta.
    pub base_version: u64,
    /// The control plane's revision that it holds.
    pub revision: u64,
    /// When it was signed.
    pub issued_at: Timestamp,
    /// When it must no longer be enforced.
    pub not_after: Timestamp,
    /// The key that signs it.
    pub key_id: [u8; 8],
    image_bytes: u64,
    chunk_hashes: Vec<[u8; HASH_BYTES]>,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct ManifestRecord {
    magic: [u8; 8],
    format: U16,
    provider_bytes: U16,
    chunk_bytes: U32,
    epoch: U64,
    version: U64,
    previous_version: U64,
    base_version: U64,
    revision: U64,
    issued_at: I64,
    not_after: I64,
    image_bytes: U64,
    key_id: [u8; 8],
    chunk_count: U32,
    reserved: U32,
}

impl Manifest {
    /// Describes a base.
    #[expect(clippy::too_many_arguments, reason = "each is a field of the signed record; a builder would hide one")]
    pub fn new(
        provider: ProviderId,
        version: SnapshotVersion,
        previous_version: u64,
        revision: u64,
        issued_at: Timestamp,
        not_after: Timestamp,
        key_id: [u8; 8],
        image: &[u8],
    ) -> Self {
        let chunk_hashes = hash_chunks(image);
        let image_bytes = image.len() as u64;
        Self {
            provider,
            base_version: version.version,
            version,
            previous_version,
            revision,
            issued_at,
            not_after,
            key_id,
            image_bytes,
            chunk_hashes,
        }
    }

    /// Describes a delta to what is in force.
    pub fn of_delta(
        current: &Self,
        version: u64,
        revision: u64,
        issued_at: Timestamp,
        not_after: Timestamp,
        key_id: [u8; 8],
        image: &[u8],
    ) -> Self {
        Self {
            provider: current.provider.clone(),
            version: SnapshotVersion { epoch: current.version.epoch, version },
            previous_version: current.version.version,
            base_version: current.base_version,
            revision,
            issued_at,
            not_after,
            key_id,
            image_bytes: image.len() as u64,
            chunk_hashes: hash_chunks(image),
        }
    }

    /// It changes a base and is none itself.
    pub fn is_delta(&self) -> bool {
        self.base_version != self.version.version
    }

    /// Length of the image, in bytes.
    pub fn image_bytes(&self) -> u64 {
        self.image_bytes
    }

    /// The bytes that are signed, and that stand first in the body.
    pub fn signing_bytes(&self) -> Vec<u8> {
        let provider = self.provider.as_str().as_bytes();
        let record = ManifestRecord {
            magic: MAGIC,
            format: FORMAT.into(),
            provider_bytes: U16::new(u16::try_from(provider.len()).unwrap_or(u16::MAX)),
            chunk_bytes: U32::new(CHUNK_BYTES as u32),
            epoch: self.version.epoch.into(),
            version: self.version.version.into(),
            previous_version: self.previous_version.into(),
            base_version: self.base_version.into(),
            revision: self.revision.into(),
            issued_at: self.issued_at.unix_millis().into(),
            not_after: self.not_after.unix_millis().into(),
            image_bytes: self.image_bytes.into(),
            key_id: self.key_id,
            chunk_count: U32::new(u32::try_from(self.chunk_hashes.len()).unwrap_or(u32::MAX)),
            reserved: U32::ZERO,
        };
        [record.as_bytes(), provider, self.chunk_hashes.as_bytes()].concat()
    }

    /// It describes exactly this image.
    pub fn is_of_image(&self, image: &[u8]) -> bool {
        self.image_bytes == image.len() as u64 && self.chunk_hashes == hash_chunks(image)
    }

    /// Reads the manifest at the start of a piece; gives what follows the signed bytes.
    pub(super) fn read(body: &[u8]) -> Result<(Self, &[u8]), SnapshotError> {
        let (record, rest) = ManifestRecord::read_from_prefix(body).map_err(|_| SnapshotError::Length)?;
        if record.magic != MAGIC {
            return Err(SnapshotError::Manifest);
        }
        if record.format.get() != FORMAT {
            return Err(SnapshotError::Format);
        }
        let image_bytes = usize::try_from(record.image_bytes.get()).map_err(|_| SnapshotError::TooLarge)?;
        if image_bytes > IMAGE_BYTES_MAX {
            return Err(SnapshotError::TooLarge);
        }
        let chunk_count = record.chunk_count.get() as usize;
        if record.chunk_bytes.get() as usize != CHUNK_BYTES
            || chunk_count != image_bytes.div_ceil(CHUNK_BYTES)
            || record.reserved != U32::ZERO
        {
            return Err(SnapshotError::Manifest);
        }
        let provider_bytes = usize::from(record.provider_bytes.get());
        let (provider, rest) = rest.split_at_checked(provider_bytes).ok_or(SnapshotError::Length)?;
        let provider = std::str::from_utf8(provider).map_err(|_| SnapshotError::Manifest)?;
        let (hashes, rest) =
            <[[u8; HASH_BYTES]]>::ref_from_prefix_with_elems(rest, chunk_count).map_err(|_| SnapshotError::Length)?;
        let manifest = Self {
            provider: ProviderId::parse(provider).map_err(|_| SnapshotError::Manifest)?,
            version: SnapshotVersion { epoch: record.epoch.get(), version: record.version.get() },
            previous_version: record.previous_version.get(),
            base_version: record.base_version.get(),
            revision: record.revision.get(),
            issued_at: Timestamp::from_unix_millis(record.issued_at.get()),
            not_after: Timestamp::from_unix_millis(record.not_after.get()),
            key_id: record.key_id,
            image_bytes: record.image_bytes.get(),
            chunk_hashes: hashes.to_vec(),
        };
        let leads_on = (manifest.base_version..manifest.version.version).contains(&manifest.previous_version);
        if manifest.is_delta() && !leads_on {
            return Err(SnapshotError::Manifest);
        }
        Ok((manifest, rest))
    }

    /// The same epoch goes forward by version; another epoch must have been signed later.
    pub(super) fn succeeds(&self, current: &Self) -> bool {
        if self.version.epoch == current.version.epoch {
            self.version.version > current.version.version
        } else {
            self.issued_at > current.issued_at
        }
    }

    /// The delta is for exactly this state.
    pub(super) fn follows(&self, current: &Self) -> bool {
        self.provider == current.provider
            && self.version.epoch == current.version.epoch
            && self.base_version == current.base_version
            && self.previous_version == current.version.version
            && self.version.version > self.previous_version
    }

    /// The chunk is the one that was signed.
    pub(super) fn has_chunk(&self, position: usize, chunk: &[u8]) -> bool {
        self.chunk_hashes.get(position).is_some_and(|hash| *hash == *blake3::hash(chunk).as_bytes())
    }

    /// Signed by a pinned key, for this provider, at a time that can be.
    pub(super) fn check(
        &self,
        signed: &[u8],
        signature: &[u8],
        keys: &[SnapshotKey],
        provider: &ProviderId,
        now: Timestamp,
        signatures: &dyn VerifySignature,
    ) -> Result<(), SnapshotError> {
        let key = keys.iter().find(|key| key.id == self.key_id).ok_or(SnapshotError::KeyUnknown)?;
        signatures.verify(&key.key, signed, signature).map_err(|error| match error {
            SignatureError::Invalid => SnapshotError::Signature,
            SignatureError::Unavailable => SnapshotError::SignatureUnchecked,
        })?;
        if self.provider != *provider {
            return Err(SnapshotError::Provider);
        }
        let signed_later = self.issued_at > now.plus_seconds(CLOCK_DIFFERENCE_SECONDS_MAX);
        if signed_later || self.not_after > self.issued_at.plus_seconds(VALIDITY_SECONDS_MAX) {
            return Err(SnapshotError::Times);
        }
        Ok(())
    }
}

/// One piece of what gateways fetch. `signature` is ES256 over [`Manifest::signing_bytes`], as `r ‖ s`.
pub fn seal(manifest: &Manifest, signature: &[u8; SIGNATURE_BYTES], image: &[u8]) -> Vec<u8> {
    [&manifest.signing_bytes()[..], signature, image].concat()
}

fn hash_chunks(image: &[u8]) -> Vec<[u8; HASH_BYTES]> {
    image.chunks(CHUNK_BYTES).map(|chunk| *blake3::hash(chunk).as_bytes()).collect()
}
