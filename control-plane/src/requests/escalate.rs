//! `POST /systemuser/request/{party}/{requestId}/escalate`: somebody who may not approve passes the request on to those at
//! the party who may. A flag, no state: who may approve does so with or without it.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::json;

use super::model::RequestId;
use super::own::partys_own;
use super::portal::{Standing, standing};
use super::store;
use crate::caller::PortalUser;
use crate::openapi;
use crate::parameters::PathOf;
use crate::parties::{self, PartyId};
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::system_users::model::SystemUserKind;

#[derive(Debug, Deserialize)]
pub(super) struct InPath {
    party: PartyId,
    request_id: RequestId,
}

/// Somebody who may not approve passes the request on to those who may.
#[utoipa::path(
    post, path = "/authentication/api/v1/systemuser/request/{party}/{request_id}/escalate", operation_id = "escalateRequest", tag = openapi::REQUESTS,
    security(("user" = ["altinn:portal/enduser"])),
    responses(
        (status = 200, description = "`true`", body = bool), (status = 403, description = "`AUTH-00041` or `AUTH-00044`"),
        (status = 404, description = "`AUTH-00010`"), (status = 409, description = "`AUTH-00013` or `may_approve`"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PortalUser,
    PathOf(path): PathOf<InPath>,
) -> Result<Json<bool>, Problem> {
    escalated(&state, &caller, path, SystemUserKind::Standard).await
}

/// Marks a request for a system user of this kind.
pub(super) async fn escalated(
    state: &AppState,
    caller: &PortalUser,
    path: InPath,
    kind: SystemUserKind,
) -> Result<Json<bool>, Problem> {
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let party = parties::store::find(connection, path.party).await?.ok_or(codes::FORBIDDEN)?;
    let standing = standing(state, connection, caller, &party).await?.ok_or(codes::FORBIDDEN)?;
    let request = partys_own(connection, party.organization, kind, path.request_id).await?;
    let was_escalated = request.is_escalated;
    let request = request.escalate(now).map_err(|_| codes::REQUEST_NOT_NEW)?;
    if standing == Standing::MayApprove {
        return Err(codes::MAY_APPROVE.into());
    }
    if !was_escalated {
        store::mark_escalated(connection, request.id).await?;
        let by = caller.user.user_id;
        let log = json!({ "request": request.id, "system": request.system, "party": request.party, "by": by });
        change.commit(now, "request_escalated", log).await?;
    }
    Ok(Json(true))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story};

    #[tokio::test]
    async fn whoever_may_not_approve_passes_on_and_the_manager_approves() {
        let test = TestState::with_request().await;
        let id = test.request_id().await;
        let member = test.board_member_of_hansen().await;
        let path = story::request_of_hansen(&id);
        let approve = format!("{path}/approve");
        test.send("POST", &approve, &member, None).await.expect_code(403, "AUTH-00066");
        let escalate = format!("{path}/escalate");
        let read = format!("{}/{id}", story::REQUESTS);
        assert_eq!(test.get(&read, &test.vendor()).await.expect(200)["escalated"], false);
        assert_eq!(test.send("POST", &escalate, &member, None).await.expect(200), json!(true));
        let revision = test.state.store.revision().await.unwrap();
        assert_eq!(test.send("POST", &escalate, &member, None).await.expect(200), json!(true));
        assert_eq!(test.state.store.revision().await.unwrap(), revision);
        assert_eq!(test.get(&read, &test.vendor()).await.expect(200)["escalated"], true);
        test.send("POST", &approve, &test.administrator_of_hansen(), None).await.expect(200);
        test.send("POST", &escalate, &member, None).await.expect_code(409, "AUTH-00013");
    }

    #[tokio::test]
    async fn only_at_the_party_that_is_asked_and_only_by_who_may_not_approve() {
        let test = TestState::with_request().await;
        let id = test.request_id().await;
        let member = test.board_member_of_hansen().await;
        let before = test.state.store.revision().await.unwrap();
        let escalate = |path: String| format!("{path}/escalate");
        let (of_hansen, of_bakeri) = (escalate(story::request_of_hansen(&id)), escalate(story::request_of_bakeri(&id)));
        let unknown = escalate(story::request_of_hansen("00000000-0000-4000-8000-000000000000"));
        for (path, token, status, code) in [
            (&of_hansen, test.administrator_of_hansen(), 409, "may_approve"),
            (&of_hansen, test.administrator_of_bakeri(), 403, "AUTH-00044"),
            (&of_bakeri, test.administrator_of_bakeri(), 403, "AUTH-00041"),
            (&of_bakeri, member.clone(), 403, "AUTH-00044"),
            (&unknown, member.clone(), 404, "AUTH-00010"),
            (&of_hansen, test.vendor(), 403, "insufficient_scope"),
            (&of_hansen.replace("50000001", "50000099"), member.clone(), 403, "AUTH-00044"),
        ] {
            test.send("POST", path, &token, None).await.expect_code(status, code);
        }
        assert_eq!(test.state.store.revision().await.unwrap(), before);
    }
}
