//! `POST /portvakt/v1/providers/{provider}/explain`: why a system user may or may not, by what gateways enforce now.
//!
//! The answer is about the last published state, not about the database: what has been approved and is not yet published
//! does not count. The words are in the language of `Accept-Language` (nb, nn, en).

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use policies::explain::{Language, Question, explain};
use policies::id::{ActionId, OrganizationNumber, ResourceId, SystemUserId};
use policies::right::Right;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::caller::ResourceOwner;
use crate::json::OwnJson;
use crate::openapi::{self, own};
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// Highest authentication level.
const LEVEL_MAX: u8 = 4;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = Explain)]
pub(super) struct Body {
    #[schema(value_type = String, format = "uuid")]
    system_user: SystemUserId,
    #[schema(value_type = String, example = "310247049")]
    party: OrganizationNumber,
    #[schema(value_type = String)]
    resource: ResourceId,
    #[schema(value_type = String)]
    action: ActionId,
    #[serde(default = "level_of_maskinporten")]
    authentication_level: u8,
}

fn level_of_maskinporten() -> u8 {
    3
}

/// Why gateways permit or refuse it now, in the language of `Accept-Language` (nb, nn, en).
#[utoipa::path(
    post, path = "/portvakt/v1/providers/{provider}/explain", operation_id = "explain", tag = openapi::DECISIONS,
    security(("maskinporten" = ["portvakt:resources.write"])),
    request_body = Body,
    responses((status = 200, body = own::Explanation), (status = 404, description = "`provider_unknown`"), (status = 503, description = "`snapshot_unpublished`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    owner: ResourceOwner,
    headers: HeaderMap,
    OwnJson(body): OwnJson<Body>,
) -> Result<Json<Value>, Problem> {
    if body.authentication_level > LEVEL_MAX {
        return Err(Problem::new(codes::FIELD_INVALID).detail("`authenticationLevel` is 0 to 4"));
    }
    let question = Question {
        system_user: body.system_user,
        party: body.party,
        right: Right { resource: body.resource, action: body.action },
        authentication_level: body.authentication_level,
    };
    let language = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let language = Language::of_header(language);
    let policy = state.publications.policy(&owner.provider).ok_or(codes::SNAPSHOT_UNPUBLISHED)?;
    let explanation = explain(&policy.read(), &question, state.clock.now());
    let text = explanation.text(language);
    let mut answer = json!(explanation);
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("language".to_owned(), json!(language.tag()));
        answer.insert("text".to_owned(), json!(text));
    }
    Ok(Json(answer))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story};

    fn path() -> String {
        format!("{}/explain", story::PROVIDER)
    }

    #[tokio::test]
    async fn a_permit_names_its_rule_and_a_refusal_what_is_nearest() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        test.built().await;
        let question = |resource: &str, party: &str| json!({ "systemUser": id, "party": party, "resource": resource, "action": "read" });
        let owner = test.resource_owner();
        let permit = test.post(&path(), &owner, &question("annual-accounts", "310247049")).await.expect(200);
        assert_eq!(permit["permitted"], true);
        assert_eq!(permit["reasons"][0]["code"], "granted_by_package");
        assert!(permit["reasons"][0]["rule"]["line"].as_u64().unwrap() > 0, "{permit}");
        assert_eq!(permit["language"], "en");

        let refusal = test.post(&path(), &owner, &question("annual-accounts", "310247057")).await.expect(200);
        assert_eq!((&refusal["permitted"], &refusal["denial"]), (&json!(false), &json!("party_not_represented")));
        assert_eq!(refusal["reasons"][1]["parties"], json!(["310247049"]));
        assert!(refusal["text"][0].as_str().unwrap().starts_with("The system user does not act"), "{refusal}");

        let unknown = test.post(&path(), &owner, &question("none", "310247049")).await.expect(200);
        assert_eq!(unknown["reasons"][0]["code"], "resource_unknown");
    }

    #[tokio::test]
    async fn only_the_providers_organization_is_told() {
        let test = TestState::with_resources().await;
        test.built().await;
        let question = json!({ "systemUser": "f950ddae-06c3-4b57-b940-702417a90df0", "party": "310247049", "resource": "vat", "action": "read" });
        test.post(&path(), &test.vendor(), &question).await.expect_code(403, "insufficient_scope");
        test.post(&path(), "", &question).await.expect_code(401, "token_missing");
        let mut wrong = question.clone();
        wrong["authenticationLevel"] = json!(5);
        test.post(&path(), &test.resource_owner(), &wrong).await.expect_code(400, "field_invalid");
        wrong["party"] = json!("310247048");
        test.post(&path(), &test.resource_owner(), &wrong).await.expect_code(400, "json_invalid");
        let known = test.post(&path(), &test.resource_owner(), &question).await.expect(200);
        assert_eq!(known["denial"], "system_user_unknown");
    }

    #[tokio::test]
    async fn nothing_is_explained_before_something_is_published() {
        let test = TestState::without_publisher().await;
        let question = json!({ "systemUser": "f950ddae-06c3-4b57-b940-702417a90df0", "party": "310247049", "resource": "vat", "action": "read" });
        test.post(&path(), &test.resource_owner(), &question).await.expect_code(503, "snapshot_unpublished");
    }
}
