//! `POST /systemuser/request/{party}/{requestId}/reject`: the customer refuses.

use axum::Json;
use axum::extract::State;
use serde_json::json;

use super::get::IdInPath;
use super::model::RequestId;
use super::own::partys_own;
use super::store;
use crate::caller::{AccessManagementWrite, PartyAccess};
use crate::openapi;
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::system_users::model::SystemUserKind;

/// The customer refuses.
#[utoipa::path(
    post, path = "/authentication/api/v1/systemuser/request/{party}/{request_id}/reject", operation_id = "rejectRequest", tag = openapi::REQUESTS,
    security(("user" = ["altinn:portal/enduser"])),
    responses((status = 200, description = "`true`", body = bool), (status = 404, description = "`AUTH-00010`"), (status = 409, description = "`AUTH-00013`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementWrite>,
    PathOf(IdInPath { request_id }): PathOf<IdInPath>,
) -> Result<Json<bool>, Problem> {
    rejected(&state, &caller, SystemUserKind::Standard, request_id).await
}

/// The customer refuses a request for a system user of this kind.
pub(super) async fn rejected(
    state: &AppState,
    caller: &PartyAccess<AccessManagementWrite>,
    kind: SystemUserKind,
    id: RequestId,
) -> Result<Json<bool>, Problem> {
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let request = partys_own(change.connection(), caller.organization(), kind, id).await?;
    let request = request.reject(caller.user_id(), now).map_err(|_| codes::REQUEST_NOT_NEW)?;
    store::update_decision(change.connection(), &request).await?;
    let log = json!({
        "request": request.id, "kind": request.kind, "system": request.system, "party": request.party,
        "by": caller.user_id(),
    });
    change.commit(now, "request_rejected", log).await?;
    Ok(Json(true))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story};

    #[tokio::test]
    async fn a_rejected_request_stays_rejected_until_the_vendor_withdraws_it() {
        let test = TestState::with_request().await;
        let id = test.request_id().await;
        let path = format!("{}/reject", story::request_of_hansen(&id));
        let answer = test.send("POST", &path, &test.administrator_of_hansen(), None).await.expect(200);
        assert_eq!(answer, json!(true));
        let again = test.post(story::REQUESTS, &test.vendor(), &story::request()).await.expect(200);
        assert_eq!((&again["id"], &again["status"]), (&json!(id), &json!("Rejected")));
        test.delete(&format!("{}/{id}", story::REQUESTS), &test.vendor()).await.expect(202);
        test.post(story::REQUESTS, &test.vendor(), &story::request()).await.expect(201);
    }

    #[tokio::test]
    async fn another_party_cannot_reject() {
        let test = TestState::with_request().await;
        let path = format!("{}/reject", story::request_of_bakeri(&test.request_id().await));
        test.send("POST", &path, &test.administrator_of_bakeri(), None).await.expect_code(403, "AUTH-00041");
    }
}
