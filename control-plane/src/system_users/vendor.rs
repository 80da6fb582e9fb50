//! What vendors see of the system users of their systems: one by owner and reference, or all of a system's, page by page.
//!
//! `GET /systemuser/vendor/byquery`, `GET /systemuser/vendor/bysystem/{systemId}`.

use axum::Json;
use axum::extract::State;
use policies::id::{OrganizationNumber, SystemId};
use serde_json::{Value, json};

use super::store;
use crate::base_url::BaseUrl;
use crate::caller::{SystemUserQuery, SystemUsersRead, Vendor};
use crate::openapi::{self, altinn};
use crate::page::{self, Position};
use crate::parameters::{PathOf, Query};
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::systems;

/// A live system user by its system, owner and reference.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/vendor/byquery", operation_id = "findSystemUserOfVendor", tag = openapi::SYSTEM_USERS,
    security(("maskinporten" = ["altinn:authentication/systemuser.request.write"]), ("maskinporten" = ["altinn:authentication/systemuser.request.read"])),
    params(
        ("system-id" = String, Query, description = "The system"), ("orgno" = String, Query, description = "The owner's organisation number"),
        ("external-ref" = Option<String>, Query, description = "The owner's organisation number by default"),
    ),
    responses(
        (status = 200, body = altinn::SystemUserExternal), (status = 401, description = "`vendor_not_owner_of_requested`"),
        (status = 404, description = "`AUTH-00011`, `AUTH-00015`"),
    ),
)]
pub(super) async fn by_query(
    State(state): State<AppState>,
    caller: Vendor<SystemUserQuery>,
    query: Query,
) -> Result<Json<Value>, Problem> {
    let system_id = query.required("system-id", SystemId::parse)?;
    let owner = query.required("orgno", OrganizationNumber::parse)?;
    let external_ref = query.text("external-ref").map_or_else(|| owner.to_string(), str::to_owned);
    let mut connection = state.store.read().await?;
    let system = systems::store::find(&mut connection, &system_id).await?.ok_or(codes::SYSTEM_NOT_FOUND)?;
    if !caller.may_act_for(system.vendor) {
        return Err(codes::VENDOR_NOT_OWNER_OF_REQUESTED.into());
    }
    let user = store::find_live(&mut connection, owner, &system.id, &external_ref)
        .await?
        .ok_or(codes::SYSTEM_USER_NOT_FOUND)?;
    Ok(Json(json!(user.external_json(system.vendor))))
}

/// A system's live system users, oldest first, 50 a page.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/vendor/bysystem/{system_id}", operation_id = "listSystemUsersOfSystem", tag = openapi::SYSTEM_USERS,
    security(("maskinporten" = ["altinn:authentication/systemregister.write"]), ("maskinporten" = ["altinn:authentication/systemuser.request.read"])),
    params(("token" = Option<String>, Query, description = "From `links.next`")),
    responses(
        (status = 200, body = altinn::Paginated<altinn::SystemUserExternal>),
        (status = 403, description = "`vendor_not_owner`"), (status = 404, description = "`AUTH-00011`"),
    ),
)]
pub(super) async fn by_system(
    State(state): State<AppState>,
    caller: Vendor<SystemUsersRead>,
    PathOf(system_id): PathOf<SystemId>,
    query: Query,
    base: BaseUrl,
) -> Result<Json<Value>, Problem> {
    let after = page::start(&query)?;
    let mut connection = state.store.read().await?;
    let system = systems::store::find(&mut connection, &system_id).await?.ok_or(codes::SYSTEM_NOT_FOUND)?;
    if !caller.may_act_for(system.vendor) {
        return Err(codes::VENDOR_NOT_OWNER.into());
    }
    let users = store::of_system(&mut connection, &system_id, after).await?;
    Ok(Json(page::page(
        &base,
        &["systemuser", "vendor", "bysystem", system_id.as_str()],
        &users,
        |user| Position::new(user.created_at, user.id.as_uuid()),
        |user| json!(user.external_json(system.vendor)),
    )))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story, tokens};

    const BY_SYSTEM: &str = "/authentication/api/v1/systemuser/vendor/bysystem/310247030_smartcloud";

    fn by_query(query: &str) -> String {
        format!("/authentication/api/v1/systemuser/vendor/byquery?{query}")
    }

    #[tokio::test]
    async fn a_vendor_finds_a_system_user_by_what_it_asked_with() {
        let test = TestState::with_request().await;
        let path = by_query("system-id=310247030_smartcloud&orgno=310247049");
        test.get(&path, &test.vendor()).await.expect_code(404, "AUTH-00015");
        let id = test.approve().await;
        let user = test.get(&path, &test.vendor()).await.expect(200);
        assert_eq!((&user["id"], &user["externalRef"]), (&json!(id), &json!("310247049")));
        assert_eq!(test.get(&format!("{path}&external-ref=310247049"), &test.vendor()).await.expect(200), user);
        for scope in ["systemuser.request.read", "systemuser.request.write"] {
            let token = tokens::Maskinporten::new("310247030", &format!("altinn:authentication/{scope}")).token(&test);
            test.get(&path, &token).await.expect(200);
        }
        let foreign = tokens::Maskinporten::vendor("310247065").token(&test);
        test.get(&path, &foreign).await.expect_code(401, "vendor_not_owner_of_requested");
        test.get(&format!("{path}&external-ref=x"), &test.vendor()).await.expect_code(404, "AUTH-00015");
        test.get(&path.replace("smartcloud", "x"), &test.vendor()).await.expect_code(404, "AUTH-00011");
        for wrong in ["system-id=310247030_smartcloud", "orgno=310247049", "system-id=310247030_smartcloud&orgno=1"] {
            test.get(&by_query(wrong), &test.vendor()).await.expect_code(400, "query_invalid");
        }
    }

    #[tokio::test]
    async fn a_systems_system_users_are_its_vendors() {
        let test = TestState::with_request().await;
        assert_eq!(test.get(BY_SYSTEM, &test.vendor()).await.expect(200), json!({ "links": {}, "data": [] }));
        let id = test.approve().await;
        let page = test.get(BY_SYSTEM, &test.vendor()).await.expect(200);
        assert_eq!((&page["data"][0]["id"], &page["links"]), (&json!(id), &json!({})));
        for scope in ["systemregister.write", "systemuser.request.read"] {
            let token = tokens::Maskinporten::new("310247030", &format!("altinn:authentication/{scope}")).token(&test);
            test.get(BY_SYSTEM, &token).await.expect(200);
        }
        let unscoped = tokens::Maskinporten::new("310247030", "altinn:other").token(&test);
        test.get(BY_SYSTEM, &unscoped).await.expect_code(403, "insufficient_scope");
        let foreign = tokens::Maskinporten::vendor("310247065").token(&test);
        test.get(BY_SYSTEM, &foreign).await.expect_code(403, "vendor_not_owner");
        test.get(&format!("{BY_SYSTEM}x"), &test.vendor()).await.expect_code(404, "AUTH-00011");
        test.get(&format!("{BY_SYSTEM}?token=x"), &test.vendor()).await.expect_code(400, "query_invalid");
        let path = format!("{}/{id}", story::system_users_of_hansen());
        test.delete(&path, &test.administrator_of_hansen()).await.expect(202);
        assert_eq!(test.get(BY_SYSTEM, &test.vendor()).await.expect(200)["data"], json!([]));
    }
}
