//! `GET /systemregister/vendor/{systemId}`: one system, deleted or not, to its vendor.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use policies::id::SystemId;

use super::own;
use crate::caller::{RegisterWrite, Vendor};
use crate::openapi::{self, altinn};
use crate::parameters::PathOf;
use crate::preconditions::entity_tag;
use crate::problem::{Problem, codes};
use crate::state::AppState;

/// One system, to its vendor.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemregister/vendor/{system_id}", operation_id = "getVendorSystem", tag = openapi::SYSTEMS,
    security(("maskinporten" = ["altinn:authentication/systemregister.write"])),
    responses((status = 200, body = altinn::RegisteredSystemResponse), (status = 404, description = "`AUTH-00011`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: Vendor<RegisterWrite>,
    PathOf(id): PathOf<SystemId>,
) -> Result<impl IntoResponse, Problem> {
    let mut connection = state.store.read().await?;
    let system = own(&mut connection, &caller, &id, || codes::SYSTEM_NOT_FOUND.into()).await?;
    let shown = system.whole_json();
    Ok(([(header::ETAG, entity_tag(&shown))], Json(shown)))
}

#[cfg(test)]
mod tests {
    use crate::test_state::{TestState, tokens};

    const PATH: &str = "/authentication/api/v1/systemregister/vendor";

    #[tokio::test]
    async fn unknown_and_foreign_systems_are_not_shown() {
        let test = TestState::with_system().await;
        let path = format!("{PATH}/310247030_smartcloud");
        test.get(&path, &test.vendor()).await.expect(200);
        test.get(&format!("{PATH}/310247030_other"), &test.vendor()).await.expect_code(404, "AUTH-00011");
        test.get(&format!("{PATH}/a%20b"), &test.vendor()).await.expect_code(400, "path_invalid");
        test.get(&format!("{PATH}/%ff"), &test.vendor()).await.expect_code(400, "path_invalid");
        let foreign = tokens::Maskinporten::vendor("310247065").token(&test);
        test.get(&path, &foreign).await.expect_code(403, "vendor_not_owner");
        let admin = tokens::Maskinporten::new("310247065", "altinn:authentication/systemregister.admin").token(&test);
        test.get(&path, &admin).await.expect(200);
    }
}
