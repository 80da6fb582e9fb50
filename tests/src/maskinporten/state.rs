//! What the stand-in knows: its keys, its clients, the used assertions, and where the look-up is.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use url::Url;

use super::clients::Clients;
use super::keys::{KeyRing, SigningAlgorithm, SigningKey};
use super::login::Codes;
use super::organization::OrganizationNumber;
use super::used_assertions::UsedAssertions;
use crate::http;

/// What Maskinporten gives by default.
const LIFETIME_SECONDS: i64 = 120;

/// How long tokens live, and how long ago they were issued (to make tokens that have expired).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TokenLifetime {
    pub(super) seconds: i64,
    pub(super) issued_seconds_ago: i64,
}

pub(super) struct State {
    /// The base address with a slash at the end.
    pub(super) issuer: String,
    /// The stand-in's own organisation, in whose name it asks the look-up.
    pub(super) organization: OrganizationNumber,
    pub(super) http: reqwest::Client,
    pub(super) keys: Guarded<KeyRing>,
    pub(super) platform_key: SigningKey,
    pub(super) clients: Guarded<Clients>,
    pub(super) codes: Guarded<Codes>,
    pub(super) used: Guarded<UsedAssertions>,
    pub(super) control_plane: Guarded<Option<Url>>,
    pub(super) lifetime: Guarded<TokenLifetime>,
}

impl State {
    pub(super) fn new(issuer: String, organization: OrganizationNumber) -> Result<Self> {
        Ok(Self {
            issuer,
            organization,
            http: http::loopback_client()?,
            keys: Guarded::new(KeyRing::new(SigningKey::generate(SigningAlgorithm::Rs256)?)),
            platform_key: SigningKey::generate(SigningAlgorithm::Rs256)?,
            clients: Guarded::new(Clients::default()),
            codes: Guarded::new(Codes::default()),
            used: Guarded::new(UsedAssertions::default()),
            control_plane: Guarded::new(None),
            lifetime: Guarded::new(TokenLifetime { seconds: LIFETIME_SECONDS, issued_seconds_ago: 0 }),
        })
    }
}

/// A mutex whose guards are never held across an await, and which a panic elsewhere does not close.
#[derive(Debug, Default)]
pub(super) struct Guarded<T>(Mutex<T>);

impl<T> Guarded<T> {
    fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seconds since 1970.
pub(super) fn now() -> Result<i64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    i64::try_from(since.as_secs()).context("the clock is out of range")
}
