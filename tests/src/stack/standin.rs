//! The stand-in Maskinporten as a process of its own, and the turns that only a stand-in offers.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::caller::ApiCaller;
use super::cast;
use crate::process::Process;

const START_SECONDS_MAX: u64 = 60;

/// A running stand-in.
#[derive(Debug)]
pub struct Standin {
    // Kept for its end: the process is killed with this value.
    process: Process,
    base_url: String,
    api: ApiCaller,
}

impl Standin {
    pub async fn start(program: &Path, directory: &Path) -> Result<Self> {
        let address = directory.join("maskinporten-address");
        let mut command = Command::new(program);
        command.args(["--listen", "127.0.0.1:0", "--organization", cast::MASKINPORTEN]);
        command.arg("--address-file").arg(&address);
        let mut process = Process::start("maskinporten-standin", command, directory)?;
        let base_url = process.base_url(&address, Duration::from_secs(START_SECONDS_MAX)).await?;
        let api = ApiCaller::anonymous(&base_url)?;
        Ok(Self { process, base_url, api })
    }

    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    pub fn log(&self) -> &Path {
        self.process.log()
    }

    /// The `iss` of its organisations' tokens.
    pub fn issuer(&self) -> String {
        format!("{}/", self.base_url)
    }

    /// The `iss` of its people's tokens.
    pub fn platform_issuer(&self) -> String {
        format!("{}/platform/authentication/api/v1/openid/", self.base_url)
    }

    /// Where it asks for system users.
    pub async fn use_control_plane(&self, url: &str) -> Result<()> {
        self.api.put("/standin/control-plane", json!({ "url": url })).await?.expect(204).map(drop)
    }

    /// Tokens from now on live this long.
    pub async fn set_token_lifetime(&self, seconds: u32) -> Result<()> {
        let order = json!({ "seconds": seconds });
        self.api.put("/standin/token-lifetime", order).await?.expect(204).map(drop)
    }

    /// Tokens from now on were issued, and ran out, before.
    pub async fn issue_expired_tokens(&self) -> Result<()> {
        let order = json!({ "seconds": 120, "issuedSecondsAgo": 3600 });
        self.api.put("/standin/token-lifetime", order).await?.expect(204).map(drop)
    }

    /// Signs with a new key from now on; its id.
    pub async fn rotate_keys(&self, algorithm: &str, drop_old: bool) -> Result<String> {
        let order = json!({ "algorithm": algorithm, "dropOld": drop_old });
        let answer = self.api.post("/standin/rotate-keys", order).await?.expect(200)?.json()?;
        text(&answer, "kid")
    }

    /// The token that a person has after logging in.
    pub async fn user_token(&self, person: cast::Person) -> Result<String> {
        let order = json!({
            "userId": person.user_id, "partyId": person.party_id, "partyUuid": person.party_uuid,
            "level": 3,
        });
        let answer = self.api.post("/standin/user-token", order).await?.expect(201)?.json()?;
        text(&answer, "access_token")
    }
}

fn text(answer: &Value, name: &str) -> Result<String> {
    let value = answer.get(name).and_then(Value::as_str);
    Ok(value.with_context(|| format!("the stand-in's answer has no {name}"))?.to_owned())
}
