//! What the configuration says about tokens of our own: `[tokens]`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::ensure;
use policies::id::OrganizationNumber;
use serde::Deserialize;

use super::web_url;

const SESSION_S: std::ops::RangeInclusive<i64> = 600..=86_400;

/// Issuing tokens; without this table nothing is issued.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokensConfig {
    /// The keys that sign tokens; beside the database by default, made at first start.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// Whether gateways trust our tokens, too.
    #[serde(default = "default_trusted_by_gateways")]
    pub trusted_by_gateways: bool,
    /// Whom a token that is to be exchanged may be for, besides us.
    #[serde(default)]
    pub audiences: BTreeSet<String>,
    /// Codes of service owners, and their organisations.
    #[serde(default)]
    pub service_owners: BTreeMap<String, OrganizationNumber>,
    /// Seconds after a login in which tokens are renewed.
    #[serde(default = "default_session_s")]
    pub session_s: i64,
    /// Whose tokens are exchanged although they are trusted with nothing else.
    #[serde(default)]
    pub exchange_issuers: Vec<ExchangeIssuerConfig>,
}

/// An issuer whose tokens are only good for being exchanged.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExchangeIssuerConfig {
    /// Which of Altinn's exchanges takes its tokens.
    pub provider: ExchangeProvider,
    /// The exact `iss`.
    pub issuer: String,
    /// Where its keys are.
    pub jwks_uri: String,
    /// The claim that carries the user's number; without it the person's identity is looked up.
    #[serde(default)]
    pub user_id_claim: Option<String>,
}

/// The exchanges, as Altinn's path names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExchangeProvider {
    /// People, through a vendor's system.
    #[serde(rename = "id-porten")]
    IdPorten,
    /// Machines. Its issuers are those of `[[issuers]]`.
    Maskinporten,
    /// Altinn's tool for developers.
    AltinnStudio,
}

impl TokensConfig {
    pub(super) fn check(&self) -> anyhow::Result<()> {
        ensure!(SESSION_S.contains(&self.session_s), "`tokens.session_s` must be in {SESSION_S:?} seconds");
        for issuer in &self.exchange_issuers {
            web_url("jwks_uri", &issuer.jwks_uri)?;
            ensure!(
                issuer.provider != ExchangeProvider::Maskinporten,
                "an issuer of Maskinporten's tokens belongs in `[[issuers]]`"
            );
        }
        Ok(())
    }
}

fn default_trusted_by_gateways() -> bool {
    true
}

fn default_session_s() -> i64 {
    28_800
}
