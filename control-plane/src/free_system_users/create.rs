//! `POST /portvakt/v1/parties/{party}/free-system-users`: an organisation makes a system user for software of its own.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use policies::id::{SystemId, SystemUserId};
use serde_json::{Value, json};

use super::body::Body;
use crate::caller::{AccessManagementWrite, PartyAccess};
use crate::delegation_checks::{compile_policies, require_delegable};
use crate::json::AltinnJson;
use crate::openapi::{self, altinn, own};
use crate::problem::Problem;
use crate::state::AppState;
use crate::system_users::model::{Delegation, SystemUser, SystemUserKind};
use crate::systems::model::System;
use crate::{requested, system_users, systems};

/// An organisation makes a system user for software of its own, with a Maskinporten client of its own and no vendor's system.
///
/// Rights and packages may be left out and given later. Its `externalRef` is its id.
#[utoipa::path(
    post, path = "/portvakt/v1/parties/{party}/free-system-users", operation_id = "createFreeSystemUser", tag = openapi::SYSTEM_USERS,
    security(("user" = ["altinn:portal/enduser"])),
    request_body = own::FreeSystemUser,
    responses(
        (status = 201, description = "The system user", body = altinn::SystemUserInternal),
        (status = 400, description = "`field_invalid`, `STD-00000`, `AUTH-00001`, `AUTH-00052`, `AUTH-00053` or `AUTH-00064`"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementWrite>,
    AltinnJson(body): AltinnJson<Body>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let now = state.clock.now();
    let (id, internal_id) =
        (state.ids.uuid().map_err(Problem::internal)?, state.ids.uuid().map_err(Problem::internal)?);
    let owner = caller.organization();
    compile_policies(&state, state.store.read().await?, &body.rights()?).await?;
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let system_id = SystemId::parse(&format!("{owner}_free-{id}")).map_err(Problem::internal)?;
    let content = body.content(connection, None).await?;
    let system = System { is_free: true, ..System::new(system_id, internal_id, owner, content, now) };
    let (rights, access_packages) = body.delegated(connection, &system).await?;
    requested::require_to_come(&rights, now)?;
    require_delegable(&state, connection, caller.user, &caller.party, &rights, &access_packages).await?;
    let user = SystemUser {
        id: SystemUserId::from_uuid(id),
        kind: SystemUserKind::Standard,
        client_packages: Vec::new(),
        system: system.id.clone(),
        owner,
        external_ref: id.to_string(),
        integration_title: body.title()?,
        created_at: now,
        withdrawn_at: None,
    };
    systems::store::insert(connection, &system).await?;
    let delegations = [Delegation { party: owner, rights, access_packages }];
    system_users::store::insert(connection, &user, &delegations).await?;
    let log = json!({ "systemUser": user.id, "system": user.system, "party": owner, "by": caller.user_id() });
    change.commit(now, "system_user_created", log).await?;
    Ok((StatusCode::CREATED, Json(user.detail_json(&system, &caller.party, &delegations))))
}
