//! `PUT /portvakt/v1/providers/{provider}/routes`: which call needs which right; the whole list at once.

use axum::Json;
use axum::extract::State;
use policies::snapshot::{CompileErrors, RouteDocument};
use serde::Deserialize;
use serde_json::{Value, json};

use super::model::CatalogueError;
use super::store;
use crate::caller::ResourceOwner;
use crate::json::OwnJson;
use crate::problem::{Problem, ProblemCode, codes};
use crate::state::AppState;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    routes: Vec<RouteDocument>,
}

pub(super) async fn handler(
    State(state): State<AppState>,
    owner: ResourceOwner,
    OwnJson(body): OwnJson<Body>,
) -> Result<Json<Value>, Problem> {
    let mut change = state.store.change().await?;
    store::replace_routes(change.connection(), &owner.provider, &body.routes).await?;
    match store::catalogue(change.connection(), &owner.provider).await?.check() {
        Ok(()) => {}
        Err(CatalogueError::Compile(errors)) => return Err(refused(codes::ROUTES_INVALID, &errors)),
        Err(CatalogueError::Policy(error)) => return Err(Problem::internal(error)),
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
