//! What every operation may use: the store, the clock, the source of ids, the trusted issuers, the published snapshots.

use std::collections::BTreeSet;
use std::hash::RandomState;
use std::sync::{Arc, Mutex};

use policies::Timestamp;
use policies::id::OrganizationNumber;
use policies::token::TokenCache;
use tokio::sync::{Notify, watch};
use url::Url;
use uuid::Uuid;

use crate::config::AddressRange;
use crate::decisions::CompiledPolicies;
use crate::gateways::{HeldPolls, PollReports};
use crate::issuers::Issuers;
use crate::logins::LoginProviders;
use crate::metrics::Metrics;
use crate::rate_limit::RateLimit;
use crate::snapshots::Publications;
use crate::store::Store;
use crate::tokens::TokenIssuer;
use crate::webhooks::Sender;

/// What time it is. Tests set it.
pub trait Clock: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// Where ids, secrets and keys come from. Tests count.
pub trait Ids: Send + Sync + 'static {
    /// Fills `bytes` with unpredictable bytes.
    fn fill(&self, bytes: &mut [u8]) -> anyhow::Result<()>;

    /// A uuid of version 4.
    fn uuid(&self) -> anyhow::Result<Uuid> {
        let mut bytes = [0; 16];
        self.fill(&mut bytes)?;
        Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the Clock that everybody else asks")]
    fn now(&self) -> Timestamp {
        let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_unix_millis(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The operating system's random source.
#[derive(Debug, Clone, Copy)]
pub struct SystemIds;

impl Ids for SystemIds {
    fn fill(&self, bytes: &mut [u8]) -> anyhow::Result<()> {
        getrandom::fill(bytes).map_err(|error| anyhow::anyhow!("the system's random source failed: {error}"))
    }
}

/// Bearer tokens whose signature was verified. Their times, issuer and key are checked with every use.
pub(crate) type KnownTokens = Mutex<TokenCache<RandomState>>;

/// How many of them are remembered, with at most 1 KiB for each on the whole.
pub(crate) const KNOWN_TOKENS_MAX: usize = 4096;

/// Shared by all handlers; cheap to clone.
#[derive(Clone)]
pub struct AppState {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) tokens: Option<Arc<TokenIssuer>>,
    pub(crate) logins: Arc<LoginProviders>,
    pub(crate) issuers: Arc<Issuers>,
    pub(crate) known_tokens: Arc<KnownTokens>,
    pub(crate) publications: Arc<Publications>,
    pub(crate) compiled_policies: Arc<CompiledPolicies>,
    pub(crate) poll_reports: Arc<PollReports>,
    pub(crate) held_polls: Arc<HeldPolls>,
    /// There may be a job to go on with.
    pub(crate) client_jobs: Arc<Notify>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) rate_limit: Arc<RateLimit>,
    pub(crate) webhook_sender: Arc<Sender>,
    pub(crate) stopping: watch::Receiver<bool>,
}

impl AppState {
    /// Waits until the service stops.
    pub(crate) async fn stopped(&self) {
        let mut stopping = self.stopping.clone();
        let _stop = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Whether the service stops; also when whoever could stop it is gone, as [`Self::stopped`] has it.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow() || self.stopping.has_changed().is_err()
    }
}

/// What the configuration says about the operations.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Ends with a slash.
    pub(crate) public_url: Url,
    /// Who may say that a caller has reached us under another URL.
    pub(crate) trusted_proxies: Vec<AddressRange>,
    pub(crate) operators: BTreeSet<OrganizationNumber>,
    pub(crate) lookup_organizations: BTreeSet<OrganizationNumber>,
    pub(crate) snapshot_validity_s: i64,
}
