//! `GET /systemuser/request/{requestId}`: a request as whoever followed its link sees it, once logged in; the page does not
//! know the party yet. It is shown to those who have something to do with the party that is asked ([`Standing`]); to others
//! it looks like none.

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use super::get::IdInPath;
use super::own::of_kind;
use crate::caller::PortalUser;
use crate::openapi::{self, altinn};
use crate::parameters::PathOf;
use crate::parties::{self, Party};
use crate::problem::{Problem, codes};
use crate::resources::model::built_in::BuiltInResource;
use crate::state::AppState;
use crate::store::Connection;
use crate::system_users::model::SystemUserKind;

/// Level at which people see requests: what the policy of access management demands.
const AUTHENTICATION_LEVEL_MIN: u8 = 3;

/// A request for a standard system user, to somebody of the organisation that is asked.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/request/{request_id}", operation_id = "getRequest", tag = openapi::REQUESTS,
    security(("user" = ["altinn:portal/enduser"])),
    responses(
        (status = 200, body = altinn::RequestSystemResponseInternal),
        (status = 404, description = "`AUTH-00010`"),
    ),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: PortalUser,
    PathOf(IdInPath { request_id }): PathOf<IdInPath>,
) -> Result<Json<Value>, Problem> {
    let mut connection = state.store.read().await?;
    let request = of_kind(&mut connection, SystemUserKind::Standard, request_id).await?;
    let party =
        parties::store::find_organization(&mut connection, request.party).await?.ok_or(codes::REQUEST_NOT_FOUND)?;
    let standing = standing(&state, &mut connection, &caller, &party).await?.ok_or(codes::REQUEST_NOT_FOUND)?;
    Ok(Json(standing.shown(&party, request.json(&state.settings.public_url, state.clock.now()))))
}

/// What somebody may do about the requests to a party.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Approve and reject them.
    MayApprove,
    /// Pass them on to those who may: sees its system users, or has a role there.
    MayEscalate,
}

impl Standing {
    /// A request as somebody of the party sees it.
    pub(super) fn shown(self, party: &Party, request: Value) -> Value {
        let mut shown = party.named_in(request);
        if let Some(members) = shown.as_object_mut() {
            members.insert("userMayEscalateButNotApprove".to_owned(), (self == Self::MayEscalate).into());
        }
        shown
    }
}

/// `None` for whoever has nothing to do with the party.
pub(super) async fn standing(
    state: &AppState,
    connection: &mut Connection,
    caller: &PortalUser,
    party: &Party,
) -> Result<Option<Standing>, Problem> {
    let (access, overview) = (BuiltInResource::AccessManagement, BuiltInResource::SystemUserOverview);
    if caller.may(state, connection, party, access, "write").await? {
        return Ok(Some(Standing::MayApprove));
    }
    if caller.may(state, connection, party, overview, "read").await? {
        return Ok(Some(Standing::MayEscalate));
    }
    let users = [caller.user.user_id].into();
    let organizations = std::iter::once(party.organization).chain(party.main_unit).collect();
    if parties::store::roles(connection, &users, &organizations).await?.is_empty() {
        return Ok(None);
    }
    let level = caller.user.authentication_level;
    if level < AUTHENTICATION_LEVEL_MIN {
        let needed = format!("needed: {AUTHENTICATION_LEVEL_MIN}, token: {level}");
        return Err(Problem::new(codes::AUTHENTICATION_LEVEL).detail(needed));
    }
    Ok(Some(Standing::MayEscalate))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story, tokens};

    const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

    fn path(id: &str) -> String {
        format!("/authentication/api/v1/systemuser/request/{id}")
    }

    #[tokio::test]
    async fn whoever_may_approve_sees_the_request_and_its_party() {
        let test = TestState::with_request().await;
        let id = test.request_id().await;
        let hansen = test.administrator_of_hansen();
        let mut expected = test.get(&story::request_of_hansen(&id), &hansen).await.expect(200);
        expected["partyId"] = json!(50_000_001);
        expected["partyUuid"] = json!("00000000-0000-4000-8000-000050000001");
        expected["userMayEscalateButNotApprove"] = json!(false);
        assert_eq!(test.get(&path(&id), &hansen).await.expect(200), expected);
    }

    #[tokio::test]
    async fn whoever_has_a_role_there_may_pass_it_on_and_others_do_not_see_it() {
        let test = TestState::with_request().await;
        let id = test.request_id().await;
        let member = test.board_member_of_hansen().await;
        let seen = test.get(&path(&id), &member).await.expect(200);
        assert_eq!(seen["userMayEscalateButNotApprove"], true);
        test.get(&path(&id), &test.administrator_of_bakeri()).await.expect_code(404, "AUTH-00010");
        let low = tokens::User::new(story::HANSENS_MANAGER).level(2).token(&test);
        test.get(&path(&id), &low).await.expect_code(403, "authentication_level_too_low");
        test.get(&path(&id), &test.vendor()).await.expect_code(403, "insufficient_scope");
        let hansen = test.administrator_of_hansen();
        test.get(&path(UNKNOWN), &hansen).await.expect_code(404, "AUTH-00010");
        test.get(&path("7"), &hansen).await.expect_code(400, "path_invalid");
    }
}
