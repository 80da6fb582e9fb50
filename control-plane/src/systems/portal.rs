//! What people see of the register when they have logged in: systems that may be found, and what each may ask for.
//!
//! `GET /systemregister`, `/systemregister/{systemId}`, `/systemregister/{systemId}/rights`, `…/accesspackages`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, header};
use policies::id::{ResourceId, SystemId};
use policies::urn;
use serde_json::{Value, json};

use super::model::System;
use super::store;
use crate::caller::PortalUser;
use crate::openapi::{self, altinn};
use crate::parameters::{PathOf, Query};
use crate::problem::{Problem, codes};
use crate::right::access_packages_json;
use crate::state::AppState;

/// The systems that may be found, without deleted ones.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemregister", operation_id = "listSystems", tag = openapi::SYSTEMS,
    security(("user" = ["altinn:portal/enduser"])),
    responses((status = 200, body = Vec<altinn::RegisteredSystem>)),
)]
pub(super) async fn list(
    State(state): State<AppState>,
    _caller: PortalUser,
) -> Result<([(HeaderName, &'static str); 1], Json<Vec<Value>>), Problem> {
    let mut connection = state.store.read().await?;
    let systems = store::visible(&mut connection).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(systems.iter().map(System::listed_json).collect())))
}

/// One system, visible or not: whoever was sent here by a vendor knows its id.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemregister/{system_id}", operation_id = "getSystem", tag = openapi::SYSTEMS,
    security(("user" = ["altinn:portal/enduser"])),
    responses((status = 200, body = altinn::RegisteredSystem), (status = 404, description = "`AUTH-00011`")),
)]
pub(super) async fn get(
    State(state): State<AppState>,
    _caller: PortalUser,
    PathOf(id): PathOf<SystemId>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(live(&state, &id).await?.listed_json()))
}

/// The rights that a system may ask for.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemregister/{system_id}/rights", operation_id = "getSystemRights", tag = openapi::SYSTEMS,
    security(("user" = ["altinn:portal/enduser"])),
    params(("useOldFormatForApp" = Option<bool>, Query, description = "Apps as `urn:altinn:org` and `urn:altinn:app`")),
    responses((status = 200, body = Vec<altinn::Right>), (status = 404, description = "`AUTH-00011`")),
)]
pub(super) async fn rights(
    State(state): State<AppState>,
    _caller: PortalUser,
    PathOf(id): PathOf<SystemId>,
    query: Query,
) -> Result<Json<Vec<Value>>, Problem> {
    let parse = |text: &str| text.to_ascii_lowercase().parse::<bool>();
    let is_old_format = query.parsed("useOldFormatForApp", parse)?.unwrap_or(false);
    let system = live(&state, &id).await?;
    let rights = system.rights.iter().map(|right| {
        let mut json = json!(right);
        if let (true, Some((org, app)), Some(members)) = (is_old_format, app_of(&right.resource), json.as_object_mut())
        {
            let app = json!([{ "id": urn::APP_OWNER, "value": org }, { "id": urn::APP, "value": app }]);
            members.insert("resource".to_owned(), app);
        }
        json
    });
    Ok(Json(rights.collect()))
}

/// The access packages that a system may ask for.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemregister/{system_id}/accesspackages", operation_id = "getSystemAccessPackages", tag = openapi::SYSTEMS,
    security(("user" = ["altinn:portal/enduser"])),
    responses((status = 200, body = Vec<altinn::Package>), (status = 404, description = "`AUTH-00011`")),
)]
pub(super) async fn access_packages(
    State(state): State<AppState>,
    _caller: PortalUser,
    PathOf(id): PathOf<SystemId>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!(access_packages_json(&live(&state, &id).await?.access_packages))))
}

async fn live(state: &AppState, id: &SystemId) -> Result<System, Problem> {
    let mut connection = state.store.read().await?;
    let system = store::find(&mut connection, id).await?.filter(System::is_offered);
    Ok(system.ok_or(codes::SYSTEM_NOT_FOUND)?)
}

/// Organisation and app of `app_{org}_{app}`.
fn app_of(resource: &ResourceId) -> Option<(&str, &str)> {
    let (org, app) = resource.as_str().strip_prefix("app_")?.split_once('_')?;
    (!org.is_empty() && !app.is_empty()).then_some((org, app))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story, tokens};

    const REGISTER: &str = "/authentication/api/v1/systemregister";

    #[tokio::test]
    async fn visible_systems_are_listed_and_hidden_and_deleted_ones_are_not() {
        let test = TestState::with_system().await;
        let hansen = test.administrator_of_hansen();
        for (name, visible) in [("b_hidden", false), ("a_visible", true), ("c_deleted", true)] {
            let mut system = story::system();
            system["id"] = json!(format!("310247030_{name}"));
            system["clientId"] = json!([]);
            system["isVisible"] = json!(visible);
            test.post(story::SYSTEMS, &test.vendor(), &system).await.expect(200);
        }
        test.delete(&format!("{}/310247030_c_deleted", story::SYSTEMS), &test.vendor()).await.expect(200);
        let list = test.get(REGISTER, &hansen).await;
        assert_eq!(list.headers["cache-control"], "no-store");
        let ids: Vec<_> =
            list.expect(200).as_array().unwrap().iter().map(|system| system["systemId"].clone()).collect();
        assert_eq!(ids, ["310247030_a_visible", "310247030_smartcloud"]);
        let one = |name: &str| format!("{REGISTER}/310247030_{name}");
        assert_eq!(test.get(&one("b_hidden"), &hansen).await.expect(200)["isVisible"], false);
        for path in [one("c_deleted"), one("none"), format!("{}/rights", one("none"))] {
            test.get(&path, &hansen).await.expect_code(404, "AUTH-00011");
        }
        test.get(REGISTER, &test.vendor()).await.expect_code(403, "insufficient_scope");
        test.get(REGISTER, "").await.expect_code(401, "token_missing");
        let low = tokens::User::new(story::HANSENS_MANAGER).level(2).token(&test);
        test.get(REGISTER, &low).await.expect(200);
    }

    #[tokio::test]
    async fn what_a_system_may_ask_for_is_shown_apps_in_either_format() {
        let test = TestState::with_resources().await;
        let app = json!({ "title": { "nb": "a", "nn": "a", "en": "a" }, "delegable": true });
        test.put(&story::resource("app_skd_mva-melding_2"), &test.resource_owner(), &app).await.expect(201);
        let mut system = story::system();
        let resource = |id: &str, value: &str| json!({ "id": id, "value": value });
        system["rights"] = json!([
            { "resource": [resource("urn:altinn:resource", "vat")] },
            { "action": "read", "resource": [resource("urn:altinn:resource", "app_skd_mva-melding_2")] },
        ]);
        test.post(story::SYSTEMS, &test.vendor(), &system).await.expect(200);
        let hansen = test.administrator_of_hansen();
        let path = format!("{REGISTER}/310247030_smartcloud");
        assert_eq!(test.get(&format!("{path}/rights"), &hansen).await.expect(200), system["rights"]);
        let old = test.get(&format!("{path}/rights?useOldFormatForApp=True"), &hansen).await.expect(200);
        assert_eq!(old[0], system["rights"][0]);
        let app = [resource("urn:altinn:org", "skd"), resource("urn:altinn:app", "mva-melding_2")];
        assert_eq!(old[1], json!({ "action": "read", "resource": app }));
        test.get(&format!("{path}/rights?useOldFormatForApp=2"), &hansen).await.expect_code(400, "query_invalid");
        let packages = test.get(&format!("{path}/accesspackages"), &hansen).await.expect(200);
        assert_eq!(packages, system["accessPackages"]);
    }
}
