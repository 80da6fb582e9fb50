//! `GET /systemuser/request/{party}/{orgno}/pending`: what waits for the party's decision. Altinn's answer is a bare array
//! without pages.

use axum::Json;
use axum::extract::State;
use policies::id::OrganizationNumber;
use serde::Deserialize;
use serde_json::{Value, json};

use super::model::SystemUserRequest;
use super::store;
use crate::caller::{AccessManagementWrite, AccessManagementWriteInQuery, PartyAccess};
use crate::openapi::{self, altinn};
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::system_users::model::SystemUserKind;

#[derive(Debug, Deserialize)]
pub(super) struct InPath {
    organization: OrganizationNumber,
}

/// Requests for standard system users that wait for the party's decision, oldest first.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/request/{party}/{organization}/pending", operation_id = "listPendingRequests", tag = openapi::REQUESTS,
    security(("user" = ["altinn:portal/enduser"])),
    responses((status = 200, body = Vec<altinn::RequestSystemResponse>), (status = 403, description = "`AUTH-00041`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementWrite>,
    PathOf(InPath { organization }): PathOf<InPath>,
) -> Result<Json<Vec<Value>>, Problem> {
    if organization != caller.organization() {
        return Err(codes::PARTY_REQUEST_MISMATCH.into());
    }
    let now = state.clock.now();
    let mut connection = state.store.read().await?;
    let waiting = store::undecided(&mut connection, organization, SystemUserKind::Standard, now).await?;
    Ok(Json(waiting.iter().map(|request| request.json(&state.settings.public_url, now)).collect()))
}

/// All requests that wait for the party's decision, standard ones first, then escalated ones for agent system users.
#[utoipa::path(
    get, path = "/portvakt/v1/pending-requests", operation_id = "listAllPendingRequests", tag = openapi::REQUESTS,
    security(("user" = ["altinn:portal/enduser"])),
    params(("party" = String, Query, description = "Organisation number or party uuid")),
    responses((status = 200, body = Vec<altinn::RequestSystemResponse>), (status = 403, description = "`AUTH-00066`")),
)]
pub(super) async fn of_all_kinds(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementWriteInQuery>,
) -> Result<Json<Vec<Value>>, Problem> {
    let now = state.clock.now();
    let mut connection = state.store.read().await?;
    let mut waiting = Vec::new();
    for kind in [SystemUserKind::Standard, SystemUserKind::Agent] {
        waiting.extend(store::undecided(&mut connection, caller.organization(), kind, now).await?);
    }
    let entry = |request: &SystemUserRequest| {
        let mut entry = request.json(&state.settings.public_url, now);
        // Those for agents have none, and every entry has the same members.
        if let Some(members) = entry.as_object_mut() {
            members.entry("rights").or_insert_with(|| json!([]));
        }
        entry
    };
    Ok(Json(waiting.iter().map(entry).collect()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::requests::model::LIFETIME_DAYS;
    use crate::test_state::{TestState, story};

    const PATH: &str = "/authentication/api/v1/systemuser/request/50000001/310247049/pending";

    #[tokio::test]
    async fn what_waits_is_listed_until_it_is_decided_or_too_old() {
        let test = TestState::with_request().await;
        let first = test.request_id().await;
        test.clock.advance_seconds(1);
        let mut second = story::request();
        second["externalRef"] = json!("second");
        let second = test.post(story::REQUESTS, &test.vendor(), &second).await.expect(201);
        let hansen = || test.administrator_of_hansen();
        let ids = async || {
            let list = test.get(PATH, &hansen()).await.expect(200);
            list.as_array().unwrap().iter().map(|request| request["id"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(ids().await, [json!(first), second["id"].clone()]);
        let reject = format!("{}/reject", story::request_of_hansen(&first));
        test.send("POST", &reject, &hansen(), None).await.expect(200);
        assert_eq!(ids().await, [second["id"].clone()]);
        test.clock.advance_seconds(LIFETIME_DAYS * 86_400 - 1);
        assert_eq!(ids().await.len(), 1);
        test.clock.advance_seconds(1);
        assert_eq!(ids().await.len(), 0);
    }

    #[tokio::test]
    async fn the_oldest_thousand_are_shown() {
        let test = TestState::with_request().await;
        let requests = "WITH RECURSIVE counted (number) AS \
                        (SELECT 1 UNION ALL SELECT number + 1 FROM counted WHERE number < 1000) \
                        INSERT INTO system_user_request (id, kind, system, party, external_ref, integration_title, rights, \
                        access_packages, status, created_at) \
                        SELECT '00000000-0000-4000-9000-' || substr(CAST(1000000000000 + number AS TEXT), 2), 'standard', \
                        '310247030_smartcloud', '310247049', 'ref ' || number, 'x', '[]', '[]', 'New', 1795348800000 + number \
                        FROM counted";
        let mut change = test.state.store.change().await.unwrap();
        sqlx::query(requests).execute(change.connection()).await.unwrap();
        change.commit_derived().await.unwrap();
        let list = test.get(PATH, &test.administrator_of_hansen()).await.expect(200);
        let references: Vec<_> =
            list.as_array().unwrap().iter().map(|request| request["externalRef"].clone()).collect();
        assert_eq!(
            (references.len(), &references[0], &references[999]),
            (1000, &json!("310247049"), &json!("ref 999"))
        );
    }

    #[tokio::test]
    async fn one_list_has_all_that_waits_also_for_altinns_pages() {
        let test = TestState::with_agent_system().await;
        let agent = test.agent_request().await;
        let path = "/portvakt/v1/pending-requests?party=310247073";
        let pages =
            format!("/accessmanagement/api/v1/systemuser/{}/pending", crate::test_state::agents::uuid(50_000_003));
        let mut request = story::request();
        (request["partyOrgNo"], request["systemId"]) = (json!("310247073"), json!("310247030_smartcloud"));
        let standard = test.post(story::REQUESTS, &test.vendor(), &request).await.expect(201);
        let listed = test.get(path, &test.accountant()).await.expect(200);
        assert_eq!(listed, json!([standard]));
        let mut parties = crate::test_state::agents::parties();
        let role = json!({ "userId": 20_000_009, "organizationNumber": "310247073", "role": "styremedlem" });
        parties["roleAssignments"].as_array_mut().unwrap().push(role);
        test.put("/portvakt/v1/parties", &test.operator(), &parties).await.expect(200);
        let member = crate::test_state::tokens::User::new(20_000_009).token(&test);
        test.send("POST", &crate::test_state::agents::decision(&agent, "escalate"), &member, None).await.expect(200);
        let listed = test.get(&pages, &test.accountant()).await.expect(200);
        assert_eq!((listed.as_array().unwrap().len(), &listed[1]["id"]), (2, &json!(agent)));
        test.get(&pages, &test.administrator_of_hansen()).await.expect_code(403, "AUTH-00066");
    }

    #[tokio::test]
    async fn the_list_is_for_those_who_may_approve() {
        let test = TestState::with_request().await;
        let member = test.board_member_of_hansen().await;
        test.get(PATH, &member).await.expect_code(403, "AUTH-00066");
        test.get(PATH, &test.administrator_of_bakeri()).await.expect_code(403, "AUTH-00066");
        test.get(PATH, &test.vendor()).await.expect_code(403, "insufficient_scope");
        let hansen = test.administrator_of_hansen();
        let other = PATH.replace("310247049", "310247057");
        test.get(&other, &hansen).await.expect_code(403, "AUTH-00041");
        test.get(&PATH.replace("310247049", "7"), &hansen).await.expect_code(400, "path_invalid");
    }
}
