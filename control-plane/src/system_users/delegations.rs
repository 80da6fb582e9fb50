//! `GET /systemuser/{party}/{systemUserId}/delegations`: what one of the party's standard system users holds now.

use axum::Json;
use axum::extract::State;
use policies::id::SystemUserId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::model::SystemUserKind;
use super::store;
use crate::caller::{AccessManagementRead, PartyAccess};
use crate::openapi::{self, altinn};
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::right::access_packages_json;
use crate::state::AppState;

#[derive(Debug, Deserialize)]
pub(super) struct InPath {
    system_user_id: SystemUserId,
}

/// The rights and access packages that a standard system user holds for its owner.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/{party}/{system_user_id}/delegations", operation_id = "listDelegations", tag = openapi::SYSTEM_USERS,
    security(("user" = ["altinn:portal/enduser"])),
    responses(
        (status = 200, body = altinn::SystemUserDelegations), (status = 400, description = "`AUTH-00036`"),
        (status = 404, description = "`AUTH-00015`"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementRead>,
    PathOf(InPath { system_user_id }): PathOf<InPath>,
) -> Result<Json<Value>, Problem> {
    let mut connection = state.store.read().await?;
    let user = store::find(&mut connection, system_user_id)
        .await?
        .filter(|user| user.owner == caller.organization() && user.withdrawn_at.is_none())
        .ok_or(codes::SYSTEM_USER_NOT_FOUND)?;
    if user.kind != SystemUserKind::Standard {
        return Err(codes::SYSTEM_USER_NOT_STANDARD.into());
    }
    let delegations = store::delegations(&mut connection, user.id).await?;
    let rights: Vec<_> = delegations.iter().flat_map(|delegation| &delegation.rights).collect();
    let packages: Vec<_> =
        delegations.iter().flat_map(|delegation| access_packages_json(&delegation.access_packages)).collect();
    Ok(Json(json!({ "systemUserId": user.id, "rights": rights, "accessPackages": packages })))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story};

    #[tokio::test]
    async fn what_a_system_user_holds_is_shown_to_its_owner() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let path = |party: String, id: &str| format!("{party}/{id}/delegations");
        let own = path(story::system_users_of_hansen(), &id);
        let held = test.get(&own, &test.administrator_of_hansen()).await.expect(200);
        let packages = json!([{ "urn": story::PACKAGE }]);
        let expected = json!({ "systemUserId": id, "rights": story::request()["rights"], "accessPackages": packages });
        assert_eq!(held, expected);
        test.get(&own, &test.administrator_of_bakeri()).await.expect_code(403, "AUTH-00066");
        let foreign = path(story::system_users_of_bakeri(), &id);
        test.get(&foreign, &test.administrator_of_bakeri()).await.expect_code(404, "AUTH-00015");
        let delete = format!("{}/{id}", story::system_users_of_hansen());
        test.delete(&delete, &test.administrator_of_hansen()).await.expect(202);
        test.get(&own, &test.administrator_of_hansen()).await.expect_code(404, "AUTH-00015");
    }
}
