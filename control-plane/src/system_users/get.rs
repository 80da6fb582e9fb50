//! `GET /systemuser/{party}/{systemUserId}`: one of the party's system users, with all that it holds.

use axum::Json;
use axum::extract::State;
use policies::id::SystemUserId;
use serde::Deserialize;
use serde_json::Value;

use super::store;
use crate::caller::{PartyAccess, SystemUserOverviewRead};
use crate::openapi::{self, altinn};
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::systems;

#[derive(Debug, Deserialize)]
pub(super) struct InPath {
    system_user_id: SystemUserId,
}

/// One of the party's system users, with rights and packages.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/{party}/{system_user_id}", operation_id = "getSystemUser", tag = openapi::SYSTEM_USERS,
    security(("user" = ["altinn:portal/enduser"])),
    responses((status = 200, body = altinn::SystemUserInternal), (status = 404, description = "`AUTH-00015`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<SystemUserOverviewRead>,
    PathOf(InPath { system_user_id }): PathOf<InPath>,
) -> Result<Json<Value>, Problem> {
    let mut connection = state.store.read().await?;
    let user = store::find(&mut connection, system_user_id)
        .await?
        .filter(|user| user.owner == caller.organization() && user.withdrawn_at.is_none())
        .ok_or(codes::SYSTEM_USER_NOT_FOUND)?;
    let system = systems::store::find(&mut connection, &user.system).await?.ok_or(codes::SYSTEM_NOT_FOUND)?;
    let delegations = store::delegations(&mut connection, user.id).await?;
    Ok(Json(user.detail_json(&system, &caller.party, &delegations)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story};

    #[tokio::test]
    async fn one_system_user_is_shown_with_rights_and_packages() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let path = format!("{}/{id}", story::system_users_of_hansen());
        let user = test.get(&path, &test.administrator_of_hansen()).await.expect(200);
        assert_eq!(user["id"], id);
        assert_eq!(user["systemId"], "310247030_smartcloud");
        assert_eq!(user["reporteeOrgNo"], "310247049");
        assert_eq!(user["rights"], story::request()["rights"]);
        assert_eq!(user["accessPackages"], json!([{ "urn": story::PACKAGE }]));
    }

    #[tokio::test]
    async fn unknown_and_foreign_system_users_are_not_found() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let unknown = format!("{}/00000000-0000-4000-8000-000000000000", story::system_users_of_hansen());
        test.get(&unknown, &test.administrator_of_hansen()).await.expect_code(404, "AUTH-00015");
        let foreign = format!("{}/{id}", story::system_users_of_bakeri());
        test.get(&foreign, &test.administrator_of_bakeri()).await.expect_code(404, "AUTH-00015");
        let malformed = format!("{}/7", story::system_users_of_hansen());
        test.get(&malformed, &test.administrator_of_hansen()).await.expect_code(400, "path_invalid");
    }
}
