//! Issuing tokens in our own name.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use policies::Timestamp;
use serde_json::{Map, Value, json};

use super::key_file;
use super::keys::{self, PUBLISHED_BEFORE_S, TOKEN_LIFETIME_S, TokenKey};
use crate::config::TokensConfig;
use crate::issuers;
use crate::service::beside;
use crate::state::{AppState, Ids};

/// Our issuer: its name, its keys and what it was told.
#[derive(Debug)]
pub(crate) struct TokenIssuer {
    /// The `iss` of our tokens; ends with a slash.
    pub(crate) issuer: String,
    pub(crate) config: TokensConfig,
    file: PathBuf,
    keys: RwLock<Arc<[TokenKey]>>,
    /// Held while the file is replaced.
    rotating: tokio::sync::Mutex<()>,
}

/// A key, for whoever looks after them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyState {
    pub(super) kid: String,
    pub(super) signs_from: Timestamp,
    pub(super) is_signing: bool,
}

impl TokenIssuer {
    /// Reads the keys, or makes the first.
    pub(crate) fn open(
        issuer: String,
        config: TokensConfig,
        file: &Path,
        ids: &dyn Ids,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        let mut keys = key_file::read(file)?.into_iter().map(TokenKey::of).collect::<anyhow::Result<Vec<_>>>()?;
        if keys.is_empty() {
            keys.push(TokenKey::draw(ids, now)?);
            write(file, &keys)?;
        }
        let keys = RwLock::new(keys.into());
        Ok(Self { issuer, config, file: file.to_owned(), keys, rotating: tokio::sync::Mutex::new(()) })
    }

    /// A token with these claims and those that every token has.
    pub(crate) fn issue(&self, state: &AppState, mut claims: Map<String, Value>) -> anyhow::Result<String> {
        let now = state.clock.now();
        let seconds = now.unix_seconds();
        claims.insert("iss".to_owned(), json!(self.issuer));
        claims.insert("iat".to_owned(), json!(seconds));
        claims.insert("nbf".to_owned(), json!(seconds));
        claims.insert("exp".to_owned(), json!(seconds + TOKEN_LIFETIME_S));
        claims.insert("jti".to_owned(), json!(state.ids.uuid()?));
        let keys = self.keys();
        let key = keys::signing(&keys, now).ok_or_else(|| anyhow::anyhow!("there is no key that signs tokens"))?;
        key.sign(&Value::Object(claims))
    }

    /// The published keys (RFC 7517).
    pub(super) fn jwks(&self, now: Timestamp) -> Vec<Value> {
        let keys = self.keys();
        let published = keys.iter().enumerate().filter(|(position, _)| keys::is_published(&keys, *position, now));
        published.map(|(_, key)| key.jwk.clone()).collect()
    }

    /// The published keys, and which of them signs.
    pub(super) fn states(&self, now: Timestamp) -> Vec<KeyState> {
        let keys = self.keys();
        let signing = keys::signing(&keys, now).map(|key| key.kid.clone());
        let published = keys.iter().enumerate().filter(|(position, _)| keys::is_published(&keys, *position, now));
        published
            .map(|(_, key)| KeyState {
                kid: key.kid.clone(),
                signs_from: key.signs_from,
                is_signing: signing.as_ref() == Some(&key.kid),
            })
            .collect()
    }

    /// Makes a key that signs when everybody has had time to learn of it. While one waits already, it is that one.
    pub(super) async fn rotate(&self, state: &AppState) -> anyhow::Result<KeyState> {
        let _one_at_a_time = self.rotating.lock().await;
        let now = state.clock.now();
        let states = self.states(now);
        if let Some(waiting) = states.into_iter().find(|key| key.signs_from > now) {
            return Ok(waiting);
        }
        let (ids, signs_from) = (state.ids.clone(), now.plus_seconds(PUBLISHED_BEFORE_S));
        let drawn = beside(move || TokenKey::draw(&*ids, signs_from)).await;
        let drawn = drawn.map_err(|_| anyhow::anyhow!("making a key was broken off"))??;
        let old = self.keys();
        let kept = old.iter().enumerate().filter(|(position, _)| keys::is_published(&old, *position, now));
        let mut keys = kept.map(|(_, key)| TokenKey::of(key.stored())).collect::<anyhow::Result<Vec<_>>>()?;
        keys.push(drawn);
        write(&self.file, &keys)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys.into();
        let states = self.states(now);
        states.into_iter().next_back().ok_or_else(|| anyhow::anyhow!("there is no key"))
    }

    /// Adds a key as [`TokenIssuer::rotate`] would.
    #[cfg(test)]
    pub(super) fn add_for_test(&self, key: key_file::StoredKey) {
        let mut keys: Vec<_> = self.keys().iter().map(|key| TokenKey::of(key.stored()).unwrap()).collect();
        keys.push(TokenKey::of(key).unwrap());
        *self.keys.write().unwrap() = keys.into();
    }

    /// Takes over what another control plane has written to the file.
    pub(super) fn read_again(&self) -> anyhow::Result<()> {
        let stored = key_file::read(&self.file)?;
        let is_new = stored.iter().ne(self.keys().iter().map(TokenKey::stored).collect::<Vec<_>>().iter());
        if is_new && !stored.is_empty() {
            let keys = stored.into_iter().map(TokenKey::of).collect::<anyhow::Result<Vec<_>>>()?;
            *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys.into();
        }
        Ok(())
    }

    fn keys(&self) -> Arc<[TokenKey]> {
        // A poisoned lock holds a whole list all the same: it is only ever replaced.
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Lets the control plane, and through the snapshots the gateways, know the keys that are published now.
pub(crate) async fn publish_keys(state: &AppState) -> anyhow::Result<()> {
    let Some(tokens) = &state.tokens else { return Ok(()) };
    let now = state.clock.now();
    issuers::replace_own_keys(state, &tokens.issuer, &tokens.jwks(now), now).await
}

fn write(file: &Path, keys: &[TokenKey]) -> anyhow::Result<()> {
    key_file::write(file, &keys.iter().map(TokenKey::stored).collect::<Vec<_>>())
}
