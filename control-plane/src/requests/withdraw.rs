//! `DELETE /systemuser/request/vendor/{requestId}`: the vendor takes back a request that was not accepted, and may
//! ask anew. Requests for agent system users, too.

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::json;

use super::get::IdInPath;
use super::model::Status;
use super::own::vendors_own_of_any_kind;
use super::store;
use crate::caller::{RequestWrite, Vendor};
use crate::openapi;
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// The vendor takes back a request that was not accepted.
#[utoipa::path(
    delete, path = "/authentication/api/v1/systemuser/request/vendor/{request_id}", operation_id = "withdrawRequest", tag = openapi::REQUESTS,
    security(("maskinporten" = ["altinn:authentication/systemuser.request.write"])),
    responses((status = 202), (status = 404, description = "`AUTH-00010`"), (status = 409, description = "`AUTH-00013`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: Vendor<RequestWrite>,
    PathOf(IdInPath { request_id }): PathOf<IdInPath>,
) -> Result<StatusCode, Problem> {
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let request = vendors_own_of_any_kind(change.connection(), &caller, request_id).await?;
    // An accepted request is the record of how its system user came to be.
    if request.status(now) == Status::Accepted {
        return Err(codes::REQUEST_NOT_NEW.into());
    }
    store::archive(change.connection(), request.id, now).await?;
    change.commit(now, "request_withdrawn", json!({ "request": request.id, "by": caller.organization() })).await?;
    Ok(StatusCode::ACCEPTED)
}

#[cfg(test)]
mod tests {
    use crate::test_state::{TestState, story, tokens};

    #[tokio::test]
    async fn a_request_is_withdrawn_once_and_by_its_vendor() {
        let test = TestState::with_request().await;
        let id = test.request_id().await;
        let path = format!("{}/{id}", story::REQUESTS);
        let foreign = tokens::Maskinporten::vendor("310247065").token(&test);
        test.delete(&path, &foreign).await.expect_code(404, "AUTH-00010");
        test.delete(&path, &test.vendor()).await.expect(202);
        test.delete(&path, &test.vendor()).await.expect_code(404, "AUTH-00010");
        let approve = format!("{}/approve", story::request_of_hansen(&id));
        test.send("POST", &approve, &test.administrator_of_hansen(), None).await.expect_code(404, "AUTH-00010");
        test.post(story::REQUESTS, &test.vendor(), &story::request()).await.expect(201);
    }

    #[tokio::test]
    async fn an_accepted_request_is_not_withdrawn() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        test.delete(&format!("{}/{id}", story::REQUESTS), &test.vendor()).await.expect_code(409, "AUTH-00013");
    }
}
