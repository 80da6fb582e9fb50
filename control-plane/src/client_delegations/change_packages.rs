//! `PUT /portvakt/v1/parties/{party}/agents/{systemUserId}/access-packages`: what an agent system user holds for its clients changes,
//! the clients stay.
//!
//! Clients whose relations do not carry all of the new packages are in the way, unless the body says that they are dropped.

use axum::Json;
use axum::extract::State;
use policies::id::OrganizationNumber;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::agents::{InPath, owned};
use super::{candidates, store};
use crate::caller::{AccessManagementWrite, PartyAccess};
use crate::json::OwnJson;
use crate::openapi::{self, altinn, clients as schemas};
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::right::{AccessPackageBody, access_packages_json};
use crate::state::AppState;
use crate::{requested, system_users, systems};

/// Clients that a refusal names.
const NAMED_MAX: usize = 1000;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ChangeAgentPackages)]
pub(super) struct Body {
    /// At least one, of those that the system is registered with.
    #[schema(value_type = Vec<altinn::Package>)]
    access_packages: Vec<AccessPackageBody>,
    /// Clients whose relations do not carry all of them are clients no longer.
    #[serde(default)]
    drop_clients: bool,
}

/// Changes what an agent system user holds for each of its clients.
#[utoipa::path(
    put, path = "/portvakt/v1/parties/{party}/agents/{system_user_id}/access-packages", operation_id = "changeAgentPackages", tag = openapi::CLIENTS,
    security(("user" = ["altinn:portal/enduser"])),
    request_body = Body,
    responses(
        (status = 200, body = schemas::ChangedPackages),
        (status = 400, description = "`AUTH-00034`, `AUTH-00058`, `AUTH-00063` or `AUTH-00065`"),
        (status = 404, description = "`AUTH-00015`"),
        (status = 409, description = "`clients_lack_packages`; `clients` names them"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementWrite>,
    PathOf(InPath { system_user_id }): PathOf<InPath>,
    OwnJson(body): OwnJson<Body>,
) -> Result<Json<Value>, Problem> {
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let user = owned(connection, system_user_id, caller.organization()).await?;
    let system = systems::store::find(connection, &user.system).await?.filter(|system| !system.is_deleted);
    let packages = requested::client_packages(&system.ok_or(codes::SYSTEM_NOT_FOUND)?, &body.access_packages)?;

    let delegations = store::page(connection, user.id, "", i64::MAX).await?;
    let organizations = delegations.iter().map(|delegation| delegation.client).collect();
    let found = candidates::named(connection, user.owner, &organizations).await?;
    // The owner needs no relation to itself.
    let lacking: Vec<_> = found
        .iter()
        .filter(|candidate| candidate.party.organization != user.owner && !candidate.carries(&packages))
        .collect();
    if !lacking.is_empty() && !body.drop_clients {
        let named = lacking.iter().take(NAMED_MAX).map(|candidate| {
            json!({
                "client": candidate.party.uuid, "organizationNumber": candidate.party.organization,
                "missing": candidate.lacks(&packages),
            })
        });
        return Err(Problem::new(codes::CLIENTS_LACK_PACKAGES)
            .member("clients", named.collect::<Vec<_>>())
            .member("clientCount", lacking.len()));
    }
    let dropped: Vec<OrganizationNumber> = lacking.iter().map(|candidate| candidate.party.organization).collect();
    let answer = json!({
        "id": user.id, "accessPackages": access_packages_json(&packages),
        "clients": delegations.len() - dropped.len(), "dropped": dropped,
    });
    if packages == user.client_packages && dropped.is_empty() {
        return Ok(Json(answer));
    }
    for delegation in &delegations {
        if dropped.contains(&delegation.client) {
            store::delete(connection, delegation).await?;
        } else {
            store::replace_packages(connection, delegation, &packages).await?;
        }
    }
    system_users::store::set_client_packages(connection, user.id, &packages).await?;
    let log = json!({
        "systemUser": user.id, "owner": user.owner, "from": user.client_packages, "to": packages, "dropped": dropped,
        "by": caller.user_id(),
    });
    change.commit(now, "agent_packages_changed", log).await?;
    Ok(Json(answer))
}
