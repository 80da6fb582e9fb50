//! What the people of the story do, one move at a time, over the APIs that anybody would use.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::maskinporten::client::{GrantAnswer, IssuedToken};
use crate::stack::cast::{self, Organization};
use crate::stack::platform::{REQUEST_READ_SCOPE, REQUEST_WRITE_SCOPE, SYSTEM_REGISTER_SCOPE, parse};
use crate::stack::{Answer, Gateway, Platform};
use crate::wait;

const SYSTEM_REGISTER: &str = "/authentication/api/v1/systemregister/vendor";
const REQUESTS: &str = "/authentication/api/v1/systemuser/request";
const SYSTEM_USERS: &str = "/authentication/api/v1/systemuser";

/// A change takes milliseconds to reach a gateway; this is where waiting for it ends.
const ENFORCED_SECONDS_MAX: u64 = 20;

/// What a vendor asks a customer for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Vat,
    VatAndAnnualAccounts,
}

/// A request that waits for the customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemUserRequest {
    pub id: String,
    pub status: String,
    /// Where the vendor sends the customer.
    pub confirm_url: String,
}

/// SmartCloud AS registers its system, with all that it may ever ask for.
pub async fn register_system(platform: &Platform) -> Result<Answer> {
    let api = platform.api_as(&platform.vendor, SYSTEM_REGISTER_SCOPE).await?;
    let text = |text: &str| json!({ "nb": text, "nn": text, "en": text });
    let system = json!({
        "id": cast::SYSTEM_ID,
        "vendor": { "authority": "iso6523-actorid-upis", "ID": format!("0192:{}", cast::VENDOR) },
        "name": text("SmartCloud"),
        "description": text("Accounts and VAT in one place"),
        "rights": [vat_right()],
        "accessPackages": [annual_accounts_package()],
        "clientId": [cast::VENDOR_CLIENT_ID],
        "allowedRedirectUrls": ["https://smartcloud.example/done"],
        "isVisible": true,
    });
    api.post(SYSTEM_REGISTER, system).await?.expect(200)
}

/// SmartCloud AS asks an organisation for a system user.
pub async fn request_system_user(
    platform: &Platform,
    owner: Organization,
    wanted: Wanted,
) -> Result<SystemUserRequest> {
    let api = platform.api_as(&platform.vendor, REQUEST_WRITE_SCOPE).await?;
    let answer = api.post(&format!("{REQUESTS}/vendor"), request_body(owner, wanted, None)).await?.expect(201)?;
    read_request(&answer.json()?)
}

/// SmartCloud AS asks an organisation for many system users that differ in their reference; their ids.
pub async fn request_system_users(platform: &Platform, owner: Organization, count: usize) -> Result<Vec<String>> {
    let api = platform.api_as(&platform.vendor, REQUEST_WRITE_SCOPE).await?;
    let mut ids = Vec::with_capacity(count);
    for number in 0..count {
        let body = request_body(owner, Wanted::VatAndAnnualAccounts, Some(&format!("reference-{number}")));
        let answer = api.post(&format!("{REQUESTS}/vendor"), body).await?.expect(201)?;
        ids.push(read_request(&answer.json()?)?.id);
    }
    Ok(ids)
}

fn request_body(owner: Organization, wanted: Wanted, external_ref: Option<&str>) -> Value {
    let packages = match wanted {
        Wanted::Vat => json!([]),
        Wanted::VatAndAnnualAccounts => json!([annual_accounts_package()]),
    };
    json!({
        "systemId": cast::SYSTEM_ID,
        "partyOrgNo": owner.number,
        "externalRef": external_ref,
        "integrationTitle": "SmartCloud",
        "rights": [vat_right()],
        "accessPackages": packages,
        "redirectUrl": "https://smartcloud.example/done",
    })
}

/// SmartCloud AS looks what became of its request.
pub async fn look_at_request(platform: &Platform, id: &str) -> Result<SystemUserRequest> {
    let api = platform.api_as(&platform.vendor, REQUEST_READ_SCOPE).await?;
    read_request(&api.get(&format!("{REQUESTS}/vendor/{id}")).await?.expect(200)?.json()?)
}

/// The manager of the organisation approves; the system user has the id of the request.
pub async fn approve(platform: &Platform, owner: Organization, request: &str) -> Result<Answer> {
    let api = platform.api_as_manager_of(owner).await?;
    let path = format!("{REQUESTS}/{}/{request}/approve", owner.party_id);
    api.post(&path, json!({})).await?.expect(200)
}

/// The manager of the organisation takes the approval back.
pub async fn withdraw(platform: &Platform, owner: Organization, id: &str) -> Result<Answer> {
    let api = platform.api_as_manager_of(owner).await?;
    api.delete(&format!("{SYSTEM_USERS}/{}/{id}", owner.party_id)).await?.expect(202)
}

/// SmartCloud AS asks Maskinporten for a token for the system user of the organisation.
pub async fn ask_for_token(platform: &Platform, owner: Organization) -> Result<GrantAnswer> {
    platform.vendor.system_user_token(cast::API_SCOPE, parse(owner.number)?, None).await
}

/// As [`ask_for_token`], where there must be one.
pub async fn token(platform: &Platform, owner: Organization) -> Result<IssuedToken> {
    let answer = ask_for_token(platform, owner).await?;
    answer.map_err(|refusal| anyhow!("Maskinporten gives no token for {}: {refusal:?}", owner.name))
}

/// The whole way: asked for, approved, and a token got.
pub async fn system_user_of(
    platform: &Platform,
    owner: Organization,
    wanted: Wanted,
) -> Result<(SystemUserRequest, IssuedToken)> {
    let request = request_system_user(platform, owner, wanted).await?;
    approve(platform, owner, &request.id).await?;
    let token = token(platform, owner).await?;
    Ok((request, token))
}

/// Calls until the gateway lets the call through; only "not known yet" counts as not yet.
pub async fn first_permit(gateway: &Gateway, path: &str, token: &str) -> Result<Answer> {
    let bound = Duration::from_secs(ENFORCED_SECONDS_MAX);
    wait::until("the first permit", bound, async || {
        let answer = gateway.get(path, Some(token)).await?;
        match (answer.status, answer.code().as_str()) {
            (StatusCode::OK, _) => Ok(Some(answer)),
            (StatusCode::FORBIDDEN, "system_user_unknown" | "system_user_withdrawn") => Ok(None),
            _ => bail!("{} was answered with {}: {}", answer.call, answer.status, answer.body),
        }
    })
    .await
}

/// Calls until the gateway refuses the call; only a permit counts as not yet.
pub async fn first_denial(gateway: &Gateway, path: &str, token: &str) -> Result<Answer> {
    let bound = Duration::from_secs(ENFORCED_SECONDS_MAX);
    wait::until("the first denial", bound, async || {
        let answer = gateway.get(path, Some(token)).await?;
        match answer.status {
            StatusCode::OK => Ok(None),
            StatusCode::FORBIDDEN => Ok(Some(answer)),
            _ => bail!("{} was answered with {}: {}", answer.call, answer.status, answer.body),
        }
    })
    .await
}

fn vat_right() -> Value {
    json!({ "resource": [{ "id": "urn:altinn:resource", "value": "vat" }] })
}

fn annual_accounts_package() -> Value {
    json!({ "urn": "urn:altinn:accesspackage:regnskap-okonomi-rapport" })
}

fn read_request(answer: &Value) -> Result<SystemUserRequest> {
    let text = |name: &str| {
        let value = answer.get(name).and_then(Value::as_str);
        value.map(str::to_owned).with_context(|| format!("the request has no {name}: {answer}"))
    };
    Ok(SystemUserRequest { id: text("id")?, status: text("status")?, confirm_url: text("confirmUrl")? })
}
