//! `DELETE /systemregister/vendor/{systemId}`: a vendor ends a system. Its id stays taken, its client ids are free.
//!
//! Its system users and requests end with it, in the same transaction (triggers): gateways refuse the system users from the
//! next snapshot on. Deleting it again changes nothing.

use axum::Json;
use axum::extract::State;
use policies::id::SystemId;
use serde_json::{Value, json};

use super::model::ChangeKind;
use super::{change_log, own, store};
use crate::caller::{RegisterWrite, Vendor};
use crate::openapi::{self, altinn};
use crate::parameters::PathOf;
use crate::preconditions::{IfMatch, entity_tag};
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// A vendor ends a system, and with it its system users and requests.
///
/// Its id stays taken, its client ids are free.
#[utoipa::path(
    delete, path = "/authentication/api/v1/systemregister/vendor/{system_id}", operation_id = "deleteSystem", tag = openapi::SYSTEMS,
    security(("maskinporten" = ["altinn:authentication/systemregister.write"])),
    params(("If-Match" = Option<String>, Header, description = "The `ETag` of the state that may be changed")),
    responses((status = 200, body = altinn::SystemRegisterUpdateResult), (status = 400, description = "`STD-00000`: there is no such system"), (status = 412, description = "`precondition_failed`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: Vendor<RegisterWrite>,
    PathOf(id): PathOf<SystemId>,
    if_match: IfMatch,
) -> Result<Json<Value>, Problem> {
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    // Altinn's answer here is a failed validation.
    let unknown = || Problem::new(codes::VALIDATION).member("errors", json!({ "return": ["System not found"] }));
    let system = own(change.connection(), &caller, &id, unknown).await?;
    if_match.require(&entity_tag(&system.whole_json()))?;
    if !system.is_deleted {
        store::delete(change.connection(), &id, now).await?;
        change_log::append(change.connection(), &id, &caller, ChangeKind::Delete, Value::Null, now).await?;
        change.commit(now, "system_deleted", json!({ "system": id, "by": caller.organization() })).await?;
    }
    Ok(Json(json!({ "succeeded": true })))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story, tokens};

    fn path() -> String {
        format!("{}/310247030_smartcloud", story::SYSTEMS)
    }

    #[tokio::test]
    async fn a_deleted_system_is_shown_as_such_and_its_client_ids_are_free() {
        let test = TestState::with_system().await;
        assert_eq!(test.delete(&path(), &test.vendor()).await.expect(200), json!({ "succeeded": true }));
        let stored = test.get(&path(), &test.vendor()).await.expect(200);
        assert_eq!((&stored["isDeleted"], &stored["clientId"]), (&json!(true), &json!([])));
        assert_eq!(test.get(story::SYSTEMS, &test.vendor()).await.expect(200), json!([]));
        // The id is taken for ever.
        test.post(story::SYSTEMS, &test.vendor(), &story::system()).await.expect_invalid(&["AUTH.VLD-00002"]);
        let mut other = story::system();
        other["id"] = json!("310247030_other");
        test.post(story::SYSTEMS, &test.vendor(), &other).await.expect(200);

        let before = test.state.store.revision().await.unwrap();
        test.delete(&path(), &test.vendor()).await.expect(200);
        assert_eq!(test.state.store.revision().await.unwrap(), before);
    }

    #[tokio::test]
    async fn a_system_without_client_ids_is_deleted_too() {
        let test = TestState::with_resources().await;
        let mut system = story::system();
        system["clientId"] = json!([]);
        test.post(story::SYSTEMS, &test.vendor(), &system).await.expect(200);
        test.delete(&path(), &test.vendor()).await.expect(200);
    }

    #[tokio::test]
    async fn unknown_and_foreign_systems_are_not_deleted() {
        let test = TestState::with_system().await;
        let unknown = test.delete(&path().replace("smartcloud", "other"), &test.vendor()).await;
        assert_eq!(unknown.json["errors"], json!({ "return": ["System not found"] }));
        unknown.expect_code(400, "STD-00000");
        let foreign = tokens::Maskinporten::vendor("310247065").token(&test);
        test.delete(&path(), &foreign).await.expect_code(403, "vendor_not_owner");
        let stored = test.get(&path(), &test.vendor()).await.expect(200);
        assert_eq!(stored["isDeleted"], false);
    }

    #[tokio::test]
    async fn its_system_users_and_requests_end_with_it() {
        let test = TestState::with_request().await;
        let id = test.approve().await;
        let mut second = story::request();
        second["externalRef"] = json!("second");
        let waiting = test.post(story::REQUESTS, &test.vendor(), &second).await.expect(201);
        let waiting = waiting["id"].as_str().unwrap();
        test.get(&story::lookup(), &test.maskinporten()).await.expect(200);

        test.delete(&path(), &test.vendor()).await.expect(200);
        test.get(&story::lookup(), &test.maskinporten()).await.expect_code(404, "AUTH-00015");
        let hansen = test.administrator_of_hansen();
        assert_eq!(test.get(&story::system_users_of_hansen(), &hansen).await.expect(200), json!([]));
        for request in [&id, waiting] {
            test.get(&format!("{}/{request}", story::REQUESTS), &test.vendor()).await.expect_code(404, "AUTH-00010");
        }
        let approve = format!("{}/approve", story::request_of_hansen(waiting));
        test.send("POST", &approve, &hansen, None).await.expect_code(404, "AUTH-00010");
        test.post(story::REQUESTS, &test.vendor(), &story::request()).await.expect_code(404, "AUTH-00011");
    }
}
