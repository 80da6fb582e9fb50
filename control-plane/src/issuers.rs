//! Whose tokens are trusted, with which keys: by this service and, through the snapshot, by every gateway.
//!
//! Issuers come from the configuration, their keys from their JWKS ([`refresh_keys`]). The last good keys are kept in
//! the database; a change of keys is a change like any other, so gateways get it with the next snapshot.

mod fetch;
mod refresh_keys;
pub(crate) mod store;

use std::sync::{Arc, Mutex, RwLock};

use anyhow::Context as _;
use policies::token::{TrustedIssuer, VerificationKey};

use crate::config::IssuerConfig;
use crate::store::Store;

pub(crate) use refresh_keys::{keep_fresh, refresh};

/// The trusted issuers and the keys in use.
#[derive(Debug)]
pub(crate) struct Issuers {
    configured: Vec<Arc<Configured>>,
    trusted: RwLock<Arc<[TrustedIssuer]>>,
    /// Held from the read to the taking into use, so that an older read is never used last.
    reloading: tokio::sync::Mutex<()>,
    http: reqwest::Client,
}

#[derive(Debug)]
struct Configured {
    config: IssuerConfig,
    /// One question is asked at a time.
    last_look: Mutex<Option<refresh_keys::Look>>,
}

impl Issuers {
    /// Starts with the keys that the database knows.
    pub(crate) async fn open(configs: Vec<IssuerConfig>, store: &Store) -> anyhow::Result<Self> {
        let http = fetch::client(configs.iter().map(|config| config.jwks_uri.as_str()))
            .context("cannot make the HTTP client that fetches keys")?;
        let configured = configs.into_iter().map(|config| Arc::new(Configured { config, last_look: Mutex::new(None) }));
        let issuers = Self {
            configured: configured.collect(),
            trusted: RwLock::new(Arc::new([])),
            reloading: tokio::sync::Mutex::new(()),
            http,
        };
        issuers.reload(store).await?;
        Ok(issuers)
    }

    /// The issuers with the keys in use.
    pub(crate) fn trusted(&self) -> Arc<[TrustedIssuer]> {
        // A poisoned lock holds a whole value all the same: it is only ever replaced.
        self.trusted.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// What the configuration says of each issuer.
    pub(crate) fn configs(&self) -> impl Iterator<Item = &IssuerConfig> {
        self.configured.iter().map(|configured| &configured.config)
    }

    /// Takes the keys that the database knows into use.
    async fn reload(&self, store: &Store) -> anyhow::Result<()> {
        let _one_at_a_time = self.reloading.lock().await;
        let mut connection = store.read().await?;
        let mut trusted = Vec::new();
        for config in self.configs() {
            let jwks = store::keys(&mut connection, &config.issuer).await?;
            let keys = jwks.iter().map(VerificationKey::from_jwk).collect::<Result<Vec<_>, _>>();
            trusted.push(TrustedIssuer {
                issuer: config.issuer.clone(),
                kind: config.kind.into(),
                keys: keys.with_context(|| format!("a stored key of `{}` is not accepted", config.issuer))?,
                authentication_level: config.authentication_level,
            });
        }
        *self.trusted.write().unwrap_or_else(std::sync::PoisonError::into_inner) = trusted.into();
        Ok(())
    }
}

/// Stores and uses these keys as if the issuer had published them.
#[cfg(test)]
pub(crate) async fn trust_for_test(state: &crate::state::AppState, issuer: &str, keys: &[serde_json::Value]) {
    let mut change = state.store.change().await.unwrap();
    store::replace_keys(change.connection(), issuer, keys, state.clock.now()).await.unwrap();
    change.commit(state.clock.now(), "issuer_keys_changed", serde_json::json!({})).await.unwrap();
    state.issuers.reload(&state.store).await.unwrap();
}
