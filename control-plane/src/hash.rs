//! Hashes in the form in which they are stored.

use sha2::{Digest as _, Sha256};

/// Lower-case hex of the SHA-256.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
