//! `PUT /portvakt/v1/providers/{provider}/access-lists/{list}`: who is on the list, the whole list at once.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use policies::id::{ActionId, OrganizationNumber};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::model::AccessListId;
use super::store;
use crate::caller::ResourceOwner;
use crate::json::OwnJson;
use crate::openapi::{self, own};
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// Most members of one list.
const MEMBERS_MAX: usize = 20_000;
/// Most actions of one member.
const ACTIONS_MAX: usize = 64;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PutAccessList)]
pub(super) struct Body {
    members: Vec<MemberJson>,
}

/// A member, as it arrives and leaves.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = PutAccessListMember)]
pub(super) struct MemberJson {
    #[schema(value_type = String, example = "310247049")]
    pub(super) organization_number: OrganizationNumber,
    /// Absent: all actions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub(super) actions: Option<BTreeSet<ActionId>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ListInPath {
    pub(super) list: AccessListId,
}

/// An access list: who is on it, the whole list at once.
#[utoipa::path(
    put, path = "/portvakt/v1/providers/{provider}/access-lists/{list}", operation_id = "putAccessList", tag = openapi::PROVIDERS,
    security(("maskinporten" = ["portvakt:resources.write"])),
    request_body = Body,
    responses((status = 200, body = own::StoredAccessList), (status = 404, description = "`provider_unknown`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    owner: ResourceOwner,
    PathOf(ListInPath { list }): PathOf<ListInPath>,
    OwnJson(body): OwnJson<Body>,
) -> Result<Json<Value>, Problem> {
    let invalid = |detail: String| Problem::new(codes::FIELD_INVALID).detail(detail);
    if body.members.len() > MEMBERS_MAX {
        return Err(invalid(format!("`members`: at most {MEMBERS_MAX}")));
    }
    let mut members = BTreeMap::new();
    for MemberJson { organization_number, actions } in body.members {
        // An empty list could be meant for all actions or for none.
        if actions.as_ref().is_some_and(|actions| actions.is_empty() || actions.len() > ACTIONS_MAX) {
            return Err(invalid(format!("`actions` of {organization_number}: 1 to {ACTIONS_MAX}, or absent for all")));
        }
        if members.insert(organization_number, actions).is_some() {
            return Err(invalid(format!("`members`: {organization_number} is there twice")));
        }
    }
    let mut change = state.store.change().await?;
    store::put_access_list(change.connection(), &owner.provider, &list, &members).await?;
    let answer = json!({ "id": list, "members": members.len() });
    let log = json!({ "accessList": answer, "provider": owner.provider, "by": owner.organization });
    change.commit(state.clock.now(), "access_list_stored", log).await?;
    Ok(Json(answer))
}

#[cfg(test)]
mod tests {
    use policies::id::ProviderId;
    use serde_json::json;

    use crate::resources::store::access_list_members;
    use crate::test_state::{TestState, story};

    const LIST: &str = "/portvakt/v1/providers/regnskapsregisteret/access-lists/banks";

    async fn restrict(test: &TestState, lists: &serde_json::Value, mode: &str) {
        let body = json!({ "title": { "nb": "a", "nn": "b", "en": "c" }, "delegable": true, "accessLists": lists, "accessListMode": mode });
        test.put(&story::resource("vat"), &test.resource_owner(), &body).await.expect(200);
    }

    async fn members(test: &TestState) -> serde_json::Value {
        let mut connection = test.state.store.read().await.unwrap();
        let provider = ProviderId::parse("regnskapsregisteret").unwrap();
        json!(access_list_members(&mut connection, &provider).await.unwrap())
    }

    #[tokio::test]
    async fn resources_are_for_members_of_any_of_their_lists() {
        let test = TestState::with_resources().await;
        let owner = test.resource_owner();
        let other = LIST.replace("banks", "insurers");
        let banks = json!({ "members": [{ "organizationNumber": "310247057", "actions": ["write"] }, { "organizationNumber": "310247049" }] });
        assert_eq!(test.put(LIST, &owner, &banks).await.expect(200), json!({ "id": "banks", "members": 2 }));
        let insurers = json!({ "members": [{ "organizationNumber": "310247057", "actions": ["read"] }, { "organizationNumber": "310247049", "actions": ["read"] }] });
        test.put(&other, &owner, &insurers).await.expect(200);
        assert_eq!(members(&test).await, json!({}));
        restrict(&test, &json!([]), "enabled").await;
        assert_eq!(members(&test).await, json!({ "vat": [] }));
        restrict(&test, &json!(["banks", "insurers"]), "enabled").await;
        assert_eq!(members(&test).await, json!({ "vat": [["310247049", null], ["310247057", ["read", "write"]]] }));
        let answer = test.get(LIST, &owner).await.expect(200);
        assert_eq!(
            answer["members"],
            json!([{ "organizationNumber": "310247049" }, { "organizationNumber": "310247057", "actions": ["write"] }])
        );
        assert_eq!(answer["resources"], json!(["vat"]));
        test.put(LIST, &owner, &json!({ "members": [] })).await.expect(200);
        assert_eq!(members(&test).await["vat"][0], json!(["310247049", ["read"]]));
    }

    #[tokio::test]
    async fn a_resource_put_without_access_lists_keeps_them() {
        let test = TestState::with_resources().await;
        test.put(LIST, &test.resource_owner(), &json!({ "members": [] })).await.expect(200);
        restrict(&test, &json!(["banks"]), "enabled").await;
        let body = json!({ "title": { "nb": "a", "nn": "b", "en": "c" }, "delegable": true });
        let answer = test.put(&story::resource("vat"), &test.resource_owner(), &body).await.expect(200);
        assert_eq!((&answer["accessLists"], &answer["accessListMode"]), (&json!(["banks"]), &json!("enabled")));
        assert_eq!(members(&test).await, json!({ "vat": [] }));
    }

    #[tokio::test]
    async fn a_list_that_a_resource_uses_is_not_deleted() {
        let test = TestState::with_resources().await;
        let owner = test.resource_owner();
        test.put(LIST, &owner, &json!({ "members": [{ "organizationNumber": "310247049" }] })).await.expect(200);
        restrict(&test, &json!(["banks"]), "disabled").await;
        test.delete(LIST, &owner).await.expect_code(409, "access_list_in_use");
        restrict(&test, &json!([]), "disabled").await;
        assert_eq!(test.delete(LIST, &owner).await.status, 204);
        test.delete(LIST, &owner).await.expect_code(404, "access_list_unknown");
        test.get(LIST, &owner).await.expect_code(404, "access_list_unknown");
    }

    #[tokio::test]
    async fn wrong_lists_are_refused() {
        let test = TestState::with_resources().await;
        let before = test.state.store.revision().await.unwrap();
        let owner = test.resource_owner();
        let member = |number: u32| json!({ "organizationNumber": format!("{number}") });
        for (body, code) in [
            (json!({}), "json_invalid"),
            (json!({ "members": [{}] }), "json_invalid"),
            (json!({ "members": [member(310_247_048)] }), "json_invalid"),
            (json!({ "members": [member(310_247_049), member(310_247_049)] }), "field_invalid"),
            (json!({ "members": [{ "organizationNumber": "310247049", "actions": [] }] }), "field_invalid"),
            (json!({ "members": [{ "organizationNumber": "310247049", "actions": ["a b"] }] }), "json_invalid"),
            (json!({ "members": [{ "organizationNumber": "310247049", "name": "x" }] }), "json_invalid"),
            (json!({ "members": vec![member(310_247_049); super::MEMBERS_MAX + 1] }), "field_invalid"),
        ] {
            test.put(LIST, &owner, &body).await.expect_code(400, code);
        }
        let upper = LIST.replace("banks", "Banks");
        test.put(&upper, &owner, &json!({ "members": [] })).await.expect_code(400, "path_invalid");
        test.put(LIST, &test.vendor(), &json!({ "members": [] })).await.expect_code(403, "insufficient_scope");
        let unknown =
            json!({ "title": { "nb": "a", "nn": "b", "en": "c" }, "delegable": true, "accessLists": ["unknown"] });
        test.put(&story::resource("vat"), &owner, &unknown).await.expect_code(400, "field_invalid");
        assert_eq!(test.state.store.revision().await.unwrap(), before);
    }
}
