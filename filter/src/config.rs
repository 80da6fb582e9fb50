//! The plugin configuration: read once, complete or refused. Members it does not know are mistakes, not extensions.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use policies::id::ProviderId;
use policies::snapshot::SnapshotKey;
use serde::Deserialize;

use crate::identity::IdentityHeader;

/// Longest configuration that is read, in bytes: a snapshot to begin with, and what else there is.
const CONFIG_BYTES_MAX: usize = BOOTSTRAP_BASE64_BYTES_MAX + 64 * 1024;
/// Longest snapshot to begin with, as base64, in bytes.
const BOOTSTRAP_BASE64_BYTES_MAX: usize = 12 << 20;
/// Most issuers whose keys are fetched.
const ISSUER_KEYS_MAX: usize = 8;
/// Most routes with a staleness of their own.
const STALENESS_ROUTES_MAX: usize = 1000;
/// Most snapshot keys: one in use, and one for rotation.
const SNAPSHOT_KEYS_MAX: usize = 2;

/// What an operator configures. Not printable: it holds the credential.
pub(crate) struct Config {
    pub(crate) provider: ProviderId,
    pub(crate) gateway: String,
    pub(crate) control_plane: ControlPlane,
    pub(crate) snapshot_keys: Vec<SnapshotKey>,
    pub(crate) staleness: Staleness,
    pub(crate) hold: Hold,
    pub(crate) token_cache: TokenCacheLimits,
    /// What the API behind is told.
    pub(crate) identity_headers: Vec<IdentityHeader>,
    pub(crate) realm: String,
    pub(crate) resource_metadata: Option<String>,
    pub(crate) resource: Option<Resource>,
    pub(crate) issuer_keys: Vec<IssuerKeysSource>,
    pub(crate) bootstrap: Option<Bootstrap>,
    pub(crate) decision_log: Option<DecisionLogConfig>,
}

/// What of decisions is told to the control plane.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct DecisionLogConfig {
    /// Of so many permits one is told; 0 tells none.
    pub(crate) permits_one_in: u32,
    /// Most entries that wait in one worker.
    pub(crate) entries_max: usize,
    /// What is told as a hash.
    pub(crate) mask: BTreeSet<Masked>,
}

impl Default for DecisionLogConfig {
    fn default() -> Self {
        Self { permits_one_in: 0, entries_max: 1000, mask: BTreeSet::new() }
    }
}

/// A value in a decision that can be masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Masked {
    SystemUser,
    Party,
}

/// Where an issuer publishes its keys.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct IssuerKeysSource {
    /// As the snapshot names it.
    pub(crate) issuer: String,
    /// Name of the cluster in the gateway's configuration.
    pub(crate) cluster: String,
    /// Host name that is sent.
    pub(crate) authority: String,
    /// Path of its key set (`jwks_uri`).
    pub(crate) path: String,
    /// Shortest time between two tries, of all workers together, in seconds.
    #[serde(default = "default_interval_seconds")]
    pub(crate) interval_seconds: u32,
}

fn default_interval_seconds() -> u32 {
    60
}

/// A snapshot to begin with while the control plane is away.
pub(crate) struct Bootstrap {
    /// A base as the control plane serves it, deltas perhaps after it.
    pub(crate) body: Vec<u8>,
    /// How long ago it may have been signed, in seconds.
    pub(crate) age_seconds_max: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct BootstrapDocument {
    snapshot: String,
    #[serde(default = "default_age_seconds_max")]
    age_seconds_max: u32,
}

fn default_age_seconds_max() -> u32 {
    24 * 3600
}

/// The API as a protected resource (RFC 9728), told to whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resource {
    /// Its identifier, an https URL.
    pub(crate) identifier: String,
    /// A page for developers.
    pub(crate) documentation: Option<String>,
    /// Where its metadata is served (RFC 9728 section 3.1).
    pub(crate) metadata_path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResourceDocument {
    identifier: String,
    documentation: Option<String>,
}

/// Where snapshots come from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ControlPlane {
    /// Name of the cluster in the gateway's configuration.
    pub(crate) cluster: String,
    /// Host name that is sent.
    pub(crate) authority: String,
    /// The gateway credential.
    pub(crate) credential: String,
    /// How long the control plane may hold a poll, in seconds.
    #[serde(default = "default_wait_seconds")]
    pub(crate) wait_seconds: u16,
}

fn default_wait_seconds() -> u16 {
    25
}

/// How old a policy may be: the time since the last poll that succeeded.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct Staleness {
    /// From here on the log warns, in seconds.
    pub(crate) warn_seconds: u32,
    /// From here on every call is refused, in seconds.
    pub(crate) deny_seconds: u32,
    /// Routes whose calls are refused earlier, by name, in seconds.
    pub(crate) routes: BTreeMap<String, u32>,
}

impl Default for Staleness {
    fn default() -> Self {
        Self { warn_seconds: 60, deny_seconds: 15 * 60, routes: BTreeMap::new() }
    }
}

/// Calls that arrive before the first snapshot wait for it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct Hold {
    /// Most calls that wait in one worker.
    pub(crate) calls_max: usize,
    /// Longest wait, in milliseconds.
    pub(crate) milliseconds_max: u32,
}

impl Default for Hold {
    fn default() -> Self {
        Self { calls_max: 1000, milliseconds_max: 5000 }
    }
}

/// Tokens that were verified are remembered.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct TokenCacheLimits {
    /// Most tokens that one worker remembers.
    pub(crate) tokens_max: usize,
}

impl Default for TokenCacheLimits {
    fn default() -> Self {
        Self { tokens_max: policies::token::CACHED_TOKENS }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ConfigDocument {
    provider: ProviderId,
    #[serde(default = "default_gateway")]
    gateway: String,
    control_plane: ControlPlane,
    snapshot_keys: Vec<String>,
    #[serde(default)]
    staleness: Staleness,
    #[serde(default)]
    hold: Hold,
    #[serde(default)]
    token_cache: TokenCacheLimits,
    #[serde(default = "every_identity_header")]
    identity_headers: Vec<IdentityHeader>,
    #[serde(default = "default_realm")]
    realm: String,
    #[serde(default)]
    resource_metadata: Option<String>,
    #[serde(default)]
    resource: Option<ResourceDocument>,
    #[serde(default)]
    issuer_keys: Vec<IssuerKeysSource>,
    #[serde(default)]
    bootstrap: Option<BootstrapDocument>,
    #[serde(default)]
    decision_log: Option<DecisionLogConfig>,
}

fn every_identity_header() -> Vec<IdentityHeader> {
    IdentityHeader::ALL.to_vec()
}

fn default_gateway() -> String {
    "gateway".to_owned()
}

fn default_realm() -> String {
    "portvakt".to_owned()
}

/// Why a configuration is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("the configuration is longer than {CONFIG_BYTES_MAX} bytes")]
    TooLong,
    #[error("`{path}`: {problem}")]
    Json { path: String, problem: String },
    #[error("`{path}`: {problem}")]
    Field { path: &'static str, problem: &'static str },
    #[error("`snapshotKeys[{position}]` is not a P-256 public key in PEM")]
    SnapshotKey { position: usize },
}

impl Config {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        if bytes.len() > CONFIG_BYTES_MAX {
            return Err(ConfigError::TooLong);
        }
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let document: ConfigDocument = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            ConfigError::Json { path, problem: without_values(error.inner()) }
        })?;
        json.end().map_err(|error| ConfigError::Json { path: ".".to_owned(), problem: without_values(&error) })?;
        document.check()?;
        let resource = document.resource.map(Resource::read).transpose()?;
        let keys = document.snapshot_keys.iter().enumerate().map(|(position, pem)| {
            SnapshotKey::from_public_key_pem(pem).map_err(|_| ConfigError::SnapshotKey { position })
        });
        Ok(Self {
            snapshot_keys: keys.collect::<Result<_, _>>()?,
            provider: document.provider,
            gateway: document.gateway,
            control_plane: document.control_plane,
            staleness: document.staleness,
            hold: document.hold,
            token_cache: document.token_cache,
            identity_headers: document.identity_headers,
            realm: document.realm,
            resource_metadata: document.resource_metadata.or_else(|| resource.as_ref().map(Resource::metadata_url)),
            resource,
            issuer_keys: document.issuer_keys,
            decision_log: document.decision_log,
            bootstrap: document.bootstrap.map(read_bootstrap).transpose()?,
        })
    }
}

fn read_bootstrap(document: BootstrapDocument) -> Result<Bootstrap, ConfigError> {
    let wrong = |problem| ConfigError::Field { path: "bootstrap.snapshot", problem };
    if document.snapshot.len() > BOOTSTRAP_BASE64_BYTES_MAX {
        return Err(wrong("longer than 12 MiB"));
    }
    let body = STANDARD.decode(document.snapshot).map_err(|_| wrong("not base64"))?;
    Ok(Bootstrap { body, age_seconds_max: document.age_seconds_max })
}

/// What was expected and where, without what was written there: it may be the credential.
fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if !text.starts_with("invalid ") {
        return text;
    }
    let expected = text.rsplit_once(", expected ").map_or("another value", |(_, expected)| expected);
    // Rust's names of numbers mean nothing to operators.
    let whole = ["u8", "u16", "u32", "u64", "usize"].iter().any(|name| expected.starts_with(name));
    match (whole, expected.split_once(" at line ")) {
        (true, Some((_, place))) => format!("expected a whole number, not negative, at line {place}"),
        _ => format!("expected {expected}"),
    }
}

/// How the path of every protected resource's metadata begins (RFC 9728 section 3).
const METADATA_PATH: &str = "/.well-known/oauth-protected-resource";

impl Resource {
    fn read(document: ResourceDocument) -> Result<Self, ConfigError> {
        let wrong = |path, problem| ConfigError::Field { path, problem };
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\<>?#".contains(&byte));
        let rest = document.identifier.strip_prefix("https://").filter(|rest| is_plain(rest));
        let (host, path) = rest.map_or(("", ""), |rest| rest.split_at(rest.find('/').unwrap_or(rest.len())));
        if host.is_empty() {
            return Err(wrong("resource.identifier", "an https URL without query and fragment"));
        }
        if !document.documentation.as_deref().is_none_or(|url| url.starts_with("https://")) {
            return Err(wrong("resource.documentation", "an https URL"));
        }
        let metadata_path = format!("{METADATA_PATH}{}", path.trim_end_matches('/'));
        Ok(Self { metadata_path, identifier: document.identifier, documentation: document.documentation })
    }

    fn metadata_url(&self) -> String {
        let end = self.identifier.match_indices('/').nth(2).map_or(self.identifier.len(), |(at, _)| at);
        format!("{}{}", self.identifier.get(..end).unwrap_or(&self.identifier), self.metadata_path)
    }
}

impl ConfigDocument {
    fn check(&self) -> Result<(), ConfigError> {
        let name = |text: &str| {
            !text.is_empty()
                && text.len() <= 64
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        };
        // What is put into a header value or between quotes there.
        let quotable =
            |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\');
        let control_plane = &self.control_plane;
        let issuer_keys = |keys: &IssuerKeysSource| {
            let texts = [&keys.issuer, &keys.cluster, &keys.authority];
            texts.iter().all(|text| !text.is_empty() && quotable(text))
                && keys.path.starts_with('/')
                && quotable(&keys.path)
                && (5..=3600).contains(&keys.interval_seconds)
        };
        let checks = [
            (name(&self.gateway), "gateway", "1 to 64 letters, digits, `-`, `.` and `_`"),
            (!control_plane.cluster.is_empty(), "controlPlane.cluster", "the name of a cluster"),
            (!control_plane.authority.is_empty(), "controlPlane.authority", "a host name"),
            (!control_plane.credential.is_empty(), "controlPlane.credential", "the gateway credential"),
            (quotable(&control_plane.authority), "controlPlane.authority", "printable ASCII"),
            (quotable(&control_plane.credential), "controlPlane.credential", "printable ASCII"),
            ((1..=55).contains(&control_plane.wait_seconds), "controlPlane.waitSeconds", "1 to 55"),
            (
                (1..=SNAPSHOT_KEYS_MAX).contains(&self.snapshot_keys.len()),
                "snapshotKeys",
                "one key, or two while they rotate",
            ),
            (
                self.staleness.warn_seconds <= self.staleness.deny_seconds,
                "staleness",
                "`warnSeconds` before `denySeconds`",
            ),
            (
                self.staleness.deny_seconds > u32::from(control_plane.wait_seconds),
                "staleness.denySeconds",
                "longer than `controlPlane.waitSeconds`, or every quiet hour would refuse",
            ),
            (self.staleness.deny_seconds <= 86_400, "staleness.denySeconds", "at most 86400, a day"),
            (self.hold.calls_max <= 10_000, "hold.callsMax", "at most 10000"),
            (self.hold.milliseconds_max <= 60_000, "hold.millisecondsMax", "at most 60000"),
            (
                (2..=policies::token::CACHED_TOKENS_MAX).contains(&self.token_cache.tokens_max),
                "tokenCache.tokensMax",
                "2 to 131072",
            ),
            (is_each_once(&self.identity_headers), "identityHeaders", "each once"),
            (
                self.staleness.routes.values().all(|seconds| (1..=self.staleness.deny_seconds).contains(seconds)),
                "staleness.routes",
                "for each route 1 to `denySeconds`",
            ),
            (self.staleness.routes.len() <= STALENESS_ROUTES_MAX, "staleness.routes", "at most 1000"),
            (self.issuer_keys.len() <= ISSUER_KEYS_MAX, "issuerKeys", "at most 8"),
            (
                self.issuer_keys.iter().all(issuer_keys),
                "issuerKeys",
                "`issuer`, `cluster`, `authority`, a `path` from `/` on, `intervalSeconds` 5 to 3600",
            ),
            (
                self.issuer_keys
                    .iter()
                    .all(|keys| self.issuer_keys.iter().filter(|other| other.issuer == keys.issuer).count() == 1),
                "issuerKeys",
                "each `issuer` once",
            ),
            (
                self.bootstrap.as_ref().is_none_or(|bootstrap| (1..=31 * 86_400).contains(&bootstrap.age_seconds_max)),
                "bootstrap.ageSecondsMax",
                "1 to 2678400, 31 days",
            ),
            (
                self.decision_log.as_ref().is_none_or(|log| (1..=10_000).contains(&log.entries_max)),
                "decisionLog.entriesMax",
                "1 to 10000",
            ),
            (quotable(&self.realm), "realm", "printable ASCII without quotes"),
            (self.resource_metadata.as_deref().is_none_or(quotable), "resourceMetadata", "a URL"),
        ];
        match checks.into_iter().find(|(holds, ..)| !holds) {
            Some((_, path, problem)) => Err(ConfigError::Field { path, problem }),
            None => Ok(()),
        }
    }
}

fn is_each_once(headers: &[IdentityHeader]) -> bool {
    headers.iter().enumerate().all(|(position, header)| !headers.iter().take(position).any(|before| before == header))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A configuration that is complete; its key belongs to nobody.
    pub(crate) fn valid() -> Value {
        json!({
            "provider": "regnskapsregisteret",
            "controlPlane": {"cluster": "control-plane", "authority": "control-plane", "credential": "secret"},
            "snapshotKeys": ["-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n-----END PUBLIC KEY-----\n"]
        })
    }

    fn check(change: impl Fn(&mut Value), expected: &str) {
        let mut value = valid();
        change(&mut value);
        let error = Config::parse(value.to_string().as_bytes()).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_complete_configuration_has_defaults() {
        let config = Config::parse(valid().to_string().as_bytes()).unwrap();
        assert_eq!(config.control_plane.wait_seconds, 25);
        assert_eq!((config.staleness.warn_seconds, config.staleness.deny_seconds), (60, 900));
        assert_eq!((config.hold.calls_max, config.hold.milliseconds_max), (1000, 5000));
        assert_eq!(config.gateway, "gateway");
        assert_eq!(config.identity_headers, IdentityHeader::ALL);
    }

    #[test]
    fn metadata_of_a_resource_is_beside_its_path() {
        let resource = |identifier: &str| {
            let mut value = valid();
            value["resource"] = json!({ "identifier": identifier });
            let config = Config::parse(value.to_string().as_bytes()).unwrap();
            (config.resource.unwrap().metadata_path, config.resource_metadata.unwrap())
        };
        for (identifier, path) in [
            ("https://api.example.no", "/.well-known/oauth-protected-resource"),
            ("https://api.example.no/", "/.well-known/oauth-protected-resource"),
            ("https://api.example.no/vat", "/.well-known/oauth-protected-resource/vat"),
        ] {
            assert_eq!(resource(identifier), (path.to_owned(), format!("https://api.example.no{path}")));
        }
    }

    #[test]
    fn mistakes_are_named() {
        check(|config| config["controlPlan"] = json!({}), "controlPlan");
        check(|config| config["controlPlane"]["wait"] = json!(1), "wait");
        check(|config| config["staleness"] = json!({"denySecond": 1}), "denySecond");
        check(|config| config["provider"] = json!("Not Valid"), "provider");
        check(|config| config["snapshotKeys"] = json!([]), "snapshotKeys");
        check(|config| config["snapshotKeys"] = json!(["x"]), "snapshotKeys[0]");
        check(|config| config["controlPlane"]["waitSeconds"] = json!(0), "controlPlane.waitSeconds");
        check(|config| config["controlPlane"]["credential"] = json!("a\nb"), "controlPlane.credential");
        check(|config| config["staleness"] = json!({"warnSeconds": 2, "denySeconds": 1}), "staleness");
        check(|config| config["staleness"] = json!({"warnSeconds": 2, "denySeconds": 20}), "staleness.denySeconds");
        check(|config| config["staleness"] = json!({"denySeconds": 86_401}), "staleness.denySeconds");
        check(
            |config| config["controlPlane"]["credential"] = json!(["s3cret"]),
            "`controlPlane.credential`: expected a string",
        );
        check(
            |config| config["controlPlane"]["waitSeconds"] = json!("s3cret"),
            "`controlPlane.waitSeconds`: expected a whole",
        );
        check(
            |config| config["controlPlane"]["wait"] = json!(1),
            "`controlPlane.wait`: unknown field `wait`, expected one of",
        );
        check(|config| config["hold"] = json!({"callsMax": -1}), "`hold.callsMax`: expected a whole number");
        check(|config| config["resource"] = json!({"identifier": "http://api.example.no"}), "resource.identifier");
        check(|config| config["resource"] = json!({"identifier": "https:///x"}), "resource.identifier");
        check(|config| config["resource"] = json!({"identifier": "https://a?b"}), "resource.identifier");
        check(|config| config["realm"] = json!("a\"b"), "realm");
        check(|config| config["staleness"] = json!({"routes": {"vat": 901}}), "staleness.routes");
        check(|config| config["staleness"] = json!({"routes": {"vat": 0}}), "staleness.routes");
        check(|config| config["bootstrap"] = json!({"snapshot": "?"}), "bootstrap.snapshot");
        check(|config| config["bootstrap"] = json!({"snapshot": "", "ageSecondsMax": 0}), "bootstrap.ageSecondsMax");
        check(|config| config["decisionLog"] = json!({"entriesMax": 0}), "decisionLog.entriesMax");
        check(|config| config["decisionLog"] = json!({"mask": ["token"]}), "token");
        let keys = |path: &str, interval: u32| json!({"issuer": "i", "cluster": "c", "authority": "a", "path": path, "intervalSeconds": interval});
        check(|config| config["issuerKeys"] = json!([keys("jwks", 60)]), "issuerKeys");
        check(|config| config["issuerKeys"] = json!([keys("/jwks", 4)]), "issuerKeys");
        check(|config| config["issuerKeys"] = json!([keys("/jwks", 60), keys("/jwks", 60)]), "issuerKeys");
        check(|config| config["hold"] = json!({"millisecondsMax": 60_001}), "hold.millisecondsMax");
        check(|config| config["tokenCache"] = json!({"tokensMax": 1}), "tokenCache.tokensMax");
        check(|config| config["identityHeaders"] = json!(["id", "id"]), "identityHeaders");
        check(|config| config["identityHeaders"] = json!(["name"]), "name");
        check(|config| config["tokenCache"] = json!({"tokensMax": 131_073}), "tokenCache.tokensMax");
        check(|config| drop(config.as_object_mut().unwrap().remove("provider")), "provider");
        assert_eq!(Config::parse(&vec![b' '; CONFIG_BYTES_MAX + 1]).map(|_| ()), Err(ConfigError::TooLong));
    }
}
