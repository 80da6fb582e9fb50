//! `POST /systemuser/request/vendor/agent`: a vendor asks for an agent system user.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use crate::base_url::BaseUrl;
use crate::caller::{RequestWrite, Vendor};
use crate::json::AltinnJson;
use crate::openapi::{self, clients};
use crate::problem::Problem;
use crate::requested;
use crate::requests::create::{Answer, Asked, Begun, answer, begun, created};
use crate::requests::model::SystemUserRequest;
use crate::right::AccessPackageBody;
use crate::state::AppState;
use crate::system_users::model::SystemUserKind;

#[derive(Debug, Deserialize)]
pub(super) struct Body {
    #[serde(flatten)]
    asked: Asked,
    #[serde(default, rename = "accesspackages")]
    access_packages: Vec<AccessPackageBody>,
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
    base: BaseUrl,
    AltinnJson(body): AltinnJson<Body>,
) -> Result<Answer, Problem> {
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let (system, request) = match begun(&state, connection, &caller, &body.asked, SystemUserKind::Agent).await? {
        Begun::There(existing) => return Ok(answer(&state, &base, StatusCode::OK, &existing, now)),
        Begun::New(new) => *new,
    };
    let access_packages = requested::client_packages(&system, &body.access_packages)?;
    created(&state, &base, change, &caller, &SystemUserRequest { access_packages, ..request }).await
}
