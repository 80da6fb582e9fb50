//! An issuer's key set as it publishes it (RFC 7517 section 5): whole or refused.
//!
//! Keys that are for something else (`use: enc`), or of a kind that is not used here, are left out: issuers publish them
//! beside the others. A set in which an id is there twice, or that leaves no key, says nothing that can be relied on.

use serde_json::Value;

use super::key::VerificationKey;

/// Longest key set that is read, in bytes.
pub const KEY_SET_BYTES_MAX: usize = 256 * 1024;
/// Most keys of one issuer.
pub const KEY_SET_KEYS_MAX: usize = 64;

/// Why a key set is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Longer than [`KEY_SET_BYTES_MAX`].
    #[error("the key set is longer than 262144 bytes")]
    TooLarge,
    /// Not JSON, or without a list `keys`.
    #[error("the key set is not a JSON Web Key Set")]
    Malformed,
    /// More than [`KEY_SET_KEYS_MAX`].
    #[error("the key set has more than 64 keys")]
    TooMany,
    /// A key id is there twice.
    #[error("the key set has a key id twice")]
    KeyTwice,
    /// No key may verify.
    #[error("the key set has no key that may verify")]
    NoKey,
}

/// Reads a key set.
///
/// ```
/// use policies::token::{KeySetError, key_set};
///
/// assert_eq!(key_set(b"<html>"), Err(KeySetError::Malformed));
/// assert_eq!(key_set(br#"{"keys": []}"#), Err(KeySetError::NoKey));
/// ```
pub fn key_set(bytes: &[u8]) -> Result<Vec<VerificationKey>, KeySetError> {
    if bytes.len() > KEY_SET_BYTES_MAX {
        return Err(KeySetError::TooLarge);
    }
    let set: Value = serde_json::from_slice(bytes).map_err(|_| KeySetError::Malformed)?;
    let published = set.get("keys").and_then(Value::as_array).ok_or(KeySetError::Malformed)?;
    if published.len() > KEY_SET_KEYS_MAX {
        return Err(KeySetError::TooMany);
    }
    let mut ids: Vec<&str> = published.iter().filter_map(|key| key.get("kid")?.as_str()).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| matches!(pair, [left, right] if left == right)) {
        return Err(KeySetError::KeyTwice);
    }
    let keys: Vec<VerificationKey> = published.iter().filter_map(|key| VerificationKey::from_jwk(key).ok()).collect();
    if keys.is_empty() { Err(KeySetError::NoKey) } else { Ok(keys) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(kid: &str) -> Value {
        json!({"kty": "EC", "crv": "P-256", "kid": kid,
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})
    }

    fn read(set: Value) -> Result<usize, KeySetError> {
        key_set(set.to_string().as_bytes()).map(|keys| keys.len())
    }

    #[test]
    fn a_set_is_whole_or_refused() {
        let mut for_encryption = key("b");
        for_encryption["use"] = json!("enc");
        assert_eq!(read(json!({"keys": [key("a"), for_encryption]})), Ok(1));
        assert_eq!(read(json!({"keys": [for_encryption]})), Err(KeySetError::NoKey));
        assert_eq!(read(json!({"keys": [key("a"), key("a")]})), Err(KeySetError::KeyTwice));
        assert_eq!(read(json!({"keys": {}})), Err(KeySetError::Malformed));
        assert_eq!(read(json!([])), Err(KeySetError::Malformed));
        assert_eq!(key_set(b""), Err(KeySetError::Malformed));
    }

    #[test]
    fn limits_are_kept() {
        let keys = |count: usize| json!({"keys": (0..count).map(|kid| key(&kid.to_string())).collect::<Vec<_>>()});
        assert_eq!(read(keys(KEY_SET_KEYS_MAX)), Ok(KEY_SET_KEYS_MAX));
        assert_eq!(read(keys(KEY_SET_KEYS_MAX + 1)), Err(KeySetError::TooMany));
        let mut bytes = json!({"keys": [key("a")]}).to_string().into_bytes();
        bytes.resize(KEY_SET_BYTES_MAX, b' ');
        assert!(key_set(&bytes).is_ok());
        bytes.push(b' ');
        assert_eq!(key_set(&bytes), Err(KeySetError::TooLarge));
    }
}
