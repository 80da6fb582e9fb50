//! The key that signs snapshots: made at first start, kept in a file that only its owner may read.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use p256::ecdsa::Signature;
use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use policies::snapshot::SnapshotKey;

use crate::state::Ids;

/// Bytes of a private key that may have to be drawn again; one in four billion is out of range.
const DRAWS_MAX: usize = 8;

/// An ES256 key pair.
pub(crate) struct SigningKey {
    private: p256::ecdsa::SigningKey,
    public_pem: String,
    pinned: SnapshotKey,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SigningKey").field("key_id", &self.key_id_hex()).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Reads the key in the file, or makes one there.
    pub(crate) fn open(file: &Path, ids: &dyn Ids) -> anyhow::Result<Self> {
        if !file.try_exists().with_context(|| format!("cannot look for the signing key `{}`", file.display()))? {
            create(file, ids).with_context(|| format!("cannot make the signing key `{}`", file.display()))?;
        }
        Self::read(file)
    }

    /// Reads the key in the file.
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let named = || format!("cannot use the signing key `{}`", file.display());
        let mode = std::fs::metadata(file).with_context(named)?.permissions().mode();
        ensure!(mode & 0o077 == 0, "{}: others may read it; run `chmod 600` on it", named());
        let pem = std::fs::read_to_string(file).with_context(named)?;
        let secret = p256::SecretKey::from_pkcs8_pem(&pem)
            .map_err(|_| anyhow::anyhow!("it is not a P-256 key in PEM, PKCS #8"))
            .with_context(named)?;
        Self::from_secret(&secret)
    }

    fn from_secret(secret: &p256::SecretKey) -> anyhow::Result<Self> {
        let public_pem =
            secret.public_key().to_public_key_pem(LineEnding::LF).context("cannot write the public key")?;
        let pinned = SnapshotKey::from_public_key_pem(&public_pem)?;
        Ok(Self { private: secret.into(), public_pem, pinned })
    }

    /// What gateways pin (PEM, SubjectPublicKeyInfo).
    pub(crate) fn public_pem(&self) -> &str {
        &self.public_pem
    }

    pub(crate) fn key_id_hex(&self) -> String {
        self.pinned.key_id().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The public half, as gateways hold it.
    pub(super) fn pinned(&self) -> &SnapshotKey {
        &self.pinned
    }

    /// ES256 over `message`, `r ‖ s`.
    pub(super) fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature: Signature = self.private.sign(message);
        signature.to_bytes().into()
    }
}

/// Writes a new key beside its place and links it there whole: a key that is there is never replaced.
fn create(file: &Path, ids: &dyn Ids) -> anyhow::Result<()> {
    let pem = draw(ids)?.to_pkcs8_pem(LineEnding::LF).map_err(|_| anyhow::anyhow!("cannot write the key as PEM"))?;
    let unfinished = file.with_extension("unfinished");
    let mut options = std::fs::OpenOptions::new();
    let mut open = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    open.write_all(pem.as_bytes())?;
    open.sync_all()?;
    let linked = std::fs::hard_link(&unfinished, file);
    std::fs::remove_file(&unfinished)?;
    match linked {
        // Somebody else made it in the meantime: theirs stands.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        linked => Ok(linked?),
    }
}

fn draw(ids: &dyn Ids) -> anyhow::Result<p256::SecretKey> {
    for _ in 0..DRAWS_MAX {
        let mut bytes = [0; 32];
        ids.fill(&mut bytes)?;
        if let Ok(secret) = p256::SecretKey::from_slice(&bytes) {
            return Ok(secret);
        }
    }
    bail!("the random source gives no usable key")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::SystemIds;

    #[test]
    fn the_key_is_made_once_and_read_by_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        let made = SigningKey::open(&file, &SystemIds).unwrap();
        let read = SigningKey::open(&file, &SystemIds).unwrap();
        assert_eq!(made.public_pem(), read.public_pem());
        assert!(made.public_pem().starts_with("-----BEGIN PUBLIC KEY-----\n"));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(!format!("{made:?}").contains("private"));
    }

    #[test]
    fn keys_that_others_may_read_and_files_that_are_no_keys_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        SigningKey::open(&file, &SystemIds).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(format!("{:#}", SigningKey::open(&file, &SystemIds).unwrap_err()).contains("chmod 600"));
        std::fs::write(&file, "no key").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(format!("{:#}", SigningKey::open(&file, &SystemIds).unwrap_err()).contains("PKCS #8"));
    }
}
