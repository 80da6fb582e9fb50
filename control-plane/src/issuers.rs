//! Whose tokens are trusted, with which keys: by this service and, through the snapshot, by every gateway.
//!
//! Issuers come from the configuration, their keys from their JWKS ([`refresh_keys`]). The last good keys are kept in
//! the database; a change of keys is a change like any other, so gateways get it with the next snapshot.

mod fetch;
mod refresh_keys;
pub(crate) mod store;

use std::sync::{Arc, Mutex, RwLock};

use anyhow::Context as _;
use policies::Timestamp;
use policies::token::{Algorithms, IssuerKind, IssuerRules, TrustedIssuer, VerificationKey};
use serde_json::{Value, json};

use crate::config::{ExchangeIssuerConfig, ExchangeProvider, IssuerConfig, PlatformIssuerConfig};
use crate::state::AppState;
use crate::store::{Connection, Store};

pub(crate) use fetch::client;
pub(crate) use refresh_keys::{keep_fresh, refresh};

/// The trusted issuers and the keys in use.
#[derive(Debug)]
pub(crate) struct Issuers {
    configured: Vec<Arc<Configured>>,
    /// We ourselves, where tokens are issued.
    own: Option<OwnIssuer>,
    trusted: RwLock<Arc<[TrustedIssuer]>>,
    /// Those that are trusted with one thing only.
    others: RwLock<Arc<[(UseOf, TrustedIssuer)]>>,
    /// Held from the read to the taking into use, so that an older read is never used last.
    reloading: tokio::sync::Mutex<()>,
    http: reqwest::Client,
}

/// Our own issuer.
#[derive(Debug, Clone)]
pub(crate) struct OwnIssuer {
    pub(crate) issuer: String,
    pub(crate) is_trusted_by_gateways: bool,
}

/// What the snapshots say of an issuer besides its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GatewayIssuer {
    pub(crate) issuer: String,
    pub(crate) kind: IssuerKind,
    pub(crate) authentication_level: u8,
    pub(crate) rules: IssuerRules,
}

/// What an issuer's tokens are good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UseOf {
    /// They are trusted.
    Trusted { kind: IssuerKind, authentication_level: u8, rules: IssuerRules },
    /// They can be exchanged for ours.
    Exchange(ExchangeProvider),
    /// They prove a part of the platform to be one.
    Platform,
}

#[derive(Debug)]
struct Configured {
    issuer: String,
    jwks_uri: String,
    use_of: UseOf,
    /// One question is asked at a time.
    last_look: Mutex<Option<refresh_keys::Look>>,
}

impl Configured {
    /// What its tokens may be signed with.
    fn algorithms(&self) -> Algorithms {
        match self.use_of {
            UseOf::Trusted { rules, .. } => rules.algorithms,
            UseOf::Exchange(_) | UseOf::Platform => Algorithms::USUAL,
        }
    }
}

impl Issuers {
    /// Starts with the keys that the database knows.
    pub(crate) async fn open(
        configs: Vec<IssuerConfig>,
        exchange: Vec<ExchangeIssuerConfig>,
        platform: Vec<PlatformIssuerConfig>,
        own: Option<OwnIssuer>,
        store: &Store,
    ) -> anyhow::Result<Self> {
        let trusted =
            configs.into_iter().map(|IssuerConfig { issuer, kind, jwks_uri, authentication_level, rules }| {
                let use_of = UseOf::Trusted { kind: kind.into(), authentication_level, rules };
                Configured { issuer, jwks_uri, use_of, last_look: Mutex::new(None) }
            });
        let exchange = exchange.into_iter().map(|ExchangeIssuerConfig { provider, issuer, jwks_uri, .. }| Configured {
            issuer,
            jwks_uri,
            use_of: UseOf::Exchange(provider),
            last_look: Mutex::new(None),
        });
        let platform = platform.into_iter().map(|PlatformIssuerConfig { issuer, jwks_uri }| Configured {
            issuer,
            jwks_uri,
            use_of: UseOf::Platform,
            last_look: Mutex::new(None),
        });
        let configured: Vec<_> = trusted.chain(exchange).chain(platform).map(Arc::new).collect();
        let http = client(configured.iter().map(|configured| configured.jwks_uri.as_str()))
            .context("cannot make the HTTP client that fetches keys")?;
        let issuers = Self {
            configured,
            own,
            trusted: RwLock::new(Arc::new([])),
            others: RwLock::new(Arc::new([])),
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

    /// The issuers whose tokens a provider exchanges, with the keys in use.
    pub(crate) fn exchangeable(&self, provider: ExchangeProvider) -> Arc<[TrustedIssuer]> {
        if provider == ExchangeProvider::Maskinporten {
            let trusted = self.trusted();
            return trusted.iter().filter(|issuer| issuer.kind == IssuerKind::Maskinporten).cloned().collect();
        }
        self.trusted_with(UseOf::Exchange(provider))
    }

    /// The issuers of platform access tokens, with the keys in use.
    pub(crate) fn platform(&self) -> Arc<[TrustedIssuer]> {
        self.trusted_with(UseOf::Platform)
    }

    fn trusted_with(&self, use_of: UseOf) -> Arc<[TrustedIssuer]> {
        let others = self.others.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        others.iter().filter(|(of, _)| *of == use_of).map(|(_, issuer)| issuer.clone()).collect()
    }

    /// The issuers that gateways trust.
    pub(crate) fn at_gateways(&self) -> impl Iterator<Item = GatewayIssuer> {
        let configured = self.configured.iter().filter_map(|configured| match configured.use_of {
            UseOf::Trusted { kind, authentication_level, rules } => {
                Some(GatewayIssuer { issuer: configured.issuer.clone(), kind, authentication_level, rules })
            }
            UseOf::Platform => Some(GatewayIssuer {
                issuer: configured.issuer.clone(),
                kind: IssuerKind::Platform,
                authentication_level: 0,
                rules: IssuerRules::default(),
            }),
            UseOf::Exchange(_) => None,
        });
        let own = self.own.iter().filter(|own| own.is_trusted_by_gateways).map(OwnIssuer::at_gateways);
        configured.chain(own)
    }

    /// Takes the keys that the database knows into use.
    async fn reload(&self, store: &Store) -> anyhow::Result<()> {
        let _one_at_a_time = self.reloading.lock().await;
        let mut connection = store.read().await?;
        let (mut trusted, mut others) = (Vec::new(), Vec::new());
        for configured in &self.configured {
            let issuer = &configured.issuer;
            match configured.use_of {
                UseOf::Trusted { kind, authentication_level, rules } => {
                    let issuer = with_keys(&mut connection, issuer, kind, authentication_level).await?;
                    trusted.push(TrustedIssuer { rules, ..issuer });
                }
                // Neither kind nor level counts: only the exchange sees these tokens.
                UseOf::Exchange(_) => {
                    let issuer = with_keys(&mut connection, issuer, IssuerKind::Maskinporten, 0).await?;
                    others.push((configured.use_of, issuer));
                }
                UseOf::Platform => {
                    others.push((UseOf::Platform, with_keys(&mut connection, issuer, IssuerKind::Altinn, 0).await?));
                }
            }
        }
        if let Some(own) = &self.own {
            trusted.push(with_keys(&mut connection, &own.issuer, IssuerKind::Altinn, 0).await?);
        }
        *self.trusted.write().unwrap_or_else(std::sync::PoisonError::into_inner) = trusted.into();
        *self.others.write().unwrap_or_else(std::sync::PoisonError::into_inner) = others.into();
        Ok(())
    }
}

impl OwnIssuer {
    fn at_gateways(&self) -> GatewayIssuer {
        GatewayIssuer {
            issuer: self.issuer.clone(),
            kind: IssuerKind::Altinn,
            authentication_level: 0,
            rules: IssuerRules::default(),
        }
    }
}

async fn with_keys(
    connection: &mut Connection,
    issuer: &str,
    kind: IssuerKind,
    authentication_level: u8,
) -> anyhow::Result<TrustedIssuer> {
    let jwks = store::keys(connection, issuer).await?;
    let keys = jwks.iter().map(VerificationKey::from_jwk).collect::<Result<Vec<_>, _>>();
    let keys = keys.with_context(|| format!("a stored key of `{issuer}` is not accepted"))?;
    let rules = IssuerRules::default();
    Ok(TrustedIssuer { issuer: issuer.to_owned(), kind, keys, authentication_level, rules })
}

/// Stores and uses our own keys, if they are others than before.
pub(crate) async fn replace_own_keys(
    state: &AppState,
    issuer: &str,
    keys: &[Value],
    now: Timestamp,
) -> anyhow::Result<()> {
    let mut change = state.store.change().await?;
    if store::keys(change.connection(), issuer).await? == keys {
        return Ok(());
    }
    store::replace_keys(change.connection(), issuer, keys, now).await?;
    change.commit(now, "token_keys_changed", json!({ "issuer": issuer, "keys": keys.len() })).await?;
    state.issuers.reload(&state.store).await
}

/// Stores and uses these keys as if the issuer had published them.
#[cfg(test)]
pub(crate) async fn trust_for_test(state: &AppState, issuer: &str, keys: &[Value]) {
    let mut change = state.store.change().await.unwrap();
    store::replace_keys(change.connection(), issuer, keys, state.clock.now()).await.unwrap();
    change.commit(state.clock.now(), "issuer_keys_changed", json!({})).await.unwrap();
    state.issuers.reload(&state.store).await.unwrap();
}
