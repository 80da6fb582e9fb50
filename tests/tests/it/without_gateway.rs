//! What the tests of the control plane's databases start from: real programs, a story ready for approvals, no gateway.

use std::time::Duration;

use anyhow::{Context, Result};
use gateway_tests::stack::cast::{self, ROERLEGGER};
use gateway_tests::stack::{ApiCaller, Platform, PlatformOptions, PostgresDatabase, Programs, Storage};
use gateway_tests::story::moves;
use gateway_tests::wait;
use policies::id::ProviderId;
use policies::snapshot::SnapshotKey;
use policies::token::PureRust;
use policies::{PolicySet, PolicyTrouble, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A platform with requests that nobody has decided.
pub(crate) struct Scene {
    // Before the folder, so that the programs end before their files go.
    pub(crate) platform: Platform,
    pub(crate) requests: Vec<String>,
    pub(crate) folder: TempDir,
}

impl Scene {
    pub(crate) async fn with_requests(count: usize, storage: impl FnOnce(&TempDir) -> Storage) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = storage(&folder);
        let options = PlatformOptions { directory: folder.path().into(), control_plane_port: 0, storage };
        let platform = Platform::start(Programs::servers_from_environment().unwrap(), &options).await.unwrap();
        platform.protect_the_api().await.unwrap();
        moves::register_system(&platform).await.unwrap();
        let requests = moves::request_system_users(&platform, ROERLEGGER, count).await.unwrap();
        Self { platform, requests, folder }
    }

    /// What the database says became of a request: whether it was accepted. Fails when it was half done.
    pub(crate) async fn is_approved(&self, api: &Callers, request: &str) -> Result<bool> {
        let path = format!("/authentication/api/v1/systemuser/request/vendor/{request}");
        let status = api.vendor.get(&path).await?.expect(200)?.json()?;
        let path = format!("/authentication/api/v1/systemuser/{}/{request}", ROERLEGGER.party_id);
        let user = api.manager.get(&path).await?;
        match status.get("status").and_then(Value::as_str) {
            Some("New") => user.expect(404).map(|_| false),
            Some("Accepted") => {
                let user = user.expect(200)?.json()?;
                let held = |name: &str| user.get(name).and_then(Value::as_array).map_or(0, Vec::len);
                anyhow::ensure!(held("rights") == 1 && held("accessPackages") == 1, "half approved: {user}");
                Ok(true)
            }
            other => anyhow::bail!("the request is {other:?}"),
        }
    }
}

/// Those who call a control plane, with fresh tokens.
pub(crate) struct Callers {
    pub(crate) vendor: ApiCaller,
    pub(crate) manager: ApiCaller,
    provider: ApiCaller,
    gateway: ApiCaller,
}

impl Callers {
    /// For the control plane at `base_url`.
    pub(crate) async fn of(platform: &Platform, base_url: &str) -> Result<Self> {
        let api = ApiCaller::anonymous(base_url)?;
        let token = async |client: &gateway_tests::maskinporten::client::MaskinportenClient, scope: &str| {
            let answer = client.organization_token(scope).await?;
            answer.map(|token| token.access_token).map_err(|refusal| anyhow::anyhow!("no token: {refusal:?}"))
        };
        let vendor = token(&platform.vendor, "altinn:authentication/systemuser.request.read").await?;
        let provider = token(&platform.api_provider, "portvakt:resources.write").await?;
        let manager = platform.standin.user_token(ROERLEGGER.manager).await?;
        Ok(Self {
            vendor: api.with_token(&vendor),
            manager: api.with_token(&manager),
            provider: api.with_token(&provider),
            gateway: api.with_token(&platform.gateway_credential),
        })
    }

    /// The manager approves; `true` when that was acknowledged.
    pub(crate) async fn approve(&self, request: &str) -> bool {
        let path = format!("/authentication/api/v1/systemuser/request/{}/{request}/approve", ROERLEGGER.party_id);
        self.manager.post(&path, json!({})).await.is_ok_and(|answer| answer.status == 200)
    }

    /// Whether gateways let the system user read VAT, by what is published.
    pub(crate) async fn is_enforced(&self, system_user: &str) -> Result<bool> {
        let path = format!("/portvakt/v1/providers/{}/explain", cast::PROVIDER_ID);
        let question =
            json!({ "systemUser": system_user, "party": ROERLEGGER.number, "resource": "vat", "action": "read" });
        let answer = self.provider.post(&path, question).await?.expect(200)?.json()?;
        answer.get("permitted").and_then(Value::as_bool).context("no answer")
    }

    /// How many system users are in what a gateway gets.
    pub(crate) async fn published_count(&self, keys: &[String]) -> Result<usize> {
        let answer = self.gateway.get_bytes(&format!("/snapshots/{}", cast::PROVIDER_ID)).await?;
        let Some(body) = answer else { return Ok(0) };
        let keys = keys.iter().map(|pem| SnapshotKey::from_public_key_pem(pem)).collect::<Result<Vec<_>, _>>()?;
        let mut policy = PolicySet::deny_all(PolicyTrouble::Missing);
        let provider = ProviderId::parse(cast::PROVIDER_ID)?;
        policy.update(body, &keys, &provider, now(), &PureRust)?;
        Ok(policy.system_user_count())
    }

    /// Waits until what is published has this many system users.
    pub(crate) async fn until_published(&self, keys: &[String], count: usize, bound: Duration) -> Result<()> {
        let mut last = 0;
        let what = format!("{count} system users to be published");
        let waited = wait::until(&what, bound, async || {
            // While a control plane starts it has nothing.
            last = self.published_count(keys).await.unwrap_or(0);
            Ok((last == count).then_some(()))
        });
        waited.await.with_context(|| format!("there were {last}"))
    }
}

pub(crate) fn on_postgres(folder: &TempDir) -> Storage {
    Storage::Postgres {
        url: PostgresDatabase::create().unwrap().url(),
        signing_key: folder.path().join("snapshot-key.pem"),
    }
}

fn now() -> Timestamp {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_unix_millis(since_1970.as_millis().try_into().unwrap())
}

/// Numbers that are the same in every run.
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    /// Below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        // Xorshift: Marsaglia, "Xorshift RNGs", 2003.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
