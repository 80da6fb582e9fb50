//! `DELETE /systemuser/{party}/{systemUserId}`: the owner withdraws a standard system user. Its tokens stop working at every
//! gateway with the next snapshot; its request goes with it, so that the vendor may ask anew.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use policies::id::SystemUserId;
use serde::Deserialize;
use serde_json::json;

use super::model::SystemUserKind;
use super::store;
use crate::caller::{AccessManagementWrite, PartyAccess};
use crate::openapi;
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::state::AppState;

#[derive(Debug, Deserialize)]
pub(super) struct InPath {
    system_user_id: SystemUserId,
}

/// The owner withdraws a system user. Its tokens stop working at every gateway with the next snapshot.
#[utoipa::path(
    delete, path = "/authentication/api/v1/systemuser/{party}/{system_user_id}", operation_id = "deleteSystemUser", tag = openapi::SYSTEM_USERS,
    security(("user" = ["altinn:portal/enduser"])),
    responses((status = 202, description = "`1`", body = u8), (status = 400, description = "`AUTH-00036`"), (status = 403, description = "`AUTH-00024` or `AUTH-00066`"), (status = 404, description = "The number `0`: no such system user")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementWrite>,
    PathOf(InPath { system_user_id }): PathOf<InPath>,
) -> Result<(StatusCode, Json<u8>), Problem> {
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let user = store::find(change.connection(), system_user_id)
        .await?
        .and_then(|user| user.withdraw(now).ok())
        .ok_or_else(|| Problem::new(codes::SYSTEM_USER_NOT_FOUND).bare_json(&json!(0)))?;
    if user.owner != caller.organization() {
        return Err(codes::SYSTEM_USER_NOT_OWNED.into());
    }
    if user.kind != SystemUserKind::Standard {
        return Err(codes::SYSTEM_USER_NOT_STANDARD.into());
    }
    store::mark_withdrawn(change.connection(), &user).await?;
    let log = json!({ "systemUser": user.id, "party": user.owner, "by": caller.user_id() });
    change.commit(now, "system_user_withdrawn", log).await?;
    Ok((StatusCode::ACCEPTED, Json(1)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story};

    #[tokio::test]
    async fn a_withdrawn_system_user_is_gone_and_may_be_requested_anew() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let path = format!("{}/{id}", story::system_users_of_hansen());
        let hansen = test.administrator_of_hansen();
        assert_eq!(test.delete(&path, &hansen).await.expect(202), json!(1));
        assert_eq!(test.delete(&path, &hansen).await.expect(404), json!(0));
        test.get(&path, &hansen).await.expect_code(404, "AUTH-00015");
        test.get(&story::lookup(), &test.maskinporten()).await.expect(404);
        test.get(&format!("{}/{id}", story::REQUESTS), &test.vendor()).await.expect_code(404, "AUTH-00010");
        let again = test.post(story::REQUESTS, &test.vendor(), &story::request()).await.expect(201);
        assert_ne!(again["id"], id);
    }

    #[tokio::test]
    async fn only_the_owner_withdraws() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let own = format!("{}/{id}", story::system_users_of_hansen());
        test.delete(&own, &test.administrator_of_bakeri()).await.expect_code(403, "AUTH-00066");
        let through_own_party = format!("{}/{id}", story::system_users_of_bakeri());
        let bakeri = test.administrator_of_bakeri();
        test.delete(&through_own_party, &bakeri).await.expect_code(403, "AUTH-00024");
        let unknown = format!("{}/00000000-0000-4000-8000-000000000000", story::system_users_of_bakeri());
        assert_eq!(test.delete(&unknown, &bakeri).await.expect(404), json!(0));
        test.delete(&own, &test.vendor()).await.expect_code(403, "insufficient_scope");
        test.get(&own, &test.administrator_of_hansen()).await.expect(200);
    }
}
