//! `PUT /systemregister/vendor/{systemId}/rights`: a vendor replaces what its system may ever ask for.
//!
//! What system users hold stays what their owners approved.

use axum::extract::State;
use policies::id::SystemId;
use serde_json::json;

use super::model::{ChangeKind, System};
use super::registration::{self, Wrong};
use super::update::{self, Answer, answer, replaceable};
use crate::caller::{RegisterWrite, Vendor};
use crate::json::AltinnJsonList;
use crate::openapi::{self, altinn};
use crate::parameters::PathOf;
use crate::preconditions::IfMatch;
use crate::problem::Problem;
use crate::right::RightBody;
use crate::state::AppState;

/// A vendor replaces the rights that its system may ask for.
///
/// What system users hold stays what their owners approved.
#[utoipa::path(
    put, path = "/authentication/api/v1/systemregister/vendor/{system_id}/rights", operation_id = "replaceSystemRights", tag = openapi::SYSTEMS,
    security(("maskinporten" = ["altinn:authentication/systemregister.write"])),
    params(("If-Match" = Option<String>, Header, description = "The `ETag` of the state that may be changed")),
    request_body = Vec<altinn::Right>,
    responses((status = 200, body = altinn::SystemRegisterUpdateResult), (status = 400, description = "`STD-00000`, or as plain text `system_deleted`"), (status = 404, description = "`AUTH-00011`"), (status = 412, description = "`precondition_failed`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: Vendor<RegisterWrite>,
    PathOf(id): PathOf<SystemId>,
    if_match: IfMatch,
    AltinnJsonList(body): AltinnJsonList<RightBody>,
) -> Result<Answer, Problem> {
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let system = replaceable(change.connection(), &caller, &id, &if_match).await?;
    let mut wrong = Wrong::default();
    let rights = registration::rights(change.connection(), &body, &mut wrong).await?;
    let system = System { rights, ..system };
    wrong.require_nothing()?;
    let new = json!(system.rights);
    update::store(change.connection(), &caller, &system, (ChangeKind::RightsUpdate, new), now).await?;
    change.commit(now, "system_rights_replaced", json!({ "system": id, "by": caller.organization() })).await?;
    Ok(answer(&system))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story, tokens};

    const PATH: &str = "/authentication/api/v1/systemregister/vendor/310247030_smartcloud/rights";

    #[tokio::test]
    async fn rights_alone_are_replaced() {
        let test = TestState::with_system().await;
        let rights = json!([
            { "action": "read", "resource": [{ "id": "urn:altinn:resource", "value": "vat" }] },
            { "Resource": [{ "ID": "urn:altinn:resource", "Value": "annual-accounts" }] },
        ]);
        assert_eq!(test.put(PATH, &test.vendor(), &rights).await.expect(200), json!({ "succeeded": true }));
        let system = format!("{}/310247030_smartcloud", story::SYSTEMS);
        let stored = test.get(&system, &test.vendor()).await.expect(200);
        assert_eq!(stored["rights"][1]["resource"][0]["value"], "annual-accounts");
        assert_eq!(stored["rights"][0], rights[0]);
        assert_eq!(stored["accessPackages"], story::system()["accessPackages"]);
        assert_eq!(stored["clientId"], story::system()["clientId"]);
    }

    #[tokio::test]
    async fn wrong_rights_have_their_codes_and_nothing_is_stored() {
        let test = TestState::with_system().await;
        let before = test.state.store.revision().await.unwrap();
        let right = |id: &str, value: &str| json!({ "resource": [{ "id": id, "value": value }] });
        let vat = right("urn:altinn:resource", "vat");
        let unknown = right("urn:altinn:resource", "unknown");
        let wrong =
            json!([right("urn:altinn:org", "skd"), vat, vat, unknown, right("urn:altinn:resource", "internal")]);
        let answer = test.put(PATH, &test.vendor(), &wrong).await;
        assert_eq!(answer.json["validationErrors"][0]["paths"], json!(["/registersystemrequest/rights/resource"]));
        answer.expect_invalid(&["AUTH.VLD-00009", "AUTH.VLD-00006", "AUTH.VLD-00017", "AUTH.VLD-00003"]);
        let many: Vec<_> = (0..1001).map(|number| right("urn:altinn:resource", &format!("r{number}"))).collect();
        test.put(PATH, &test.vendor(), &json!(many)).await.expect_invalid(&["too_many_entries", "AUTH.VLD-00003"]);
        test.put(PATH, &test.vendor(), &json!({})).await.expect_code(400, "json_invalid");
        assert_eq!(test.state.store.revision().await.unwrap(), before);
    }

    #[tokio::test]
    async fn unknown_foreign_and_deleted_systems_are_left_alone() {
        let test = TestState::with_system().await;
        let unknown = PATH.replace("smartcloud", "other");
        test.put(&unknown, &test.vendor(), &json!([])).await.expect_code(404, "AUTH-00011");
        let foreign = tokens::Maskinporten::vendor("310247065").token(&test);
        test.put(PATH, &foreign, &json!([])).await.expect_code(403, "vendor_not_owner");
        test.delete(&format!("{}/310247030_smartcloud", story::SYSTEMS), &test.vendor()).await.expect(200);
        let deleted = test.put(PATH, &test.vendor(), &json!([])).await;
        let text = "Cannot update a system marked as deleted.".to_owned();
        assert_eq!((deleted.status, deleted.text()), (400, text));
    }
}
