//! `PUT /systemregister/vendor/{systemId}`: a vendor replaces all of a system but its identity.
//!
//! What system users hold stays what their owners approved; other client ids reach the gateways with the next snapshot.

use axum::extract::State;
use policies::id::SystemId;
use serde_json::json;

use super::model::ChangeKind;
use super::registration::{Body, SYSTEM_ID, Wrong};
use super::update::{self, Answer, answer};
use super::{own, require_live};
use crate::caller::{RegisterWrite, Vendor};
use crate::json::AltinnJson;
use crate::openapi::{self, altinn};
use crate::parameters::PathOf;
use crate::preconditions::{IfMatch, entity_tag};
use crate::problem::{Invalid, Problem, codes};
use crate::state::AppState;

/// A vendor replaces all of a system but its identity.
///
/// What system users hold stays what their owners approved.
#[utoipa::path(
    put, path = "/authentication/api/v1/systemregister/vendor/{system_id}", operation_id = "replaceSystem", tag = openapi::SYSTEMS,
    security(("maskinporten" = ["altinn:authentication/systemregister.write"])),
    params(("If-Match" = Option<String>, Header, description = "The `ETag` of the state that may be changed")),
    request_body = altinn::RegisterSystemRequest,
    responses((status = 200, body = altinn::SystemRegisterUpdateResult), (status = 400, description = "`STD-00000`, or as plain text `system_deleted`"), (status = 404, description = "As plain text `system_unknown`"), (status = 412, description = "`precondition_failed`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: Vendor<RegisterWrite>,
    PathOf(id): PathOf<SystemId>,
    if_match: IfMatch,
    AltinnJson(body): AltinnJson<Body>,
) -> Result<Answer, Problem> {
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let unknown = || Problem::new(codes::SYSTEM_UNKNOWN).plain_text(format!("System with ID '{id}' not found."));
    let system = own(change.connection(), &caller, &id, unknown).await?;
    if body.vendor() != Ok(system.vendor) {
        return Err(unknown());
    }
    if body.id() != id.as_str() {
        return Err(Problem::validation(vec![Invalid::at(codes::SYSTEM_ID_MISMATCH, SYSTEM_ID)]));
    }
    require_live(&system)?;
    if_match.require(&entity_tag(&system.whole_json()))?;

    let mut wrong = Wrong::default();
    let content = body.check(change.connection(), Some(&id), &mut wrong).await?;
    wrong.require_nothing()?;
    let system = system.replace(content);
    let new = system.registration_json();
    update::store(change.connection(), &caller, &system, (ChangeKind::Update, new), now).await?;
    change.commit(now, "system_replaced", json!({ "system": id, "by": caller.organization() })).await?;
    Ok(answer(&system))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story, tokens};

    fn path() -> String {
        format!("{}/310247030_smartcloud", story::SYSTEMS)
    }

    #[tokio::test]
    async fn all_but_the_identity_is_replaced() {
        let test = TestState::with_system().await;
        let mut body = story::system();
        body["name"] = json!({ "nb": "Ny", "nn": "Ny", "en": "New" });
        body["rights"] = json!([]);
        body["accessPackages"] = json!([]);
        body["clientId"] = json!(["another", story::CLIENT_ID]);
        body["allowedRedirectUrls"] = json!([]);
        body["isVisible"] = json!(false);
        assert_eq!(test.put(&path(), &test.vendor(), &body).await.expect(200), json!({ "succeeded": true }));
        body["vendor"] = json!({ "ID": "0192:310247030" });
        body["isDeleted"] = json!(false);
        assert_eq!(test.get(&path(), &test.vendor()).await.expect(200), body);
    }

    #[tokio::test]
    async fn what_is_refused_is_refused_in_altinns_order() {
        let test = TestState::with_system().await;
        let before = test.state.store.revision().await.unwrap();
        let body = story::system();
        let text = async |path: &str, body: &serde_json::Value| {
            let answer = test.put(path, &test.vendor(), body).await;
            assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
            (answer.status, answer.text())
        };
        let unknown = |id: &str| (404, format!("System with ID '{id}' not found."));
        assert_eq!(text(&path().replace("smartcloud", "other"), &body).await, unknown("310247030_other"));
        let foreign = tokens::Maskinporten::vendor("310247065").token(&test);
        let mut other_vendor = body.clone();
        other_vendor["vendor"]["ID"] = json!("0192:310247065");
        // Who may not see the system does not learn whose it is.
        for body in [&body, &other_vendor] {
            test.put(&path(), &foreign, body).await.expect_code(403, "vendor_not_owner");
        }
        assert_eq!(text(&path(), &other_vendor).await, unknown("310247030_smartcloud"));
        let mut wrong = body.clone();
        wrong["rights"] = json!([{ "resource": [] }]);
        wrong["id"] = json!("310247030_other");
        test.put(&path(), &test.vendor(), &wrong).await.expect_invalid(&["AUTH.VLD-00012"]);
        wrong["id"] = body["id"].clone();
        wrong["allowedRedirectUrls"] = json!(["http://smartcloud.no/"]);
        wrong["clientId"] = json!(["a", "A"]);
        test.put(&path(), &test.vendor(), &wrong).await.expect_invalid(&[
            "AUTH.VLD-00009",
            "AUTH.VLD-00011",
            "AUTH.VLD-00005",
        ]);
        assert_eq!(test.state.store.revision().await.unwrap(), before);
        test.delete(&path(), &test.vendor()).await.expect(200);
        assert_eq!(text(&path(), &wrong).await, (400, "Cannot update a system marked as deleted.".to_owned()));
    }

    #[tokio::test]
    async fn client_ids_of_others_are_taken_and_given_up_ones_are_free() {
        let test = TestState::with_system().await;
        let mut second = story::system();
        second["id"] = json!("310247030_second");
        second["clientId"] = json!(["second"]);
        test.post(story::SYSTEMS, &test.vendor(), &second).await.expect(200);
        let second_path = format!("{}/310247030_second", story::SYSTEMS);
        second["clientId"] = json!([story::CLIENT_ID.to_uppercase()]);
        test.put(&second_path, &test.vendor(), &second).await.expect_invalid(&["AUTH.VLD-00004"]);
        let mut first = story::system();
        first["clientId"] = json!([]);
        test.put(&path(), &test.vendor(), &first).await.expect(200);
        test.put(&second_path, &test.vendor(), &second).await.expect(200);
    }

    #[tokio::test]
    async fn who_names_the_state_it_read_does_not_overwrite_another() {
        let test = TestState::with_system().await;
        let read = test.get(&path(), &test.vendor()).await.headers["etag"].clone();
        let mut body = story::system();
        body["isVisible"] = json!(false);
        let put = async |tag: &str| test.put_with(&path(), &test.vendor(), &[("if-match", tag)], &body).await;
        let written = put(&read).await;
        assert_eq!(written.status, 200, "{}", written.json);
        assert_eq!(test.get(&path(), &test.vendor()).await.headers["etag"], written.headers["etag"]);
        put(&read).await.expect_code(412, "precondition_failed");
        put("x").await.expect_code(400, "header_invalid");
        put(&written.headers["etag"]).await.expect(200);
    }
}
