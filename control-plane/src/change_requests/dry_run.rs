//! `GET /portvakt/v1/parties/{party}/change-requests/{requestId}/delegation-check`: what the caller's approval would pass on of what the
//! system user does not hold already. Nothing is stored; what stands in the way of any approval is refused as the approval is.

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use super::approve::accepted;
use super::get::{IdInPath, partys_own};
use crate::caller::{AccessManagementWrite, PartyAccess};
use crate::delegation_checks::check;
use crate::openapi::{self, own};
use crate::parameters::PathOf;
use crate::problem::Problem;
use crate::state::AppState;

/// What the caller's approval of a change request would pass on, and what not, and why.
#[utoipa::path(
    get, path = "/portvakt/v1/parties/{party}/change-requests/{request_id}/delegation-check", operation_id = "checkApprovalOfChangeRequest", tag = openapi::REQUESTS,
    security(("user" = ["altinn:portal/enduser"])),
    responses(
        (status = 200, description = "It can be approved if `result`; what is held already is not listed", body = own::DelegationCheck),
        (status = 400, description = "`AUTH-00001` or `AUTH-00063`: nobody can approve it"),
        (status = 404, description = "`AUTH-00010`, `AUTH-00011` or `AUTH-00015`"), (status = 409, description = "`AUTH-00013`"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementWrite>,
    PathOf(IdInPath { request_id }): PathOf<IdInPath>,
) -> Result<Json<Value>, Problem> {
    let mut connection = state.store.read().await?;
    let request = partys_own(&mut connection, &caller, request_id).await?;
    let new = accepted(&mut connection, request, caller.user_id(), state.clock.now()).await?.new;
    let (rights, packages) = (&new.required_rights, &new.required_packages);
    let checked = check(&state, &mut connection, caller.user, &caller.party, rights, packages).await?;
    Ok(Json(checked.json()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story};

    const ID: &str = "11111111-0000-4000-8000-000000000001";

    #[tokio::test]
    async fn what_is_new_is_checked_and_nothing_is_stored() {
        let test = TestState::with_system().await;
        let (vendor, hansen) = (test.vendor(), test.administrator_of_hansen());
        let mut request = story::request();
        request["accessPackages"] = json!([]);
        test.post(story::REQUESTS, &vendor, &request).await.expect(201);
        let user = test.approve().await;
        let path =
            format!("/authentication/api/v1/systemuser/changerequest/vendor?correlation-id={ID}&system-user-id={user}");
        let change = json!({
            "requiredRights": request["rights"], "requiredAccessPackages": [{ "urn": story::PACKAGE }],
        });
        test.post(&path, &vendor, &change).await.expect(201);
        let check = format!("/portvakt/v1/parties/50000001/change-requests/{ID}/delegation-check");
        let before = test.state.store.revision().await.unwrap();
        let checked = test.get(&check, &hansen).await.expect(200);
        let package = json!({ "urn": story::PACKAGE, "result": true, "reasonCodes": ["PackageAccess"] });
        assert_eq!(checked, json!({ "result": true, "code": null, "rights": [], "accessPackages": [package] }));
        assert_eq!(test.state.store.revision().await.unwrap(), before);
        let of_bakeri = check.replace("50000001", "50000002");
        test.get(&of_bakeri, &test.administrator_of_bakeri()).await.expect_code(404, "AUTH-00010");
        test.get(&check, &test.administrator_of_bakeri()).await.expect_code(403, "AUTH-00066");
        // Nobody can approve what the system may not ask for any more.
        let packages = format!("{}/310247030_smartcloud/accesspackages", story::SYSTEMS);
        test.put(&packages, &vendor, &json!([])).await.expect(200);
        test.get(&check, &hansen).await.expect_code(400, "AUTH-00063");
        test.put(&packages, &vendor, &story::system()["accessPackages"]).await.expect(200);
        let approve = format!("/authentication/api/v1/systemuser/changerequest/50000001/{ID}/approve");
        test.send("POST", &approve, &hansen, None).await.expect(200);
        test.get(&check, &hansen).await.expect_code(409, "AUTH-00013");
    }
}
