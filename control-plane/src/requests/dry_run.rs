//! `GET /portvakt/v1/parties/{party}/requests/{requestId}/delegation-check`: what the caller's approval would pass on, right by right
//! and package by package. Nothing is stored; what stands in the way of any approval is refused as the approval is.

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use super::approve::accepted;
use super::current;
use super::get::IdInPath;
use crate::caller::{AccessManagementWrite, PartyAccess};
use crate::delegation_checks::check;
use crate::delegation_checks::model::DelegationCheck;
use crate::openapi::{self, own};
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::system_users::model::SystemUserKind;

/// What the caller's approval of a request would pass on, and what not, and why.
#[utoipa::path(
    get, path = "/portvakt/v1/parties/{party}/requests/{request_id}/delegation-check", operation_id = "checkApprovalOfRequest", tag = openapi::REQUESTS,
    security(("user" = ["altinn:portal/enduser"])),
    responses(
        (status = 200, description = "The request can be approved if `result`", body = own::DelegationCheck),
        (status = 400, description = "`AUTH-00001`, `AUTH-00004` or `AUTH-00063`: nobody can approve it"),
        (status = 404, description = "`AUTH-00010`"), (status = 409, description = "`AUTH-00013`"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementWrite>,
    PathOf(IdInPath { request_id }): PathOf<IdInPath>,
) -> Result<Json<Value>, Problem> {
    let mut connection = state.store.read().await?;
    let request = current::find(&mut connection, request_id)
        .await?
        .filter(|request| request.party == caller.organization())
        .ok_or(codes::REQUEST_NOT_FOUND)?;
    let accepted = accepted(&mut connection, request, caller.user_id(), state.clock.now()).await?;
    let checked = match accepted.user.kind {
        SystemUserKind::Agent => DelegationCheck::of_client_packages(&accepted.user.client_packages),
        SystemUserKind::Standard => {
            let (rights, packages) = (&accepted.delegation.rights, &accepted.delegation.access_packages);
            check(&state, &mut connection, caller.user, &caller.party, rights, packages).await?
        }
    };
    Ok(Json(checked.json()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, agents, story, tokens};

    fn check(party: u32, id: &str) -> String {
        format!("/portvakt/v1/parties/{party}/requests/{id}/delegation-check")
    }

    #[tokio::test]
    async fn each_right_and_package_has_its_result_and_nothing_is_stored() {
        let test = TestState::with_request().await;
        let id = test.request_id().await;
        let path = check(50_000_001, &id);
        let right = |result: bool, reasons: &[&str]| {
            json!({
                "resource": [{ "id": "urn:altinn:resource", "value": "vat" }], "action": "read",
                "result": result, "reasonCodes": reasons,
            })
        };
        let package =
            |result: bool, reason: &str| json!({ "urn": story::PACKAGE, "result": result, "reasonCodes": [reason] });
        // Manages access, has neither the role that the policy of `vat` names nor the package.
        let contact = 20_000_009;
        let roles = json!({ "roleAssignments": [
            { "userId": contact, "organizationNumber": "310247049", "role": "norsk-representant" },
            { "userId": story::HANSENS_MANAGER, "organizationNumber": "310247049", "role": "daglig-leder" },
        ]});
        test.put("/portvakt/v1/parties", &test.operator(), &roles).await.expect(200);
        let before = test.state.store.revision().await.unwrap();
        let checked = test.get(&path, &test.administrator_of_hansen()).await.expect(200);
        assert_eq!(
            checked,
            json!({
                "result": true, "code": null, "rights": [right(true, &["RoleAccess"])],
                "accessPackages": [package(true, "PackageAccess")],
            })
        );
        let contact = tokens::User::new(contact).token(&test);
        let checked = test.get(&path, &contact).await.expect(200);
        assert_eq!(
            checked,
            json!({
                "result": false, "code": "AUTH-00016",
                "rights": [right(false, &["MissingRoleAccess", "MissingDelegationAccess"])],
                "accessPackages": [package(false, "MissingPackageAccess")],
            })
        );
        assert_eq!(test.state.store.revision().await.unwrap(), before);
        // The approval says the same.
        let approve = format!("{}/approve", story::request_of_hansen(&id));
        test.send("POST", &approve, &contact, None).await.expect_code(403, "AUTH-00016");
        test.send("POST", &approve, &test.administrator_of_hansen(), None).await.expect(200);
        test.get(&path, &test.administrator_of_hansen()).await.expect_code(409, "AUTH-00013");
    }

    #[tokio::test]
    async fn what_nobody_can_approve_is_refused_as_the_approval_is() {
        let test = TestState::with_request().await;
        let path = check(50_000_001, &test.request_id().await);
        let hansen = test.administrator_of_hansen();
        for foreign in [check(50_000_002, &test.request_id().await), check(50_000_002, &agents::uuid(9))] {
            test.get(&foreign, &test.administrator_of_bakeri()).await.expect_code(404, "AUTH-00010");
        }
        test.get(&path, &test.administrator_of_bakeri()).await.expect_code(403, "AUTH-00066");
        let rights = format!("{}/310247030_smartcloud/rights", story::SYSTEMS);
        test.put(&rights, &test.vendor(), &json!([])).await.expect(200);
        test.get(&path, &hansen).await.expect_code(400, "AUTH-00001");
    }

    #[tokio::test]
    async fn an_agents_packages_do_not_depend_on_the_approver() {
        let test = TestState::with_agent_system().await;
        let id = test.agent_request().await;
        let checked = test.get(&check(50_000_003, &id), &test.accountant()).await.expect(200);
        let package = json!({ "urn": agents::WITHOUT_SIGNING, "result": true, "reasonCodes": ["ClientPackage"] });
        assert_eq!(checked, json!({ "result": true, "code": null, "rights": [], "accessPackages": [package] }));
    }
}
