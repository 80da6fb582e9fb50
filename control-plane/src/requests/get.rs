//! `GET` of one request: by the vendor (id or reference), or by the party that is asked.

use axum::Json;
use axum::extract::State;
use policies::id::{OrganizationNumber, SystemId};
use serde::Deserialize;
use serde_json::Value;

use super::model::RequestId;
use super::own::{partys_own, vendors_own};
use super::store;
use crate::caller::{AccessManagementRead, PartyAccess, RequestRead, Vendor};
use crate::openapi::{self, altinn};
use crate::parameters::PathOf;
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::system_users::model::SystemUserKind;

#[derive(Debug, Deserialize)]
pub(super) struct IdInPath {
    pub(super) request_id: RequestId,
}

#[derive(Debug, Deserialize)]
pub(super) struct ReferenceInPath {
    pub(super) system_id: SystemId,
    pub(super) organization: OrganizationNumber,
    pub(super) external_ref: String,
}

/// One of the vendor's requests.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/request/vendor/{request_id}", operation_id = "getVendorRequest", tag = openapi::REQUESTS,
    security(("maskinporten" = ["altinn:authentication/systemuser.request.read"])),
    responses((status = 200, body = altinn::RequestSystemResponse), (status = 404, description = "`AUTH-00010`")),
)]
pub(super) async fn for_vendor(
    State(state): State<AppState>,
    caller: Vendor<RequestRead>,
    PathOf(IdInPath { request_id }): PathOf<IdInPath>,
) -> Result<Json<Value>, Problem> {
    let mut connection = state.store.read().await?;
    let request = vendors_own(&mut connection, &caller, SystemUserKind::Standard, request_id).await?;
    Ok(Json(request.json(&state.settings.public_url, state.clock.now())))
}

/// One of the vendor's requests, by system, customer and reference.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/request/vendor/byexternalref/{system_id}/{organization}/{external_ref}", operation_id = "getVendorRequestByReference", tag = openapi::REQUESTS,
    security(("maskinporten" = ["altinn:authentication/systemuser.request.read"])),
    responses((status = 200, body = altinn::RequestSystemResponse), (status = 404, description = "`AUTH-00010`")),
)]
pub(super) async fn for_vendor_by_reference(
    State(state): State<AppState>,
    caller: Vendor<RequestRead>,
    PathOf(ReferenceInPath { system_id, organization, external_ref }): PathOf<ReferenceInPath>,
) -> Result<Json<Value>, Problem> {
    let mut connection = state.store.read().await?;
    let request = store::find_by_reference(&mut connection, organization, &system_id, &external_ref)
        .await?
        .ok_or(codes::REQUEST_NOT_FOUND)?;
    let request = vendors_own(&mut connection, &caller, SystemUserKind::Standard, request.id).await?;
    Ok(Json(request.json(&state.settings.public_url, state.clock.now())))
}

/// A request, to the organisation that is asked.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/request/{party}/{request_id}", operation_id = "getPartyRequest", tag = openapi::REQUESTS,
    security(("user" = ["altinn:portal/enduser"])),
    responses((status = 200, body = altinn::RequestSystemResponse), (status = 404, description = "`AUTH-00010`")),
)]
pub(super) async fn for_party(
    State(state): State<AppState>,
    caller: PartyAccess<AccessManagementRead>,
    PathOf(IdInPath { request_id }): PathOf<IdInPath>,
) -> Result<Json<Value>, Problem> {
    let mut connection = state.store.read().await?;
    let request = partys_own(&mut connection, caller.organization(), SystemUserKind::Standard, request_id).await?;
    Ok(Json(request.json(&state.settings.public_url, state.clock.now())))
}

#[cfg(test)]
mod tests {
    use crate::test_state::{TestState, story, tokens};

    const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

    #[tokio::test]
    async fn the_vendor_reads_its_request_by_id_and_by_reference() {
        let test = TestState::with_request().await;
        let by_id =
            test.get(&format!("{}/{}", story::REQUESTS, test.request_id().await), &test.vendor()).await.expect(200);
        let reference = format!("{}/byexternalref/310247030_smartcloud/310247049/310247049", story::REQUESTS);
        assert_eq!(test.get(&reference, &test.vendor()).await.expect(200), by_id);
        test.get(&format!("{}/{UNKNOWN}", story::REQUESTS), &test.vendor()).await.expect_code(404, "AUTH-00010");
        test.get(&format!("{reference}x"), &test.vendor()).await.expect_code(404, "AUTH-00010");
        test.get(&format!("{}/7", story::REQUESTS), &test.vendor()).await.expect_code(400, "path_invalid");
        let wrong_number = reference.replace("310247049/", "310247048/");
        test.get(&wrong_number, &test.vendor()).await.expect_code(400, "path_invalid");
    }

    #[tokio::test]
    async fn another_vendors_request_looks_like_none() {
        let test = TestState::with_request().await;
        let foreign = tokens::Maskinporten::vendor("310247065").token(&test);
        let id = test.request_id().await;
        test.get(&format!("{}/{id}", story::REQUESTS), &foreign).await.expect_code(404, "AUTH-00010");
        let reference = format!("{}/byexternalref/310247030_smartcloud/310247049/310247049", story::REQUESTS);
        test.get(&reference, &foreign).await.expect_code(404, "AUTH-00010");
    }

    #[tokio::test]
    async fn the_party_that_is_asked_reads_it_and_no_other() {
        let test = TestState::with_request().await;
        let id = test.request_id().await;
        let request = test.get(&story::request_of_hansen(&id), &test.administrator_of_hansen()).await.expect(200);
        assert_eq!(request["id"], id);
        test.get(&story::request_of_hansen(UNKNOWN), &test.administrator_of_hansen())
            .await
            .expect_code(404, "AUTH-00010");
        test.get(&story::request_of_bakeri(&id), &test.administrator_of_bakeri()).await.expect_code(403, "AUTH-00041");
        test.get(&story::request_of_hansen(&id), &test.administrator_of_bakeri()).await.expect_code(403, "AUTH-00066");
    }
}
