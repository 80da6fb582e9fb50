//! `GET /accessmanagement/api/v1/systemuser/request/{requestId}/logout`: the customer has decided and goes back to the vendor's page. The
//! session ends, because the person logged in for this only.

use axum::extract::State;
use axum::response::Response;

use super::current;
use super::get::IdInPath;
use super::portal::standing;
use crate::caller::{OwnToken, PortalUser};
use crate::openapi;
use crate::parameters::PathOf;
use crate::parties;
use crate::problem::Problem;
use crate::state::AppState;
use crate::tokens;

/// Ends the session and sends the browser to the request's `redirectUrl`.
///
/// Whoever has nothing to do with the party that was asked, and everybody if the request names no page, is sent to the start
/// page.
#[utoipa::path(
    get, path = "/accessmanagement/api/v1/systemuser/request/{request_id}/logout", operation_id = "logOutOfRequest", tag = openapi::LOGIN,
    responses((status = 303, description = "The cookie is gone")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    person: Result<PortalUser, Problem>,
    token: Result<OwnToken, Problem>,
    PathOf(IdInPath { request_id }): PathOf<IdInPath>,
) -> Result<Response, Problem> {
    let mut address = state.settings.public_url.to_string();
    if let Ok(person) = person {
        let mut connection = state.store.read().await?;
        if let Some(request) = current::find(&mut connection, request_id).await?
            && let Some(party) = parties::store::find_organization(&mut connection, request.party).await?
            && let Ok(Some(_)) = standing(&state, &mut connection, &person, &party).await
        {
            address = request.redirect_url.unwrap_or(address);
        }
    }
    tokens::log_out(&state, token, &address).await
}

#[cfg(test)]
mod tests {
    use crate::test_state::{TestState, agents, story};

    #[tokio::test]
    async fn who_was_asked_goes_back_to_the_vendors_page_and_others_to_the_start() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let location = async |kind: &str, id: &str, token: &str| {
            let path = format!("/accessmanagement/api/v1/systemuser/{kind}/{id}/logout");
            let answer = test.get(&path, token).await;
            assert_eq!((answer.status, answer.bytes.len()), (303, 0));
            answer.headers["location"].clone()
        };
        let (hansen, start) = (test.administrator_of_hansen(), "http://portvakt.test/");
        assert_eq!(location("request", &id, &hansen).await, story::request()["redirectUrl"].as_str().unwrap());
        assert_eq!(location("agentrequest", &id, &hansen).await, location("request", &id, &hansen).await);
        assert_eq!(location("request", &id, &test.administrator_of_bakeri()).await, start);
        assert_eq!(location("request", &id, "").await, start);
        assert_eq!(location("request", &agents::uuid(9), &hansen).await, start);
        assert_eq!(location("changerequest", &id, &hansen).await, start);
    }
}
