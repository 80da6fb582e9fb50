//! The file of the keys that sign tokens: JSON that only its owner may read, replaced whole.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, ensure};
use policies::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    keys: Vec<WrittenKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenKey {
    /// Milliseconds since 1970.
    signs_from: i64,
    /// PKCS #8.
    pem: String,
}

/// A key as the file has it: from when it signs, and its PEM.
pub(super) type StoredKey = (Timestamp, String);

/// The keys in the file; none if there is no file.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<StoredKey>> {
    if !file.try_exists().with_context(|| format!("cannot look for `{}`", file.display()))? {
        return Ok(Vec::new());
    }
    let named = || format!("cannot use the token keys `{}`", file.display());
    let mode = std::fs::metadata(file).with_context(named)?.permissions().mode();
    ensure!(mode & 0o077 == 0, "{}: others may read it; run `chmod 600` on it", named());
    let text = std::fs::read_to_string(file).with_context(named)?;
    // The error may quote what it stumbled over.
    let written: Written =
        serde_json::from_str(&text).map_err(|_| anyhow::anyhow!("{}: it is no list of keys", named()))?;
    Ok(written.keys.into_iter().map(|key| (Timestamp::from_unix_millis(key.signs_from), key.pem)).collect())
}

/// Replaces the file.
pub(super) fn write(file: &Path, keys: &[StoredKey]) -> anyhow::Result<()> {
    let keys = keys.iter().map(|(from, pem)| WrittenKey { signs_from: from.unix_millis(), pem: pem.clone() });
    let text = serde_json::to_string_pretty(&Written { keys: keys.collect() })?;
    let unfinished = file.with_extension("unfinished");
    let mut options = std::fs::OpenOptions::new();
    let mut open = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    open.write_all(text.as_bytes())?;
    open.sync_all()?;
    std::fs::rename(&unfinished, file).with_context(|| format!("cannot write `{}`", file.display()))
}
