//! `POST /systemuser/request/{party}/{requestId}/approve`: the customer agrees.
//!
//! One transaction: the request is accepted, the system user and its delegations exist, the revision is new. The answer
//! is sent after the commit; gateways have it with the next snapshot.

use axum::Json;
use axum::extract::State;
use policies::Timestamp;
use serde_json::json;

use super::get::IdInPath;
use super::model::SystemUserRequest;
use super::own::partys_own;
use super::store;
use crate::caller::{AccessManagementWrite, PartyAccess};
use crate::delegation_checks::{compile_policies, require_delegable};
use crate::openapi;
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::store::Connection;
use crate::system_users::model::{Delegation, SystemUser, SystemUserKind};
use crate::{requested, system_users, systems};

/// The customer agrees: the system user exists, and gateways have it with the next snapshot.
#[utoipa::path(
    post, path = "/authentication/api/v1/systemuser/request/{party}/{request_id}/approve", operation_id = "approveRequest", tag = openapi::REQUESTS,
    security(("user" = ["altinn:portal/enduser"])),
    responses((status = 200, description = "`true`", body = bool), (status = 404, description = "`AUTH-00010`"), (status = 409, description = "`AUTH-00013`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementWrite>,
    PathOf(IdInPath { request_id }): PathOf<IdInPath>,
) -> Result<Json<bool>, Problem> {
    let now = state.clock.now();
    let mut read = state.store.read().await?;
    let asked = partys_own(&mut read, caller.organization(), SystemUserKind::Standard, request_id).await?.rights;
    compile_policies(&state, read, &asked).await?;
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let request = partys_own(connection, caller.organization(), SystemUserKind::Standard, request_id).await?;
    let Accepted { request, user, delegation } = accepted(connection, request, caller.user_id(), now).await?;
    let (rights, packages) = (&delegation.rights, &delegation.access_packages);
    require_delegable(&state, connection, caller.user, &caller.party, rights, packages).await?;
    store::update_decision(connection, &request).await?;
    system_users::store::insert(connection, &user, &[delegation]).await?;
    let log =
        json!({ "request": request.id, "system": request.system, "party": request.party, "by": caller.user_id() });
    change.commit(now, "request_approved", log).await?;
    Ok(Json(true))
}

/// What an approval makes.
pub(super) struct Accepted {
    pub(super) request: SystemUserRequest,
    pub(super) user: SystemUser,
    pub(super) delegation: Delegation,
}

/// The request accepted, of whichever kind, unless something but the approver's own rights stands in the way.
pub(super) async fn accepted(
    connection: &mut Connection,
    request: SystemUserRequest,
    user_id: i64,
    now: Timestamp,
) -> Result<Accepted, Problem> {
    let (request, user, delegation) = request.accept(user_id, now).map_err(|_| codes::REQUEST_NOT_NEW)?;
    let system = systems::store::find(connection, &request.system)
        .await?
        .filter(|system| !system.is_deleted)
        .ok_or(codes::SYSTEM_NOT_FOUND)?;
    if system_users::store::find_live(connection, user.owner, &user.system, &user.external_ref).await?.is_some() {
        return Err(codes::SYSTEM_USER_EXISTS.into());
    }
    requested::require_offered(&system, &request.rights, &request.access_packages)?;
    Ok(Accepted { request, user, delegation })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story, tokens};

    const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

    #[tokio::test]
    async fn approval_makes_the_system_user_with_the_requests_id() {
        let test = TestState::with_request().await;
        let id = test.request_id().await;
        let path = format!("{}/approve", story::request_of_hansen(&id));
        let hansen = test.administrator_of_hansen();
        assert_eq!(test.post(&path, &hansen, &json!({})).await.expect(200), json!(true));
        let request = test.get(&format!("{}/{id}", story::REQUESTS), &test.vendor()).await.expect(200);
        assert_eq!(request["status"], "Accepted");
        test.get(&format!("{}/{id}", story::system_users_of_hansen()), &hansen).await.expect(200);
    }

    #[tokio::test]
    async fn a_decided_request_is_not_decided_again() {
        let test = TestState::with_request().await;
        let path = story::request_of_hansen(&test.request_id().await);
        let hansen = test.administrator_of_hansen();
        test.send("POST", &format!("{path}/approve"), &hansen, None).await.expect(200);
        for step in ["approve", "reject"] {
            test.send("POST", &format!("{path}/{step}"), &hansen, None).await.expect_code(409, "AUTH-00013");
        }
        let test = TestState::with_request().await;
        let path = story::request_of_hansen(&test.request_id().await);
        test.send("POST", &format!("{path}/reject"), &hansen, None).await.expect(200);
        for step in ["approve", "reject"] {
            test.send("POST", &format!("{path}/{step}"), &hansen, None).await.expect_code(409, "AUTH-00013");
        }
        assert_eq!(test.get(&story::system_users_of_hansen(), &hansen).await.expect(200), json!([]));
    }

    #[tokio::test]
    async fn of_many_approvals_at_once_exactly_one_wins() {
        let test = TestState::with_request().await;
        let path = format!("{}/approve", story::request_of_hansen(&test.request_id().await));
        let hansen = test.administrator_of_hansen();
        let mut approvals = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (test, path, hansen) = (test.clone(), path.clone(), hansen.clone());
            approvals.spawn(async move { test.send("POST", &path, &hansen, None).await.status });
        }
        let mut statuses = approvals.join_all().await;
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
        let users = test.get(&story::system_users_of_hansen(), &hansen).await.expect(200);
        assert_eq!(users.as_array().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn only_an_administrator_of_the_party_that_is_asked_approves() {
        let test = TestState::with_request().await;
        let id = test.request_id().await;
        let approve = |path: String| format!("{path}/approve");
        let (of_hansen, of_bakeri) = (approve(story::request_of_hansen(&id)), approve(story::request_of_bakeri(&id)));
        let low = tokens::User::new(story::HANSENS_MANAGER).level(2).token(&test);
        for (path, token, status, code) in [
            (&of_hansen, String::new(), 401, "token_missing"),
            (&of_hansen, test.vendor(), 403, "insufficient_scope"),
            (&of_hansen, low, 403, "authentication_level_too_low"),
            (&of_hansen, test.administrator_of_bakeri(), 403, "AUTH-00066"),
            (&of_bakeri, test.administrator_of_bakeri(), 403, "AUTH-00041"),
            (&of_bakeri, test.administrator_of_hansen(), 403, "AUTH-00066"),
            (&approve(story::request_of_hansen(UNKNOWN)), test.administrator_of_hansen(), 404, "AUTH-00010"),
            (&approve(story::request_of_hansen("7")), test.administrator_of_hansen(), 400, "path_invalid"),
        ] {
            test.send("POST", path, &token, None).await.expect_code(status, code);
        }
        test.send("POST", &of_hansen, &test.administrator_of_hansen(), None).await.expect(200);
    }

    #[tokio::test]
    async fn what_is_no_longer_delegable_is_not_approved() {
        let test = TestState::with_request().await;
        let resource = json!({ "title": { "nb": "MVA", "nn": "MVA", "en": "VAT" }, "delegable": false });
        test.put(&story::resource("vat"), &test.resource_owner(), &resource).await.expect(200);
        let path = format!("{}/approve", story::request_of_hansen(&test.request_id().await));
        test.send("POST", &path, &test.administrator_of_hansen(), None).await.expect_code(403, "AUTH-00070");
        let request =
            test.get(&story::request_of_hansen(&test.request_id().await), &test.administrator_of_hansen()).await;
        assert_eq!(request.expect(200)["status"], "New");
    }

    #[tokio::test]
    async fn what_the_system_may_no_longer_ask_for_is_not_approved() {
        for (part, code) in [("rights", "AUTH-00001"), ("accesspackages", "AUTH-00063")] {
            let test = TestState::with_request().await;
            let path = format!("{}/310247030_smartcloud/{part}", story::SYSTEMS);
            test.put(&path, &test.vendor(), &json!([])).await.expect(200);
            let approve = format!("{}/approve", story::request_of_hansen(&test.request_id().await));
            let hansen = test.administrator_of_hansen();
            test.send("POST", &approve, &hansen, None).await.expect_code(400, code);
            assert_eq!(test.get(&story::system_users_of_hansen(), &hansen).await.expect(200), json!([]));
        }
    }

    async fn approves(test: &TestState, token: &str) -> crate::test_state::Answer {
        let path = format!("{}/approve", story::request_of_hansen(&test.request_id().await));
        test.send("POST", &path, token, None).await
    }

    async fn put_policy(test: &TestState, xml: &str) {
        let path = format!("{}/policy", story::resource("vat"));
        test.put_xml(&path, &test.resource_owner(), xml).await.expect(200);
    }

    #[tokio::test]
    async fn an_approver_passes_on_all_that_is_asked_for_or_nothing() {
        let test = TestState::with_request().await;
        // Another rule, for another role, on the same resource: the manager may read and not sign.
        let signing = story::policy("vat", &["sign"], &[]).replace(">dagl<", ">lede<");
        let (_, rule) = signing.split_once("<Target/>").unwrap();
        let both = story::policy("vat", &["read"], &[]).replace("</Policy>", rule);
        put_policy(&test, &both).await;
        let answer = approves(&test, &test.administrator_of_hansen()).await;
        assert_eq!(
            answer.json["reasons"],
            json!([{
                "resource": [{ "id": "urn:altinn:resource", "value": "vat" }], "action": "sign", "result": false,
                "reasonCodes": ["MissingRoleAccess", "MissingDelegationAccess"],
            }])
        );
        answer.expect_code(403, "AUTH-00016");
        let users = test.get(&story::system_users_of_hansen(), &test.administrator_of_hansen()).await;
        assert_eq!(users.expect(200), json!([]));
        // A chair of the board may both.
        let roles = json!({ "roleAssignments": [
            { "userId": story::HANSENS_MANAGER, "organizationNumber": "310247049", "role": "daglig-leder" },
            { "userId": story::HANSENS_MANAGER, "organizationNumber": "310247049", "role": "styreleder" },
        ]});
        test.put("/portvakt/v1/parties", &test.operator(), &roles).await.expect(200);
        approves(&test, &test.administrator_of_hansen()).await.expect(200);
    }

    #[tokio::test]
    async fn a_right_that_needs_a_higher_level_needs_it_of_the_approver() {
        let test = TestState::with_request().await;
        let obligation = "</Rule><ObligationExpressions><ObligationExpression ObligationId=\"o\" FulfillOn=\"Permit\">\
            <AttributeAssignmentExpression AttributeId=\"a\" Category=\"urn:altinn:minimum-authenticationlevel\">\
            <AttributeValue DataType=\"http://www.w3.org/2001/XMLSchema#integer\">4</AttributeValue></AttributeAssignmentExpression>\
            </ObligationExpression></ObligationExpressions>";
        put_policy(&test, &story::policy("vat", &["read"], &[]).replace("</Rule>", obligation)).await;
        let answer = approves(&test, &test.administrator_of_hansen()).await;
        assert_eq!(answer.json["reasons"][0]["requiredAuthenticationLevel"], 4);
        answer.expect_code(403, "AUTH-00020");
        let high = tokens::User::new(story::HANSENS_MANAGER).level(4).token(&test);
        approves(&test, &high).await.expect(200);
    }

    #[tokio::test]
    async fn what_the_party_is_not_listed_for_is_not_passed_on() {
        let test = TestState::with_request().await;
        let list = format!("{}/access-lists/banks", story::PROVIDER);
        let owner = test.resource_owner();
        test.put(&list, &owner, &json!({ "members": [] })).await.expect(200);
        let restricted = json!({ "title": { "nb": "a", "nn": "b", "en": "c" }, "delegable": true, "accessLists": ["banks"], "accessListMode": "enabled" });
        test.put(&story::resource("vat"), &owner, &restricted).await.expect(200);
        approves(&test, &test.administrator_of_hansen()).await.expect_code(403, "AUTH-00069");
        let member = json!({ "members": [{ "organizationNumber": "310247049" }] });
        test.put(&list, &owner, &member).await.expect(200);
        approves(&test, &test.administrator_of_hansen()).await.expect(200);
    }

    #[tokio::test]
    async fn every_failure_is_named_with_the_code_of_the_first() {
        let test = TestState::with_request().await;
        // Somebody who manages access and has none of the roles that the policy of `vat` names, nor the package.
        let contact = 20_000_009;
        let roles = json!({ "roleAssignments": [
            { "userId": contact, "organizationNumber": "310247049", "role": "norsk-representant" },
        ]});
        test.put("/portvakt/v1/parties", &test.operator(), &roles).await.expect(200);
        let contact = tokens::User::new(contact).token(&test);
        let answer = approves(&test, &contact).await;
        let reasons = answer.json["reasons"].as_array().unwrap().clone();
        assert_eq!(reasons.len(), 2, "{reasons:?}");
        assert_eq!(
            reasons[1],
            json!({ "urn": story::PACKAGE, "result": false, "reasonCodes": ["MissingPackageAccess"] })
        );
        answer.expect_code(403, "AUTH-00016");
        let only_package = story::policy("vat", &["read"], &[]).replace(">dagl<", ">toll<");
        put_policy(&test, &only_package.replace("urn:altinn:rolecode", "urn:altinn:accesspackage")).await;
        approves(&test, &contact).await.expect_code(403, "AUTH-00068");
        put_policy(&test, &story::policy("vat", &["read"], &[]).replace(">dagl<", ">repr<")).await;
        approves(&test, &contact).await.expect_code(400, "AUTH-00053");
    }

    #[tokio::test]
    async fn whoever_approves_for_the_main_unit_approves_for_its_sub_units() {
        let test = TestState::with_system().await;
        let mut bakeri = story::parties()["parties"][1].clone();
        bakeri["mainUnit"] = json!("310247049");
        test.put("/portvakt/v1/parties", &test.operator(), &json!({ "parties": [bakeri] })).await.expect(200);
        let mut request = story::request();
        request["partyOrgNo"] = json!("310247057");
        let made = test.post(story::REQUESTS, &test.vendor(), &request).await.expect(201);
        let path = format!("{}/approve", story::request_of_bakeri(made["id"].as_str().unwrap()));
        test.send("POST", &path, &test.administrator_of_hansen(), None).await.expect(200);
    }
}
