//! `GET /accessmanagement/api/v1/enduser/connections/resources/delegationcheck?party&resource`: which actions on a resource
//! the caller may pass on at the party.

use axum::Json;
use axum::extract::State;
use policies::id::ResourceId;
use serde_json::{Value, json};

use super::check;
use super::model::RightCheck;
use crate::caller::{AccessManagementWriteInQuery, PartyAccess};
use crate::openapi;
use crate::parameters::Query;
use crate::problem::Problem;
use crate::right::ResourceRight;
use crate::state::AppState;

/// Which actions on a resource the caller may pass on.
#[utoipa::path(
    get, path = "/accessmanagement/api/v1/enduser/connections/resources/delegationcheck",
    operation_id = "checkDelegationOfResource", tag = openapi::REQUESTS,
    security(("user" = ["altinn:portal/enduser"])),
    params(
        ("party" = String, Query, description = "Organisation number or party uuid"),
        ("resource" = String, Query, description = "The resource"),
    ),
    responses((status = 200, description = "`result` and `reasonCodes` of each action", body = Object), (status = 403, description = "`AUTH-00066`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementWriteInQuery>,
    query: Query,
) -> Result<Json<Value>, Problem> {
    let resource = query.required("resource", ResourceId::parse)?;
    let mut connection = state.store.read().await?;
    let right = ResourceRight { resource, action: None, valid_to: None };
    let asked = std::slice::from_ref(&right);
    let checked = check(&state, &mut connection, caller.user, &caller.party, asked, &[]).await?;
    let rights: Vec<_> = checked.rights.iter().map(of_action).collect();
    Ok(Json(json!({ "resource": { "refId": right.resource }, "rights": rights })))
}

fn of_action(check: &RightCheck) -> Value {
    let key = check.action.as_ref().map(|action| format!("{}:{action}", check.right.resource));
    json!({
        "right": { "key": key, "action": check.action },
        "result": check.is_passed_on,
        "reasonCodes": check.reasons,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::test_state::{TestState, story};

    const PATH: &str = "/accessmanagement/api/v1/enduser/connections/resources/delegationcheck";

    fn path(party: &str, resource: &str) -> String {
        format!("{PATH}?party={party}&resource={resource}")
    }

    fn reasons(answer: &Value) -> Vec<(&str, bool, &str)> {
        let text = |value: &'_ Value| value.as_str().map_or("", |text| Box::leak(text.to_owned().into_boxed_str()));
        let of = |right: &'_ Value| {
            (text(&right["right"]["action"]), right["result"].as_bool().unwrap(), text(&right["reasonCodes"][0]))
        };
        answer["rights"].as_array().unwrap().iter().map(of).collect()
    }

    #[tokio::test]
    async fn every_action_has_its_own_answer() {
        let test = TestState::with_resources().await;
        let (hansen, bakeri) = (test.administrator_of_hansen(), test.administrator_of_bakeri());
        let by_uuid = path("00000000-0000-4000-8000-000050000001", "vat");
        let answer = test.get(&by_uuid, &hansen).await.expect(200);
        assert_eq!(
            answer,
            json!({ "resource": { "refId": "vat" }, "rights": [
                { "right": { "key": "vat:read", "action": "read" }, "result": true, "reasonCodes": ["RoleAccess"] },
            ]})
        );
        let answer = test.get(&path("310247057", "vat"), &bakeri).await.expect(200);
        assert_eq!(reasons(&answer), [("read", false, "MissingRoleAccess")]);
        for (resource, reason) in [("internal", "ResourceNotDelegable"), ("unknown", "ResourceNotDelegable")] {
            let answer = test.get(&path("310247049", resource), &hansen).await.expect(200);
            assert_eq!(reasons(&answer), [("", false, reason)], "{resource}");
        }
        let body = json!({ "title": { "nb": "a", "nn": "b", "en": "c" }, "delegable": true });
        test.put(&story::resource("without-policy"), &test.resource_owner(), &body).await.expect(201);
        let answer = test.get(&path("310247049", "without-policy"), &hansen).await.expect(200);
        assert_eq!(reasons(&answer), [("", false, "Unknown")]);
    }

    #[tokio::test]
    async fn only_whoever_manages_access_is_answered() {
        let test = TestState::with_resources().await;
        let bakeri = test.administrator_of_bakeri();
        test.get(&path("310247049", "vat"), &bakeri).await.expect_code(403, "AUTH-00066");
        test.get(&path("310247049", "vat"), "").await.expect_code(401, "token_missing");
        test.get(&format!("{PATH}?party=310247057"), &bakeri).await.expect_code(400, "query_invalid");
        test.get(&path("310247057", "a%20b"), &bakeri).await.expect_code(400, "query_invalid");
    }
}
