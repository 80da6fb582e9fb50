//! The case files of `policies/cases`, and the hosts they run in: natively, through the filter in wasmtime, and through a
//! real Envoy. One file, one decision, the same everywhere.
//!
//! The form is described in `policies/README.md`. Times in a case are relative to its instant, so that the same case can
//! be put to a host whose clock is real. Keys are named, not written out ([`keys`]).

pub mod envoy;
pub mod keys;
mod mint;
pub mod native;
mod publish;
pub mod wasm;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use policies::Timestamp;
use policies::snapshot::Document;
use serde::Deserialize;
use serde_json::{Map, Value};

pub use mint::mint;
pub use publish::{Published, publish_all};

/// The instant of a case in hosts whose clock is set by hand.
pub const CASE_NOW: &str = "2026-11-22T12:00:00Z";

/// One case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Case {
    /// What it proves, in a sentence.
    pub proves: String,
    /// Where it runs.
    #[serde(default = "Case::everywhere_but_envoy")]
    pub hosts: BTreeSet<HostKind>,
    /// What the control plane publishes, in order.
    #[serde(default = "Case::one_good_snapshot")]
    pub published: Vec<Publication>,
    /// How long the control plane has been silent when the call comes, in seconds.
    #[serde(default)]
    pub silent_seconds: u32,
    /// The call.
    pub call: CallSpec,
    /// The decision.
    pub expect: Expectation,
    /// Path of the file below `policies/cases`, without `.json`.
    #[serde(skip)]
    pub name: String,
}

/// The hosts that a case can run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostKind {
    /// `policies`, called directly.
    Native,
    /// The filter's module in wasmtime, with native verification of signatures and without.
    Wasmtime,
    /// The filter's module in a real Envoy.
    Envoy,
}

/// One body that the control plane serves.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Publication {
    /// Name of the document in `policies/cases/documents`.
    #[serde(default = "Publication::walk")]
    pub document: String,
    #[serde(default = "Publication::one")]
    pub epoch: u64,
    #[serde(default = "Publication::one")]
    pub version: u64,
    /// Relative to the case's instant.
    #[serde(default)]
    pub issued_seconds: i64,
    /// Relative to the case's instant.
    #[serde(default = "Publication::an_hour")]
    pub not_after_seconds: i64,
    /// Another provider's than the gateway's.
    pub provider: Option<String>,
    /// Name of the key that signs.
    #[serde(default = "Publication::snapshot_key")]
    pub key: String,
    /// It is sent as what has changed since what is in force.
    #[serde(default)]
    pub delta: bool,
    /// The delta before it was lost.
    #[serde(default)]
    pub gap: bool,
    /// What is done to the body after signing.
    pub damage: Option<Damage>,
    /// The code with which it must be refused; none when it must be applied.
    pub refused: Option<String>,
}

/// What can happen to a body on its way.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Damage {
    /// The last so many bytes are missing.
    Cut(usize),
    /// So many bytes are added.
    Grow(usize),
    /// One bit of this byte, counted from the end, is flipped.
    Flip(usize),
    /// One bit of this byte, counted from the start, is flipped.
    FlipFromStart(usize),
    /// One bit of the image's byte is flipped before it is hashed and signed.
    FlipImage(usize),
}

/// The call of a case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CallSpec {
    #[serde(default = "CallSpec::get")]
    pub method: String,
    #[serde(default = "CallSpec::api")]
    pub authority: String,
    #[serde(default = "CallSpec::vat_returns")]
    pub path: String,
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Who calls.
    pub token: Option<TokenSpec>,
    /// The second token, in `PlatformAccessToken`.
    pub platform_token: Option<TokenSpec>,
}

/// A token: one of `policies/cases/tokens`, changed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TokenSpec {
    /// Name of the file.
    #[serde(default = "TokenSpec::maskinporten")]
    pub base: String,
    /// Members to put into the header; null removes one.
    #[serde(default)]
    pub header: Map<String, Value>,
    /// Members to put into the claims; null removes one, `{"now": 60}` is an instant.
    #[serde(default)]
    pub claims: Map<String, Value>,
    /// Name of the key that signs, when it is not the base's.
    pub key: Option<String>,
    /// Text to put in the header's place before signing.
    pub raw_header: Option<String>,
    /// Text to put in the claims' place before signing.
    pub raw_claims: Option<String>,
    /// Texts of the claims to put others in the place of, before signing; every one must be there.
    #[serde(default)]
    pub edit_claims: Vec<(String, String)>,
    /// As long as this many bytes, by a claim of no meaning.
    pub fill_bytes: Option<usize>,
    /// The algorithm to sign with, when it is not the key's own; it does not change the header.
    pub sign_with: Option<keys::OtherAlgorithm>,
    /// What is done to the token after signing.
    pub then: Option<Tampering>,
    /// Where it is sent.
    #[serde(default, rename = "in")]
    pub place: TokenPlace,
    /// The scheme before the token, where it is sent in `authorization`.
    #[serde(default = "TokenSpec::bearer")]
    pub scheme: String,
}

/// Where a token can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenPlace {
    /// The header `authorization`.
    #[default]
    Header,
    /// The header `authorization`, twice.
    TwoHeaders,
    /// The cookie `AltinnStudioRuntime`.
    Cookie,
    /// The same cookie twice, in one header.
    TwoCookies,
    /// The header and the cookie.
    HeaderAndCookie,
    /// The query parameter `access_token` (RFC 6750 section 2.3).
    Query,
}

/// What can be done to a signed token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tampering {
    /// One bit of the signature is flipped.
    FlipSignature,
    /// The signature is zeros of the right length.
    ZeroSignature,
    /// The signature is left away, its point stays.
    EmptySignature,
    /// An ES256 signature as DER.
    DerSignature,
    /// An ES256 signature whose first number is 0.
    ZeroR,
    /// An ES256 signature whose second number is 0.
    ZeroS,
    /// An ES256 signature whose first number is the group's order.
    OrderR,
    /// The last byte of the signature is missing.
    ShortSignature,
    /// A byte is added to the signature.
    LongSignature,
    /// One claim is changed after signing.
    ChangeClaims,
    /// `=` is added.
    Pad,
    /// Unused bits of the last character are set.
    StrayBits,
    /// The signature in the alphabet of plain base64.
    PlainAlphabet,
    /// Two parts: the signature is left away with its point.
    TwoParts,
    /// A fourth part is added.
    FourthPart,
    /// Five parts, as an encrypted token has (RFC 7516).
    FiveParts,
    /// The token comes twice, joined as proxies join headers.
    Twice,
}

/// The decision of a case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Expectation {
    Permit {
        route: String,
        /// `direct`, an access package's URN, `caller_kind`, `off`, or `shadow:` and a reason.
        through: String,
        /// What the API behind gets; null when it gets no such header.
        #[serde(default)]
        headers: BTreeMap<String, Option<String>>,
    },
    Deny {
        reason: String,
        status: u16,
        /// Parts of the challenge.
        #[serde(default)]
        challenge: Vec<String>,
    },
}

/// What a refusal's body says, whatever else it says.
#[derive(Deserialize)]
struct Problem {
    code: String,
    status: u16,
}

impl Case {
    fn everywhere_but_envoy() -> BTreeSet<HostKind> {
        BTreeSet::from([HostKind::Native, HostKind::Wasmtime])
    }

    fn one_good_snapshot() -> Vec<Publication> {
        vec![Publication {
            document: Publication::walk(),
            epoch: 1,
            version: 1,
            issued_seconds: 0,
            not_after_seconds: Publication::an_hour(),
            provider: None,
            key: Publication::snapshot_key(),
            delta: false,
            gap: false,
            damage: None,
            refused: None,
        }]
    }

    /// The headers of the call at an instant, pseudo-headers first.
    pub fn headers(&self, now: Timestamp) -> Result<Vec<(String, String)>> {
        self.call.headers_at(now)
    }
}

impl Publication {
    fn walk() -> String {
        "walk".to_owned()
    }

    fn one() -> u64 {
        1
    }

    fn an_hour() -> i64 {
        3600
    }

    fn snapshot_key() -> String {
        "snapshot".to_owned()
    }
}

impl CallSpec {
    /// The headers at an instant, pseudo-headers first.
    pub fn headers_at(&self, now: Timestamp) -> Result<Vec<(String, String)>> {
        let named = |name: &str, value: String| (name.to_owned(), value);
        let mut path = self.path.clone();
        let mut credentials = Vec::new();
        if let Some(spec) = &self.token {
            let token = mint(spec, now)?;
            let authorization = format!("{} {token}", spec.scheme);
            let cookie = format!("AltinnStudioRuntime={token}");
            match spec.place {
                TokenPlace::Header => credentials.push(named("authorization", authorization)),
                TokenPlace::TwoHeaders => {
                    credentials.push(named("authorization", authorization.clone()));
                    credentials.push(named("authorization", authorization));
                }
                TokenPlace::Cookie => credentials.push(named("cookie", format!("a=b; {cookie}"))),
                TokenPlace::TwoCookies => credentials.push(named("cookie", format!("{cookie}; {cookie}"))),
                TokenPlace::HeaderAndCookie => {
                    credentials.push(named("authorization", authorization));
                    credentials.push(named("cookie", cookie));
                }
                TokenPlace::Query => {
                    let separator = if path.contains('?') { '&' } else { '?' };
                    path = format!("{path}{separator}access_token={token}");
                }
            }
        }
        if let Some(spec) = &self.platform_token {
            credentials.push(named("platformaccesstoken", mint(spec, now)?));
        }
        let mut headers = vec![
            named(":method", self.method.clone()),
            named(":authority", self.authority.clone()),
            named(":path", path),
        ];
        headers.extend(credentials);
        headers.extend(self.headers.iter().cloned());
        Ok(headers)
    }

    fn get() -> String {
        "GET".to_owned()
    }

    fn vat_returns() -> String {
        "/vat/310247049/returns".to_owned()
    }

    fn api() -> String {
        "api.example.no".to_owned()
    }
}

impl TokenSpec {
    fn maskinporten() -> String {
        "maskinporten".to_owned()
    }

    fn bearer() -> String {
        "Bearer".to_owned()
    }
}

/// Folder of the case files.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/cases")
}

/// Every case that runs in a host, by name.
pub fn for_host(host: HostKind) -> Result<Vec<Case>> {
    Ok(all()?.into_iter().filter(|case| case.hosts.contains(&host)).collect())
}

/// Every case, by name.
pub fn all() -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for area in std::fs::read_dir(folder()).context("cannot read policies/cases")? {
        let area = area?.path();
        let name = area.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !area.is_dir() || ["documents", "tokens"].contains(&name.as_str()) {
            continue;
        }
        for file in std::fs::read_dir(&area)? {
            cases.push(read(&file?.path(), &name)?);
        }
    }
    if cases.is_empty() {
        bail!("there is no case in {}", folder().display());
    }
    cases.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(cases)
}

fn read(path: &Path, area: &str) -> Result<Case> {
    let text = std::fs::read_to_string(path)?;
    let mut case: Case = serde_json::from_str(&text).with_context(|| format!("{} is not a case", path.display()))?;
    case.name = format!("{area}/{}", path.file_stem().unwrap_or_default().to_string_lossy());
    Ok(case)
}

/// A document, its keys written out. One that `extends` another has that one's members where it has none itself.
pub fn document(name: &str) -> Result<Document> {
    let path = folder().join("documents").join(format!("{name}.json"));
    let read = |path: &Path| -> Result<Value> {
        let text = std::fs::read_to_string(path).with_context(|| format!("there is no document {}", path.display()))?;
        Ok(serde_json::from_str(&text)?)
    };
    let mut value = read(&path)?;
    if let Some(Value::String(base)) = value.as_object_mut().and_then(|members| members.remove("extends")) {
        let mut whole = read(&path.with_file_name(format!("{base}.json")))?;
        if let (Some(whole), Value::Object(own)) = (whole.as_object_mut(), value) {
            whole.extend(own);
        }
        value = whole;
    }
    let issuers = value.get_mut("issuers").and_then(Value::as_array_mut).into_iter().flatten();
    for key in issuers.filter_map(|issuer| issuer.get_mut("keys")).filter_map(Value::as_array_mut).flatten() {
        let name = key.as_str().context("a key in a document is a name")?;
        *key = keys::key(name)?.public_jwk(name);
    }
    serde_json::from_value(value).with_context(|| format!("{} is not a document", path.display()))
}

/// What a host did with a case, compared with what it should have done.
#[derive(Debug, Default)]
pub struct Report {
    ran: usize,
    wrong: Vec<String>,
}

impl Report {
    /// Takes note of one case.
    pub fn note(&mut self, case: &Case, outcome: Result<()>) {
        self.ran += 1;
        if let Err(error) = outcome {
            self.wrong.push(format!("{} ({}): {error:#}", case.name, case.proves));
        }
    }

    /// Fails with every case that came out wrong.
    pub fn finish(self) -> Result<usize> {
        if !self.wrong.is_empty() {
            bail!("{} of {} cases came out wrong:\n{}", self.wrong.len(), self.ran, self.wrong.join("\n"));
        }
        Ok(self.ran)
    }
}
