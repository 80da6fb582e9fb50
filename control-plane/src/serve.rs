//! Starting and stopping: the order in which the parts come up, and go down without cutting a call off.

mod connections;

use std::fs::File;
use std::hash::RandomState;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use policies::token::TokenCache;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use url::Url;

use self::connections::Limits;
use crate::client_delegations;
use crate::config::{Config, Database};
use crate::decisions::CompiledPolicies;
use crate::expiry;
use crate::gateways::{HeldPolls, PollReports};
use crate::issuers::{self, Issuers, OwnIssuer};
use crate::logins::LoginProviders;
use crate::metrics::{self, Metrics};
use crate::party_imports;
use crate::rate_limit::RateLimit;
use crate::snapshots::{self, Publications, SigningKey};
use crate::state::{AppState, Clock, Ids, KNOWN_TOKENS_MAX, Settings};
use crate::store::Store;
use crate::tokens::{self, TokenIssuer};
use crate::webhooks::Sender;
use crate::{system_users, webhooks};

/// How long calls under way may go on after the stop.
const STOP_TIME_MAX: Duration = Duration::from_secs(10);

/// A control plane that listens. Dropping it leaves it running; [`Running::stop`] ends it.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    helpers: Vec<JoinHandle<()>>,
    store: Store,
    _claim: Option<File>,
}

/// Starts a control plane. It listens when this returns.
pub async fn start(config: Config, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> anyhow::Result<Running> {
    // Fails only when somebody in this process chose already; any choice will do.
    let _chosen_before = rustls::crypto::ring::default_provider().install_default();
    let listener =
        TcpListener::bind(config.listen).await.with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = listener.local_addr()?;
    let metrics_listener = match config.metrics_listen {
        Some(address) => Some(TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?),
        None => None,
    };
    let claim = Store::claim(&config.database)?;
    let (stop, stopping) = watch::channel(false);
    let key_refresh = Duration::from_secs(config.key_refresh_s);
    let parties_file = config.parties_file.clone();
    let state = open(config, address, clock, ids, stopping.clone()).await?;
    if let Some(file) = parties_file {
        party_imports::file::import_first(&state, &file).await?;
    }

    let mut helpers = vec![
        tokio::spawn(snapshots::keep_published(state.clone())),
        tokio::spawn(issuers::keep_fresh(state.clone(), key_refresh)),
        tokio::spawn(expiry::keep_marked(state.clone())),
        tokio::spawn(tokens::keep_keys_published(state.clone())),
        tokio::spawn(client_delegations::jobs::run::keep_going(state.clone())),
        tokio::spawn(system_users::keep_ended(state.clone())),
        tokio::spawn(webhooks::keep_delivered(state.clone())),
    ];
    let metrics_address = match metrics_listener {
        Some(listener) => {
            let address = listener.local_addr()?;
            let app = metrics::app(state.clone());
            helpers.push(tokio::spawn(connections::serve(listener, app, Limits::METRICS, stopping.clone())));
            Some(address)
        }
        None => None,
    };
    let server = tokio::spawn(connections::serve(listener, crate::app(state.clone()), Limits::DEFAULT, stopping));
    Ok(Running { address, metrics_address, stop, server, helpers, store: state.store, _claim: claim })
}

/// Imports a file of parties where no control plane runs; gives the number of bodies in it.
pub async fn import_parties(
    config: Config,
    file: &Path,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
) -> anyhow::Result<usize> {
    let _claim = Store::claim(&config.database)?;
    let (_stop, stopping) = watch::channel(false);
    let address = config.listen;
    let state = open(config, address, clock, ids, stopping).await?;
    let bodies = party_imports::file::import(&state, file).await;
    state.store.close().await;
    bodies
}

/// The state that the configuration describes, with the snapshots that were published before.
pub(crate) async fn open(
    config: Config,
    address: SocketAddr,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    stopping: watch::Receiver<bool>,
) -> anyhow::Result<AppState> {
    let key_file = config.signing_key_file()?;
    let store = Store::open(&config.database).await?;
    let signing_key = match &config.database {
        Database::File(_) => SigningKey::open(&key_file, &*ids)?,
        Database::Postgres(_) => SigningKey::read(&key_file)?,
    };
    if store.is_shared() {
        snapshots::check_signing_key(&store, &signing_key).await?;
    }
    let epoch = snapshots::restore_epoch(&store, &*ids).await?;
    let rate_limit = RateLimit::new(config.rate_limit_per_s, config.rate_limit_burst, config.client_address_header()?);
    let public_url = config.public_url(address)?;
    let tokens = token_issuer(&config, &public_url, &*clock, &*ids)?;
    let own_issuer = tokens.as_ref().map(|tokens| OwnIssuer {
        issuer: tokens.issuer.clone(),
        is_trusted_by_gateways: tokens.config.trusted_by_gateways,
    });
    let (exchange, login_providers) =
        config.tokens.map(|tokens| (tokens.exchange_issuers, tokens.login_providers)).unwrap_or_default();
    let settings = Settings {
        public_url,
        trusted_proxies: config.trusted_proxies,
        operators: config.operators.into_iter().collect(),
        lookup_organizations: config.lookup_organizations.into_iter().collect(),
        snapshot_validity_s: config.snapshot_validity_s,
    };
    let state = AppState {
        issuers: Arc::new(Issuers::open(config.issuers, exchange, config.platform_issuers, own_issuer, &store).await?),
        known_tokens: Arc::new(Mutex::new(TokenCache::of(KNOWN_TOKENS_MAX, RandomState::new()))),
        publications: Arc::new(Publications::new(signing_key, epoch, store.is_shared())),
        compiled_policies: Arc::new(CompiledPolicies::open()?),
        poll_reports: Arc::new(PollReports::default()),
        held_polls: Arc::new(HeldPolls::default()),
        client_jobs: Arc::new(Notify::new()),
        metrics: Arc::new(Metrics::new()?),
        rate_limit: Arc::new(rate_limit),
        webhook_sender: Arc::new(Sender::new(config.webhook_private_addresses)?),
        settings: Arc::new(settings),
        tokens: tokens.map(Arc::new),
        logins: Arc::new(LoginProviders::open(login_providers)?),
        store,
        clock,
        ids,
        stopping,
    };
    tokens::publish_keys(&state).await?;
    snapshots::restore(&state).await?;
    Ok(state)
}

/// Our own issuer, if the configuration wants one.
fn token_issuer(
    config: &Config,
    public_url: &Url,
    clock: &dyn Clock,
    ids: &dyn Ids,
) -> anyhow::Result<Option<TokenIssuer>> {
    let Some(tokens) = &config.tokens else { return Ok(None) };
    let issuer = format!("{public_url}authentication/api/v1/openid/");
    let file = config.token_key_file(tokens)?;
    TokenIssuer::open(issuer, tokens.clone(), &file, ids, clock.now()).map(Some)
}

impl Running {
    /// Where it listens, for example `http://127.0.0.1:8080`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where metrics are, for example `http://127.0.0.1:9464/metrics`.
    pub fn metrics_url(&self) -> Option<String> {
        self.metrics_address.map(|address| format!("http://{address}/metrics"))
    }

    /// Stops: held polls are answered, calls under way are finished, the database is closed.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        let served = tokio::time::timeout(STOP_TIME_MAX, &mut self.server).await;
        if served.is_err() {
            tracing::warn!("some calls were not finished in time and are cut off");
            self.server.abort();
        }
        for helper in self.helpers {
            helper.await.context("a part of the control plane failed")?;
        }
        self.store.close().await;
        match served {
            Ok(served) => served.context("serving failed"),
            Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{SystemClock, SystemIds};

    fn config(folder: &Path) -> Config {
        Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            public_url: None,
            database: folder.join("portvakt.db").into(),
            signing_key: None,
            metrics_listen: Some("127.0.0.1:0".parse().unwrap()),
            rate_limit_per_s: 0,
            rate_limit_burst: 1,
            webhook_private_addresses: false,
            client_address_header: None,
            trusted_proxies: Vec::new(),
            operators: Vec::new(),
            lookup_organizations: Vec::new(),
            parties_file: None,
            key_refresh_s: 300,
            snapshot_validity_s: 86_400,
            issuers: Vec::new(),
            platform_issuers: Vec::new(),
            tokens: None,
        }
    }

    async fn started(folder: &Path) -> anyhow::Result<Running> {
        start(config(folder), Arc::new(SystemClock), Arc::new(SystemIds)).await
    }

    #[tokio::test]
    async fn it_listens_until_it_is_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let running = started(folder.path()).await.unwrap();
        let url = format!("{}/healthz", running.base_url());
        let client = reqwest::Client::new();
        assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
        let metrics = client.get(running.metrics_url().unwrap()).send().await.unwrap().text().await.unwrap();
        assert!(metrics.contains("route=\"/healthz\",status=\"200\"} 1"), "{metrics}");
        running.stop().await.unwrap();
        assert!(client.get(&url).send().await.is_err());
        started(folder.path()).await.unwrap().stop().await.unwrap();
    }

    #[tokio::test]
    async fn two_on_one_database_are_one_too_many() {
        let folder = tempfile::tempdir().unwrap();
        let first = started(folder.path()).await.unwrap();
        let refused = started(folder.path()).await.unwrap_err();
        assert!(refused.to_string().contains("another control plane"), "{refused:#}");
        first.stop().await.unwrap();
    }
}
