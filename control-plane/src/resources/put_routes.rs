//! `PUT /portvakt/v1/providers/{provider}/routes`: which call needs which right; the whole list at once.

use axum::Json;
use axum::extract::State;
use policies::snapshot::{CompileErrors, RouteDocument};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::model::UnreadablePolicy;
use super::store;
use crate::caller::ResourceOwner;
use crate::json::OwnJson;
use crate::openapi::{self, bodies, own};
use crate::problem::{Problem, ProblemCode, codes};
use crate::state::AppState;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PutRoutes)]
pub(super) struct Body {
    #[schema(value_type = Vec<bodies::ApiRoute>)]
    routes: Vec<RouteDocument>,
}

/// Which call needs which right: the provider's routes, the whole list at once.
#[utoipa::path(
    put, path = "/portvakt/v1/providers/{provider}/routes", operation_id = "putRoutes", tag = openapi::PROVIDERS,
    security(("maskinporten" = ["portvakt:resources.write"])),
    request_body = Body,
    responses((status = 200, body = own::StoredRoutes), (status = 404, description = "`provider_unknown`"), (status = 409, description = "`policy_unreadable`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    owner: ResourceOwner,
    OwnJson(body): OwnJson<Body>,
) -> Result<Json<Value>, Problem> {
    let mut change = state.store.change().await?;
    store::replace_routes(change.connection(), &owner.provider, &body.routes).await?;
    let catalogue = store::catalogue(change.connection(), &owner.provider).await?;
    let unreadable = catalogue.check().map_err(|errors| refused(codes::ROUTES_INVALID, &errors))?;
    // Whether such a resource has the action that a route names cannot be known.
    let is_named = |policy: &&UnreadablePolicy| body.routes.iter().any(|route| route.resource == policy.resource);
    if let Some(policy) = unreadable.iter().find(is_named) {
        return Err(Problem::new(codes::POLICY_UNREADABLE)
            .detail(policy.to_string())
            .member("resource", policy.resource.as_str())
            .member("line", policy.error.line)
            .member("reason", policy.error.code));
    }
    let log = json!({ "provider": owner.provider, "routes": body.routes.len(), "by": owner.organization });
    change.commit(state.clock.now(), "routes_replaced", log).await?;
    Ok(Json(json!({ "routes": body.routes.len() })))
}

/// Everything that the enforcing code would refuse.
pub(super) fn refused(code: ProblemCode, errors: &CompileErrors) -> Problem {
    let errors: Vec<_> = errors
        .0
        .iter()
        .map(|error| json!({ "path": error.path, "code": error.code, "message": error.message }))
        .collect();
    Problem::new(code).member("errors", errors)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story};

    #[tokio::test]
    async fn routes_are_replaced_as_a_whole() {
        let test = TestState::with_resources().await;
        let answer = test.put(story::ROUTES, &test.resource_owner(), &story::routes()).await.expect(200);
        assert_eq!(answer, json!({ "routes": 2 }));
        test.put(story::ROUTES, &test.resource_owner(), &json!({ "routes": [] })).await.expect(200);
    }

    #[tokio::test]
    async fn a_policy_that_cannot_be_read_any_more_blocks_only_its_own_routes() {
        let test = TestState::with_request().await;
        test.spoil_policy("vat").await;
        let owner = test.resource_owner();
        let answer = test.put(story::ROUTES, &owner, &story::routes()).await;
        assert_eq!((&answer.json["resource"], answer.json["line"].is_u64()), (&json!("vat"), true), "{}", answer.json);
        answer.expect_code(409, "policy_unreadable");
        let other = json!({ "routes": [story::routes()["routes"][1]] });
        test.put(story::ROUTES, &owner, &other).await.expect(200);
        let policy = |resource| format!("{}/policy", story::resource(resource));
        let accounts = story::policy("annual-accounts", &["read"], &[story::PACKAGE]);
        test.put_xml(&policy("annual-accounts"), &owner, &accounts).await.expect(200);
        let mut request = story::request();
        request["externalRef"] = json!("other");
        test.post(story::REQUESTS, &test.vendor(), &request).await.expect_code(400, "AUTH-00001");
        test.put_xml(&policy("vat"), &owner, &story::policy("vat", &["read"], &[])).await.expect(200);
        test.put(story::ROUTES, &owner, &story::routes()).await.expect(200);
        test.post(story::REQUESTS, &test.vendor(), &request).await.expect(201);
    }

    #[tokio::test]
    async fn every_wrong_route_is_named() {
        let test = TestState::with_resources().await;
        let before = test.state.store.revision().await.unwrap();
        let owner = test.resource_owner();
        let mut wrong = story::routes();
        wrong["routes"][0]["resource"] = json!("unknown");
        wrong["routes"][1]["action"] = json!("fly");
        let answer = test.put(story::ROUTES, &owner, &wrong).await;
        assert!(answer.json["errors"].as_array().unwrap().len() >= 2, "{}", answer.json);
        answer.expect_code(400, "routes_invalid");
        for body in [
            json!({}),
            json!({ "routes": {} }),
            json!({ "routes": [{ "name": "x" }] }),
            json!({ "routes": [], "x": 1 }),
        ] {
            test.put(story::ROUTES, &owner, &body).await.expect_code(400, "json_invalid");
        }
        test.put(story::ROUTES, &test.operator(), &story::routes()).await.expect_code(403, "insufficient_scope");
        assert_eq!(test.state.store.revision().await.unwrap(), before);
    }
}
