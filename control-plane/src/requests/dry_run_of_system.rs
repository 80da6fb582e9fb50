//! `GET /portvakt/v1/parties/{party}/systems/{systemId}/delegation-check`: what the caller would pass on by taking the system into use
//! ([`super::take_into_use`]). Nothing is stored.

use axum::Json;
use axum::extract::State;
use policies::id::SystemId;
use serde::Deserialize;
use serde_json::Value;

use super::take_into_use::taken_into_use;
use crate::caller::{AccessManagementWrite, PartyAccess};
use crate::delegation_checks::check;
use crate::openapi::{self, own};
use crate::parameters::PathOf;
use crate::problem::Problem;
use crate::state::AppState;

#[derive(Debug, Deserialize)]
pub(super) struct InPath {
    system_id: SystemId,
}

/// What the caller would pass on by taking a system into use, and what not, and why.
#[utoipa::path(
    get, path = "/portvakt/v1/parties/{party}/systems/{system_id}/delegation-check", operation_id = "checkUseOfSystem", tag = openapi::REQUESTS,
    security(("user" = ["altinn:portal/enduser"])),
    responses(
        (status = 200, description = "The system user can be made if `result`", body = own::DelegationCheck),
        (status = 400, description = "`AUTH-00004` or `AUTH-00059`: nobody can make it"), (status = 404, description = "`AUTH-00011`"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementWrite>,
    PathOf(InPath { system_id }): PathOf<InPath>,
) -> Result<Json<Value>, Problem> {
    let mut connection = state.store.read().await?;
    let system = taken_into_use(&mut connection, &system_id, caller.organization()).await?;
    let (rights, packages) = (&system.rights, &system.access_packages);
    let checked = check(&state, &mut connection, caller.user, &caller.party, rights, packages).await?;
    Ok(Json(checked.json()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story};

    const CHECK: &str = "/portvakt/v1/parties/50000001/systems/310247030_smartcloud/delegation-check";

    #[tokio::test]
    async fn what_a_system_would_get_is_told_before_it_gets_it() {
        let test = TestState::with_system().await;
        let hansen = test.administrator_of_hansen();
        let before = test.state.store.revision().await.unwrap();
        let checked = test.get(CHECK, &hansen).await.expect(200);
        assert_eq!((&checked["result"], &checked["rights"][0]["action"]), (&json!(true), &json!("read")));
        assert_eq!(checked["accessPackages"][0]["urn"], story::PACKAGE);
        assert_eq!(test.state.store.revision().await.unwrap(), before);
        test.get(CHECK, &test.administrator_of_bakeri()).await.expect_code(403, "AUTH-00066");
        test.get(&CHECK.replace("smartcloud", "other"), &hansen).await.expect_code(404, "AUTH-00011");
        let resource = json!({ "title": { "nb": "MVA", "nn": "MVA", "en": "VAT" }, "delegable": false });
        test.put(&story::resource("vat"), &test.resource_owner(), &resource).await.expect(200);
        let checked = test.get(CHECK, &hansen).await.expect(200);
        assert_eq!((&checked["result"], &checked["code"]), (&json!(false), &json!("AUTH-00070")));
        let create = format!("{}/create", story::system_users_of_hansen());
        let body = json!({ "systemId": "310247030_smartcloud" });
        test.post(&create, &hansen, &body).await.expect_code(403, "AUTH-00070");
        let delegable = json!({ "title": { "nb": "MVA", "nn": "MVA", "en": "VAT" }, "delegable": true });
        test.put(&story::resource("vat"), &test.resource_owner(), &delegable).await.expect(200);
        test.post(&create, &hansen, &body).await.expect(200);
        test.get(CHECK, &hansen).await.expect_code(400, "AUTH-00004");
    }
}
