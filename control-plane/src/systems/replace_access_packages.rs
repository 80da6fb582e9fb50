//! `PUT /systemregister/vendor/{systemId}/accesspackages`: a vendor replaces what its system may ever ask for in packages.
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
use crate::right::{AccessPackageBody, access_packages_json};
use crate::state::AppState;

/// A vendor replaces the access packages that its system may ask for.
///
/// What system users hold stays what their owners approved.
#[utoipa::path(
    put, path = "/authentication/api/v1/systemregister/vendor/{system_id}/accesspackages", operation_id = "replaceSystemAccessPackages", tag = openapi::SYSTEMS,
    security(("maskinporten" = ["altinn:authentication/systemregister.write"])),
    params(("If-Match" = Option<String>, Header, description = "The `ETag` of the state that may be changed")),
    request_body = Vec<altinn::Package>,
    responses((status = 200, body = altinn::SystemRegisterUpdateResult), (status = 400, description = "`STD-00000`, or as plain text `system_deleted`"), (status = 404, description = "`AUTH-00011`"), (status = 412, description = "`precondition_failed`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: Vendor<RegisterWrite>,
    PathOf(id): PathOf<SystemId>,
    if_match: IfMatch,
    AltinnJsonList(body): AltinnJsonList<AccessPackageBody>,
) -> Result<Answer, Problem> {
    let now = state.clock.now();
    let mut change = state.store.change().await?;
    let system = replaceable(change.connection(), &caller, &id, &if_match).await?;
    let mut wrong = Wrong::default();
    let access_packages = registration::access_packages(&body, system.is_visible, &mut wrong);
    let system = System { access_packages, ..system };
    wrong.require_nothing()?;
    let new = json!(access_packages_json(&system.access_packages));
    update::store(change.connection(), &caller, &system, (ChangeKind::AccessPackageUpdate, new), now).await?;
    change.commit(now, "system_access_packages_replaced", json!({ "system": id, "by": caller.organization() })).await?;
    Ok(answer(&system))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story, tokens};

    const PATH: &str = "/authentication/api/v1/systemregister/vendor/310247030_smartcloud/accesspackages";

    #[tokio::test]
    async fn packages_alone_are_replaced() {
        let test = TestState::with_system().await;
        let packages = json!([{ "urn": "urn:altinn:accesspackage:skatt-naering" }]);
        let body = json!([{ "URN": "urn:altinn:accesspackage:skatt-naering" }]);
        test.put(PATH, &test.vendor(), &body).await.expect(200);
        let system = format!("{}/310247030_smartcloud", story::SYSTEMS);
        let stored = test.get(&system, &test.vendor()).await.expect(200);
        assert_eq!((&stored["accessPackages"], &stored["rights"]), (&packages, &story::system()["rights"]));
    }

    #[tokio::test]
    async fn wrong_packages_have_their_codes_and_nothing_is_stored() {
        let test = TestState::with_system().await;
        let before = test.state.store.revision().await.unwrap();
        let package = |name: &str| json!({ "urn": format!("urn:altinn:accesspackage:{name}") });
        // The system is visible: what is for client relations only is not for it.
        let wrong = json!([package("eksplisitt"), package("ansvarlig-revisor"), package("ansvarlig-revisor")]);
        let answer = test.put(PATH, &test.vendor(), &wrong).await;
        assert_eq!(answer.json["validationErrors"][0]["paths"], json!(["/registersystemrequest/accesspackages"]));
        answer.expect_invalid(&["AUTH.VLD-00008", "AUTH.VLD-00018", "AUTH.VLD-00007"]);
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
