//! `GET /register/api/v2/internal/parties/{partyUuid}/customers/ccr/{role}`: of whom a party is accountant, auditor or business
//! manager, in the form of Altinn's register.

use axum::Json;
use axum::extract::State;
use policies::id::PartyUuid;
use serde::Deserialize;
use serde_json::{Value, json};

use super::model::{Party, RelationRole};
use super::store;
use crate::caller::InternalOrPlatform;
use crate::openapi::{self, clients};
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::state::AppState;

#[derive(Debug, Deserialize)]
pub(super) struct InPath {
    party_uuid: PartyUuid,
    role: String,
}

/// The customers of an accountant, an auditor or a business manager.
#[utoipa::path(
    get, path = "/register/api/v2/internal/parties/{party_uuid}/customers/ccr/{role}", operation_id = "listCustomers", tag = openapi::PARTIES,
    security(("maskinporten" = ["altinn:authentication/systemuser.admin"])),
    responses((status = 200, body = clients::Customers), (status = 404, description = "`not_found`: no such party")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    _caller: InternalOrPlatform,
    PathOf(InPath { party_uuid, role }): PathOf<InPath>,
) -> Result<Json<Value>, Problem> {
    let role =
        role.parse::<RelationRole>().map_err(|error| Problem::new(codes::PATH_INVALID).detail(error.to_string()))?;
    let mut connection = state.store.read().await?;
    let provider = store::find_uuid(&mut connection, party_uuid).await?.ok_or(codes::NOT_FOUND)?;
    let customers = store::relations::customers(&mut connection, provider.organization, role).await?;
    Ok(Json(json!({ "data": customers.iter().map(party_json).collect::<Vec<_>>() })))
}

fn party_json(party: &Party) -> Value {
    json!({
        "partyUuid": party.uuid,
        "partyId": party.id,
        "partyType": "organization",
        "displayName": party.name,
        "organizationIdentifier": party.organization,
        "unitType": party.form,
        "isDeleted": party.is_struck_off,
    })
}

#[cfg(test)]
mod tests {
    use crate::test_state::{TestState, agents, tokens};

    #[tokio::test]
    async fn the_platform_asks_who_somebodys_customers_are() {
        let test = TestState::with_agent_system().await;
        let path = |party: u32, role: &str| {
            format!("/register/api/v2/internal/parties/{}/customers/ccr/{role}", agents::uuid(party))
        };
        let platform = tokens::Maskinporten::new("310247006", "altinn:authentication/systemuser.admin").token(&test);
        let answer = test.get(&path(50_000_003, "regnskapsforer"), &platform).await.expect(200);
        let customers = answer["data"].as_array().unwrap();
        assert_eq!(customers.len(), 2);
        assert_eq!(customers[0]["organizationIdentifier"], "310247049");
        let none = test.get(&path(50_000_003, "revisor"), &platform).await.expect(200);
        assert_eq!(none["data"].as_array().map(Vec::len), Some(0));
        test.get(&path(50_000_003, "chef"), &platform).await.expect_code(400, "path_invalid");
        test.get(&path(9, "revisor"), &platform).await.expect_code(404, "not_found");
        test.get(&path(50_000_003, "revisor"), &test.vendor()).await.expect_code(403, "insufficient_scope");
    }
}
