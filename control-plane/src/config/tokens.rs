//! What the configuration says about tokens of our own: `[tokens]`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::ensure;
use policies::id::OrganizationNumber;
use serde::Deserialize;

use super::{from_to, web_url};

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
    /// Where people log in (OpenID Connect).
    #[serde(default)]
    pub login_providers: Vec<LoginProviderConfig>,
}

/// A provider of logins.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginProviderConfig {
    /// In addresses and tokens.
    pub name: String,
    /// For people.
    pub title: String,
    /// The exact `iss`; its metadata is found from there.
    pub issuer: String,
    /// We, at the provider.
    pub client_id: String,
    /// … and how we prove it; without it, by PKCE only.
    #[serde(default)]
    pub client_secret: Option<String>,
    /// What is asked for besides `openid`.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The claim that carries the user's number; without it the person's identity is looked up.
    #[serde(default)]
    pub user_id_claim: Option<String>,
    /// Level of logins whose `acr` is none of ID-porten's.
    #[serde(default)]
    pub authentication_level: u8,
}

impl std::fmt::Debug for LoginProviderConfig {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("LoginProviderConfig");
        shown.field("name", &self.name).field("issuer", &self.issuer).finish_non_exhaustive()
    }
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
        ensure!(SESSION_S.contains(&self.session_s), "`tokens.session_s` must be {} seconds", from_to(&SESSION_S));
        let mut names = BTreeSet::new();
        for provider in &self.login_providers {
            web_url("issuer", &provider.issuer)?;
            ensure!(provider.authentication_level <= 4, "`authentication_level` is 0 to 4");
            let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            ensure!(
                !provider.name.is_empty() && provider.name.bytes().all(is_name),
                "a login provider's `name` has small letters, digits and hyphens: `{}`",
                provider.name
            );
            ensure!(names.insert(&provider.name), "two login providers are called `{}`", provider.name);
        }
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
