//! `GET /systemuser/request/vendor/bysystem/{systemId}`: the requests of one of the vendor's systems, page by page.

use axum::Json;
use axum::extract::State;
use policies::id::SystemId;
use serde_json::Value;

use super::store;
use crate::base_url::BaseUrl;
use crate::caller::{RequestRead, Vendor};
use crate::openapi::{self, altinn};
use crate::page::{self, Position};
use crate::parameters::{PathOf, Query};
use crate::problem::{Problem, codes};
use crate::state::AppState;
use crate::system_users::model::SystemUserKind;
use crate::systems;

/// A system's requests for standard system users, oldest first, 50 a page.
#[utoipa::path(
    get, path = "/authentication/api/v1/systemuser/request/vendor/bysystem/{system_id}", operation_id = "listRequestsOfSystem", tag = openapi::REQUESTS,
    security(("maskinporten" = ["altinn:authentication/systemuser.request.read"])),
    params(("token" = Option<String>, Query, description = "From `links.next`")),
    responses((status = 200, body = altinn::Paginated<altinn::RequestSystemResponse>), (status = 404, description = "`AUTH-00011`")),
)]
pub(super) async fn handler(
    State(state): State<AppState>,
    caller: Vendor<RequestRead>,
    PathOf(system_id): PathOf<SystemId>,
    query: Query,
    base: BaseUrl,
) -> Result<Json<Value>, Problem> {
    let path = ["systemuser", "request", "vendor", "bysystem", system_id.as_str()];
    page_of_kind(&state, &caller, &system_id, &query, SystemUserKind::Standard, (&base, &path)).await
}

/// A page of the requests of one kind; another vendor's system looks like none.
pub(super) async fn page_of_kind(
    state: &AppState,
    caller: &Vendor<RequestRead>,
    system_id: &SystemId,
    query: &Query,
    kind: SystemUserKind,
    (base, path): (&BaseUrl, &[&str]),
) -> Result<Json<Value>, Problem> {
    let after = page::start(query)?;
    let mut connection = state.store.read().await?;
    systems::store::find(&mut connection, system_id)
        .await?
        .filter(|system| caller.may_act_for(system.vendor))
        .ok_or(codes::SYSTEM_NOT_FOUND)?;
    let requests = store::of_system(&mut connection, system_id, kind, after).await?;
    let (public_url, now) = (&state.settings.public_url, state.clock.now());
    Ok(Json(page::page(
        base,
        path,
        &requests,
        |request| Position::new(request.created_at, request.id.0),
        |request| request.json(public_url, now),
    )))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::test_state::{TestState, story, tokens};

    fn path() -> String {
        format!("{}/bysystem/310247030_smartcloud", story::REQUESTS)
    }

    #[tokio::test]
    async fn a_systems_requests_are_its_vendors() {
        let test = TestState::with_request().await;
        let id = test.request_id().await;
        let page = test.get(&path(), &test.vendor()).await.expect(200);
        let one = test.get(&format!("{}/{id}", story::REQUESTS), &test.vendor()).await.expect(200);
        assert_eq!(page, json!({ "links": {}, "data": [one] }));
        let foreign = tokens::Maskinporten::vendor("310247065").token(&test);
        test.get(&path(), &foreign).await.expect_code(404, "AUTH-00011");
        test.get(&format!("{}x", path()), &test.vendor()).await.expect_code(404, "AUTH-00011");
        test.get(&format!("{}?token=x", path()), &test.vendor()).await.expect_code(400, "query_invalid");
        test.get(&path(), &test.administrator_of_hansen()).await.expect_code(403, "insufficient_scope");
        test.delete(&format!("{}/{id}", story::REQUESTS), &test.vendor()).await.expect(202);
        assert_eq!(test.get(&path(), &test.vendor()).await.expect(200)["data"], json!([]));
    }
}
