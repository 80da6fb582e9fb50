//! `PUT /systemuser`: the owner calls a system user something else. Altinn has this operation, and it changes nothing there.

use axum::Json;
use axum::extract::State;
use policies::id::SystemUserId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::store;
use crate::caller::{AccessManagementWrite, Person};
use crate::fields::{NAME_CHARS_MAX, text};
use crate::json::AltinnJson;
use crate::openapi::{self, altinn};
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::{parties, systems};

#[derive(Debug, Deserialize)]
pub(super) struct Body {
    #[serde(default)]
    id: String,
    #[serde(default, rename = "integrationtitle")]
    integration_title: String,
}

/// The owner gives a system user another title.
#[utoipa::path(
    put, path = "/authentication/api/v1/systemuser", operation_id = "renameSystemUser", tag = openapi::SYSTEM_USERS,
    security(("user" = ["altinn:portal/enduser"])),
    request_body = altinn::RenameSystemUser,
    responses((status = 200, body = altinn::SystemUserInternal), (status = 404, description = "`AUTH-00015`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: Person<AccessManagementWrite>,
    AltinnJson(body): AltinnJson<Body>,
) -> Result<Json<Value>, Problem> {
    let now = state.clock.now();
    let id = SystemUserId::parse(&body.id).map_err(|_| codes::SYSTEM_USER_NOT_FOUND)?;
    let title = text("integrationTitle", &body.integration_title, NAME_CHARS_MAX)?;
    let mut change = state.store.change().await?;
    let connection = change.connection();
    let mut user = store::find(connection, id)
        .await?
        .filter(|user| user.withdrawn_at.is_none())
        .ok_or(codes::SYSTEM_USER_NOT_FOUND)?;
    let owner = parties::store::find_organization(connection, user.owner).await?;
    let caller = caller.at(&state, connection, owner).await?;
    let system = systems::store::find(connection, &user.system).await?.ok_or(codes::SYSTEM_NOT_FOUND)?;
    let delegations = store::delegations(connection, id).await?;
    user.integration_title = title;
    store::update_title(connection, &user).await?;
    let shown = user.internal_json(&system, &caller.party, &delegations);
    let log = json!({ "systemUser": user.id, "party": user.owner, "by": caller.user_id() });
    change.commit(now, "system_user_renamed", log).await?;
    Ok(Json(shown))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story};

    const PATH: &str = "/authentication/api/v1/systemuser";

    #[tokio::test]
    async fn the_owner_renames_its_system_user() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let hansen = test.administrator_of_hansen();
        let renamed = test.put(PATH, &hansen, &json!({ "Id": id, "integrationTitle": " Lønn " })).await.expect(200);
        assert_eq!(renamed["integrationTitle"], "Lønn");
        let user = test.get(&format!("{}/{id}", story::system_users_of_hansen()), &hansen).await.expect(200);
        assert_eq!((&user["integrationTitle"], &user["rights"]), (&json!("Lønn"), &story::request()["rights"]));
        assert_eq!(renamed["accessPackages"], user["accessPackages"]);
    }

    #[tokio::test]
    async fn nobody_else_does_and_wrong_titles_are_refused() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let before = test.state.store.revision().await.unwrap();
        let hansen = test.administrator_of_hansen();
        let body = |id: &str, title: &str| json!({ "id": id, "integrationTitle": title });
        test.put(PATH, &test.administrator_of_bakeri(), &body(&id, "x")).await.expect_code(403, "AUTH-00066");
        test.put(PATH, &test.vendor(), &body(&id, "x")).await.expect_code(403, "insufficient_scope");
        let unknown = "00000000-0000-4000-8000-000000000000";
        for unknown in [unknown, "7", ""] {
            test.put(PATH, &hansen, &body(unknown, "x")).await.expect_code(404, "AUTH-00015");
        }
        for title in ["", " ", "a\nb", &"x".repeat(256)] {
            test.put(PATH, &hansen, &body(&id, title)).await.expect_code(400, "field_invalid");
        }
        assert_eq!(test.state.store.revision().await.unwrap(), before);
    }
}
