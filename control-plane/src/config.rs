//! The configuration: a TOML file, overridden by `PORTVAKT_*` in the environment. Unknown keys are refused.
//!
//! The README explains every key.

mod address_range;
mod database;
mod issuers;
mod tokens;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use axum::http::HeaderName;
use figment::Figment;
use figment::error::Kind;
use figment::providers::{Env, Format as _, Toml};
use policies::id::OrganizationNumber;
use serde::Deserialize;
use url::Url;

pub use address_range::AddressRange;
pub use database::Database;
pub use issuers::{IssuerConfig, IssuerKindConfig};
pub use tokens::{ExchangeIssuerConfig, ExchangeProvider, LoginProviderConfig, TokensConfig};

const KEY_REFRESH_S: std::ops::RangeInclusive<u64> = 10..=86_400;
const SNAPSHOT_VALIDITY_S: std::ops::RangeInclusive<i64> = 60..=2_592_000;

/// All that an operator can set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How callers reach us; used in `Location` and `confirmUrl`. The listening address by default.
    #[serde(default)]
    pub public_url: Option<String>,
    /// Where the data is.
    pub database: Database,
    /// The key that signs snapshots (PEM, PKCS #8). Beside a SQLite file by default, made at first start; with
    /// PostgreSQL it is given, the same to every replica.
    #[serde(default)]
    pub signing_key: Option<PathBuf>,
    /// Where to serve metrics; nowhere without it.
    #[serde(default)]
    pub metrics_listen: Option<SocketAddr>,
    /// Calls a second that one address may make in the long run; 0 is no limit.
    #[serde(default = "default_rate_limit_per_s")]
    pub rate_limit_per_s: u32,
    /// Calls that one address may make at once.
    #[serde(default = "default_rate_limit_burst")]
    pub rate_limit_burst: u32,
    /// The header in which a proxy in front says whom it forwards for.
    #[serde(default)]
    pub client_address_header: Option<String>,
    /// Proxies that may say under which URL a caller has reached us.
    #[serde(default)]
    pub trusted_proxies: Vec<AddressRange>,
    /// Whether webhooks may go to private addresses, and over http.
    #[serde(default)]
    pub webhook_private_addresses: bool,
    /// Organisations that operate the control plane.
    #[serde(default)]
    pub operators: Vec<OrganizationNumber>,
    /// Organisations that may ask `byExternalId`: Maskinporten itself.
    #[serde(default)]
    pub lookup_organizations: Vec<OrganizationNumber>,
    /// Parties to begin with: imported at a start that finds none.
    #[serde(default)]
    pub parties_file: Option<PathBuf>,
    /// Seconds between two looks at the issuers' keys.
    #[serde(default = "default_key_refresh_s")]
    pub key_refresh_s: u64,
    /// Seconds after which a snapshot is no longer accepted.
    #[serde(default = "default_snapshot_validity_s")]
    pub snapshot_validity_s: i64,
    /// Whose tokens are trusted, here and at every gateway.
    #[serde(default)]
    pub issuers: Vec<IssuerConfig>,
    /// Whose platform access tokens prove other parts of the platform.
    #[serde(default)]
    pub platform_issuers: Vec<PlatformIssuerConfig>,
    /// Issuing tokens of our own.
    #[serde(default)]
    pub tokens: Option<TokensConfig>,
}

/// An issuer of platform access tokens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformIssuerConfig {
    /// The exact `iss`: `platform`, or the code of a service owner.
    pub issuer: String,
    /// Where its keys are.
    pub jwks_uri: String,
}

impl Config {
    /// Reads the file and the environment.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the configuration `{}`", file.display()))?;
        Self::from_figment(Figment::from(Toml::string(&text)).merge(Env::prefixed("PORTVAKT_")))
            .with_context(|| format!("the configuration `{}` is not accepted", file.display()))
    }

    fn from_figment(figment: Figment) -> anyhow::Result<Self> {
        let config: Self = figment.extract().map_err(|errors| {
            let mistakes: Vec<_> = errors.into_iter().map(|error| mistake(&error)).collect();
            anyhow::anyhow!("{}", mistakes.join("; "))
        })?;
        config.check()?;
        Ok(config)
    }

    /// Where the signing key is.
    pub fn signing_key_file(&self) -> anyhow::Result<PathBuf> {
        match (&self.signing_key, &self.database) {
            (Some(file), _) => Ok(file.clone()),
            (None, Database::File(database)) => Ok(database.with_extension("key.pem")),
            (None, Database::Postgres(_)) => {
                bail!("`signing_key` is required with PostgreSQL: the same key at every control plane")
            }
        }
    }

    /// Where the keys that sign tokens are.
    pub(crate) fn token_key_file(&self, tokens: &TokensConfig) -> anyhow::Result<PathBuf> {
        match (&tokens.key_file, &self.database) {
            (Some(file), _) => Ok(file.clone()),
            (None, Database::File(database)) => Ok(database.with_extension("tokens.json")),
            (None, Database::Postgres(_)) => {
                bail!("`tokens.key_file` is required with PostgreSQL: the same file at every control plane")
            }
        }
    }

    /// The URL that callers use, ending with a slash; `listening` is what we listen on.
    pub(crate) fn public_url(&self, listening: SocketAddr) -> anyhow::Result<Url> {
        match &self.public_url {
            Some(text) => web_url("public_url", text),
            None => web_url("listen", &format!("http://{listening}")),
        }
    }

    /// Which header says who calls.
    pub(crate) fn client_address_header(&self) -> anyhow::Result<Option<HeaderName>> {
        let name = self.client_address_header.as_deref();
        name.map(|name| name.parse().with_context(|| format!("`client_address_header` is no header name: `{name}`")))
            .transpose()
    }

    fn check(&self) -> anyhow::Result<()> {
        self.client_address_header()?;
        ensure!(self.rate_limit_burst > 0, "`rate_limit_burst` must be at least 1");
        self.signing_key_file()?;
        ensure!(
            KEY_REFRESH_S.contains(&self.key_refresh_s),
            "`key_refresh_s` must be {} seconds",
            from_to(&KEY_REFRESH_S)
        );
        ensure!(
            SNAPSHOT_VALIDITY_S.contains(&self.snapshot_validity_s),
            "`snapshot_validity_s` must be {} seconds",
            from_to(&SNAPSHOT_VALIDITY_S)
        );
        if let Some(public_url) = &self.public_url {
            web_url("public_url", public_url)?;
        }
        for issuer in &self.platform_issuers {
            web_url("jwks_uri", &issuer.jwks_uri).with_context(|| format!("of the issuer `{}`", issuer.issuer))?;
        }
        if let Some(tokens) = &self.tokens {
            tokens.check()?;
        }
        let mut seen = std::collections::BTreeSet::new();
        for issuer in &self.issuers {
            ensure!(!issuer.issuer.is_empty(), "an `issuer` is empty");
            ensure!(seen.insert(&issuer.issuer), "issuer `{}` occurs twice", issuer.issuer);
            ensure!(issuer.authentication_level <= 4, "`authentication_level` of `{}` must be 0 to 4", issuer.issuer);
            web_url("jwks_uri", &issuer.jwks_uri).with_context(|| format!("of the issuer `{}`", issuer.issuer))?;
        }
        for issuer in &self.platform_issuers {
            ensure!(seen.insert(&issuer.issuer), "issuer `{}` occurs twice", issuer.issuer);
        }
        Ok(())
    }
}

/// What is wrong, in the words of the file: the key, and whether the environment has it.
fn mistake(error: &figment::Error) -> String {
    let key = error.path.join(".");
    let is_variable = error.metadata.as_ref().is_some_and(|metadata| metadata.name.contains("environment"));
    let of = if is_variable { " of the environment" } else { "" };
    match &error.kind {
        Kind::UnknownField(_, known) => format!("unknown key `{key}`{of}; known are {}", known.join(", ")),
        Kind::MissingField(name) if key.is_empty() => format!("`{name}` is missing"),
        Kind::MissingField(name) => format!("`{key}.{name}` is missing"),
        Kind::UnknownVariant(found, known) => format!("`{key}`{of}: `{found}` is none of `{}`", known.join("`, `")),
        kind if key.is_empty() => kind.to_string(),
        // What `std` says of it does not say what it should be.
        Kind::Message(said) if said.contains("socket address") => {
            format!("`{key}`{of}: expected an address and a port, as in `127.0.0.1:8080`")
        }
        kind => format!("`{key}`{of}: {kind}"),
    }
}

/// The limits of a number, in words.
fn from_to<N: std::fmt::Display>(limits: &std::ops::RangeInclusive<N>) -> String {
    format!("from {} to {}", limits.start(), limits.end())
}

/// An absolute http(s) URL, its path ending with a slash when it is a base.
fn web_url(key: &str, text: &str) -> anyhow::Result<Url> {
    let mut url = Url::parse(text).with_context(|| format!("`{key}` is not a URL: `{text}`"))?;
    ensure!(
        matches!(url.scheme(), "http" | "https") && url.has_host(),
        "`{key}` is not an http or https URL: `{text}`"
    );
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

fn default_rate_limit_per_s() -> u32 {
    300
}

fn default_rate_limit_burst() -> u32 {
    600
}

fn default_key_refresh_s() -> u64 {
    300
}

fn default_snapshot_validity_s() -> i64 {
    86_400
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = "listen = \"127.0.0.1:0\"\ndatabase = \"/tmp/x/portvakt.db\"\n";

    fn read(toml: &str) -> Result<Config, String> {
        Config::from_figment(Figment::from(Toml::string(toml))).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn defaults_are_filled_in() {
        let config = read(SMALLEST).unwrap();
        assert_eq!((config.key_refresh_s, config.snapshot_validity_s), (300, 86_400));
        assert_eq!(config.signing_key_file().unwrap(), Path::new("/tmp/x/portvakt.key.pem"));
        let url = config.public_url("127.0.0.1:8080".parse().unwrap()).unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:8080/");
    }

    #[test]
    fn a_mistake_is_told_in_the_words_of_the_file() {
        for (toml, told) in [
            ("listen = \"x\"\ndatabase = \"d\"\n", "`listen`: expected an address and a port, as in `127.0.0.1:8080`"),
            ("listen = \"127.0.0.1:0\"\n", "`database` is missing"),
            (&format!("{SMALLEST}[[issuers]]\nissuer = \"a\"\n"), "`issuers.0`: missing field `kind`"),
            (
                &format!("{SMALLEST}[[issuers]]\nissuer = \"a\"\nkind = \"oidc\"\njwks_uri = \"https://a/\"\n"),
                "`issuers.0.kind`: `oidc` is none of `maskinporten`, `altinn`",
            ),
            (
                &format!("{SMALLEST}[[issuers]]\nissuer = \"a\"\nkind = \"altinn\"\njwks_uri = \"ftp://a\"\n"),
                "of the issuer `a`: `jwks_uri` is not an http or https URL: `ftp://a`",
            ),
            (&format!("{SMALLEST}key_refresh_s = 1\n"), "`key_refresh_s` must be from 10 to 86400 seconds"),
        ] {
            assert_eq!(read(toml).unwrap_err(), told);
        }
        let unknown = read(&format!("{SMALLEST}databse = \"x\"\n")).unwrap_err();
        assert!(unknown.starts_with("unknown key `databse`; known are listen, public_url, database, "), "{unknown}");
    }

    #[test]
    fn every_mistake_is_named() {
        for (line, named) in [
            ("databse = \"x\"", "databse"),
            ("operators = [\"310247007\"]", "check digit"),
            ("key_refresh_s = 1", "key_refresh_s"),
            ("rate_limit_burst = 0", "rate_limit_burst"),
            ("client_address_header = \"a b\"", "client_address_header"),
            ("snapshot_validity_s = 1", "snapshot_validity_s"),
            ("public_url = \"ftp://x\"", "public_url"),
            ("[[issuers]]\nissuer = \"https://a/\"\nkind = \"oidc\"\njwks_uri = \"https://a/jwk\"", "oidc"),
            ("[[issuers]]\nissuer = \"https://a/\"\nkind = \"altinn\"\njwks_uri = \"jwk\"", "jwks_uri"),
            ("[[issuers]]\nissuer = \"https://a/\"\nkind = \"altinn\"", "jwks_uri"),
        ] {
            let error = read(&format!("{SMALLEST}{line}")).unwrap_err();
            assert!(error.contains(named), "{line}: {error}");
        }
        assert!(read("listen = \"127.0.0.1:0\"").unwrap_err().contains("database"));
        let shared = "listen = \"127.0.0.1:0\"\ndatabase = \"postgres://u:secret@h/d\"\n";
        let error = read(shared).unwrap_err();
        assert!(error.contains("signing_key") && !error.contains("secret"), "{error}");
        let config = read(&format!("{shared}signing_key = \"/etc/portvakt/key.pem\"")).unwrap();
        assert!(!format!("{config:?}").contains("secret"));
    }
}
