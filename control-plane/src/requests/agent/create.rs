//! `POST /systemuser/request/vendor/agent`: a vendor asks for an agent system user.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::IntoResponse;
use policies::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::caller::{RequestWrite, Vendor};
use crate::fields::{NAME_CHARS_MAX, text};
use crate::json::AltinnJson;
use crate::openapi::{self, clients};
use crate::problem::{Problem, codes};
use crate::requests::create::{own_system, registered_party, require_kind, reusable, valid_to};
use crate::requests::model::{RequestId, SystemUserRequest};
use crate::requests::store;
use crate::right::AccessPackageBody;
use crate::state::AppState;
use crate::system_users::model::SystemUserKind;
use crate::{requested, system_users};

#[derive(Debug, Deserialize)]
pub(super) struct Body {
    #[serde(rename = "integrationtitle")]
    integration_title: Option<String>,
    #[serde(rename = "externalref")]
    external_ref: Option<String>,
    #[serde(default, rename = "systemid")]
    system_id: String,
    #[serde(default, rename = "partyorgno")]
    party: String,
    #[serde(default, rename = "accesspackages")]
    access_packages: Vec<AccessPackageBody>,
    #[serde(rename = "redirecturl")]
    redirect_url: Option<String>,
    #[serde(rename = "validto")]
    valid_to: Option<String>,
}

/// A vendor asks a customer for an agent system user. Asking again gives the request that is there already.
#[utoipa::path(
    post, path = "/authentication/api/v1/systemuser/request/vendor/agent", operation_id = "createAgentRequest", tag = openapi::REQUESTS,
    security(("maskinporten" = ["altinn:authentication/systemuser.request.write"])),
    request_body = clients::CreateAgentRequestSystemUser,
    responses(
        (status = 201, description = "`Location` is the request", body = clients::AgentRequestSystemResponse),
        (status = 200, description = "It was there already", body = clients::AgentRequestSystemResponse),
        (status = 400, description = "Among others `AUTH-00004`, `AUTH-00007`, `AUTH-00058`, `AUTH-00063`, `AUTH-00065`"),
        (status = 404, description = "`AUTH-00011`"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: Vendor<RequestWrite>,
    AltinnJson(body): AltinnJson<Body>,
) -> Result<impl IntoResponse, Problem> {
    let now = state.clock.now();
    let id = RequestId(state.ids.uuid().map_err(Problem::internal)?);
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let system = own_system(connection, &caller, &body.system_id).await?;
    let party = registered_party(connection, &body.party).await?;
    let external_ref = match body.external_ref.as_deref() {
        None | Some("") => party.to_string(),
        Some(reference) => text("externalRef", reference, NAME_CHARS_MAX)?,
    };
    if system_users::store::find_live(connection, party, &system.id, &external_ref).await?.is_some() {
        return Err(codes::SYSTEM_USER_EXISTS.into());
    }
    if let Some(existing) = reusable(connection, party, &system.id, &external_ref, now).await? {
        require_kind(&existing, SystemUserKind::Agent, now)?;
        return Ok(answer(&state, StatusCode::OK, &existing, now));
    }
    let redirect_url = body.redirect_url.as_deref().filter(|url| !url.is_empty());
    let request = SystemUserRequest {
        id,
        kind: SystemUserKind::Agent,
        party,
        external_ref,
        integration_title: match body.integration_title.as_deref() {
            None | Some("") => system.name.nb.clone(),
            Some(title) => text("integrationTitle", title, NAME_CHARS_MAX)?,
        },
        redirect_url: redirect_url.map(|url| requested::redirect_url(&system, url)).transpose()?,
        rights: Vec::new(),
        access_packages: requested::client_packages(&system, &body.access_packages)?,
        created_at: now,
        valid_to: valid_to(body.valid_to.as_deref(), now)?,
        is_escalated: false,
        decision: None,
        system: system.id,
    };
    store::insert(connection, &request).await?;
    let log = json!({
        "request": request.id, "kind": request.kind, "system": request.system, "party": request.party,
        "by": caller.organization(),
    });
    change.commit(now, "system_user_requested", log).await?;
    Ok(answer(&state, StatusCode::CREATED, &request, now))
}

type Answer = (StatusCode, [(HeaderName, String); 1], Json<Value>);

fn answer(state: &AppState, status: StatusCode, request: &SystemUserRequest, now: Timestamp) -> Answer {
    let public_url = &state.settings.public_url;
    let location = format!("{public_url}authentication/api/v1/systemuser/request/agent/{}", request.id);
    (status, [(header::LOCATION, location)], Json(request.json(public_url, now)))
}
