//! `GET /accessmanagement/api/v1/enduser/authorizedparties`: a system user asks for whom it may act.
//!
//! An agent's clients, or a standard one's owner; each with its sub units, for which the same counts. All of them at once, as
//! Altinn gives them.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use policies::id::AccessPackage;
use serde_json::{Value, json};

use super::{store, through_vendor};
use crate::caller::SystemUserCaller;
use crate::openapi::{self, clients};
use crate::parties;
use crate::parties::Party;
use crate::problem::Problem;
use crate::state::AppState;
use crate::system_users;
use crate::system_users::model::SystemUserKind;

/// The organisations that the calling system user may act for.
#[utoipa::path(
    get, path = "/accessmanagement/api/v1/enduser/authorizedparties", operation_id = "listAuthorizedParties", tag = openapi::CLIENTS,
    security(("maskinporten" = ["altinn:accessmanagement/authorizedparties"])),
    responses((status = 200, body = clients::AuthorizedParties), (status = 404, description = "`AUTH-00015`")),
)]
pub(super) async fn handler(State(state): State<AppState>, caller: SystemUserCaller) -> Result<Json<Value>, Problem> {
    let user = caller.user;
    let mut connection = state.store.read().await?;
    let (organizations, packages) = match user.kind {
        SystemUserKind::Agent => {
            let delegations = store::page(&mut connection, user.id, "", i64::MAX).await?;
            (delegations.iter().map(|delegation| delegation.client).collect(), user.client_packages)
        }
        SystemUserKind::Standard => {
            let held = system_users::store::delegations(&mut connection, user.id).await?;
            (BTreeSet::from([user.owner]), held.into_iter().flat_map(|held| held.access_packages).collect())
        }
    };
    let units = parties::store::units_of(&mut connection, &organizations).await?;
    let units = through_vendor::in_order(&mut connection, &units).await?;
    let data: Vec<_> = through_vendor::in_order(&mut connection, &organizations)
        .await?
        .iter()
        .map(|party| {
            let own = units.iter().filter(|unit| unit.main_unit == Some(party.organization));
            party_json(party, &packages, own.map(|unit| party_json(unit, &packages, Vec::new())).collect())
        })
        .collect();
    Ok(Json(json!({ "links": {}, "data": data })))
}

fn party_json(party: &Party, packages: &[AccessPackage], sub_units: Vec<Value>) -> Value {
    json!({
        "partyUuid": party.uuid,
        "name": party.name,
        "organizationNumber": party.organization,
        "partyId": party.id,
        "type": "Organization",
        "unitType": party.form,
        "isDeleted": party.is_struck_off,
        "onlyHierarchyElementWithNoAccess": false,
        "authorizedAccessPackages": packages.iter().map(AccessPackage::name).collect::<Vec<_>>(),
        "authorizedResources": [],
        "authorizedRoles": [],
        "authorizedInstances": [],
        "subunits": sub_units,
    })
}
