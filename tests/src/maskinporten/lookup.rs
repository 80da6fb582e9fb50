//! Maskinporten's one question to the control plane: which system user may this client use for this organisation?
//!
//! Anything but a whole, fitting answer means that no token is given out.

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::json;
use url::Url;
use uuid::Uuid;

use super::assertion::{Grant, SystemUserOf};
use super::keys::random_id;
use super::organization::{Iso6523, OrganizationNumber};
use super::refusal::GrantRefusal;
use super::state::{State, now};

const PATH: &str = "authentication/api/v1/systemuser/byExternalId";
const SCOPE: &str = "altinn:maskinporten/systemuser.read";
const OWN_CLIENT_ID: &str = "maskinporten";
const OWN_TOKEN_SECONDS: i64 = 60;
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The part of the answer that goes into the token.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FoundSystemUser {
    pub(super) id: Uuid,
    pub(super) system_id: String,
    pub(super) external_ref: Option<String>,
}

/// The answer on the wire; more members may follow, as Altinn adds them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    id: Uuid,
    system_id: Option<String>,
    product_name: Option<String>,
    reportee_org_no: OrganizationNumber,
    supplier_orgno: OrganizationNumber,
    external_ref: Option<String>,
    #[serde(default)]
    is_deleted: bool,
}

pub(super) async fn system_user(
    state: &State,
    grant: &Grant,
    wanted: &SystemUserOf,
) -> Result<FoundSystemUser, GrantRefusal> {
    let control_plane = state.control_plane.lock().clone();
    let control_plane = control_plane.ok_or_else(|| unavailable("no look-up is configured"))?;
    let url = question(&control_plane, grant, wanted).map_err(unavailable)?;
    let token = own_token(state).map_err(unavailable)?;
    let answer = state.http.get(url).bearer_auth(token).send().await.map_err(unavailable)?;
    match answer.status() {
        StatusCode::OK => (),
        StatusCode::NOT_FOUND => return Err(GrantRefusal::no_system_user()),
        status => return Err(unavailable(format!("the look-up answered {status}"))),
    }
    let body = answer.bytes().await.map_err(unavailable)?;
    if body.len() > ANSWER_BYTES_MAX {
        return Err(unavailable("the look-up's answer is too long"));
    }
    let answer: Answer = serde_json::from_slice(&body).map_err(unavailable)?;
    fitting(answer, grant, wanted)
}

fn question(control_plane: &Url, grant: &Grant, wanted: &SystemUserOf) -> Result<Url, url::ParseError> {
    let mut url = control_plane.join(PATH)?;
    let mut query = url.query_pairs_mut();
    query
        .append_pair("clientId", &grant.client_id)
        .append_pair("systemProviderOrgNo", &grant.organization.to_string())
        .append_pair("systemUserOwnerOrgNo", &wanted.owner.to_string());
    if let Some(reference) = &wanted.external_ref {
        query.append_pair("externalRef", reference);
    }
    drop(query);
    Ok(url)
}

/// The token with which Maskinporten calls the look-up: its own organisation's, signed by itself.
fn own_token(state: &State) -> anyhow::Result<String> {
    let issued = now()?;
    state.keys.lock().current().sign(&json!({
        "iss": state.issuer,
        "client_id": OWN_CLIENT_ID,
        "client_amr": "private_key_jwt",
        "token_type": "Bearer",
        "scope": SCOPE,
        "consumer": Iso6523::from(state.organization),
        "iat": issued,
        "exp": issued + OWN_TOKEN_SECONDS,
        "jti": random_id()?,
    }))
}

/// An answer about another owner, another vendor or a deleted system user is an error of the look-up, never a token.
fn fitting(answer: Answer, grant: &Grant, wanted: &SystemUserOf) -> Result<FoundSystemUser, GrantRefusal> {
    if answer.is_deleted || answer.reportee_org_no != wanted.owner || answer.supplier_orgno != grant.organization {
        return Err(unavailable("the look-up answered about something else than was asked"));
    }
    let system_id = answer
        .product_name
        .filter(|name| !name.is_empty())
        .or(answer.system_id)
        .filter(|id| !id.is_empty())
        .ok_or_else(|| unavailable("the look-up named no system"))?;
    Ok(FoundSystemUser { id: answer.id, system_id, external_ref: answer.external_ref })
}

fn unavailable(reason: impl std::fmt::Display) -> GrantRefusal {
    tracing::warn!("the system user look-up failed: {reason:#}");
    GrantRefusal::unavailable("The system user could not be looked up")
}
