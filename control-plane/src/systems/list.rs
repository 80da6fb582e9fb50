//! `GET /systemregister/vendor`: the vendor's own systems. Altinn's answer is a bare array without pages.

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use super::model::System;
use super::store;
use crate::caller::{RegisterWrite, Vendor};
use crate::openapi::{self, altinn};
use crate::problem::Problem;
use crate::state::AppState;

/// The vendor's own systems.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemregister/vendor", operation_id = "listVendorSystems", tag = openapi::SYSTEMS,
    security(("maskinporten" = ["altinn:authentication/systemregister.write"])),
    responses((status = 200, body = Vec<altinn::RegisteredSystem>)),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: Vendor<RegisterWrite>,
) -> Result<Json<Vec<Value>>, Problem> {
    let mut connection = state.store.read().await?;
    let systems = store::of_vendor(&mut connection, caller.organization()).await?;
    Ok(Json(systems.iter().map(System::listed_json).collect()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, tokens};

    const PATH: &str = "/authentication/api/v1/systemregister/vendor";

    #[tokio::test]
    async fn a_vendor_sees_its_own_systems_only() {
        let test = TestState::with_system().await;
        let own = test.get(PATH, &test.vendor()).await.expect(200);
        assert_eq!(own.as_array().unwrap().len(), 1);
        assert_eq!(own[0]["systemId"], "310247030_smartcloud");
        assert_eq!(own[0]["systemVendorOrgNumber"], "310247030");
        let foreign = tokens::Maskinporten::vendor("310247065").token(&test);
        assert_eq!(test.get(PATH, &foreign).await.expect(200), json!([]));
        let without_vendor =
            tokens::Maskinporten::without_consumer("altinn:authentication/systemregister.write").token(&test);
        test.get(PATH, &without_vendor).await.expect_code(401, "AUTH-00023");
    }
}
