//! Whose tokens are trusted: an issuer written out, or one of those that everybody uses, by name.
//!
//! Nobody should type these addresses: the slash at the end of an `iss` counts.

use anyhow::{Context as _, ensure};
use policies::token::{
    Algorithm, Algorithms, CLOCK_SKEW_SECONDS_MAX, IssuerKind, IssuerRules, LIFETIME_SECONDS_LIMITS,
    LIFETIME_SECONDS_MAX,
};
use serde::Deserialize;

use super::from_to;

/// An issuer that everybody uses.
struct Preset {
    name: &'static str,
    issuer: &'static str,
    kind: IssuerKindConfig,
    jwks_uri: &'static str,
}

macro_rules! altinn {
    ($name:literal, $host:literal) => {
        Preset {
            name: $name,
            issuer: concat!("https://", $host, "/authentication/api/v1/openid/"),
            kind: IssuerKindConfig::Altinn,
            jwks_uri: concat!("https://", $host, "/authentication/api/v1/openid/.well-known/openid-configuration/jwks"),
        }
    };
}

macro_rules! maskinporten {
    ($name:literal, $host:literal) => {
        Preset {
            name: $name,
            issuer: concat!("https://", $host, "/"),
            kind: IssuerKindConfig::Maskinporten,
            jwks_uri: concat!("https://", $host, "/jwk"),
        }
    };
}

const PRESETS: [Preset; 6] = [
    maskinporten!("maskinporten-prod", "maskinporten.no"),
    maskinporten!("maskinporten-test", "test.maskinporten.no"),
    maskinporten!("maskinporten-ver2", "ver2.maskinporten.no"),
    altinn!("altinn-prod", "platform.altinn.no"),
    altinn!("altinn-tt02", "platform.tt02.altinn.no"),
    altinn!("altinn-at22", "platform.at22.altinn.cloud"),
];

/// One trusted issuer.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Written")]
pub struct IssuerConfig {
    /// The exact `iss`.
    pub issuer: String,
    /// What its tokens look like.
    pub kind: IssuerKindConfig,
    /// Where its keys are.
    pub jwks_uri: String,
    /// Authentication level of tokens that state none.
    pub authentication_level: u8,
    /// What its tokens must be besides signed, here and at every gateway.
    pub rules: IssuerRules,
}

/// What an issuer's tokens look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IssuerKindConfig {
    /// Maskinporten's own.
    Maskinporten,
    /// Altinn's, exchanged or issued by its platform.
    Altinn,
}

impl From<IssuerKindConfig> for IssuerKind {
    fn from(kind: IssuerKindConfig) -> Self {
        match kind {
            IssuerKindConfig::Maskinporten => Self::Maskinporten,
            IssuerKindConfig::Altinn => Self::Altinn,
        }
    }
}

/// As the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    preset: Option<String>,
    issuer: Option<String>,
    kind: Option<IssuerKindConfig>,
    jwks_uri: Option<String>,
    #[serde(default = "default_authentication_level")]
    authentication_level: u8,
    #[serde(default = "default_clock_skew_s")]
    clock_skew_s: u8,
    #[serde(default = "default_token_lifetime_s")]
    token_lifetime_s: u32,
    #[serde(default = "yes")]
    key_id_required: bool,
    #[serde(default)]
    audience_required: bool,
    algorithms: Option<Vec<String>>,
}

fn default_authentication_level() -> u8 {
    3
}

fn default_clock_skew_s() -> u8 {
    CLOCK_SKEW_SECONDS_MAX
}

fn default_token_lifetime_s() -> u32 {
    LIFETIME_SECONDS_MAX
}

fn yes() -> bool {
    true
}

impl TryFrom<Written> for IssuerConfig {
    type Error = anyhow::Error;

    fn try_from(written: Written) -> anyhow::Result<Self> {
        let preset = written.preset.as_deref().map(preset).transpose()?;
        let (issuer, kind, jwks_uri) = match (preset, written.issuer, written.kind) {
            (Some(preset), None, None) => {
                let jwks_uri = written.jwks_uri.unwrap_or_else(|| preset.jwks_uri.to_owned());
                (preset.issuer.to_owned(), preset.kind, jwks_uri)
            }
            (Some(preset), ..) => anyhow::bail!("preset `{}` says `issuer` and `kind` itself", preset.name),
            (None, issuer, kind) => (
                issuer.context("missing field `issuer` (or `preset`)")?,
                kind.context("missing field `kind`")?,
                written.jwks_uri.context("missing field `jwks_uri`")?,
            ),
        };
        ensure!(
            written.clock_skew_s <= CLOCK_SKEW_SECONDS_MAX,
            "`clock_skew_s` of `{issuer}` must be 0 to {CLOCK_SKEW_SECONDS_MAX}"
        );
        ensure!(
            LIFETIME_SECONDS_LIMITS.contains(&written.token_lifetime_s),
            "`token_lifetime_s` of `{issuer}` must be {} seconds",
            from_to(&LIFETIME_SECONDS_LIMITS)
        );
        let algorithms = written.algorithms.as_deref().map(algorithms).transpose();
        // One message: what reads the file shows no causes.
        let algorithms = algorithms.map_err(|error| anyhow::anyhow!("`algorithms` of `{issuer}`: {error}"))?;
        Ok(Self {
            issuer,
            kind,
            jwks_uri,
            authentication_level: written.authentication_level,
            rules: IssuerRules {
                clock_skew_seconds: written.clock_skew_s,
                lifetime_seconds_max: written.token_lifetime_s,
                is_key_id_required: written.key_id_required,
                is_audience_required: written.audience_required,
                algorithms: algorithms.unwrap_or_default(),
            },
        })
    }
}

fn algorithms(names: &[String]) -> anyhow::Result<Algorithms> {
    let known = Algorithm::ALL.map(Algorithm::name).join("`, `");
    let listed = names
        .iter()
        .map(|name| Algorithm::parse(name).with_context(|| format!("each is one of `{known}`, not `{name}`")));
    Algorithms::of(listed.collect::<anyhow::Result<Vec<_>>>()?).context("there is at least one")
}

fn preset(name: &str) -> anyhow::Result<&'static Preset> {
    let known = PRESETS.map(|preset| preset.name).join("`, `");
    let found = PRESETS.iter().find(|preset| preset.name == name);
    found.with_context(|| format!("`preset` is one of `{known}`, not `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> Result<IssuerConfig, String> {
        use figment::providers::{Format as _, Toml};
        figment::Figment::from(Toml::string(toml)).extract().map_err(|error: figment::Error| error.to_string())
    }

    #[test]
    fn presets_say_everything() {
        let config = read("preset = \"maskinporten-test\"").unwrap();
        assert_eq!(config.issuer, "https://test.maskinporten.no/");
        assert_eq!(config.jwks_uri, "https://test.maskinporten.no/jwk");
        assert_eq!((config.kind, config.authentication_level), (IssuerKindConfig::Maskinporten, 3));
        assert_eq!(config.rules, IssuerRules::default());
        let config = read("preset = \"altinn-tt02\"\ntoken_lifetime_s = 1800\nclock_skew_s = 2").unwrap();
        assert_eq!(config.issuer, "https://platform.tt02.altinn.no/authentication/api/v1/openid/");
        assert!(config.jwks_uri.ends_with("/openid/.well-known/openid-configuration/jwks"));
        assert_eq!((config.rules.lifetime_seconds_max, config.rules.clock_skew_seconds), (1800, 2));
        let config = read("preset = \"altinn-tt02\"\nalgorithms = [\"PS256\", \"EdDSA\"]").unwrap();
        assert!(config.rules.algorithms.iter().eq([Algorithm::Ps256, Algorithm::EdDsa]));
        for preset in PRESETS {
            assert!(preset.issuer.ends_with('/') && preset.jwks_uri.starts_with(preset.issuer), "{}", preset.name);
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (toml, named) in [
            ("preset = \"maskinporten\"", "`maskinporten-prod`, `maskinporten-test`"),
            ("preset = \"altinn-prod\"\nissuer = \"https://x/\"", "says `issuer`"),
            ("kind = \"altinn\"", "`issuer`"),
            ("preset = \"altinn-prod\"\nclock_skew_s = 11", "clock_skew_s"),
            ("preset = \"altinn-prod\"\ntoken_lifetime_s = 59", "token_lifetime_s"),
            ("preset = \"altinn-prod\"\nskew = 1", "skew"),
            ("preset = \"altinn-prod\"\nalgorithms = []", "at least one"),
            ("preset = \"altinn-prod\"\nalgorithms = [\"HS256\"]", "`RS256`, `ES256`, `PS256`, `EdDSA`, not `HS256`"),
        ] {
            let error = read(toml).unwrap_err();
            assert!(error.contains(named), "{toml}: {error}");
        }
    }
}
