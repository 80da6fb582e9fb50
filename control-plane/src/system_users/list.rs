//! `GET /systemuser/{party}`: the party's standard system users. Altinn's answer is a bare array without pages.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use super::model::SystemUserKind;
use super::store;
use crate::caller::{AccessManagementRead, PartyAccess};
use crate::openapi::{self, altinn};
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::systems;

/// The party's own system users.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/{party}", operation_id = "listSystemUsers", tag = openapi::SYSTEM_USERS,
    security(("user" = ["altinn:portal/enduser"])),
    responses((status = 200, body = Vec<altinn::SystemUserInternal>)),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementRead>,
) -> Result<Json<Vec<Value>>, Problem> {
    let mut connection = state.store.read().await?;
    let users = store::live_of_owner(&mut connection, caller.organization(), SystemUserKind::Standard).await?;
    let ids = users.iter().map(|user| user.id).collect();
    let of = users.iter().map(|user| user.system.clone()).collect();
    let systems = systems::store::named(&mut connection, &of).await?;
    let held = store::live_delegations(&mut connection, &ids, &BTreeSet::from([caller.organization()])).await?;
    let mut list = Vec::with_capacity(users.len());
    for user in users {
        let system = systems.get(&user.system).ok_or(codes::SYSTEM_NOT_FOUND)?;
        let delegations = held.get(&user.id).map_or(&[][..], Vec::as_slice);
        list.push(user.internal_json(system, &caller.party, delegations));
    }
    Ok(Json(list))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story, tokens};

    #[tokio::test]
    async fn an_administrator_sees_the_partys_own_system_users() {
        let test = TestState::with_request().await;
        let hansen = test.administrator_of_hansen();
        assert_eq!(test.get(&story::system_users_of_hansen(), &hansen).await.expect(200), json!([]));
        let id = test.approve().await;
        let list = test.get(&story::system_users_of_hansen(), &hansen).await.expect(200);
        assert_eq!(list.as_array().unwrap().len(), 1);
        assert_eq!(list[0]["id"], id);
        assert_eq!(list[0]["partyId"], "50000001");
        assert_eq!(list[0]["accessPackages"], json!([{ "urn": story::PACKAGE }]));
        assert!(list[0].get("rights").is_none());
    }

    #[tokio::test]
    async fn others_do_not() {
        let test = TestState::with_request().await;
        let path = story::system_users_of_hansen();
        test.get(&path, "").await.expect_code(401, "token_missing");
        test.get(&path, &test.vendor()).await.expect_code(403, "insufficient_scope");
        test.get(&path, &test.administrator_of_bakeri()).await.expect_code(403, "AUTH-00066");
        let low = tokens::User::new(story::HANSENS_MANAGER).level(2).token(&test);
        test.get(&path, &low).await.expect_code(403, "authentication_level_too_low");
        let machine = tokens::Maskinporten::new("310247049", "altinn:portal/enduser").token(&test);
        test.get(&path, &machine).await.expect_code(403, "caller_kind_refused");
        let hansen = test.administrator_of_hansen();
        test.get("/authentication/api/v1/systemuser/50000099", &hansen).await.expect_code(403, "AUTH-00066");
        let wrong = test.get("/authentication/api/v1/systemuser/x", &hansen).await;
        assert_eq!(wrong.json["detail"], "`party`: `x` is not a whole number");
        wrong.expect_code(400, "path_invalid");
        test.get("/authentication/api/v1/systemuser/0", &hansen).await.expect_code(400, "path_invalid");
    }
}
