//! The plugin configuration: read once, complete or refused. Members it does not know are mistakes, not extensions.

mod remote_pdp;

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use policies::id::ProviderId;
use policies::snapshot::SnapshotKey;
use serde::Deserialize;

use crate::identity::IdentityHeader;
pub(crate) use remote_pdp::RemotePdpConfig;

/// Longest base of a shadow snapshot, in bytes, unless it is said otherwise.
const SHADOW_BYTES_MAX: u64 = 64 << 20;
/// Longest base that there can be, in bytes.
const SNAPSHOT_BYTES_MAX: u64 = policies::snapshot::IMAGE_BYTES_MAX as u64;
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
    pub(crate) shadow_snapshot: Option<ShadowSnapshot>,
    pub(crate) remote_pdp: Option<RemotePdpConfig>,
    pub(crate) route_metadata: RouteMetadata,
}

/// Whether the gateway's own routes name the snapshot's route that a call must be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RouteMetadata {
    /// They are not asked.
    #[default]
    Ignored,
    /// Those that name one are heeded.
    Optional,
    /// A call over one that names none is refused.
    Required,
}

/// Whose snapshots a feed follows, where, and whom it believes.
#[derive(Clone, Copy)]
pub(crate) struct Followed<'a> {
    pub(crate) provider: &'a ProviderId,
    /// As the control plane lists it.
    pub(crate) gateway: &'a str,
    pub(crate) control_plane: &'a ControlPlane,
    pub(crate) snapshot_keys: &'a [SnapshotKey],
    pub(crate) staleness: &'a Staleness,
    /// Longest base, in bytes.
    pub(crate) bytes_max: u64,
    /// It is not the one that is enforced.
    pub(crate) is_shadow: bool,
}

/// A snapshot that decides beside the one in force.
pub(crate) struct ShadowSnapshot {
    provider: Option<ProviderId>,
    gateway: String,
    control_plane: Option<ControlPlane>,
    snapshot_keys: Option<Vec<SnapshotKey>>,
    bytes_max: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ShadowSnapshotDocument {
    provider: Option<ProviderId>,
    control_plane: Option<ControlPlane>,
    snapshot_keys: Option<Vec<String>>,
    #[serde(default = "default_shadow_bytes_max")]
    bytes_max: u64,
}

fn default_shadow_bytes_max() -> u64 {
    SHADOW_BYTES_MAX
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
    #[serde(default = "usual_identity_headers")]
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
    #[serde(default)]
    shadow_snapshot: Option<ShadowSnapshotDocument>,
    #[serde(default)]
    remote_pdp: Option<RemotePdpConfig>,
    #[serde(default)]
    route_metadata: RouteMetadata,
}

fn usual_identity_headers() -> Vec<IdentityHeader> {
    IdentityHeader::USUAL.to_vec()
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
    #[error("`{path}[{position}]` is not a P-256 public key in PEM")]
    SnapshotKey { path: &'static str, position: usize },
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
        document.remote_pdp.as_ref().map_or(Ok(()), RemotePdpConfig::check)?;
        let resource = document.resource.map(Resource::read).transpose()?;
        let gateway = &document.gateway;
        let shadow_snapshot =
            document.shadow_snapshot.map(|shadow| ShadowSnapshot::read(shadow, gateway)).transpose()?;
        Ok(Self {
            shadow_snapshot,
            remote_pdp: document.remote_pdp,
            route_metadata: document.route_metadata,
            snapshot_keys: read_keys("snapshotKeys", &document.snapshot_keys)?,
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

impl Config {
    /// What is enforced.
    pub(crate) fn followed(&self) -> Followed<'_> {
        Followed {
            provider: &self.provider,
            gateway: &self.gateway,
            control_plane: &self.control_plane,
            snapshot_keys: &self.snapshot_keys,
            staleness: &self.staleness,
            bytes_max: u64::MAX,
            is_shadow: false,
        }
    }

    /// What decides beside it.
    pub(crate) fn shadow_followed(&self) -> Option<Followed<'_>> {
        let shadow = self.shadow_snapshot.as_ref()?;
        Some(Followed {
            provider: shadow.provider.as_ref().unwrap_or(&self.provider),
            gateway: &shadow.gateway,
            control_plane: shadow.control_plane.as_ref().unwrap_or(&self.control_plane),
            snapshot_keys: shadow.snapshot_keys.as_deref().unwrap_or(&self.snapshot_keys),
            staleness: &self.staleness,
            bytes_max: shadow.bytes_max,
            is_shadow: true,
        })
    }
}

impl ShadowSnapshot {
    fn read(document: ShadowSnapshotDocument, gateway: &str) -> Result<Self, ConfigError> {
        let keys = document.snapshot_keys.map(|keys| read_keys("shadowSnapshot.snapshotKeys", &keys)).transpose()?;
        // Names have at most 64 characters.
        let gateway: String = gateway.chars().take(64 - ".shadow".len()).chain(".shadow".chars()).collect();
        Ok(Self {
            provider: document.provider,
            gateway,
            control_plane: document.control_plane,
            snapshot_keys: keys,
            bytes_max: document.bytes_max,
        })
    }
}

fn read_keys(path: &'static str, keys: &[String]) -> Result<Vec<SnapshotKey>, ConfigError> {
    let keys = keys.iter().enumerate();
    keys.map(|(position, pem)| {
        SnapshotKey::from_public_key_pem(pem).map_err(|_| ConfigError::SnapshotKey { path, position })
    })
    .collect()
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
        let control_plane = &self.control_plane;
        let shadow = self.shadow_snapshot.as_ref();
        let shadow_control_plane = shadow.and_then(|shadow| shadow.control_plane.as_ref());
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
                "2 to 262144",
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
            (
                shadow.is_none_or(|shadow| shadow.provider.is_some() || shadow.control_plane.is_some()),
                "shadowSnapshot",
                "another `provider`, another `controlPlane`, or both",
            ),
            (
                shadow_control_plane.is_none_or(|it| !it.cluster.is_empty() && !it.authority.is_empty()),
                "shadowSnapshot.controlPlane",
                "a `cluster` and an `authority`",
            ),
            (
                shadow_control_plane
                    .is_none_or(|it| !it.credential.is_empty() && quotable(&it.authority) && quotable(&it.credential)),
                "shadowSnapshot.controlPlane",
                "an `authority` and a `credential` of printable ASCII",
            ),
            (
                shadow_control_plane.is_none_or(|it| {
                    (1..=55).contains(&it.wait_seconds) && u32::from(it.wait_seconds) < self.staleness.deny_seconds
                }),
                "shadowSnapshot.controlPlane.waitSeconds",
                "1 to 55, and less than `staleness.denySeconds`",
            ),
            (
                shadow
                    .and_then(|shadow| shadow.snapshot_keys.as_ref())
                    .is_none_or(|keys| (1..=SNAPSHOT_KEYS_MAX).contains(&keys.len())),
                "shadowSnapshot.snapshotKeys",
                "one key, or two while they rotate",
            ),
            (
                shadow.is_none_or(|shadow| (1..=SNAPSHOT_BYTES_MAX).contains(&shadow.bytes_max)),
                "shadowSnapshot.bytesMax",
                "1 to 234881024, 224 MiB",
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

/// It can be put into a header value, or between quotes there.
fn quotable(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\')
}

fn is_each_once(headers: &[IdentityHeader]) -> bool {
    headers.iter().enumerate().all(|(position, header)| !headers.iter().take(position).any(|before| before == header))
}

#[cfg(test)]
pub(crate) mod tests;
